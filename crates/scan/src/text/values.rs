//! Texts read as typed values.
//!
//! In: a field. Out: an exact integer, the nearest double, a date, a time, a truth value, or the
//! fact that it is none. Nothing is rounded that can be kept: whole numbers stay whole up to 128
//! bits, doubles are the nearest to all digits.

use assay_metrics::{BigInt, Number};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::plain;
pub use super::plain::{quick_number, short_int};

/// A field as a number. Blanks around it are allowed; `NaN` and infinities in their usual
/// spellings are numbers, hexadecimal and grouped digits are not. Whole numbers are exact, or
/// [`Number::TooWide`].
#[must_use]
pub fn number(field: &[u8]) -> Number {
    let field = field.trim_ascii();
    if let Some(value) = short_int(field) {
        return Number::Int(i128::from(value));
    }
    let (negative, digits) = unsigned(field);
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        return match exact(negative, digits, 0) {
            Number::Decimal(value, _) => Number::Int(value),
            wide => wide,
        };
    }
    if matches!(digits.first(), Some(b'-' | b'+')) {
        return Number::None;
    }
    match fast_float2::parse::<f64, _>(digits) {
        Ok(value) => Number::Float(if negative { -value } else { value }),
        Err(_) => Number::None,
    }
}

/// Whether the field is below zero, and what follows its sign.
fn unsigned(field: &[u8]) -> (bool, &[u8]) {
    match field {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    }
}

/// `digits · 10^-scale` as the narrowest type that holds it.
fn exact(negative: bool, mut digits: &[u8], mut scale: i32) -> Number {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    digits = &digits[zeros..];
    if digits.is_empty() {
        return Number::Decimal(0, 0);
    }
    // Beyond what any type holds, zeros at the end of the decimals do not count.
    let long = digits.len() > 38 || scale > 38;
    while long && scale > 0 && digits.ends_with(b"0") {
        digits = &digits[..digits.len() - 1];
        scale -= 1;
    }
    let Ok(scale) = i8::try_from(scale) else {
        return Number::TooWide;
    };
    if digits.len() <= 38 {
        let value = digits
            .iter()
            .fold(0i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        return Number::Decimal(if negative { -value } else { value }, scale);
    }
    // 10^77 is beyond 255 bits.
    if digits.len() > 77 {
        return Number::TooWide;
    }
    let Some(value) = BigInt::parse_bytes(digits, 10) else {
        return Number::None;
    };
    let value = if negative { -value } else { value };
    if let Ok(narrow) = i128::try_from(&value) {
        return Number::Decimal(narrow, scale);
    }
    let bytes = value.to_signed_bytes_le();
    let mut all = [if negative { 0xff } else { 0 }; 32];
    match all.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(&bytes),
        None => return Number::TooWide,
    }
    Number::Wide(all, scale)
}

/// A decimal of at most 18 digits and no exponent, the common case.
#[inline]
pub(crate) fn short_decimal(field: &[u8]) -> Option<(i64, i8)> {
    let digits = match field {
        [b'-', rest @ ..] => rest,
        rest => rest,
    };
    if digits.len() < 2 || digits.len() > 19 {
        return None;
    }
    let (mut value, mut point) = (0i64, None);
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            value = value.checked_mul(10)?.checked_add(i64::from(digit))?;
        } else if *byte == b'.' && point.is_none() {
            point = Some(at);
        } else {
            return None;
        }
    }
    let scale = point.map_or(0, |at| digits.len() - at - 1) as i8;
    let negative = digits.len() < field.len();
    Some((if negative { -value } else { value }, scale))
}

/// A field as a decimal with exactly the digits written, exponent included, where 256 bits hold
/// them; else [`Number::TooWide`]. `NaN` and infinities are doubles.
#[must_use]
pub fn decimal(field: &[u8]) -> Number {
    let field = field.trim_ascii();
    if let Some((value, scale)) = short_decimal(field) {
        return Number::Decimal(i128::from(value), scale);
    }
    let (negative, text) = unsigned(field);
    let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let point = mantissa.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return match number(field) {
            odd @ Number::Float(value) if !value.is_finite() => odd,
            _ => Number::None,
        };
    }
    let exponent = match exponent.map(short_exponent) {
        None => 0,
        Some(Some(exponent)) => exponent,
        Some(None) => return Number::None,
    };
    let scale = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let scale = scale.saturating_sub(exponent);
    if scale >= 0 {
        return exact(negative, &digits, scale);
    }
    // Above one: the zeros that the exponent stands for are written out.
    let zeros = scale.unsigned_abs() as usize;
    if digits.iter().all(|digit| *digit == b'0') {
        return Number::Decimal(0, 0);
    }
    if zeros > 77 {
        return Number::TooWide;
    }
    exact(negative, &[digits, vec![b'0'; zeros]].concat(), 0)
}

/// Whether a field is a whole number, by all of its digits: `1.0` and `1e3` are, `1.5`, `NaN` and
/// what is beyond every double are not.
#[must_use]
pub fn is_whole(field: &[u8]) -> bool {
    match number(field) {
        Number::Int(_) | Number::Wide(..) | Number::TooWide => return true,
        Number::Float(value) if value.is_finite() => {}
        _ => return false,
    }
    let (_, text) = unsigned(field.trim_ascii());
    let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
        Some(at) => (&text[..at], short_exponent(&text[at + 1..]).unwrap_or(0)),
        None => (text, 0),
    };
    let point = mantissa.iter().position(|b| *b == b'.');
    let (whole, fraction) = match point {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let zeros = |digits: &[u8]| digits.iter().all(|digit| *digit == b'0');
    let moved = exponent.unsigned_abs() as usize;
    if exponent >= 0 {
        return zeros(fraction.get(moved..).unwrap_or_default());
    }
    // The point moves into the whole part: what comes behind it must be zeros.
    zeros(fraction) && zeros(&whole[whole.len().saturating_sub(moved)..])
}

/// What tells a field of a column of numbers apart from others: equal numbers give equal ones,
/// however they are written, and others give others, however many digits they have. `number` is
/// what the field reads as.
#[must_use]
pub fn identity(field: &[u8], number: Number) -> Number {
    let Number::Float(value) = number else {
        return number;
    };
    // Fifteen digits tell doubles apart; as integers they are told in 63 bits.
    let is_told = value.is_normal() && value.abs() < 9e18;
    if is_told && (field.len() <= 16 || significant(field) <= 15) {
        return number;
    }
    match decimal(field) {
        Number::Decimal(0, _) => Number::Int(0),
        exact => exact,
    }
}

/// Digits of a number from the first to the last that is not zero.
fn significant(field: &[u8]) -> usize {
    let mantissa = field.iter().take_while(|b| !matches!(b, b'e' | b'E'));
    let (mut met, mut last) = (0, 0);
    for digit in mantissa.filter(|b| b.is_ascii_digit()) {
        met += usize::from(met > 0 || *digit != b'0');
        if *digit != b'0' {
            last = met;
        }
    }
    last
}

/// The digits of an exponent; beyond a million it stands for one beyond every type.
fn short_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = unsigned(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i32, |value, digit| {
        (value * 10 + i32::from(digit - b'0')).min(1_000_000)
    });
    Some(if negative { -value } else { value })
}

/// A field as a truth value.
#[must_use]
pub fn boolean(field: &[u8]) -> Option<bool> {
    const TRUE: [&[u8]; 5] = [b"true", b"t", b"yes", b"y", b"1"];
    const FALSE: [&[u8]; 5] = [b"false", b"f", b"no", b"n", b"0"];
    match field {
        b"true" => return Some(true),
        b"false" => return Some(false),
        _ => {}
    }
    let field = field.trim_ascii();
    let is = |words: &[&[u8]]| words.iter().any(|word| field.eq_ignore_ascii_case(word));
    if is(&TRUE) {
        Some(true)
    } else {
        is(&FALSE).then_some(false)
    }
}

/// A field as a date, in days since 1970-01-01. A time of midnight may follow, without an offset;
/// any other time would be lost, so that the field is no date.
#[must_use]
pub fn date(field: &[u8]) -> Option<i64> {
    if let Some(days) = plain::date(field) {
        return Some(days);
    }
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
    let day = if text.len() <= "-009999-12-31".len() && !text.contains([':', 'T', 't', ' ']) {
        text.parse::<Date>().ok()?
    } else {
        if text.parse::<Timestamp>().is_ok() {
            return None;
        }
        let at: DateTime = text.parse().ok()?;
        if at.time() != Time::midnight() {
            return None;
        }
        at.date()
    };
    let epoch = jiff::civil::date(1970, 1, 1);
    Some(i64::from(epoch.until(day).ok()?.get_days()))
}

/// A field as an instant, in nanoseconds since 1970-01-01 UTC; a time without an offset is on the
/// clock of `zone`.
#[must_use]
pub fn timestamp(field: &[u8], zone: &TimeZone) -> Option<i128> {
    if let Some(nanos) = plain::timestamp(field, || *zone == TimeZone::UTC) {
        return Some(nanos);
    }
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => instant,
        Err(_) => zone.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    Some(instant.as_nanosecond())
}

/// A field as a time of day, in nanoseconds since midnight. A field with a date is none.
#[must_use]
pub fn time_of_day(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
    let bytes = text.as_bytes();
    let of_time = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b',');
    let plain = bytes.strip_prefix(b"T").unwrap_or(bytes);
    if !plain.iter().all(of_time) {
        return None;
    }
    let time: Time = text.parse().ok()?;
    let seconds = i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60;
    Some((seconds + i64::from(time.second())) * 1_000_000_000 + i64::from(time.subsec_nanosecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_whole_and_others_are_the_nearest_double() {
        assert_eq!(number(b"-0012"), Number::Int(-12));
        assert_eq!(number(b"+7"), Number::Int(7));
        assert_eq!(
            number(b"9223372036854775808"),
            Number::Int(9_223_372_036_854_775_808)
        );
        assert_eq!(number(b" 0.1 "), Number::Float(0.1));
        assert_eq!(number(b"1e3"), Number::Float(1000.0));
        for none in ["", "-", "1,5", "0x10", "+-1", "++1", "1_0", "True", "1 2"] {
            assert_eq!(number(none.as_bytes()), Number::None, "{none}");
        }
        assert_eq!(decimal(b"-0.30"), Number::Decimal(-30, 2));
        assert_eq!(decimal(b"1.2.3"), Number::None);
    }

    #[test]
    fn a_sign_stands_before_the_digits_or_the_field_is_no_number() {
        for none in [
            ".-5", "1.-5", "5-", "-.+5", "+", ".", "-.", "1e", "1e+", "--1", "-+1",
        ] {
            assert_eq!(number(none.as_bytes()), Number::None, "{none}");
            assert_eq!(decimal(none.as_bytes()), Number::None, "{none}");
        }
        assert_eq!(decimal(b"-.5"), Number::Decimal(-5, 1));
        assert_eq!(decimal(b"+5."), Number::Decimal(5, 0));
        assert_eq!(number(b"-.5"), Number::Float(-0.5));
    }

    #[test]
    fn no_digit_of_a_whole_number_or_a_declared_decimal_is_lost() {
        let near = b"170141183460469231731687303715884105728";
        let next = b"170141183460469231731687303715884105729";
        assert!(matches!(number(near), Number::Wide(_, 0)));
        assert_ne!(number(near), number(next));
        let least = b"-170141183460469231731687303715884105728";
        assert_eq!(number(least), Number::Int(i128::MIN));
        assert_eq!(number(&[b'9'; 78]), Number::TooWide);
        let zeros = [&[b'0'; 90][..], b"7"].concat();
        assert_eq!(number(&zeros), Number::Int(7));
        let long = format!("0.{}1", "0".repeat(60));
        assert_eq!(decimal(long.as_bytes()), Number::Decimal(1, 61));
        let short = format!("-1.5{}", "0".repeat(200));
        assert_eq!(decimal(short.as_bytes()), Number::Decimal(-15, 1));
        assert_eq!(decimal(b"12.5e-3"), Number::Decimal(125, 4));
        assert_eq!(decimal(b"1.5e3"), Number::Decimal(1500, 0));
        assert_eq!(decimal(b"1e400"), Number::TooWide);
        assert_eq!(decimal(b"1e-400"), Number::TooWide);
        assert_eq!(decimal(b"0e999999999999"), Number::Decimal(0, 0));
        assert!(matches!(decimal(b"NaN"), Number::Float(value) if value.is_nan()));
    }

    #[test]
    fn equal_numbers_are_told_as_one_and_others_as_others() {
        use assay_metrics::hash;
        let told = |text: &str| {
            let text = text.as_bytes();
            let identity = identity(text, number(text));
            let key = assay_metrics::KeyBuilder::default()
                .number(identity, text)
                .finish();
            (hash::number(identity, text), key)
        };
        for same in [
            &[
                "7",
                "007",
                "7.0",
                "+7",
                "70e-1",
                "7.00000000000000000000000000",
                "7e0",
            ][..],
            &["0", "-0.0", "0.000000000000000000000", "0e99"],
            &[
                "0.1",
                "0.10",
                ".1",
                "1e-1",
                "0.100000000000000000000000000000",
            ],
            &[
                "1e20",
                "100000000000000000000",
                "1.0e20",
                "100000000000000000000.0",
            ],
            &["1e50", "10e49", "1.00000000000000000000000e50"],
            &["1e-300", "1.0000000000000000000e-300"],
            &["12345678901234567", "12345678901234567.0"],
            &["NaN", "nan"],
        ] {
            for other in same {
                assert_eq!(told(same[0]), told(other), "{} {other}", same[0]);
            }
        }
        for (left, right) in [
            ("123456789.123456789012", "123456789.123456789013"),
            ("0.1", "0.10000000000000000000001"),
            ("1e400", "1e401"),
            ("1e400", "inf"),
            ("1e-400", "0"),
            ("9007199254740993.0", "9007199254740992.0"),
        ] {
            assert_ne!(told(left), told(right), "{left} {right}");
        }
    }

    #[test]
    fn a_date_has_no_time_a_time_has_no_date_and_every_year_is_read() {
        let day = Some(19_723);
        for text in ["2024-01-01", "2024-01-01T00:00:00", "2024-01-01 00:00"] {
            assert_eq!(date(text.as_bytes()), day, "{text}");
        }
        for text in [
            "2024-01-01T12:30:00",
            "2024-01-01T00:00:01",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00+02:00",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
        assert_eq!(time_of_day(b"12:00"), Some(43_200_000_000_000));
        for text in [
            "2024-01-01T12:00:00",
            "2024-01-01 12:00",
            "12:00+02:00",
            "2024-01-01",
        ] {
            assert_eq!(time_of_day(text.as_bytes()), None, "{text}");
        }
        let last = timestamp(b"9999-12-30T00:00:00.000000001Z", &TimeZone::UTC);
        assert_eq!(last, Some(253_402_128_000_000_000_001));
    }

    #[test]
    fn times_without_an_offset_are_on_the_clock_of_the_zone() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(timestamp(b"1970-01-01 01:00:00", &berlin), Some(0));
        assert_eq!(
            timestamp(b"1970-01-01T00:00:01Z", &berlin),
            Some(1_000_000_000)
        );
        assert_eq!(date(b"1970-01-02"), Some(1));
        assert_eq!(time_of_day(b"00:00:01.5"), Some(1_500_000_000));
    }
}
