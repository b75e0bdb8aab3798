//! The checks that every field passes, and the error that names the field.

use std::str::FromStr;

use assay_model::ids::{InvalidId, UnknownWord};
use jiff::Timestamp;

use crate::limits::{NAME_BYTES_MAX, TEXT_BYTES_MAX};

/// A message that breaks the contract: which field, and which rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A field that has to be there is not.
    #[error("the field `{field}` is absent")]
    Absent {
        /// The field.
        field: &'static str,
    },
    /// A text is too long.
    #[error("the field `{field}` has {len} bytes; at most {max} are taken")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// A list is too long.
    #[error("the list `{field}` has {len} items; at most {max} are taken")]
    TooMany {
        /// The field.
        field: &'static str,
        /// Its length.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// A value is outside of what it may be.
    #[error("the field `{field}` is out of range: {detail}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A text is none of the words of its vocabulary.
    #[error(transparent)]
    NotAWord(#[from] UnknownWord),
    /// An identifier is misspelt.
    #[error(transparent)]
    BadId(#[from] InvalidId),
}

impl From<WireError> for tonic::Status {
    fn from(error: WireError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// The value of a field that has to be there.
///
/// # Errors
/// [`WireError::Absent`].
pub fn present<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::Absent { field })
}

/// A text of at most `max` bytes.
///
/// # Errors
/// [`WireError::TooLong`].
pub fn bounded(field: &'static str, text: String, max: usize) -> Result<String, WireError> {
    if text.len() > max {
        let len = text.len();
        return Err(WireError::TooLong { field, len, max });
    }
    Ok(text)
}

/// A name: not empty, bounded, without control characters.
///
/// # Errors
/// [`WireError`] with the rule it breaks.
pub fn name(field: &'static str, value: String) -> Result<String, WireError> {
    let value = bounded(field, value, NAME_BYTES_MAX)?;
    if value.is_empty() {
        return Err(WireError::Absent { field });
    }
    if value.chars().any(char::is_control) {
        return Err(WireError::OutOfRange {
            field,
            detail: "a name has no control characters".to_owned(),
        });
    }
    Ok(value)
}

/// A text for people.
///
/// # Errors
/// [`WireError::TooLong`].
pub fn text(field: &'static str, value: String) -> Result<String, WireError> {
    bounded(field, value, TEXT_BYTES_MAX)
}

/// A text that may be absent, which the wire spells as empty.
///
/// # Errors
/// [`WireError::TooLong`].
pub fn opt_text(field: &'static str, value: String) -> Result<Option<String>, WireError> {
    let value = text(field, value)?;
    Ok((!value.is_empty()).then_some(value))
}

/// A word of a vocabulary.
///
/// # Errors
/// [`WireError::Absent`], [`WireError::NotAWord`].
pub fn word<T>(field: &'static str, value: String) -> Result<T, WireError>
where
    T: FromStr<Err = UnknownWord>,
{
    if value.is_empty() {
        return Err(WireError::Absent { field });
    }
    Ok(bounded(field, value, 64)?.parse()?)
}

/// A list of at most `max` items, each converted.
///
/// # Errors
/// [`WireError::TooMany`], or the first item's error.
pub fn list<W, M>(
    field: &'static str,
    items: Vec<W>,
    max: usize,
    convert: impl FnMut(W) -> Result<M, WireError>,
) -> Result<Vec<M>, WireError> {
    if items.len() > max {
        let len = items.len();
        return Err(WireError::TooMany { field, len, max });
    }
    items.into_iter().map(convert).collect()
}

/// A finite number.
///
/// # Errors
/// [`WireError::OutOfRange`].
pub fn finite(field: &'static str, value: f64) -> Result<f64, WireError> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(WireError::OutOfRange {
        field,
        detail: format!("{value} is not finite"),
    })
}

/// An instant.
///
/// # Errors
/// [`WireError`] when it is absent or outside of what the calendar holds.
pub fn time(
    field: &'static str,
    value: Option<prost_types::Timestamp>,
) -> Result<Timestamp, WireError> {
    opt_time(field, value)?.ok_or(WireError::Absent { field })
}

/// An instant that may be absent.
///
/// # Errors
/// [`WireError::OutOfRange`].
pub fn opt_time(
    field: &'static str,
    value: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, WireError> {
    let Some(value) = value else { return Ok(None) };
    if !(0..1_000_000_000).contains(&value.nanos) {
        return Err(WireError::OutOfRange {
            field,
            detail: format!("{} nanoseconds", value.nanos),
        });
    }
    let nanoseconds = i128::from(value.seconds) * 1_000_000_000 + i128::from(value.nanos);
    Timestamp::from_nanosecond(nanoseconds)
        .map(Some)
        .map_err(|error| WireError::OutOfRange {
            field,
            detail: error.to_string(),
        })
}

/// An instant for the wire.
#[must_use]
pub fn time_of(value: Timestamp) -> prost_types::Timestamp {
    let nanoseconds = value.as_nanosecond();
    prost_types::Timestamp {
        // An instant of the calendar lies within ±10^12 seconds.
        seconds: i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or_default(),
        nanos: i32::try_from(nanoseconds.rem_euclid(1_000_000_000)).unwrap_or_default(),
    }
}
