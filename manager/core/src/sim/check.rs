//! What must hold after every write, each invariant by its id.
//!
//! What comes in: the store's rows and the truth. What goes out: the first violation. It must never
//! look into a core: only what a database would show counts.

use assay_model::change::Change;
use assay_model::ids::TaskId;
use assay_model::node::NodeState;
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, Task, TaskKind, TaskState};

use super::Violation;
use super::store::{Attempt, merges};
use super::world::World;
use crate::time::ms_between;

impl World {
    /// Checks every invariant that holds at all times.
    pub(super) fn check(&mut self) -> Result<(), Violation> {
        for (id, task) in &self.store.tasks {
            let attempts = self.store.attempts.get(id).map_or(&[][..], Vec::as_slice);
            self.i1_success_is_one_ok_attempt(task, attempts)?;
            self.i7_charges_are_bounded(task, attempts)?;
            self.i8_what_is_not_its_fault_is_not_charged(attempts)?;
            self.i10_attempts_follow_one_another(task, attempts)?;
            self.i11_no_attempt_of_an_earlier_life(attempts)?;
            self.i13_only_crashes_quarantine(task, attempts)?;
            self.i15_there_is_a_pause(attempts)?;
            self.i16_no_attempt_for_ever(attempts)?;
        }
        self.i2_rows_belong_to_the_winner()?;
        self.i5_plans_are_whole()?;
        self.i9_epochs_grow()?;
        self.a3_slots()?;
        self.j7_drains_are_followed()?;
        self.j1_runs_end_after_their_tasks()?;
        self.one_run_of_a_dataset_at_once()?;
        self.j5_a_cancelled_run_ends_soon()?;
        self.j2_ends_are_for_ever()
    }

    /// A task begins only when all that it needs has ended, by the truth and not by its row.
    pub(super) fn check_start(&self, task: &Task) -> Result<(), Violation> {
        let truth = &self.truth[&task.id.run];
        for need in truth.needs.get(&task.id.no).into_iter().flatten() {
            let id = TaskId {
                run: task.id.run,
                no: *need,
            };
            let ended = self
                .store
                .tasks
                .get(&id)
                .is_some_and(|t| t.state.is_terminal());
            if !ended {
                return self.fail(
                    "E1",
                    format!("{} began before the end of task {need}", task.id),
                );
            }
        }
        Ok(())
    }

    fn i1_success_is_one_ok_attempt(&self, task: &Task, all: &[Attempt]) -> Result<(), Violation> {
        // What was judged again succeeded in an earlier round, too; nothing else did.
        let round = self.store.generation(task.id);
        let succeeded = all.iter().filter(|a| a.outcome == Some(AttemptOutcome::Ok));
        let judges = task.spec.kind() == TaskKind::Evaluate;
        let ok = succeeded
            .filter(|a| a.generation == round || !judges)
            .count();
        if (task.state == TaskState::Succeeded) != (ok == 1) || ok > 1 {
            return self.fail(
                "I1",
                format!("{} is {} with {ok} successes", task.id, task.state),
            );
        }
        Ok(())
    }

    fn i2_rows_belong_to_the_winner(&self) -> Result<(), Violation> {
        let states = self.store.states.iter().map(|row| row.0);
        let evaluations = self.store.evaluations.iter().map(|row| row.0);
        let mut seen = std::collections::BTreeSet::new();
        for token in states.chain(evaluations) {
            let attempts = self.store.attempts.get(&token.task);
            let won = attempts.is_some_and(|all| {
                let mine = all.iter().find(|a| a.token == token);
                mine.is_some_and(|a| a.outcome == Some(AttemptOutcome::Ok))
            });
            // Each measurement of the truth has one partition, so one row; a judgement one in each
            // round of retries.
            let round = attempts.and_then(|all| all.iter().find(|a| a.token == token));
            let round = round.map_or(0, |a| a.generation);
            if !won || !seen.insert((token.task, round)) {
                return self.fail(
                    "I2",
                    format!("rows of attempt {} of {}", token.attempt, token.task),
                );
            }
        }
        Ok(())
    }

    fn i5_plans_are_whole(&self) -> Result<(), Violation> {
        for (run, planned) in &self.store.planned {
            let truth = &self.truth[run].discovery;
            let due = truth.measures.len() + truth.evaluations.len();
            let there = self.store.tasks_of(*run).len() - 1;
            if there != due || *planned as usize != due {
                return self.fail("I5", format!("{run}: {there} of {due} tasks"));
            }
        }
        Ok(())
    }

    fn i7_charges_are_bounded(&self, task: &Task, all: &[Attempt]) -> Result<(), Violation> {
        let round = all.iter().map(|a| a.generation).max().unwrap_or(0);
        let charged = all
            .iter()
            .filter(|a| a.generation == round && a.outcome.is_some_and(AttemptOutcome::is_charged));
        let charged = u32::try_from(charged.count()).unwrap_or(u32::MAX);
        // A round that has not begun has nothing charged.
        let fresh = task.charged == 0 && task.crashes == 0;
        if charged > 3 || (task.charged != charged && !fresh) {
            return self.fail(
                "I7",
                format!(
                    "{}: {} charged by its row, {charged} by its attempts",
                    task.id, task.charged
                ),
            );
        }
        let reason = task.reason.as_deref().unwrap_or("");
        let last = all.last().map_or(0, |a| a.token.attempt);
        let permanent = all
            .iter()
            .any(|a| a.token.attempt == last && a.outcome == Some(AttemptOutcome::Permanent));
        let explained = charged == 3
            || permanent
            || reason.contains("deadline")
            || reason.contains("interrupted");
        if task.state == TaskState::Failed && !explained {
            return self.fail(
                "I7",
                format!("{} failed after {charged}: {reason}", task.id),
            );
        }
        Ok(())
    }

    fn i8_what_is_not_its_fault_is_not_charged(&self, all: &[Attempt]) -> Result<(), Violation> {
        for attempt in all {
            let Some(outcome) = attempt.outcome.filter(|o| o.is_charged()) else {
                continue;
            };
            let excused = ["drain", "zone", "many nodes", "node left"];
            use AttemptOutcome::{NodeLost, Retryable, TimedOut};
            let environment = matches!(outcome, NodeLost | Retryable | TimedOut);
            let copy = environment && attempt.reason.starts_with("one of two copies");
            // A node that had said before that it had succeeded is charged for that.
            let lied = (attempt.token.task, attempt.token.attempt);
            let told = !self.lies.contains(&lied)
                && (self.dropped.contains(&attempt.token) || self.away.contains(&attempt.token));
            if told && outcome == Retryable
                || copy
                || excused.iter().any(|why| attempt.reason.contains(why))
            {
                let what = format!(
                    "{outcome} is charged to {}: {}",
                    attempt.token.task, attempt.reason
                );
                return self.fail("I8", what);
            }
        }
        Ok(())
    }

    fn i9_epochs_grow(&self) -> Result<(), Violation> {
        let epochs = &self.store.written_by;
        if epochs.windows(2).any(|pair| pair[0] >= pair[1]) {
            return self.fail("I9", format!("epochs wrote in the order {epochs:?}"));
        }
        Ok(())
    }

    fn i10_attempts_follow_one_another(
        &self,
        task: &Task,
        all: &[Attempt],
    ) -> Result<(), Violation> {
        let open = all.iter().filter(|a| a.outcome.is_none()).count();
        let at_work = matches!(task.state, TaskState::Assigned | TaskState::Running);
        let due = usize::from(at_work) + usize::from(task.twin.is_some());
        let firsts = || all.iter().filter(|a| !a.twin);
        let numbered = (1..).zip(firsts()).all(|(n, a)| a.token.attempt == n);
        let marked = all.iter().filter(|a| a.twin).all(|copy| {
            let first = firsts().find(|a| a.token.attempt == copy.token.attempt);
            first.is_some_and(|a| a.node != copy.node && a.assigned_at <= copy.assigned_at)
        });
        // Marked copies may overlap with their firsts, and with nothing else. A success carries the
        // instant of its node's clock, which may be wrong; what follows it is of another round.
        let apart = all.windows(2).all(|pair| {
            let next_round = pair[0].generation < pair[1].generation;
            pair[0].token.attempt == pair[1].token.attempt
                || (next_round && pair[0].outcome == Some(AttemptOutcome::Ok))
                || pair[0]
                    .ended_at
                    .is_some_and(|end| end <= pair[1].assigned_at)
        });
        if open != due || !numbered || !marked || task.attempt as usize != firsts().count() {
            let what = format!("{} is {} with {open} attempts at work", task.id, task.state);
            return self.fail("I10", what);
        }
        // A commit that was long on its way carries the instant of its decision.
        let known = all.iter().all(|a| a.epoch.0 > 0);
        if !apart && known && self.swarm.managers == 1 && self.swarm.delay_ms < 100 {
            return self.fail("I10", format!("attempts of {} overlap", task.id));
        }
        Ok(())
    }

    fn i11_no_attempt_of_an_earlier_life(&self, all: &[Attempt]) -> Result<(), Violation> {
        for open in all.iter().filter(|a| a.outcome.is_none()) {
            let node = self.store.nodes.get(&open.node);
            let current = node.is_some_and(|n| n.incarnation == open.incarnation);
            let dead = node.is_some_and(|n| n.state == NodeState::Dead);
            let released = !self.has(super::Mutant::RegisterReleasesNothing);
            if released && (!current || (dead && self.is_settled())) {
                let what = format!("{} is left on an earlier life", open.token.task);
                return self.fail("I11", what);
            }
        }
        Ok(())
    }

    fn i13_only_crashes_quarantine(&self, task: &Task, all: &[Attempt]) -> Result<(), Violation> {
        let round = all.iter().map(|a| a.generation).max().unwrap_or(0);
        let crashes = all
            .iter()
            .filter(|a| a.generation == round && a.outcome == Some(AttemptOutcome::Crashed))
            .count();
        let quarantined = task.state == TaskState::Quarantined;
        if crashes > 2
            || (quarantined && crashes != 2)
            || (crashes == 2 && !task.state.is_terminal() && task.crashes == 2)
        {
            return self.fail(
                "I13",
                format!("{} is {} after {crashes} crashes", task.id, task.state),
            );
        }
        Ok(())
    }

    fn i15_there_is_a_pause(&self, all: &[Attempt]) -> Result<(), Violation> {
        let mut charged = 0;
        for pair in all.windows(2) {
            if pair[0].generation != pair[1].generation {
                charged = 0;
                continue;
            }
            let outcome = pair[0].outcome;
            charged += u32::from(outcome.is_some_and(AttemptOutcome::is_charged));
            // The copy of an attempt that ended last decided what followed.
            if pair[0].token.attempt == pair[1].token.attempt || pair[0].twin {
                continue;
            }
            let base = match outcome {
                Some(AttemptOutcome::NodeLost) => 500,
                Some(
                    AttemptOutcome::Retryable | AttemptOutcome::TimedOut | AttemptOutcome::Crashed,
                ) => 5_000,
                _ => continue,
            };
            let least = crate::backoff::doubled(base, charged, 300_000) / 2;
            let gap = pair[0]
                .ended_at
                .map_or(0, |end| ms_between(end, pair[1].assigned_at));
            if gap < least {
                let what = format!("{} was given out again after {gap} ms", pair[0].token.task);
                return self.fail("I15", what);
            }
        }
        Ok(())
    }

    /// While nothing is wrong with the cluster, an attempt ends within its time.
    fn i16_no_attempt_for_ever(&self, all: &[Attempt]) -> Result<(), Violation> {
        let lied = |a: &&Attempt| self.lies.contains(&(a.token.task, a.token.attempt));
        let Some(open) = all.iter().find(|a| a.outcome.is_none() && !lied(a)) else {
            return Ok(());
        };
        let age = ms_between(open.assigned_at, self.at());
        if self.calm && age > self.swarm.chaos_ms + 60_000 {
            return self.fail(
                "I16",
                format!("{} is at work for {age} ms", open.token.task),
            );
        }
        Ok(())
    }

    fn a3_slots(&self) -> Result<(), Violation> {
        for node in &self.nodes {
            let held = self.store.tasks.values().filter(|t| {
                let copy = t.twin.as_ref().is_some_and(|twin| twin.node == node.id);
                copy || t.node.as_ref() == Some(&node.id)
            });
            let held = held.filter(|t| !self.lies.contains(&(t.id, t.attempt)));
            let held = held.count();
            if held > node.slots as usize {
                return self.fail(
                    "A3",
                    format!("{} has {held} tasks in {} slots", node.id, node.slots),
                );
            }
        }
        Ok(())
    }

    fn j1_runs_end_after_their_tasks(&self) -> Result<(), Violation> {
        for run in self.store.runs.values().filter(|r| r.state.is_terminal()) {
            let open = self
                .store
                .tasks_of(run.id)
                .into_iter()
                .find(|t| !t.state.is_terminal());
            if let Some(task) = open {
                return self.fail(
                    "J1",
                    format!(
                        "{} is {} and {} is {}",
                        run.id, run.state, task.id, task.state
                    ),
                );
            }
        }
        Ok(())
    }

    fn one_run_of_a_dataset_at_once(&self) -> Result<(), Violation> {
        let mut active = std::collections::BTreeSet::new();
        for run in self.store.runs.values() {
            use RunState::{Finalising, Planning, Running};
            let at_work = matches!(run.state, Planning | Running | Finalising);
            if at_work && !active.insert(&run.dataset) {
                return self.fail("J4", format!("two runs of {} at once", run.dataset));
            }
        }
        Ok(())
    }

    /// A run that someone cancels ends at once when nothing is wrong.
    fn j5_a_cancelled_run_ends_soon(&self) -> Result<(), Violation> {
        if !self.calm || self.now < self.calm_since + 20_000 {
            return Ok(());
        }
        let cancelled = self.cancels.iter().filter_map(|id| self.store.runs.get(id));
        if let Some(run) = cancelled.into_iter().find(|run| !run.state.is_terminal()) {
            return self.fail(
                "J5",
                format!("{} was cancelled and is {}", run.id, run.state),
            );
        }
        Ok(())
    }

    /// A node that someone drains leaves its work when nothing is wrong.
    fn j7_drains_are_followed(&self) -> Result<(), Violation> {
        if !self.calm || self.now < self.calm_since + 10_000 {
            return Ok(());
        }
        for (node, incarnation) in &self.drains {
            let row = self.store.nodes.get(node);
            let same = row.filter(|n| n.incarnation == *incarnation);
            if let Some(row) = same.filter(|n| n.state == NodeState::Live) {
                return self.fail("J7", format!("{node} was drained and is {}", row.state));
            }
        }
        Ok(())
    }

    /// What a leader writes: no task after its run's deadline, none of a source that is away.
    pub(super) fn check_change(
        &mut self,
        epoch: assay_model::ids::Epoch,
        change: &Change,
    ) -> Result<(), Violation> {
        match change {
            Change::EndAttempt {
                token, outcome, at, ..
            } if *outcome == AttemptOutcome::DependencyDown => {
                // A failure while the source is known to be away does not prolong the pause, which
                // is twice as long each time that it was over in vain.
                if let Some(dataset) = self.dataset(token) {
                    let before = self.asked_in_vain.get(&dataset);
                    let before = before.filter(|(by, ..)| *by == epoch).copied();
                    let known = before
                        .is_some_and(|(_, since, pause)| *at < crate::time::after(since, pause));
                    if !known {
                        let pause = before.map_or(5_000, |(.., pause)| (2 * pause).min(60_000));
                        self.asked_in_vain.insert(dataset, (epoch, *at, pause));
                    }
                }
            }
            Change::Assign { token, at, .. } => {
                let task = self.store.tasks.get(&token.task);
                let reads = task.is_some_and(|t| t.spec.kind() != TaskKind::Evaluate);
                let vain = self.dataset(token).and_then(|d| self.asked_in_vain.get(&d));
                let soon = vain.is_some_and(|(by, since, _)| {
                    *by == epoch && at > since && *at < crate::time::after(*since, 4_000)
                });
                // A late word of an earlier success closes the breaker too.
                let heard = self.dataset(token).and_then(|d| self.answered_at.get(&d));
                let heard = heard.is_some_and(|heard| self.now < heard + 40_000);
                if reads && soon && !heard {
                    let what = format!("{} reads a source that is away", token.task);
                    return self.fail("I14", what);
                }
                let s = &self.swarm;
                let credit = s.outage + s.not_applied + s.leader_cut > 0;
                let run = self.truth.get(&token.task.run).map(|t| &t.run);
                let late = run.is_some_and(|run| *at > run.deadline_at);
                if late && !credit && !self.retried.contains(&token.task.run) {
                    let what = format!("{} was given out after the deadline", token.task);
                    return self.fail("J6", what);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An attempt that its live node does not have is found, long before its time is up.
    pub(super) fn t8_orphans_are_found(&mut self, node: usize) -> Result<(), Violation> {
        let n = &self.nodes[node];
        if !self.calm || !n.up || n.incarnation.is_none() {
            return Ok(());
        }
        let mut unheld = std::mem::take(&mut self.unheld);
        // A task is not given up while a charge of it may be taken back.
        let held = |all: &&Vec<Attempt>| {
            let lost = Some(AttemptOutcome::NodeLost);
            all.iter().all(|a| a.outcome != lost)
        };
        for attempt in self.store.attempts.values().filter(held).flatten() {
            let here = attempt.node == n.id && Some(attempt.incarnation) == n.incarnation;
            let lost = attempt.outcome.is_none() && !n.held.contains_key(&attempt.token);
            // One whose success was told is found when something is to rest on it.
            let lied = (attempt.token.task, attempt.token.attempt);
            if here && lost && !self.lies.contains(&lied) {
                let since = *unheld.entry(attempt.token).or_insert(self.now);
                if self.now > since + 15_000 {
                    let task = attempt.token.task;
                    return self.fail("T8", format!("{task} is an orphan on {}", n.id));
                }
            } else if here || attempt.outcome.is_some() {
                unheld.remove(&attempt.token);
            }
        }
        self.unheld = unheld;
        Ok(())
    }

    fn j2_ends_are_for_ever(&mut self) -> Result<(), Violation> {
        let mut ended = std::mem::take(&mut self.ended);
        for (id, (before, attempts)) in &ended {
            let task = self.store.tasks.get(id);
            let there = self.store.attempts.get(id).map_or(0, Vec::len);
            let same = task.is_some_and(|t| t.state == *before) && there == *attempts;
            // Beside what failed, only what was judged without it begins anew.
            let in_vain = task.is_some_and(|task| {
                let anew = |no| self.store.generation(TaskId { run: id.run, no }) > 0;
                merges(task, anew)
            });
            let stands = *before == TaskState::Succeeded && !in_vain;
            let again = self.retried.contains(&id.run) && !stands;
            if !same && !again {
                return self.fail("J2", format!("{id} was {before} and changed"));
            }
        }
        for (id, task) in &self.store.tasks {
            if task.state.is_terminal() {
                let attempts = self.store.attempts.get(id).map_or(0, Vec::len);
                ended.insert(*id, (task.state, attempts));
            }
        }
        self.ended = ended;
        Ok(())
    }
}
