//! Nodes: they register, work, commit, report, drain, sleep and die.
//!
//! What comes in: messages. What goes out: calls of the store and messages to the manager. A node
//! must never report a success that the store has not confirmed.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, NodeId, RunId};
use assay_model::ledger::LedgerState;
use assay_model::node::{Load, Node, NodeState, Progress};
use assay_model::outcome::OutcomeCounts;
use assay_model::output::{Evaluation, MeasuredPartition, TaskOutput};
use assay_model::task::{AttemptOutcome, EvaluateSpec, TaskFailure, TaskKind, TaskSpec};

use super::Violation;
use super::rng::Dice;
use super::swarm::Swarm;
use super::truth::Nature;
use super::world::{Item, World};
use crate::{Event, ToNode};

/// A node's process.
#[derive(Debug)]
pub(super) struct SimNode {
    pub id: NodeId,
    pub zone: String,
    pub slots: u32,
    /// Bumped when the process dies.
    pub life: u64,
    pub up: bool,
    pub paused_until: u64,
    pub split_until: u64,
    /// It does not hear the manager.
    pub deaf_until: u64,
    /// The manager does not hear it.
    pub mute_until: u64,
    /// It cannot reach the store.
    pub cut_until: u64,
    /// How wrong its clock is.
    pub skew_ms: i64,
    pub incarnation: Option<Incarnation>,
    /// The highest epoch that it has heard of.
    epoch: Epoch,
    pub manager: Option<usize>,
    pub held: BTreeMap<AttemptToken, u64>,
    /// Attempts that it has had: a repeated message starts nothing twice.
    seen: BTreeSet<AttemptToken>,
    pub draining: bool,
}

impl SimNode {
    pub(super) fn new(number: usize, swarm: &Swarm, dice: &mut Dice) -> Self {
        let zone = match swarm.zones {
            0 => String::new(),
            zones => format!("zone-{}", dice.below(zones)),
        };
        Self {
            id: NodeId(format!("node-{number}")),
            zone,
            slots: u32::try_from(dice.range(1, 4)).unwrap_or(1),
            life: 0,
            up: false,
            paused_until: 0,
            split_until: 0,
            deaf_until: 0,
            mute_until: 0,
            cut_until: 0,
            skew_ms: if swarm.skew {
                i64::try_from(dice.below(1_200_000)).unwrap_or(0) - 600_000
            } else {
                0
            },
            incarnation: None,
            epoch: Epoch(0),
            manager: None,
            held: BTreeMap::new(),
            seen: BTreeSet::new(),
            draining: false,
        }
    }

    fn row(&self) -> Node {
        Node {
            id: self.id.clone(),
            incarnation: self.incarnation.unwrap_or_default(),
            state: NodeState::Live,
            slots: self.slots,
            memory_bytes: 1 << 30,
            zone: self.zone.clone(),
        }
    }
}

impl World {
    /// Whether an item of a node's life counts; one of a sleeping node is put off.
    fn awake(&mut self, node: usize, life: u64, item: impl FnOnce() -> Item) -> bool {
        let n = &self.nodes[node];
        if !n.up || n.life != life {
            return false;
        }
        if n.paused_until > self.now {
            let ms = n.paused_until - self.now;
            self.push(ms, item());
            return false;
        }
        true
    }

    pub(super) fn on_boot(&mut self, node: usize, life: u64) {
        let n = &mut self.nodes[node];
        if n.life != life || n.up {
            return;
        }
        n.up = true;
        n.incarnation = None;
        n.draining = false;
        n.manager = None;
        self.push(1, Item::Hello { node, life });
        self.push(1_500, Item::Beat { node, life });
    }

    /// A process ends; the manager may see its stream reset, its lease runs out.
    pub(super) fn kill(&mut self, node: usize, restart_ms: u64) {
        let n = &mut self.nodes[node];
        if !n.up {
            return;
        }
        n.up = false;
        n.life += 1;
        n.held.clear();
        n.paused_until = 0;
        let (life, incarnation) = (n.life, n.incarnation.take());
        let refused = self.dice.chance(700);
        if let Some(incarnation) = incarnation {
            let id = self.nodes[node].id.clone();
            let event = Event::NodeDisconnected {
                node: id,
                incarnation,
                refused,
            };
            self.tell(node, event);
            self.push(
                9_000,
                Item::Lease {
                    node,
                    life,
                    incarnation,
                },
            );
        }
        self.push(restart_ms, Item::Boot { node, life });
    }

    pub(super) fn on_lease(&mut self, node: usize, _life: u64, incarnation: Incarnation) {
        let n = &self.nodes[node];
        let renewed = n.up && n.incarnation == Some(incarnation) && n.paused_until <= self.now;
        if renewed {
            return;
        }
        if self.etcd_until > self.now {
            let ms = self.etcd_until - self.now;
            let life = n.life;
            self.push(
                ms,
                Item::Lease {
                    node,
                    life,
                    incarnation,
                },
            );
            return;
        }
        let event = Event::LeaseLost {
            node: n.id.clone(),
            incarnation,
        };
        if let Some(manager) = self.leader() {
            let life = self.managers[manager].life;
            self.push(
                10,
                Item::ToManager {
                    manager,
                    life,
                    event,
                },
            );
        }
    }

    /// A message to the manager that the node is connected to.
    pub(super) fn tell(&mut self, node: usize, event: Event) {
        let n = &self.nodes[node];
        let heard = n.split_until <= self.now && n.mute_until <= self.now;
        let Some(manager) = n.manager.filter(|_| heard) else {
            return;
        };
        let life = self.managers[manager].life;
        self.post(&Item::ToManager {
            manager,
            life,
            event,
        });
    }

    pub(super) fn on_hello(&mut self, node: usize, life: u64) {
        if !self.awake(node, life, || Item::Hello { node, life }) {
            return;
        }
        let Some(manager) = self.leader_to_the(node) else {
            self.push(500, Item::Hello { node, life });
            return;
        };
        let mut registered = false;
        let Some(epoch) = self.managers[manager].core.as_ref().map(crate::Core::epoch) else {
            return;
        };
        if self.nodes[node].incarnation.is_none() {
            let at = self.at();
            if self.outage_until > self.now || self.managers[manager].cut_until > self.now {
                self.push(500, Item::Hello { node, life });
                return;
            }
            self.dirty = true;
            let Ok(incarnation) = self.store.register(epoch, &self.nodes[node].row(), at) else {
                self.drop_core(manager);
                self.push(500, Item::Hello { node, life });
                return;
            };
            self.nodes[node].incarnation = Some(incarnation);
            registered = true;
        }
        let n = &mut self.nodes[node];
        n.manager = Some(manager);
        n.epoch = n.epoch.max(epoch);
        let event = Event::NodeHello {
            node: Box::new(n.row()),
            registered,
            held: n.held.keys().copied().collect(),
        };
        let life = self.managers[manager].life;
        let ms = self.dice.range(1, 20);
        self.push(
            ms,
            Item::ToManager {
                manager,
                life,
                event,
            },
        );
    }

    /// Which manager a node believes to lead: now and then one that no longer does.
    fn leader_to_the(&mut self, node: usize) -> Option<usize> {
        let n = &self.nodes[node];
        if n.split_until.max(n.deaf_until).max(n.mute_until) > self.now {
            return None;
        }
        let leader = self.leader();
        let stale = !self.calm && self.dice.chance(50);
        let least = self.nodes[node].epoch;
        let mut others = self.managers.iter().enumerate().filter(|(place, m)| {
            let core = m.core.as_ref();
            Some(*place) != leader && core.is_some_and(|c| c.epoch() >= least)
        });
        if stale {
            others.next().map(|o| o.0).or(leader)
        } else {
            leader
        }
    }

    pub(super) fn on_beat(&mut self, node: usize, life: u64) {
        if !self.awake(node, life, || Item::Beat { node, life }) {
            return;
        }
        let now = self.now;
        let n = &self.nodes[node];
        if let (Some(incarnation), Some(manager)) = (n.incarnation, n.manager) {
            let running = n.held.iter().map(|(token, since)| Progress {
                task: token.task,
                attempt: token.attempt,
                rows: if self.nature(token) == Nature::Hang {
                    0
                } else {
                    now - since
                },
                bytes: 0,
            });
            let load = Load {
                running: running.collect(),
                ..Load::default()
            };
            let event = Event::NodeHeartbeat {
                node: n.id.clone(),
                incarnation,
                load,
            };
            // A stream to a process that has gone is a reset: the node connects again.
            if self.managers[manager].core.is_none() {
                self.push(200, Item::Hello { node, life });
            }
            self.tell(node, event);
        }
        let ms = self.dice.range(1_000, 2_000);
        self.push(ms, Item::Beat { node, life });
    }

    pub(super) fn on_message(
        &mut self,
        node: usize,
        life: u64,
        epoch: Epoch,
        incarnation: Incarnation,
        message: &ToNode,
    ) {
        let again = message.clone();
        let item = || Item::ToNode {
            node,
            life,
            epoch,
            incarnation,
            message: again,
        };
        if !self.awake(node, life, item) {
            return;
        }
        let n = &mut self.nodes[node];
        if epoch < n.epoch || n.incarnation != Some(incarnation) {
            return;
        }
        n.epoch = epoch;
        let now = self.now;
        match *message {
            ToNode::Assign { token, .. } => {
                if n.draining {
                    self.tell(node, Event::TaskDropped { token });
                } else if n.seen.insert(token) {
                    n.held.insert(token, now);
                    let ms = self.dice.range(1, 50);
                    self.push(ms, Item::Start { node, life, token });
                }
            }
            ToNode::Cancel { token } => {
                n.held.remove(&token);
            }
            ToNode::Drain => {
                if !n.draining {
                    n.draining = true;
                    self.push(
                        200,
                        Item::Drain {
                            node,
                            life,
                            since: now,
                        },
                    );
                }
            }
            ToNode::Resume => n.draining = false,
            ToNode::Rejoin => {
                n.incarnation = None;
                n.draining = false;
                // Running work goes on: its tokens decide.
                self.push(10, Item::Hello { node, life });
            }
        }
    }

    pub(super) fn on_drain(&mut self, node: usize, life: u64, since: u64) {
        if !self.awake(node, life, || Item::Drain { node, life, since }) {
            return;
        }
        if !self.nodes[node].draining {
            return;
        }
        if self.nodes[node].held.is_empty() {
            let ms = self.dice.range(1_000, 10_000);
            self.kill(node, ms);
            return;
        }
        if self.now > since + 4_000 {
            let held: Vec<AttemptToken> = self.nodes[node].held.keys().copied().collect();
            for token in held {
                self.nodes[node].held.remove(&token);
                self.dropped.insert(token);
                self.tell(node, Event::TaskDropped { token });
            }
        }
        self.push(500, Item::Drain { node, life, since });
    }

    fn nature(&self, token: &AttemptToken) -> Nature {
        let truth = self.truth.get(&token.task.run);
        truth.map_or(Nature::Healthy, |t| t.nature(token.task.no))
    }

    fn store_is_away_from_node(&self, node: usize) -> bool {
        self.outage_until > self.now || self.nodes[node].cut_until > self.now
    }

    pub(super) fn dataset(&self, token: &AttemptToken) -> Option<DatasetId> {
        self.truth
            .get(&token.task.run)
            .map(|t| t.run.dataset.clone())
    }

    pub(super) fn on_start(
        &mut self,
        node: usize,
        life: u64,
        token: AttemptToken,
    ) -> Result<(), Violation> {
        if !self.awake(node, life, || Item::Start { node, life, token })
            || !self.nodes[node].held.contains_key(&token)
        {
            return Ok(());
        }
        if self.store_is_away_from_node(node) {
            self.push(300, Item::Start { node, life, token });
            return Ok(());
        }
        self.dirty = true;
        let at = self.at_node(node);
        let Some((_, task)) = self.store.start(&token, at) else {
            self.nodes[node].held.remove(&token);
            return Ok(());
        };
        self.check_start(&task)?;
        *self.tries.entry(token.task).or_default() += 1;
        self.tell(node, Event::TaskStarted { token });
        let ms = match (self.nature(&token), self.dice.chance(100)) {
            (Nature::Hang, _) => 20_000,
            // Slow on this node, this time.
            _ if self.dice.chance(self.swarm.straggle) => self.dice.range(8_000, 18_000),
            (_, true) => self.dice.range(3_000, 15_000),
            (_, false) => self.dice.range(10, 2_000),
        };
        self.push(ms, Item::Finish { node, life, token });
        Ok(())
    }

    pub(super) fn on_finish(&mut self, node: usize, life: u64, token: AttemptToken) {
        if !self.awake(node, life, || Item::Finish { node, life, token })
            || !self.nodes[node].held.contains_key(&token)
        {
            return;
        }
        let Some(task) = self.store.tasks.get(&token.task) else {
            return;
        };
        let reads = task.spec.kind() != TaskKind::Evaluate;
        let dataset = self.dataset(&token);
        let away = dataset.and_then(|d| self.away_until.get(d.as_str()).copied());
        let tries = self.tries.get(&token.task).copied().unwrap_or(0);
        let failure = match self.nature(&token) {
            _ if reads && away.is_some_and(|until| until > self.now) => {
                Some(AttemptOutcome::DependencyDown)
            }
            Nature::Flaky(fails) if tries <= fails => Some(AttemptOutcome::Retryable),
            Nature::Permanent => Some(AttemptOutcome::Permanent),
            Nature::Poison => Some(AttemptOutcome::Crashed),
            // Half of the nodes' own time-outs do not fire: the leader's must.
            Nature::Hang if self.dice.chance(500) => Some(AttemptOutcome::TimedOut),
            Nature::Hang => return,
            Nature::Healthy | Nature::Flaky(_) => None,
        };
        if let Some(outcome) = failure {
            self.nodes[node].held.remove(&token);
            if outcome == AttemptOutcome::DependencyDown {
                self.away.insert(token);
            }
            let failure = TaskFailure {
                outcome,
                message: "as it must".to_owned(),
            };
            self.tell(node, Event::TaskFailed { token, failure });
            return;
        }
        let output = Box::new(self.output_of(&token));
        if !self.calm && self.dice.chance(self.swarm.lie) {
            self.tell(node, Event::TaskFinished { token });
            self.lies.insert((token.task, token.attempt));
            if self.dice.chance(500) {
                self.nodes[node].held.remove(&token);
                return;
            }
        }
        let ms = self.dice.range(1, 300);
        let item = Item::Complete {
            node,
            life,
            token,
            output,
        };
        self.push(ms, item);
    }

    fn output_of(&self, token: &AttemptToken) -> TaskOutput {
        let run = token.task.run;
        let truth = self.truth.get(&run);
        match self.store.tasks.get(&token.task).map(|t| t.spec.clone()) {
            Some(TaskSpec::Measure(measure)) => {
                let rows = truth.and_then(|t| t.rows.get(&token.task.no)).copied();
                let parts = measure.partitions.into_iter().map(|p| MeasuredPartition {
                    partition: p.key,
                    rows: rows.unwrap_or(0),
                    state: Vec::new(),
                });
                TaskOutput::Measured(parts.collect())
            }
            Some(TaskSpec::Evaluate(evaluate)) => {
                TaskOutput::Evaluated(Box::new(self.evaluation(run, evaluate)))
            }
            Some(TaskSpec::EvaluateMany(many)) => {
                let each = many.of.into_iter().map(|e| self.evaluation(run, e));
                TaskOutput::EvaluatedMany(each.collect())
            }
            Some(TaskSpec::Discover) | None => {
                TaskOutput::Discovered(truth.map(|t| t.discovery.clone()).unwrap_or_default())
            }
        }
    }

    fn evaluation(&self, run: RunId, evaluate: EvaluateSpec) -> Evaluation {
        let planned = self.store.rows(run, &evaluate.measured_by);
        Evaluation {
            partition: evaluate.partition,
            version: evaluate.version,
            sealed: true,
            state: LedgerState::Scanned,
            metrics: Vec::new(),
            results: Vec::new(),
            counts: OutcomeCounts {
                planned,
                ..OutcomeCounts::default()
            },
            incidents: Vec::new(),
            outbox: Vec::new(),
            judged_at: self.at(),
        }
    }

    pub(super) fn on_complete(
        &mut self,
        node: usize,
        life: u64,
        token: AttemptToken,
        output: &TaskOutput,
    ) {
        let again = || Item::Complete {
            node,
            life,
            token,
            output: Box::new(output.clone()),
        };
        if !self.awake(node, life, again) {
            return;
        }
        let lost = !self.calm && self.dice.chance(self.swarm.not_applied);
        if lost || self.store_is_away_from_node(node) {
            self.push(200, again());
            return;
        }
        self.dirty = true;
        let at = self.at_node(node);
        let answer = self.store.complete(&token, output, at);
        if answer == Answer::Ok
            && let Some(dataset) = self.dataset(&token)
        {
            self.asked_in_vain.remove(&dataset);
            self.answered_at.insert(dataset, self.now);
        }
        if !self.calm && self.dice.chance(self.swarm.ack_lost) {
            self.push(200, again());
            return;
        }
        self.nodes[node].held.remove(&token);
        if answer != Answer::Fenced {
            self.tell(node, Event::TaskFinished { token });
        }
    }
}
