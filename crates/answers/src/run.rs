//! Runs: a row of their list, one in full, what is sent to start one, and what happens to it.

use std::collections::BTreeMap;

use crate::schema::{Book, Described, described};
use assay_model::run::{Priority, RunState, Trigger};
use assay_model::task::{TaskKind, TaskState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::check::CheckResult;
use crate::log::LogLine;
use crate::task::Task;
use crate::value::Counts;

described! {
/// Which partitions a run looks at. Empty: all that are new or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Only these partition keys.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Only dated partitions of the last so many days.
    #[serde(default)]
    pub last_days: Option<u32>,
    /// Measure again what is unchanged, too.
    #[serde(default)]
    pub rescan: bool,
}
}

described! {
/// A run, with what it has come to so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Its id.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The digest of the definition that it was planned with.
    pub definition: String,
    /// What started it.
    pub trigger: Trigger,
    /// Which runs go first.
    pub priority: Priority,
    /// The scheduled instant, for a scheduled run.
    pub slot: Option<Timestamp>,
    /// Where it is.
    pub state: RunState,
    /// Why it ended as it did.
    pub reason: Option<String>,
    /// Which partitions it looks at.
    pub selection: Selection,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first task was assigned.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When it is given up.
    pub deadline_at: Timestamp,
    /// Tasks of its plan.
    pub planned_tasks: u32,
    /// Its tasks by state, that of discovery with the others.
    pub task_states: BTreeMap<TaskState, u64>,
    /// All its tasks.
    pub task_count: u64,
    /// Partition versions that it judged.
    pub partitions: u64,
    /// The outcomes of their checks.
    pub counts: Counts,
}
}

described! {
/// The tasks of a run by what is to be seen of them: the segments of its bar, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segments {
    /// Succeeded.
    pub done: u64,
    /// At work, at their first attempt.
    pub running: u64,
    /// At work or waiting after an attempt that ended badly.
    pub retrying: u64,
    /// Waiting for a slot or for other tasks.
    pub queued: u64,
    /// Waiting although nothing but a node is lacking: no node can take them.
    pub unplaceable: u64,
    /// Given up, crashed too often, or stopped.
    pub failed: u64,
}
}

described! {
/// An attempt as a bar of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bar {
    /// The node.
    pub node: String,
    /// The task's number.
    pub no: u32,
    /// Its kind.
    pub kind: TaskKind,
    /// The partition it is about, or empty.
    pub partition: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// When it began: was started, or else assigned.
    pub start: Timestamp,
    /// When it ended; `null` while it is at work.
    pub end: Option<Timestamp>,
    /// How it ended (`ok`, `node_lost`, …); `null` while it is at work.
    pub outcome: Option<String>,
    /// Why it ended.
    pub reason: Option<String>,
}
}

described! {
/// Tasks that wait for the same thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// The reason in one word (`no_capacity`), or empty when none is known yet.
    pub wait: String,
    /// How many tasks wait for it.
    pub tasks: u64,
    /// The reason of the first of them, in a sentence.
    pub reason: Option<String>,
}
}

described! {
/// How far a run has come, and when it may have ended.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Bytes that its measuring tasks have read to the end, as stored.
    pub bytes_done: u64,
    /// Bytes that its measuring tasks read in all, as far as they are planned.
    pub bytes_planned: u64,
    /// Bytes a second since it began; `null` before any were read.
    pub bytes_per_s: Option<f64>,
    /// Milliseconds until it will have ended, if what is left takes as long for its size as what has
    /// ended; `null` of an ended run, and where nothing of the kind has ended yet or no node can
    /// take a task.
    pub left_ms: Option<u64>,
}
}

described! {
/// `GET /runs/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub run: Run,
    /// Its tasks by what is to be seen of them.
    pub segments: Segments,
    /// How far it has come.
    pub progress: Progress,
    /// What happened to it, newest first: its own moves, and attempts of its tasks that did not go
    /// well, with those that followed them; at most 200. Of a task all: `/runs/{id}/tasks/{no}/log`.
    pub log: Vec<LogLine>,
    /// Older lines that are not in `log`.
    pub log_left_out: u64,
    /// Its tasks: those that are broken, at work or waiting first; at most 500 when the run has
    /// more. All of them, page by page: `/runs/{id}/tasks`.
    pub tasks: Vec<Task>,
    /// Tasks that are not in `tasks`.
    pub tasks_left_out: u64,
    /// Attempts by node and begin, at most 1000, newest kept.
    pub timeline: Vec<Bar>,
    /// Attempts that are not in `timeline`.
    pub timeline_left_out: u64,
    /// Why tasks wait, the most frequent reason first.
    pub waits: Vec<Waiting>,
    /// Results that need a look, gravest first, at most 500.
    pub findings: Vec<CheckResult>,
    /// How many more there are.
    pub findings_left_out: u64,
    /// What the discovery has to say besides its plan.
    pub notices: Vec<String>,
    /// Objects that belong to no partition, with the reason: the first ones.
    pub ignored: Vec<String>,
    /// How many there are in all.
    pub ignored_count: u64,
    /// Nodes whose loss interrupted an attempt of this run.
    pub lost_nodes: Vec<String>,
}
}

described! {
/// `GET /runs/{id}/standing`: what the look of a run answers for. The counts have no bound; they come
/// from verdicts, not from the results that are listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Results in force, in the order of the partitions: all of the partitions that the run judged (or
    /// that it names, or that the last run judged, when this one judged none), and those of other
    /// partitions that need a look; at most 10,000.
    pub results: Vec<CheckResult>,
    /// The counts of the former.
    pub judged: Counts,
    /// Their partitions.
    pub judged_partitions: u64,
    /// The counts of what needs a look in other partitions.
    pub elsewhere: Counts,
    /// Those partitions.
    pub elsewhere_partitions: u64,
    /// Whether the run judged nothing, so that earlier verdicts stand.
    pub unchanged: bool,
}
}

described! {
/// `POST /datasets/{id}/runs`: what is sent. An empty object looks at all that is new or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartRun {
    /// Only this partition.
    #[serde(default)]
    pub partition: Option<String>,
    /// Only these partitions.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// Only dated partitions of the last so many days.
    #[serde(default)]
    pub last_days: Option<u32>,
    /// Measure again what is unchanged, too.
    #[serde(default)]
    pub rescan: bool,
    /// A backfill, which yields to runs of the present.
    #[serde(default)]
    pub backfill: bool,
}
}

described! {
/// The answer to starting a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// The run.
    pub run_id: String,
    /// Whether a run under the same key existed already: it is that one.
    pub existed: bool,
}
}

described! {
/// `POST /runs/{id}:cancel`: what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CancelRun {
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}
}

described! {
/// The answer to a wish that was carried to the leader.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What it is about.
    pub id: String,
    /// What was done.
    pub done: String,
}
}

/// Something that happened to a run: the data of one server-sent event. The event's name is its
/// `kind`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum RunEvent {
    /// The run as it stands: the first event of a stream, and after each change.
    #[serde(rename_all = "camelCase")]
    Run {
        /// The run.
        run_id: String,
        /// Where it is.
        state: RunState,
        /// Why it ended as it did.
        reason: Option<String>,
        /// Its tasks by what is to be seen of them.
        segments: Segments,
        /// Tasks of its plan.
        planned_tasks: u32,
        /// The outcomes of its checks so far.
        counts: Counts,
    },
    /// A task that has moved on.
    #[serde(rename_all = "camelCase")]
    Task {
        /// The run.
        run_id: String,
        /// The task.
        task: Task,
    },
}

impl Described for RunEvent {
    fn name() -> Option<String> {
        Some("RunEvent".to_owned())
    }

    fn schema(book: &mut Book) -> serde_json::Value {
        use serde_json::json;
        let run = json!({ "type": "object",
            "required": ["kind", "runId", "state", "segments", "plannedTasks", "counts"],
            "properties": {
                "kind": { "const": "run" }, "runId": { "type": "string" },
                "state": book.of::<RunState>(), "reason": book.of::<Option<String>>(),
                "segments": book.of::<Segments>(), "plannedTasks": book.of::<u32>(),
                "counts": book.of::<Counts>(),
            } });
        let task = json!({ "type": "object", "required": ["kind", "runId", "task"],
            "properties": {
                "kind": { "const": "task" }, "runId": { "type": "string" },
                "task": book.of::<Task>(),
            } });
        json!({ "description": "Something that happened to a run.", "oneOf": [run, task] })
    }
}
