//! Canonical hashes: equal values hash alike in every batch, file and width.
//!
//! 64-bit hashes feed [`crate::Distinct`], 128-bit ones [`crate::Uniqueness`]. Numbers are equal by
//! value: 1 as int8, int64, decimal 1.00 or double 1.0 is one value (a type that changed between
//! files does not double the count). −0.0 is 0.0, and every NaN is one value. Decimals that are not
//! whole are apart from doubles, because 0.1 as a double is not 0.1.

use crate::feed::Number;
use num_bigint::BigInt;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

const SEED_WIDE: u64 = 0x01;
const SEED_DECIMAL: u64 = 0x02;
const TAG_FLOAT: u64 = 0x9e37_79b9_7f4a_7c15;
const TAG_BOOL: u64 = 0x3c6e_f372_fe94_f82b;
const TAG_DATE: u64 = 0xdaa6_6d2c_7ddf_743f;
const TAG_TIMESTAMP: u64 = 0x78dd_e6e5_fd29_f05a;

/// A bijection of 64 bits (the finaliser of Stafford's Mix13, as in SplitMix64): distinct
/// integers never collide.
#[inline]
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Hash of an integer of 64 bits or fewer.
#[inline]
#[must_use]
pub fn int(value: i64) -> u64 {
    mix(value as u64)
}

/// Hash of a wide integer; the same as [`int`] where it fits 64 bits.
#[inline]
#[must_use]
pub fn wide_int(value: i128) -> u64 {
    match i64::try_from(value) {
        Ok(value) => int(value),
        Err(_) => xxh3_64_with_seed(&value.to_le_bytes(), SEED_WIDE),
    }
}

/// The double as an integer, where it is a whole one of 64 bits.
#[inline]
fn whole(value: f64) -> Option<i64> {
    let truncated = value as i64;
    // 2^63 saturates to i64::MAX, which is not equal to 2^63 − 1.
    (truncated as f64 == value && truncated != i64::MAX).then_some(truncated)
}

#[inline]
fn float_bits(value: f64) -> u64 {
    if value.is_nan() {
        f64::NAN.to_bits()
    } else {
        value.to_bits()
    }
}

/// Hash of a double.
#[inline]
#[must_use]
pub fn float(value: f64) -> u64 {
    match whole(value) {
        Some(value) => int(value),
        None => mix(float_bits(value) ^ TAG_FLOAT),
    }
}

/// The same value with no zeros at the end of its decimals.
fn normal(mut unscaled: i128, mut scale: i8) -> (i128, i8) {
    if unscaled == 0 {
        return (0, 0);
    }
    if let Ok(mut small) = i64::try_from(unscaled) {
        while scale > 0 && small % 10 == 0 {
            small /= 10;
            scale -= 1;
        }
        return (i128::from(small), scale);
    }
    while scale > 0 && unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    (unscaled, scale)
}

/// Brings a negative scale to 0 where the value still fits.
fn at_zero(unscaled: i128, scale: i8) -> Option<i128> {
    let power = 10i128.checked_pow(u32::from(scale.unsigned_abs()))?;
    if scale > 0 {
        None
    } else {
        unscaled.checked_mul(power)
    }
}

/// Hash of a decimal `unscaled · 10^-scale`, by value: 1.50 and 1.5 hash alike.
#[inline]
#[must_use]
pub fn decimal(unscaled: i128, scale: i8) -> u64 {
    let (unscaled, scale) = normal(unscaled, scale);
    if let Some(whole) = at_zero(unscaled, scale) {
        return wide_int(whole);
    }
    xxh3_64_with_seed(&decimal_bytes(unscaled, scale), SEED_DECIMAL)
}

fn decimal_bytes(unscaled: i128, scale: i8) -> [u8; 17] {
    let mut bytes = [0; 17];
    bytes[..16].copy_from_slice(&unscaled.to_le_bytes());
    bytes[16] = scale as u8;
    bytes
}

/// A decimal of 256 bits, by value: without zeros at its end, as one of 128 bits where it fits, and
/// else as bytes.
fn narrowed(unscaled: &[u8; 32], scale: i8) -> Result<(i128, i8), Vec<u8>> {
    let (mut value, mut scale) = (BigInt::from_signed_bytes_le(unscaled), scale);
    while scale > 0 && (&value % 10u8).bits() == 0 {
        value /= 10u8;
        scale -= 1;
    }
    i128::try_from(&value)
        .map(|value| (value, scale))
        .map_err(|_| {
            let mut bytes = value.to_signed_bytes_le();
            bytes.push(scale as u8);
            bytes
        })
}

/// Hash of a number, by value; of one that no type holds, or none, that of the text it is written
/// as.
#[must_use]
pub fn number(number: Number, written: &[u8]) -> u64 {
    match number {
        Number::Int(value) => wide_int(value),
        Number::Decimal(unscaled, scale) => decimal(unscaled, scale),
        Number::Wide(unscaled, scale) => match narrowed(&unscaled, scale) {
            Ok((unscaled, scale)) => decimal(unscaled, scale),
            Err(bytes) => text(&bytes),
        },
        Number::Float(value) => float(value),
        Number::TooWide | Number::None => text(written),
    }
}

/// Hash of text or binary.
#[inline]
#[must_use]
pub fn text(value: &[u8]) -> u64 {
    xxh3_64(value)
}

/// Hash of a truth value.
#[inline]
#[must_use]
pub fn boolean(value: bool) -> u64 {
    mix(u64::from(value) ^ TAG_BOOL)
}

/// Hash of a date, in days since 1970-01-01.
#[inline]
#[must_use]
pub fn date(days: i64) -> u64 {
    mix(days as u64 ^ TAG_DATE)
}

/// Hash of a timestamp, in nanoseconds since 1970-01-01 UTC (any unit brought to nanoseconds).
#[inline]
#[must_use]
pub fn timestamp(nanos: i128) -> u64 {
    // A bijection where it fits 64 bits (1677 to 2262); beyond that, xxh3 of all bits.
    match i64::try_from(nanos) {
        Ok(nanos) => mix(nanos as u64 ^ TAG_TIMESTAMP),
        Err(_) => xxh3_64_with_seed(&nanos.to_le_bytes(), TAG_TIMESTAMP),
    }
}

/// Builds the 128-bit hash of a key of one or more parts.
///
/// Each part is written with its kind and length, so ("a", "bc") and ("ab", "c") are two keys.
/// The builder is reused: [`KeyBuilder::finish`] empties it.
#[derive(Debug, Default, Clone)]
pub struct KeyBuilder {
    bytes: Vec<u8>,
}

impl KeyBuilder {
    /// Adds an integer of any width.
    pub fn int(&mut self, value: i128) -> &mut Self {
        self.part(b'i', &value.to_le_bytes())
    }

    /// Adds a double; whole ones are the same key as the integer.
    pub fn float(&mut self, value: f64) -> &mut Self {
        match whole(value) {
            Some(value) => self.int(i128::from(value)),
            None => self.part(b'f', &float_bits(value).to_le_bytes()),
        }
    }

    /// Adds a decimal, by value.
    pub fn decimal(&mut self, unscaled: i128, scale: i8) -> &mut Self {
        let (unscaled, scale) = normal(unscaled, scale);
        match at_zero(unscaled, scale) {
            Some(whole) => self.int(whole),
            None => self.part(b'd', &decimal_bytes(unscaled, scale)),
        }
    }

    fn wide_decimal(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.push(b'w');
        self.bytes
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Adds a number, by value; one that no type holds, or none, by the text it is written as.
    pub fn number(&mut self, number: Number, text: &[u8]) -> &mut Self {
        match number {
            Number::Int(value) => self.int(value),
            Number::Decimal(unscaled, scale) => self.decimal(unscaled, scale),
            Number::Wide(unscaled, scale) => match narrowed(&unscaled, scale) {
                Ok((unscaled, scale)) => self.decimal(unscaled, scale),
                Err(bytes) => self.wide_decimal(&bytes),
            },
            Number::Float(value) => self.float(value),
            Number::TooWide | Number::None => self.text(text),
        }
    }

    /// Adds text or binary.
    pub fn text(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.push(b't');
        self.bytes
            .extend_from_slice(&(value.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    /// Adds a truth value.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.part(b'b', &[u8::from(value)])
    }

    /// Adds a date in days since 1970-01-01.
    pub fn date(&mut self, days: i64) -> &mut Self {
        self.part(b'y', &days.to_le_bytes())
    }

    /// Adds a timestamp in nanoseconds since 1970-01-01 UTC.
    pub fn timestamp(&mut self, nanos: i128) -> &mut Self {
        self.part(b's', &nanos.to_le_bytes())
    }

    fn part(&mut self, kind: u8, value: &[u8]) -> &mut Self {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(value);
        self
    }

    /// The hash of the parts so far; the builder is empty again.
    pub fn finish(&mut self) -> u128 {
        let hash = xxh3_128(&self.bytes);
        self.bytes.clear();
        hash
    }

    /// Forgets the parts so far (a part of the key was NULL).
    pub fn clear(&mut self) {
        self.bytes.clear();
    }
}
