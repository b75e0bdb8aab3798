//! What must hold in the end: everything has settled, and the results equal the truth.
//!
//! What comes in: the rows and the truth. What goes out: the first violation. It must never excuse
//! a result: a number is right or it is a violation.

use assay_model::node::NodeState;
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, TaskKind, TaskState};

use super::Violation;
use super::truth::{Nature, rows_of};
use super::world::World;
use crate::time::ms_between;

impl World {
    /// Whether every run that was asked for has ended.
    pub(super) fn is_settled(&self) -> bool {
        self.truth.keys().all(|id| {
            let run = self.store.runs.get(id);
            self.answered.contains(id) && run.is_some_and(|r| r.state.is_terminal())
        })
    }

    /// I6: what has not settled, with the reason that the leader gives.
    pub(super) fn not_settled<T>(&self) -> Result<T, Violation> {
        let open = self.store.tasks.values().find(|t| !t.state.is_terminal());
        let leader = self.leader().and_then(|m| self.managers[m].core.as_ref());
        let why = open.map(|t| leader.and_then(|core| core.explain(t.id)));
        let runs: Vec<_> = self.store.runs.values().map(|r| (r.id, r.state)).collect();
        self.fail("I6", format!("not settled: {runs:?}; {open:?}; {why:?}"))
    }

    pub(super) fn final_check(&mut self) -> Result<(), Violation> {
        self.check()?;
        self.i8_a_lost_zone_charges_nobody()?;
        self.i4_results_equal_the_truth()?;
        self.i12_the_drained_hold_nothing()?;
        self.i20_nothing_is_lost()?;
        self.healthy_runs_succeed()?;
        self.cancelled_runs_are_cancelled()
    }

    fn i4_results_equal_the_truth(&self) -> Result<(), Violation> {
        for (token, part) in &self.store.states {
            let due = self.truth[&token.task.run].rows.get(&token.task.no);
            if due != Some(&part.rows) {
                return self.fail(
                    "I4",
                    format!("{} found {} rows of {due:?}", token.task, part.rows),
                );
            }
        }
        for (token, evaluation) in &self.store.evaluations {
            let truth = &self.truth[&token.task.run];
            let ended = |id| {
                let task = self.store.tasks.get(&id);
                task.is_some_and(|t| t.state == TaskState::Succeeded)
            };
            let due = rows_of(truth, token.task.no, ended);
            let counted = evaluation.counts.planned;
            // What was judged before its measurements were tried again is superseded.
            let superseded = self.store.is_superseded(token) && counted < due;
            if counted != due && !superseded {
                return self.fail(
                    "I4",
                    format!("{} merged {counted} rows of {due}", token.task),
                );
            }
        }
        Ok(())
    }

    /// Where one leader saw a whole zone die, no attempt on any of its nodes is charged for it.
    fn i8_a_lost_zone_charges_nobody(&self) -> Result<(), Violation> {
        for lost in &self.zones_lost {
            let seen = self.store.deaths.iter().filter(|death| {
                let life = (death.1.clone(), death.2);
                lost.contains(&life)
            });
            let seen: Vec<_> = seen.collect();
            let one_leader = seen.windows(2).all(|pair| pair[0].0 == pair[1].0);
            let together = seen
                .windows(2)
                .all(|pair| ms_between(pair[0].3, pair[1].3) < 9_000);
            if seen.len() < 2 || !one_leader || !together {
                continue;
            }
            for attempt in self.store.attempts.values().flatten() {
                let life = (attempt.node.clone(), attempt.incarnation);
                let by_all = seen
                    .iter()
                    .any(|death| (&death.1, death.2) == (&life.0, life.1));
                let assigned = seen.iter().all(|death| death.0 == attempt.epoch);
                let charged = attempt.outcome == Some(AttemptOutcome::NodeLost);
                // What was given up for a reason of its own keeps its charges.
                let task = self.store.tasks.get(&attempt.token.task);
                let own = task.is_some_and(|t| {
                    let spent = t
                        .reason
                        .as_deref()
                        .unwrap_or("")
                        .contains("retries are spent");
                    t.state.is_terminal() && t.state != TaskState::Succeeded && !spent
                });
                if own {
                    continue;
                }
                if charged && by_all && assigned {
                    let what = format!("{} is charged for a lost zone", attempt.token.task);
                    return self.fail("I8", what);
                }
            }
        }
        Ok(())
    }

    fn i12_the_drained_hold_nothing(&self) -> Result<(), Violation> {
        let gone = self
            .store
            .nodes
            .values()
            .filter(|n| n.state == NodeState::Gone);
        for node in gone {
            let held = self.store.tasks.values().find(|t| {
                let copy = t.twin.as_ref().is_some_and(|twin| twin.node == node.id);
                copy || t.node.as_ref() == Some(&node.id)
            });
            if let Some(task) = held {
                return self.fail("I12", format!("{} is gone and holds {}", node.id, task.id));
            }
        }
        Ok(())
    }

    fn i20_nothing_is_lost(&self) -> Result<(), Violation> {
        for (id, truth) in &self.truth {
            let Some(run) = self.store.runs.get(id) else {
                return self.fail("I20", format!("{id} was asked for and is not there"));
            };
            let tasks = self.store.tasks_of(*id);
            for task in tasks.iter().filter(|t| t.state == TaskState::Succeeded) {
                let rows = self
                    .store
                    .states
                    .iter()
                    .filter(|row| row.0.task == task.id)
                    .count();
                let judged = self
                    .store
                    .evaluations
                    .iter()
                    .filter(|e| e.0.task == task.id && !self.store.is_superseded(&e.0))
                    .count();
                let due = match task.spec.kind() {
                    TaskKind::Discover => (0, 0),
                    TaskKind::Measure => (1, 0),
                    TaskKind::Evaluate => (0, 1),
                };
                if (rows, judged) != due {
                    return self.fail(
                        "I20",
                        format!("{} has {rows} rows, {judged} verdicts", task.id),
                    );
                }
            }
            let planned = truth.discovery.measures.len() + truth.discovery.evaluations.len();
            let all = tasks.iter().all(|t| t.state == TaskState::Succeeded);
            let has_plan = self.store.planned.contains_key(id);
            let complete = all && has_plan && tasks.len() == planned + 1;
            // A new leader cannot tell an empty plan from none when it has to give a run up.
            let given_up = planned == 0 && run.state != RunState::Succeeded;
            if (run.state == RunState::Succeeded) != complete && !given_up {
                return self.fail(
                    "I20",
                    format!("{id} is {} with {} tasks", run.state, tasks.len()),
                );
            }
        }
        Ok(())
    }

    /// A run without a bad task, whose cluster had no fault that charges, succeeds.
    fn healthy_runs_succeed(&self) -> Result<(), Violation> {
        let s = &self.swarm;
        let charging = s.node_kill + s.zone_kill + s.node_pause + s.split + s.lease_lie + s.loss;
        let charging = charging + s.deaf + s.mute + s.node_cut + s.leader_cut + s.wipe;
        if charging + s.lie + s.outage + s.source_away + s.drain + s.not_applied > 0 {
            return Ok(());
        }
        for (id, truth) in &self.truth {
            let healthy = truth.natures.values().all(|n| *n == Nature::Healthy);
            let short = self.swarm.short_deadline > 0;
            let state = self.store.runs[id].state;
            let undisturbed = healthy && !short && !self.cancels.contains(id);
            if undisturbed && s.delay_ms < 100 && state != RunState::Succeeded {
                return self.fail("I7", format!("{id} is healthy and {state}"));
            }
        }
        Ok(())
    }

    fn cancelled_runs_are_cancelled(&self) -> Result<(), Violation> {
        for id in &self.cancels {
            let run = &self.store.runs[id];
            let tasks = self.store.tasks_of(*id);
            // A cancellation that came late finds an ended run; one in time leaves its mark.
            let waited = tasks.iter().any(|t| t.state == TaskState::Cancelled);
            if waited && run.state == RunState::Succeeded {
                return self.fail("J5", format!("{id} was cancelled and is {}", run.state));
            }
        }
        Ok(())
    }
}
