//! Fixed comparisons, exact where both sides are exact.
//!
//! In: a measured value and the bound of a rule, as it was written. Out: their order. It must never
//! pass an exact number through a float: 9007199254740993 is not 9007199254740992.

use std::cmp::Ordering;

use assay_model::check::{Bound, Expectation};
use assay_model::metric::{Metric, MetricValue};

/// How far the latest time may lie ahead, in seconds: clocks differ, and a time without a zone may be
/// of another one.
const AHEAD_MAX_S: f64 = 86_400.0;

/// A decimal number as sign, digits and the power of ten of its first digit.
struct Decimal<'a> {
    negative: bool,
    /// Digits without leading or trailing zeros and without the point; none for zero.
    digits: Box<dyn Iterator<Item = u8> + 'a>,
    /// The power of ten of the first digit; of no meaning for zero.
    magnitude: i64,
    zero: bool,
}

/// Takes `12`, `-0.30`, `+1.5e3`. `None` for anything else.
fn decimal(text: &str) -> Option<Decimal<'_>> {
    let text = text.trim();
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + part.len() == 0 || !plain(whole) || !plain(part) {
        return None;
    }
    let all = || whole.bytes().chain(part.bytes());
    let Some(leading) = all().position(|b| b != b'0') else {
        return Some(Decimal {
            negative: false,
            digits: Box::new(std::iter::empty()),
            magnitude: 0,
            zero: true,
        });
    };
    let length = whole.len() + part.len();
    let trailing = whole
        .bytes()
        .chain(part.bytes())
        .rev()
        .take_while(|b| *b == b'0')
        .count();
    let before_point = i64::try_from(whole.len()).ok()?;
    let magnitude = before_point
        .checked_sub(i64::try_from(leading).ok()?)?
        .checked_add(exponent)?;
    Some(Decimal {
        negative,
        digits: Box::new(all().skip(leading).take(length - leading - trailing)),
        magnitude,
        zero: false,
    })
}

/// The order of two decimal numbers of any size; `None` when one is not a decimal number.
#[must_use]
pub fn compare_decimals(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (decimal(a)?, decimal(b)?);
    let sign = |d: &Decimal<'_>| match (d.zero, d.negative) {
        (true, _) => 0,
        (_, true) => -1,
        _ => 1,
    };
    let signs = sign(&a).cmp(&sign(&b));
    if signs != Ordering::Equal || a.zero {
        return Some(signs);
    }
    let size = a
        .magnitude
        .cmp(&b.magnitude)
        .then_with(|| a.digits.cmp(b.digits));
    Some(if a.negative { size.reverse() } else { size })
}

/// Why a value cannot be held against a bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotComparable {
    /// There is no value.
    #[error("there is no value to compare: no rows, or only NULLs")]
    Null,
    /// The value is not a number.
    #[error("the value is not a number: `{0}`")]
    NotANumber(String),
}

/// The order of a measured value and a bound.
///
/// # Errors
/// [`NotComparable`] when there is no value, or it is a text or NaN.
pub fn compare(value: &MetricValue, bound: &Bound) -> Result<Ordering, NotComparable> {
    match value {
        MetricValue::Null => Err(NotComparable::Null),
        MetricValue::Exact(digits) => compare_decimals(digits, bound.as_str())
            .ok_or_else(|| NotComparable::NotANumber(digits.clone())),
        // A double is compared with the double that the bound means: 0.3 is 0.3.
        MetricValue::Float(x) => x
            .partial_cmp(&bound.as_f64())
            .ok_or_else(|| NotComparable::NotANumber(x.to_string())),
        MetricValue::Text(text) => Err(NotComparable::NotANumber(text.clone())),
    }
}

/// Whether `value` meets a fixed expectation; `None` when the expectation is not a fixed one.
///
/// # Errors
/// [`NotComparable`] when the value cannot be held against the bound.
pub fn meets(value: &MetricValue, expect: &Expectation) -> Option<Result<bool, NotComparable>> {
    let to = |bound: &Bound, accepts: fn(Ordering) -> bool| compare(value, bound).map(accepts);
    let inside = |low: &Bound, high: &Bound| {
        Ok(compare(value, low)?.is_gt() && compare(value, high)?.is_lt())
    };
    Some(match expect {
        Expectation::MustBe(b) => to(b, Ordering::is_eq),
        Expectation::MustNotBe(b) => to(b, Ordering::is_ne),
        Expectation::MustBeGreaterThan(b) => to(b, Ordering::is_gt),
        Expectation::MustBeGreaterOrEqualTo(b) => to(b, Ordering::is_ge),
        Expectation::MustBeLessThan(b) => to(b, Ordering::is_lt),
        Expectation::MustBeLessOrEqualTo(b) => to(b, Ordering::is_le),
        Expectation::MustBeBetween(low, high) => inside(low, high),
        Expectation::MustNotBeBetween(low, high) => inside(low, high).map(|is| !is),
        Expectation::Learned
        | Expectation::Band { .. }
        | Expectation::SameSchema
        | Expectation::NotStale
        | Expectation::NotRestated
        | Expectation::NotRunHere { .. } => return None,
    })
}

/// Whether `value` is an age that says nothing of how old data are, although `expect` accepts it: the
/// latest time lies in the future, and hides the one that was asked for. Who accepts times of the
/// future says so by a bound of their own.
#[must_use]
pub fn hides_age(metric: Metric, value: &MetricValue, expect: &Expectation) -> bool {
    let is_age = matches!(metric, Metric::Latency | Metric::LastModifiedAge);
    let at_most = match expect {
        Expectation::MustBeLessThan(b) | Expectation::MustBeLessOrEqualTo(b) => b.as_f64(),
        _ => return false,
    };
    is_age && at_most >= 0.0 && value.as_f64().is_some_and(|age| age < -AHEAD_MAX_S)
}

/// The same as [`meets`] for a value of `metric`: what only hides an age does not meet its bound.
///
/// # Errors
/// [`NotComparable`] when the value cannot be held against the bound.
pub fn meets_of(
    metric: Metric,
    value: &MetricValue,
    expect: &Expectation,
) -> Option<Result<bool, NotComparable>> {
    let hidden = hides_age(metric, value, expect);
    meets(value, expect).map(|met| met.map(|met| met && !hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_are_compared_exactly_whatever_their_size() {
        let order = |a, b| compare_decimals(a, b).unwrap();
        assert_eq!(
            order("9007199254740993", "9007199254740992"),
            Ordering::Greater
        );
        assert_eq!(order("0.1000", "1e-1"), Ordering::Equal);
        assert_eq!(order("-0", "0.00"), Ordering::Equal);
        assert_eq!(order("-2", "-10"), Ordering::Greater);
        assert_eq!(order("1e400", "2e400"), Ordering::Less);
        assert_eq!(order("100", "99.999999999999999999"), Ordering::Greater);
        assert_eq!(order("0.05", "0.5"), Ordering::Less);
        assert_eq!(compare_decimals("1x", "1"), None);
        assert_eq!(compare_decimals(".", "1"), None);
    }

    #[test]
    fn between_excludes_both_ends() {
        let between = Expectation::MustBeBetween(Bound::from(9), Bound::from(11));
        let met = |n: i64| meets(&MetricValue::integer(n), &between).unwrap().unwrap();
        assert_eq!([9, 10, 11].map(met), [false, true, false]);
        let not = Expectation::MustNotBeBetween(Bound::from(9), Bound::from(11));
        assert_eq!(meets(&MetricValue::integer(9), &not), Some(Ok(true)));
    }

    #[test]
    fn nothing_meets_a_bound_without_a_number() {
        let zero = Expectation::MustBe(Bound::from(0));
        assert_eq!(
            meets(&MetricValue::Null, &zero),
            Some(Err(NotComparable::Null))
        );
        assert!(
            meets(&MetricValue::Float(f64::NAN), &zero)
                .unwrap()
                .is_err()
        );
    }
}
