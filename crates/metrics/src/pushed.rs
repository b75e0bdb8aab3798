//! What a database has computed of a column's values itself.
//!
//! In: exact totals and extremes of the rows of one batch. Out: the same column state that feeding
//! those rows gives. A component that nothing is known for must never read as complete: it becomes
//! [`crate::Unavailable::Incomplete`].

use num_bigint::BigInt;

use crate::column::{ColumnState, Kind};
use crate::counts::Lengths;
use crate::range::Range;

/// A smallest or largest value.
#[derive(Debug, Clone, PartialEq)]
pub enum Extreme {
    /// An integer.
    Int(i64),
    /// The digits of a decimal of the column's scale.
    Decimal(BigInt),
    /// A finite double.
    Float(f64),
    /// A text or binary value, by the order of its bytes.
    Bytes(Vec<u8>),
    /// A truth value.
    Bool(bool),
    /// Days since 1970-01-01.
    Day(i64),
    /// Nanoseconds since midnight.
    TimeOfDay(i64),
    /// Nanoseconds since 1970-01-01 UTC.
    Timestamp(i128),
}

/// Exact totals of one column over some rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pushed {
    /// Rows.
    pub rows: u64,
    /// Rows that are NULL.
    pub nulls: u64,
    /// Values that are NaN.
    pub nan: u64,
    /// Values that are +inf.
    pub pos_inf: u64,
    /// Values that are −inf.
    pub neg_inf: u64,
    /// Texts of length 0.
    pub empty: u64,
    /// Sum of the finite numbers; of decimals, of their digits at the scale.
    pub sum: Option<BigInt>,
    /// Sum of the squares of the finite numbers; of decimals, of their digits at twice the scale.
    pub squares: Option<BigInt>,
    /// Smallest and largest finite value.
    pub extremes: Option<(Extreme, Extreme)>,
    /// Lengths of the texts.
    pub lengths: Option<Lengths>,
}

impl Pushed {
    fn values(&self) -> u64 {
        self.rows.saturating_sub(self.nulls)
    }

    fn odd(&self) -> u64 {
        let infinite = self.pos_inf.saturating_add(self.neg_inf);
        self.nan.saturating_add(infinite)
    }
}

impl ColumnState {
    /// Adds rows of which the totals are known. `scale` is that of decimals. What the plan asks for
    /// and `pushed` does not tell is incomplete from here on.
    pub fn add_pushed(&mut self, kind: Kind, scale: i8, pushed: &Pushed) {
        self.add_rows(pushed.rows, pushed.nulls);
        let values = pushed.values();
        if values == 0 {
            return;
        }
        self.met(kind, values);
        if matches!(kind, Kind::Int | Kind::Decimal | Kind::Float) {
            self.counts.numeric = self.counts.numeric.saturating_add(values);
        }
        let counts = &mut self.counts;
        counts.nan = counts.nan.saturating_add(pushed.nan);
        counts.pos_inf = counts.pos_inf.saturating_add(pushed.pos_inf);
        counts.neg_inf = counts.neg_inf.saturating_add(pushed.neg_inf);
        counts.empty = counts.empty.saturating_add(pushed.empty);
        self.add_totals(kind, scale, pushed);
        if let Some(range) = self.range.get_mut() {
            match &pushed.extremes {
                Some((low, high)) => range.add_extremes(low, high, scale),
                None if values == pushed.odd() => {}
                None => self.range.void(),
            }
        }
        match &pushed.lengths {
            Some(known) => {
                if let Some(lengths) = self.lengths.get_mut() {
                    lengths.absorb(known);
                }
            }
            None => self.lengths.void(),
        }
        self.distinct.void();
        self.quantiles.void();
        self.uniqueness.void();
    }

    fn add_totals(&mut self, kind: Kind, scale: i8, pushed: &Pushed) {
        let finite = pushed.values().saturating_sub(pushed.odd());
        if !matches!(kind, Kind::Int | Kind::Decimal | Kind::Float) {
            return;
        }
        match (kind, &pushed.sum, self.sums.get_mut()) {
            (Kind::Int, Some(sum), Some(sums)) => sums.ints.add_known(sum, finite),
            (Kind::Decimal, Some(sum), Some(sums)) => sums.decimals.add_known(sum, finite, scale),
            (Kind::Decimal, None, _) if finite == 0 => {}
            _ => self.sums.void(),
        }
        match (kind, &pushed.squares, self.squares.get_mut()) {
            (Kind::Int, Some(total), Some(squares)) => squares.ints.add_known(total),
            (Kind::Decimal, Some(total), Some(squares)) if finite > 0 => {
                squares.decimals.add_known(total, scale);
            }
            (Kind::Decimal, _, _) if finite == 0 => {}
            _ => self.squares.void(),
        }
    }

    /// Counts decimals and times that are infinite or no number, of which no arithmetic tells
    /// anything: they are left out, as NaN and infinities of doubles are. The rows are counted
    /// apart.
    pub fn add_odd(&mut self, kind: Kind, nan: u64, pos_inf: u64, neg_inf: u64) {
        for (value, times) in [
            (f64::NAN, nan),
            (f64::INFINITY, pos_inf),
            (f64::NEG_INFINITY, neg_inf),
        ] {
            if times == 0 {
                continue;
            }
            self.met(kind, times);
            if kind == Kind::Decimal {
                self.counts.numeric = self.counts.numeric.saturating_add(times);
            }
            self.count_odd(value, times);
            self.hash_times(
                || crate::hash::float(value),
                times,
                |key| {
                    key.float(value);
                },
            );
        }
    }
}

impl Range {
    /// Adds a smallest and a largest value; of decimals, at this scale.
    fn add_extremes(&mut self, low: &Extreme, high: &Extreme, scale: i8) {
        if let (Extreme::Decimal(low), Extreme::Decimal(high)) = (low, high) {
            self.widen_decimals(low.clone(), high.clone(), scale);
            return;
        }
        for extreme in [low, high] {
            match extreme {
                Extreme::Int(value) => self.add_int(i128::from(*value)),
                Extreme::Decimal(value) => self.widen_decimals(value.clone(), value.clone(), scale),
                Extreme::Float(value) => self.add_f64_slice(&[*value]),
                Extreme::Bytes(value) => self.add_text(value),
                Extreme::Bool(value) => self.add_bool(*value),
                Extreme::Day(days) => self.add_date_slice(&[*days]),
                Extreme::TimeOfDay(nanos) => self.add_time_slice(&[*nanos]),
                Extreme::Timestamp(nanos) => self.add_timestamp(*nanos),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::Extent;
    use crate::plan::{TablePlan, Wants};
    use crate::unavailable::Unavailable;
    use proptest::prelude::*;

    fn state(wants: Wants) -> ColumnState {
        ColumnState::new(&wants, &TablePlan::default())
    }

    fn totals() -> Wants {
        Wants {
            values: true,
            sum: true,
            moments: true,
            range: true,
            ..Wants::default()
        }
    }

    fn squared(values: impl Iterator<Item = BigInt>) -> BigInt {
        values.map(|value| value.pow(2)).sum()
    }

    proptest! {
        #[test]
        fn integers_and_decimals_give_the_state_that_feeding_them_gives(
            values in proptest::collection::vec(any::<i64>(), 0..40), nulls in 0u64..5, scale in 0i8..9,
        ) {
            let rows = values.len() as u64 + nulls;
            let wide = || values.iter().map(|value| BigInt::from(*value));
            let ends = values.iter().min().zip(values.iter().max());
            let known = Pushed {
                rows,
                nulls,
                sum: Some(wide().sum()),
                squares: Some(squared(wide())),
                ..Pushed::default()
            };
            let mut fed = state(totals());
            fed.add_rows(rows, nulls);
            fed.add_ints(&values);
            let mut pushed = state(totals());
            let extremes = ends.map(|(low, high)| (Extreme::Int(*low), Extreme::Int(*high)));
            pushed.add_pushed(Kind::Int, 0, &Pushed { extremes, ..known.clone() });
            prop_assert_eq!(&fed, &pushed);

            let mut fed = state(totals());
            fed.add_rows(rows, nulls);
            let unscaled: Vec<i128> = values.iter().map(|value| i128::from(*value)).collect();
            fed.add_decimals(&unscaled, scale);
            let mut pushed = state(totals());
            let digits = |value: &i64| Extreme::Decimal(BigInt::from(*value));
            let extremes = ends.map(|(low, high)| (digits(low), digits(high)));
            pushed.add_pushed(Kind::Decimal, scale, &Pushed { extremes, ..known });
            prop_assert_eq!(fed, pushed);
        }

        #[test]
        fn texts_give_the_state_that_feeding_them_gives(
            texts in proptest::collection::vec("\\PC{0,9}", 0..20), long in 0usize..2,
        ) {
            let mut texts = texts;
            texts.extend(std::iter::repeat_n("é".repeat(900), long));
            let wants = Wants { range: true, lengths: true, values: true, ..Wants::default() };
            let mut fed = state(wants);
            fed.add_rows(texts.len() as u64, 0);
            for text in &texts {
                fed.add_text(text.as_bytes(), 1);
            }
            let extent = |of: fn(&String) -> u64| Extent {
                min: texts.iter().map(of).min().unwrap_or(0),
                max: texts.iter().map(of).max().unwrap_or(0),
                total: texts.iter().map(of).map(u128::from).sum(),
            };
            let chars = extent(|text| text.chars().count() as u64);
            let bytes = extent(|text| text.len() as u64);
            let end = |text: &String| Extreme::Bytes(text.clone().into_bytes());
            let mut pushed = state(wants);
            pushed.add_pushed(Kind::Text, 0, &Pushed {
                rows: texts.len() as u64,
                empty: texts.iter().filter(|text| text.is_empty()).count() as u64,
                extremes: texts.iter().min().zip(texts.iter().max()).map(|(l, h)| (end(l), end(h))),
                lengths: Some(Lengths::known(texts.len() as u64, chars, bytes)),
                ..Pushed::default()
            });
            prop_assert_eq!(fed, pushed);
        }
    }

    #[test]
    fn what_the_database_does_not_tell_is_incomplete_and_never_nothing() {
        let mut column = state(Wants::ALL);
        let rows = Pushed {
            rows: 3,
            ..Pushed::default()
        };
        column.add_pushed(Kind::Float, 0, &rows);
        let incomplete = |error: Unavailable| matches!(error, Unavailable::Incomplete { .. });
        assert!(incomplete(column.sum().unwrap_err()));
        assert!(incomplete(column.stddev().unwrap_err()));
        assert!(incomplete(column.extremes().unwrap_err()));
        assert!(incomplete(column.distinct_count().unwrap_err()));
        assert!(incomplete(column.quantile(0.5).unwrap_err()));
        assert!(incomplete(column.text_lengths().unwrap_err()));
        assert!(incomplete(column.duplicates().unwrap_err()));
    }

    #[test]
    fn decimals_that_are_no_number_are_counted_and_left_out() {
        let mut column = state(Wants::PROFILE);
        column.add_rows(4, 0);
        column.add_decimals(&[150, 250], 2);
        column.add_odd(Kind::Decimal, 1, 0, 1);
        let sum = column.sum().unwrap().unwrap();
        assert_eq!(sum.value, crate::SumValue::Decimal("4.00".to_owned()));
        assert_eq!(sum.left_out, 2);
        assert_eq!(column.nan_count(), Ok(1));
        assert_eq!(column.inf_count(), Ok(1));
        assert_eq!(column.distinct_count().unwrap().0, 4);
    }
}
