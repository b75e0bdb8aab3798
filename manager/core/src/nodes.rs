//! Nodes: hello, silence, death, drain, exclusion.
//!
//! What comes in: what streams and leases say. What goes out: the states of nodes. It must never
//! take a lease's word alone when many leases vanish at once, nor declare a silent node dead during
//! the grace after a take-over. A wrong death costs time and never a result: the fence is the
//! attempt's token.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::change::Change;
use assay_model::ids::{AttemptToken, Incarnation, NodeId, TaskId};
use assay_model::node::{Load, Node, NodeState};
use assay_model::task::AttemptOutcome;
use jiff::Timestamp;

use crate::batch::Batch;
use crate::state::{Death, NodeRecord};
use crate::time::{after, ms_between};
use crate::{Command, Core, ToNode};

/// What many lost leases at once mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Brake {
    /// Nothing unusual.
    Off,
    /// Half of those nodes still speak: leases are not believed.
    Distrust,
    /// Nobody speaks: it may be this leader's own link, so nobody dies before the instant.
    Hold(Timestamp),
}

impl Core {
    pub(crate) fn on_hello(&mut self, node: Node, registered: bool, held: Vec<AttemptToken>) {
        let (id, incarnation) = (node.id.clone(), node.incarnation);
        let known = self.nodes.get(&id);
        let accepted = match known {
            Some(record) if record.node.incarnation == incarnation => {
                !record.node.state.is_final() && record.death.is_none()
            }
            Some(record) => registered && record.node.incarnation < incarnation,
            None => registered,
        };
        if !accepted {
            self.send(&id, incarnation, ToNode::Rejoin);
            return;
        }
        let new_life = known.is_none_or(|record| record.node.incarnation < incarnation);
        if new_life {
            let mut fresh = NodeRecord::new(node, self.now);
            fresh.node.state = NodeState::Live;
            self.nodes.insert(id.clone(), fresh);
            self.count("nodes_registered", 1);
        }
        let now = self.now;
        let Some(record) = self.nodes.get_mut(&id) else {
            return;
        };
        record.connected = true;
        record.reset = false;
        record.refused = false;
        record.lease_lost_at = None;
        record.last_heard = now;
        let draining = record.node.state == NodeState::Draining;
        self.adopt(&id, incarnation, held);
        if draining {
            self.send(&id, incarnation, ToNode::Drain);
        } else if !new_life {
            // A `Resume` that was lost would leave it draining for ever.
            self.send(&id, incarnation, ToNode::Resume);
        }
    }

    /// Attempts that match their rows go on; the others are stopped.
    fn adopt(&mut self, node: &NodeId, incarnation: Incarnation, held: Vec<AttemptToken>) {
        let mut listed = BTreeSet::new();
        for token in held {
            let mine = self.open_attempt(&token).is_some_and(|record| {
                let copy = record.copy_with(&token);
                copy.is_some() && copy == record.copy_on(node, incarnation)
            });
            if mine {
                listed.insert((token.task, token.attempt));
            } else {
                self.send(node, incarnation, ToNode::Cancel { token });
            }
        }
        self.note_listed(node, incarnation, &listed, true);
    }

    pub(crate) fn on_heartbeat(&mut self, id: &NodeId, incarnation: Incarnation, load: Load) {
        let known = self.nodes.get(id).filter(|r| r.death.is_none());
        let Some(known) = known.map(|r| r.node.incarnation) else {
            self.send(id, incarnation, ToNode::Rejoin);
            return;
        };
        if known != incarnation {
            if incarnation < known {
                self.send(id, incarnation, ToNode::Rejoin);
            }
            return;
        }
        let listed: BTreeSet<(TaskId, u32)> =
            load.running.iter().map(|p| (p.task, p.attempt)).collect();
        self.note_listed(id, incarnation, &listed, false);
        for progress in &load.running {
            self.note_progress(id, incarnation, progress);
        }
        let now = self.now;
        let mut again = Vec::new();
        if let Some(record) = self.nodes.get_mut(id) {
            record.last_heard = now;
            // It speaks, so its stream is open, whatever a late word of a reset says.
            record.connected = true;
            record.reset = false;
            record.load = load;
            record.strays.retain(|attempt, _| listed.contains(attempt));
            again.extend(record.strays.values().copied());
        }
        for token in again {
            self.send(id, incarnation, ToNode::Cancel { token });
        }
    }

    pub(crate) fn on_disconnected(&mut self, id: &NodeId, incarnation: Incarnation, refused: bool) {
        if let Some(record) = self.nodes.get_mut(id)
            && record.node.incarnation == incarnation
        {
            record.connected = false;
            record.reset = true;
            record.refused |= refused;
        }
    }

    pub(crate) fn on_lease(&mut self, id: &NodeId, incarnation: Incarnation, held: bool) {
        let now = self.now;
        if let Some(record) = self.nodes.get_mut(id)
            && record.node.incarnation == incarnation
        {
            // When it was lost counts, not how often that was told.
            record.lease_lost_at = (!held).then(|| record.lease_lost_at.unwrap_or(now));
        }
    }

    pub(crate) fn on_drain(&mut self, id: &NodeId, reason: String) {
        match self.nodes.get_mut(id) {
            Some(record) if !record.node.state.is_final() => {
                let state = record.node.state;
                record.uncordon = false;
                if state == NodeState::Draining {
                    self.tell_node_state(id.clone(), state);
                } else {
                    record.drain = Some(reason);
                }
            }
            _ => self.refuse(id.to_string(), "no such node is registered"),
        }
    }

    pub(crate) fn on_uncordon(&mut self, id: &NodeId) {
        match self.nodes.get_mut(id) {
            Some(record) if !record.node.state.is_final() => {
                let state = record.node.state;
                record.drain = None;
                if matches!(state, NodeState::Draining | NodeState::Excluded) {
                    record.uncordon = true;
                } else {
                    self.tell_node_state(id.clone(), state);
                }
            }
            _ => self.refuse(id.to_string(), "no such node is registered"),
        }
    }

    fn tell_node_state(&mut self, node: NodeId, state: NodeState) {
        self.out.push(Command::NodeMoved { node, state });
    }

    pub(crate) fn send(&mut self, node: &NodeId, incarnation: Incarnation, message: ToNode) {
        self.out.push(Command::Send {
            node: node.clone(),
            incarnation,
            message,
        });
    }

    pub(crate) fn is_silent(&self, record: &NodeRecord) -> bool {
        after(record.last_heard, self.config.suspect_after_ms) <= self.now
    }

    /// Nodes whose life is not over.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values().filter(|r| !r.node.state.is_final())
    }

    /// Leases so many of which vanish together only when something greater is wrong.
    pub(crate) fn many(&self) -> usize {
        (self.alive().count() * 3).div_ceil(10).max(2)
    }

    /// Nodes whose leases vanished lately.
    pub(crate) fn lost_leases(&self) -> impl Iterator<Item = &NodeRecord> {
        let window = self.config.correlation_window_ms;
        let now = self.now;
        self.alive()
            .filter(move |r| r.lease_lost_at.is_some_and(|at| after(at, window) > now))
    }

    /// The mass-death brake.
    pub(crate) fn brake(&self) -> Brake {
        let lost: Vec<&NodeRecord> = self.lost_leases().collect();
        if lost.len() < self.many() {
            return Brake::Off;
        }
        let speaking = lost.iter().filter(|r| !self.is_silent(r)).count();
        if speaking * 2 >= lost.len() {
            return Brake::Distrust;
        }
        let first = lost.iter().filter_map(|r| r.lease_lost_at).min();
        match first {
            Some(first) if self.alive().all(|r| self.is_silent(r)) => {
                Brake::Hold(after(first, self.config.grace_ms))
            }
            _ => Brake::Off,
        }
    }

    pub(crate) fn decide_nodes(&mut self, batch: &mut Batch) {
        let brake = self.brake();
        let ids: Vec<NodeId> = self.nodes.keys().cloned().collect();
        let holding = self.nodes_with_work();
        for id in ids {
            if batch.is_full() {
                return;
            }
            let Some(record) = self.nodes.get(&id) else {
                continue;
            };
            if record.node.state.is_final() {
                if !holding.contains_key(&id) {
                    self.nodes.remove(&id);
                }
                continue;
            }
            let held = holding.get(&id).copied().unwrap_or_default();
            let mut decided = self.death_of(record, &brake);
            let death = decided
                .as_ref()
                .map(|(_, reason)| self.death_counts(record, reason));
            if let Some((_, reason)) = &mut decided {
                reason.push_str(&given_back(held));
            }
            decided = decided.or_else(|| self.next_state(record, held > 0));
            let incarnation = record.node.incarnation;
            if let Some(record) = self.nodes.get_mut(&id)
                && record.death.is_none()
            {
                record.death = death;
            }
            if let Some((state, reason)) = decided {
                if state == NodeState::Dead {
                    self.foresee_fallen(&id);
                }
                let change = Change::MoveNode {
                    node: id.clone(),
                    incarnation,
                    state,
                    at: self.now,
                    reason,
                };
                batch.push_node(&id, change);
            }
        }
    }

    /// How many tasks each node holds, of those that hold any.
    fn nodes_with_work(&self) -> BTreeMap<NodeId, usize> {
        let places = self.runs.values().flat_map(|run| {
            let open = run.open.iter().filter_map(|no| run.tasks.get(no));
            open.flat_map(|record| {
                let copies = record.copies();
                copies.filter_map(|copy| record.place_of(copy).map(|place| place.0.clone()))
            })
        });
        let mut held = BTreeMap::new();
        for node in places {
            *held.entry(node).or_default() += 1;
        }
        held
    }

    /// Whether a life is over, and why. A decided death stays decided.
    fn death_of(&self, record: &NodeRecord, brake: &Brake) -> Option<(NodeState, String)> {
        let silence_ms = ms_between(record.last_heard, self.now);
        let in_grace = after(self.started_at, self.config.grace_ms) > self.now;
        let held = match brake {
            Brake::Hold(until) => *until > self.now,
            Brake::Off | Brake::Distrust => false,
        };
        let lease_lost = record.lease_lost_at.is_some() && *brake != Brake::Distrust;
        let reason = if let Some(death) = &record.death {
            death.reason.clone()
        } else if record.refused {
            "its stream was reset and a new connection refused".to_owned()
        } else if in_grace || held {
            return None;
        } else if lease_lost && self.is_silent(record) {
            format!("its lease is gone and it has been silent for {silence_ms} ms")
        } else if silence_ms >= self.config.dead_after_ms {
            format!("it has been silent for {silence_ms} ms")
        } else {
            return None;
        };
        let state = match record.node.state {
            NodeState::Draining => NodeState::Gone,
            _ => NodeState::Dead,
        };
        Some((state, reason))
    }

    /// The next state of a node that lives.
    fn next_state(&self, record: &NodeRecord, has_work: bool) -> Option<(NodeState, String)> {
        use NodeState as S;
        let state = record.node.state;
        if state == S::Draining {
            if record.uncordon {
                return Some((S::Live, "uncordoned".to_owned()));
            }
            return (!has_work).then(|| {
                let why = record.drained_for.as_deref().filter(|why| !why.is_empty());
                let reason = why.map_or_else(|| "drained".to_owned(), |w| format!("drained: {w}"));
                (S::Gone, reason)
            });
        }
        if let Some(reason) = &record.drain {
            return Some((S::Draining, reason.clone()));
        }
        if state == S::Excluded {
            let over = record.excluded_until.is_none_or(|at| at <= self.now);
            return (over || record.uncordon)
                .then(|| (S::Live, "its exclusion is over".to_owned()));
        }
        if let Some(reason) = self.exclusion_of(record) {
            return Some((S::Excluded, reason));
        }
        let quiet = record.reset || self.is_silent(record);
        match state {
            S::Live | S::Registering if quiet => {
                Some((S::Suspect, "its stream is silent".to_owned()))
            }
            S::Suspect | S::Registering if !quiet && record.connected => {
                Some((S::Live, "it speaks".to_owned()))
            }
            _ => None,
        }
    }

    fn exclusion_of(&self, record: &NodeRecord) -> Option<String> {
        let window = self.config.exclude_window_ms;
        let blamed = record.blamed.iter();
        let recent = blamed.filter(|at| after(**at, window) > self.now).count();
        if recent < self.config.exclude_after {
            return None;
        }
        let all = self.alive().count();
        let excluded = self
            .alive()
            .filter(|r| r.node.state == NodeState::Excluded)
            .count();
        let allowed = all * self.config.exclude_max_percent as usize / 100;
        (excluded < allowed).then(|| format!("{recent} failures that other nodes did not have"))
    }

    pub(crate) fn apply_move_node(
        &mut self,
        id: &NodeId,
        incarnation: Incarnation,
        state: NodeState,
        reason: &str,
    ) {
        let (now, exclude_for) = (self.now, self.config.exclude_for_ms);
        let Some(record) = self.nodes.get_mut(id) else {
            return;
        };
        if record.node.incarnation != incarnation {
            return;
        }
        self.out.push(Command::NodeMoved {
            node: id.clone(),
            state,
        });
        let resumed = record.node.state == NodeState::Draining && state == NodeState::Live;
        record.node.state = state;
        record.uncordon = false;
        record.draining_since = (state == NodeState::Draining).then_some(now);
        match state {
            NodeState::Draining => {
                record.drain = None;
                record.drained_for = Some(reason.to_owned());
                self.send(id, incarnation, ToNode::Drain);
            }
            NodeState::Live if resumed => self.send(id, incarnation, ToNode::Resume),
            NodeState::Excluded => {
                record.excluded_until = Some(after(now, exclude_for));
                record.blamed.clear();
            }
            NodeState::Dead | NodeState::Gone => {
                let outcome = match state {
                    NodeState::Gone => AttemptOutcome::Drained,
                    _ => AttemptOutcome::Orphaned,
                };
                record.death.get_or_insert_with(|| Death {
                    outcome,
                    reason: format!("its node left: {reason}"),
                    when: crate::loss::When {
                        fell_at: record.last_heard,
                        died_at: now,
                    },
                    open_until: now,
                });
                if state == NodeState::Dead {
                    self.note_fallen(id);
                    self.count("nodes_dead", 1);
                }
            }
            NodeState::Live | NodeState::Registering | NodeState::Suspect => {}
        }
    }

    /// The store knows a later life of the node, whose Hello is on its way.
    pub(crate) fn on_node_superseded(&mut self, id: &NodeId, incarnation: Incarnation) {
        let record = self.nodes.get_mut(id);
        let Some(record) = record.filter(|r| r.node.incarnation == incarnation) else {
            return;
        };
        record.node.state = NodeState::Dead;
        record.death = Some(Death {
            outcome: AttemptOutcome::Orphaned,
            reason: "its node has begun another life".to_owned(),
            when: crate::loss::When {
                fell_at: record.last_heard,
                died_at: self.now,
            },
            open_until: self.now,
        });
    }
}

/// What a life that is over gives back, to be said after why it is.
fn given_back(held: usize) -> String {
    match held {
        0 => String::new(),
        1 => "; 1 task was given back".to_owned(),
        many => format!("; {many} tasks were given back"),
    }
}
