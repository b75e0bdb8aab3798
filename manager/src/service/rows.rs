//! Rows of the store and the core, for the wire.

use std::collections::BTreeMap;

use assay_manager_core::AttemptView;
use assay_model::history::Place;
use assay_model::ids::DatasetId;
use assay_model::run::Run;
use assay_model::task::{Task, TaskSpec, TaskState};
use assay_proto::WireError;
use assay_proto::convert::{self, time_of};
use assay_proto::v1;
use assay_store::port::{AttemptRow, ResultRow, RunSum, Verdict};

/// A dataset that a request may leave out.
pub(crate) fn opt_dataset(id: String) -> Result<Option<DatasetId>, WireError> {
    if id.is_empty() {
        return Ok(None);
    }
    convert::dataset_id(id).map(Some)
}

/// A run with what it has come to.
pub(crate) fn run(run: &Run, sum: &RunSum) -> v1::Run {
    let tasks = sum.tasks.iter().map(|(state, tasks)| v1::TaskCount {
        state: state.to_string(),
        tasks: *tasks,
    });
    v1::Run {
        sum: Some(v1::RunSum {
            tasks: tasks.collect(),
            partitions: sum.partitions,
            outcomes: Some(convert::counts_of(&sum.counts)),
        }),
        ..convert::run_of(run)
    }
}

/// A task with its attempts.
pub(crate) fn task(task: &Task, attempts: &[AttemptRow]) -> v1::Task {
    let (batch, batches, bytes) = match &task.spec {
        TaskSpec::Measure(spec) => (spec.batch, spec.batches, spec.bytes),
        other => (0, 0, other.evaluations().iter().map(|e| e.bytes).sum()),
    };
    v1::Task {
        no: task.id.no,
        kind: task.spec.kind().to_string(),
        partition: task
            .spec
            .partition()
            .map(|key| key.as_str().to_owned())
            .unwrap_or_default(),
        batch,
        batches,
        bytes,
        depends_on: task.depends_on.clone(),
        state: task.state.to_string(),
        wait: task.wait.map(|w| w.to_string()).unwrap_or_default(),
        not_before: task.not_before.map(time_of),
        attempt: task.attempt,
        charged: task.charged,
        crashes: task.crashes,
        node: task
            .node
            .as_ref()
            .map(|n| n.to_string())
            .unwrap_or_default(),
        assigned_at: task.assigned_at.map(time_of),
        started_at: task.started_at.map(time_of),
        reason: task.reason.clone().unwrap_or_default(),
        attempts: attempts.iter().map(attempt).collect(),
    }
}

fn attempt(row: &AttemptRow) -> v1::Attempt {
    v1::Attempt {
        attempt: row.token.attempt,
        node: row.node.clone(),
        assigned_at: Some(time_of(row.assigned_at)),
        started_at: row.started_at.map(time_of),
        ended_at: row.ended_at.map(time_of),
        outcome: row.outcome.clone().unwrap_or_default(),
        charged: row.charged,
        reason: row.reason.clone().unwrap_or_default(),
    }
}

/// An attempt at work.
pub(crate) fn task_moved(attempt: &AttemptView) -> v1::TaskMoved {
    v1::TaskMoved {
        no: attempt.task.no,
        kind: attempt.kind.to_string(),
        partition: attempt
            .partition
            .as_ref()
            .map(|key| key.as_str().to_owned())
            .unwrap_or_default(),
        state: attempt.state.to_string(),
        attempt: attempt.attempt,
        node: attempt.node.to_string(),
        wait: String::new(),
        reason: String::new(),
    }
}

/// How far a run's tasks have come.
pub(crate) fn progress(tasks: &BTreeMap<TaskState, u32>) -> v1::RunProgress {
    let of = |states: &[TaskState]| {
        states
            .iter()
            .filter_map(|state| tasks.get(state))
            .sum::<u32>()
    };
    v1::RunProgress {
        planned: tasks.values().sum(),
        ready: of(&[TaskState::Ready]),
        running: of(&[TaskState::Assigned, TaskState::Running]),
        succeeded: of(&[TaskState::Succeeded]),
        failed: of(&[
            TaskState::Failed,
            TaskState::Quarantined,
            TaskState::Cancelled,
        ]),
        rows: 0,
        bytes: 0,
    }
}

/// A place of a metric; the caller adds the outcome and the limits of its value.
pub(crate) fn place(place: &Place) -> v1::HistoryPoint {
    let point = &place.point;
    v1::HistoryPoint {
        partition: Some(convert::partition_of(&point.partition)),
        version: point.version.as_str().to_owned(),
        status: place.status().to_owned(),
        value: convert::value_of(&point.value),
        error_bound: point.error_bound,
        outcome: place.gap.map(|gap| gap.to_string()).unwrap_or_default(),
        limits: None,
        also_expected: Vec::new(),
    }
}

/// A result with what it is about.
pub(crate) fn result(row: &ResultRow) -> v1::Result {
    v1::Result {
        run_id: row.run.to_string(),
        partition: Some(convert::partition_of(&row.partition)),
        version: row.version.as_str().to_owned(),
        judged_at: Some(time_of(row.judged_at)),
        ..convert::result_of(&row.result)
    }
}

/// A verdict.
pub(crate) fn verdict(row: &Verdict) -> v1::Verdict {
    v1::Verdict {
        run_id: row.run.to_string(),
        partition: Some(convert::partition_of(&row.partition)),
        version: row.version.as_str().to_owned(),
        revision: row.revision,
        sealed: row.sealed,
        counts: Some(convert::counts_of(&row.counts)),
        superseded: row.superseded,
        judged_at: Some(time_of(row.judged_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::ids::{NodeId, RunId, TaskId};
    use assay_model::partition::PartitionKey;
    use assay_model::task::TaskKind;
    use jiff::Timestamp;

    #[test]
    fn an_attempt_at_work_names_its_partition() {
        let attempt = AttemptView {
            task: TaskId {
                run: RunId(uuid::Uuid::nil()),
                no: 3,
            },
            kind: TaskKind::Measure,
            partition: Some(PartitionKey("2026-11-20".to_owned())),
            attempt: 1,
            state: TaskState::Running,
            node: NodeId::new("node-1"),
            copy_on: None,
            assigned_at: Timestamp::UNIX_EPOCH,
            rows: 0,
            bytes: 0,
            bytes_total: 0,
        };
        assert_eq!(task_moved(&attempt).partition, "2026-11-20");
    }
}
