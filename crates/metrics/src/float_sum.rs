//! Correctly rounded sum of doubles, whatever their order.
//!
//! The method is that of the large superaccumulator in R. M. Neal, "Fast exact summation using
//! small and large superaccumulators" (2015, arXiv:1505.05571): one integer bucket per exponent
//! takes the mantissas, and the buckets are put together into one long integer only when asked.
//! Here the buckets have 128 bits, so that they never need to be emptied on the way.
//!
//! The total is an integer multiple of 2^-1074, exact; it is rounded once, in [`FloatSum::total`].

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::exact::ratio;
use num_bigint::{BigInt, BigUint};

/// Every finite double is a whole multiple of 2^-1074.
pub(crate) const FLOAT_UNIT: u32 = 1074;
pub(crate) const FRACTION: u64 = (1 << 52) - 1;
pub(crate) const EXPONENTS: usize = 2048;
/// Repetitions up to which a bucket takes a product. A bucket then overflows after 2^47 calls.
const FEW_TIMES: u64 = 1 << 27;

/// Exact sum of doubles. NaN and infinities are counted apart and are not in the sum.
#[derive(Clone, Default)]
pub struct FloatSum {
    /// All doubles met, finite or not.
    count: u64,
    nan: u64,
    pos_inf: u64,
    neg_inf: u64,
    settled: BigInt,
    buckets: Option<Box<[i128; EXPONENTS]>>,
}

impl FloatSum {
    /// Adds one double.
    #[inline]
    pub fn add(&mut self, value: f64) {
        self.add_slice(&[value]);
    }

    /// Adds each double of a slice.
    pub fn add_slice(&mut self, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        self.count = self.count.saturating_add(values.len() as u64);
        let buckets = self.buckets.get_or_insert_with(|| Box::new([0; EXPONENTS]));
        let mut odd = false;
        for value in values {
            let bits = value.to_bits();
            let exponent = (bits >> 52) as usize & (EXPONENTS - 1);
            odd |= exponent == EXPONENTS - 1;
            let hidden = u64::from(exponent != 0) << 52;
            let mantissa = ((bits & FRACTION) | hidden) as i64;
            // All ones for a negative value: (m ^ -1) - (-1) = -m.
            let sign = bits as i64 >> 63;
            let term = (mantissa ^ sign).wrapping_sub(sign);
            buckets[exponent] = buckets[exponent].wrapping_add(i128::from(term));
        }
        if odd {
            buckets[EXPONENTS - 1] = 0;
            self.count_odd(values);
        }
    }

    fn count_odd(&mut self, values: &[f64]) {
        for value in values {
            self.note_odd(*value, 1);
        }
    }

    fn note_odd(&mut self, value: f64, times: u64) {
        let counter = if value.is_nan() {
            &mut self.nan
        } else if value == f64::INFINITY {
            &mut self.pos_inf
        } else if value == f64::NEG_INFINITY {
            &mut self.neg_inf
        } else {
            return;
        };
        *counter = counter.saturating_add(times);
    }

    /// Adds a double `times` times, exactly.
    pub fn add_times(&mut self, value: f64, times: u64) {
        self.count = self.count.saturating_add(times);
        if !value.is_finite() {
            self.note_odd(value, times);
            return;
        }
        let (mantissa, exponent) = parts(value);
        let term = if value < 0.0 {
            -i128::from(mantissa)
        } else {
            i128::from(mantissa)
        };
        if times <= FEW_TIMES {
            let buckets = self.buckets.get_or_insert_with(|| Box::new([0; EXPONENTS]));
            let bucket = &mut buckets[exponent];
            *bucket = bucket.wrapping_add(term * i128::from(times));
        } else {
            self.settled += (BigInt::from(term) * times) << (exponent.max(1) - 1);
        }
    }

    /// Adds a whole number exactly, as one value; it need not be a double.
    pub fn add_int(&mut self, value: i128) {
        self.count = self.count.saturating_add(1);
        self.settled += BigInt::from(value) << FLOAT_UNIT;
    }

    /// How many doubles were met, with those left out of the sum.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How many finite doubles are in the sum.
    #[must_use]
    pub fn finite(&self) -> u64 {
        self.count.saturating_sub(self.left_out())
    }

    /// How many values are not in the sum: NaN, +inf and −inf.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.nan
            .saturating_add(self.pos_inf)
            .saturating_add(self.neg_inf)
    }

    /// How many values were NaN.
    #[must_use]
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// How many values were +inf.
    #[must_use]
    pub fn pos_inf(&self) -> u64 {
        self.pos_inf
    }

    /// How many values were −inf.
    #[must_use]
    pub fn neg_inf(&self) -> u64 {
        self.neg_inf
    }

    /// The sum of the finite values, rounded to the nearest double (ties to even), infinite when
    /// the exact sum is beyond the doubles; 0 when empty (test [`FloatSum::finite`]).
    #[must_use]
    pub fn total(&self) -> f64 {
        ratio(&self.exact(), &(BigUint::from(1u8) << FLOAT_UNIT))
    }

    /// The exact sum of the finite values in units of 2^-1074.
    pub(crate) fn exact(&self) -> BigInt {
        let mut sum = BigInt::ZERO;
        let Some(buckets) = &self.buckets else {
            return self.settled.clone();
        };
        // Horner's scheme from the largest exponent down; 0 and 1 share the smallest unit.
        let mut unit = 0;
        for exponent in (0..EXPONENTS).rev() {
            if buckets[exponent] != 0 {
                let shift = exponent.max(1) - 1;
                sum <<= if sum == BigInt::ZERO { 0 } else { unit - shift };
                unit = shift;
                sum += buckets[exponent];
            }
        }
        (sum << unit) + &self.settled
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.nan = self.nan.saturating_add(other.nan);
        self.pos_inf = self.pos_inf.saturating_add(other.pos_inf);
        self.neg_inf = self.neg_inf.saturating_add(other.neg_inf);
        self.settled += other.exact();
    }
}

/// Mantissa and exponent field of a finite double: |value| = mantissa · 2^(max(field, 1) − 1075).
#[inline]
pub(crate) fn parts(value: f64) -> (u64, usize) {
    let bits = value.to_bits();
    let exponent = (bits >> 52) as usize & (EXPONENTS - 1);
    let hidden = u64::from(exponent != 0) << 52;
    ((bits & FRACTION) | hidden, exponent)
}

impl PartialEq for FloatSum {
    fn eq(&self, other: &Self) -> bool {
        (self.count, self.nan, self.pos_inf, self.neg_inf)
            == (other.count, other.nan, other.pos_inf, other.neg_inf)
            && self.exact() == other.exact()
    }
}

impl std::fmt::Debug for FloatSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FloatSum")
            .field("count", &self.count)
            .field("left_out", &self.left_out())
            .field("total", &self.total())
            .finish()
    }
}

impl Codec for FloatSum {
    fn write(&self, to: &mut Writer) {
        to.u64(self.count);
        to.u64(self.nan);
        to.u64(self.pos_inf);
        to.u64(self.neg_inf);
        to.integer(&self.exact());
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            count: from.u64("float count")?,
            nan: from.u64("NaN count")?,
            pos_inf: from.u64("+inf count")?,
            neg_inf: from.u64("-inf count")?,
            settled: from.integer("float total")?,
            buckets: None,
        })
    }
}

impl_state!(FloatSum);
