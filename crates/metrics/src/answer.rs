//! Answers to the owner's queries: one value, or the reason that there is none, with sample rows.
//!
//! In: what a query gave. Out: the same, through merges and encodings. A query is answered once for
//! a whole partition; a second answer that differs is a fault, and must never win or lose by the
//! order of a merge.

use crate::codec::{Codec, DecodeError, Reader, Writer};

/// What is said where two batches answered the same query differently.
pub const ANSWERED_TWICE: &str = "two batches answered the query, and not alike";

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The value, or why there is none.
    pub value: Result<AnswerValue, String>,
    /// Rows that were asked for with it, each a JSON object with masked columns already hidden; of a
    /// number, what a reader must know of it.
    pub samples: Vec<String>,
}

/// The value of an answer. Doubles are equal when their bits are: NaN equals itself.
#[derive(Debug, Clone)]
pub enum AnswerValue {
    /// NULL: a sum of nothing.
    Null,
    /// A whole number or decimal, in digits.
    Exact(String),
    /// A double.
    Float(f64),
}

impl PartialEq for AnswerValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Exact(one), Self::Exact(other)) => one == other,
            (Self::Float(one), Self::Float(other)) => one.to_bits() == other.to_bits(),
            _ => false,
        }
    }
}

impl Answer {
    /// An answer without a value.
    #[must_use]
    pub fn failed(why: impl Into<String>) -> Self {
        Self {
            value: Err(why.into()),
            samples: Vec::new(),
        }
    }

    /// Takes in another answer to the same query.
    pub fn absorb(&mut self, other: &Self) {
        if self != other {
            *self = Self::failed(ANSWERED_TWICE);
        }
    }
}

impl Codec for Answer {
    fn write(&self, to: &mut Writer) {
        match &self.value {
            Ok(AnswerValue::Null) => to.u64(0),
            Ok(AnswerValue::Exact(digits)) => {
                to.u64(1);
                to.text(digits);
            }
            Ok(AnswerValue::Float(value)) => {
                to.u64(2);
                to.f64(*value);
            }
            Err(why) => {
                to.u64(3);
                to.text(why);
            }
        }
        to.u64(self.samples.len() as u64);
        for sample in &self.samples {
            to.text(sample);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let value = match from.u64("answer")? {
            0 => Ok(AnswerValue::Null),
            1 => Ok(AnswerValue::Exact(from.text("answer digits")?)),
            2 => Ok(AnswerValue::Float(from.f64("answer value")?)),
            3 => Err(from.text("answer reason")?),
            _ => return Err(from.invalid("answer")),
        };
        let count = from.count(1, "samples")?;
        let samples = (0..count).map(|_| from.text("sample"));
        Ok(Self {
            value,
            samples: samples.collect::<Result<_, _>>()?,
        })
    }
}
