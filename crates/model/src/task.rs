//! Tasks: what a run is split into, what each is told to do, and how an attempt can end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{Incarnation, NodeId, TaskId};
use crate::partition::{ObjectSlice, Partition, PartitionKey, PartitionVersion};

crate::words! {
    /// Where a task is.
    pub enum TaskState {
        /// Waiting, for the reason it gives.
        Ready = "ready",
        /// Given to a node that has not started it.
        Assigned = "assigned",
        /// At work.
        Running = "running",
        /// Its results are committed.
        Succeeded = "succeeded",
        /// Given up.
        Failed = "failed",
        /// Its attempts crashed their process twice.
        Quarantined = "quarantined",
        /// Stopped by someone.
        Cancelled = "cancelled",
    }
}

impl TaskState {
    /// Whether the task has ended; an ended task never changes.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Failed | Self::Quarantined | Self::Cancelled
        )
    }
}

crate::words! {
    /// Why a task is still waiting.
    pub enum WaitReason {
        /// A task that it needs has not ended.
        Dependency = "dependency",
        /// The pause before its next attempt.
        Backoff = "backoff",
        /// Every slot is taken.
        NoCapacity = "no_capacity",
        /// No live node is registered.
        NoNode = "no_node",
        /// An outside system is away.
        DependencyDown = "dependency_down",
    }
}

crate::words! {
    /// What kind of work a task is.
    pub enum TaskKind {
        /// Lists the source and plans the run.
        Discover = "discover",
        /// Measures one batch.
        Measure = "measure",
        /// Merges a partition's states and judges them.
        Evaluate = "evaluate",
    }
}

/// What a task is told to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum TaskSpec {
    /// Lists the source, compares it with the ledger, and plans.
    Discover,
    /// Measures one batch.
    Measure(MeasureSpec),
    /// Merges and judges one partition.
    Evaluate(EvaluateSpec),
    /// Merges and judges partitions of one series, one after another.
    EvaluateMany(EvaluateManySpec),
}

impl TaskSpec {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> TaskKind {
        match self {
            Self::Discover => TaskKind::Discover,
            Self::Measure(_) => TaskKind::Measure,
            Self::Evaluate(_) | Self::EvaluateMany(_) => TaskKind::Evaluate,
        }
    }

    /// The partitions that it judges, in their order.
    #[must_use]
    pub fn evaluations(&self) -> &[EvaluateSpec] {
        match self {
            Self::Discover | Self::Measure(_) => &[],
            Self::Evaluate(spec) => std::slice::from_ref(spec),
            Self::EvaluateMany(spec) => &spec.of,
        }
    }

    /// The partition it is about, or the first of them.
    #[must_use]
    pub fn partition(&self) -> Option<&PartitionKey> {
        match self {
            Self::Discover => None,
            Self::Measure(spec) => spec.partitions.first().map(|p| &p.key),
            Self::Evaluate(_) | Self::EvaluateMany(_) => {
                self.evaluations().first().map(|spec| &spec.partition.key)
            }
        }
    }
}

/// One batch: which parts of which objects, and the partitions they hold rows of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasureSpec {
    /// The partitions whose rows the batch holds: one, unless the key is a column inside the files.
    pub partitions: Vec<Partition>,
    /// The batch's place among those of its partition, from 1.
    pub batch: u32,
    /// How many batches its partition has.
    pub batches: u32,
    /// What is read.
    pub slices: Vec<ObjectSlice>,
    /// Bytes to be read, as stored; the cost that assignment weighs.
    pub bytes: u64,
    /// Whether the batch, which is then a whole partition, answers the owner's queries and the
    /// checks with a filter, and measures nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queries: bool,
    /// Set where the source is read although it shows nothing new: what tells this reading from
    /// those before. A stored copy of an earlier one does not stand for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<String>,
}

crate::words! {
    /// What an evaluation is about.
    pub enum EvaluateMode {
        /// Measured states are merged and judged.
        Judge = "judge",
        /// What is stored of its metrics is judged again: the definition or the time went on.
        Again = "again",
        /// The partition has not come by its deadline.
        Missing = "missing",
        /// Its objects were there and have been taken away.
        Gone = "gone",
        /// Objects whose name does not tell their partition: an error of their own.
        Refused = "refused",
    }
}

impl EvaluateMode {
    /// Whether data is judged, and not its lack.
    #[must_use]
    pub const fn is_of_data(self) -> bool {
        matches!(self, Self::Judge | Self::Again)
    }
}

/// Partitions of one series to be judged by one task: each by what is known of those before it, the
/// ones of this very task among them. Their verdicts are committed as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateManySpec {
    /// The partitions, in their order.
    pub of: Vec<EvaluateSpec>,
    /// The numbers of the tasks of this run whose states are merged for any of them.
    pub measured_by: Vec<u32>,
}

/// One partition version to be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluateSpec {
    /// The partition.
    pub partition: Partition,
    /// The version that is judged.
    pub version: PartitionVersion,
    /// Whether it came.
    pub mode: EvaluateMode,
    /// Whether it is complete; if not, its values are provisional.
    pub sealed: bool,
    /// The numbers of the tasks of this run whose states are merged.
    pub measured_by: Vec<u32>,
    /// Its objects.
    pub objects: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// When its objects last changed.
    #[serde(default)]
    pub last_modified: Option<Timestamp>,
    /// What is known of it without a measurement: what was taken away, why it was refused.
    #[serde(default)]
    pub reason: Option<String>,
    /// The names of its batches in our own storage, where checks run on a copy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
}

/// A task, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What it is told to do.
    pub spec: TaskSpec,
    /// Tasks of the same run that must have ended before it starts.
    pub depends_on: Vec<u32>,
    /// Where it is.
    pub state: TaskState,
    /// Why it waits, while it is ready.
    #[serde(default)]
    pub wait: Option<WaitReason>,
    /// Not before this instant, while it is ready.
    #[serde(default)]
    pub not_before: Option<Timestamp>,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Attempts that count against the retries.
    pub charged: u32,
    /// Attempts that crashed their process.
    pub crashes: u32,
    /// The nonce of the attempt at work.
    #[serde(default)]
    pub nonce: Option<Uuid>,
    /// The node of the attempt at work.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// That node's life.
    #[serde(default)]
    pub incarnation: Option<Incarnation>,
    /// A second copy of the attempt at work, on another node.
    #[serde(default)]
    pub twin: Option<Box<Twin>>,
    /// When the attempt at work was assigned.
    #[serde(default)]
    pub assigned_at: Option<Timestamp>,
    /// When the attempt at work was started.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// Why it ended, or why its last attempt did.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A second copy of an attempt: it has the attempt's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Twin {
    /// Its nonce.
    pub nonce: Uuid,
    /// Its node.
    pub node: NodeId,
    /// That node's life.
    pub incarnation: Incarnation,
    /// When it was assigned.
    pub assigned_at: Timestamp,
}

impl Task {
    /// A task that has not been attempted.
    #[must_use]
    pub fn new(id: TaskId, spec: TaskSpec, depends_on: Vec<u32>) -> Self {
        let wait = (!depends_on.is_empty()).then_some(WaitReason::Dependency);
        Self {
            id,
            spec,
            depends_on,
            state: TaskState::Ready,
            wait,
            not_before: None,
            attempt: 0,
            charged: 0,
            crashes: 0,
            nonce: None,
            node: None,
            incarnation: None,
            twin: None,
            assigned_at: None,
            started_at: None,
            reason: None,
        }
    }
}

crate::words! {
    /// How an attempt ended.
    pub enum AttemptOutcome {
        /// Its results are committed.
        Ok = "ok",
        /// The task's own error; a retry may help. Charged.
        Retryable = "retryable",
        /// The task's own error; a retry cannot help. Final.
        Permanent = "permanent",
        /// It took too long. Charged.
        TimedOut = "timed_out",
        /// Its process died. Charged, and a crash.
        Crashed = "crashed",
        /// Its node died. Charged.
        NodeLost = "node_lost",
        /// Its node drained. Uncharged.
        Drained = "drained",
        /// Its node is alive and does not know it. Uncharged.
        Orphaned = "orphaned",
        /// Given to a node and never started. Uncharged.
        DispatchLost = "dispatch_lost",
        /// An outside system was away. Uncharged.
        DependencyDown = "dependency_down",
        /// Stopped by someone. Uncharged.
        Cancelled = "cancelled",
    }
}

impl AttemptOutcome {
    /// Whether the attempt counts against the task's retries.
    #[must_use]
    pub const fn is_charged(self) -> bool {
        matches!(
            self,
            Self::Retryable | Self::Permanent | Self::TimedOut | Self::Crashed | Self::NodeLost
        )
    }
}

/// Why an attempt failed, as the node reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskFailure {
    /// How it counts: `retryable`, `permanent`, `timed_out`, `crashed`, `dependency_down`, `drained`.
    pub outcome: AttemptOutcome,
    /// What happened, where, and what to do next.
    pub message: String,
}
