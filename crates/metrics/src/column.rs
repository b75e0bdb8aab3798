//! The state of one column: counters and the components that its plan asks for.
//!
//! In: values, through the feeders in [`crate::feed`]. Out: typed values, each of which is given
//! only if every non-null value of the column went into it; otherwise the reason.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::counts::{Counts, Lengths, RuleCount, RuleCounts};
use crate::distinct::Distinct;
use crate::moments::{Squares, SumValue, Sums};
use crate::plan::{TablePlan, Wants};
use crate::quantiles::Quantiles;
use crate::range::{Range, Scalar};
use crate::slot::Slot;
use crate::unavailable::Unavailable;
use crate::uniqueness::{KeyCounts, Uniqueness};
use std::collections::BTreeSet;

/// What kinds of value a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Text fields whose type is unknown: numeric if every one of them reads as a number.
    Untyped = 0,
    /// Text fields that a declared type says are numbers; others are counted and left out.
    Numeric = 1,
    /// Integers.
    Int = 2,
    /// Decimals.
    Decimal = 3,
    /// Doubles and single-precision floats.
    Float = 4,
    /// Text.
    Text = 5,
    /// Binary.
    Binary = 6,
    /// Truth values.
    Bool = 7,
    /// Dates.
    Date = 8,
    /// Times of day.
    Time = 9,
    /// Timestamps.
    Timestamp = 10,
    /// Anything else: counted, with no values.
    Other = 11,
}

const KINDS: [Kind; 12] = [
    Kind::Untyped,
    Kind::Numeric,
    Kind::Int,
    Kind::Decimal,
    Kind::Float,
    Kind::Text,
    Kind::Binary,
    Kind::Bool,
    Kind::Date,
    Kind::Time,
    Kind::Timestamp,
    Kind::Other,
];

/// A value together with how many of the column's values are not in it (NaN, infinities, fields
/// that are not numbers although the declared type says so).
#[derive(Debug, Clone, PartialEq)]
pub struct Partial<T> {
    /// The value, over the others.
    pub value: T,
    /// Values that are left out.
    pub left_out: u64,
}

/// The state of one column.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnState {
    /// Kinds of value met.
    pub kinds: BTreeSet<Kind>,
    /// Counters.
    pub counts: Counts,
    /// Sums.
    pub sums: Slot<Sums>,
    /// Sums of squares.
    pub squares: Slot<Squares>,
    /// Minimum and maximum.
    pub range: Slot<Range>,
    /// Distinct values.
    pub distinct: Slot<Distinct>,
    /// Quantiles.
    pub quantiles: Slot<Quantiles>,
    /// Lengths of text.
    pub lengths: Slot<Lengths>,
    /// Exact duplicates.
    pub uniqueness: Slot<Uniqueness>,
    /// Rules.
    pub rules: RuleCounts,
}

fn slot<T>(wanted: bool, state: T) -> Slot<T> {
    if wanted { Slot::On(state) } else { Slot::Off }
}

impl ColumnState {
    /// An empty state that collects what is wanted, with the limits of the plan.
    #[must_use]
    pub fn new(wants: &Wants, plan: &TablePlan) -> Self {
        Self {
            sums: slot(wants.sum || wants.moments, Sums::default()),
            squares: slot(wants.moments, Squares::default()),
            range: slot(wants.range, Range::default()),
            distinct: slot(wants.distinct, Distinct::with_limit(plan.distinct_limit)),
            quantiles: slot(wants.quantiles, Quantiles::default()),
            lengths: slot(wants.lengths, Lengths::default()),
            uniqueness: slot(
                wants.uniqueness,
                Uniqueness::with_limit(plan.uniqueness_limit),
            ),
            ..Self::default()
        }
    }

    /// The state of rows that were counted in a file's footer and not read.
    #[must_use]
    pub fn counts_only(rows: u64, nulls: u64) -> Self {
        Self {
            counts: Counts {
                rows,
                nulls,
                ..Counts::default()
            },
            ..Self::default()
        }
    }

    fn complete<'a, T>(&self, slot: &'a Slot<T>) -> Result<&'a T, Unavailable> {
        slot.complete(self.counts.read, self.counts.non_null())
    }

    /// A counter that needs every value to be read.
    fn counter(&self, counter: u64) -> Result<u64, Unavailable> {
        let (read, expected) = (self.counts.read, self.counts.non_null());
        if read == expected {
            Ok(counter)
        } else {
            Err(Unavailable::Incomplete { read, expected })
        }
    }

    /// Values that are NaN.
    ///
    /// # Errors
    /// [`Unavailable::Incomplete`] when not every value was read.
    pub fn nan_count(&self) -> Result<u64, Unavailable> {
        self.counter(self.counts.nan)
    }

    /// Values that are +inf or −inf.
    ///
    /// # Errors
    /// [`Unavailable::Incomplete`] when not every value was read.
    pub fn inf_count(&self) -> Result<u64, Unavailable> {
        self.counter(self.counts.pos_inf.saturating_add(self.counts.neg_inf))
    }

    /// Values that are no numbers: texts, truth values, times, nested values; of a text format,
    /// fields that do not read as numbers.
    ///
    /// # Errors
    /// [`Unavailable::Incomplete`] when not every value was read.
    pub fn nonnumeric_count(&self) -> Result<u64, Unavailable> {
        self.counter(self.counts.non_null().saturating_sub(self.counts.numeric))
    }

    /// Rows that are NULL, in percent of all rows; `None` without rows.
    #[must_use]
    pub fn null_percent(&self) -> Option<f64> {
        let Counts { rows, nulls, .. } = self.counts;
        (rows > 0).then(|| crate::exact::ratio(&(u128::from(nulls) * 100).into(), &rows.into()))
    }

    /// Whether the column is read as numbers. A column of text fields is if all of them are
    /// numbers and there is one, or if its declared type says so.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        use Kind::{Decimal, Float, Int, Numeric, Untyped};
        let fields = !self.kinds.contains(&Untyped)
            || (self.counts.nonnumeric == 0 && self.counts.numeric > 0);
        let numbers = [Untyped, Numeric, Int, Decimal, Float];
        fields && !self.kinds.is_empty() && self.kinds.iter().all(|kind| numbers.contains(kind))
    }

    /// Values that sums, means and extremes leave out.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        let Counts {
            nan,
            pos_inf,
            neg_inf,
            ..
        } = self.counts;
        let odd = nan.saturating_add(pos_inf).saturating_add(neg_inf);
        odd.saturating_add(self.counts.nonnumeric)
    }

    /// The column's numbers, if it is numeric or has no value.
    fn numbers<'a, T>(&self, slot: &'a Slot<T>) -> Result<&'a T, Unavailable> {
        let state = self.complete(slot)?;
        if self.is_numeric() || self.counts.non_null() == 0 {
            return Ok(state);
        }
        let nonnumeric = self.counts.non_null().saturating_sub(self.counts.numeric);
        Err(Unavailable::NotNumeric { nonnumeric })
    }

    fn partial<T>(&self, value: T) -> Partial<T> {
        Partial {
            value,
            left_out: self.left_out(),
        }
    }

    /// The sum of the finite values; `None` when there are none.
    ///
    /// # Errors
    /// The reason that there is no sum.
    pub fn sum(&self) -> Result<Option<Partial<SumValue>>, Unavailable> {
        Ok(self
            .numbers(&self.sums)?
            .sum()?
            .map(|sum| self.partial(sum)))
    }

    /// The mean of the finite values, correctly rounded; `None` when there are none.
    ///
    /// # Errors
    /// The reason that there is no mean.
    pub fn mean(&self) -> Result<Option<Partial<f64>>, Unavailable> {
        Ok(self
            .numbers(&self.sums)?
            .mean()?
            .map(|mean| self.partial(mean)))
    }

    /// The sample standard deviation of the finite values, correctly rounded; `None` with fewer
    /// than two.
    ///
    /// # Errors
    /// The reason that there is none.
    pub fn stddev(&self) -> Result<Option<Partial<f64>>, Unavailable> {
        let squares = self.numbers(&self.squares)?;
        Ok(self
            .numbers(&self.sums)?
            .stddev(squares)?
            .map(|stddev| self.partial(stddev)))
    }

    /// The sample variance of the finite values, correctly rounded; `None` with fewer than two.
    ///
    /// # Errors
    /// The reason that there is none.
    pub fn variance(&self) -> Result<Option<Partial<f64>>, Unavailable> {
        let squares = self.numbers(&self.squares)?;
        Ok(self
            .numbers(&self.sums)?
            .variance(squares)?
            .map(|variance| self.partial(variance)))
    }

    /// Smallest and largest value; `None` when there is none. Of a column of text fields: of its
    /// numbers if it is numeric, of its texts otherwise.
    ///
    /// # Errors
    /// The reason that there are none.
    pub fn extremes(&self) -> Result<Option<Partial<(Scalar, Scalar)>>, Unavailable> {
        let range = self.complete(&self.range)?;
        let field = |kind: &Kind| matches!(kind, Kind::Untyped | Kind::Numeric);
        let fields = self.kinds.iter().any(field);
        if !fields {
            return Ok(range.extremes()?.map(|value| self.partial(value)));
        }
        let both = if self.is_numeric() {
            range.numbers()
        } else if self
            .kinds
            .iter()
            .all(|kind| field(kind) || *kind == Kind::Text)
        {
            return Ok(range.texts().map(|value| Partial { value, left_out: 0 }));
        } else {
            range.extremes()?
        };
        Ok(both.map(|value| self.partial(value)))
    }

    /// The latest timestamp in nanoseconds since 1970-01-01 UTC; `None` when there is none.
    ///
    /// # Errors
    /// The reason that it is not known.
    pub fn latest(&self) -> Result<Option<i128>, Unavailable> {
        Ok(self.complete(&self.range)?.latest())
    }

    /// Distinct non-null values and, when that is an estimate, its relative standard error. All
    /// NaN are one value.
    ///
    /// # Errors
    /// The reason that it is not known.
    pub fn distinct_count(&self) -> Result<(u64, Option<f64>), Unavailable> {
        Ok(self.complete(&self.distinct)?.count())
    }

    /// The quantile `q` (0 to 1) of the finite values within
    /// [`crate::QUANTILE_ERROR_BOUND`], clamped to the exact range where that is collected; `None`
    /// when there are none.
    ///
    /// # Errors
    /// The reason that it is not known.
    pub fn quantile(&self, q: f64) -> Result<Option<Partial<f64>>, Unavailable> {
        let quantiles = self.numbers(&self.quantiles)?;
        let bounds = self.complete(&self.range).ok().and_then(|range| {
            let (low, high) = range.numbers()?;
            Some((low.to_f64()?, high.to_f64()?))
        });
        Ok(quantiles
            .quantile(q, bounds)
            .map(|value| self.partial(value)))
    }

    /// Lengths of the texts.
    ///
    /// # Errors
    /// The reason that they are not known.
    pub fn text_lengths(&self) -> Result<&Lengths, Unavailable> {
        self.complete(&self.lengths)
    }

    /// Distinct values and duplicate rows, exactly.
    ///
    /// # Errors
    /// The reason that they are not known, such as [`Unavailable::TooMany`].
    pub fn duplicates(&self) -> Result<KeyCounts, Unavailable> {
        self.complete(&self.uniqueness)?.counts()
    }

    /// A rule's counts; of no rows, none.
    ///
    /// # Errors
    /// [`Unavailable::NotCollected`] when no batch had the rule, [`Unavailable::Incomplete`] when
    /// some rows were not shown to it.
    pub fn rule(&self, id: &str) -> Result<RuleCount, Unavailable> {
        let count = self.rules.get(id);
        // A file without a row group shows its rules nothing, and they have nothing to see.
        let count = count.or_else(|| (self.counts.rows == 0).then(RuleCount::default));
        let count = count.ok_or(Unavailable::NotCollected)?;
        if count.rows == self.counts.rows {
            return Ok(count);
        }
        Err(Unavailable::Incomplete {
            read: count.rows,
            expected: self.counts.rows,
        })
    }

    pub(crate) fn void_components(&mut self) {
        self.sums.void();
        self.squares.void();
        self.range.void();
        self.distinct.void();
        self.quantiles.void();
        self.lengths.void();
        self.uniqueness.void();
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        let own = self.counts.non_null() > 0 || self.counts.read > 0;
        let theirs = other.counts.non_null() > 0 || other.counts.read > 0;
        self.kinds.extend(&other.kinds);
        self.sums.absorb(own, &other.sums, theirs, Sums::absorb);
        self.squares
            .absorb(own, &other.squares, theirs, Squares::absorb);
        self.range.absorb(own, &other.range, theirs, Range::absorb);
        self.distinct
            .absorb(own, &other.distinct, theirs, Distinct::absorb);
        self.quantiles
            .absorb(own, &other.quantiles, theirs, Quantiles::absorb);
        self.lengths
            .absorb(own, &other.lengths, theirs, Lengths::absorb);
        self.uniqueness
            .absorb(own, &other.uniqueness, theirs, Uniqueness::absorb);
        self.counts.absorb(&other.counts);
        self.rules.absorb(&other.rules);
    }
}

impl Codec for ColumnState {
    fn write(&self, to: &mut Writer) {
        let kinds = self
            .kinds
            .iter()
            .fold(0u64, |bits, kind| bits | 1 << *kind as u8);
        to.u64(kinds);
        self.counts.write(to);
        self.sums.write(to);
        self.squares.write(to);
        self.range.write(to);
        self.distinct.write(to);
        self.quantiles.write(to);
        self.lengths.write(to);
        self.uniqueness.write(to);
        self.rules.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = from.u64("kinds")?;
        if bits >> KINDS.len() != 0 {
            return Err(from.invalid("kind"));
        }
        Ok(Self {
            kinds: KINDS
                .into_iter()
                .filter(|kind| bits >> *kind as u8 & 1 == 1)
                .collect(),
            counts: Counts::read(from)?,
            sums: Slot::read(from)?,
            squares: Slot::read(from)?,
            range: Slot::read(from)?,
            distinct: Slot::read(from)?,
            quantiles: Slot::read(from)?,
            lengths: Slot::read(from)?,
            uniqueness: Slot::read(from)?,
            rules: RuleCounts::read(from)?,
        })
    }
}

impl_state!(ColumnState);
