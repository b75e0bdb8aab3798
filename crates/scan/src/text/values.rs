//! Texts read as typed values.
//!
//! In: a field. Out: an exact integer, the nearest double, a date, a time, a truth value, or the
//! fact that it is none. Nothing is rounded that can be kept: whole numbers stay whole up to 128
//! bits, doubles are the nearest to all digits.

use assay_metrics::Number;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

/// A whole number of at most 18 digits, the common case.
#[inline]
#[must_use]
pub fn short_int(field: &[u8]) -> Option<i64> {
    let digits = match field {
        [b'-', rest @ ..] => rest,
        rest => rest,
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if digits.len() == field.len() {
        value
    } else {
        -value
    })
}

/// A field as a number. Blanks around it are allowed; `NaN` and infinities in their usual
/// spellings are numbers, hexadecimal and grouped digits are not.
#[must_use]
pub fn number(field: &[u8]) -> Number {
    let field = field.trim_ascii();
    if let Some(value) = short_int(field) {
        return Number::Int(i128::from(value));
    }
    let unsigned = field.strip_prefix(b"+").unwrap_or(field);
    if unsigned.len() != field.len() && matches!(unsigned.first(), Some(b'-' | b'+')) {
        return Number::None;
    }
    let digits = unsigned.strip_prefix(b"-").unwrap_or(unsigned);
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        let text = std::str::from_utf8(unsigned).unwrap_or_default();
        if let Ok(value) = text.parse() {
            return Number::Int(value);
        }
    }
    match fast_float2::parse::<f64, _>(unsigned) {
        Ok(value) => Number::Float(value),
        Err(_) => Number::None,
    }
}

/// A field as a decimal with exactly the digits written, where 128 bits hold them.
#[must_use]
pub fn decimal(field: &[u8]) -> Number {
    let text = field.trim_ascii();
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+');
    if !text.iter().all(plain) {
        return number(field);
    }
    let scale = text
        .iter()
        .position(|b| *b == b'.')
        .map_or(0, |at| text.len() - at - 1);
    let digits: String = text
        .iter()
        .filter(|b| **b != b'.')
        .map(|b| char::from(*b))
        .collect();
    let points = text.iter().filter(|b| **b == b'.').count();
    match (digits.parse::<i128>(), i8::try_from(scale)) {
        (Ok(unscaled), Ok(scale)) if points <= 1 && scale <= 38 => Number::Decimal(unscaled, scale),
        _ => number(field),
    }
}

/// A field as a truth value.
#[must_use]
pub fn boolean(field: &[u8]) -> Option<bool> {
    match field.trim_ascii().to_ascii_lowercase().as_slice() {
        b"true" | b"t" | b"yes" | b"y" | b"1" => Some(true),
        b"false" | b"f" | b"no" | b"n" | b"0" => Some(false),
        _ => None,
    }
}

/// A field as a date, in days since 1970-01-01. A time of midnight may follow.
#[must_use]
pub fn date(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
    let day: Date = text.parse().ok()?;
    let epoch = jiff::civil::date(1970, 1, 1);
    Some(i64::from(epoch.until(day).ok()?.get_days()))
}

/// A field as an instant, in nanoseconds since 1970-01-01 UTC; a time without an offset is on the
/// clock of `zone`.
#[must_use]
pub fn timestamp(field: &[u8], zone: &TimeZone) -> Option<i64> {
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
    let instant = match text.parse::<Timestamp>() {
        Ok(instant) => instant,
        Err(_) => zone.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
    };
    i64::try_from(instant.as_nanosecond()).ok()
}

/// A field as a time of day, in nanoseconds since midnight.
#[must_use]
pub fn time_of_day(field: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
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
