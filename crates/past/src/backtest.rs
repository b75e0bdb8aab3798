//! What would have been alerted on: the last partitions judged over again, each by what lies before
//! it, with and without an answer.
//!
//! Comes in: what is known of each series, the answers in force, and the one that is asked about.
//! Goes out: one typed answer. Limits are learned and held against values by the judge's own code,
//! from the training set that a judgement today would have. It must never let a partition, or a
//! later one, take part in its own limits.

use std::collections::BTreeMap;

use assay_judge::{Context, Policy, evaluate};
use assay_model::check::{Check, Expectation};
use assay_model::dataset::Dataset;
use assay_model::feedback::{Alert, Alerts, Answered, Backtest, FeedbackId, FeedbackScope};
use assay_model::ids::CheckId;
use assay_model::metric::MetricPoint;
use assay_model::outcome::{CheckResult, Outcome};
use assay_model::partition::Partition;
use jiff::Timestamp;

use crate::known::Known;
use crate::line::{Line, points_of};
use crate::teaches::Teaches;
use crate::{Answers, checks};

/// Partitions that are judged over again unless another number is asked for.
pub const LAST: u32 = 90;
/// Partitions that are judged over again at most.
pub const LAST_MAX: u32 = 365;
/// Series that are looked at when an answer is about all of them.
pub const SERIES_MAX: usize = 20;

/// What is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// Nothing: what is in force.
    Nothing,
    /// An answer that is to be kept.
    Keep(&'a Answered),
    /// An answer that is to be withdrawn.
    Withdraw(FeedbackId),
}

impl<'a> Change<'a> {
    /// The answers in force after it.
    fn after(self, answered: &'a [Answered]) -> Vec<&'a Answered> {
        let kept = answered.iter().filter(|answer| match self {
            Self::Withdraw(id) => answer.id != id,
            // Asked again about one that is kept, it is there once.
            Self::Keep(new) => answer.id != new.id,
            Self::Nothing => true,
        });
        let new = match self {
            Self::Keep(new) => Some(new),
            Self::Nothing | Self::Withdraw(_) => None,
        };
        kept.chain(new).collect()
    }

    /// What it is about.
    fn scope(self, answered: &'a [Answered]) -> &'a FeedbackScope {
        let of = match self {
            Self::Keep(new) => Some(new),
            Self::Withdraw(id) => answered.iter().find(|answer| answer.id == id),
            Self::Nothing => None,
        };
        of.map_or(&FeedbackScope::Dataset, |answer| &answer.scope)
    }
}

/// Judges the last `last` partitions of each series over again.
#[must_use]
pub fn backtest(dataset: &Dataset, series: &[Known], change: Change<'_>, last: u32) -> Backtest {
    let mut told = Backtest {
        series: u32::try_from(series.len()).unwrap_or(u32::MAX),
        ..Backtest::default()
    };
    for known in series {
        let bench = Bench::new(dataset, known, last);
        let scope = change.scope(&known.answered);
        let before = Change::Nothing.after(&known.answered);
        bench.judge(&before, scope, &mut told.before);
        bench.judge(&change.after(&known.answered), scope, &mut told.after);
        told.partitions += u32::try_from(bench.partitions.len()).unwrap_or(u32::MAX);
        if series.len() == 1 {
            told.first = bench.partitions.first().map(|p| p.key.clone());
            told.last = bench.partitions.last().map(|p| p.key.clone());
        }
    }
    told
}

/// The partitions of one series that are judged over again.
struct Bench<'a> {
    dataset: &'a Dataset,
    known: &'a Known,
    /// In their order.
    partitions: Vec<&'a Partition>,
    values: Vec<Vec<MetricPoint>>,
    /// The checks that were due for any of them.
    due: Vec<Check>,
}

impl<'a> Bench<'a> {
    fn new(dataset: &'a Dataset, known: &'a Known, last: u32) -> Self {
        let mut partitions: Vec<&Partition> = Vec::new();
        for point in known.history.iter().flat_map(|(_, points)| points) {
            partitions.push(&point.partition);
        }
        partitions.sort_unstable();
        partitions.dedup();
        let first = partitions
            .len()
            .saturating_sub(usize::try_from(last).unwrap_or(usize::MAX));
        partitions.drain(..first);
        let values: Vec<Vec<MetricPoint>> = partitions
            .iter()
            .map(|partition| points_of(&known.history, &partition.key))
            .collect();
        let mut due: BTreeMap<CheckId, Check> = BTreeMap::new();
        for check in values
            .iter()
            .flat_map(|points| checks::due(dataset, points, &known.history))
        {
            due.entry(check.id.clone()).or_insert(check);
        }
        Self {
            dataset,
            known,
            partitions,
            values,
            due: due.into_values().collect(),
        }
    }

    /// Judges each partition as if people had answered `answered`; adds what alerts to `told`.
    fn judge(&self, answered: &[&'a Answered], scope: &FeedbackScope, told: &mut Alerts) {
        let answered = || answered.iter().copied();
        let teaches = Teaches::answered(self.dataset, &self.due, self.known, answered());
        for (partition, points) in self.partitions.iter().zip(&self.values) {
            let results = self.results(partition, points, &teaches);
            add(partition, &results, teaches.answers(), scope, told);
        }
    }

    /// The results of the checks that hold values against the past.
    fn results(
        &self,
        partition: &Partition,
        points: &[MetricPoint],
        teaches: &Teaches<'_>,
    ) -> Vec<CheckResult> {
        let line = Line::of(&self.known.history, partition);
        let histories = line.histories(teaches);
        let keys: Vec<String> = line.partitions.iter().map(|p| p.key.to_string()).collect();
        let mut due = checks::due(self.dataset, points, &self.known.history);
        due.retain(|check| {
            matches!(
                check.expect,
                Expectation::Learned | Expectation::Band { .. }
            )
        });
        let policy = Policy {
            budget: self.dataset.limits.alarms_per_partition,
            ..Policy::default()
        };
        let context = Context {
            // Of the past: no age is judged, since each partition is followed by another.
            now: Timestamp::UNIX_EPOCH,
            followed: true,
            date: partition.date,
            arrived: true,
            provisional: false,
            past_keys: &keys,
            schema: None,
            declared: None,
            settled_schema: None,
            earlier_version: None,
        };
        evaluate(&due, points, &histories, &policy, &context).results
    }
}

/// Adds the results of one partition.
fn add(
    partition: &Partition,
    results: &[CheckResult],
    answers: &Answers<'_>,
    scope: &FeedbackScope,
    told: &mut Alerts,
) {
    let (excluded, normal) = (answers.excluded(partition), answers.normal(partition));
    let (mut judged, mut learning, mut out) = (false, false, false);
    for result in results {
        let metric = &result.metric;
        let within = |scopes: &[&FeedbackScope]| scopes.iter().any(|scope| scope.covers(metric));
        let alerts = matches!(result.outcome, Outcome::Warn | Outcome::Fail);
        if within(&excluded) {
            out |= scope.covers(metric);
        } else if !scope.covers(metric) {
            told.elsewhere += u32::from(alerts);
        } else {
            judged |= alerts || result.outcome == Outcome::Pass;
            learning |= result.outcome == Outcome::Learning;
            if alerts {
                let marked_as_normal = within(&normal);
                told.alerts.push(alert(partition, result, marked_as_normal));
            }
        }
    }
    if told.alerts.last().map(|alert| &alert.partition) == Some(&partition.key) {
        told.partitions.push(partition.key.clone());
    }
    let count = match (judged, learning, out) {
        (true, ..) => &mut told.judged,
        (false, true, _) => &mut told.learning,
        (false, false, true) => &mut told.excluded,
        (false, false, false) => return,
    };
    *count += 1;
}

fn alert(partition: &Partition, result: &CheckResult, marked_as_normal: bool) -> Alert {
    let limits = result.limits.as_ref();
    Alert {
        partition: partition.key.clone(),
        check: result.check.clone(),
        metric: result.metric.clone(),
        outcome: result.outcome,
        value: result.actual.clone(),
        lower: limits.and_then(|l| l.lower),
        expected: limits.and_then(|l| l.expected),
        upper: limits.and_then(|l| l.upper),
        marked_as_normal,
    }
}
