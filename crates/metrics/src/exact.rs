//! Exact integers that grow, and correctly rounded results from them.
//!
//! In: integers of 128 bits, by value or by slice. Out: their exact total, and the nearest double
//! of a ratio or of the square root of a ratio (ties to even, as IEEE 754 rounds).
//! Nothing here may round before the last step, or wrap.

use crate::codec::{Codec, DecodeError, Reader, Writer};
use num_bigint::{BigInt, BigUint, Sign};

/// An integer total without bounds. The low part takes additions at the speed of `i128`; the
/// wide part takes what the low part cannot hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExactInt {
    wide: BigInt,
    low: i128,
}

impl ExactInt {
    #[inline]
    pub(crate) fn add(&mut self, value: i128) {
        match self.low.checked_add(value) {
            Some(sum) => self.low = sum,
            None => {
                self.wide += value;
            }
        }
    }

    #[inline]
    pub(crate) fn add_unsigned(&mut self, value: u128) {
        match i128::try_from(value) {
            Ok(value) => self.add(value),
            Err(_) => self.wide += value,
        }
    }

    pub(crate) fn add_times(&mut self, value: i128, times: u64) {
        match value.checked_mul(i128::from(times)) {
            Some(product) => self.add(product),
            None => self.wide += BigInt::from(value) * times,
        }
    }

    pub(crate) fn add_wide(&mut self, value: &BigInt) {
        self.wide += value;
    }

    /// Adds `high · 2^64 · 2^64 + low`, the result of summing with a carry count.
    pub(crate) fn add_carried(&mut self, carries: u64, low: u128) {
        self.add_unsigned(low);
        if carries > 0 {
            self.wide += BigInt::from(carries) << 128u32;
        }
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.wide += &other.wide;
        self.add(other.low);
    }

    pub(crate) fn scale_up(&mut self, digits: u32) {
        if digits > 0 {
            self.wide = self.total() * power_of_ten(digits);
            self.low = 0;
        }
    }

    pub(crate) fn total(&self) -> BigInt {
        &self.wide + self.low
    }
}

impl PartialEq for ExactInt {
    fn eq(&self, other: &Self) -> bool {
        self.total() == other.total()
    }
}

impl Codec for ExactInt {
    fn write(&self, to: &mut Writer) {
        to.integer(&self.total());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            wide: from.integer("integer total")?,
            low: 0,
        })
    }
}

pub(crate) fn power_of_ten(digits: u32) -> BigInt {
    BigInt::from(10u8).pow(digits)
}

/// The nearest double to `numerator / denominator`; infinite where it is beyond the doubles.
///
/// A denominator of zero gives NaN; callers test the count first.
pub(crate) fn ratio(numerator: &BigInt, denominator: &BigUint) -> f64 {
    if denominator.bits() == 0 {
        return f64::NAN;
    }
    let magnitude = numerator.magnitude();
    if magnitude.bits() == 0 {
        return 0.0;
    }
    // At least 66 bits of quotient: 53, one to round by, and room for the subnormals' coarser step.
    let shift = 66 + denominator.bits() as i64 - magnitude.bits() as i64;
    let (top, bottom) = shifted(magnitude, denominator, shift);
    let quotient = &top / &bottom;
    let inexact = &quotient * &bottom != top;
    signed(round(&quotient, inexact, -shift), numerator.sign())
}

/// The nearest double to `√(numerator / denominator)`.
pub(crate) fn root_of_ratio(numerator: &BigUint, denominator: &BigUint) -> f64 {
    if denominator.bits() == 0 {
        return f64::NAN;
    }
    if numerator.bits() == 0 {
        return 0.0;
    }
    // The shift is even, so that the root of the power of two is whole.
    let shift = (134 + denominator.bits() as i64 - numerator.bits() as i64) & !1;
    let (top, bottom) = shifted(numerator, denominator, shift);
    let quotient = &top / &bottom;
    // floor(√y) = floor(√floor(y)): truncating twice loses nothing but the sticky bit.
    let root = quotient.sqrt();
    let inexact = &quotient * &bottom != top || &root * &root != quotient;
    round(&root, inexact, -shift / 2)
}

fn shifted(numerator: &BigUint, denominator: &BigUint, shift: i64) -> (BigUint, BigUint) {
    let by = shift.unsigned_abs();
    if shift >= 0 {
        (numerator << by, denominator.clone())
    } else {
        (numerator.clone(), denominator << by)
    }
}

/// Rounds `(value + something in 0..1 if inexact) · 2^exponent` to the nearest double.
fn round(value: &BigUint, inexact: bool, exponent: i64) -> f64 {
    let top = value.bits() as i64 - 1 + exponent;
    let last = (top - 52).max(-1074);
    let drop = last - exponent;
    let mantissa = if drop <= 0 {
        value << drop.unsigned_abs()
    } else {
        let drop = drop as u64;
        let kept = value >> drop;
        let half = value.bit(drop - 1);
        let beyond = inexact || value.trailing_zeros().is_some_and(|zeros| zeros < drop - 1);
        if half && (beyond || kept.bit(0)) {
            kept + 1u8
        } else {
            kept
        }
    };
    let mantissa = u64::try_from(&mantissa).unwrap_or(u64::MAX >> 8);
    // The hidden bit of the mantissa carries into the exponent field by itself.
    let field = u64::try_from(last + 1074).unwrap_or(0);
    if field >= 2046 {
        return f64::INFINITY;
    }
    f64::from_bits((field << 52) + mantissa)
}

fn signed(value: f64, sign: Sign) -> f64 {
    if sign == Sign::Minus { -value } else { value }
}
