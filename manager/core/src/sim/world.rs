//! The event loop of the simulation: virtual time, one queue, one step at a time.
//!
//! What comes in: a seed. What goes out: a report or a violation. It must never let two things
//! happen at once: the queue's order is total.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::change::Change;
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, NodeId, RunId, TaskId};
use assay_model::output::TaskOutput;
use assay_model::unfinished::TasksHeld;
use jiff::Timestamp;

use super::manager::Manager;
use super::node::SimNode;
use super::rng::Dice;
use super::swarm::Swarm;
use super::truth::{self, TrueRun};
use super::{MemoryStore, Mutant, Report, Violation};
use crate::time::after;
use crate::{Command, Config, CopyConfig, Event, ScaleConfig, ToNode};

/// Something that will happen.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// Faults, election, clients: once in half a virtual second.
    Pulse,
    /// A manager's timer.
    Tick {
        manager: usize,
        life: u64,
        number: u64,
    },
    /// A manager is told.
    ToManager {
        manager: usize,
        life: u64,
        event: Event,
    },
    /// A commit reaches the store.
    Apply {
        manager: usize,
        life: u64,
        epoch: Epoch,
        id: u64,
        changes: Vec<Change>,
        ack: bool,
    },
    /// A read reaches the store.
    Read {
        manager: usize,
        life: u64,
        command: Command,
    },
    /// A message reaches a node.
    ToNode {
        node: usize,
        life: u64,
        epoch: Epoch,
        incarnation: Incarnation,
        message: ToNode,
    },
    /// A node connects, registering first where its life is new.
    Hello { node: usize, life: u64 },
    /// A node's heartbeat is due.
    Beat { node: usize, life: u64 },
    /// A node begins an attempt.
    Start {
        node: usize,
        life: u64,
        token: AttemptToken,
    },
    /// An attempt's work is over.
    Finish {
        node: usize,
        life: u64,
        token: AttemptToken,
    },
    /// A node commits a result.
    Complete {
        node: usize,
        life: u64,
        token: AttemptToken,
        output: Box<TaskOutput>,
    },
    /// A node that was told to drain looks at what it has.
    Drain { node: usize, life: u64, since: u64 },
    /// A lease runs out, unless its node lives and is awake.
    Lease {
        node: usize,
        life: u64,
        incarnation: Incarnation,
    },
    /// A node's process begins.
    Boot { node: usize, life: u64 },
}

/// All there is.
pub(super) struct World {
    pub seed: u64,
    pub now: u64,
    pub(super) queue: BTreeMap<(u64, u64), Item>,
    sequence: u64,
    pub dice: Dice,
    pub swarm: Swarm,
    pub mutants: Vec<Mutant>,
    pub store: MemoryStore,
    pub outage_until: u64,
    pub managers: Vec<Manager>,
    pub nodes: Vec<SimNode>,
    pub truth: BTreeMap<RunId, TrueRun>,
    pub calm: bool,
    pub calm_since: u64,
    /// Attempts that their nodes are seen not to have, and since when.
    pub unheld: BTreeMap<AttemptToken, u64>,
    pub away_until: BTreeMap<String, u64>,
    /// Attempts that failed because their source was away.
    pub away: BTreeSet<AttemptToken>,
    /// Attempts whose success was told too early: their slots may be given to others.
    pub lies: BTreeSet<(TaskId, u32)>,
    /// Sources that were asked in vain, by which leader, when, and for how long that holds, in
    /// milliseconds.
    pub asked_in_vain: BTreeMap<DatasetId, (Epoch, Timestamp, u64)>,
    /// When each source last gave an answer.
    pub answered_at: BTreeMap<DatasetId, u64>,
    /// Lives that someone wants drained.
    pub drains: BTreeMap<NodeId, Incarnation>,
    /// Lives that ended with their zone, at once.
    pub zones_lost: Vec<BTreeSet<(NodeId, Incarnation)>>,
    /// The coordinator is away.
    pub etcd_until: u64,
    pub answered: BTreeSet<RunId>,
    pub cancels: BTreeSet<RunId>,
    pub retried: BTreeSet<RunId>,
    /// How often each task was tried.
    pub tries: BTreeMap<TaskId, u32>,
    /// Attempts that a node handed back while draining.
    pub dropped: BTreeSet<AttemptToken>,
    pub ended: BTreeMap<TaskId, (assay_model::task::TaskState, usize)>,
    pub steps: u64,
    pub commits: u64,
    pub faults: u64,
    pub trace: u64,
    pub counts: BTreeMap<&'static str, u64>,
    pub dirty: bool,
    pub loud: bool,
}

/// How long everything may take to settle once faults have stopped, in virtual milliseconds.
const SETTLE_MS: u64 = 1_800_000;

impl World {
    pub(super) fn new(seed: u64, mutants: &[Mutant]) -> Self {
        let mut dice = Dice::new(seed);
        let swarm = Swarm::draw(&mut dice);
        let truth = truth::draw(&mut dice, &swarm, base());
        let mut store = MemoryStore::new();
        store.mutants = mutants.to_vec();
        store.plan_page = match seed % 3 {
            0 => store.plan_page,
            some => some as usize * 2,
        };
        let nodes = (0..swarm.nodes)
            .map(|n| SimNode::new(n, &swarm, &mut dice))
            .collect();
        let managers = (0..swarm.managers).map(|_| Manager::default()).collect();
        let mut world = Self {
            seed,
            now: 0,
            queue: BTreeMap::new(),
            sequence: 0,
            dice,
            swarm,
            mutants: mutants.to_vec(),
            store,
            outage_until: 0,
            managers,
            nodes,
            truth,
            calm: false,
            calm_since: 0,
            unheld: BTreeMap::new(),
            away_until: BTreeMap::new(),
            away: BTreeSet::new(),
            lies: BTreeSet::new(),
            asked_in_vain: BTreeMap::new(),
            answered_at: BTreeMap::new(),
            drains: BTreeMap::new(),
            zones_lost: Vec::new(),
            etcd_until: 0,
            answered: BTreeSet::new(),
            cancels: BTreeSet::new(),
            retried: BTreeSet::new(),
            tries: BTreeMap::new(),
            dropped: BTreeSet::new(),
            ended: BTreeMap::new(),
            steps: 0,
            commits: 0,
            faults: 0,
            trace: seed,
            counts: BTreeMap::new(),
            dirty: false,
            loud: false,
        };
        world.push(0, Item::Pulse);
        for node in 0..world.nodes.len() {
            let at = world.dice.below(2_000);
            world.push(at, Item::Boot { node, life: 0 });
        }
        world
    }

    /// Leaders of every other seed hold few tasks, those of some one of each run.
    fn tasks_held(&self) -> TasksHeld {
        match self.seed / 3 % 4 {
            0 => TasksHeld { max: 1, per_run: 1 },
            1 => TasksHeld { max: 8, per_run: 2 },
            _ => TasksHeld::default(),
        }
    }

    /// The numbers that leaders decide by, with the mutants that sit in them.
    pub(super) fn config(&self) -> Config {
        let has = |mutant| self.has(mutant);
        let plain = Config {
            drain_grace_ms: 15_000,
            stall_timeout_ms: 15_000,
            copies: CopyConfig {
                after_ms: 2_000,
                slower_permille: 2_000,
                peers_min: 1,
                max_percent: 50,
                ..CopyConfig::default()
            },
            scale: ScaleConfig {
                min: 1,
                max: 5,
                ..ScaleConfig::default()
            },
            tasks_held: self.tasks_held(),
            ..Config::default()
        };
        Config {
            breaker_ms: if has(Mutant::NoBreaker) { 0 } else { 5_000 },
            correlation_window_ms: if has(Mutant::NoCorrelation) {
                0
            } else {
                10_000
            },
            max_running_runs_per_dataset: 1 + u32::from(has(Mutant::TwoRunsAtOnce)),
            crashes_max: if has(Mutant::CrashNotCounted) { 99 } else { 2 },
            task_backoff_ms: if has(Mutant::NoBackoff) { 0 } else { 5_000 },
            node_backoff_ms: if has(Mutant::NoBackoff) { 0 } else { 500 },
            dispatch_timeout_ms: if has(Mutant::NoTimeouts) {
                u64::MAX
            } else {
                10_000
            },
            stall_timeout_ms: if has(Mutant::NoTimeouts) {
                u64::MAX
            } else {
                15_000
            },
            ..plain
        }
    }

    pub(super) fn has(&self, mutant: Mutant) -> bool {
        self.mutants.contains(&mutant)
    }

    pub(super) fn at(&self) -> Timestamp {
        after(base(), self.now)
    }

    /// The present by a node's clock, which may be wrong.
    pub(super) fn at_node(&self, node: usize) -> Timestamp {
        let skew = jiff::SignedDuration::from_millis(self.nodes[node].skew_ms);
        self.at().checked_add(skew).unwrap_or_else(|_| self.at())
    }

    /// Puts an item `ms` from now.
    pub(super) fn push(&mut self, ms: u64, item: Item) {
        self.sequence += 1;
        self.queue.insert((self.now + ms, self.sequence), item);
    }

    /// A message's journey: lost, doubled, delayed, overtaken.
    pub(super) fn post(&mut self, item: &Item) {
        if !self.calm && self.dice.chance(self.swarm.loss) {
            return;
        }
        let copies = 1 + u64::from(!self.calm && self.dice.chance(self.swarm.double));
        for _ in 0..copies {
            let longest = if self.calm { 20 } else { self.swarm.delay_ms };
            let ms = self.dice.range(1, longest);
            self.push(ms, item.clone());
        }
    }

    pub(super) fn fail<T>(&self, id: &'static str, what: String) -> Result<T, Violation> {
        Err(Violation {
            id,
            what,
            at_ms: self.now,
            seed: self.seed,
        })
    }

    pub(super) fn run(mut self) -> Result<Report, Violation> {
        while let Some(((at, _), item)) = self.queue.pop_first() {
            self.now = at;
            if !self.calm && at >= self.swarm.chaos_ms {
                self.calm_down();
                self.calm_since = at;
            }
            if self.loud {
                println!("{at:>8} {item:?}");
            }
            self.steps += 1;
            self.fold(at);
            self.step(item)?;
            if self.dirty {
                self.dirty = false;
                self.check()?;
            }
            if self.calm && self.is_settled() {
                break;
            }
            if self.calm && at > self.calm_since + SETTLE_MS {
                return self.not_settled();
            }
        }
        self.final_check()?;
        let rows = format!("{:?}", (&self.store.tasks, &self.store.attempts));
        for byte in rows.bytes() {
            self.fold(u64::from(byte));
        }
        Ok(Report {
            seed: self.seed,
            steps: self.steps,
            commits: self.commits,
            faults: self.faults,
            settled_ms: self.now - self.calm_since,
            trace: self.trace,
            counts: self.counts,
        })
    }

    pub(super) fn fold(&mut self, value: u64) {
        let mixed = self.trace ^ value;
        self.trace = mixed.wrapping_mul(0x0100_0000_01b3).rotate_left(5);
    }

    fn step(&mut self, item: Item) -> Result<(), Violation> {
        match item {
            Item::Pulse => self.pulse(),
            Item::Tick {
                manager,
                life,
                number,
            } => self.on_tick(manager, life, number),
            Item::ToManager {
                manager,
                life,
                event,
            } => self.on_event(manager, life, event),
            Item::Apply {
                manager,
                life,
                epoch,
                id,
                changes,
                ack,
            } => {
                return self.on_apply(manager, life, epoch, id, &changes, ack);
            }
            Item::Read {
                manager,
                life,
                command,
            } => self.on_read(manager, life, command),
            Item::ToNode {
                node,
                life,
                epoch,
                incarnation,
                message,
            } => {
                self.on_message(node, life, epoch, incarnation, &message);
            }
            Item::Hello { node, life } => self.on_hello(node, life),
            Item::Beat { node, life } => {
                self.on_beat(node, life);
                return self.t8_orphans_are_found(node);
            }
            Item::Start { node, life, token } => return self.on_start(node, life, token),
            Item::Finish { node, life, token } => self.on_finish(node, life, token),
            Item::Complete {
                node,
                life,
                token,
                output,
            } => {
                self.on_complete(node, life, token, &output);
            }
            Item::Drain { node, life, since } => self.on_drain(node, life, since),
            Item::Lease {
                node,
                life,
                incarnation,
            } => self.on_lease(node, life, incarnation),
            Item::Boot { node, life } => self.on_boot(node, life),
        }
        Ok(())
    }
}

/// The instant at which every simulation begins.
pub(super) fn base() -> Timestamp {
    Timestamp::UNIX_EPOCH
}
