//! Exact sum of decimals: unscaled integers of 128 or 256 bits at a scale.
//!
//! The total itself has no bounds, so that what a merge gives does not depend on the order; a
//! total that does not fit the 256 bits of a decimal is an overflow when it is asked for. A value
//! that the reader could not represent is an overflow for good ([`DecimalSum::mark_overflow`]).
//! Values of different scales meet at the larger scale, exactly.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::exact::{ExactInt, power_of_ten};
use num_bigint::BigInt;

/// Exact sum of decimals, and of how many.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DecimalSum {
    count: u64,
    scale: Option<i8>,
    total: ExactInt,
    overflow: bool,
}

impl DecimalSum {
    /// Adds one decimal: `unscaled · 10^-scale`.
    #[inline]
    pub fn add(&mut self, unscaled: i128, scale: i8) {
        self.add_times(unscaled, scale, 1);
    }

    /// Adds a decimal `times` times.
    #[inline]
    pub fn add_times(&mut self, unscaled: i128, scale: i8, times: u64) {
        if times == 0 {
            return;
        }
        let up = self.meet(scale);
        self.count = self.count.saturating_add(times);
        if up == 0 {
            self.total.add_times(unscaled, times);
        } else {
            self.total
                .add_wide(&(BigInt::from(unscaled) * power_of_ten(up) * times));
        }
    }

    /// Adds each decimal of a slice of unscaled values that share a scale.
    pub fn add_slice(&mut self, unscaled: &[i128], scale: i8) {
        if unscaled.is_empty() {
            return;
        }
        let mut sum = ExactInt::default();
        for value in unscaled {
            sum.add(*value);
        }
        self.add_total(sum, unscaled.len() as u64, scale);
    }

    /// Adds each decimal of a slice of unscaled values of 64 bits.
    pub fn add_i64_slice(&mut self, unscaled: &[i64], scale: i8) {
        if unscaled.is_empty() {
            return;
        }
        let mut sum = ExactInt::default();
        sum.add(
            unscaled
                .iter()
                .fold(0i128, |sum, value| sum.wrapping_add(i128::from(*value))),
        );
        self.add_total(sum, unscaled.len() as u64, scale);
    }

    /// Adds a decimal of 256 bits, given in little-endian two's complement, `times` times.
    pub fn add_256(&mut self, unscaled: &[u8; 32], scale: i8, times: u64) {
        let mut sum = ExactInt::default();
        sum.add_wide(&(BigInt::from_signed_bytes_le(unscaled) * times));
        if times > 0 {
            self.add_total(sum, times, scale);
        }
    }

    /// Adds whole numbers whose exact total is known, at scale 0.
    pub(crate) fn add_exact(&mut self, total: &BigInt, count: u64) {
        if count > 0 {
            let mut sum = ExactInt::default();
            sum.add_wide(total);
            self.add_total(sum, count, 0);
        }
    }

    /// Adds decimals whose exact unscaled total is known.
    pub(crate) fn add_known(&mut self, total: &BigInt, count: u64, scale: i8) {
        if count > 0 {
            let mut sum = ExactInt::default();
            sum.add_wide(total);
            self.add_total(sum, count, scale);
        }
    }

    /// Notes a value that could not be represented: the sum is an overflow from here on, through
    /// every merge.
    pub fn mark_overflow(&mut self) {
        self.overflow = true;
    }

    fn add_total(&mut self, mut sum: ExactInt, count: u64, scale: i8) {
        sum.scale_up(self.meet(scale));
        self.count = self.count.saturating_add(count);
        self.total.absorb(&sum);
    }

    /// Makes this sum ready for values of `scale`; gives the digits by which they must grow.
    fn meet(&mut self, scale: i8) -> u32 {
        let own = *self.scale.get_or_insert(scale);
        if own == scale {
            return 0;
        }
        let difference = u32::from(own.abs_diff(scale));
        if own > scale {
            return difference;
        }
        self.total.scale_up(difference);
        self.scale = Some(scale);
        0
    }

    /// How many decimals were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest scale met, at which [`DecimalSum::unscaled`] is given; `None` when empty.
    #[must_use]
    pub fn scale(&self) -> Option<i8> {
        self.scale
    }

    /// Whether a value was met that could not be represented, or the total needs more than 256 bits.
    #[must_use]
    pub fn overflowed(&self) -> bool {
        self.overflow || !fits_256(&self.total.total())
    }

    /// Whether a value was met that could not be represented, so that not even a mean is known.
    pub(crate) fn has_unknown(&self) -> bool {
        self.overflow
    }

    /// The exact unscaled total at [`DecimalSum::scale`]; when [`DecimalSum::overflowed`], it
    /// lacks values or is wider than a decimal may be.
    #[must_use]
    pub fn unscaled(&self) -> BigInt {
        self.total.total()
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.overflow |= other.overflow;
        if let Some(scale) = other.scale {
            self.add_total(other.total.clone(), other.count, scale);
        }
    }
}

fn fits_256(value: &BigInt) -> bool {
    value.bits() <= 255
}

impl Codec for DecimalSum {
    fn write(&self, to: &mut Writer) {
        to.bool(self.overflow);
        to.bool(self.scale.is_some());
        if let Some(scale) = self.scale {
            to.u8(scale as u8);
            to.u64(self.count);
            self.total.write(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut sum = Self {
            overflow: from.bool("decimal overflow")?,
            ..Self::default()
        };
        if from.bool("decimal scale")? {
            sum.scale = Some(from.u8("decimal scale")? as i8);
            sum.count = from.u64("decimal count")?;
            sum.total = ExactInt::read(from)?;
        }
        Ok(sum)
    }
}

impl_state!(DecimalSum);

/// Writes `unscaled · 10^-scale` in plain digits, with as many decimals as the scale says.
#[must_use]
pub fn decimal_text(unscaled: &BigInt, scale: i8) -> String {
    if scale <= 0 {
        return (unscaled * power_of_ten(u32::from(scale.unsigned_abs()))).to_string();
    }
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!(
        "{:0>width$}",
        unscaled.magnitude().to_string(),
        width = scale + 1
    );
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if unscaled.sign() == num_bigint::Sign::Minus {
        "-"
    } else {
        ""
    };
    format!("{sign}{whole}.{fraction}")
}
