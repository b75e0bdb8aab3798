//! What people are shown of the core's state: copies, never references into it.
//!
//! What comes in: the core's records. What goes out: plain rows for the status pages and the CLI.
//! It must never decide anything.

use std::collections::BTreeMap;

use assay_model::ids::{DatasetId, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::NodeState;
use assay_model::partition::PartitionKey;
use assay_model::run::{Priority, RunState};
use assay_model::task::{TaskKind, TaskState, WaitReason};
use jiff::Timestamp;

/// The core's state at one instant.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// Runs that have not ended, oldest first.
    pub runs: Vec<RunView>,
    /// Attempts at work.
    pub running: Vec<AttemptView>,
    /// Registered nodes.
    pub nodes: Vec<NodeView>,
    /// Tasks that could start if there were slots, about: of those whose turn in their plan has not come
    /// as large a part as of those that are held.
    pub queue_depth: usize,
    /// Bytes that those of them read that the leader holds.
    pub queue_bytes: u64,
    /// Nodes wanted.
    pub desired_nodes: u32,
    /// Sources that are away, or may be: one that answers is not listed.
    pub breakers: Vec<BreakerView>,
    /// Since when the store has been refusing commits; nothing is decided and no time counts.
    pub store_away_since: Option<Timestamp>,
    /// Whether losses of leases are being distrusted, and why.
    pub lease_distrust: Option<String>,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// The run.
    pub run: RunId,
    /// Its dataset.
    pub dataset: DatasetId,
    /// Its state.
    pub state: RunState,
    /// Its priority.
    pub priority: Priority,
    /// Its tasks by state, the discovery included.
    pub tasks: BTreeMap<TaskState, u32>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// An attempt at work.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptView {
    /// The task.
    pub task: TaskId,
    /// Its kind.
    pub kind: TaskKind,
    /// The partition that it is about, if it is about one.
    pub partition: Option<PartitionKey>,
    /// Which attempt.
    pub attempt: u32,
    /// Assigned or running.
    pub state: TaskState,
    /// The node.
    pub node: NodeId,
    /// The node of its second copy, if it has one.
    pub copy_on: Option<NodeId>,
    /// When it was assigned.
    pub assigned_at: Timestamp,
    /// Rows seen.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes to be read.
    pub bytes_total: u64,
}

/// Whether a source is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// It is away; nothing is asked until its pause is over.
    Open,
    /// The pause is over; one task may ask.
    HalfOpen,
    /// One task asks whether it is back.
    Probing,
}

impl BreakerState {
    /// The word for people and telemetry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::Probing => "probing",
        }
    }
}

/// A source that is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerView {
    /// The dataset whose source it is.
    pub dataset: DatasetId,
    /// Whether it is asked.
    pub state: BreakerState,
    /// Until when nothing is asked.
    pub until: Timestamp,
    /// The task that asks.
    pub probe: Option<TaskId>,
}

/// A registered node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeView {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its state.
    pub state: NodeState,
    /// Its failure zone.
    pub zone: String,
    /// Tasks it runs at once.
    pub slots: u32,
    /// Tasks it holds.
    pub held: u32,
    /// CPU in use, 0 to 1.
    pub cpu: f64,
    /// Memory in use, bytes.
    pub memory_bytes: u64,
    /// Memory that it has for tasks, bytes.
    pub memory_total_bytes: u64,
    /// Bytes read per second.
    pub read_bytes_per_s: u64,
    /// When it was last heard.
    pub last_heard: Timestamp,
}

/// Why a task is where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The task.
    pub task: TaskId,
    /// Its state.
    pub state: TaskState,
    /// Why it waits, while it is ready.
    pub wait: Option<WaitReason>,
    /// Tasks of the same run that it waits for.
    pub waits_for: Vec<u32>,
    /// Until when it waits, where that is known.
    pub until: Option<Timestamp>,
    /// The same in one sentence.
    pub text: String,
}
