//! What templates print: typed values as words, marks and links.
//!
//! Functions take references, as templates pass them.

use std::fmt::Write;

use askama::filters::Safe;
use assay_answers::run::Run;
use assay_answers::value::{Counts, Value};
use assay_model::check::{CheckOrigin, Severity};
use assay_model::outcome::{Health, Outcome};
use assay_model::run::{RunState, Trigger};
use jiff::Timestamp;

use crate::chart::Unit;
use crate::html::{Markup, escaped, shortened};
use crate::{mark, words};

/// A whole number.
#[must_use]
pub fn n(number: &u64) -> String {
    words::count(*number)
}

/// A whole number.
#[must_use]
pub fn n32(number: &u32) -> String {
    words::count(u64::from(*number))
}

/// `1 check`, `2 checks`.
#[must_use]
pub fn counted(number: &u64, one: &str, many: &str) -> String {
    words::counted(*number, one, many)
}

/// An instant, from now.
#[must_use]
pub fn at(at: &Timestamp, now: &Timestamp) -> Markup {
    words::ago(*at, *now)
}

/// An instant from now, or a dash.
#[must_use]
pub fn maybe_at(at: &Option<Timestamp>, now: &Timestamp) -> Markup {
    words::ago_or_none(*at, *now)
}

/// Bytes.
#[must_use]
pub fn bytes(number: &u64) -> String {
    words::bytes(*number)
}

/// An outcome as a badge.
#[must_use]
pub fn outcome(outcome: &Outcome) -> Markup {
    mark::badge(*outcome)
}

/// A health as a badge.
#[must_use]
pub fn health(health: &Health) -> Markup {
    mark::health(*health)
}

/// A state as a badge.
#[must_use]
pub fn state(word: &str) -> Markup {
    mark::state(word)
}

/// A severity as a badge.
#[must_use]
pub fn severity(severity: &Severity) -> Markup {
    let like = match severity {
        Severity::Error => Outcome::Fail,
        Severity::Warning => Outcome::Warn,
        Severity::Info => Outcome::Learning,
    };
    Safe(format!(
        "<span class=\"badge {}\">{}{severity}</span>",
        mark::class(like),
        mark::icon(like)
    ))
}

/// Characters of a word that is never taken apart.
const UNBROKEN: usize = 18;

/// A text of at most `most` characters; a longer one is cut, and whole for those who point at it.
#[must_use]
pub fn short(text: &str, most: usize) -> Markup {
    if text.chars().nth(most).is_none() {
        // A date or a name that is taken apart at its hyphen is read as two.
        if text.chars().nth(UNBROKEN).is_none() && !text.contains(char::is_whitespace) {
            return Safe(format!("<span class=\"nowrap\">{}</span>", escaped(text)));
        }
        return Safe(with_whole_days(text));
    }
    Safe(format!(
        "<span title=\"{}\">{}</span>",
        escaped(&shortened(text, 2000)),
        escaped(&shortened(text, most))
    ))
}

/// A text of several words, in which no day is taken apart at its hyphens.
fn with_whole_days(text: &str) -> String {
    let word = |word: &str| {
        let day = word.trim_end_matches([',', ';', ':', '.']);
        match day.parse::<jiff::civil::Date>() {
            Ok(_) => format!("<span class=\"nowrap\">{}</span>", escaped(word)),
            Err(_) => escaped(word),
        }
    };
    let words: Vec<String> = text.split(' ').map(word).collect();
    words.join(" ")
}

/// The name of a metric, which is taken apart behind its bracket where it has to be.
#[must_use]
pub fn metric(text: &str, most: usize) -> Markup {
    let Safe(shown) = short(text, most);
    // A longer one has its whole text in an attribute.
    match shown.contains("title=") {
        true => Safe(shown),
        false => Safe(shown.replacen('(', "(<wbr>", 1)),
    }
}

/// A name of at most 60 characters: of a column, a check, a partition.
#[must_use]
pub fn name(text: &str) -> Markup {
    short(text, 60)
}

/// A value, every digit of an exact one.
#[must_use]
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Exact(digits) => words::grouped(digits),
        Value::Float(number) => words::decimal(*number),
        Value::Special(word) => word.clone(),
        // Texts stand in columns of numbers.
        Value::Text(text) => shortened(text, 32),
    }
}

/// A value of a metric with its unit.
#[must_use]
pub fn measured(of: &Value, metric: &str) -> String {
    let text = value(of);
    match of {
        Value::Exact(_) | Value::Float(_) => text + Unit::of(metric).suffix(),
        _ => text,
    }
}

/// What was expected, with its long numbers in groups as the others are.
#[must_use]
pub fn expected(text: &str) -> Markup {
    let word = |word: &str| {
        let number = word.trim_end_matches([',', ';']);
        let digits = number.trim_start_matches('-');
        let whole = digits.split('.').next().unwrap_or_default();
        let is_number = whole.len() > 4 && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
        match is_number {
            true => words::grouped(number) + &word[number.len()..],
            false => word.to_owned(),
        }
    };
    let words: Vec<String> = text.split(' ').map(word).collect();
    short(&words.join(" "), 90)
}

/// A bound of limits.
#[must_use]
pub fn bound(bound: &Option<f64>) -> String {
    bound.map_or_else(|| "–".to_owned(), words::decimal)
}

/// A bound of the limits of a metric, with its unit.
#[must_use]
pub fn bound_of(of: &Option<f64>, metric: &str) -> String {
    match of {
        Some(_) => bound(of) + Unit::of(metric).suffix(),
        None => bound(of),
    }
}

/// The counts of outcomes in the order in which they need a look.
#[must_use]
pub fn each(counts: &Counts) -> [(Outcome, u64); 8] {
    [
        (Outcome::Fail, counts.fail),
        (Outcome::Missing, counts.missing),
        (Outcome::Error, counts.error),
        (Outcome::Overflow, counts.overflow),
        (Outcome::Warn, counts.warn),
        (Outcome::Pass, counts.pass),
        (Outcome::Learning, counts.learning),
        (Outcome::Skipped, counts.skipped),
    ]
}

/// How many checks ended how, without those of which there are none.
#[must_use]
pub fn counts(counts: &Counts) -> Markup {
    let mut out = String::from("<span class=\"counts\">");
    for (outcome, count) in each(counts).into_iter().filter(|(_, count)| *count > 0) {
        let _ = write!(
            out,
            "<span title=\"{} {outcome}\">{}<b>{}</b><span class=\"visually-hidden\">{outcome}</span></span>",
            words::count(count),
            mark::icon(outcome),
            words::count(count),
        );
    }
    if counts.planned == 0 {
        out.push_str("<span class=\"faint\">none yet</span>");
    }
    out.push_str("</span>");
    Safe(out)
}

/// The gravest outcome of several checks.
#[must_use]
pub fn gravest(counts: &Counts) -> Option<Outcome> {
    each(counts)
        .into_iter()
        .find(|(_, count)| *count > 0)
        .map(|(outcome, _)| outcome)
}

/// How a run is shown among others: never as passed unless it ended whole, its checks passed and none
/// of them is still learning. `None` while it goes on.
#[must_use]
pub fn of_run(state: RunState, counts: &Counts) -> Option<Outcome> {
    let gravest = gravest(counts);
    match state {
        RunState::Queued | RunState::Planning | RunState::Running | RunState::Finalising => None,
        RunState::Succeeded => Some(match gravest {
            Some(Outcome::Pass) if counts.learning > 0 => Outcome::Learning,
            gravest => gravest.unwrap_or(Outcome::Skipped),
        }),
        RunState::Partial | RunState::Failed => Some(
            gravest
                .filter(|o| o.gravity() == 0)
                .unwrap_or(Outcome::Error),
        ),
        RunState::Cancelled | RunState::SkippedStale => Some(Outcome::Skipped),
    }
}

/// The state of a run as a badge: `succeeded` says that its tasks did, so it is green only where
/// every check that was judged passed.
#[must_use]
pub fn run_state(state: &RunState, counts: &Counts) -> Markup {
    let green = of_run(*state, counts) == Some(Outcome::Pass);
    if *state != RunState::Succeeded || green {
        return mark::state(state.as_str());
    }
    let about = match gravest(counts) {
        Some(outcome) if outcome.needs_a_look() => {
            "all of its tasks succeeded; the data did not pass every check"
        }
        _ => "all of its tasks succeeded; not every check has judged the data",
    };
    mark::quiet(state.as_str(), about)
}

/// How long a run took, or has taken so far.
#[must_use]
pub fn took(run: &Run, now: &Timestamp) -> String {
    match (run.started_at, run.finished_at) {
        (Some(start), Some(end)) => words::between(start, end),
        (Some(start), None) => words::between(start, *now),
        (None, _) => "–".to_owned(),
    }
}

/// What was asked of a run, in words.
#[must_use]
pub fn selection(run: &Run) -> String {
    let of = &run.selection;
    let mut text = match (of.keys.len(), of.last_days) {
        (0, None) => "all that is new or changed".to_owned(),
        (0, Some(days)) => format!(
            "the last {}",
            words::counted(u64::from(days), "day", "days")
        ),
        (1, _) => format!("partition {}", shortened(&of.keys[0], 60)),
        (many, _) => words::counted(many as u64, "partition", "partitions"),
    };
    if of.rescan {
        text.push_str(", unchanged ones too");
    }
    text
}

/// Where a check comes from.
#[must_use]
pub const fn origin(of: &CheckOrigin) -> &'static str {
    match of {
        CheckOrigin::Declared => "a rule of the dataset's file",
        CheckOrigin::Implied => "what the file requires of the column",
        CheckOrigin::Profiled => "limits learned from the past",
        CheckOrigin::BuiltIn => "built in: it needs no limits",
    }
}

/// Who or what started a run.
#[must_use]
pub const fn trigger(of: &Trigger) -> &'static str {
    match of {
        Trigger::Schedule => "its schedule",
        Trigger::Manual => "somebody",
        Trigger::Backfill => "a backfill",
        Trigger::Arrival => "new data",
    }
}

/// What a model expects, in words; its name for those who point at it.
#[must_use]
pub fn model(name: &str) -> Markup {
    let words = match name.split('+').next().unwrap_or_default() {
        "fixed" => "the definition",
        "median" => "the median of the past",
        "recent-median" => "the recent median",
        "drift" => "the trend of the past",
        "weekday-median" => "the median of the same weekday",
        "weekday-following" => "the same weekday, following changes",
        "mean-following" => "the mean, following changes",
        _ => return short(name, 40),
    };
    Safe(format!("<span title=\"{}\">{words}</span>", escaped(name)))
}

/// The first characters of an id that tell runs apart.
#[must_use]
pub fn id(id: &str) -> String {
    shortened(id, 16)
}

/// One part of a path.
#[must_use]
pub fn part(text: &str) -> String {
    crate::html::part(text)
}

/// A share as parts of a hundred.
#[must_use]
pub fn percent_of(share: &f64) -> String {
    words::decimal(share * 100.0)
}

/// A part of a hundred, in whole parts: never a hundred before all is done.
#[must_use]
pub fn percent(done: u64, all: u64) -> u64 {
    done.saturating_mul(100)
        .checked_div(all)
        .unwrap_or(0)
        .min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_green_only_when_it_ended_whole_and_its_checks_passed() {
        let passed = Counts {
            planned: 3,
            pass: 3,
            ..Counts::default()
        };
        let nothing = Counts::default();
        let learning = Counts {
            planned: 2,
            pass: 0,
            learning: 2,
            ..nothing
        };
        let some_learning = Counts {
            planned: 4,
            learning: 1,
            ..passed
        };
        let failed = Counts {
            planned: 4,
            pass: 3,
            fail: 1,
            ..nothing
        };
        let succeeded = RunState::Succeeded;
        assert_eq!(of_run(succeeded, &some_learning), Some(Outcome::Learning));
        for state in RunState::ALL {
            for counts in [&passed, &nothing, &learning, &some_learning, &failed] {
                let green = of_run(*state, counts) == Some(Outcome::Pass);
                let badge = run_state(state, counts).0;
                assert_eq!(badge.contains("s-good"), green, "{badge}");
                assert!(badge.contains(&state.as_str().replace('_', " ")), "{badge}");
                assert_eq!(
                    green,
                    *state == RunState::Succeeded && counts == &passed,
                    "{state}"
                );
            }
        }
        assert_eq!(of_run(RunState::Partial, &failed), Some(Outcome::Fail));
    }

    #[test]
    fn counts_add_up_to_what_was_planned() {
        let all = Counts {
            planned: 36,
            pass: 1,
            warn: 2,
            fail: 3,
            error: 4,
            missing: 5,
            learning: 6,
            skipped: 7,
            overflow: 8,
        };
        assert_eq!(each(&all).iter().map(|(_, n)| n).sum::<u64>(), all.planned);
        assert_eq!(counts(&all).0.matches("<svg").count(), 8);
    }

    #[test]
    fn a_metric_is_taken_apart_behind_its_bracket_and_loses_nothing() {
        let name = "invalidCount(customer_email)";
        let shown = metric(name, 60).0;
        assert!(
            shown.contains("invalidCount(<wbr>customer_email)"),
            "{shown}"
        );
        assert_eq!(metric("rowCount", 60).0, short("rowCount", 60).0);
        assert_eq!(metric(name, 9).0, short(name, 9).0);
        assert!(!metric("<b>(<i>", 60).0.contains("<i>"));
    }

    #[test]
    fn a_day_within_a_sentence_is_not_taken_apart() {
        let shown = short("partition 2026-11-15, of <b>, was changed", 160).0;
        assert_eq!(
            shown,
            "partition <span class=\"nowrap\">2026-11-15,</span> of &lt;b&gt;, was changed"
        );
        // What is no day may be taken apart: it may be long.
        assert_eq!(
            short("a well-known 20-20-20", 160).0,
            "a well-known 20-20-20"
        );
    }

    #[test]
    fn a_model_that_nobody_knows_is_shown_by_its_name() {
        assert!(model("weekday-median+t5").0.contains("the same weekday"));
        assert!(model("median+t5").0.contains("title=\"median+t5\""));
        let strange = model("<b>+t5").0;
        assert!(strange.contains("&lt;b&gt;+t5") && !strange.contains("<b>"));
    }

    #[test]
    fn a_hundred_is_not_reached_before_all_is_done() {
        assert_eq!(percent(999, 1000), 99);
        assert_eq!(percent(0, 0), 0);
        assert_eq!(percent(5, 5), 100);
    }
}
