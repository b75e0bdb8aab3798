//! What a leader writes: changes of rows, each guarded, committed together under its epoch.

use jiff::Timestamp;

use crate::ids::{AttemptToken, Incarnation, NodeId, RunId, TaskId};
use crate::node::NodeState;
use crate::run::{Run, RunState};
use crate::task::{AttemptOutcome, Task, TaskState, WaitReason};

/// One guarded change of stored rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new run with its discovery (task 0). `Already` when the run's id exists.
    SubmitRun {
        /// The run.
        run: Box<Run>,
        /// Its discovery.
        discover: Box<Task>,
    },
    /// A part of the plan of a run that is not the last one: the run has its plan only with
    /// [`Change::PlanRun`]. `Already` when its tasks are there; `Fenced` when the run has ended or has
    /// its plan, and unless the task before its first one is the last one there.
    PlanPart {
        /// The run.
        run: RunId,
        /// Tasks, one after another.
        tasks: Vec<Task>,
    },
    /// The plan of a run: all tasks that are not there yet. `Already` when the run has its plan;
    /// `Fenced` unless the task before its first one is the last one there.
    PlanRun {
        /// The run.
        run: RunId,
        /// The tasks up to the last one, one after another.
        tasks: Vec<Task>,
    },
    /// Moves a run on. `Fenced` when it has ended; an end is also while a task of it has not ended,
    /// a success while one has not succeeded, and both a success and a partial one while the run has
    /// not the whole of its plan.
    MoveRun {
        /// The run.
        run: RunId,
        /// Its new state.
        state: RunState,
        /// Why, for an end.
        reason: Option<String>,
        /// When.
        at: Timestamp,
    },
    /// Gives a ready task to a node. `Fenced` unless the task is ready with the attempt before
    /// this one, the node is live in this incarnation, and all that an evaluation needs has ended.
    Assign {
        /// The new attempt.
        token: AttemptToken,
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// When.
        at: Timestamp,
    },
    /// Gives a running task to one more node: a second copy of its present attempt, with the
    /// attempt's number and a nonce of its own. The first result stands; whatever ends the task
    /// ends both copies. `Fenced` unless the task is running that attempt on another node without
    /// a second copy, has had none in this attempt, and the node is live in this incarnation.
    AssignTwin {
        /// The copy.
        token: AttemptToken,
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// When.
        at: Timestamp,
    },
    /// Ends an attempt without a result. `Fenced` unless that attempt is at work. When it has two
    /// copies and `next` is ready, only the copy with the token's nonce ends: the task stays at
    /// work with the other.
    EndAttempt {
        /// The attempt.
        token: AttemptToken,
        /// How it ended.
        outcome: AttemptOutcome,
        /// The task's state after it: ready, failed, quarantined or cancelled.
        next: TaskState,
        /// When the task may be assigned again, if ready.
        not_before: Option<Timestamp>,
        /// Why it waits, if ready.
        wait: Option<WaitReason>,
        /// Why the attempt ended.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Takes back the charge of an attempt that ended as `node_lost`: its node was lost with its
    /// zone, so the attempt is `orphaned`. `Fenced` unless it ended so in the task's present round
    /// of retries, and the task has not been given up; `Already` when it is `orphaned`.
    Forgive {
        /// The attempt.
        token: AttemptToken,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Ends a task that has no attempt at work. `Fenced` when it has ended.
    EndTask {
        /// The task.
        task: TaskId,
        /// Failed or cancelled.
        state: TaskState,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Makes the failed, quarantined and cancelled tasks of an ended run ready again, with fresh
    /// attempts to spend, and with them the evaluations that were made without one of these
    /// measurements. The run waits for its turn in the queue.
    RetryRun {
        /// The run.
        run: RunId,
        /// When.
        at: Timestamp,
        /// When it is given up.
        deadline_at: Timestamp,
    },
    /// Moves a node on in its life. `Fenced` when a later incarnation exists.
    MoveNode {
        /// The node.
        node: NodeId,
        /// Which life.
        incarnation: Incarnation,
        /// Its new state.
        state: NodeState,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Records that the fleet was grown or shrunk, and why.
    ScaleEvent {
        /// When.
        at: Timestamp,
        /// Nodes before.
        from: u32,
        /// Nodes wanted.
        to: u32,
        /// Why.
        reason: String,
    },
}

crate::words! {
    /// How the store answered one guarded change.
    pub enum Answer {
        /// Done.
        Ok = "ok",
        /// It had been done before; nothing changed.
        Already = "already",
        /// Its guard does not hold; nothing changed.
        Fenced = "fenced",
    }
}
