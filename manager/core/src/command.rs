//! What the core wants done: writes, messages to nodes, reads, and things to tell.
//!
//! What comes in: nothing; commands are data. What goes out: an order that the driver carries out
//! in sequence. A command must never rest on a change that is not committed.

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::NodeState;
use assay_model::run::RunState;
use assay_model::task::TaskKind;
use assay_model::unfinished::MoreTasks;

/// Something to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Apply these changes in one transaction under the core's epoch, and answer with
    /// [`crate::Event::Committed`] or [`crate::Event::CommitNotApplied`]. When neither is certain,
    /// or the epoch is fenced, drop the core. At most one commit is out at a time.
    Commit {
        /// Names the commit in its answer.
        id: u64,
        /// The changes, in order.
        changes: Vec<Change>,
    },
    /// Send a message to a node, with the core's epoch. Losing it is harmless.
    Send {
        /// The node.
        node: NodeId,
        /// The life it is meant for; drop it when another life is connected.
        incarnation: Incarnation,
        /// The message.
        message: ToNode,
    },
    /// Read a page of the plan that a succeeded discovery left; answer with
    /// [`crate::Event::PlanRead`], repeating the read until the store can be reached.
    ReadPlan {
        /// The discovery.
        task: TaskId,
        /// The number of the first task that is wanted.
        from: u32,
    },
    /// Read tasks of a run; answer with [`crate::Event::TasksRead`], repeating the read until the
    /// store can be reached.
    ReadTasks(MoreTasks),
    /// Read a run and the tasks of it that are held; answer with [`crate::Event::RunLoaded`],
    /// repeating the read until the store can be reached.
    ReloadRun {
        /// The run.
        run: RunId,
        /// Ready tasks of it, at most.
        most: usize,
    },
    /// The fleet should have so many nodes.
    DesiredNodes {
        /// Nodes wanted.
        n: u32,
        /// Why.
        reason: String,
    },
    /// The answer to [`crate::Event::RunSubmitted`]: tell whoever asked.
    Submitted {
        /// The run.
        run: RunId,
        /// `Ok` when it is new, `Already` when it exists.
        answer: Answer,
    },
    /// The answer to [`crate::Event::CancelRun`], [`crate::Event::RetryRun`],
    /// [`crate::Event::DrainNode`] or [`crate::Event::UncordonNode`] that cannot be followed.
    Refused {
        /// What was asked of.
        subject: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The answer to [`crate::Event::RetryRun`]: its tasks are ready again in the store.
    Retried {
        /// The run.
        run: RunId,
    },
    /// A node is in this state in the store: the answer to [`crate::Event::DrainNode`] and
    /// [`crate::Event::UncordonNode`], given also when there was nothing to change.
    NodeMoved {
        /// The node.
        node: NodeId,
        /// Its state.
        state: NodeState,
    },
    /// A run has changed its state: tell who watches it.
    RunMoved {
        /// The run.
        run: RunId,
        /// Its state.
        state: RunState,
        /// Why, for an end.
        reason: Option<String>,
    },
    /// Add to a telemetry counter.
    Count {
        /// Its name, without prefix.
        what: &'static str,
        /// How much.
        n: u64,
    },
}

/// A message to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToNode {
    /// Run this attempt.
    Assign {
        /// The attempt.
        token: AttemptToken,
        /// What kind of task it is.
        kind: TaskKind,
        /// The longest it may take, in milliseconds.
        timeout_ms: u64,
        /// Bytes that it will read, as stored.
        bytes: u64,
        /// Whether an earlier attempt crashed its process: run it alone, with half the memory.
        suspect: bool,
    },
    /// Stop this attempt; its result would be refused.
    Cancel {
        /// The attempt.
        token: AttemptToken,
    },
    /// Finish, hand back, and leave.
    Drain,
    /// Take tasks again.
    Resume,
    /// This life of the node is over: register anew.
    Rejoin,
}
