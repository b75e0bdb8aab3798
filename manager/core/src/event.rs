//! What the core is told: facts from the store, from nodes, from people, and the passing of time.
//!
//! What comes in: values that the driver has already authenticated and decoded. What goes out:
//! nothing; events are data. They must never carry a handle, a stream or a reply channel.

use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, DatasetId, Incarnation, NodeId, RunId};
use assay_model::node::{Load, Node};
use assay_model::run::Run;
use assay_model::task::TaskFailure;
use assay_model::unfinished::{MoreTasks, PlanPage, RunRows, TasksRead};
use jiff::Timestamp;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time has passed; at the latest at the instant of [`crate::Core::poll_timeout`].
    Tick,

    /// A schedule or a person asks for a run. Answered by [`crate::Command::Submitted`].
    RunSubmitted {
        /// The run, `queued`.
        run: Box<Run>,
    },
    /// The answer to [`crate::Command::ReadPlan`]; `None` when the discovery has left no plan.
    PlanRead {
        /// The run.
        run: RunId,
        /// The tasks from the number on that was asked for.
        page: Option<Box<PlanPage>>,
    },
    /// The answer to [`crate::Command::ReadTasks`].
    TasksRead {
        /// What was asked for.
        asked: MoreTasks,
        /// What there is.
        read: TasksRead,
    },
    /// The answer to [`crate::Command::ReloadRun`]; `None` when the run has ended or never was.
    RunLoaded {
        /// The run.
        run: RunId,
        /// Its row, and the rows of its tasks that are held.
        rows: Option<Box<RunRows>>,
    },
    /// The store has applied a commit: one answer per change, in order.
    Committed {
        /// The commit.
        commit: u64,
        /// Its answers.
        answers: Vec<Answer>,
    },
    /// The store has certainly not applied a commit. (When that is not certain, or the epoch is
    /// fenced, the driver drops the core: there is no event for it.)
    CommitNotApplied {
        /// The commit.
        commit: u64,
    },
    /// The store refuses a commit for what it holds, now and always (a definition that it does not
    /// know, a row that it cannot take). Not applied.
    CommitRefused {
        /// The commit.
        commit: u64,
        /// Why, and what to do.
        reason: String,
    },

    /// A node's stream is open.
    NodeHello {
        /// The node with its incarnation; its `state` counts only when it has just registered.
        node: Box<Node>,
        /// Whether the driver has just registered it with the store under this core's epoch (its
        /// incarnation is then new); `false` when it came back with an incarnation it had.
        registered: bool,
        /// The attempts that it holds.
        held: Vec<AttemptToken>,
    },
    /// A node's heartbeat.
    NodeHeartbeat {
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// Its load, with every attempt that it holds.
        load: Load,
    },
    /// A node's stream has closed.
    NodeDisconnected {
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// Whether a connection to it was refused afterwards: its process is gone.
        refused: bool,
    },
    /// A node's lease is gone, confirmed by a linearisable read.
    LeaseLost {
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
    },

    /// An attempt is running, says its node.
    TaskStarted {
        /// The attempt.
        token: AttemptToken,
    },
    /// A lease that was told lost is there after all, says the coordinator.
    LeaseHeld {
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// An attempt's results are in the store, says its node: a hint that spares a read.
    TaskFinished {
        /// The attempt.
        token: AttemptToken,
    },
    /// An attempt has failed, says its node. Outcomes that a node may not report count as
    /// `retryable`.
    TaskFailed {
        /// The attempt.
        token: AttemptToken,
        /// How.
        failure: TaskFailure,
    },
    /// A draining node hands an attempt back.
    TaskDropped {
        /// The attempt.
        token: AttemptToken,
    },

    /// Someone stops a run.
    CancelRun {
        /// The run.
        run: RunId,
        /// Who, and why.
        reason: String,
    },
    /// Someone wants the failed tasks of an ended run done again.
    RetryRun {
        /// The run.
        run: RunId,
        /// When it is given up this time.
        deadline_at: Timestamp,
    },
    /// Someone, or the node itself, wants a node to finish and leave.
    DrainNode {
        /// The node.
        node: NodeId,
        /// Who, and why.
        reason: String,
    },
    /// Someone wants a draining or excluded node to take tasks again.
    UncordonNode {
        /// The node.
        node: NodeId,
    },
    /// Calls to a dataset's source are being refused by a circuit breaker.
    BreakerOpened {
        /// The dataset whose source is away.
        dataset: DatasetId,
    },
    /// They pass again.
    BreakerClosed {
        /// The dataset whose source is back.
        dataset: DatasetId,
    },
    /// Someone sets the bounds of the fleet.
    ScaleBounds {
        /// Nodes, at least.
        min: u32,
        /// Nodes, at most.
        max: u32,
    },
}
