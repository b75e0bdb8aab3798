//! Sum, mean and standard deviation of a column, over whatever kinds of number it holds.
//!
//! A column may hold integers, decimals and doubles at once (text files, a type that changed
//! between files). The exact totals of the three are brought over one denominator, so the result
//! is the same as if every value had been added exactly, and it is rounded once.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::decimal_sum::{DecimalSum, decimal_text};
use crate::exact::{power_of_ten, ratio, root_of_ratio};
use crate::float_sum::{FLOAT_UNIT, FloatSum};
use crate::int_sum::IntSum;
use crate::squares::{DecimalSquares, FloatSquares, IntSquares, SQUARE_UNIT};
use crate::unavailable::Unavailable;
use num_bigint::{BigInt, BigUint};

/// A sum in the strongest form that the values allow.
#[derive(Debug, Clone, PartialEq)]
pub enum SumValue {
    /// Exact sum of integers, in decimal digits.
    Int(String),
    /// Exact sum of decimals (and integers), with as many decimals as the column's scale.
    Decimal(String),
    /// Sum with doubles among the values, rounded once to the nearest double.
    Float(f64),
}

impl SumValue {
    /// The nearest double, for comparisons and charts.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        match self {
            Self::Int(text) | Self::Decimal(text) => text.parse().unwrap_or(f64::NAN),
            Self::Float(value) => *value,
        }
    }
}

/// Exact sums of a column's numbers, by kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums {
    /// The integers among the values.
    pub ints: IntSum,
    /// The decimals among the values.
    pub decimals: DecimalSum,
    /// The doubles among the values.
    pub floats: FloatSum,
}

/// Exact sums of the squares of a column's numbers, by kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Squares {
    /// Squares of the integers.
    pub ints: IntSquares,
    /// Squares of the decimals.
    pub decimals: DecimalSquares,
    /// Squares of the finite doubles.
    pub floats: FloatSquares,
}

impl Sums {
    /// How many numbers were met, with the NaN and infinities that are not in the sum.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.finite().saturating_add(self.floats.left_out())
    }

    /// How many finite numbers are in the sum.
    #[must_use]
    pub fn finite(&self) -> u64 {
        self.ints
            .count()
            .saturating_add(self.decimals.count())
            .saturating_add(self.floats.finite())
    }

    /// The sum of the finite values; `None` when there are none: the sum of nothing is not 0.
    ///
    /// # Errors
    /// [`Unavailable::Overflow`] when decimals need more than 256 bits or the nearest double is
    /// infinite.
    pub fn sum(&self) -> Result<Option<SumValue>, Unavailable> {
        if self.decimals.overflowed() {
            return Err(Unavailable::Overflow);
        }
        if self.finite() == 0 {
            return Ok(None);
        }
        if self.floats.count() > 0 {
            let total = self.over_common();
            let sum = ratio(&total.numerator, &total.denominator);
            return if sum.is_finite() {
                Ok(Some(SumValue::Float(sum)))
            } else {
                Err(Unavailable::Overflow)
            };
        }
        let Some(scale) = self.decimals.scale() else {
            return Ok(Some(SumValue::Int(self.ints.total().to_string())));
        };
        let mut both = self.decimals.clone();
        let mut ints = DecimalSum::default();
        ints.add_exact(&self.ints.total(), self.ints.count());
        both.absorb(&ints);
        if both.overflowed() {
            return Err(Unavailable::Overflow);
        }
        Ok(Some(SumValue::Decimal(decimal_text(
            &both.unscaled(),
            both.scale().unwrap_or(scale),
        ))))
    }

    /// The mean of the finite values, the nearest double to the exact mean; `None` when there are
    /// none.
    ///
    /// # Errors
    /// [`Unavailable::Overflow`] when a decimal could not be represented.
    pub fn mean(&self) -> Result<Option<f64>, Unavailable> {
        if self.decimals.has_unknown() {
            return Err(Unavailable::Overflow);
        }
        let count = self.finite();
        if count == 0 {
            return Ok(None);
        }
        let total = self.over_common();
        Ok(Some(ratio(&total.numerator, &(total.denominator * count))))
    }

    /// The sample variance (n − 1), correctly rounded; `None` with fewer than two finite values.
    ///
    /// # Errors
    /// [`Unavailable::Overflow`] when a decimal could not be represented or the variance is beyond
    /// the doubles.
    pub fn variance(&self, squares: &Squares) -> Result<Option<f64>, Unavailable> {
        let Some((top, bottom)) = self.spread(squares)? else {
            return Ok(None);
        };
        finite(ratio(&BigInt::from(top), &bottom))
    }

    /// The sample standard deviation (n − 1), correctly rounded; `None` with fewer than two
    /// finite values.
    ///
    /// # Errors
    /// As [`Sums::variance`].
    pub fn stddev(&self, squares: &Squares) -> Result<Option<f64>, Unavailable> {
        let Some((top, bottom)) = self.spread(squares)? else {
            return Ok(None);
        };
        finite(root_of_ratio(&top, &bottom))
    }

    /// The exact sample variance as a fraction: (n Σx² − (Σx)²) / (n (n − 1)).
    fn spread(&self, squares: &Squares) -> Result<Option<(BigUint, BigUint)>, Unavailable> {
        if self.decimals.has_unknown() {
            return Err(Unavailable::Overflow);
        }
        let count = self.finite();
        if count < 2 {
            return Ok(None);
        }
        let Fraction {
            numerator,
            denominator,
        } = self.over_common();
        let scale = self.decimals.scale().unwrap_or(0).max(0);
        // Σx² over the square of the same denominator, 10^2s · 2^2148 (without 2^… if no floats).
        let unit = if self.floats.count() > 0 {
            SQUARE_UNIT
        } else {
            0
        };
        let tens = power_of_ten(2 * u32::from(scale.unsigned_abs()));
        let mut square = (squares.ints.total() * &tens) << unit;
        square += squares.decimals.total_at(scale) << unit;
        square += squares.floats.exact() * &tens;
        let top = square * count - numerator.pow(2);
        let bottom = denominator.pow(2) * count * (count - 1);
        // Negative is impossible for sums and squares of the same values.
        let top = top.to_biguint().ok_or(Unavailable::Inconsistent)?;
        Ok(Some((top, bottom)))
    }

    /// The exact total as a fraction over 10^scale, and 2^1074 more if there are floats.
    fn over_common(&self) -> Fraction {
        let scale = self.decimals.scale().unwrap_or(0).max(0);
        let digits = u32::from(scale.unsigned_abs());
        let tens = power_of_ten(digits);
        let unit = if self.floats.count() > 0 {
            FLOAT_UNIT
        } else {
            0
        };
        // A negative scale is brought up to 0.
        let up = u32::from(self.decimals.scale().unwrap_or(0).abs_diff(scale));
        let decimals = self.decimals.unscaled() * power_of_ten(up);
        let mut numerator = (self.ints.total() * &tens + decimals) << unit;
        numerator += self.floats.exact() * &tens;
        Fraction {
            numerator,
            denominator: tens.magnitude() << unit,
        }
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.ints.absorb(&other.ints);
        self.decimals.absorb(&other.decimals);
        self.floats.absorb(&other.floats);
    }
}

fn finite(value: f64) -> Result<Option<f64>, Unavailable> {
    if value.is_finite() {
        Ok(Some(value))
    } else {
        Err(Unavailable::Overflow)
    }
}

struct Fraction {
    numerator: BigInt,
    denominator: BigUint,
}

impl Squares {
    pub(crate) fn absorb(&mut self, other: &Self) {
        self.ints.absorb(&other.ints);
        self.decimals.absorb(&other.decimals);
        self.floats.absorb(&other.floats);
    }
}

impl Codec for Sums {
    fn write(&self, to: &mut Writer) {
        self.ints.write(to);
        self.decimals.write(to);
        self.floats.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ints: IntSum::read(from)?,
            decimals: DecimalSum::read(from)?,
            floats: FloatSum::read(from)?,
        })
    }
}

impl Codec for Squares {
    fn write(&self, to: &mut Writer) {
        self.ints.write(to);
        self.decimals.write(to);
        self.floats.write(to);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            ints: IntSquares::read(from)?,
            decimals: DecimalSquares::read(from)?,
            floats: FloatSquares::read(from)?,
        })
    }
}

impl_state!(Sums, Squares);
