//! Tasks of a run, and their attempts.

use crate::schema::described;
use assay_model::task::{TaskKind, TaskState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

described! {
/// A task of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Task {
    /// Its number in the run's plan; 0 is the discovery.
    pub no: u32,
    /// What kind of work it is.
    pub kind: TaskKind,
    /// The partition it is about, or empty.
    pub partition: String,
    /// The batch's place among those of its partition, from 1; 0 when it is none.
    pub batch: u32,
    /// How many batches its partition has; 0 when it is none.
    pub batches: u32,
    /// Tasks that must have ended before it.
    pub depends_on: Vec<u32>,
    /// Where it is.
    pub state: TaskState,
    /// Why it waits, in one word, while it is ready; or empty.
    pub wait: String,
    /// Until when it waits, where that is known.
    pub not_before: Option<Timestamp>,
    /// Attempts so far.
    pub attempts: u32,
    /// The attempts, oldest first.
    pub tries: Vec<Try>,
    /// The node it is on, or empty.
    pub node: String,
    /// Bytes that it reads, as stored.
    pub bytes: u64,
    /// Why it waits or ended, in a sentence, or empty.
    pub reason: String,
    /// When its present attempt was assigned.
    pub assigned_at: Option<Timestamp>,
    /// When its present attempt was started.
    pub started_at: Option<Timestamp>,
}
}

described! {
/// An attempt of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Try {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The node.
    pub node: String,
    /// When it was assigned.
    pub assigned_at: Option<Timestamp>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended; empty while it is at work.
    pub outcome: String,
    /// Whether it counts against the retries.
    pub charged: bool,
    /// Why it ended, or empty.
    pub reason: String,
}
}
