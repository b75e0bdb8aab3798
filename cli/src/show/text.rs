//! Words and numbers for people: counts, sizes, spans of time, values, colours.

use std::borrow::Cow;
use std::fmt::Write as _;

use assay_model::metric::MetricValue;
use assay_model::outcome::{CheckResult, Outcome, OutcomeCounts};
use assay_model::visible::{is_hidden, mark, one_line};
use jiff::Timestamp;

use crate::args::TimeFormat;

/// `1 204 311`: thousands apart by a narrow gap that a terminal shows as a blank.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// `1 error`, `2 errors`.
pub fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number as u64))
}

/// `18 partitions judged, 2 missing`, of so many that `missing` are among.
pub fn judged(all: usize, missing: usize) -> String {
    let judged = counted(all.saturating_sub(missing), "partition");
    match missing {
        0 => format!("{judged} judged"),
        n => format!("{judged} judged, {} missing", count(n as u64)),
    }
}

/// `84.0 MiB`.
pub fn bytes(number: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = number as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{number} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// `12.4 s`, `3 min 20 s`, `2 h 5 min`.
pub fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `5 min ago`, `in 3 h`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - then.as_second();
    let away = match seconds.unsigned_abs() {
        away @ 0..60 => format!("{away} s"),
        away @ 60..3600 => format!("{} min", away / 60),
        away @ 3600..86_400 => format!("{} h", away / 3600),
        away => format!("{} d", away / 86_400),
    };
    if seconds < 0 {
        format!("in {away}")
    } else {
        format!("{away} ago")
    }
}

/// An instant in the form that was asked for: `5 min ago`, or RFC 3339 in UTC.
pub fn when(then: Timestamp, now: Timestamp, times: TimeFormat) -> String {
    match times {
        TimeFormat::Relative => ago(then, now),
        TimeFormat::Iso => then.to_string(),
    }
}

/// A value, short enough for a column: exact whole numbers in full, doubles to six digits.
pub fn value(value: &MetricValue) -> String {
    match value {
        MetricValue::Null => "no value".to_owned(),
        MetricValue::Exact(digits) => exact(digits),
        MetricValue::Float(number) => float(*number),
        MetricValue::Text(text) if text.chars().count() > 40 => {
            let head: String = text.chars().take(37).collect();
            format!("{}...", one_line(&head))
        }
        MetricValue::Text(text) => one_line(text).into_owned(),
    }
}

/// A value with how far it may be off: `≈ 12 345 ±0.81 %`; as it is where it is exact.
pub fn measured(measured: &MetricValue, error_bound: Option<f64>) -> String {
    let shown = value(measured);
    match (measured, error_bound) {
        (MetricValue::Exact(_) | MetricValue::Float(_), Some(error)) if error.is_finite() => {
            let percent = float((error.abs() * 10_000.0).round() / 100.0);
            format!("≈ {shown} ±{percent} %")
        }
        _ => shown,
    }
}

/// The value of a result beside what it was held against: in full where it would be shown as the very
/// number that it breaks, or does not reach.
pub fn found(result: &CheckResult) -> String {
    let shown = measured(&result.actual, result.error_bound);
    let MetricValue::Float(number) = result.actual else {
        return shown;
    };
    let is_flagged = result.outcome.needs_a_look() && result.error_bound.is_none();
    let bound = phrase(&result.expected);
    if is_flagged && number.is_finite() && has_number(&bound, &shown) {
        return exact(&number.to_string());
    }
    shown
}

/// Whether a phrase has this number, between other words.
fn has_number(phrase: &str, number: &str) -> bool {
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-');
    phrase.match_indices(number).any(|(at, _)| {
        let before = phrase[..at].chars().next_back();
        let after = phrase[at + number.len()..].chars().next();
        !before.is_some_and(is_of_number) && !after.is_some_and(is_of_number)
    })
}

/// Why a check ended as it did, and what must be known of its value.
pub fn told(result: &CheckResult) -> String {
    let reason = result.reason.as_deref().map(phrase);
    // What stands in a row is shown as it is.
    let is_of_rows = !result.samples().is_empty();
    let as_it_is = |note: &str| {
        if is_of_rows {
            note.to_owned()
        } else {
            phrase(note)
        }
    };
    let note = result.note.as_deref().map(as_it_is);
    let told: Vec<String> = [reason, note].into_iter().flatten().collect();
    one_line(&told.join("; ")).into_owned()
}

fn exact(digits: &str) -> String {
    let (sign, rest) = digits
        .strip_prefix('-')
        .map_or(("", digits), |rest| ("-", rest));
    let (whole, fraction) = rest
        .split_once('.')
        .map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut out = format!("{sign}{}", grouped(whole));
    if let Some(fraction) = fraction {
        // Writing to a String cannot fail.
        let _ = write!(out, ".{fraction}");
    }
    out
}

/// A double to six significant digits, and in full before the point and two digits behind it.
pub fn float(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    let magnitude = number.abs().log10().floor();
    if (-4.0..15.0).contains(&magnitude) {
        let decimals = (5.0 - magnitude).clamp(2.0, 9.0) as usize;
        let text = format!("{number:.decimals$}");
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        exact(text)
    } else {
        format!("{number:.5e}")
    }
}

/// A phrase with its numbers as [`value`] writes them, so that both look alike in one line: words
/// that are no plain numbers (dates, names, paths) are left as they are.
pub fn phrase(words: &str) -> String {
    let shown: Vec<String> = words.split(' ').map(number_word).collect();
    shown.join(" ")
}

fn number_word(word: &str) -> String {
    let number = word.trim_end_matches([',', ';', ':', '.']);
    let end = &word[number.len()..];
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    // Four digits may be a year.
    if !plain(whole) || !plain(fraction) || (whole.len() < 5 && !digits.contains('.')) {
        return word.to_owned();
    }
    // More than eight decimals come from a double, which is shown to six digits everywhere.
    let shown = match number.parse::<f64>() {
        Ok(double) if fraction.len() > 8 => float(double),
        _ => exact(number),
    };
    format!("{shown}{end}")
}

/// `4 pass, 1 warn, 1 fail`: what there is of it.
pub fn counts(counts: &OutcomeCounts) -> String {
    let parts: Vec<String> = counts
        .by_outcome()
        .iter()
        .filter(|(_, n)| *n > 0)
        .map(|(outcome, n)| format!("{} {outcome}", count(*n)))
        .collect();
    if parts.is_empty() {
        "nothing to evaluate".to_owned()
    } else {
        parts.join(", ")
    }
}

/// The outcome in capitals, padded, coloured if asked.
pub fn badge(outcome: Outcome, color: bool) -> String {
    let word = match outcome {
        Outcome::Pass => "PASS",
        Outcome::Warn => "WARN",
        Outcome::Fail => "FAIL",
        Outcome::Error => "ERROR",
        Outcome::Missing => "MISSING",
        Outcome::Learning => "LEARN",
        Outcome::Skipped => "SKIP",
        Outcome::Overflow => "OVERFLOW",
    };
    let code = match outcome {
        Outcome::Pass => "32",
        Outcome::Warn => "33",
        Outcome::Fail | Outcome::Missing => "31",
        Outcome::Error | Outcome::Overflow => "35",
        Outcome::Learning | Outcome::Skipped => "36",
    };
    paint(&format!("{word:<8}"), code, color)
}

/// A line about what was seen and is no result.
pub fn remark(text: &str, color: bool) -> String {
    let word = paint(&format!("{:<8}", "NOTICE"), "36", color);
    format!("  {word} {}\n", one_line(text))
}

/// A text of several lines as a terminal may have it: what would hide, move or reorder others is
/// shown by its number; with `color`, colours are left.
pub fn safe(text: &str, color: bool) -> Cow<'_, str> {
    let is_odd = |c: char| is_hidden(c) || c == '\r';
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        let is_kept = match c {
            '\r' => rest.starts_with("\r\n"),
            '\u{1b}' => color && is_colour(rest),
            c => !is_hidden(c),
        };
        match is_kept {
            true => out.push(c),
            false => out.push_str(&mark(c)),
        }
    }
    Cow::Owned(out)
}

fn is_colour(text: &str) -> bool {
    let codes = text
        .strip_prefix("\u{1b}[")
        .and_then(|rest| rest.split_once('m'));
    codes.is_some_and(|(codes, _)| codes.bytes().all(|b| b.is_ascii_digit() || b == b';'))
}

/// `text` in an ANSI colour, if asked.
pub fn paint(text: &str, code: &str, color: bool) -> String {
    if color {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use assay_model::check::{CheckOrigin, Severity};
    use assay_model::ids::CheckId;
    use assay_model::metric::{Metric, MetricKey};

    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(1_204_311), "1 204 311");
        assert_eq!(bytes(84 << 20), "84.0 MiB");
        assert_eq!(span(12_400), "12.4 s");
        assert_eq!(value(&MetricValue::integer(-1234567)), "-1 234 567");
        assert_eq!(float(0.012_345_678), "0.0123457");
        assert_eq!(float(1.0e-9), "1.00000e-9");
        assert_eq!(float(56000.0), "56 000");
        assert_eq!(float(1_234_567.5), "1 234 567.5");
    }

    #[test]
    fn instants_are_told_from_now_on_either_side() {
        let now = Timestamp::UNIX_EPOCH;
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(ago(at(-300), now), "5 min ago");
        assert_eq!(ago(now, now), "0 s ago");
        assert_eq!(ago(at(90 * 86_400), now), "in 90 d");
        assert_eq!(ago(at(7200), now), "in 2 h");
    }

    #[test]
    fn an_estimate_says_how_far_it_may_be_off() {
        let estimate = MetricValue::Float(12_345.0);
        assert_eq!(measured(&estimate, Some(0.008_125)), "≈ 12 345 ±0.81 %");
        assert_eq!(measured(&estimate, None), "12 345");
        assert_eq!(measured(&MetricValue::Null, Some(0.1)), "no value");
    }

    #[test]
    fn numbers_of_a_phrase_look_like_those_of_values() {
        let all = [
            (
                "between 61285.5 and 83740.3",
                "between 61 285.5 and 83 740.3",
            ),
            (
                "rowCount was 49936 and is 54929;",
                "rowCount was 49 936 and is 54 929;",
            ),
            ("was 1.1614867029798142", "was 1.16149"),
            ("= -1234567", "= -1 234 567"),
            ("since 2026-11-20 in 2026", "since 2026-11-20 in 2026"),
            ("/data/12345/a.csv: line 3", "/data/12345/a.csv: line 3"),
            ("> 0", "> 0"),
        ];
        for (words, shown) in all {
            assert_eq!(phrase(words), shown);
        }
    }

    #[test]
    fn a_value_that_looks_like_the_bound_it_breaks_is_shown_in_full() {
        let of = |actual: f64, expected: &str, outcome| CheckResult {
            check: CheckId::new("c"),
            metric: MetricKey::column(Metric::Sum, "v"),
            severity: Severity::Error,
            origin: CheckOrigin::Declared,
            outcome,
            actual: MetricValue::Float(actual),
            error_bound: None,
            note: None,
            expected: expected.to_owned(),
            limits: None,
            reason: None,
        };
        let shown = |actual, expected| found(&of(actual, expected, Outcome::Fail));
        assert_eq!(shown(0.1 + 0.2, "= 0.3"), "0.30000000000000004");
        assert_eq!(shown(1_234_568.11, "< 1234568"), "1 234 568.11");
        assert_eq!(shown(0.1 + 0.2, "= 0.31"), "0.3");
        assert_eq!(shown(0.1 + 0.2, "= 10.3"), "0.3");
        let good = of(0.1 + 0.2, "between 0.3 and 1", Outcome::Pass);
        assert_eq!(found(&good), "0.3");
    }

    #[test]
    fn a_text_for_a_terminal_moves_nothing_in_it() {
        let text = "a\u{1b}[2K\u{1b}[31mred\u{1b}[0m\u{202e}\rb\r\nc\td\n";
        let plain = "a⟨U+001B⟩[2K⟨U+001B⟩[31mred⟨U+001B⟩[0m⟨U+202E⟩⟨U+000D⟩b\r\nc\td\n";
        assert_eq!(safe(text, false), plain);
        let coloured = "a⟨U+001B⟩[2K\u{1b}[31mred\u{1b}[0m⟨U+202E⟩⟨U+000D⟩b\r\nc\td\n";
        assert_eq!(safe(text, true), coloured);
    }

    #[test]
    fn nothing_evaluated_is_said_in_words() {
        assert_eq!(counts(&OutcomeCounts::default()), "nothing to evaluate");
    }
}
