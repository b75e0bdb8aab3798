//! Evaluation: states are merged, metrics judged against their past, incidents moved on.
//!
//! Comes in: the states that the measurements left, the history before the partitions. Goes out: one
//! evaluation for each. It must never let the judged partition into its own history, learn from a
//! partition that failed, or give a check no outcome.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use assay_judge::schema::changed_columns;
use assay_judge::{Context, Policy, evaluate, in_words};
use assay_metrics::TableState;
use assay_model::check::{Check, Expectation};
use assay_model::history::{Later, Verdict};
use assay_model::ids::CheckId;
use assay_model::incident::OutboxEntry;
use assay_model::ledger::{LedgerEntry, LedgerState};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricValue};
use assay_model::outcome::{CheckResult, Outcome, OutcomeCounts};
use assay_model::output::{Evaluation, TaskOutput};
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::run::Trigger;
use assay_model::task::{AttemptOutcome, EvaluateMode, EvaluateSpec, TaskFailure, TaskSpec};
use assay_past::line::Line;
use assay_past::{Book, Known, Numbers, Teaches, checks, shape};
use assay_store::MetricStore;
use assay_store::notices::FINISHED;
use jiff::Timestamp;

use super::copies::{self, Copies};
use super::{TaskJob, compute, failure, incidents, past, redo, store_failure};
use crate::pause::asked;

/// Merges and judges one partition, or several of a series one after another.
pub(super) async fn run(
    metrics: &dyn MetricStore,
    copies: Option<&Copies>,
    job: TaskJob,
    stop: &Arc<AtomicBool>,
) -> Result<TaskOutput, TaskFailure> {
    let specs = job.task.spec.evaluations().to_vec();
    let is_one = matches!(job.task.spec, TaskSpec::Evaluate(_));
    let mut read = measured(metrics, &job, &specs).await?.into_iter();
    let mut work = Vec::with_capacity(specs.len());
    for spec in specs {
        let states = match read.next().flatten() {
            Some(read) => whole(metrics, &job, &spec, read).await?,
            None => states_of(metrics, &job, &spec).await?,
        };
        let states = stored_as(states, metrics, copies, &job, &spec, stop).await?;
        work.push((spec, states));
    }
    let mut all = judged(metrics, job, work, stop).await?;
    match (is_one, all.pop()) {
        (_, None) => Err(failure(AttemptOutcome::Permanent, "not an evaluation")),
        (true, Some(one)) => Ok(TaskOutput::Evaluated(Box::new(one))),
        (false, Some(last)) => {
            all.push(last);
            Ok(TaskOutput::EvaluatedMany(all))
        }
    }
}

async fn states_of(
    metrics: &dyn MetricStore,
    job: &TaskJob,
    spec: &EvaluateSpec,
) -> Result<States, TaskFailure> {
    Ok(match spec.mode {
        EvaluateMode::Judge => read_states(metrics, job, spec).await?,
        EvaluateMode::Again => read_results(metrics, job, spec).await?,
        EvaluateMode::Missing => States::None,
        EvaluateMode::Gone => States::Gone(reason_of(spec)),
        EvaluateMode::Refused => States::Broken(reason_of(spec)),
    })
}

/// Judges each partition of `work` by what is stored of the past and by the judgements before it.
async fn judged(
    metrics: &dyn MetricStore,
    job: TaskJob,
    work: Vec<(EvaluateSpec, States)>,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Evaluation>, TaskFailure> {
    let specs: Vec<&EvaluateSpec> = work.iter().map(|(spec, _)| spec).collect();
    let Some(from) = specs.first().map(|spec| spec.partition.clone()) else {
        return Ok(Vec::new());
    };
    if let Some(mut book) = past::read(metrics, &job.dataset, &specs, &from, job.now).await? {
        let stop = Arc::clone(stop);
        let judged = compute(move || {
            let mut all = Vec::with_capacity(work.len());
            for (spec, states) in work {
                go_on(&stop)?;
                all.push(turn(&mut book, &job, &spec, states)?);
            }
            Ok(all)
        });
        return judged.await?;
    }
    // Too much lies between them to be held at once.
    let mut all: Vec<Evaluation> = Vec::with_capacity(work.len());
    for (spec, states) in work {
        go_on(stop)?;
        let book = past::read(metrics, &job.dataset, &[&spec], &from, job.now).await?;
        let mut book =
            book.ok_or_else(|| failure(AttemptOutcome::Permanent, "no past was read"))?;
        for before in &all {
            book.note(job.run.id, &job.run.definition, before);
        }
        let job = job.clone();
        let judged = compute(move || turn(&mut book, &job, &spec, states));
        all.push(judged.await??);
    }
    Ok(all)
}

/// Judges one partition, and puts the judgement into the book.
fn turn(
    book: &mut Book,
    job: &TaskJob,
    spec: &EvaluateSpec,
    states: States,
) -> Result<Evaluation, TaskFailure> {
    book.go_to(&spec.partition);
    let evaluation = judge(job, spec, states, &Past::of(book, spec, job.now))?;
    book.note(job.run.id, &job.run.definition, &evaluation);
    Ok(evaluation)
}

fn go_on(stop: &AtomicBool) -> Result<(), TaskFailure> {
    if stop.load(Ordering::Relaxed) {
        return Err(failure(AttemptOutcome::Cancelled, "stopped"));
    }
    Ok(())
}

/// Has storage follow what is about to be judged. Where it cannot for good, that is the verdict:
/// nothing says that a version is well which readers do not have.
async fn stored_as(
    states: States,
    metrics: &dyn MetricStore,
    copies: Option<&Copies>,
    job: &TaskJob,
    spec: &EvaluateSpec,
    stop: &Arc<AtomicBool>,
) -> Result<States, TaskFailure> {
    Ok(match states {
        all @ States::All { .. } if !spec.copies.is_empty() => {
            let ledger = asked(|| metrics.ledger(&job.dataset.id)).await;
            let ledger = ledger.map_err(|error| store_failure(&error))?;
            let gone = ledger
                .into_iter()
                .filter(|e| e.state == LedgerState::Gone)
                .map(|entry| entry.partition.key)
                .collect();
            match copies::publish(copies, job, spec, gone, stop).await? {
                Ok(()) => all,
                Err(why) => States::Broken(format!("its copy cannot be shown to readers: {why}")),
            }
        }
        States::Gone(reason) => match copies::remove(copies, job, spec, stop).await? {
            Ok(()) => States::Gone(reason),
            Err(why) => States::Gone(format!("{reason}; its copy cannot be dropped: {why}")),
        },
        other => other,
    })
}

fn reason_of(spec: &EvaluateSpec) -> String {
    let unknown = || "no reason was given".to_owned();
    spec.reason.clone().unwrap_or_else(unknown)
}

/// The number of a task, and the state that it left.
type Encoded = (u32, Vec<u8>);

/// What the measurements left.
enum States {
    All {
        /// Encoded, in the order of the tasks.
        states: Vec<Vec<u8>>,
        /// That it was restated, where the run measures anew whatever is known.
        told: Vec<CheckResult>,
    },
    /// They are merged already: the metrics are stored. These are the results in force.
    Stored(Vec<CheckResult>),
    /// A measurement did not succeed, for this reason.
    Broken(String),
    /// The partition has not come.
    None,
    /// The partition was there and has been taken away, in these words.
    Gone(String),
}

impl States {
    /// Where the partition is after the judgement.
    fn after(&self, sealed: bool) -> LedgerState {
        match self {
            Self::All { .. } | Self::Stored(_) if sealed => LedgerState::Scanned,
            // What is broken is measured again by the next run.
            Self::Broken(_) if sealed => LedgerState::Sealed,
            Self::All { .. } | Self::Stored(_) | Self::Broken(_) => LedgerState::Discovered,
            Self::None => LedgerState::Missing,
            Self::Gone(_) => LedgerState::Gone,
        }
    }
}

/// What the measurements left of each partition that is judged by them.
async fn measured(
    metrics: &dyn MetricStore,
    job: &TaskJob,
    specs: &[EvaluateSpec],
) -> Result<Vec<Option<Vec<Encoded>>>, TaskFailure> {
    let is_measured = |spec: &EvaluateSpec| matches!(spec.mode, EvaluateMode::Judge);
    let of = specs.iter().filter(|spec| is_measured(spec));
    let of: Vec<(&PartitionKey, &[u32])> = of
        .map(|spec| (&spec.partition.key, &spec.measured_by[..]))
        .collect();
    if of.is_empty() {
        return Ok(vec![None; specs.len()]);
    }
    let read = asked(|| metrics.states_of(job.run.id, &of)).await;
    let mut read = read.map_err(|error| store_failure(&error))?.into_iter();
    let each = specs.iter().map(|spec| match is_measured(spec) {
        true => read.next(),
        false => None,
    });
    Ok(each.collect())
}

async fn read_states(
    metrics: &dyn MetricStore,
    job: &TaskJob,
    spec: &EvaluateSpec,
) -> Result<States, TaskFailure> {
    let states = || metrics.states(job.run.id, &spec.partition.key, &spec.measured_by);
    let read = asked(states).await.map_err(|error| store_failure(&error))?;
    whole(metrics, job, spec, read).await
}

/// What was read of a partition, unless a measurement of it did not succeed.
async fn whole(
    metrics: &dyn MetricStore,
    job: &TaskJob,
    spec: &EvaluateSpec,
    read: Vec<Encoded>,
) -> Result<States, TaskFailure> {
    let there: BTreeSet<u32> = read.iter().map(|(no, _)| *no).collect();
    if spec.measured_by.iter().any(|no| !there.contains(no)) {
        // A batch without a row of this partition leaves no state; one that failed leaves none,
        // too: their tasks tell which it is.
        let failed = asked(|| metrics.unsuccessful(job.run.id, &spec.measured_by)).await;
        if let Some((no, state, reason)) = failed.map_err(|error| store_failure(&error))? {
            let reason = reason.unwrap_or_else(|| "no reason was given".to_owned());
            return Ok(States::Broken(format!(
                "its data could not be measured (task {no} is {state}): {reason}"
            )));
        }
    }
    let told = match job.run.selection.rescan {
        true => redo::of_restatement(metrics, &job.dataset.id, &spec.partition.key).await,
        false => Ok(Vec::new()),
    };
    Ok(States::All {
        states: read.into_iter().map(|(_, state)| state).collect(),
        told: told.map_err(|error| store_failure(&error))?,
    })
}

/// The results in force of a partition that is judged again.
async fn read_results(
    metrics: &dyn MetricStore,
    job: &TaskJob,
    spec: &EvaluateSpec,
) -> Result<States, TaskFailure> {
    let rows = redo::in_force(metrics, &job.dataset.id, &spec.partition.key).await;
    let rows = rows.map_err(|error| store_failure(&error))?;
    Ok(States::Stored(
        rows.into_iter().map(|row| row.result).collect(),
    ))
}

/// The checks that say whether a partition was restated.
fn restated_of(due: &[Check]) -> BTreeSet<CheckId> {
    let of = due.iter().filter(|c| c.expect == Expectation::NotRestated);
    of.map(|check| check.id.clone()).collect()
}

/// That a partition was restated stays told when one version of it is judged again: its metrics say
/// nothing of the version before. What has become different since is told instead.
fn keep_restated(
    results: &mut [CheckResult],
    restated: &BTreeSet<CheckId>,
    in_force: &[CheckResult],
) {
    let of_it = |r: &&mut CheckResult| restated.contains(&r.check) && !r.is_breach();
    for result in results.iter_mut().filter(of_it) {
        if let Some(told) = in_force.iter().find(|told| told.check == result.check) {
            *result = told.clone();
        }
    }
}

/// What is known of the past of the judged partition's series, and of earlier versions of itself.
struct Past<'a> {
    known: &'a Known,
    /// The numbers of the history that is known, where they are at hand.
    numbers: Option<&'a Numbers>,
    /// What the ledger has of the series behind the partition.
    later: Later,
    /// The verdict on the partition that is in force.
    verdict: Option<&'a Verdict>,
    /// The metrics of the version of this partition that was judged before, if it was complete.
    earlier: Option<Vec<MetricPoint>>,
    /// The metrics that are stored of this partition, complete or not.
    stored: &'a [MetricPoint],
    /// Whether it was this version.
    same: bool,
    /// Partitions that incidents name and whose data is there no more.
    gone: BTreeSet<&'a str>,
}

impl<'a> Past<'a> {
    fn of(book: &'a Book, spec: &EvaluateSpec, now: Timestamp) -> Self {
        let partition = &spec.partition;
        let past = Self::new(
            book.known(),
            book.later(partition, now),
            book.entry(&partition.key),
            book.verdict(partition),
            book.values(partition),
            &spec.version,
        );
        let gone = |key: &&PartitionKey| {
            let entry = book.entry(key);
            entry.is_some_and(|entry| entry.state == LedgerState::Gone)
        };
        let open = &book.known().open;
        let named = open.iter().map(|incident| &incident.last_partition);
        Self {
            gone: named.filter(gone).map(PartitionKey::as_str).collect(),
            numbers: Some(book.numbers()),
            ..past
        }
    }

    /// `entry`, `verdict` and `values` are of the partition in its version before `version`.
    fn new(
        known: &'a Known,
        later: Later,
        entry: Option<&LedgerEntry>,
        verdict: Option<&'a Verdict>,
        values: &'a [MetricPoint],
        version: &PartitionVersion,
    ) -> Self {
        let judged = entry.and_then(|entry| entry.judged.as_ref());
        let judged_before = judged.is_some_and(PartitionVersion::is_content);
        let stored = if judged_before { values } else { &[] };
        // What was judged while it grew is expected to have changed since.
        let was_complete = judged_before && verdict.is_some_and(|v| v.sealed);
        let same = judged == Some(version);
        // Of the same bytes what was asked differs by what was read beside them, or by what had
        // passed by: the partition is as it was.
        let tells = |point: &&MetricPoint| {
            !same || (!point.key.metric.is_of_query() && point.key.filter.is_empty())
        };
        Self {
            known,
            numbers: None,
            later,
            verdict,
            earlier: was_complete.then(|| stored.iter().filter(tells).cloned().collect()),
            stored,
            same,
            gone: BTreeSet::new(),
        }
    }
}

fn judge(
    job: &TaskJob,
    spec: &EvaluateSpec,
    states: States,
    past: &Past<'_>,
) -> Result<Evaluation, TaskFailure> {
    let dataset = &*job.dataset;
    let states = &match states {
        States::Stored(_) if past.stored.is_empty() => {
            States::Broken("no metrics are stored of it; the next run measures it again".to_owned())
        }
        states => states,
    };
    let points = match states {
        States::All { states, .. } => {
            let state = merged(states)?;
            assay_scan::points::metric_points(dataset, spec, state, job.now)
        }
        States::Stored(in_force) => stored(past, in_force, job.now),
        States::Broken(_) | States::None | States::Gone(_) => Vec::new(),
    };
    let due = checks::due(dataset, &points, &past.known.history);
    let mut results = match states {
        States::Gone(reason) => checks::taken_away(&due, reason),
        States::Broken(reason) => due.iter().map(|c| broken(c, reason)).collect(),
        States::None => results(job, spec, &points, due, past),
        States::All { told, .. } | States::Stored(told) => {
            let restated = restated_of(&due);
            let mut results = results(job, spec, &points, due, past);
            if past.same || matches!(states, States::Stored(_)) {
                keep_restated(&mut results, &restated, told);
            }
            results
        }
    };
    if matches!(states, States::All { .. } | States::Stored(_)) {
        results.extend(checks::of_the_future(&spec.partition, job.now));
    }
    let judged = incidents::Judged {
        dataset: &dataset.id,
        partition: &spec.partition,
        version: &spec.version,
        mode: spec.mode,
        sealed: spec.sealed,
        measured: !points.is_empty(),
        rejudged: past.verdict.is_some(),
        told: !past.later.any || job.run.trigger != Trigger::Backfill,
        results: &results,
        open: &past.known.open,
        order: &past.known.order(),
        gone: &past.gone,
        now: job.now,
    };
    let (incidents, mut outbox) = incidents::after(&judged);
    let counts = OutcomeCounts::of(&results);
    outbox.extend(judged.told.then(|| finished(job, spec, &counts)));
    Ok(Evaluation {
        partition: spec.partition.clone(),
        version: spec.version.clone(),
        sealed: spec.sealed,
        state: states.after(spec.sealed),
        metrics: points,
        counts,
        results,
        incidents,
        outbox,
        judged_at: job.now,
    })
}

/// The message that a partition was judged, whatever came of it, for those who asked for it.
fn finished(job: &TaskJob, spec: &EvaluateSpec, counts: &OutcomeCounts) -> OutboxEntry {
    let (run, dataset, key) = (job.run.id, &job.dataset.id, &spec.partition.key);
    OutboxEntry {
        key: format!("{FINISHED}:{dataset}:{run}:{key}:{}", spec.version),
        event: FINISHED.to_owned(),
        dataset: dataset.clone(),
        body: serde_json::json!({
            "partition": key,
            "version": spec.version,
            "sealed": spec.sealed,
            "run": run.to_string(),
            "counts": counts,
        }),
        after: None,
    }
}

/// The stored metrics of a partition; what is to be said of a value is stored with the results in
/// force. An age was measured when it was judged last, and has grown since, as long as nothing
/// newer is there.
fn stored(past: &Past<'_>, in_force: &[CheckResult], now: Timestamp) -> Vec<MetricPoint> {
    let mut points = past.stored.to_vec();
    for point in &mut points {
        let mut said = in_force.iter().filter(|r| r.metric == point.key);
        point.note = said.find_map(|result| result.note.clone());
    }
    let Some(last) = past.verdict.filter(|_| !past.later.data) else {
        return points;
    };
    let since = now.duration_since(last.judged_at).as_secs_f64();
    for point in &mut points {
        let is_age = matches!(point.key.metric, Metric::Latency | Metric::LastModifiedAge);
        if let Some(then) = point.value.as_f64().filter(|_| is_age) {
            point.value = MetricValue::Float(((then + since) * 1e6).round() / 1e6);
        }
    }
    points
}

/// The merge of all states, in the order of the tasks.
fn merged(states: &[Vec<u8>]) -> Result<TableState, TaskFailure> {
    let mut all = TableState::default();
    for bytes in states {
        let state = TableState::decode(bytes)
            .map_err(|error| failure(AttemptOutcome::Permanent, error.to_string()))?;
        all.merge(&state);
    }
    Ok(all)
}

fn broken(check: &assay_model::check::Check, reason: &str) -> CheckResult {
    CheckResult {
        check: check.id.clone(),
        metric: check.metric.clone(),
        severity: check.severity,
        origin: check.origin,
        outcome: Outcome::Error,
        actual: MetricValue::Null,
        error_bound: None,
        note: None,
        expected: in_words(&check.expect),
        limits: None,
        reason: Some(reason.to_owned()),
    }
}

fn results(
    job: &TaskJob,
    spec: &EvaluateSpec,
    points: &[MetricPoint],
    mut due: Vec<assay_model::check::Check>,
    past: &Past<'_>,
) -> Vec<CheckResult> {
    let dataset = &*job.dataset;
    let history = &past.known.history;
    let line = match past.numbers {
        Some(numbers) => Line::known(history, numbers, &spec.partition),
        None => Line::of(history, &spec.partition),
    };
    let before = &line.partitions;
    let teaches = Teaches::new(dataset, &due, past.known);
    let histories = line.histories(&teaches);
    let keys: Vec<String> = before.iter().map(|p| p.key.as_str().to_owned()).collect();
    let schema = shape::measured(points);
    let declared = schema
        .as_ref()
        .and_then(|actual| shape::declared(dataset, actual));
    let key = MetricKey::table(Metric::Schema);
    let in_order = |p: &Partition| teaches.of(p, &spec.partition).teaches(&key);
    let settled = schema
        .as_ref()
        .and_then(|is| shape::held_against(dataset, is, history, before, in_order));
    if let (Some(is), Some(was)) = (&schema, &settled) {
        checks::add_lost(
            dataset,
            &changed_columns(is, was),
            points,
            &histories,
            &mut due,
        );
    }
    let policy = Policy {
        budget: dataset.limits.alarms_per_partition,
        ..Policy::default()
    };
    let context = Context {
        now: job.now,
        date: spec.partition.date,
        arrived: spec.mode.is_of_data(),
        provisional: !spec.sealed,
        followed: past.later.data,
        past_keys: &keys,
        schema: schema.as_deref(),
        declared: declared.as_deref(),
        settled_schema: settled.as_deref(),
        earlier_version: past.earlier.as_deref(),
    };
    evaluate(&due, points, &histories, &policy, &context).results
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
mod tests;
