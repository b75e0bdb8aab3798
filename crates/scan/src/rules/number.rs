//! Numbers in the order of their values, exactly.
//!
//! In: a value of any numeric type or the text of a number, and the bounds and lists of rules. Out:
//! how the two compare. A double is the shortest decimal that reads as it, which is the one that
//! was written; single precision likewise: 0.1 is 0.1 in every type, and 2^53 is below 2^53 + 1. No
//! number of digits and no exponent is too large.

use std::cmp::Ordering;

use assay_metrics::{BigInt, Number};

use super::Cell;
use crate::text::values;

/// A number by its digits: `0.d₁d₂d₃… · 10^magnitude`, without zeros at either end. Zero has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digits {
    negative: bool,
    magnitude: i64,
    digits: Vec<u8>,
}

/// Beyond this exponents do not grow: no file holds digits enough to come back from there.
const FARTHEST: i64 = 1 << 60;

impl Digits {
    /// Digits with an optional sign, point and exponent.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = sign(text.trim_ascii());
        let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let point = mantissa.iter().position(|b| *b == b'.');
        let whole = point.unwrap_or(mantissa.len());
        let fraction = mantissa.get(whole + 1..).unwrap_or_default();
        let digits = [&mantissa[..whole], fraction].concat();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let whole = i64::try_from(whole).ok()?;
        Some(Self::new(negative, digits, whole.saturating_add(exponent)))
    }

    fn new(negative: bool, mut digits: Vec<u8>, magnitude: i64) -> Self {
        let end = digits.iter().rposition(|digit| *digit != b'0');
        digits.truncate(end.map_or(0, |end| end + 1));
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..zeros);
        if digits.is_empty() {
            return Self {
                negative: false,
                magnitude: 0,
                digits,
            };
        }
        Self {
            negative,
            magnitude: magnitude.saturating_sub(zeros as i64),
            digits,
        }
    }

    /// `value · 10^-scale`.
    fn of(value: &BigInt, scale: i32) -> Self {
        let text = value.to_string();
        let (negative, digits) = sign(text.as_bytes());
        Self::new(
            negative,
            digits.to_vec(),
            digits.len() as i64 - i64::from(scale),
        )
    }

    fn signum(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        self.signum().cmp(&other.signum()).then_with(|| {
            let size = self
                .magnitude
                .cmp(&other.magnitude)
                .then_with(|| self.digits.cmp(&other.digits));
            if self.negative { size.reverse() } else { size }
        })
    }

    /// The whole part; the nearest end of 128 bits where they do not hold it.
    fn whole(&self) -> i128 {
        let mut whole = 0i128;
        for place in 0..self.magnitude.clamp(0, 40) as usize {
            let digit = i128::from(self.digits.get(place).map_or(0, |digit| digit - b'0'));
            let digit = if self.negative { -digit } else { digit };
            let next = whole.checked_mul(10).and_then(|ten| ten.checked_add(digit));
            match next {
                Some(next) => whole = next,
                None if self.negative => return i128::MIN,
                None => return i128::MAX,
            }
        }
        whole
    }

    fn text(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let digits = String::from_utf8_lossy(&self.digits);
        format!("{sign}0.{digits}0e{}", self.magnitude)
    }

    /// The digits as one integer of 128 bits with a scale.
    fn narrow(&self) -> Option<(i128, i32)> {
        let digits = std::str::from_utf8(&self.digits).ok()?;
        let value: i128 = format!("0{digits}").parse().ok()?;
        let scale = i32::try_from(self.digits.len() as i64 - self.magnitude).ok()?;
        Some((if self.negative { -value } else { value }, scale))
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, digit| {
        let next = value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'));
        next.min(FARTHEST)
    });
    Some(if negative { -value } else { value })
}

/// A number that values are compared with, ready for every type. Beside each nearest value of a
/// type: how that one compares with the number itself.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    exact: Digits,
    narrow: Option<(i128, i32)>,
    whole: (i128, Ordering),
    double: (f64, Ordering),
    single: (f32, Ordering),
}

impl Bound {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let exact = Digits::parse(text)?;
        let written = exact.text();
        let whole = exact.whole();
        let double: f64 = written.parse().ok()?;
        let single: f32 = written.parse().ok()?;
        // The shortest text of the nearest double, or one beyond every number.
        let beside = |text: String, sign: f64| {
            Digits::parse(text.as_bytes()).map_or(
                if sign > 0.0 {
                    Ordering::Greater
                } else {
                    Ordering::Less
                },
                |digits| digits.order(&exact),
            )
        };
        Some(Self {
            narrow: exact.narrow(),
            whole: (whole, Digits::of(&whole.into(), 0).order(&exact)),
            double: (double, beside(format!("{double:e}"), double)),
            single: (single, beside(format!("{single:e}"), single.into())),
            exact,
        })
    }
}

/// A value as a number.
pub(super) enum Value {
    Int(i128),
    Decimal(i128, i32),
    Double(f64),
    Single(f32),
    Digits(Digits),
}

impl Value {
    #[inline]
    pub(super) fn of(cell: &Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Int(value) => Some(Self::Int(*value)),
            Cell::Decimal(value, scale) => Some(Self::Decimal(*value, i32::from(*scale))),
            Cell::Decimal256(bytes, scale) => {
                let value = BigInt::from_signed_bytes_le(*bytes);
                Some(Self::Digits(Digits::of(&value, i32::from(*scale))))
            }
            Cell::Float(value) => Some(Self::Double(*value)),
            Cell::Single(value) => Some(Self::Single(*value)),
            Cell::Text(text) | Cell::Number(text) => Self::parse(text),
            _ => None,
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        if let Some(value) = values::short_int(text) {
            return Some(Self::Int(i128::from(value)));
        }
        if let Some((value, scale)) = values::short_decimal(text) {
            return Some(Self::Decimal(i128::from(value), i32::from(scale)));
        }
        if let Some(digits) = Digits::parse(text) {
            return Some(Self::Digits(digits));
        }
        // Words: NaN and infinities.
        match values::number(text) {
            Number::Float(value) => Some(Self::Double(value)),
            _ => None,
        }
    }

    /// The double, where it is no finite number.
    pub(super) fn odd(&self) -> Option<f64> {
        match self {
            Self::Double(value) if !value.is_finite() => Some(*value),
            Self::Single(value) if !value.is_finite() => Some(f64::from(*value)),
            _ => None,
        }
    }

    /// `None` for NaN.
    #[inline]
    pub(super) fn order(&self, bound: &Bound) -> Option<Ordering> {
        match self {
            Self::Int(value) => Some(value.cmp(&bound.whole.0).then(bound.whole.1)),
            Self::Decimal(value, scale) => Some(order_of_decimal(*value, *scale, bound)),
            Self::Double(value) => {
                let order = value.partial_cmp(&bound.double.0)?;
                Some(order.then(bound.double.1))
            }
            Self::Single(value) => {
                let order = value.partial_cmp(&bound.single.0)?;
                Some(order.then(bound.single.1))
            }
            Self::Digits(digits) => Some(digits.order(&bound.exact)),
        }
    }
}

#[inline]
fn order_of_decimal(value: i128, scale: i32, bound: &Bound) -> Ordering {
    let raised = |value: i128, by: i32| {
        let power = 10i128.checked_pow(u32::try_from(by).ok()?)?;
        value.checked_mul(power)
    };
    if let Some((other, at)) = bound.narrow {
        if at == scale {
            return value.cmp(&other);
        }
        let both = if at < scale {
            raised(other, scale - at).map(|other| (value, other))
        } else {
            raised(value, at - scale).map(|value| (value, other))
        };
        if let Some((value, other)) = both {
            return value.cmp(&other);
        }
    }
    Digits::of(&value.into(), scale).order(&bound.exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(cell: Cell<'_>, bound: &str) -> Option<Ordering> {
        let bound = Bound::parse(bound.as_bytes()).unwrap();
        Value::of(&cell).unwrap().order(&bound)
    }

    #[test]
    fn no_exponent_and_no_number_of_digits_is_too_large() {
        for large in ["1e400", "1e401", "1e999999999999999999999"] {
            let cell = Cell::Text(large.as_bytes());
            assert_eq!(order(cell, "0"), Some(Ordering::Greater), "{large}");
            assert_eq!(order(Cell::Float(f64::MAX), large), Some(Ordering::Less));
            assert_eq!(order(Cell::Int(i128::MAX), large), Some(Ordering::Less));
        }
        let small = Cell::Text(b"-1e-500");
        assert_eq!(order(small, "0"), Some(Ordering::Less));
        assert_eq!(order(small, "-1e-499"), Some(Ordering::Greater));
        let long = format!("1{}", "0".repeat(500));
        let same = order(Cell::Text(b"1e500"), &long);
        assert_eq!(same, Some(Ordering::Equal));
    }

    #[test]
    fn a_float_is_the_decimal_that_was_written() {
        for (cell, bound, wanted) in [
            (Cell::Float(0.1), "0.1", Ordering::Equal),
            (Cell::Single(0.1), "0.1", Ordering::Equal),
            (Cell::Single(0.1), "0.10000000001", Ordering::Less),
            (
                Cell::Float(9_007_199_254_740_992.0),
                "9007199254740993",
                Ordering::Less,
            ),
            (
                Cell::Float(9_007_199_254_740_994.0),
                "9007199254740993",
                Ordering::Greater,
            ),
            (Cell::Float(-0.0), "0", Ordering::Equal),
            (Cell::Float(f64::INFINITY), "1e999", Ordering::Greater),
            (Cell::Float(f64::NEG_INFINITY), "-1e999", Ordering::Less),
        ] {
            assert_eq!(order(cell, bound), Some(wanted), "{cell:?} and {bound}");
        }
        assert_eq!(order(Cell::Float(f64::NAN), "1"), None);
    }

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i128>().prop_map(|value| value.to_string()),
            any::<i8>().prop_map(|value| value.to_string()),
            "-?[0-9]{1,3}(\\.[0-9]{0,3})?(e-?[0-2])?",
            "-?0\\.[0-9]{1,30}",
        ]
    }

    proptest! {
        #[test]
        fn every_type_compares_as_its_digits_do(left in number(), right in number()) {
            let exact = |text: &str| Digits::parse(text.as_bytes()).unwrap();
            let wanted = exact(&left).order(&exact(&right));
            prop_assert_eq!(exact(&right).order(&exact(&left)), wanted.reverse());
            prop_assert_eq!(order(Cell::Text(left.as_bytes()), &right), Some(wanted));
            if let Ok(value) = left.parse::<i128>() {
                prop_assert_eq!(order(Cell::Int(value), &right), Some(wanted));
                prop_assert_eq!(order(Cell::Decimal(value, 0), &right), Some(wanted));
            }
            let double: f64 = left.parse().unwrap();
            let shown = exact(&format!("{double:e}"));
            let wanted = shown.order(&exact(&right));
            prop_assert_eq!(order(Cell::Float(double), &right), Some(wanted));
            // What doubles hold exactly compares as they do.
            if shown == exact(&left) && exact(&right).digits.len() <= 15 {
                let other: f64 = right.parse().unwrap();
                prop_assert_eq!(double.partial_cmp(&other), Some(wanted));
            }
        }
    }
}
