//! Tasks and a run for the tests of what is made of them.

use assay_answers::run::{Run, Selection};
use assay_answers::task::{Task, Try};
use assay_answers::value::Counts;
use assay_model::run::{Priority, RunState, Trigger};
use assay_model::task::{TaskKind, TaskState};
use jiff::Timestamp;

/// So many seconds after the first instant.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// A task of measuring that waits.
pub(crate) fn task(no: u32, bytes: u64) -> Task {
    Task {
        no,
        kind: TaskKind::Measure,
        partition: "2026-11-20".to_owned(),
        batch: 1,
        batches: 1,
        depends_on: Vec::new(),
        state: TaskState::Ready,
        wait: String::new(),
        not_before: None,
        attempts: 0,
        tries: Vec::new(),
        node: String::new(),
        bytes,
        reason: String::new(),
        assigned_at: None,
        started_at: None,
    }
}

/// An attempt, assigned and started at once.
pub(crate) fn tried(attempt: u32, node: &str, start: i64, end: Option<(i64, &str)>) -> Try {
    Try {
        attempt,
        node: node.to_owned(),
        assigned_at: Some(at(start)),
        started_at: Some(at(start)),
        ended_at: end.map(|(end, _)| at(end)),
        outcome: end.map_or_else(String::new, |(_, outcome)| outcome.to_owned()),
        charged: end.is_some_and(|(_, outcome)| outcome != "ok"),
        reason: String::new(),
    }
}

/// A task of measuring that has ended well.
pub(crate) fn succeeded(no: u32, bytes: u64, start: i64, end: i64) -> Task {
    Task {
        state: TaskState::Succeeded,
        tries: vec![tried(1, "node-1", start, Some((end, "ok")))],
        ..task(no, bytes)
    }
}

/// A run at work.
pub(crate) fn run() -> Run {
    Run {
        id: "run_1".to_owned(),
        dataset: "orders".to_owned(),
        definition: "d".to_owned(),
        trigger: Trigger::Manual,
        priority: Priority::Live,
        slot: None,
        state: RunState::Running,
        reason: None,
        selection: Selection::default(),
        created_at: at(0),
        started_at: Some(at(1)),
        finished_at: None,
        deadline_at: at(3600),
        planned_tasks: 2,
        task_states: std::collections::BTreeMap::new(),
        task_count: 2,
        partitions: 0,
        counts: Counts::default(),
    }
}
