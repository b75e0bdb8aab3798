//! The manager's decisions: events in, commands out.
//!
//! ```text
//! Event, now ──> Core ──> Vec<Command>
//!                 ├────> poll_timeout() -> Option<(Timestamp, why)>
//!                 ├────> explain(task)  -> why it is where it is
//!                 └────> view()         -> rows for people
//! ```
//!
//! What comes in: [`Event`]s — facts from the store, nodes and people — each with the present
//! instant. What goes out: [`Command`]s, to be carried out in order. It must never read a clock,
//! draw a random number that was not passed in, wait, or know a store or a wire format.
//!
//! # How it decides
//!
//! Events only change what the core knows. After each, one pass over that knowledge
//! (`decide`) finds every change that is due and puts all of them into one commit. While that
//! commit is out, facts pile up and nothing is decided; its answer is applied, what rests on it is
//! sent, and the next pass runs. So nothing is sent that is not written, the same decision is found
//! again when a commit was not applied, and a lost message only delays.
//!
//! # What a driver does
//!
//! 1. Win the election, mint the epoch, load the unfinished rows, [`Core::new`]; carry out its
//!    commands.
//! 2. [`Core::handle`] each event, and [`Event::Tick`] when [`Core::poll_timeout`] has come;
//!    carry out the commands.
//! 3. On a commit whose fate is unknown, or a fenced epoch: drop the core. There is no repair.
//! 4. Registering a node is the driver's call of the store; it then tells
//!    [`Event::NodeHello`] with `registered: true`. A refused or unknown life gets
//!    [`ToNode::Rejoin`].

mod command;
mod config;
mod event;
mod ids;
mod view;

use assay_model::ids::{Epoch, RunId, TaskId};
use assay_model::node::Node;
use assay_model::output::Discovery;
use assay_model::run::Run;
use assay_model::task::Task;
use jiff::Timestamp;

pub use command::{Command, ToNode};
pub use config::{Config, ScaleConfig};
pub use event::Event;
pub use ids::{IdSource, SeededIds};
pub use view::{AttemptView, Explanation, NodeView, RunView, View};

/// All that is not finished: what a new leader starts from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Runs that have not ended.
    pub runs: Vec<Run>,
    /// All tasks of those runs, ended ones too.
    pub tasks: Vec<Task>,
    /// Plans of discoveries that succeeded in runs that have no plan yet.
    pub plans: Vec<(RunId, Discovery)>,
    /// Nodes whose life is not over.
    pub nodes: Vec<Node>,
}

/// The leader's knowledge and decisions.
pub struct Core {
    epoch: Epoch,
    config: Config,
    ids: Box<dyn IdSource>,
    snapshot: Snapshot,
}

impl Core {
    /// A core for the leader of `epoch` that knows `snapshot`, with the first commands.
    #[must_use]
    pub fn new(
        epoch: Epoch,
        config: Config,
        ids: Box<dyn IdSource>,
        snapshot: Snapshot,
        _now: Timestamp,
    ) -> (Self, Vec<Command>) {
        let core = Self {
            epoch,
            config,
            ids,
            snapshot,
        };
        (core, Vec::new())
    }

    /// Takes in one event and gives what is to be done, in order.
    pub fn handle(&mut self, _now: Timestamp, _event: Event) -> Vec<Command> {
        let _ = (&self.config, &mut self.ids);
        Vec::new()
    }

    /// When [`Event::Tick`] is needed at the latest, and the name of the timer that wants it.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Timestamp, &'static str)> {
        None
    }

    /// Why a task is where it is; `None` when it is unknown or its run has ended.
    #[must_use]
    pub fn explain(&self, _task: TaskId) -> Option<Explanation> {
        None
    }

    /// The state for people.
    #[must_use]
    pub fn view(&self) -> View {
        let _ = &self.snapshot;
        View::default()
    }

    /// The epoch that every write and message of this core carries.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }
}
