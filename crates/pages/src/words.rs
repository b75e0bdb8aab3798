//! Numbers, durations and times as people read them.
//!
//! Comes in: values and the instant of the request. Goes out: short texts. It must never round an
//! exact value that is asked for exactly: [`grouped`] keeps every digit; only [`compact`] is short.

use jiff::Timestamp;

use crate::html::{Markup, escaped};

/// Between groups of three digits: narrow, and no line breaks there.
const THIN: char = '\u{202f}';

/// A decimal number with groups of three digits before its point; other texts as they are.
#[must_use]
pub fn grouped(number: &str) -> String {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("−", rest),
        None => ("", number),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (whole, tail) = rest.split_at(end);
    if whole.is_empty() {
        return number.to_owned();
    }
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(THIN);
        }
        out.push(digit);
    }
    out.push_str(tail);
    out
}

/// A whole number with groups of three digits.
#[must_use]
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

/// `1 check`, `2 checks`.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A double in six digits, of great ones with the two behind the point, and never in so few that two marks of an axis look the same.
#[must_use]
pub fn decimal(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "∞"
        } else {
            "−∞"
        }
        .to_owned();
    }
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) {
        return format!("{value:.3e}").replace('-', "−");
    }
    let decimals: usize = match size {
        s if s >= 1e3 => 2,
        s if s >= 1.0 => 3,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    grouped(if text == "-0" { "0" } else { text })
}

/// A double for an axis or a counter: `1.2M`, `430k`, `0.25`.
#[must_use]
pub fn compact(value: f64) -> String {
    let size = value.abs();
    let (by, letter) = match size {
        s if !s.is_finite() || s < 1e4 => return decimal(value),
        s if s < 1e6 => (1e3, "k"),
        s if s < 1e9 => (1e6, "M"),
        s if s < 1e12 => (1e9, "G"),
        s if s < 1e15 => (1e12, "T"),
        _ => return decimal(value),
    };
    format!(
        "{}{letter}",
        decimal((value / by * 1000.0).round() / 1000.0)
    )
}

/// Bytes in powers of 1024.
#[must_use]
pub fn bytes(number: u64) -> String {
    let mut value = number as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{number} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// A length of time in its two greatest units: `420 ms`, `12.4 s`, `2 min 5 s`, `3 h 20 min`, `4 d`.
#[must_use]
pub fn duration_ms(ms: u64) -> String {
    let s = ms / 1000;
    let two = |big: u64, word: &str, small: u64, less: &str| {
        if small == 0 {
            format!("{big} {word}")
        } else {
            format!("{big} {word} {small} {less}")
        }
    };
    match s {
        0 => format!("{ms} ms"),
        1..=59 => format!("{}.{} s", s, ms % 1000 / 100),
        60..=3599 => two(s / 60, "min", s % 60, "s"),
        3600..=86_399 => two(s / 3600, "h", s % 3600 / 60, "min"),
        _ => two(s / 86_400, "d", s % 86_400 / 3600, "h"),
    }
}

/// How long ago, or how long from now, in one unit.
#[must_use]
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let s = now.as_second().saturating_sub(at.as_second());
    let far = s.unsigned_abs();
    let text = match far {
        0..=4 => return "just now".to_owned(),
        5..=89 => format!("{far} s"),
        90..=5399 => format!("{} min", (far + 30) / 60),
        5400..=129_599 => format!("{} h", (far + 1800) / 3600),
        _ => format!("{} d", (far + 43_200) / 86_400),
    };
    if s >= 0 {
        format!("{text} ago")
    } else {
        format!("in {text}")
    }
}

/// An instant as `2026-11-20 15:17:04 UTC`.
#[must_use]
pub fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An instant in words, with the exact one in the element: what the switch of times reads.
#[must_use]
pub fn ago(at: Timestamp, now: Timestamp) -> Markup {
    askama::filters::Safe(format!(
        "<time datetime=\"{}\" title=\"{}\">{}</time>",
        escaped(&at.to_string()),
        escaped(&exact(at)),
        escaped(&relative(at, now)),
    ))
}

/// [`ago`], or a dash where there is no instant.
#[must_use]
pub fn ago_or_none(at: Option<Timestamp>, now: Timestamp) -> Markup {
    at.map_or_else(|| askama::filters::Safe("–".to_owned()), |at| ago(at, now))
}

/// The time that `from` to `to` takes.
#[must_use]
pub fn between(from: Timestamp, to: Timestamp) -> String {
    let ms = to.as_millisecond().saturating_sub(from.as_millisecond());
    duration_ms(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_and_none_is_lost() {
        assert_eq!(grouped("1204311"), "1\u{202f}204\u{202f}311");
        assert_eq!(grouped("-1000.50"), "−1\u{202f}000.50");
        assert_eq!(grouped("12"), "12");
        assert_eq!(grouped("n/a"), "n/a");
        let long = "123456789012345678901234567890";
        assert_eq!(grouped(long).replace('\u{202f}', ""), long);
    }

    #[test]
    fn doubles_are_short_and_small_differences_are_kept() {
        assert_eq!(decimal(0.0), "0");
        assert_eq!(decimal(-0.0), "0");
        assert_eq!(decimal(1.42), "1.42");
        assert_eq!(decimal(0.00012), "0.00012");
        assert!(decimal(449_999.5).ends_with("999.5"));
        assert_eq!(decimal(1e300), "1.000e300");
        assert_eq!(decimal(f64::NAN), "NaN");
        assert_eq!(compact(1_204_311.0), "1.204M");
        assert_eq!(compact(950.0), "950");
        assert_eq!(compact(-25_000.0), "−25k");
    }

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        assert_eq!(duration_ms(420), "420 ms");
        assert_eq!(duration_ms(12_400), "12.4 s");
        assert_eq!(duration_ms(125_000), "2 min 5 s");
        assert_eq!(duration_ms(7_200_000), "2 h");
        assert_eq!(duration_ms(100_000_000), "1 d 3 h");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(88_080_384), "84.0 MiB");
    }

    #[test]
    fn times_are_told_from_now_on_both_sides() {
        let now: Timestamp = "2026-11-20T15:00:00Z".parse().unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(relative(at("2026-11-20T14:55:00Z"), now), "5 min ago");
        assert_eq!(relative(at("2026-11-20T15:00:02Z"), now), "just now");
        assert_eq!(relative(at("2026-11-20T17:00:00Z"), now), "in 2 h");
        assert_eq!(relative(at("2026-11-10T15:00:00Z"), now), "10 d ago");
        assert!(
            ago(now, now)
                .0
                .contains("datetime=\"2026-11-20T15:00:00Z\"")
        );
    }
}
