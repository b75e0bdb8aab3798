//! From answers of the API to the words of the wire, which the commands show.
//!
//! Comes in: JSON of a gateway that may be newer. Goes out: messages. Fields that this version does
//! not know are left alone. Words that it does not know (a state of a later version) are carried as
//! they are: whoever decides by a word refuses one it does not know, and whoever only shows it shows it.

pub(super) mod people;

use std::fmt::Display;

use assay_answers::check::CheckResult;
use assay_answers::cluster::Cluster;
use assay_answers::dataset::Partition;
use assay_answers::fleet::ScaleEvent;
use assay_answers::metric::{MetricSeries, PastValue};
use assay_answers::node::Node;
use assay_answers::run::{Run, Segments, Selection};
use assay_answers::task::{Task, Try};
use assay_answers::value::{Counts, Limits, MetricName, Value as Measured};
use assay_model::SEMANTICS_VERSION;
use assay_model::check::{CheckOrigin, Severity};
use assay_model::metric::Metric;
use assay_model::outcome::Outcome;
use assay_model::run::{Priority, RunState, Trigger};
use assay_model::task::{TaskKind, TaskState};
use assay_proto::convert::time_of;
use assay_proto::v1;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// An answer that does not make sense.
pub(super) type Read<T> = Result<T, serde_json::Error>;

/// Takes the word of `field` out, and leaves one that every version knows in its place.
fn lift(of: &mut Value, field: &str, known: &dyn Display) -> String {
    match of.get_mut(field) {
        Some(Value::String(word)) => std::mem::replace(word, known.to_string()),
        // What is not there, or is no word, is refused by whoever reads the whole.
        _ => String::new(),
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Read<T> {
    serde_json::from_value(value)
}

fn at(time: Option<Timestamp>) -> Option<prost_types::Timestamp> {
    time.map(time_of)
}

fn text(text: Option<String>) -> String {
    text.unwrap_or_default()
}

/// Counts of outcomes.
pub(super) fn counts(of: Counts) -> v1::OutcomeCounts {
    v1::OutcomeCounts {
        planned: of.planned,
        pass: of.pass,
        warn: of.warn,
        fail: of.fail,
        error: of.error,
        missing: of.missing,
        learning: of.learning,
        skipped: of.skipped,
        overflow: of.overflow,
    }
}

fn selection(of: Selection) -> v1::Selection {
    v1::Selection {
        keys: of.keys,
        last_days: of.last_days.unwrap_or_default(),
        rescan: of.rescan,
    }
}

/// A run with what it has come to.
pub(super) fn run(mut value: Value) -> Read<v1::Run> {
    let state = lift(&mut value, "state", &RunState::Queued);
    let trigger = lift(&mut value, "trigger", &Trigger::Manual);
    let priority = lift(&mut value, "priority", &Priority::Live);
    let states = value.get_mut("taskStates");
    let states = states.map_or(Value::Null, |states| {
        std::mem::replace(states, Value::Object(Map::new()))
    });
    let states: Vec<(String, u64)> = match states {
        Value::Object(states) => {
            let each = states.into_iter().map(|(state, n)| Ok((state, typed(n)?)));
            each.collect::<Read<_>>()?
        }
        other => {
            return Err(typed::<Map<String, Value>>(other)
                .err()
                .unwrap_or_else(none));
        }
    };
    let of: Run = typed(value)?;
    let tasks = states
        .into_iter()
        .map(|(state, tasks)| v1::TaskCount { state, tasks });
    Ok(v1::Run {
        id: of.id,
        dataset: of.dataset,
        definition: of.definition,
        trigger,
        slot: at(of.slot),
        priority,
        selection: Some(selection(of.selection)),
        // The API tells nothing of how tasks are tried, and no command shows it.
        retries: 0,
        task_timeout_ms: 0,
        state,
        reason: text(of.reason),
        created_at: Some(time_of(of.created_at)),
        started_at: at(of.started_at),
        finished_at: at(of.finished_at),
        deadline_at: Some(time_of(of.deadline_at)),
        planned_tasks: of.planned_tasks,
        sum: Some(v1::RunSum {
            tasks: tasks.collect(),
            partitions: of.partitions,
            outcomes: Some(counts(of.counts)),
        }),
    })
}

fn none() -> serde_json::Error {
    serde::de::Error::custom("the tasks of a run are not counted")
}

fn attempt(of: Try) -> v1::Attempt {
    v1::Attempt {
        attempt: of.attempt,
        node: of.node,
        assigned_at: at(of.assigned_at),
        started_at: at(of.started_at),
        ended_at: at(of.ended_at),
        outcome: of.outcome,
        charged: of.charged,
        reason: of.reason,
    }
}

/// A task with its attempts.
pub(super) fn task(mut value: Value) -> Read<v1::Task> {
    let kind = lift(&mut value, "kind", &TaskKind::Discover);
    let state = lift(&mut value, "state", &TaskState::Ready);
    let of: Task = typed(value)?;
    let charged = of.tries.iter().filter(|one| one.charged).count();
    Ok(v1::Task {
        no: of.no,
        kind,
        partition: of.partition,
        batch: of.batch,
        batches: of.batches,
        bytes: of.bytes,
        depends_on: of.depends_on,
        state,
        wait: of.wait,
        not_before: at(of.not_before),
        attempt: of.attempts,
        charged: u32::try_from(charged).unwrap_or(u32::MAX),
        // Not told, and shown by no command.
        crashes: 0,
        node: of.node,
        assigned_at: at(of.assigned_at),
        started_at: at(of.started_at),
        reason: of.reason,
        attempts: of.tries.into_iter().map(attempt).collect(),
    })
}

/// A partition of which only the name is told.
fn named(key: String, series: String) -> v1::Partition {
    v1::Partition {
        order: key.clone(),
        key,
        series,
        ..v1::Partition::default()
    }
}

fn partition(of: Partition) -> v1::Partition {
    v1::Partition {
        date: of.date.map(|date| date.to_string()).unwrap_or_default(),
        start: at(of.start),
        end: at(of.end),
        ..named(of.key, of.series)
    }
}

fn key(metric: String, of: MetricName) -> v1::MetricKey {
    v1::MetricKey {
        metric,
        column: of.column,
        args: of.args,
        filter: of.filter,
        semantics: u32::from(SEMANTICS_VERSION),
    }
}

fn measured(of: Measured) -> Option<v1::MetricValue> {
    use v1::metric_value::Kind;
    let kind = match of {
        Measured::Null => return None,
        Measured::Exact(digits) => Kind::Exact(digits),
        Measured::Float(number) => Kind::Float(number),
        Measured::Special(word) => match word.parse() {
            Ok(number) => Kind::Float(number),
            Err(_) => Kind::Text(word),
        },
        Measured::Text(text) => Kind::Text(text),
    };
    Some(v1::MetricValue { kind: Some(kind) })
}

fn limits(of: Limits) -> v1::Limits {
    let span = |span: assay_answers::value::Span| v1::LearnedSpan {
        first: span.first,
        last: span.last,
        partitions: span.partitions,
    };
    let held = |held: assay_answers::value::HeldBack| v1::HeldBack {
        partition: held.partition,
        by: held.by,
    };
    v1::Limits {
        lower: of.lower,
        expected: of.expected,
        upper: of.upper,
        model: of.model,
        model_version: u32::from(of.model_version),
        learned_from: of.learned_from.into_iter().map(span).collect(),
        provisional: of.provisional,
        held_back: of.held_back.into_iter().map(held).collect(),
    }
}

/// A result with what it is about.
pub(super) fn result(mut value: Value) -> Read<v1::Result> {
    let outcome = lift(&mut value, "outcome", &Outcome::Error);
    let severity = lift(&mut value, "severity", &Severity::Error);
    let origin = lift(&mut value, "origin", &CheckOrigin::Declared);
    let metric = value
        .get_mut("of")
        .map(|of| lift(of, "metric", &Metric::RowCount))
        .unwrap_or_default();
    let of: CheckResult = typed(value)?;
    Ok(v1::Result {
        run_id: of.run_id,
        partition: Some(named(of.partition, of.series)),
        version: of.version,
        judged_at: Some(time_of(of.judged_at)),
        check: of.check,
        metric: Some(key(metric, of.of)),
        severity,
        origin,
        outcome,
        actual: measured(of.actual),
        expected: of.expected,
        limits: of.limits.map(limits),
        reason: text(of.reason),
        error_bound: of.error_bound,
        note: text(of.note),
    })
}

fn past(mut value: Value) -> Read<v1::HistoryPoint> {
    let outcome = lift(&mut value, "outcome", &Outcome::Error);
    let of: PastValue = typed(value)?;
    Ok(v1::HistoryPoint {
        partition: Some(partition(of.partition)),
        version: of.version,
        status: of.status,
        value: measured(of.value),
        outcome,
        limits: of.limits.map(limits),
        error_bound: of.error_bound,
        also_expected: of.also_expected,
    })
}

/// A metric over partitions.
pub(super) fn series(mut value: Value) -> Read<v1::MetricSeries> {
    let metric = value
        .get_mut("key")
        .map(|of| lift(of, "metric", &Metric::RowCount))
        .unwrap_or_default();
    let points = match value.get_mut("points") {
        Some(Value::Array(points)) => std::mem::take(points),
        _ => Vec::new(),
    };
    let of: MetricSeries = typed(value)?;
    let points: Read<Vec<v1::HistoryPoint>> = points.into_iter().map(past).collect();
    Ok(v1::MetricSeries {
        key: Some(key(metric, of.key)),
        points: points?,
    })
}

/// What the list tells of a dataset, as far as it is shown.
pub(super) fn dataset(value: &Value) -> Read<v1::DatasetSummary> {
    let word = |field: &str| -> Read<String> { typed(value[field].clone()) };
    let maybe = |field: &str| -> Read<Option<String>> { typed(value[field].clone()) };
    Ok(v1::DatasetSummary {
        id: word("id")?,
        version: word("version")?,
        digest: word("definition")?,
        status: word("status")?,
        owner: text(maybe("owner")?),
        checks: typed(value["checks"].clone())?,
        schedule: text(maybe("schedule")?),
    })
}

fn node(of: Node) -> v1::NodeStatus {
    v1::NodeStatus {
        id: of.id,
        incarnation: of.incarnation,
        state: of.state,
        slots: of.slots,
        slots_used: of.slots_used,
        memory_bytes: of.memory_bytes,
        zone: of.zone,
        cpu: of.cpu,
        memory_used_bytes: of.memory_used_bytes,
        silent_ms: of.silent_ms,
        reason: text(of.reason),
        since: at(of.since),
        version: text(of.version),
    }
}

/// How a cluster stands.
pub(super) fn cluster(of: Cluster) -> v1::StatusResponse {
    let manager = |of: assay_answers::cluster::Manager| v1::ManagerStatus {
        name: of.name,
        address: of.address,
        leads: of.leads,
    };
    v1::StatusResponse {
        leader: of.leader,
        epoch: of.epoch,
        nodes: of.nodes.into_iter().map(node).collect(),
        runs_unfinished: of.runs_unfinished,
        tasks_ready: of.tasks_ready,
        tasks_waiting: of.tasks_waiting,
        tasks_running: of.tasks_running,
        nodes_desired: of.nodes_desired,
        nodes_desired_reason: of.nodes_desired_reason,
        store_away: text(of.store_away),
        store_away_since: at(of.store_away_since),
        schedule: of.schedule.map(|ticked| v1::Ticked {
            at: at(ticked.at),
            outcome: ticked.outcome,
            words: ticked.words,
        }),
        departed: of.departed.into_iter().map(node).collect(),
        departed_more: of.departed_more,
        managers: of.managers.into_iter().map(manager).collect(),
        unknown: of.unknown,
    }
}

/// A change of the wanted number of nodes.
pub(super) fn scale_event(of: ScaleEvent) -> v1::ScaleEvent {
    v1::ScaleEvent {
        at: at(Some(of.at)),
        from_nodes: of.from,
        to_nodes: of.to,
        reason: of.reason,
        first_node_at: at(of.first_node_at),
        first_task_at: at(of.first_task_at),
        done_at: at(of.done_at),
    }
}

/// How far a run has come, as far as a bar shows it.
fn progress(of: Segments) -> v1::RunProgress {
    let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let waiting = of.queued + of.unplaceable + of.retrying;
    v1::RunProgress {
        planned: small(of.done + of.running + waiting + of.failed),
        ready: small(waiting),
        running: small(of.running),
        succeeded: small(of.done),
        failed: small(of.failed),
        rows: 0,
        bytes: 0,
    }
}

/// What was told of a run by one event: perhaps two things.
pub(super) fn event(mut value: Value) -> Read<Vec<v1::run_event::Kind>> {
    use v1::run_event::Kind;
    match value["kind"].as_str() {
        Some("run") => {
            let segments: Segments = typed(value["segments"].take())?;
            let reason: Option<String> = typed(value["reason"].take())?;
            // The change of state comes last: who has heard of an end hears nothing more.
            let moved = v1::RunMoved {
                state: typed(value["state"].take())?,
                reason: text(reason),
                planned_tasks: typed(value["plannedTasks"].take())?,
            };
            Ok(vec![Kind::Progress(progress(segments)), Kind::Run(moved)])
        }
        Some("task") => {
            let task = task(value["task"].take())?;
            Ok(vec![Kind::Task(v1::TaskMoved {
                no: task.no,
                kind: task.kind,
                partition: task.partition,
                state: task.state,
                attempt: task.attempt,
                node: task.node,
                wait: task.wait,
                reason: task.reason,
            })])
        }
        // Of a later version; what it tells is no news that a command waits for.
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told_task() -> Value {
        json!({
            "no": 3, "kind": "measure", "partition": "d1", "batch": 1, "batches": 2,
            "dependsOn": [0], "state": "running", "wait": "", "notBefore": null, "attempts": 1,
            "tries": [], "node": "node-1", "bytes": 7, "reason": "",
            "assignedAt": "2026-11-20T15:15:00Z", "startedAt": null
        })
    }

    #[test]
    fn a_word_of_a_later_version_is_carried_as_it_is() {
        let mut told = told_task();
        told["state"] = json!("hibernating");
        told["kind"] = json!("vacuum");
        told["colour"] = json!("green");
        let read = task(told).unwrap();
        assert_eq!(
            (&*read.state, &*read.kind, read.no),
            ("hibernating", "vacuum", 3)
        );
        let told = json!({"kind": "run", "runId": "r", "state": "paused", "reason": null,
            "segments": {"done": 1, "running": 2, "retrying": 3, "queued": 4, "unplaceable": 5,
                "failed": 6, "asleep": 7},
            "plannedTasks": 21, "counts": {}});
        let read = event(told).unwrap();
        let v1::run_event::Kind::Run(moved) = &read[1] else {
            panic!("{read:?}");
        };
        assert_eq!((&*moved.state, moved.planned_tasks), ("paused", 21));
        assert_eq!(event(json!({"kind": "weather"})).unwrap(), Vec::new());
    }

    #[test]
    fn what_is_not_there_is_refused_and_not_made_up() {
        let mut told = told_task();
        told.as_object_mut().unwrap().remove("state");
        assert!(task(told).is_err());
        let mut told = told_task();
        told["attempts"] = json!("many");
        assert!(task(told).is_err());
        assert!(dataset(&json!({"id": "a"})).is_err());
    }

    #[test]
    fn a_number_without_json_is_a_number_again() {
        let nan = measured(Measured::Special("NaN".to_owned()));
        let Some(v1::metric_value::Kind::Float(number)) = nan.and_then(|v| v.kind) else {
            panic!("no number");
        };
        assert!(number.is_nan());
    }
}
