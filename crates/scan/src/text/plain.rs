//! The common spellings of numbers, dates and times, read without looking twice.
//!
//! In: a field. Out: what [`super::values`] reads it as, or `None` where it is spelled in another
//! way, which says nothing of whether it is a value: the readers there know every spelling. It must
//! never give another value than they do.

use assay_metrics::Number;

use super::values;

/// Ten to the powers that a double holds exactly and a mantissa of 15 digits may have.
const TENS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];
/// The same as whole numbers.
const WHOLE_TENS: [u64; 16] = {
    let mut tens = [1; 16];
    let mut at = 1;
    while at < 16 {
        tens[at] = tens[at - 1] * 10;
        at += 1;
    }
    tens
};
/// Digits of which every double holds every number.
const EXACT_DIGITS: usize = 15;
/// Days from the first of January of the year 0 to 1970-01-01.
const EPOCH: i64 = 719_528;
/// Days of a common year before each month.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const LENGTH: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Eight digits as a number, the first in the lowest byte and each of them 0 to 9 (not ASCII).
#[inline]
fn weighed(digits: u64) -> u64 {
    const PAIRS: u64 = 0x00ff_00ff_00ff_00ff;
    const FOURS: u64 = 0x0000_ffff_0000_ffff;
    let pairs = (digits.wrapping_mul(10).wrapping_add(digits >> 8)) & PAIRS;
    let fours = (pairs.wrapping_mul(100).wrapping_add(pairs >> 16)) & FOURS;
    (fours.wrapping_mul(10_000).wrapping_add(fours >> 32)) & 0xffff_ffff
}

/// Whether a byte of the word is above 9.
#[inline]
fn is_odd(digits: u64) -> bool {
    let above = (digits & 0x7f7f_7f7f_7f7f_7f7f).wrapping_add(0x7676_7676_7676_7676) | digits;
    above & 0x8080_8080_8080_8080 != 0
}

#[inline]
fn eight(digits: [u8; 8]) -> Option<u64> {
    let digits = u64::from_le_bytes(digits) ^ 0x3030_3030_3030_3030;
    (!is_odd(digits)).then(|| weighed(digits))
}

/// Four to eight digits.
#[inline]
fn four_to_eight(digits: &[u8]) -> Option<u64> {
    let (first, last) = (digits.first_chunk::<4>()?, digits.last_chunk::<4>()?);
    // Both lie at the upper end of the word; where they overlap they are the same bytes.
    let free = 8 * (8 - digits.len().clamp(4, 8) as u32);
    let first = u64::from(u32::from_le_bytes(*first)) << free;
    let last = u64::from(u32::from_le_bytes(*last)) << 32;
    let digits = (first | last) ^ (0x3030_3030_3030_3030 << free);
    (!is_odd(digits)).then(|| weighed(digits))
}

/// At most 16 digits, and at least one.
#[inline]
fn up_to_sixteen(digits: &[u8]) -> Option<u64> {
    match digits.len() {
        1..4 => {
            let mut value = 0;
            for byte in digits {
                let digit = byte.wrapping_sub(b'0');
                if digit > 9 {
                    return None;
                }
                value = value * 10 + u64::from(digit);
            }
            Some(value)
        }
        4..=8 => four_to_eight(digits),
        9..=16 => {
            let (high, low) = digits.split_last_chunk::<8>()?;
            Some(up_to_eight(high)? * 100_000_000 + eight(*low)?)
        }
        _ => None,
    }
}

#[inline]
fn up_to_eight(digits: &[u8]) -> Option<u64> {
    match digits.len() {
        4..=8 => four_to_eight(digits),
        _ => digits.iter().try_fold(0, |value, byte| {
            let digit = byte.wrapping_sub(b'0');
            (digit <= 9).then(|| value * 10 + u64::from(digit))
        }),
    }
}

/// A whole number of at most 18 digits, the common case.
#[inline]
#[must_use]
pub fn short_int(field: &[u8]) -> Option<i64> {
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let value = match digits.split_last_chunk::<16>() {
        Some((high, low)) if high.len() <= 2 => {
            up_to_eight(high)? * 10_000_000_000_000_000 + up_to_sixteen(low)?
        }
        _ => up_to_sixteen(digits)?,
    };
    // Eighteen digits stay far below 63 bits.
    let value = value as i64;
    Some(if negative { -value } else { value })
}

/// What [`values::number`] reads, the common spellings first.
#[inline]
#[must_use]
pub fn quick_number(field: &[u8]) -> Number {
    if let Some(value) = short_int(field) {
        return Number::Int(i128::from(value));
    }
    let (negative, digits) = match field {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let is_digit = |byte: &&u8| byte.is_ascii_digit();
    let whole = digits.iter().take_while(is_digit).count();
    if whole == 0 || digits.get(whole) != Some(&b'.') {
        return values::number(field);
    }
    let fraction = &digits[whole + 1..];
    let value = match short(&digits[..whole], fraction) {
        // Both are exact, so that the quotient is the double nearest to the digits.
        Some(mantissa) => Some(mantissa as f64 / TENS[fraction.len()]),
        None => fast_float2::parse::<f64, _>(digits).ok(),
    };
    match value {
        Some(value) => Number::Float(if negative { -value } else { value }),
        None => values::number(field),
    }
}

/// Digits at the front of a text: their value, and how many they are.
#[inline]
fn front_digits(bytes: &[u8]) -> (u64, usize) {
    let (mut value, mut length) = (0u64, 0);
    loop {
        let rest = &bytes[length..];
        let word = match rest.first_chunk::<8>() {
            Some(word) => *word,
            None => {
                let mut word = [0; 8];
                word[..rest.len()].copy_from_slice(rest);
                word
            }
        };
        let digits = u64::from_le_bytes(word) ^ 0x3030_3030_3030_3030;
        let above = (digits & 0x7f7f_7f7f_7f7f_7f7f).wrapping_add(0x7676_7676_7676_7676) | digits;
        let odd = above & 0x8080_8080_8080_8080;
        if odd == 0 {
            // Beyond sixteen digits the value says nothing, and nobody asks for it.
            value = value
                .wrapping_mul(100_000_000)
                .wrapping_add(weighed(digits));
            length += 8;
            continue;
        }
        let more = odd.trailing_zeros() as usize / 8;
        if more > 0 {
            let digits = digits << (8 * (8 - more));
            value = value
                .wrapping_mul(WHOLE_TENS[more])
                .wrapping_add(weighed(digits));
        }
        return (value, length + more);
    }
}

/// The number at the front of a text in the spelling of JSON, and how many bytes it takes; `None`
/// where no such number is there. It is what [`quick_number`] reads in those bytes.
#[inline]
#[must_use]
pub fn json_number(bytes: &[u8]) -> Option<(Number, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let from = usize::from(negative);
    let digits = &bytes[from..];
    let (value, whole) = front_digits(digits);
    if whole == 0 || (whole > 1 && digits[0] == b'0') {
        return None;
    }
    let mut length = whole;
    let mut fraction = (0, 0);
    if digits.get(whole) == Some(&b'.') {
        fraction = front_digits(&digits[whole + 1..]);
        if fraction.1 == 0 {
            return None;
        }
        length += 1 + fraction.1;
    }
    if matches!(digits.get(length), Some(b'e' | b'E')) {
        length += 1;
        length += usize::from(matches!(digits.get(length), Some(b'+' | b'-')));
        let (_, exponent) = front_digits(&digits[length..]);
        let end = from + length + exponent;
        return (exponent > 0).then(|| (quick_number(&bytes[..end]), end));
    }
    let end = from + length;
    let number = match fraction {
        (_, 0) if whole <= 16 => {
            let value = value as i64;
            Number::Int(i128::from(if negative { -value } else { value }))
        }
        (fraction, decimals @ 1..) if whole + decimals <= EXACT_DIGITS => {
            let mantissa = value * WHOLE_TENS[decimals] + fraction;
            let value = mantissa as f64 / TENS[decimals];
            Number::Float(if negative { -value } else { value })
        }
        (_, 1..) => match fast_float2::parse::<f64, _>(&digits[..length]) {
            Ok(value) => Number::Float(if negative { -value } else { value }),
            Err(_) => quick_number(&bytes[..end]),
        },
        _ => quick_number(&bytes[..end]),
    };
    Some((number, end))
}

/// The digits before and behind a point as one number, where a double holds it.
#[inline]
fn short(whole: &[u8], fraction: &[u8]) -> Option<u64> {
    if fraction.is_empty() || whole.len() + fraction.len() > EXACT_DIGITS {
        return None;
    }
    let power = WHOLE_TENS[fraction.len()];
    Some(up_to_sixteen(whole)? * power + up_to_sixteen(fraction)?)
}

/// A date written `YYYY-MM-DD`, in days since 1970-01-01.
#[inline]
#[must_use]
pub fn date(field: &[u8]) -> Option<i64> {
    let [a, b, c, d, b'-', e, f, b'-', g, h] = *field else {
        return None;
    };
    let digits = eight([a, b, c, d, e, f, g, h])?;
    let (year, month, day) = (digits / 10_000, digits / 100 % 100, digits % 100);
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let leap_day = u32::from(is_leap && month == 2);
    if day == 0 || day > u64::from(*LENGTH.get(index)? + leap_day) {
        return None;
    }
    let year = year as i64;
    // Leap days of the years before.
    let leaps = (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
    let later = i64::from(is_leap && month > 2);
    Some(year * 365 + leaps + BEFORE[index] + later + day as i64 - 1 - EPOCH)
}

/// An instant written `YYYY-MM-DD`, `T` or a blank, `HH:MM:SS`, up to nine decimals, and `Z` or
/// nothing: in nanoseconds since 1970-01-01 UTC. `is_utc` says whether a time without a zone is of
/// UTC.
#[inline]
#[must_use]
pub fn timestamp(field: &[u8], is_utc: impl FnOnce() -> bool) -> Option<i128> {
    let (day, rest) = field.split_first_chunk::<10>()?;
    let days = date(day)?;
    // The last of what can be told lies within the year 9999.
    if day.starts_with(b"9999") {
        return None;
    }
    let (clock, rest) = rest.split_first_chunk::<9>()?;
    let [b'T' | b' ', a, b, b':', c, d, b':', e, f] = *clock else {
        return None;
    };
    let digits = eight([b'0', b'0', a, b, c, d, e, f])?;
    let (hour, minute, second) = (digits / 10_000, digits / 100 % 100, digits % 100);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (rest, has_zone) = match rest {
        [rest @ .., b'Z'] => (rest, true),
        rest => (rest, false),
    };
    let nanos = match rest {
        [] => 0,
        [b'.', decimals @ ..] if decimals.len() <= 9 => {
            let mut nanos = up_to_sixteen(decimals)?;
            for _ in decimals.len()..9 {
                nanos *= 10;
            }
            nanos
        }
        _ => return None,
    };
    if !has_zone && !is_utc() {
        return None;
    }
    let seconds = days * 86_400 + (hour * 3600 + minute * 60 + second) as i64;
    Some(i128::from(seconds) * 1_000_000_000 + i128::from(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::civil::DateTime;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    /// The slow twin: digit by digit.
    fn slow_int(field: &[u8]) -> Option<i64> {
        let text = std::str::from_utf8(field).ok()?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let plain = (1..=18).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok()).flatten()
    }

    /// The slow twin: the length of the number at the front, as JSON spells numbers.
    fn slow_length(bytes: &[u8]) -> Option<usize> {
        let digits = |from: usize| {
            let rest = bytes.get(from..).unwrap_or(&[]);
            rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
        };
        let mut at = usize::from(bytes.first() == Some(&b'-'));
        at += match (bytes.get(at)?, digits(at)) {
            (b'0', 1) | (b'1'..=b'9', 1..) => digits(at),
            _ => return None,
        };
        if bytes.get(at) == Some(&b'.') {
            let decimals = digits(at + 1);
            at += 1 + decimals;
            (decimals > 0).then_some(())?;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at);
            at += exponent;
            (exponent > 0).then_some(())?;
        }
        Some(at)
    }

    fn slow_date(text: &str) -> Option<i64> {
        let day: jiff::civil::Date = text.parse().ok()?;
        let epoch = jiff::civil::date(1970, 1, 1);
        Some(i64::from(epoch.until(day).ok()?.get_days()))
    }

    fn slow_instant(text: &str, zone: &TimeZone) -> Option<i128> {
        let instant = match text.parse::<Timestamp>() {
            Ok(instant) => instant,
            Err(_) => zone.to_timestamp(text.parse::<DateTime>().ok()?).ok()?,
        };
        Some(instant.as_nanosecond())
    }

    fn same(left: Number, right: Number) -> bool {
        match (left, right) {
            (Number::Float(left), Number::Float(right)) => left.to_bits() == right.to_bits(),
            (left, right) => left == right,
        }
    }

    #[test]
    fn every_day_of_ten_thousand_years_is_the_one_that_the_calendar_gives() {
        let mut day = jiff::civil::date(0, 1, 1);
        let first = slow_date("0000-01-01").unwrap();
        for number in first.. {
            let text = day.to_string();
            assert_eq!(date(text.as_bytes()), Some(number), "{text}");
            match day.tomorrow() {
                Ok(next) => day = next,
                Err(_) => break,
            }
        }
        assert_eq!(day.to_string(), "9999-12-31");
    }

    #[test]
    fn the_zone_of_a_time_decides_whether_it_is_read_here() {
        let noon = b"2024-02-29 12:00:00";
        assert_eq!(timestamp(noon, || true), Some(1_709_208_000_000_000_000));
        assert_eq!(timestamp(noon, || false), None);
        let zoned = b"2024-02-29T12:00:00.5Z";
        assert_eq!(timestamp(zoned, || false), Some(1_709_208_000_500_000_000));
        assert!(TimeZone::get("UTC").unwrap() == TimeZone::UTC);
        // Every reader agrees on these, so that here none of them may be a value.
        for none in [
            "2023-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-01-00",
            "2024-04-31",
        ] {
            assert_eq!(
                (date(none.as_bytes()), slow_date(none)),
                (None, None),
                "{none}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn a_whole_number_is_that_of_its_digits(
            text in prop_oneof!["-?[0-9]{0,20}", "-?[0-9]{0,18}[-+ ./:a0]?[0-9]{0,4}", "[ -~]{0,20}"],
        ) {
            prop_assert_eq!(short_int(text.as_bytes()), slow_int(text.as_bytes()), "{}", text);
        }

        #[test]
        fn a_number_is_what_the_slow_reader_reads(
            text in prop_oneof![
                "-?[0-9]{0,20}[.]?[0-9]{0,20}",
                "-?[0-9]{1,4}[.][0-9]{1,11}",
                "[-+ ]?[0-9]{0,4}[.]?[0-9]{0,4}([eE][-+]?[0-9]{0,3})?[ x]?",
                "-?0{0,3}[.]0{0,30}[0-9]{0,3}",
                "NaN|-?inf|[+]?Infinity|-|[.]|-[.]|1[.]|[.]5",
                any::<f64>().prop_map(|value| format!("{value:?}")),
            ],
        ) {
            let field = text.as_bytes();
            prop_assert!(same(quick_number(field), values::number(field)), "{}", text);
        }

        #[test]
        fn a_json_number_is_the_one_that_its_bytes_spell(
            text in prop_oneof![
                "-?[0-9]{0,20}[.]?[0-9]{0,20}",
                "-?(0|[1-9][0-9]{0,18})([.][0-9]{1,18})?([eE][-+]?[0-9]{1,3})?",
                "-?[0-9]{0,3}[.]?[0-9]{0,3}[eE]?[-+]?[0-9]{0,3}",
                any::<f64>().prop_map(|value| format!("{value:?}")),
                any::<i64>().prop_map(|value| value.to_string()),
            ],
            behind in "[, }\n]?[0-9a-f.,]{0,9}",
        ) {
            let all = format!("{text}{behind}");
            let found = slow_length(all.as_bytes()).map(|length| &all[..length]);
            let read = json_number(all.as_bytes());
            prop_assert_eq!(read.map(|read| read.1), found.map(str::len), "{}", all);
            if let (Some((number, _)), Some(found)) = (read, found) {
                prop_assert!(same(number, values::number(found.as_bytes())), "{}", all);
            }
        }

        #[test]
        fn a_day_or_an_instant_is_what_the_calendar_reads(
            text in prop_oneof![
                "[0-9]{4}-[01][0-9]-[0-3][0-9]",
                "[0-9]{4}-[01][0-9]-[0-3][0-9][T t][0-2][0-9]:[0-6][0-9]:[0-6][0-9]([.,][0-9]{0,11})?[Zz]?",
                "(0000|0001|9998|9999)-(01|12)-(01|30|31)[T ](00|23):(00|59):(00|59|60)([.][0-9]{1,9})?Z?",
                "[-0-9TZ:. ]{8,30}",
            ],
        ) {
            if let Some(days) = date(text.as_bytes()) {
                prop_assert_eq!(Some(days), slow_date(&text), "{}", text);
            }
            if let Some(nanos) = timestamp(text.as_bytes(), || true) {
                prop_assert_eq!(Some(nanos), slow_instant(&text, &TimeZone::UTC), "{}", text);
            }
        }
    }
}
