//! The evaluation of checks: every check gets exactly one outcome.
//!
//! In: the checks, the partition's metrics, their histories, the schemas, the moment of judging.
//! Out: one result per check, in order, and their counts. It must never leave a check out, pass a
//! check that it could not evaluate, or read the clock.

use std::borrow::Cow;
use std::collections::BTreeMap;

use assay_model::check::{Check, CheckOrigin, Expectation, Severity};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_model::outcome::{CheckResult, HeldBack, Limits, Outcome, OutcomeCounts, Span};
use jiff::Timestamp;
use jiff::civil::Date;

use crate::compare::{compare_decimals, hides_age, meets_of};
use crate::exact::{MOVING_MIN, MOVING_WINDOW, moves, repeated, stopped_being_computable};
use crate::explain::{of_fixed, of_learned};
use crate::learner::judge_partition;
use crate::regimes::{ENOUGH, two_groups};
use crate::schema::{SchemaColumn, differences};
use crate::series::{self, Point, Policy, SeriesInput, SeriesKind};
use crate::words::{expected, fixed_limits, held_back_in_words, in_figures};

/// Why an age is not judged.
pub const OF_THE_NEWEST: &str = "freshness is judged of the newest partition";

/// Why an age of less than nothing is no fresh one.
const IN_THE_FUTURE: &str = "the latest time lies in the future, and hides how old the data is";

/// The earlier values of one metric, oldest first; the judged partition is not among them.
#[derive(Debug, Clone)]
pub struct History {
    /// The metric.
    pub key: MetricKey,
    /// Its points; the last one of every history belongs to the previous partition.
    pub points: Vec<Point>,
    /// Which of its partitions teach nothing because a check was broken in them, oldest first.
    pub held_back: Vec<HeldBack>,
}

/// What is known of the partition besides its metrics.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The moment of judging.
    pub now: Timestamp,
    /// The first day of the partition's data time.
    pub date: Option<Date>,
    /// Whether the partition has come. One that has not makes every check `missing`.
    pub arrived: bool,
    /// Whether the partition may still grow: its limits are then shown as provisional.
    pub provisional: bool,
    /// Whether a later partition is known: how fresh an earlier one is says nothing then.
    pub followed: bool,
    /// Keys of the earlier partitions, oldest first, ending with the previous one.
    pub past_keys: &'a [String],
    /// The partition's columns; `None` when they could not be read.
    pub schema: Option<&'a [SchemaColumn]>,
    /// The columns of the definition, where it has any.
    pub declared: Option<&'a [SchemaColumn]>,
    /// The columns of the last partition that was in order, with the changes that the owner has
    /// accepted: a change stays one until it is accepted, however many partitions have it.
    pub settled_schema: Option<&'a [SchemaColumn]>,
    /// The metrics of the version of this partition that was judged before, if that was complete.
    pub earlier_version: Option<&'a [MetricPoint]>,
}

/// The judgement of one partition version.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionJudgement {
    /// One result per check, in the order of the checks.
    pub results: Vec<CheckResult>,
    /// Their counts; [`OutcomeCounts::health`] is the verdict in one word.
    pub verdict: OutcomeCounts,
}

/// Judges a partition.
///
/// # Panics
/// If a check were left without exactly one outcome: a fault of this function alone.
#[must_use]
pub fn evaluate(
    checks: &[Check],
    values: &[MetricPoint],
    histories: &[History],
    policy: &Policy,
    context: &Context<'_>,
) -> PartitionJudgement {
    let bench = Bench::new(checks, values, histories, policy, context);
    let results: Vec<CheckResult> = checks.iter().map(|check| bench.result(check)).collect();
    let verdict = OutcomeCounts::of(&results);
    assert!(
        verdict.is_complete() && verdict.planned == checks.len() as u64,
        "every check has exactly one outcome"
    );
    PartitionJudgement { results, verdict }
}

/// An outcome with what is told of it.
struct Ruling {
    outcome: Outcome,
    limits: Option<Limits>,
    reason: Option<String>,
}

impl Ruling {
    fn plain(outcome: Outcome) -> Self {
        Self {
            outcome,
            limits: None,
            reason: None,
        }
    }

    fn because(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            limits: None,
            reason: Some(reason.into()),
        }
    }

    fn within(self, limits: Limits) -> Self {
        Self {
            limits: Some(limits),
            ..self
        }
    }
}

/// Everything a check may need, by metric.
struct Bench<'a> {
    values: BTreeMap<&'a MetricKey, &'a MetricPoint>,
    histories: BTreeMap<&'a MetricKey, &'a [Point]>,
    held_back: BTreeMap<&'a MetricKey, &'a [HeldBack]>,
    learned: BTreeMap<&'a MetricKey, series::Limits>,
    policy: &'a Policy,
    context: &'a Context<'a>,
}

impl<'a> Bench<'a> {
    fn new(
        checks: &'a [Check],
        values: &'a [MetricPoint],
        histories: &'a [History],
        policy: &'a Policy,
        context: &'a Context<'a>,
    ) -> Self {
        let held_back = histories.iter().map(|h| (&h.key, &h.held_back[..]));
        let held_back = held_back.collect();
        let histories: BTreeMap<_, _> = histories.iter().map(|h| (&h.key, &h.points[..])).collect();
        let mut keys: Vec<&MetricKey> = checks
            .iter()
            .filter(|c| c.expect == Expectation::Learned)
            .map(|c| &c.metric)
            .collect();
        keys.sort_unstable();
        keys.dedup();
        let inputs: Vec<SeriesInput<'_>> = keys
            .iter()
            .map(|key| SeriesInput {
                kind: SeriesKind::of_metric(key.metric),
                points: histories.get(key).copied().unwrap_or_default(),
                date: context.date,
            })
            .collect();
        let limits = judge_partition(&inputs, policy);
        Self {
            values: values.iter().map(|v| (&v.key, v)).collect(),
            histories,
            held_back,
            learned: keys.into_iter().zip(limits).collect(),
            policy,
            context,
        }
    }

    fn result(&self, check: &Check) -> CheckResult {
        let point = self.values.get(&check.metric).copied();
        let actual = point.map_or(MetricValue::Null, |p| {
            self.at_judging(&check.metric, &p.value)
        });
        let ruling = self.ruling(check, point, &actual);
        CheckResult {
            check: check.id.clone(),
            metric: check.metric.clone(),
            severity: check.severity,
            origin: check.origin,
            outcome: ruling.outcome,
            actual,
            error_bound: point.and_then(|p| p.error_bound),
            // The note of a value that could not be computed is the reason of the outcome.
            note: point
                .filter(|p| p.status == MetricStatus::Computed)
                .and_then(|p| p.note.clone()),
            expected: expected(&check.expect, ruling.limits.as_ref(), self.context.date),
            limits: ruling.limits,
            reason: ruling.reason,
        }
    }

    /// The value as it is at the moment of judging: an age, for what was measured as a time.
    fn at_judging(&self, key: &MetricKey, value: &MetricValue) -> MetricValue {
        match (key.metric, value) {
            (Metric::Latency | Metric::LastModifiedAge, MetricValue::Text(text)) => {
                text.parse::<Timestamp>().map_or_else(
                    |_| value.clone(),
                    |latest| MetricValue::integer(age_s(self.context.now, latest)),
                )
            }
            _ => value.clone(),
        }
    }

    fn ruling(&self, check: &Check, point: Option<&MetricPoint>, actual: &MetricValue) -> Ruling {
        if let Expectation::NotRunHere { reason } = &check.expect {
            return Ruling::because(Outcome::Skipped, reason.clone());
        }
        if !self.context.arrived {
            return Ruling::because(
                Outcome::Missing,
                "the partition was expected and has not come",
            );
        }
        let is_age = matches!(
            check.metric.metric,
            Metric::Latency | Metric::LastModifiedAge
        );
        if is_age && self.context.followed {
            return Ruling::because(Outcome::Skipped, OF_THE_NEWEST);
        }
        match &check.expect {
            Expectation::SameSchema => return self.schema(check.severity),
            Expectation::NotStale => return self.stale(check.severity),
            Expectation::NotRestated => return self.restated(check.severity),
            _ => {}
        }
        let Some(point) = point else {
            return self.unmeasured(check);
        };
        let note = || {
            point
                .note
                .clone()
                .unwrap_or_else(|| "no reason was given".to_owned())
        };
        match point.status {
            MetricStatus::Error => return Ruling::because(Outcome::Error, note()),
            MetricStatus::Overflow => return Ruling::because(Outcome::Overflow, note()),
            MetricStatus::Computed => {}
        }
        match &check.expect {
            Expectation::Learned => self.learned(check, actual, point.error_bound),
            Expectation::Band {
                within_stddev,
                over_runs,
                min_runs,
            } => self.band(check, actual, *within_stddev, *over_runs, *min_runs),
            fixed => {
                let mut ruling = fixed_ruling(check, actual);
                if hides_age(check.metric.metric, actual, fixed) {
                    ruling.reason = Some(IN_THE_FUTURE.to_owned());
                } else if matches!(ruling.outcome, Outcome::Warn | Outcome::Fail) {
                    let past = self.past(&check.metric);
                    ruling.reason = of_fixed(actual, fixed, past, self.context.past_keys);
                }
                ruling
            }
        }
    }

    /// A metric that data of this shape does not have.
    fn unmeasured(&self, check: &Check) -> Ruling {
        let learned = check.expect == Expectation::Learned;
        if learned && stopped_being_computable(self.past(&check.metric), None) {
            let why = "it was measured in the last partition in order and cannot be in this one";
            return Ruling::because(breach(check.severity), why);
        }
        Ruling::because(Outcome::Error, "the metric was not measured")
    }

    fn past(&self, key: &MetricKey) -> &'a [Point] {
        self.histories.get(key).copied().unwrap_or_default()
    }

    fn learned(&self, check: &Check, actual: &MetricValue, error_bound: Option<f64>) -> Ruling {
        let past = self.past(&check.metric);
        let limits = self.learned.get(&check.metric);
        let value = actual.as_f64().filter(|v| !v.is_nan());
        if value.is_none()
            && let Some(why) = self.undefined(&check.metric)
        {
            return Ruling::because(Outcome::Skipped, why);
        }
        if stopped_being_computable(past, value) {
            let why = "it was computable in the last partition in order and is not in this one";
            return Ruling::because(breach(check.severity), why);
        }
        let Some(limits) = limits.filter(|l| l.needs_more.is_none()) else {
            let more = limits.and_then(|l| l.needs_more).unwrap_or(1);
            return learning(more, self.held_back(&check.metric));
        };
        if let Some(groups) = two_groups(SeriesKind::of_metric(check.metric.metric), past) {
            return of_two_groups(groups, limits.learned_from.len());
        }
        let limits = &*widened(limits, error_bound);
        let stored = self.stored(&check.metric, limits, past.len());
        let Some(value) = value else {
            let why = "there is no value to judge, and the last partition in order had none either";
            return Ruling::because(Outcome::Skipped, why).within(stored);
        };
        if limits.accepts(value) {
            return Ruling::plain(Outcome::Pass).within(stored);
        }
        let why = of_learned(actual, limits, past, self.context.past_keys);
        // Limits that nobody asked for, from a short past, warn at most.
        let only = (stored.provisional && check.origin == CheckOrigin::Profiled)
            .then(|| self.only_a_warning());
        let outcome = match only {
            Some(_) => Outcome::Warn,
            None => breach(check.severity),
        };
        let said: Vec<String> = [why, only].into_iter().flatten().collect();
        Ruling::because(outcome, said.join("; ")).within(stored)
    }

    fn only_a_warning(&self) -> String {
        if self.context.provisional {
            return "a warning only: the partition may still grow".to_owned();
        }
        format!(
            "a warning only: limits are provisional until {} partitions have taught them",
            self.policy.steady_points
        )
    }

    /// Why a metric has no value in a partition as small as this one; `None` when it could have.
    fn undefined(&self, key: &MetricKey) -> Option<&'static str> {
        if key.metric != Metric::Stddev {
            return None;
        }
        let number = |key: MetricKey| self.values.get(&key)?.value.as_f64();
        let rows = number(MetricKey::table(Metric::RowCount))?;
        let nulls = number(MetricKey::column(Metric::NullCount, &key.column)).or_else(|| {
            let percent = number(MetricKey::column(Metric::NullPercent, &key.column))?;
            Some((percent * rows / 100.0).round())
        });
        let one = rows == 1.0 || nulls.is_some_and(|nulls| rows - nulls == 1.0);
        one.then_some("a standard deviation is of two values at least, and there is one")
    }

    fn held_back(&self, key: &MetricKey) -> &'a [HeldBack] {
        self.held_back.get(key).copied().unwrap_or_default()
    }

    fn stored(&self, key: &MetricKey, limits: &series::Limits, points: usize) -> Limits {
        let (keys, held_back) = (self.context.past_keys, self.held_back(key));
        let key_of = |at: usize| keys.get((keys.len() + at).checked_sub(points)?).cloned();
        Limits {
            lower: limits.lower,
            expected: limits.expected,
            upper: limits.upper,
            model: limits.model.to_owned(),
            model_version: limits.model_version,
            learned_from: Span::of(&limits.learned_from, key_of),
            provisional: limits.provisional || self.context.provisional,
            held_back: held_back[held_back.len().saturating_sub(HeldBack::MOST)..].to_vec(),
        }
    }

    fn band(&self, check: &Check, actual: &MetricValue, width: f64, over: u32, min: u32) -> Ruling {
        let past = self.past(&check.metric);
        let mut learned_from: Vec<usize> = (0..past.len())
            .rev()
            .filter(|at| !past[*at].learnable().is_nan())
            .take(over as usize)
            .collect();
        learned_from.reverse();
        let known = u32::try_from(learned_from.len()).unwrap_or(u32::MAX);
        // A standard deviation needs two values, whatever the rule says.
        let needed = min.max(2);
        if known < needed {
            return learning(needed - known, self.held_back(&check.metric));
        }
        let values: Vec<f64> = learned_from
            .iter()
            .map(|at| past[*at].learnable())
            .collect();
        let n = f64::from(known);
        let mean = values.iter().sum::<f64>() / n;
        let spread = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let half = width.abs() * spread.sqrt();
        let Some(value) = actual.as_f64().filter(|v| !v.is_nan()) else {
            return Ruling::because(Outcome::Error, "there is no value to compare");
        };
        let limits = series::Limits {
            lower: Some(mean - half),
            expected: Some(mean),
            upper: Some(mean + half),
            model: "band",
            model_version: 1,
            learned_from,
            provisional: false,
            needs_more: None,
        };
        let outcome = if limits.accepts(value) {
            Outcome::Pass
        } else {
            breach(check.severity)
        };
        Ruling {
            reason: of_learned(actual, &limits, past, self.context.past_keys),
            ..Ruling::plain(outcome).within(self.stored(&check.metric, &limits, past.len()))
        }
    }

    fn schema(&self, severity: Severity) -> Ruling {
        let Some(actual) = self.context.schema else {
            let told = self.values.get(&MetricKey::table(Metric::Schema));
            if let Some(untold) = told.filter(|point| is_untold(point)) {
                let why = untold
                    .note
                    .as_deref()
                    .unwrap_or("nothing tells its columns");
                return Ruling::because(Outcome::Skipped, why);
            }
            return Ruling::because(Outcome::Error, "the partition's schema could not be read");
        };
        let mut found = Vec::new();
        let against = [
            ("definition", self.context.declared),
            ("last partition in order", self.context.settled_schema),
        ];
        for (what, expected) in against {
            for difference in expected.map(|e| differences(actual, e)).unwrap_or_default() {
                found.push(format!("{difference} (against the {what})"));
            }
        }
        if !found.is_empty() {
            return Ruling::because(breach(severity), found.join("; "));
        }
        if self.context.declared.is_none() && self.context.settled_schema.is_none() {
            return learning(1, &[]);
        }
        Ruling::plain(Outcome::Pass)
    }

    fn restated(&self, severity: Severity) -> Ruling {
        let Some(earlier) = self.context.earlier_version else {
            return Ruling::because(
                Outcome::Skipped,
                "no complete version of it was judged before",
            );
        };
        let ages = [Metric::Latency, Metric::LastModifiedAge];
        let changed: Vec<String> = earlier
            .iter()
            .filter(|was| !ages.contains(&was.key.metric))
            .filter_map(|was| match self.values.get(&was.key) {
                Some(is) if is.status == was.status && same(&is.value, &was.value) => None,
                Some(is) => Some(format!("{} was {} and is {}", was.key, was.value, is.value)),
                None => Some(format!("{} was {} and is not measured", was.key, was.value)),
            })
            .collect();
        if changed.is_empty() {
            return Ruling::plain(Outcome::Pass);
        }
        let more = changed.len().saturating_sub(3);
        let mut why = changed[..changed.len() - more].join("; ");
        if more > 0 {
            why.push_str(&format!("; and {more} more"));
        }
        Ruling::because(breach(severity), why)
    }

    fn stale(&self, severity: Severity) -> Ruling {
        let lengths = self.histories.values().map(|points| points.len());
        let longest = lengths.max().unwrap_or(0);
        if longest < self.policy.min_points {
            let more = u32::try_from(self.policy.min_points - longest).unwrap_or(u32::MAX);
            return learning(more, &[]);
        }
        let pasts = self.histories.iter().map(|(key, points)| {
            let newest = &points[points.len().saturating_sub(MOVING_WINDOW)..];
            let past: Vec<Option<f64>> = newest.iter().map(|p| p.value).collect();
            (past, self.values.get(key).and_then(|v| v.value.as_f64()))
        });
        let pasts: Vec<(Vec<Option<f64>>, Option<f64>)> =
            pasts.filter(|(past, _)| moves(past)).collect();
        let moving: Vec<_> = pasts
            .iter()
            .map(|(past, value)| (&past[..], *value))
            .collect();
        if let Some(found) = repeated(&moving) {
            let keys = self.context.past_keys;
            let which = keys
                .len()
                .checked_sub(found.back)
                .map_or("an earlier one", |at| &keys[at]);
            let why = format!(
                "{} of {} moving metrics are bit-equal to partition {which}",
                found.equal, found.moving
            );
            return Ruling::because(breach(severity), why);
        }
        if moving.len() < MOVING_MIN {
            return Ruling::because(Outcome::Skipped, "fewer than three metrics move");
        }
        Ruling::plain(Outcome::Pass)
    }
}

/// Limits at least as wide as the measuring errors of the value and of those it was learned from:
/// an estimate that moves by its own error has not moved.
fn widened(limits: &series::Limits, error_bound: Option<f64>) -> Cow<'_, series::Limits> {
    let mut limits = Cow::Borrowed(limits);
    if let (Some(error), Some(expected)) = (error_bound, limits.expected) {
        // One error on each side of the difference, and one for the step between two estimates.
        let least = 3.0 * error.abs() * expected.abs();
        let limits = limits.to_mut();
        limits.lower = limits.lower.map(|lower| lower.min(expected - least));
        limits.upper = limits.upper.map(|upper| upper.max(expected + least));
    }
    limits
}

/// Whether the schema is not told: there is no row, and nothing else names columns.
fn is_untold(schema: &MetricPoint) -> bool {
    schema.status == MetricStatus::Computed && schema.value == MetricValue::Null
}

/// Whether two values are the same; unlike `==`, NaN is the same as itself.
fn same(a: &MetricValue, b: &MetricValue) -> bool {
    match (a, b) {
        (MetricValue::Float(a), MetricValue::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (MetricValue::Exact(a), MetricValue::Exact(b)) => {
            compare_decimals(a, b).map_or(a == b, std::cmp::Ordering::is_eq)
        }
        _ => a == b,
    }
}

fn fixed_ruling(check: &Check, actual: &MetricValue) -> Ruling {
    let expect = &check.expect;
    match meets_of(check.metric.metric, actual, expect) {
        Some(Ok(true)) => Ruling::plain(Outcome::Pass).within(fixed_limits(expect)),
        Some(Ok(false)) => Ruling::plain(breach(check.severity)).within(fixed_limits(expect)),
        Some(Err(why)) => Ruling::because(Outcome::Error, why.to_string()),
        None => Ruling::because(Outcome::Error, "the rule cannot be held against a number"),
    }
}

fn learning(more: u32, held_back: &[HeldBack]) -> Ruling {
    let partitions = if more == 1 {
        "partition is"
    } else {
        "partitions are"
    };
    let mut why = format!("{more} more {partitions} needed");
    if let Some(held_back) = held_back_in_words(held_back) {
        why.push_str("; ");
        why.push_str(&held_back);
    }
    Ruling::because(Outcome::Learning, why)
}

/// Limits that embraced both groups would accept everything between them and far beyond.
fn of_two_groups((below, above): (f64, f64), known: usize) -> Ruling {
    let more = u32::try_from(ENOUGH.saturating_sub(known)).unwrap_or(u32::MAX);
    let mut ruling = learning(more.max(1), &[]);
    if let Some(why) = &mut ruling.reason {
        why.push_str(&format!(
            ": the earlier values lie in two groups, around {} and around {}",
            in_figures(below),
            in_figures(above)
        ));
    }
    ruling
}

/// The outcome of a broken check.
const fn breach(severity: Severity) -> Outcome {
    match severity {
        Severity::Error => Outcome::Fail,
        Severity::Warning | Severity::Info => Outcome::Warn,
    }
}

/// Whole seconds from `latest` to `now`; negative for a time in the future.
#[must_use]
pub fn age_s(now: Timestamp, latest: Timestamp) -> i64 {
    now.as_second() - latest.as_second()
}
