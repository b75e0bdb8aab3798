//! The log of a run and of its tasks: what is on record of them, in the order of time.

use assay_model::task::{TaskKind, TaskState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::schema::described;

described! {
/// Something that happened to a run or to an attempt of one of its tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// What: `accepted`, `began` and `finished` of the run; `assigned`, `started` and `ended` of an
    /// attempt.
    pub event: String,
    /// The task's number; `null` where it is about the run.
    pub no: Option<u32>,
    /// The task's kind.
    pub kind: Option<TaskKind>,
    /// The partition that the task is about, or empty.
    pub partition: String,
    /// Which attempt, from 1.
    pub attempt: Option<u32>,
    /// The node of the attempt.
    pub node: Option<String>,
    /// How it ended: the attempt (`ok`, `node_lost`, …) or the run (`succeeded`, …).
    pub outcome: Option<String>,
    /// Whether the attempt counts against the retries.
    pub charged: bool,
    /// Why, in a sentence, or empty.
    pub reason: String,
}
}

described! {
/// `GET /runs/{id}/tasks/{no}/log`: the attempts of a task, line by line. Nodes keep their own logs
/// of what they read; this is what the cluster has on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskLog {
    /// The run.
    pub run_id: String,
    /// The task's number in the run's plan.
    pub no: u32,
    /// What kind of work it is.
    pub kind: TaskKind,
    /// The partition it is about, or empty.
    pub partition: String,
    /// Where it is.
    pub state: TaskState,
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
}
}
