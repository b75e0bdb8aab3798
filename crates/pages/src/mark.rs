//! Outcomes and states as shape, colour and word together.
//!
//! Comes in: a word of the vocabulary. Goes out: a small drawing and a badge. It must never tell
//! two outcomes apart by colour alone, and never make anything but `pass` green.

use std::fmt::Write;

use askama::filters::Safe;
use assay_model::outcome::{Health, Outcome};

use crate::html::{Markup, escaped};

/// The class that carries an outcome's colour.
#[must_use]
pub const fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "o-pass",
        Outcome::Warn => "o-warn",
        Outcome::Fail => "o-fail",
        Outcome::Error => "o-error",
        Outcome::Missing => "o-missing",
        Outcome::Learning => "o-learning",
        Outcome::Skipped => "o-skipped",
        Outcome::Overflow => "o-overflow",
    }
}

/// What an outcome means, for those who read it the first time.
#[must_use]
pub const fn meaning(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "evaluated, and as expected",
        Outcome::Warn => "evaluated, not as expected; a warning",
        Outcome::Fail => "evaluated, not as expected; the partition fails",
        Outcome::Error => "could not be computed",
        Outcome::Missing => "the partition was expected and has not come",
        Outcome::Learning => "not enough history for a limit yet",
        Outcome::Skipped => "not evaluated, for the reason given",
        Outcome::Overflow => "the exact value does not fit",
    }
}

/// The drawing of an outcome as a path round `(x, y)`: circle pass, triangle warn, square fail,
/// cross error, open diamond missing, open circle learning, bar skipped, plus overflow.
#[must_use]
pub fn shape(outcome: Outcome, x: f64, y: f64, r: f64) -> String {
    let (x, y) = (round(x), round(y));
    let d = |v: f64| round(v);
    match outcome {
        Outcome::Pass | Outcome::Learning => format!(
            "M{} {y}a{r} {r} 0 1 0 {w} 0a{r} {r} 0 1 0 {b} 0z",
            d(x - r),
            r = d(r),
            w = d(2.0 * r),
            b = d(-2.0 * r),
        ),
        Outcome::Warn => format!(
            "M{x} {}l{} {}h{}z",
            d(y - r * 1.15),
            d(r * 1.15),
            d(r * 2.05),
            d(-r * 2.3),
        ),
        Outcome::Fail => format!(
            "M{} {}h{w}v{w}h{}z",
            d(x - r),
            d(y - r),
            d(-2.0 * r),
            w = d(2.0 * r)
        ),
        Outcome::Error => format!(
            "M{a} {b}l{w} {w}M{a} {c}l{w} {n}",
            a = d(x - r),
            b = d(y - r),
            c = d(y + r),
            w = d(2.0 * r),
            n = d(-2.0 * r),
        ),
        Outcome::Missing => format!(
            "M{x} {}l{k} {k}l{n} {k}l{n} {n}z",
            d(y - r * 1.25),
            k = d(r * 1.25),
            n = d(-r * 1.25),
        ),
        Outcome::Skipped => format!("M{} {y}h{}", d(x - r), d(2.0 * r)),
        Outcome::Overflow => format!("M{} {y}h{w}M{x} {}v{w}", d(x - r), d(y - r), w = d(2.0 * r)),
    }
}

/// Two decimals at most: what a drawing needs.
#[must_use]
pub fn round(value: f64) -> f64 {
    let value = (value * 100.0).round() / 100.0;
    // No `-0`.
    if value == 0.0 { 0.0 } else { value }
}

/// The drawing of an outcome on its own, without words.
#[must_use]
pub fn icon(outcome: Outcome) -> String {
    format!(
        "<svg class=\"mk {}\" viewBox=\"0 0 12 12\" aria-hidden=\"true\" focusable=\"false\"><path d=\"{}\"/></svg>",
        class(outcome),
        shape(outcome, 6.0, 6.0, 4.0)
    )
}

/// An outcome as shape and word.
#[must_use]
pub fn badge(outcome: Outcome) -> Markup {
    Safe(format!(
        "<span class=\"badge {}\" title=\"{}\">{}{}</span>",
        class(outcome),
        escaped(meaning(outcome)),
        icon(outcome),
        outcome
    ))
}

/// The outcome whose colour and shape a dataset's health has.
#[must_use]
pub const fn of_health(health: Health) -> Outcome {
    match health {
        Health::Healthy => Outcome::Pass,
        Health::Warning => Outcome::Warn,
        Health::Failing => Outcome::Fail,
        Health::NotEvaluated => Outcome::Error,
        Health::Learning => Outcome::Learning,
    }
}

/// A dataset's health as shape and word.
#[must_use]
pub fn health(health: Health) -> Markup {
    let like = of_health(health);
    Safe(format!(
        "<span class=\"badge {}\">{}{}</span>",
        class(like),
        icon(like),
        escaped(&health.as_str().replace('_', " "))
    ))
}

/// How a state of a run, a task or a node looks: the words of all three, and any to come.
#[must_use]
pub fn state_class(word: &str) -> &'static str {
    match word {
        "succeeded" | "live" => "s-good",
        "running" | "assigned" | "finalising" | "planning" | "registering" => "s-busy",
        "failed" | "dead" | "quarantined" | "open" => "s-bad",
        "partial" | "suspect" | "excluded" | "draining" | "acknowledged" | "missing"
        | "rewritten" => "s-warn",
        _ => "s-quiet",
    }
}

/// A state as a badge: a dot whose form goes with the class, and the word.
#[must_use]
pub fn state(word: &str) -> Markup {
    let class = state_class(word);
    let form = match class {
        "s-good" => shape(Outcome::Pass, 6.0, 6.0, 4.0),
        "s-bad" => shape(Outcome::Fail, 6.0, 6.0, 4.0),
        "s-warn" => shape(Outcome::Warn, 6.0, 6.0, 4.0),
        "s-busy" => "M3 1.5l7 4.5l-7 4.5z".to_owned(),
        _ => shape(Outcome::Learning, 6.0, 6.0, 4.0),
    };
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = write!(
        out,
        "<span class=\"badge {class}\"><svg class=\"mk\" viewBox=\"0 0 12 12\" aria-hidden=\"true\" focusable=\"false\"><path d=\"{form}\"/></svg>{}</span>",
        escaped(&word.replace('_', " "))
    );
    Safe(out)
}

/// A state as a badge without a colour, and what it does not say.
#[must_use]
pub fn quiet(word: &str, about: &str) -> Markup {
    Safe(format!(
        "<span class=\"badge s-quiet\" title=\"{}\"><svg class=\"mk\" viewBox=\"0 0 12 12\" aria-hidden=\"true\" focusable=\"false\"><path d=\"{}\"/></svg>{}</span>",
        escaped(about),
        shape(Outcome::Learning, 6.0, 6.0, 4.0),
        escaped(&word.replace('_', " "))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_outcomes_share_shape_and_fill() {
        // `pass` is filled and `learning` is not: the same circle, told apart by its class.
        let drawn: BTreeSet<String> = Outcome::ALL
            .iter()
            .map(|o| format!("{} {}", shape(*o, 6.0, 6.0, 4.0), *o == Outcome::Learning))
            .collect();
        assert_eq!(drawn.len(), Outcome::ALL.len());
    }

    #[test]
    fn only_pass_wears_the_class_of_pass() {
        for outcome in Outcome::ALL {
            assert_eq!(class(*outcome) == "o-pass", *outcome == Outcome::Pass);
        }
        for word in Health::ALL {
            let green = class(of_health(*word)) == "o-pass";
            assert_eq!(green, *word == Health::Healthy, "{word}");
        }
    }

    #[test]
    fn a_state_that_nobody_knows_is_shown_and_never_green() {
        let strange = state("<b>new_word").0;
        assert!(strange.contains("s-quiet") && strange.contains("&lt;b&gt;new word"));
    }
}
