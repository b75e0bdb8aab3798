//! Which verdicts hold no more although the data is as it was: those by another definition, those on
//! an age that time has carried over its limit, those that rest on an answer which could not be had
//! for a reason that may have passed, those held against another server that has changed, and those
//! on the newest partition of a series whose training people have changed since.
//!
//! Comes in: the ledger, the verdicts in force, what people answered and the present instant. Goes
//! out: the partitions to be judged again, by what is stored of them where that is enough, else by
//! measuring them again. It must never leave a verdict by another definition standing among what a
//! run looks at, or judge older partitions again because somebody answered.

use std::collections::{BTreeMap, BTreeSet};

use assay_judge::compare::meets_of;
use assay_judge::evaluate::OF_THE_NEWEST;
use assay_model::check::{Check, Expectation};
use assay_model::dataset::Dataset;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::ledger::LedgerEntry;
use assay_model::metric::{Metric, MetricKey, MetricStatus, MetricValue};
use assay_model::outcome::{CheckResult, Outcome};
use assay_model::partition::{Partition, PartitionKey};
use assay_past::answers::{Places, bears_on};
use assay_past::checks::RESTATED;
use assay_scan::discover::decide::Redo;
use assay_store::feedback::READ_MAX;
use assay_store::port::{MetricHistory, ResultFilter, ResultRow, Verdict};
use assay_store::{MetricStore, StoreError};
use jiff::{SignedDuration, Timestamp};

use super::child::names;
use crate::pause::asked;

/// Results of one partition that are read, at most.
const RESULTS_MAX: u32 = 1_000_000;

/// An answer that is kept this shortly before a verdict may not have been seen by it: a judgement
/// that had seen it is repeated, and says the same.
const SEEN_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// More partitions than a dataset has.
const ALL: u32 = i32::MAX as u32;

/// The results in force of a partition.
pub(super) async fn in_force(
    metrics: &dyn MetricStore,
    dataset: &DatasetId,
    partition: &PartitionKey,
) -> Result<Vec<ResultRow>, StoreError> {
    let filter = ResultFilter {
        partition: Some(partition.clone()),
        limit: RESULTS_MAX,
        ..ResultFilter::default()
    };
    asked(|| metrics.results(dataset, &filter)).await
}

/// That a partition was restated, if the verdict in force says so.
pub(super) async fn of_restatement(
    metrics: &dyn MetricStore,
    dataset: &DatasetId,
    partition: &PartitionKey,
) -> Result<Vec<CheckResult>, StoreError> {
    let filter = ResultFilter {
        partition: Some(partition.clone()),
        check: Some(CheckId::new(RESTATED)),
        limit: 1,
        ..ResultFilter::default()
    };
    let rows = asked(|| metrics.results(dataset, &filter)).await?;
    let results = rows.into_iter().map(|row| row.result);
    Ok(results.filter(CheckResult::is_breach).collect())
}

/// How far a definition is from the one in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// Judging is the same.
    None,
    /// Values are the same, what is expected of them is not.
    Judging,
    /// Values may be others.
    Reading,
}

/// Finds the verdicts that hold no more.
pub(super) async fn redo(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    ledger: &[LedgerEntry],
    now: Timestamp,
) -> Result<Redo, StoreError> {
    let mut redo = Redo::default();
    let judged: BTreeSet<&str> = ledger
        .iter()
        .filter(|entry| entry.version.is_content() && entry.judged.as_ref() == Some(&entry.version))
        .map(|entry| entry.partition.key.as_str())
        .collect();
    let mut verdicts = asked(|| metrics.verdicts(&dataset.id, None, ALL)).await?;
    verdicts.retain(|verdict| judged.contains(verdict.partition.key.as_str()));
    by_another_definition(metrics, dataset, &verdicts, &mut redo).await?;
    by_other_answers(metrics, dataset, ledger, &verdicts, now, &mut redo).await?;
    if dataset.asking().next().is_some() {
        asked_again(metrics, dataset, &judged, &mut redo).await?;
    }
    beside(metrics, dataset, &judged, &mut redo).await?;
    let ages: Vec<&Check> = dataset.checks.iter().filter(|c| is_age(c)).collect();
    if !ages.is_empty() {
        for partition in newest(ledger, now) {
            if judged.contains(partition.key.as_str()) {
                of_age(metrics, dataset, partition, &ages, now, &mut redo).await?;
            }
        }
    }
    Ok(redo)
}

/// The partitions of which something could not be asked for a reason that may pass.
async fn asked_again(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    judged: &BTreeSet<&str>,
    redo: &mut Redo,
) -> Result<(), StoreError> {
    let filter = ResultFilter {
        bad: true,
        limit: RESULTS_MAX,
        ..ResultFilter::default()
    };
    let bad = asked(|| metrics.results(&dataset.id, &filter)).await?;
    let again = bad
        .into_iter()
        .filter(|row| row.result.is_asked_again() && judged.contains(row.partition.key.as_str()));
    redo.measure.extend(again.map(|row| row.partition.key.0));
    Ok(())
}

/// What verdicts rest on beside the partition, of servers that the definition still names.
async fn beside(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    judged: &BTreeSet<&str>,
    redo: &mut Redo,
) -> Result<(), StoreError> {
    let servers: BTreeSet<&str> = dataset.others.iter().map(|o| o.server.as_str()).collect();
    let reads = |check: &&Check| {
        let sql = check.metric.sql();
        let text = sql.unwrap_or_else(|| check.metric.filter.clone());
        servers.iter().any(|server| names(&text, server))
    };
    let mut seen = BTreeSet::new();
    for check in dataset.asking().filter(reads) {
        let filter = ResultFilter {
            check: Some(check.id.clone()),
            limit: RESULTS_MAX,
            ..ResultFilter::default()
        };
        if !seen.insert(&check.id) {
            continue;
        }
        for row in asked(|| metrics.results(&dataset.id, &filter)).await? {
            let key = row.partition.key.as_str();
            let mut read = row.result.beside();
            read.retain(|beside| servers.contains(beside.server.as_str()));
            if judged.contains(key) && !read.is_empty() && !redo.measure.contains(key) {
                let of = redo.beside.entry(key.to_owned()).or_default();
                of.extend(read);
            }
        }
    }
    Ok(())
}

async fn by_another_definition(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    verdicts: &[Verdict],
    redo: &mut Redo,
) -> Result<(), StoreError> {
    let mut changes: BTreeMap<&str, Change> = BTreeMap::new();
    let mut missing = BTreeSet::new();
    let ours = dataset.digest();
    for verdict in verdicts {
        let digest = verdict.definition.as_str();
        if !changes.contains_key(digest) {
            let change = if digest == ours {
                Change::None
            } else {
                let before = asked(|| metrics.definition_by(digest)).await?;
                let change = change(before.as_ref(), dataset);
                if change == Change::Judging {
                    missing.extend(untold(before.as_ref(), dataset));
                }
                change
            };
            changes.insert(digest, change);
        }
    }
    redo.measure
        .extend(keys_of(verdicts, &changes, Change::Reading));
    let judge = keys_of(verdicts, &changes, Change::Judging);
    if !judge.is_empty() {
        let history = asked(|| metrics.history(&dataset.id, None, ALL)).await?;
        let stored = Stored::of(&history);
        for key in judge {
            let again = if missing.is_empty() && stored.answers(&key, dataset) {
                &mut redo.judge
            } else {
                &mut redo.measure
            };
            again.insert(key);
        }
    }
    redo.changed = !redo.judge.is_empty() || !redo.measure.is_empty();
    Ok(())
}

/// The newest partitions whose training somebody has changed since they were judged.
async fn by_other_answers(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    ledger: &[LedgerEntry],
    verdicts: &[Verdict],
    now: Timestamp,
    redo: &mut Redo,
) -> Result<(), StoreError> {
    let answered = asked(|| metrics.feedback(&dataset.id, READ_MAX)).await?;
    if answered.is_empty() {
        return Ok(());
    }
    let order = ledger
        .iter()
        .map(|e| (e.partition.key.as_str(), e.partition.order.as_str()));
    let places = Places::new(order.collect());
    let judged: BTreeMap<&str, Timestamp> = verdicts
        .iter()
        .map(|v| (v.partition.key.as_str(), v.judged_at))
        .collect();
    let changed = newest(ledger, now).into_iter().filter(|partition| {
        let Some(judged_at) = judged.get(partition.key.as_str()) else {
            return false;
        };
        answered.iter().any(|answer| {
            // What was kept while it was being judged may not have been seen.
            let seen = answer.changed_at().saturating_add(SEEN_AFTER);
            seen.is_ok_and(|seen| seen >= *judged_at) && bears_on(answer, partition, &places)
        })
    });
    let changed: Vec<&str> = changed.map(|partition| partition.key.as_str()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let history = asked(|| metrics.history(&dataset.id, None, ALL)).await?;
    let stored = Stored::of(&history);
    for key in changed {
        if redo.judge.contains(key) || redo.measure.contains(key) {
            continue;
        }
        redo.answered = true;
        let again = if stored.answers(key, dataset) {
            &mut redo.judge
        } else {
            &mut redo.measure
        };
        again.insert(key.to_owned());
    }
    Ok(())
}

/// The partitions whose definition is so far from the one in force.
fn keys_of(
    verdicts: &[Verdict],
    changes: &BTreeMap<&str, Change>,
    change: Change,
) -> BTreeSet<String> {
    let of = |verdict: &&Verdict| changes.get(verdict.definition.as_str()) == Some(&change);
    let some = verdicts.iter().filter(of);
    some.map(|v| v.partition.key.as_str().to_owned()).collect()
}

fn change(before: Option<&Dataset>, after: &Dataset) -> Change {
    match before {
        Some(before) if before.judging_digest() == after.judging_digest() => Change::None,
        Some(before) if before.reading_digest() == after.reading_digest() => Change::Judging,
        _ => Change::Reading,
    }
}

/// Metrics that no result by the definition `before` speaks of: what is to be said of their values
/// is told by measuring again.
fn untold(before: Option<&Dataset>, after: &Dataset) -> BTreeSet<MetricKey> {
    let before = before.map(|b| b.checks.as_slice()).unwrap_or_default();
    let known: BTreeSet<&MetricKey> = before.iter().map(|check| &check.metric).collect();
    let asked = after.checks.iter().map(|check| &check.metric);
    asked
        .filter(|metric| metric.metric != Metric::RowCount && !known.contains(metric))
        .cloned()
        .collect()
}

/// Which metrics are stored of each partition.
struct Stored<'a> {
    computed: BTreeMap<&'a str, BTreeSet<&'a MetricKey>>,
    /// Partitions with a metric that could not be computed: the reason is told by measuring again.
    failed: BTreeSet<&'a str>,
}

impl<'a> Stored<'a> {
    fn of(history: &'a MetricHistory) -> Self {
        let mut stored = Self {
            computed: BTreeMap::new(),
            failed: BTreeSet::new(),
        };
        for (metric, points) in history {
            for point in points {
                let key = point.partition.key.as_str();
                if point.status == MetricStatus::Computed {
                    stored.computed.entry(key).or_default().insert(metric);
                } else {
                    stored.failed.insert(key);
                }
            }
        }
        stored
    }

    /// Whether all that the definition asks for is stored of the partition.
    fn answers(&self, key: &str, dataset: &Dataset) -> bool {
        let Some(computed) = self.computed.get(key) else {
            return false;
        };
        let mut checks = dataset.checks.iter();
        !self.failed.contains(key)
            && checks.all(|check| {
                matches!(check.expect, Expectation::NotRunHere { .. })
                    || computed.contains(&check.metric)
            })
    }
}

fn is_age(check: &Check) -> bool {
    matches!(
        check.metric.metric,
        Metric::Latency | Metric::LastModifiedAge
    ) && !matches!(check.expect, Expectation::NotRunHere { .. })
}

/// The newest partition with data of each series; one of the future is not there yet.
fn newest(ledger: &[LedgerEntry], now: Timestamp) -> Vec<&Partition> {
    let mut newest: BTreeMap<&str, &Partition> = BTreeMap::new();
    for entry in ledger.iter().filter(|entry| entry.version.is_content()) {
        let partition = &entry.partition;
        if partition.start.is_some_and(|start| start > now) {
            continue;
        }
        let known = newest.entry(&partition.series).or_insert(partition);
        if partition.order > known.order {
            *known = partition;
        }
    }
    newest.into_values().collect()
}

/// Judges the newest partition of a series again when an outcome on its age is another by now.
async fn of_age(
    metrics: &dyn MetricStore,
    dataset: &Dataset,
    partition: &Partition,
    ages: &[&Check],
    now: Timestamp,
    redo: &mut Redo,
) -> Result<(), StoreError> {
    let key = partition.key.as_str();
    if redo.judge.contains(key) || redo.measure.contains(key) {
        return Ok(());
    }
    let rows = in_force(metrics, &dataset.id, &partition.key).await?;
    let of = |row: &&ResultRow| ages.iter().find(|c| c.id == row.result.check).copied();
    let aged = || rows.iter().filter_map(|row| Some((row, of(&row)?)));
    if aged().any(|(row, _)| row.result.outcome.needs_a_look()) {
        redo.when_followed.insert(key.to_owned());
    }
    if aged().any(|(row, check)| moved(row, check, now)) {
        // The age of one that was followed is of an earlier judgement, and no reason of a failure
        // is stored with a metric: both are told by measuring again.
        let unknown = |row: &ResultRow| {
            matches!(row.result.outcome, Outcome::Error | Outcome::Overflow)
                || row.result.reason.as_deref() == Some(OF_THE_NEWEST)
        };
        let again = if rows.iter().any(unknown) {
            &mut redo.measure
        } else {
            &mut redo.judge
        };
        again.insert(key.to_owned());
    }
    Ok(())
}

/// Whether the outcome of a check on an age is another by now.
fn moved(row: &ResultRow, check: &Check, now: Timestamp) -> bool {
    let result = &row.result;
    let passed = match result.outcome {
        Outcome::Pass => true,
        Outcome::Fail | Outcome::Warn => false,
        // It was followed by a partition that is there no more.
        Outcome::Skipped => return result.reason.as_deref() == Some(OF_THE_NEWEST),
        _ => return false,
    };
    let Some(then) = result.actual.as_f64() else {
        return false;
    };
    let since = now.as_second().saturating_sub(row.judged_at.as_second());
    let age = then + since as f64;
    let aged = MetricValue::Float(age);
    let passes = match meets_of(check.metric.metric, &aged, &check.expect) {
        Some(Ok(passes)) => passes,
        Some(Err(_)) => return true,
        None => match &result.limits {
            Some(limits) => {
                limits.lower.is_none_or(|lower| age >= lower)
                    && limits.upper.is_none_or(|upper| age <= upper)
            }
            None => return false,
        },
    };
    passes != passed
}
