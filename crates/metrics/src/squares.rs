//! Exact sums of squares: what a standard deviation needs beside the sum.
//!
//! Power sums are chosen over Welford's running mean because they are exact: the standard
//! deviation then cannot depend on the order of values or merges, and the cancellation that makes
//! power sums useless in floating point does not happen in integers (see [`crate::moments`]).

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::exact::{ExactInt, power_of_ten};
use crate::float_sum::{EXPONENTS, FLOAT_UNIT, FRACTION, parts};
use num_bigint::BigInt;

/// Squares of doubles are whole multiples of 2^-2148.
pub(crate) const SQUARE_UNIT: u32 = 2 * FLOAT_UNIT;

/// Exact Σx² of integers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IntSquares {
    total: ExactInt,
}

impl IntSquares {
    /// Adds an integer's square `times` times.
    pub fn add_times(&mut self, value: i128, times: u64) {
        add_square(&mut self.total, value, times);
    }

    /// Adds the square of each integer of a slice.
    pub fn add_i64_slice(&mut self, values: &[i64]) {
        let (mut low, mut carries) = (0u128, 0u64);
        for value in values {
            let size = u128::from(value.unsigned_abs());
            let (sum, carry) = low.overflowing_add(size.wrapping_mul(size));
            low = sum;
            carries = carries.wrapping_add(u64::from(carry));
        }
        self.total.add_carried(carries, low);
    }

    /// Adds integers whose exact Σx² is known.
    pub(crate) fn add_known(&mut self, total: &BigInt) {
        self.total.add_wide(total);
    }

    /// The exact Σx².
    #[must_use]
    pub fn total(&self) -> BigInt {
        self.total.total()
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.total.absorb(&other.total);
    }
}

fn add_square(total: &mut ExactInt, value: i128, times: u64) {
    match value.checked_mul(value) {
        Some(square) => total.add_times(square, times),
        None => total.add_wide(&(BigInt::from(value).pow(2) * times)),
    }
}

impl Codec for IntSquares {
    fn write(&self, to: &mut Writer) {
        self.total.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            total: ExactInt::read(from)?,
        })
    }
}

/// Exact Σx² of decimals, at twice the largest scale met.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DecimalSquares {
    scale: Option<i8>,
    total: ExactInt,
}

impl DecimalSquares {
    /// Adds the square of `unscaled · 10^-scale`, `times` times.
    pub fn add_times(&mut self, unscaled: i128, scale: i8, times: u64) {
        let mut square = ExactInt::default();
        add_square(&mut square, unscaled, times);
        if times > 0 {
            self.add_total(square, scale);
        }
    }

    /// Adds the square of each decimal of a slice of unscaled values that share a scale.
    pub fn add_slice(&mut self, unscaled: &[i128], scale: i8) {
        if unscaled.is_empty() {
            return;
        }
        let mut sum = ExactInt::default();
        for value in unscaled {
            add_square(&mut sum, *value, 1);
        }
        self.add_total(sum, scale);
    }

    /// Adds the square of each decimal of a slice of unscaled values of 64 bits.
    pub fn add_i64_slice(&mut self, unscaled: &[i64], scale: i8) {
        if unscaled.is_empty() {
            return;
        }
        let mut sum = IntSquares::default();
        sum.add_i64_slice(unscaled);
        self.add_total(sum.total, scale);
    }

    /// Adds the square of a decimal of 256 bits (little-endian two's complement), `times` times.
    pub fn add_256(&mut self, unscaled: &[u8; 32], scale: i8, times: u64) {
        if times > 0 {
            let mut square = ExactInt::default();
            square.add_wide(&(BigInt::from_signed_bytes_le(unscaled).pow(2) * times));
            self.add_total(square, scale);
        }
    }

    /// Adds decimals whose exact unscaled Σx² is known, at twice the scale.
    pub(crate) fn add_known(&mut self, total: &BigInt, scale: i8) {
        let mut square = ExactInt::default();
        square.add_wide(total);
        self.add_total(square, scale);
    }

    fn add_total(&mut self, mut sum: ExactInt, scale: i8) {
        let own = *self.scale.get_or_insert(scale);
        let digits = 2 * u32::from(own.abs_diff(scale));
        if own < scale {
            self.total.scale_up(digits);
            self.scale = Some(scale);
        } else {
            sum.scale_up(digits);
        }
        self.total.absorb(&sum);
    }

    /// The exact Σx² as an integer at scale `2 · at`; `at` is at least the largest scale met.
    pub(crate) fn total_at(&self, at: i8) -> BigInt {
        let digits = 2 * u32::from(self.scale.unwrap_or(at).abs_diff(at));
        self.total.total() * power_of_ten(digits)
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        if let Some(scale) = other.scale {
            self.add_total(other.total.clone(), scale);
        }
    }
}

impl Codec for DecimalSquares {
    fn write(&self, to: &mut Writer) {
        to.bool(self.scale.is_some());
        if let Some(scale) = self.scale {
            to.u8(scale as u8);
            self.total.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if !from.bool("scale of squares")? {
            return Ok(Self::default());
        }
        let scale = Some(from.u8("scale of squares")? as i8);
        Ok(Self {
            scale,
            total: ExactInt::read(from)?,
        })
    }
}

/// A bucket of 192 bits: a square has up to 106, which leaves room for 2^86 of them.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    low: u128,
    carries: u64,
}

impl Bucket {
    #[inline]
    fn add(&mut self, square: u128) {
        let (low, carry) = self.low.overflowing_add(square);
        self.low = low;
        self.carries = self.carries.wrapping_add(u64::from(carry));
    }
}

/// Exact Σx² of finite doubles; NaN and infinities are passed over.
///
/// The square of a 53-bit mantissa is an integer of 106 bits, and its exponent is twice the
/// value's: summed in a bucket per exponent like [`crate::FloatSum`], no square can overflow,
/// underflow or be rounded.
#[derive(Clone, Default)]
pub struct FloatSquares {
    settled: BigInt,
    buckets: Option<Box<[Bucket; EXPONENTS]>>,
}

impl FloatSquares {
    /// Adds the square of each finite double of a slice.
    pub fn add_slice(&mut self, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        let buckets = self
            .buckets
            .get_or_insert_with(|| Box::new([Bucket::default(); EXPONENTS]));
        for value in values {
            let bits = value.to_bits();
            let exponent = (bits >> 52) as usize & (EXPONENTS - 1);
            let hidden = u64::from(exponent != 0) << 52;
            let mantissa = u128::from((bits & FRACTION) | hidden);
            buckets[exponent].add(mantissa.wrapping_mul(mantissa));
        }
        // The last exponent is that of NaN and infinity.
        buckets[EXPONENTS - 1] = Bucket::default();
    }

    /// Adds a double's square `times` times.
    pub fn add_times(&mut self, value: f64, times: u64) {
        if value.is_finite() {
            let (mantissa, exponent) = parts(value);
            let square = BigInt::from(u128::from(mantissa) * u128::from(mantissa));
            self.settled += (square * times) << (2 * (exponent.max(1) - 1));
        }
    }

    /// The exact Σx² in units of 2^-2148.
    pub(crate) fn exact(&self) -> BigInt {
        let mut sum = BigInt::ZERO;
        let Some(buckets) = &self.buckets else {
            return self.settled.clone();
        };
        let mut unit = 0;
        for exponent in (0..EXPONENTS).rev() {
            let Bucket { low, carries } = buckets[exponent];
            if low != 0 || carries != 0 {
                let shift = 2 * (exponent.max(1) - 1);
                sum <<= if sum == BigInt::ZERO { 0 } else { unit - shift };
                unit = shift;
                sum += (BigInt::from(carries) << 128u32) + low;
            }
        }
        (sum << unit) + &self.settled
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.settled += other.exact();
    }
}

impl PartialEq for FloatSquares {
    fn eq(&self, other: &Self) -> bool {
        self.exact() == other.exact()
    }
}

impl std::fmt::Debug for FloatSquares {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FloatSquares({} · 2^-{SQUARE_UNIT})", self.exact())
    }
}

impl Codec for FloatSquares {
    fn write(&self, to: &mut Writer) {
        to.integer(&self.exact());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            settled: from.integer("sum of squares")?,
            buckets: None,
        })
    }
}

impl_state!(IntSquares, DecimalSquares, FloatSquares);
