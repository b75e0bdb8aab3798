//! From rows and messages to answers.
//!
//! Comes in: what the store and the leader say. Goes out: the types of the API. It must never drop a
//! field that the command shows.

use assay_answers::check::CheckResult;
use assay_answers::cluster::{Cluster, Manager, Ticked};
use assay_answers::dataset::{Partition, PartitionRow, Square};
use assay_answers::node::Node;
use assay_answers::problem;
use assay_answers::run::{Run, Selection};
use assay_answers::task::{Task, Try};
use assay_answers::value::{Counts, Limits, MetricName, Value};
use assay_model::ledger::LedgerEntry;
use assay_model::task::TaskSpec;
use assay_model::{partition, run, task};
use assay_proto::convert::opt_time;
use assay_proto::v1;
use assay_store::port::{AttemptRow, ResultRow, RunSum, Verdict};
use jiff::Timestamp;

/// A partition.
pub fn partition(of: &partition::Partition) -> Partition {
    Partition {
        key: of.key.to_string(),
        series: of.series.clone(),
        date: of.date,
        start: of.start,
        end: of.end,
    }
}

/// A result with what it is about.
pub fn result(row: &ResultRow) -> CheckResult {
    let result = &row.result;
    CheckResult {
        partition: row.partition.key.to_string(),
        series: row.partition.series.clone(),
        version: row.version.to_string(),
        run_id: row.run.to_string(),
        judged_at: row.judged_at,
        check: result.check.to_string(),
        of: MetricName::from(&result.metric),
        metric: result.metric.metric.to_string(),
        column: result.metric.column.clone(),
        outcome: result.outcome,
        severity: result.severity,
        origin: result.origin,
        actual: Value::from(&result.actual),
        error_bound: result.error_bound,
        expected: result.expected.clone(),
        limits: result.limits.as_ref().map(Limits::from),
        reason: result.reason.clone(),
        note: result.note.clone(),
        samples: result.samples(),
    }
}

/// A verdict as a square of a strip.
pub fn square(verdict: &Verdict) -> Square {
    Square {
        partition: verdict.partition.key.to_string(),
        health: verdict.counts.health(),
        counts: Counts::from(verdict.counts),
        run_id: verdict.run.to_string(),
        judged_at: verdict.judged_at,
    }
}

/// A row of the ledger.
pub fn ledger_entry(entry: &LedgerEntry) -> PartitionRow {
    PartitionRow {
        partition: partition(&entry.partition),
        state: entry.state,
        version: entry.version.to_string(),
        judged: entry.judged.as_ref().map(ToString::to_string),
        revision: entry.revision,
        objects: entry.objects,
        bytes: entry.bytes,
        first_seen: entry.first_seen,
        last_modified: entry.last_modified,
        counts: entry.verdict.map(Counts::from),
    }
}

/// A run with what it has come to.
pub fn run(of: &run::Run, sum: &RunSum) -> Run {
    Run {
        id: of.id.to_string(),
        dataset: of.dataset.to_string(),
        definition: of.definition.clone(),
        trigger: of.trigger,
        priority: of.priority,
        slot: of.slot,
        state: of.state,
        reason: of.reason.clone(),
        selection: Selection {
            keys: of.selection.keys.clone(),
            last_days: of.selection.last_days,
            rescan: of.selection.rescan,
        },
        created_at: of.created_at,
        started_at: of.started_at,
        finished_at: of.finished_at,
        deadline_at: of.deadline_at,
        planned_tasks: of.planned_tasks,
        task_states: sum.tasks.clone(),
        task_count: sum.tasks.values().sum(),
        partitions: sum.partitions,
        counts: Counts::from(sum.counts),
    }
}

/// A task as it is stored.
pub fn task(of: &task::Task, attempts: &[AttemptRow]) -> Task {
    let (batch, batches, bytes) = match &of.spec {
        TaskSpec::Measure(spec) => (spec.batch, spec.batches, spec.bytes),
        other => (0, 0, other.evaluations().iter().map(|e| e.bytes).sum()),
    };
    Task {
        no: of.id.no,
        kind: of.spec.kind(),
        partition: of
            .spec
            .partition()
            .map(ToString::to_string)
            .unwrap_or_default(),
        batch,
        batches,
        depends_on: of.depends_on.clone(),
        state: of.state,
        wait: of.wait.map(|wait| wait.to_string()).unwrap_or_default(),
        not_before: of.not_before,
        attempts: of.attempt,
        tries: attempts.iter().map(attempt).collect(),
        node: of
            .node
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        bytes,
        reason: of.reason.clone().unwrap_or_default(),
        assigned_at: of.assigned_at,
        started_at: of.started_at,
    }
}

fn attempt(row: &AttemptRow) -> Try {
    Try {
        attempt: row.token.attempt,
        node: row.node.clone(),
        assigned_at: Some(row.assigned_at),
        started_at: row.started_at,
        ended_at: row.ended_at,
        outcome: row.outcome.clone().unwrap_or_default(),
        charged: row.charged,
        reason: row.reason.clone().unwrap_or_default(),
    }
}

fn said(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn when(at: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    opt_time("at", at).ok().flatten()
}

/// A data node.
pub fn node(of: v1::NodeStatus) -> Node {
    Node {
        id: of.id,
        incarnation: of.incarnation,
        state: of.state,
        slots: of.slots,
        slots_used: of.slots_used,
        cpu: if of.cpu.is_finite() { of.cpu } else { 0.0 },
        memory_bytes: of.memory_bytes,
        memory_used_bytes: of.memory_used_bytes,
        zone: of.zone,
        silent_ms: of.silent_ms,
        reason: said(of.reason),
        since: when(of.since),
        version: said(of.version),
    }
}

/// The cluster.
pub fn cluster(of: v1::StatusResponse) -> Cluster {
    Cluster {
        leader: of.leader,
        epoch: of.epoch,
        managers: of
            .managers
            .into_iter()
            .map(|m| Manager {
                name: m.name,
                address: m.address,
                leads: m.leads,
            })
            .collect(),
        nodes: of.nodes.into_iter().map(node).collect(),
        departed: of.departed.into_iter().map(node).collect(),
        departed_more: of.departed_more,
        unknown: of.unknown,
        nodes_desired: of.nodes_desired,
        nodes_desired_reason: of.nodes_desired_reason,
        runs_unfinished: of.runs_unfinished,
        tasks_ready: of.tasks_ready,
        tasks_waiting: of.tasks_waiting,
        tasks_running: of.tasks_running,
        store_away: said(of.store_away),
        store_away_since: when(of.store_away_since),
        schedule: of.schedule.map(|ticked| Ticked {
            at: when(ticked.at),
            outcome: ticked.outcome,
            words: ticked.words,
        }),
    }
}

/// What is wrong with a document.
pub fn diagnostic(of: &assay_contract::Diagnostic) -> problem::Diagnostic {
    problem::Diagnostic {
        code: of.code.as_str().to_owned(),
        level: of.code.level().to_string(),
        file: of.file.clone(),
        line: of.line,
        column: of.column,
        path: of.path.clone(),
        message: of.message.clone(),
        hint: of.hint.clone(),
    }
}
