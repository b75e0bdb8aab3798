//! When something is due, and what.
//!
//! What comes in: all that the core knows. What goes out: the next instant at which a pass may
//! decide something that no event brings. It must never give an instant that has been handled
//! already: a driver that sleeps until then would not sleep.

use assay_model::change::Change;
use assay_model::node::NodeState;
use jiff::Timestamp;

use crate::Core;
use crate::batch::Batch;
use crate::nodes::Brake;
use crate::scale::Demand;
use crate::state::{NodeRecord, Plan, RunRecord};
use crate::time::after;

/// The earliest of the instants that are still to come.
struct Next {
    now: Timestamp,
    at: Option<(Timestamp, &'static str)>,
}

impl Next {
    fn offer(&mut self, at: Timestamp, why: &'static str) {
        if at > self.now && self.at.is_none_or(|best| at < best.0) {
            self.at = Some((at, why));
        }
    }
}

impl Core {
    /// When [`crate::Event::Tick`] is needed at the latest, and the name of the timer that wants
    /// it. `None` while a commit is out: its answer is the next event.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<(Timestamp, &'static str)> {
        if self.commits.is_out() {
            return None;
        }
        if let Some(at) = self.commits.retry_at().filter(|at| *at > self.now) {
            return Some((at, "commit-retry"));
        }
        let mut next = Next {
            now: self.now,
            at: None,
        };
        for record in self.alive() {
            self.node_timers(record, &mut next);
        }
        if let Brake::Hold(until) = self.brake() {
            next.offer(until, "lease-brake");
        }
        for record in self.nodes.values().filter_map(|r| r.lease_lost_at) {
            next.offer(
                after(record, self.config.correlation_window_ms),
                "lease-brake",
            );
        }
        for run in self.runs.values().filter(|run| !run.reloading) {
            self.run_timers(run, &mut next);
        }
        for breaker in self.datasets.values().filter_map(|d| d.breaker.as_ref()) {
            next.offer(breaker.until, "breaker-probe");
        }
        for loss in &self.losses {
            next.offer(loss.open_until, "charge-open");
        }
        for death in self.nodes.values().filter_map(|r| r.death.as_ref()) {
            next.offer(death.open_until, "charge-open");
        }
        if let Some(at) = self.scaler.poll_timeout() {
            next.offer(at, "scale");
        }
        next.at
    }

    fn node_timers(&self, record: &NodeRecord, next: &mut Next) {
        let config = &self.config;
        next.offer(after(self.started_at, config.grace_ms), "take-over-grace");
        next.offer(
            after(record.last_heard, config.suspect_after_ms),
            "node-silent",
        );
        next.offer(after(record.last_heard, config.dead_after_ms), "node-dead");
        if let Some(at) = record
            .excluded_until
            .filter(|_| record.node.state == NodeState::Excluded)
        {
            next.offer(at, "exclusion-over");
        }
        if let Some(at) = record.draining_since {
            next.offer(after(at, config.drain_grace_ms), "drain-grace");
        }
        if let Some(at) = record.shunned_until {
            next.offer(at, "node-shunned");
        }
    }

    fn run_timers(&self, run: &RunRecord, next: &mut Next) {
        next.offer(run.deadline(), "run-deadline");
        if let Some((at, _)) = run.sleeping.first().filter(|_| run.is_active()) {
            next.offer(*at, "task-backoff");
        }
        if let Plan::ReadAgain(at) = run.plan {
            next.offer(at, "plan-read");
        }
        for record in run.open.iter().filter_map(|no| run.tasks.get(no)) {
            for copy in record.copies() {
                if let Some((at, _, _)) = self.time_limit(run, record, copy) {
                    next.offer(at, "task-timeout");
                }
            }
            if let Some(at) = self.straggles_at(run, record) {
                next.offer(at, "second-copy");
            }
        }
    }

    pub(crate) fn decide_scale(&mut self, batch: &mut Batch) {
        if batch.is_full() {
            return;
        }
        let demand = self.fleet_demand();
        if let Some(decision) = self.scaler.observe(self.now, demand) {
            batch.push(Change::ScaleEvent {
                at: self.now,
                from: decision.from,
                to: decision.to,
                reason: decision.reason,
            });
        }
    }

    /// What the fleet has to do.
    pub(crate) fn fleet_demand(&self) -> Demand {
        let active = self.runs.values().filter(|run| run.is_active());
        let waiting = active.map(RunRecord::waiting).sum();
        let working = self.alive().filter(|r| r.node.state != NodeState::Draining);
        let (nodes, slots) = working.fold((0_u32, 0_u32), |(nodes, slots), record| {
            (nodes + 1, slots.saturating_add(record.node.slots))
        });
        Demand {
            waiting,
            running: self.open_tasks().count(),
            nodes,
            slots,
        }
    }
}
