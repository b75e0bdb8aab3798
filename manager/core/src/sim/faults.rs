//! Faults, elections and clients: what happens around the cluster, each half second.
//!
//! What comes in: the swarm's rates. What goes out: deaths, sleeps, splits, lies, requests. When
//! the world is calm it must never do harm, only bring everything back.

use std::collections::BTreeSet;

use assay_model::ids::RunId;
use assay_model::node::NodeState;
use assay_model::run::RunState;

use super::world::{Item, World};
use crate::Event;
use crate::time::after;

impl World {
    pub(super) fn pulse(&mut self) {
        self.elect();
        self.ask();
        if !self.calm {
            self.harm_nodes();
            self.harm_managers();
            self.harm_sources();
        }
        self.push(500, Item::Pulse);
    }

    fn draw(&mut self, permille: u64) -> bool {
        let drawn = self.dice.chance(permille);
        self.faults += u64::from(drawn);
        drawn
    }

    fn any_node(&mut self) -> usize {
        let n = self.nodes.len() as u64;
        usize::try_from(self.dice.below(n)).unwrap_or(0)
    }

    /// Somebody leads, sooner or later.
    fn elect(&mut self) {
        let away = self.etcd_until > self.now;
        if away || self.leader().is_some() || !(self.calm || self.dice.chance(200)) {
            return;
        }
        let ready =
            |m: &super::manager::Manager| m.down_until <= self.now && m.paused_until <= self.now;
        if let Some(manager) = self.managers.iter().position(ready) {
            self.take_over(manager);
        }
    }

    fn tell_leader(&mut self, event: Event) {
        if let Some(manager) = self.leader() {
            let life = self.managers[manager].life;
            self.post(&Item::ToManager {
                manager,
                life,
                event,
            });
        }
    }

    /// Clients ask until they are answered.
    fn ask(&mut self) {
        let due: Vec<RunId> = self
            .truth
            .values()
            .filter(|t| t.at_ms <= self.now && !self.answered.contains(&t.run.id))
            .map(|t| t.run.id)
            .collect();
        for id in due {
            let run = Box::new(self.truth[&id].run.clone());
            self.tell_leader(Event::RunSubmitted { run });
        }
        let cancels: Vec<RunId> = self.cancels.iter().copied().collect();
        for run in cancels {
            let alive = self
                .store
                .runs
                .get(&run)
                .is_some_and(|r| !r.state.is_terminal());
            if alive {
                let reason = "someone asked".to_owned();
                self.tell_leader(Event::CancelRun { run, reason });
            }
        }
        self.ask_for_drains();
        let known: Vec<(RunId, RunState)> =
            self.store.runs.values().map(|r| (r.id, r.state)).collect();
        for (run, state) in known {
            if !state.is_terminal() && !self.calm && self.draw(self.swarm.cancel) {
                self.cancels.insert(run);
            }
            let failed = matches!(state, RunState::Partial | RunState::Failed);
            if failed && !self.calm && !self.retried.contains(&run) && self.draw(self.swarm.retry) {
                self.retried.insert(run);
                let deadline_at = after(self.at(), 7_200_000);
                self.tell_leader(Event::RetryRun { run, deadline_at });
            }
            // A late duplicate of a request that was answered long ago.
            if !self.calm && self.dice.chance(20) {
                let run = Box::new(self.truth[&run].run.clone());
                self.tell_leader(Event::RunSubmitted { run });
            }
        }
    }

    /// Whoever drains a node asks until it drains.
    fn ask_for_drains(&mut self) {
        for (node, incarnation) in self.drains.clone() {
            let row = self.store.nodes.get(&node);
            let takes = |s: NodeState| matches!(s, NodeState::Live | NodeState::Suspect);
            let same = row.is_some_and(|n| n.incarnation == incarnation && takes(n.state));
            if same {
                let reason = "someone asked".to_owned();
                self.tell_leader(Event::DrainNode { node, reason });
            } else {
                self.drains.remove(&node);
            }
        }
    }

    fn harm_nodes(&mut self) {
        let node = self.any_node();
        self.harm_links(node);
        if self.draw(self.swarm.node_kill) {
            let ms = self.dice.range(100, 30_000);
            self.kill(node, ms);
        }
        if self.draw(self.swarm.zone_kill) {
            let zone = self.nodes[node].zone.clone();
            let mut lost = BTreeSet::new();
            for other in 0..self.nodes.len() {
                if self.nodes[other].zone == zone {
                    let n = &self.nodes[other];
                    let fresh = n.up && n.paused_until <= self.now && n.split_until <= self.now;
                    let life = n.incarnation.filter(|_| fresh && n.mute_until <= self.now);
                    lost.extend(life.map(|life| (n.id.clone(), life)));
                    let ms = self.dice.range(1_000, 40_000);
                    self.kill(other, ms);
                }
            }
            if !zone.is_empty() {
                self.zones_lost.push(lost);
            }
        }
        if self.draw(self.swarm.node_pause) {
            let ms = self.dice.range(100, 40_000);
            let n = &mut self.nodes[node];
            n.paused_until = self.now + ms;
            if let Some(incarnation) = n.incarnation.filter(|_| ms > 9_000) {
                let life = n.life;
                self.push(
                    9_000,
                    Item::Lease {
                        node,
                        life,
                        incarnation,
                    },
                );
                self.push(ms, Item::Hello { node, life });
            }
        }
        if self.draw(self.swarm.split) {
            let ms = self.dice.range(100, 30_000);
            self.nodes[node].split_until = self.now + ms;
            let life = self.nodes[node].life;
            self.push(ms, Item::Hello { node, life });
        }
        if self.draw(self.swarm.lease_lie)
            && let Some(incarnation) = self.nodes[node].incarnation
        {
            let id = self.nodes[node].id.clone();
            self.tell_leader(Event::LeaseLost {
                node: id,
                incarnation,
            });
        }
        if self.draw(self.swarm.drain) {
            let id = self.nodes[node].id.clone();
            match self.nodes[node].incarnation {
                Some(incarnation) if self.dice.chance(800) => {
                    self.drains.insert(id, incarnation);
                }
                _ => {
                    self.drains.remove(&id);
                    self.tell_leader(Event::UncordonNode { node: id });
                }
            }
        }
    }

    /// Cuts in one direction, cuts from the store, and the coordinator's faults.
    fn harm_links(&mut self, node: usize) {
        let until = |world: &mut Self, permille: u64| {
            let drawn = world.draw(permille);
            drawn.then(|| world.now + world.dice.range(100, 30_000))
        };
        if let Some(until) = until(self, self.swarm.deaf) {
            self.nodes[node].deaf_until = until;
        }
        if let Some(until) = until(self, self.swarm.mute) {
            self.nodes[node].mute_until = until;
        }
        if let Some(until) = until(self, self.swarm.node_cut) {
            self.nodes[node].cut_until = until;
        }
        if let Some(until) = until(self, self.swarm.etcd_away) {
            self.etcd_until = until;
        }
        if self.draw(self.swarm.wipe) {
            for node in 0..self.nodes.len() {
                let n = &self.nodes[node];
                if let Some(incarnation) = n.incarnation {
                    let node = n.id.clone();
                    self.tell_leader(Event::LeaseLost { node, incarnation });
                }
            }
        }
    }

    fn harm_managers(&mut self) {
        let managers = self.managers.len() as u64;
        let manager = usize::try_from(self.dice.below(managers)).unwrap_or(0);
        if self.draw(self.swarm.leader_kill) {
            self.drop_core(manager);
            let ms = self.dice.range(500, 20_000);
            self.managers[manager].down_until = self.now + ms;
        }
        if self.draw(self.swarm.leader_pause) {
            let ms = self.dice.range(500, 20_000);
            self.managers[manager].paused_until = self.now + ms;
        }
        let m = &self.managers[manager];
        let fit = m.down_until <= self.now && m.paused_until <= self.now;
        if fit && self.draw(self.swarm.usurp) {
            self.take_over(manager);
        }
        if self.draw(self.swarm.leader_cut) {
            let ms = self.dice.range(500, 20_000);
            self.managers[manager].cut_until = self.now + ms;
        }
        if self.draw(self.swarm.outage) {
            self.outage_until = self.now + self.dice.range(500, 20_000);
        }
    }

    fn harm_sources(&mut self) {
        if self.draw(self.swarm.source_away) {
            let place = usize::try_from(self.dice.below(self.truth.len() as u64)).unwrap_or(0);
            let dataset = self
                .truth
                .values()
                .nth(place)
                .map(|t| t.run.dataset.to_string());
            if let Some(dataset) = dataset {
                let ms = self.dice.range(1_000, 40_000);
                self.away_until.insert(dataset, self.now + ms);
            }
        }
    }

    /// Every fault stops.
    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        self.outage_until = 0;
        self.away_until.clear();
        self.etcd_until = 0;
        self.deliver_what_sleepers_were_told();
        for manager in &mut self.managers {
            manager.down_until = 0;
            manager.paused_until = 0;
            manager.cut_until = 0;
        }
        for node in 0..self.nodes.len() {
            let n = &mut self.nodes[node];
            n.paused_until = 0;
            n.split_until = 0;
            n.deaf_until = 0;
            n.mute_until = 0;
            n.cut_until = 0;
            let life = n.life;
            self.push(500, Item::Boot { node, life });
            self.push(1_000, Item::Hello { node, life });
        }
    }

    /// A pause that ends early ends for what waits for its end, too: an answer of the store that
    /// came only when the pause would have ended is no fault of a manager.
    fn deliver_what_sleepers_were_told(&mut self) {
        let waits = |at: u64, item: &Item| match item {
            Item::ToManager { manager, .. } => {
                let until = self.managers[*manager].paused_until;
                until > self.now && at >= until
            }
            _ => false,
        };
        let queued = self.queue.iter();
        let late: Vec<(u64, u64)> = queued
            .filter(|((at, _), item)| waits(*at, item))
            .map(|(place, _)| *place)
            .collect();
        for place in late {
            if let Some(item) = self.queue.remove(&place) {
                self.push(0, item);
            }
        }
    }
}
