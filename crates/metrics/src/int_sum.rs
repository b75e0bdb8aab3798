//! Exact sum of integers of any width: never wraps, never rounds.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::exact::ExactInt;
use num_bigint::BigInt;

/// Exact sum of integers, and of how many.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IntSum {
    count: u64,
    total: ExactInt,
}

impl IntSum {
    /// Adds one integer.
    #[inline]
    pub fn add(&mut self, value: i128) {
        self.count = self.count.saturating_add(1);
        self.total.add(value);
    }

    /// Adds an integer `times` times (a dictionary's value and its number of rows).
    #[inline]
    pub fn add_times(&mut self, value: i128, times: u64) {
        self.count = self.count.saturating_add(times);
        self.total.add_times(value, times);
    }

    /// Adds each integer of a slice.
    pub fn add_i64_slice(&mut self, values: &[i64]) {
        self.count = self.count.saturating_add(values.len() as u64);
        // A slice has fewer than 2^63 items of less than 2^63 each: 126 bits.
        let sum = values
            .iter()
            .fold(0i128, |sum, value| sum.wrapping_add(i128::from(*value)));
        self.total.add(sum);
    }

    /// Adds each integer of a slice.
    pub fn add_i32_slice(&mut self, values: &[i32]) {
        self.count = self.count.saturating_add(values.len() as u64);
        // 2^31 items of 32 bits stay within 63 bits.
        for block in values.chunks(1 << 30) {
            let sum = block
                .iter()
                .fold(0i64, |sum, value| sum.wrapping_add(i64::from(*value)));
            self.total.add(i128::from(sum));
        }
    }

    /// Adds each integer of a slice.
    pub fn add_u64_slice(&mut self, values: &[u64]) {
        self.count = self.count.saturating_add(values.len() as u64);
        let sum = values
            .iter()
            .fold(0u128, |sum, value| sum.wrapping_add(u128::from(*value)));
        self.total.add_unsigned(sum);
    }

    /// Adds integers whose exact total is known.
    pub(crate) fn add_known(&mut self, total: &BigInt, count: u64) {
        self.count = self.count.saturating_add(count);
        self.total.add_wide(total);
    }

    /// How many integers were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The exact total; 0 when nothing was added (test [`IntSum::count`]).
    #[must_use]
    pub fn total(&self) -> BigInt {
        self.total.total()
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.total.absorb(&other.total);
    }
}

impl Codec for IntSum {
    fn write(&self, to: &mut Writer) {
        to.u64(self.count);
        self.total.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            count: from.u64("integer count")?,
            total: ExactInt::read(from)?,
        })
    }
}

impl_state!(IntSum);
