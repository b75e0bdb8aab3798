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

mod assign;
mod attempts;
mod backoff;
mod batch;
mod breaker;
mod command;
mod commit;
mod config;
mod copies;
mod event;
mod explain;
pub mod fair;
mod ids;
mod invariant;
mod loss;
mod nodes;
mod plan;
mod runs;
pub mod scale;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod solver;
mod state;
#[cfg(test)]
mod tests;
mod time;
mod timers;
mod view;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use assay_model::ids::{DatasetId, Epoch, NodeId, RunId};
use assay_model::node::{Node, NodeState};
use assay_model::run::Run;
use assay_model::unfinished::RunRows;
use jiff::Timestamp;

pub use command::{Command, ToNode};
pub use config::{Config, CopyConfig, ScaleConfig};
pub use event::Event;
pub use ids::{IdSource, SeededIds};
pub use view::{AttemptView, BreakerState, BreakerView, Explanation, NodeView, RunView, View};

/// All that is not finished: what a new leader starts from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    /// Runs that have not ended, with the tasks that are held of them.
    pub runs: Vec<RunRows>,
    /// Nodes whose life is not over.
    pub nodes: Vec<Node>,
}

/// The leader's knowledge and decisions.
pub struct Core {
    epoch: Epoch,
    config: Config,
    ids: Box<dyn IdSource>,
    started_at: Timestamp,
    /// The latest instant seen; time never goes back.
    now: Timestamp,
    runs: BTreeMap<RunId, state::RunRecord>,
    nodes: BTreeMap<NodeId, state::NodeRecord>,
    datasets: BTreeMap<DatasetId, state::DatasetRecord>,
    /// The served cost of the dataset that had the last turn: who comes back starts here.
    served_floor: u64,
    /// Lives that ended lately.
    deaths: VecDeque<loss::Fallen>,
    /// Attempts that were charged to a death that may turn out to be part of something greater.
    losses: Vec<loss::Loss>,
    /// Runs that were asked for and are not written yet.
    submissions: BTreeMap<RunId, Run>,
    /// Ended runs that are to be retried, with their new deadlines.
    retries: BTreeMap<RunId, Timestamp>,
    /// Retried runs whose rows are being read.
    awaited: BTreeSet<RunId>,
    scaler: scale::Scaler,
    commits: commit::Commits,
    out: Vec<Command>,
    /// Events since the invariants were last checked.
    unvalidated: usize,
}

impl Core {
    /// A core for the leader of `epoch` that knows `snapshot`, with the first commands.
    #[must_use]
    pub fn new(
        epoch: Epoch,
        config: Config,
        ids: Box<dyn IdSource>,
        snapshot: Snapshot,
        now: Timestamp,
    ) -> (Self, Vec<Command>) {
        let nodes = u32::try_from(snapshot.nodes.len()).unwrap_or(u32::MAX);
        let mut core = Self {
            epoch,
            scaler: scale::Scaler::new(config.scale.clone(), nodes),
            config,
            ids,
            started_at: now,
            now,
            runs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            datasets: BTreeMap::new(),
            served_floor: 0,
            deaths: VecDeque::new(),
            losses: Vec::new(),
            submissions: BTreeMap::new(),
            retries: BTreeMap::new(),
            awaited: BTreeSet::new(),
            commits: commit::Commits::default(),
            out: Vec::new(),
            unvalidated: 0,
        };
        core.load(snapshot);
        core.out.push(Command::DesiredNodes {
            n: core.scaler.desired(),
            reason: "a leader has taken over".to_owned(),
        });
        core.decide();
        let commands = std::mem::take(&mut core.out);
        (core, commands)
    }

    fn load(&mut self, snapshot: Snapshot) {
        for rows in snapshot.runs {
            self.insert_run(rows);
        }
        for node in snapshot.nodes {
            let mut record = state::NodeRecord::new(node, self.now);
            if record.node.state == NodeState::Excluded {
                record.excluded_until = Some(time::after(self.now, self.config.exclude_for_ms));
            }
            self.nodes.insert(record.node.id.clone(), record);
        }
    }

    fn insert_run(&mut self, rows: RunRows) {
        self.datasets.entry(rows.run.dataset.clone()).or_default();
        let id = rows.run.id;
        let record = state::RunRecord::new(rows, self.now);
        self.runs.insert(id, record);
    }

    /// Takes in one event and gives what is to be done, in order.
    pub fn handle(&mut self, now: Timestamp, event: Event) -> Vec<Command> {
        self.now = self.now.max(now);
        self.observe(event);
        self.decide();
        if cfg!(debug_assertions) {
            self.validate_in_turn();
        }
        std::mem::take(&mut self.out)
    }

    fn observe(&mut self, event: Event) {
        match event {
            Event::Tick => {}
            Event::RunSubmitted { run } => self.on_submitted(*run),
            Event::PlanRead { run, page } => self.on_plan_read(run, page),
            Event::TasksRead { asked, read } => self.on_tasks_read(&asked, read),
            Event::RunLoaded { run, rows } => self.on_run_loaded(run, rows),
            Event::Committed { commit, answers } => self.on_committed(commit, &answers),
            Event::CommitNotApplied { commit } => self.on_not_applied(commit),
            Event::CommitRefused { commit, reason } => self.on_refused(commit, &reason),
            Event::NodeHello {
                node,
                registered,
                held,
            } => self.on_hello(*node, registered, held),
            Event::NodeHeartbeat {
                node,
                incarnation,
                load,
            } => self.on_heartbeat(&node, incarnation, load),
            Event::NodeDisconnected {
                node,
                incarnation,
                refused,
            } => self.on_disconnected(&node, incarnation, refused),
            Event::LeaseLost { node, incarnation } => self.on_lease(&node, incarnation, false),
            Event::LeaseHeld { node, incarnation } => self.on_lease(&node, incarnation, true),
            Event::TaskStarted { token } => self.on_started(&token),
            Event::TaskFinished { token } => self.on_finished(&token),
            Event::TaskFailed { token, failure } => self.on_failed(&token, failure),
            Event::TaskDropped { token } => self.on_dropped(&token),
            Event::CancelRun { run, reason } => self.on_cancel(run, reason),
            Event::RetryRun { run, deadline_at } => self.on_retry(run, deadline_at),
            Event::DrainNode { node, reason } => self.on_drain(&node, reason),
            Event::UncordonNode { node } => self.on_uncordon(&node),
            Event::BreakerOpened { dataset } => self.on_breaker_opened(dataset),
            Event::BreakerClosed { dataset } => self.on_breaker_closed(&dataset),
            Event::ScaleBounds { min, max } => self.scaler.set_bounds(min, max),
        }
    }

    /// The epoch that every write and message of this core carries.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The numbers that it decides by.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }
}
