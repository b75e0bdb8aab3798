//! Feeders: a batch's values of one type go into every component that the plan asks for.
//!
//! Each call is given non-null values only and counts them as read; rows and nulls are counted
//! apart with [`ColumnState::add_rows`]. Large slices are worked in blocks that stay in the first
//! cache, one tight loop per component.

use crate::column::{ColumnState, Kind};
use crate::counts::Lengths;
use crate::hash::{self, KeyBuilder};
use crate::slot::Slot;
use num_bigint::BigInt;

/// Values that are worked at a time.
const BLOCK: usize = 1024;

/// A text field read as a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Not a number.
    None,
    /// A whole number.
    Int(i128),
    /// A decimal `unscaled · 10^-scale`, where the column's declared type is a decimal.
    Decimal(i128, i8),
    /// A whole number or a decimal `unscaled · 10^-scale` that 128 bits do not hold, in
    /// little-endian two's complement.
    Wide([u8; 32], i8),
    /// A whole number or a decimal that no type holds: sums overflow, and extremes and quantiles
    /// are not told.
    TooWide,
    /// A double: nearest to the digits, NaN or infinite.
    Float(f64),
}

impl ColumnState {
    /// Counts rows, of which `nulls` are NULL. The values of the others go to a feeder.
    pub fn add_rows(&mut self, rows: u64, nulls: u64) {
        self.counts.rows = self.counts.rows.saturating_add(rows);
        self.counts.nulls = self.counts.nulls.saturating_add(nulls);
    }

    pub(crate) fn met(&mut self, kind: Kind, values: u64) {
        if values > 0 {
            self.kinds.insert(kind);
            self.counts.read = self.counts.read.saturating_add(values);
        }
    }

    fn met_numbers(&mut self, kind: Kind, values: u64) {
        self.met(kind, values);
        self.counts.numeric = self.counts.numeric.saturating_add(values);
    }

    /// Feeds the hashes of values to the components that need them.
    fn add_hashed<T: Copy>(
        &mut self,
        values: &[T],
        hash: impl Fn(T) -> u64,
        key: impl Fn(&mut KeyBuilder, T),
    ) {
        if let Some(distinct) = self.distinct.get_mut() {
            let mut hashes = [0; BLOCK];
            for block in values.chunks(BLOCK) {
                for (hashed, value) in hashes.iter_mut().zip(block) {
                    *hashed = hash(*value);
                }
                distinct.insert_hashes(&hashes[..block.len()]);
            }
        }
        if let Some(uniqueness) = self.uniqueness.get_mut() {
            let mut builder = KeyBuilder::default();
            for value in values {
                key(&mut builder, *value);
                uniqueness.insert_key(builder.finish());
            }
        }
    }

    /// Adds integers of 64 bits or fewer.
    pub fn add_ints(&mut self, values: &[i64]) {
        self.met_numbers(Kind::Int, values.len() as u64);
        for block in values.chunks(BLOCK) {
            if let Some(sums) = self.sums.get_mut() {
                sums.ints.add_i64_slice(block);
            }
            if let Some(squares) = self.squares.get_mut() {
                squares.ints.add_i64_slice(block);
            }
            if let Some(range) = self.range.get_mut() {
                range.add_i64_slice(block);
            }
            if let Some(quantiles) = self.quantiles.get_mut() {
                quantiles.add_i64_slice(block);
            }
            self.add_hashed(block, hash::int, |key, value| {
                key.int(i128::from(value));
            });
        }
    }

    /// Adds unsigned integers of 64 bits.
    pub fn add_unsigned(&mut self, values: &[u64]) {
        let mut narrow = [0i64; BLOCK];
        for block in values.chunks(BLOCK) {
            if block.iter().all(|value| i64::try_from(*value).is_ok()) {
                for (narrow, value) in narrow.iter_mut().zip(block) {
                    *narrow = *value as i64;
                }
                self.add_ints(&narrow[..block.len()]);
            } else {
                for value in block {
                    self.add_int_times(i128::from(*value), 1);
                }
            }
        }
    }

    /// Adds an integer that is in `times` rows.
    pub fn add_int_times(&mut self, value: i128, times: u64) {
        if times > 0 {
            self.met_numbers(Kind::Int, times);
            self.count_number(Number::Int(value), times);
            self.hash_times(
                || hash::wide_int(value),
                times,
                |key| {
                    key.int(value);
                },
            );
        }
    }

    /// Adds decimals of 128 bits that share a scale.
    pub fn add_decimals(&mut self, unscaled: &[i128], scale: i8) {
        self.met_numbers(Kind::Decimal, unscaled.len() as u64);
        for block in unscaled.chunks(BLOCK) {
            if let Some(sums) = self.sums.get_mut() {
                sums.decimals.add_slice(block, scale);
            }
            if let Some(squares) = self.squares.get_mut() {
                squares.decimals.add_slice(block, scale);
            }
            if let Some(range) = self.range.get_mut() {
                range.add_decimal_slice(block, scale);
            }
            if let Some(quantiles) = self.quantiles.get_mut() {
                for value in block {
                    quantiles.add_times(decimal_as_f64(*value, scale), 1);
                }
            }
            self.add_hashed(
                block,
                |value| hash::decimal(value, scale),
                |key, value| {
                    key.decimal(value, scale);
                },
            );
        }
    }

    /// Adds a decimal of 128 bits that is in `times` rows.
    pub fn add_decimal_times(&mut self, unscaled: i128, scale: i8, times: u64) {
        if times > 0 {
            self.met_numbers(Kind::Decimal, times);
            self.count_number(Number::Decimal(unscaled, scale), times);
            self.hash_times(
                || hash::decimal(unscaled, scale),
                times,
                |key| {
                    key.decimal(unscaled, scale);
                },
            );
        }
    }

    /// Adds a decimal of 256 bits (little-endian two's complement) that is in `times` rows.
    pub fn add_decimal_256(&mut self, unscaled: &[u8; 32], scale: i8, times: u64) {
        let wide = BigInt::from_signed_bytes_le(unscaled);
        if let Ok(narrow) = i128::try_from(&wide) {
            self.add_decimal_times(narrow, scale, times);
            return;
        }
        if times == 0 {
            return;
        }
        self.met_numbers(Kind::Decimal, times);
        self.count_number(Number::Wide(*unscaled, scale), times);
        let number = Number::Wide(*unscaled, scale);
        self.hash_times(
            || hash::number(number, &[]),
            times,
            |key| {
                key.number(number, &[]);
            },
        );
    }

    /// Adds doubles; single-precision floats are widened first, which is exact.
    pub fn add_floats(&mut self, values: &[f64]) {
        self.met_numbers(Kind::Float, values.len() as u64);
        for block in values.chunks(BLOCK) {
            if block.iter().any(|value| !value.is_finite()) {
                for value in block {
                    self.count_odd(*value, 1);
                }
            }
            if let Some(sums) = self.sums.get_mut() {
                sums.floats.add_slice(block);
            }
            if let Some(squares) = self.squares.get_mut() {
                squares.floats.add_slice(block);
            }
            if let Some(range) = self.range.get_mut() {
                range.add_f64_slice(block);
            }
            if let Some(quantiles) = self.quantiles.get_mut() {
                quantiles.add_slice(block);
            }
            self.add_hashed(block, hash::float, |key, value| {
                key.float(value);
            });
        }
    }

    /// Adds a double that is in `times` rows.
    pub fn add_float_times(&mut self, value: f64, times: u64) {
        if times > 0 {
            self.met_numbers(Kind::Float, times);
            self.count_number(Number::Float(value), times);
            self.hash_times(
                || hash::float(value),
                times,
                |key| {
                    key.float(value);
                },
            );
        }
    }

    /// Adds a text of a text column that is in `times` rows.
    pub fn add_text(&mut self, text: &[u8], times: u64) {
        self.add_bytes(Kind::Text, text, times);
    }

    /// Adds a list or a structure by its text, that is in `times` rows: told apart and put in order
    /// as that, and without a length.
    pub fn add_nested(&mut self, text: &[u8], times: u64) {
        let lengths = std::mem::replace(&mut self.lengths, Slot::Off);
        self.add_text(text, times);
        self.lengths = lengths;
    }

    /// Adds texts of a text column, each of them in one row.
    pub fn add_texts<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]>) {
        let (mut count, mut empty) = (0u64, 0u64);
        let counted = texts.inspect(|text| {
            count = count.wrapping_add(1);
            empty = empty.wrapping_add(u64::from(text.is_empty()));
        });
        let is_looked_at = self.range.get().is_some()
            || self.lengths.get().is_some()
            || self.distinct.get().is_some()
            || self.uniqueness.get().is_some();
        if is_looked_at {
            counted.for_each(|text| {
                if let Some(range) = self.range.get_mut() {
                    range.add_text(text);
                }
                if let Some(lengths) = self.lengths.get_mut() {
                    lengths.add(text);
                }
                self.hash_times(
                    || hash::text(text),
                    1,
                    |key| {
                        key.text(text);
                    },
                );
            });
        } else {
            counted.for_each(drop);
        }
        self.met(Kind::Text, count);
        self.counts.empty = self.counts.empty.saturating_add(empty);
    }

    /// Adds a binary value that is in `times` rows.
    pub fn add_binary(&mut self, value: &[u8], times: u64) {
        self.add_bytes(Kind::Binary, value, times);
    }

    /// Adds a field of a text format that is in `times` rows, with what it reads as.
    ///
    /// `declared_numeric` says that the column's declared type is a number: fields that are none
    /// are then counted and left out, where otherwise they make the column text; those that are one
    /// are told apart by value instead of by text.
    pub fn add_field(&mut self, text: &[u8], number: Number, declared_numeric: bool, times: u64) {
        let kind = if declared_numeric {
            Kind::Numeric
        } else {
            Kind::Untyped
        };
        self.count_bytes(kind, text, times);
        let told = if declared_numeric {
            number
        } else {
            Number::None
        };
        self.hash_times(
            || hash::number(told, text),
            times,
            |key| {
                key.number(told, text);
            },
        );
        let counter = match number {
            Number::None => &mut self.counts.nonnumeric,
            _ => &mut self.counts.numeric,
        };
        *counter = counter.saturating_add(times);
        self.count_number(number, times);
    }

    fn add_bytes(&mut self, kind: Kind, text: &[u8], times: u64) {
        self.count_bytes(kind, text, times);
        self.hash_times(
            || hash::text(text),
            times,
            |key| {
                key.text(text);
            },
        );
    }

    /// Feeds a text to the components over texts.
    fn count_bytes(&mut self, kind: Kind, text: &[u8], times: u64) {
        if times == 0 {
            return;
        }
        self.met(kind, times);
        if text.is_empty() {
            self.counts.empty = self.counts.empty.saturating_add(times);
        }
        if let Some(range) = self.range.get_mut() {
            range.add_text(text);
        }
        if let Some(lengths) = self.lengths.get_mut() {
            Lengths::add_times(lengths, text, times);
        }
    }

    /// Adds truth values by how often each was met.
    pub fn add_bools(&mut self, trues: u64, falses: u64) {
        self.met(Kind::Bool, trues.saturating_add(falses));
        for (value, times) in [(true, trues), (false, falses)] {
            if times == 0 {
                continue;
            }
            if let Some(range) = self.range.get_mut() {
                range.add_bool(value);
            }
            self.hash_times(
                || hash::boolean(value),
                times,
                |key| {
                    key.boolean(value);
                },
            );
        }
    }

    /// Adds dates in days since 1970-01-01.
    pub fn add_dates(&mut self, days: &[i64]) {
        self.met(Kind::Date, days.len() as u64);
        if let Some(range) = self.range.get_mut() {
            range.add_date_slice(days);
        }
        self.add_hashed(days, hash::date, |key, days| {
            key.date(days);
        });
    }

    /// Adds times of day in nanoseconds since midnight.
    pub fn add_times_of_day(&mut self, nanos: &[i64]) {
        self.met(Kind::Time, nanos.len() as u64);
        if let Some(range) = self.range.get_mut() {
            range.add_time_slice(nanos);
        }
        self.add_hashed(nanos, hash::int, |key, nanos| {
            key.int(i128::from(nanos));
        });
    }

    /// Adds timestamps counted in a unit of `nanos_per_unit` (1, 1,000, 1,000,000 or 10^9) since
    /// 1970-01-01 UTC.
    pub fn add_timestamps(&mut self, values: &[i64], nanos_per_unit: i64) {
        self.met(Kind::Timestamp, values.len() as u64);
        if let Some(range) = self.range.get_mut() {
            range.add_timestamp_slice(values, nanos_per_unit);
        }
        let nanos = move |value| i128::from(value) * i128::from(nanos_per_unit);
        self.add_hashed(
            values,
            |value| hash::timestamp(nanos(value)),
            |key, value| {
                key.timestamp(nanos(value));
            },
        );
    }

    /// Adds a timestamp in nanoseconds since 1970-01-01 UTC, of any year.
    pub fn add_timestamp_nanos(&mut self, nanos: i128) {
        self.met(Kind::Timestamp, 1);
        if let Some(range) = self.range.get_mut() {
            range.add_timestamp(nanos);
        }
        self.hash_times(
            || hash::timestamp(nanos),
            1,
            |key| {
                key.timestamp(nanos);
            },
        );
    }

    /// Counts values of a type that has no metrics beyond counts (lists, maps, structs).
    ///
    /// Components that were asked for are marked as incomplete: they cannot have seen the values.
    pub fn add_others(&mut self, values: u64) {
        if values > 0 {
            self.met(Kind::Other, values);
            self.void_components();
        }
    }

    /// Adds a number that no type holds, in `times` rows; `digits` tell it apart from others.
    pub fn add_too_wide(&mut self, digits: &[u8], times: u64) {
        if times > 0 {
            self.met_numbers(Kind::Decimal, times);
            self.count_number(Number::TooWide, times);
            self.hash_times(
                || hash::text(digits),
                times,
                |key| {
                    key.text(digits);
                },
            );
        }
    }

    /// Feeds a number to the components over numbers.
    fn count_number(&mut self, number: Number, times: u64) {
        if let Some(sums) = self.sums.get_mut() {
            match number {
                Number::None => {}
                Number::Int(value) => sums.ints.add_times(value, times),
                Number::Decimal(value, scale) => sums.decimals.add_times(value, scale, times),
                Number::Wide(value, scale) => sums.decimals.add_256(&value, scale, times),
                Number::TooWide => sums.decimals.mark_overflow(),
                Number::Float(value) => sums.floats.add_times(value, times),
            }
        }
        if let Some(squares) = self.squares.get_mut() {
            match number {
                // The sum knows of the overflow, and there is no deviation without it.
                Number::None | Number::TooWide => {}
                Number::Int(value) => squares.ints.add_times(value, times),
                Number::Decimal(value, scale) => squares.decimals.add_times(value, scale, times),
                Number::Wide(value, scale) => squares.decimals.add_256(&value, scale, times),
                Number::Float(value) => squares.floats.add_times(value, times),
            }
        }
        if let Some(range) = self.range.get_mut() {
            match number {
                Number::None | Number::TooWide => {}
                Number::Int(value) => range.add_int(value),
                Number::Decimal(value, scale) => range.add_decimal_slice(&[value], scale),
                Number::Wide(value, scale) => range.add_decimal_256(&value, scale),
                Number::Float(value) => range.add_f64_slice(&[value]),
            }
        }
        if let Some(quantiles) = self.quantiles.get_mut() {
            match number {
                Number::None | Number::TooWide => {}
                Number::Int(value) => quantiles.add_times(value as f64, times),
                Number::Decimal(value, scale) => {
                    quantiles.add_times(decimal_as_f64(value, scale), times);
                }
                Number::Wide(value, scale) => {
                    let unscaled = BigInt::from_signed_bytes_le(&value);
                    let scalar = crate::Scalar::Decimal { unscaled, scale };
                    quantiles.add_times(scalar.to_f64().unwrap_or(f64::NAN), times);
                }
                Number::Float(value) => quantiles.add_times(value, times),
            }
        }
        match number {
            Number::Float(value) => self.count_odd(value, times),
            Number::TooWide => {
                self.range.void();
                self.quantiles.void();
            }
            _ => {}
        }
    }

    pub(crate) fn count_odd(&mut self, value: f64, times: u64) {
        let counter = match value {
            f64::INFINITY => &mut self.counts.pos_inf,
            f64::NEG_INFINITY => &mut self.counts.neg_inf,
            _ if value.is_nan() => &mut self.counts.nan,
            _ => return,
        };
        *counter = counter.saturating_add(times);
    }

    /// Feeds a value to the components that tell values apart; what they do not ask for is not
    /// computed.
    #[inline]
    pub(crate) fn hash_times(
        &mut self,
        hash: impl FnOnce() -> u64,
        times: u64,
        key: impl FnOnce(&mut KeyBuilder),
    ) {
        if times == 0 {
            return;
        }
        if let Some(distinct) = self.distinct.get_mut() {
            distinct.insert_hash(hash());
        }
        if let Some(uniqueness) = self.uniqueness.get_mut() {
            let mut builder = KeyBuilder::default();
            key(&mut builder);
            uniqueness.insert_key_times(builder.finish(), times);
        }
    }
}

/// A double next to the decimal: within two steps, far inside the error of a quantile.
fn decimal_as_f64(unscaled: i128, scale: i8) -> f64 {
    unscaled as f64 / 10f64.powi(i32::from(scale))
}
