//! What a check expects, in words and as limits to draw.
//!
//! In: an expectation. Out: a phrase for people; the numeric limits of a fixed one. It must never
//! decide anything: the exact comparison is elsewhere.

use assay_model::check::Expectation;
use assay_model::outcome::{FIXED, HeldBack, Limits};
use jiff::civil::{Date, Weekday};

/// `= 0`, `between 9 and 11`, `within learned limits`.
#[must_use]
pub fn in_words(expect: &Expectation) -> String {
    match expect {
        Expectation::MustBe(b) => format!("= {b}"),
        Expectation::MustNotBe(b) => format!("not {b}"),
        Expectation::MustBeGreaterThan(b) => format!("> {b}"),
        Expectation::MustBeGreaterOrEqualTo(b) => format!(">= {b}"),
        Expectation::MustBeLessThan(b) => format!("< {b}"),
        Expectation::MustBeLessOrEqualTo(b) => format!("<= {b}"),
        Expectation::MustBeBetween(low, high) => format!("between {low} and {high}, both excluded"),
        Expectation::MustNotBeBetween(low, high) => format!("not between {low} and {high}"),
        Expectation::Learned => "within learned limits".to_owned(),
        Expectation::Band {
            within_stddev,
            over_runs,
            ..
        } => format!(
            "within {within_stddev} standard deviations of the mean of the last {over_runs} partitions"
        ),
        Expectation::SameSchema => {
            "the schema of the definition and of the last partition in order".to_owned()
        }
        Expectation::NotStale => "not one of the last three partitions again".to_owned(),
        Expectation::NotRestated => "as it was when it was judged".to_owned(),
        Expectation::NotRunHere { .. } => "not run here".to_owned(),
    }
}

/// A number to six significant digits: limits are no exact numbers.
pub(crate) fn in_figures(number: f64) -> String {
    let rounded: f64 = format!("{number:.5e}").parse().unwrap_or(number);
    rounded.to_string()
}

/// What was expected of a day, with the limits in figures where there are some.
pub(crate) fn expected(expect: &Expectation, limits: Option<&Limits>, day: Option<Date>) -> String {
    match expect {
        Expectation::Learned | Expectation::Band { .. } => limits
            .and_then(|limits| {
                let words = limits_in_words(limits)?;
                let day = day.filter(|_| limits.model.starts_with("weekday"));
                Some(match day {
                    Some(day) => format!("{words} on a {}", weekday(day)),
                    None => words,
                })
            })
            .unwrap_or_else(|| in_words(expect)),
        _ => in_words(expect),
    }
}

fn weekday(day: Date) -> &'static str {
    match day.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// Learned limits in words: `between 48230 and 61110`, `at least 3`.
fn limits_in_words(limits: &Limits) -> Option<String> {
    let show = in_figures;
    match (limits.lower, limits.upper) {
        (Some(low), Some(high)) if low < high => {
            Some(format!("between {} and {}", show(low), show(high)))
        }
        (Some(only), Some(_)) => Some(format!("= {}", show(only))),
        (Some(low), None) => Some(format!("at least {}", show(low))),
        (None, Some(high)) => Some(format!("at most {}", show(high))),
        (None, None) => None,
    }
}

/// The limits of a fixed expectation, for showing; open ones and exclusions have none on a side.
pub(crate) fn fixed_limits(expect: &Expectation) -> Limits {
    let (lower, upper) = match expect {
        Expectation::MustBe(b) => (Some(b), Some(b)),
        Expectation::MustBeGreaterThan(b) | Expectation::MustBeGreaterOrEqualTo(b) => {
            (Some(b), None)
        }
        Expectation::MustBeLessThan(b) | Expectation::MustBeLessOrEqualTo(b) => (None, Some(b)),
        Expectation::MustBeBetween(low, high) => (Some(low), Some(high)),
        _ => (None, None),
    };
    Limits {
        lower: lower.map(assay_model::check::Bound::as_f64),
        upper: upper.map(assay_model::check::Bound::as_f64),
        model: FIXED.to_owned(),
        model_version: 1,
        ..Limits::default()
    }
}

/// `learning held back by row_count_floor, unique_id (12 partitions)`; nothing where nothing is.
pub(crate) fn held_back_in_words(held_back: &[HeldBack]) -> Option<String> {
    const NAMED: usize = 3;
    let mut checks: Vec<&str> = held_back.iter().map(|h| h.by.as_str()).collect();
    checks.sort_unstable();
    checks.dedup();
    let more = checks.len().saturating_sub(NAMED);
    let mut names = checks.get(..checks.len() - more)?.join(", ");
    if more > 0 {
        names.push_str(&format!(" and {more} more"));
    }
    let partitions = match held_back.len() {
        0 => return None,
        1 => "1 partition".to_owned(),
        n => format!("{n} partitions"),
    };
    Some(format!("learning held back by {names} ({partitions})"))
}
