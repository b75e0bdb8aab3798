//! What the term's task is told: facts for the core, and questions with a place for the answer.

use assay_coordination::port::Nodes;
use assay_manager_core::{Event, Explanation, View};
use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, Incarnation, NodeId, TaskId};
use assay_model::node::Node;
use assay_model::run::Run;
use assay_store::StoreError;
use tokio::sync::{mpsc, oneshot};

use crate::desk::{Submission, Until};
use crate::links::Link;

/// Messages that may wait for the term's task; beyond, senders wait (and with them, streams).
pub(crate) const INBOX_MAX: usize = 4096;

/// One message to the term's task.
pub(crate) enum Input {
    /// A fact.
    Event(Event),
    /// The store answered a commit.
    CommitDone(u64, Result<Vec<Answer>, StoreError>),
    /// Start this run.
    Submit(Box<Run>, Submission),
    /// A wish of someone: the answer is why it cannot be followed.
    Wish(Wish, oneshot::Sender<Result<(), String>>),
    /// A node's stream is open.
    NodeOpened(Opened),
    /// A node's stream has closed. `left`: it had said goodbye.
    NodeClosed {
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// Which of its streams.
        stream: u64,
        /// Whether it said goodbye before.
        left: bool,
    },
    /// Nobody listens any more where a node's process was, after this stream of it had closed.
    NodeRefuses {
        /// The node.
        node: NodeId,
        /// Its life.
        incarnation: Incarnation,
    },
    /// The nodes that hold a lease.
    Leases(Nodes),
    /// The store says that a newer leader writes.
    Fenced,
    /// How does everything stand?
    View(oneshot::Sender<View>),
    /// Why is this task where it is?
    Explain(Vec<TaskId>, oneshot::Sender<Vec<Explanation>>),
}

/// A node whose stream is open.
pub(crate) struct Opened {
    pub(crate) node: Node,
    pub(crate) registered: bool,
    pub(crate) held: Vec<AttemptToken>,
    pub(crate) link: Link,
}

/// A wish: the event that carries it, and what it is about.
pub(crate) struct Wish {
    pub(crate) event: Event,
    pub(crate) subject: String,
    /// What must have happened before it is answered.
    pub(crate) until: Until,
}

/// The sending end of an inbox.
pub(crate) type Inbox = mpsc::Sender<Input>;
