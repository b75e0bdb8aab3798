//! Outcomes: the words for how a check ended, the limits it was held against, and the verdict.

use serde::{Deserialize, Serialize};

use crate::beside::{self, Beside};
use crate::check::{CheckOrigin, Severity};
use crate::ids::CheckId;
use crate::metric::{MetricKey, MetricValue};

crate::words! {
    /// How a check ended. Only `pass` is green.
    pub enum Outcome {
        /// Evaluated, and as expected.
        Pass = "pass",
        /// Evaluated, not as expected, of severity `warning` or `info`.
        Warn = "warn",
        /// Evaluated, not as expected, of severity `error`.
        Fail = "fail",
        /// Could not be computed.
        Error = "error",
        /// The partition was expected and has not come.
        Missing = "missing",
        /// Too little history for a limit.
        Learning = "learning",
        /// Not evaluated, for the reason given.
        Skipped = "skipped",
        /// The exact value does not fit.
        Overflow = "overflow",
    }
}

impl Outcome {
    /// The place of the outcome among several about one value, the one to show first being 0:
    /// what failed, what could not be told, what warns, what passed, what says nothing.
    #[must_use]
    pub const fn gravity(self) -> u8 {
        match self {
            Self::Fail | Self::Missing => 0,
            Self::Error | Self::Overflow => 1,
            Self::Warn => 2,
            Self::Pass => 3,
            Self::Learning => 4,
            Self::Skipped => 5,
        }
    }

    /// Whether someone must look at it: it is neither green nor without a statement.
    #[must_use]
    pub const fn needs_a_look(self) -> bool {
        match self {
            Self::Warn | Self::Fail | Self::Error | Self::Missing | Self::Overflow => true,
            Self::Pass | Self::Learning | Self::Skipped => false,
        }
    }
}

crate::words! {
    /// A dataset's health in one word.
    pub enum Health {
        /// Its newest judged partition passed, no incident is open, and its newest run left nothing
        /// without a verdict.
        Healthy = "healthy",
        /// Warnings only.
        Warning = "warning",
        /// Failed or missing.
        Failing = "failing",
        /// Could not be evaluated.
        NotEvaluated = "not_evaluated",
        /// Too little history yet.
        Learning = "learning",
    }
}

/// The limits that a value was held against, and where they came from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Least accepted value; `None` is unbounded.
    pub lower: Option<f64>,
    /// The value expected.
    pub expected: Option<f64>,
    /// Greatest accepted value; `None` is unbounded.
    pub upper: Option<f64>,
    /// The model (`fixed`, `weekday-median+t5`, …).
    pub model: String,
    /// The model's version.
    pub model_version: u16,
    /// The partitions it was learned from, oldest first: at most [`Span::MOST`] spans.
    #[serde(default)]
    pub learned_from: Vec<Span>,
    /// Learned from fewer partitions than limits need to be steady.
    #[serde(default)]
    pub provisional: bool,
    /// Earlier partitions that limits were not learned from because a check was broken in them,
    /// oldest first: the newest [`HeldBack::MOST`] of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_back: Vec<HeldBack>,
}

impl Limits {
    /// Limits from fewer partitions than this are provisional.
    pub const STEADY: u32 = 35;
}

/// Partitions of which limits were learned, between two that others were not learned from.
///
/// Every result has its limits, and every limit a year of partitions: their keys one by one would
/// make what is kept of a dataset grow with the square of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SpanForm")]
pub struct Span {
    /// Key of the first.
    pub first: String,
    /// Key of the last, in the order of the partitions.
    pub last: String,
    /// How many of those from the first to the last: all of them, except in the oldest span of a
    /// list that would be too long.
    pub partitions: u32,
}

impl Span {
    /// Spans that limits have at most; those before are made one.
    pub const MOST: usize = 16;

    /// One partition.
    #[must_use]
    pub fn one(key: impl Into<String>) -> Self {
        let first = key.into();
        Self {
            last: first.clone(),
            first,
            partitions: 1,
        }
    }

    /// The spans of the partitions of a history that are at `places`, which rise; `key` names the
    /// partition at a place. Places without a key are left out.
    pub fn of(places: &[usize], key: impl Fn(usize) -> Option<String>) -> Vec<Self> {
        let mut spans: Vec<Self> = Vec::new();
        let runs = places.chunk_by(|at, next| at + 1 == *next);
        for run in runs {
            let ends = run.first().zip(run.last());
            let Some((first, last)) = ends.and_then(|(a, b)| Some((key(*a)?, key(*b)?))) else {
                continue;
            };
            spans.push(Self {
                first,
                last,
                partitions: u32::try_from(run.len()).unwrap_or(u32::MAX),
            });
        }
        let more = spans.len().saturating_sub(Self::MOST);
        let older: Vec<Self> = spans.drain(..more).collect();
        if let (Some(oldest), Some(first)) = (older.first(), spans.first_mut()) {
            first.first.clone_from(&oldest.first);
            first.partitions += older.iter().map(|span| span.partitions).sum::<u32>();
        }
        spans
    }

    /// How many partitions `spans` stand for.
    #[must_use]
    pub fn count(spans: &[Self]) -> u32 {
        spans.iter().map(|span| span.partitions).sum()
    }
}

/// How a span may be stored: older records name each partition.
#[derive(Deserialize)]
#[serde(untagged)]
enum SpanForm {
    Key(String),
    Span {
        first: String,
        last: String,
        partitions: u32,
    },
}

impl From<SpanForm> for Span {
    fn from(form: SpanForm) -> Self {
        match form {
            SpanForm::Key(key) => Self::one(key),
            SpanForm::Span {
                first,
                last,
                partitions,
            } => Self {
                first,
                last,
                partitions,
            },
        }
    }
}

/// A partition that teaches nothing of a metric, for a check that was broken in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The partition's key.
    pub partition: String,
    /// The check.
    pub by: CheckId,
}

impl HeldBack {
    /// How many of them limits name at most; the reason of a result counts all.
    pub const MOST: usize = 32;
}

/// The result of one check on one partition version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check.
    pub check: CheckId,
    /// What it measures.
    pub metric: MetricKey,
    /// Its severity at the time.
    pub severity: Severity,
    /// Where the check comes from.
    pub origin: CheckOrigin,
    /// How it ended.
    pub outcome: Outcome,
    /// The measured value.
    pub actual: MetricValue,
    /// For an estimate, its error relative to the value (0.0081 is 0.81 %): one standard error of
    /// a distinct count, the most that a quantile can be off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_bound: Option<f64>,
    /// What a reader must know of the value: what was left out of it, or that nothing but a footer
    /// states it. It says nothing of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What was expected, in words (`= 0`, `between 9 and 11`).
    pub expected: String,
    /// The limits, where the check has numeric ones.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// Why, for people: the reason of an error, how many partitions are still needed.
    #[serde(default)]
    pub reason: Option<String>,
}

impl CheckResult {
    /// Whether the value was judged and found broken: what opens an incident, and what no limits
    /// are learned from. What is only informative is neither.
    #[must_use]
    pub fn is_breach(&self) -> bool {
        match self.outcome {
            Outcome::Fail => true,
            Outcome::Warn => self.severity != Severity::Info,
            _ => false,
        }
    }

    /// Rows that break the rule, where the note of the value shows some: JSON objects, without what
    /// is masked.
    #[must_use]
    pub fn samples(&self) -> Vec<serde_json::Value> {
        let note = self.note.as_deref().unwrap_or_default();
        let rows = note
            .split_once(ROWS_SUCH_AS)
            .map(|(_, rows)| format!("[{rows}]"));
        rows.and_then(|rows| serde_json::from_str(&rows).ok())
            .unwrap_or_default()
    }

    /// What was read beside the partition for the value, of other servers.
    #[must_use]
    pub fn beside(&self) -> Vec<Beside> {
        let noted = beside::of_note(self.note.as_deref().unwrap_or_default());
        let reason = self.reason.as_deref().unwrap_or_default();
        match self.outcome {
            Outcome::Error if noted.is_empty() => beside::of_reason(reason),
            _ => noted,
        }
    }

    /// Whether the value, or the rows that are shown with it, could not be had for a reason that may
    /// pass: whoever looks at the partition next asks again.
    #[must_use]
    pub fn is_asked_again(&self) -> bool {
        let note = self.note.as_deref().unwrap_or_default();
        let words = note.split(ROWS_SUCH_AS).next().unwrap_or_default();
        let of_error = self.outcome == Outcome::Error
            && self
                .reason
                .as_deref()
                .unwrap_or_default()
                .contains(ASKED_AGAIN);
        of_error || words.contains(ASKED_AGAIN)
    }

    /// Which of several results about one value is shown: the gravest, then one with learned
    /// limits, then one with limits of its rule.
    #[must_use]
    pub fn rank(&self) -> (u8, u8) {
        let bounds = match &self.limits {
            Some(limits) if limits.lower.is_none() && limits.upper.is_none() => 2,
            Some(limits) if limits.model == FIXED => 1,
            Some(_) => 0,
            None => 2,
        };
        (self.outcome.gravity(), bounds)
    }

    /// The result to show of several about one value, and what the others with limits expect: the
    /// same ones in the same order, in whichever order the results come.
    #[must_use]
    pub fn shown<'a>(results: &[&'a Self]) -> Option<(&'a Self, Vec<String>)> {
        let mut results = results.to_vec();
        results.sort_by(|a, b| (a.rank(), &a.check).cmp(&(b.rank(), &b.check)));
        let shown = *results.first()?;
        let others = results
            .iter()
            .filter(|other| other.check != shown.check && other.rank().1 < 2)
            .map(|other| other.expected.clone());
        Some((shown, others.collect()))
    }
}

/// How the reason ends of a value that could not be had for a reason that may pass.
pub const ASKED_AGAIN: &str = "the next run asks again";

/// How the note of a value shows rows that break a rule: JSON objects follow, with commas between,
/// and nothing else.
pub const ROWS_SUCH_AS: &str = "rows such as ";

/// The model of limits that a rule states, rather than history.
pub const FIXED: &str = "fixed";

/// How many checks ended how. `planned` equals the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutcomeCounts {
    /// Checks that were due.
    pub planned: u64,
    /// See [`Outcome::Pass`].
    pub pass: u64,
    /// See [`Outcome::Warn`].
    pub warn: u64,
    /// See [`Outcome::Fail`].
    pub fail: u64,
    /// See [`Outcome::Error`].
    pub error: u64,
    /// See [`Outcome::Missing`].
    pub missing: u64,
    /// See [`Outcome::Learning`].
    pub learning: u64,
    /// See [`Outcome::Skipped`].
    pub skipped: u64,
    /// See [`Outcome::Overflow`].
    pub overflow: u64,
}

impl OutcomeCounts {
    /// Counts the outcomes of `results`; every result was planned.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a CheckResult>) -> Self {
        let mut counts = Self::default();
        for result in results {
            counts.planned += 1;
            *counts.slot(result.outcome) += 1;
        }
        counts
    }

    fn slot(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Pass => &mut self.pass,
            Outcome::Warn => &mut self.warn,
            Outcome::Fail => &mut self.fail,
            Outcome::Error => &mut self.error,
            Outcome::Missing => &mut self.missing,
            Outcome::Learning => &mut self.learning,
            Outcome::Skipped => &mut self.skipped,
            Outcome::Overflow => &mut self.overflow,
        }
    }

    /// Adds `n` checks that ended with `outcome`.
    pub fn add(&mut self, outcome: Outcome, n: u64) {
        self.planned += n;
        *self.slot(outcome) += n;
    }

    /// Adds the counts of another partition.
    pub fn merge(&mut self, other: &Self) {
        self.planned += other.planned;
        for (outcome, n) in other.by_outcome() {
            *self.slot(outcome) += n;
        }
    }

    /// Each outcome with its count.
    #[must_use]
    pub const fn by_outcome(&self) -> [(Outcome, u64); 8] {
        [
            (Outcome::Pass, self.pass),
            (Outcome::Warn, self.warn),
            (Outcome::Fail, self.fail),
            (Outcome::Error, self.error),
            (Outcome::Missing, self.missing),
            (Outcome::Learning, self.learning),
            (Outcome::Skipped, self.skipped),
            (Outcome::Overflow, self.overflow),
        ]
    }

    /// Whether every planned check has exactly one outcome.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.planned == self.by_outcome().iter().map(|(_, n)| n).sum::<u64>()
    }

    /// The health these outcomes mean: the gravest word that applies.
    #[must_use]
    pub const fn health(&self) -> Health {
        if self.fail + self.missing > 0 {
            Health::Failing
        } else if self.error + self.overflow > 0 {
            Health::NotEvaluated
        } else if self.warn > 0 {
            Health::Warning
        } else if self.pass > 0 {
            Health::Healthy
        } else if self.learning > 0 {
            Health::Learning
        } else {
            Health::NotEvaluated
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_evaluated_is_never_healthy() {
        let mut counts = OutcomeCounts::default();
        assert_eq!(counts.health(), Health::NotEvaluated);
        counts.add(Outcome::Skipped, 3);
        assert_eq!(counts.health(), Health::NotEvaluated);
        counts.add(Outcome::Error, 1);
        counts.add(Outcome::Pass, 9);
        assert_eq!(counts.health(), Health::NotEvaluated);
        assert!(counts.is_complete());
    }

    #[test]
    fn partitions_in_a_row_are_one_span_and_spans_are_bounded() {
        let key = |at: usize| Some(format!("p{at:03}"));
        let spans = Span::of(&[1, 2, 3, 5, 8, 9], key);
        let shown: Vec<_> = spans
            .iter()
            .map(|s| (s.first.as_str(), s.last.as_str(), s.partitions))
            .collect();
        assert_eq!(
            shown,
            [
                ("p001", "p003", 3),
                ("p005", "p005", 1),
                ("p008", "p009", 2)
            ]
        );
        let every_other: Vec<usize> = (0..400).step_by(2).collect();
        let spans = Span::of(&every_other, key);
        assert_eq!((spans.len(), Span::count(&spans)), (Span::MOST, 200));
        assert_eq!(
            (spans[0].first.as_str(), spans[1].first.as_str()),
            ("p000", "p370")
        );
        let stored = serde_json::to_string(&spans).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Span>>(&stored).unwrap(), spans);
        let older: Vec<Span> = serde_json::from_str(r#"["a","b"]"#).unwrap();
        assert_eq!(older, [Span::one("a"), Span::one("b")]);
    }

    #[test]
    fn a_learned_band_is_shown_before_the_rule_beside_it_and_a_failure_before_both() {
        let result = |check: &str, outcome: Outcome, model: &str| CheckResult {
            check: CheckId::new(check),
            metric: MetricKey::table(crate::metric::Metric::RowCount),
            severity: Severity::Error,
            origin: CheckOrigin::Declared,
            outcome,
            actual: MetricValue::integer(5),
            error_bound: None,
            note: None,
            expected: check.to_owned(),
            limits: (!model.is_empty()).then(|| Limits {
                lower: Some(0.0),
                model: model.to_owned(),
                ..Limits::default()
            }),
            reason: None,
        };
        let rule = result("> 0", Outcome::Pass, FIXED);
        let learned = result("between 4 and 6", Outcome::Pass, "median+t5");
        let stale = result("stale", Outcome::Pass, "");
        let (shown, others) = CheckResult::shown(&[&stale, &rule, &learned]).unwrap();
        assert_eq!(shown.expected, "between 4 and 6");
        assert_eq!(others, ["> 0"]);
        let failed = result("> 9", Outcome::Fail, FIXED);
        let (shown, others) = CheckResult::shown(&[&learned, &failed]).unwrap();
        assert_eq!(shown.expected, "> 9");
        assert_eq!(others, ["between 4 and 6"]);
        assert!(CheckResult::shown(&[]).is_none());
        // The same in whichever order results come.
        let other = result("> 1", Outcome::Pass, FIXED);
        let shown = CheckResult::shown(&[&rule, &other]).unwrap();
        assert_eq!(CheckResult::shown(&[&other, &rule]).unwrap(), shown);
    }
}
