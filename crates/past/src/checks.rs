//! The checks that are due for a partition: those of the definition, those of the profile, and the
//! exact rules that need no limits.
//!
//! Comes in: the definition, the metrics of the partition, its history. Goes out: the checks, each
//! id once. It must never leave a declared check out.

use std::collections::BTreeSet;

use assay_judge::exact::stopped_being_computable;
use assay_judge::{History, in_words};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::Dataset;
use assay_model::history::MetricHistory;
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricValue};
use assay_model::outcome::{CheckResult, Outcome};
use assay_model::partition::Partition;
use jiff::Timestamp;

/// The check of an incident about a partition that has not come.
pub const MISSING: &str = "missing";

/// The check of a partition that was there and has been taken away.
pub const GONE: &str = "gone";

/// The check of a partition whose data time has not begun.
pub const FUTURE: &str = "future";

/// The check of an incident about checks that could not be evaluated.
pub const UNJUDGED: &str = "unjudged";

/// The check of a partition that was changed after it was judged.
pub const RESTATED: &str = "restated";

/// The result on a partition whose data time has not begun at the moment of judging: a date that
/// is wrong, most often. `None` for any other partition.
pub fn of_the_future(partition: &Partition, now: Timestamp) -> Option<CheckResult> {
    let start = partition.start.filter(|start| *start > now)?;
    let reason = format!(
        "its data time begins at {start}, after it was judged; if the date is wrong, mend it. It \
         does not count as newer than partitions whose time has come"
    );
    Some(CheckResult {
        check: CheckId::new(FUTURE),
        metric: MetricKey::table(Metric::RowCount),
        severity: Severity::Warning,
        origin: CheckOrigin::BuiltIn,
        outcome: Outcome::Warn,
        actual: MetricValue::Null,
        expected: "its data time has begun".to_owned(),
        limits: None,
        error_bound: None,
        note: None,
        reason: Some(reason),
    })
}

/// The results on a partition that was taken away, in the words of `reason`: a warning, and every
/// check that is due skipped, for there is nothing to judge.
pub fn taken_away(due: &[Check], reason: &str) -> Vec<CheckResult> {
    let result = |check: &Check, outcome: Outcome, expected: String, why: &str| CheckResult {
        check: check.id.clone(),
        metric: check.metric.clone(),
        severity: check.severity,
        origin: check.origin,
        outcome,
        actual: MetricValue::Null,
        expected,
        limits: None,
        error_bound: None,
        note: None,
        reason: Some(why.to_owned()),
    };
    let gone = rule(
        GONE,
        Metric::RowCount,
        Expectation::NotRestated,
        Severity::Warning,
        "a partition that was there stays",
    );
    let stays = "its data stays".to_owned();
    let mut results = vec![result(&gone, Outcome::Warn, stays, reason)];
    let others = due.iter().filter(|check| check.id != gone.id);
    results.extend(others.map(|check| {
        let why = "the partition's data was taken away";
        result(check, Outcome::Skipped, in_words(&check.expect), why)
    }));
    results
}

fn rule(id: &str, metric: Metric, expect: Expectation, severity: Severity, text: &str) -> Check {
    Check {
        id: CheckId::new(id),
        metric: MetricKey::table(metric),
        expect,
        severity,
        origin: CheckOrigin::BuiltIn,
        dimension: None,
        description: Some(text.to_owned()),
        line: None,
        tags: Vec::new(),
    }
}

/// The checks that are due.
pub fn due(dataset: &Dataset, points: &[MetricPoint], history: &MetricHistory) -> Vec<Check> {
    let mut checks = dataset.checks.clone();
    let mut ids: BTreeSet<CheckId> = checks.iter().map(|c| c.id.clone()).collect();
    let mut add = |check: Check| {
        if ids.insert(check.id.clone()) {
            checks.push(check);
        }
    };
    for rule in exact_rules() {
        let same = |c: &Check| c.metric == rule.metric && c.expect == rule.expect;
        let declared = dataset.checks.iter().any(same);
        if !declared {
            add(rule);
        }
    }
    if dataset.profile.judged && dataset.limits.learned {
        let learned: BTreeSet<&MetricKey> = dataset
            .checks
            .iter()
            .filter(|c| c.expect == Expectation::Learned)
            .map(|c| &c.metric)
            .collect();
        for point in points {
            let profiled = point.key.metric == Metric::RowCount
                || dataset.profile.metrics.contains(&point.key.metric);
            if profiled && !learned.contains(&point.key) && is_number(point, history) {
                add(profile_check(&point.key));
            }
        }
    }
    checks
}

/// Adds the checks of the profile on metrics that the last partition in order had and this one
/// cannot have, for the columns `changed` since are gone or of another type.
pub fn add_lost(
    dataset: &Dataset,
    changed: &BTreeSet<String>,
    points: &[MetricPoint],
    histories: &[History],
    due: &mut Vec<Check>,
) {
    if !dataset.profile.judged || !dataset.limits.learned {
        return;
    }
    for History {
        key, points: past, ..
    } in histories
    {
        let profiled = dataset.profile.metrics.contains(&key.metric);
        let measured = points.iter().any(|point| point.key == *key);
        let is_due = |c: &Check| c.metric == *key && c.expect == Expectation::Learned;
        if profiled
            && changed.contains(&key.column)
            && !measured
            && stopped_being_computable(past, None)
            && !due.iter().any(is_due)
        {
            due.push(profile_check(key));
        }
    }
}

/// Rules about faults that can be known without limits.
fn exact_rules() -> [Check; 4] {
    [
        rule(
            "schema",
            Metric::Schema,
            Expectation::SameSchema,
            Severity::Error,
            "the columns are those of the definition and of the last partition in order",
        ),
        rule(
            "empty",
            Metric::RowCount,
            Expectation::MustBeGreaterThan(Bound::from(0)),
            Severity::Warning,
            "the partition has rows",
        ),
        rule(
            "stale",
            Metric::RowCount,
            Expectation::NotStale,
            Severity::Error,
            "the values are not those of one of the last three partitions again; an older one that \
             comes again is not seen",
        ),
        rule(
            RESTATED,
            Metric::RowCount,
            Expectation::NotRestated,
            Severity::Warning,
            "a judged partition has not changed afterwards",
        ),
    ]
}

fn profile_check(key: &MetricKey) -> Check {
    Check {
        id: CheckId::new(format!("profile:{key}")),
        metric: key.clone(),
        expect: Expectation::Learned,
        severity: Severity::Error,
        origin: CheckOrigin::Profiled,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

/// Whether a metric is a number: by its value, or by its newest past value when it has none.
fn is_number(point: &MetricPoint, history: &MetricHistory) -> bool {
    let of = |value: &MetricValue| match value {
        MetricValue::Exact(_) | MetricValue::Float(_) => Some(true),
        MetricValue::Text(_) => Some(false),
        MetricValue::Null => None,
    };
    of(&point.value).unwrap_or_else(|| {
        history
            .iter()
            .find(|(key, _)| *key == point.key)
            .and_then(|(_, points)| points.iter().rev().find_map(|p| of(&p.value)))
            .unwrap_or(false)
    })
}
