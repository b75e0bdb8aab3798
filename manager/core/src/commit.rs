//! The one commit that may be out, and what its answer does to the core's knowledge.
//!
//! What comes in: the answers of the store, one per change. What goes out: knowledge that equals
//! the rows, and the messages that rest on them. It must never send anything that a change answered
//! `fenced` was meant to allow; a fenced change means that the rows know better, so they are read.

use std::collections::BTreeMap;

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Incarnation, NodeId, RunId};
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, Task, TaskFailure, TaskState};
use assay_model::unfinished::RunRows;
use jiff::Timestamp;

use crate::config::Config;
use crate::copies::Copy;
use crate::state::{Open, RunRecord, TaskRecord, tried_before};
use crate::time::{after, ms_between};
use crate::{Command, Core};

/// The commit that is out, and how the store has been answering.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    last: u64,
    out: Option<(u64, Vec<Change>)>,
    /// Commits in a row that were not applied, and since when.
    failures: u32,
    failing_since: Option<Timestamp>,
    retry_at: Option<Timestamp>,
    /// A commit was refused for what it holds: changes go one by one until that one is found.
    /// So many commits are to be tried so.
    singly: usize,
}

impl Commits {
    pub(crate) fn may_commit(&self, now: Timestamp) -> bool {
        self.out.is_none() && self.retry_at.is_none_or(|at| at <= now)
    }

    pub(crate) const fn is_out(&self) -> bool {
        self.out.is_some()
    }

    pub(crate) const fn retry_at(&self) -> Option<Timestamp> {
        self.retry_at
    }

    /// Whether the store has refused the last commit.
    pub(crate) const fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }

    /// Since when.
    pub(crate) const fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    pub(crate) fn send(&mut self, changes: Vec<Change>) -> u64 {
        self.last += 1;
        self.out = Some((self.last, changes));
        self.last
    }

    /// Changes that the next commit may hold: one, after a commit that was refused.
    pub(crate) const fn max_changes(&self, config: &Config) -> usize {
        if self.singly > 0 {
            1
        } else {
            config.max_changes_per_commit
        }
    }

    fn take(&mut self, id: u64) -> Option<Vec<Change>> {
        self.out.take_if(|out| out.0 == id).map(|out| out.1)
    }
}

impl Core {
    pub(crate) fn on_not_applied(&mut self, commit: u64) {
        if self.commits.take(commit).is_none() {
            return;
        }
        self.commits.failing_since.get_or_insert(self.now);
        let factor = 1_u64 << self.commits.failures.min(4);
        let pause = self.config.commit_retry_ms.saturating_mul(factor);
        self.commits.failures = self.commits.failures.saturating_add(1);
        self.commits.retry_at = Some(after(self.now, pause));
        self.count("commits_not_applied", 1);
    }

    /// The store will never take one of these changes: it is found by itself, and dropped.
    pub(crate) fn on_refused(&mut self, commit: u64, reason: &str) {
        let Some(changes) = self.commits.take(commit) else {
            return;
        };
        self.count("commits_refused", 1);
        // A plan and the move that goes with it are never taken apart.
        let alone = matches!(
            changes.as_slice(),
            [_] | [Change::PlanRun { .. }, Change::MoveRun { .. }]
        );
        if !alone {
            self.commits.singly = changes.len();
            return;
        }
        self.commits.singly = self.commits.singly.saturating_sub(1);
        let with_plan = changes.len() > 1;
        for change in &changes {
            match change {
                Change::SubmitRun { run, .. } => {
                    self.submissions.remove(&run.id);
                    self.refuse(run.id.to_string(), reason);
                }
                Change::PlanRun { run, .. } | Change::PlanPart { run, .. } => {
                    if let Some(record) = self.runs.get_mut(run) {
                        record.unplannable = Some(format!("its plan cannot be stored: {reason}"));
                    }
                }
                // Of a plan that is not taken nothing is asked again.
                other if with_plan => self.on_fenced(other),
                other => {
                    // The rows may ask for the very same again: not at once.
                    let pause = self.config.commit_retry_ms.saturating_mul(16);
                    self.commits.retry_at = Some(after(self.now, pause));
                    self.on_fenced(other);
                }
            }
        }
    }

    pub(crate) fn on_committed(&mut self, commit: u64, answers: &[Answer]) {
        let Some(changes) = self.commits.take(commit) else {
            return;
        };
        self.credit_outage();
        self.commits.singly = self.commits.singly.saturating_sub(1);
        for (place, change) in changes.into_iter().enumerate() {
            // A missing answer is a driver's mistake; the rows are asked.
            match answers.get(place).copied().unwrap_or(Answer::Fenced) {
                Answer::Ok => self.apply(change, Answer::Ok),
                Answer::Already => self.apply(change, Answer::Already),
                Answer::Fenced => self.on_fenced(&change),
            }
        }
    }

    /// The present, as far as deadlines and time-outs go: it stands still while the store is away.
    pub(crate) fn counted_now(&self) -> Timestamp {
        self.commits.failing_since.unwrap_or(self.now).min(self.now)
    }

    /// Time during which the store was away is nobody's fault: attempts get it back.
    fn credit_outage(&mut self) {
        self.commits.failures = 0;
        self.commits.retry_at = None;
        let Some(since) = self.commits.failing_since.take() else {
            return;
        };
        let now = self.now;
        for run in self.runs.values_mut() {
            let from = since.max(run.run.created_at);
            run.credit_ms = run.credit_ms.saturating_add(ms_between(from, now));
            for no in run.open.clone() {
                let Some(record) = run.tasks.get_mut(&no) else {
                    continue;
                };
                for copy in [Copy::First, Copy::Second] {
                    if let Some(open) = record.open_mut(copy) {
                        let from = since.max(open.counted_from);
                        open.credit_ms = open.credit_ms.saturating_add(ms_between(from, now));
                        open.progressed_at = now;
                    }
                }
            }
        }
    }

    fn apply(&mut self, change: Change, answer: Answer) {
        match change {
            Change::SubmitRun { run, discover } => self.apply_submit(*run, *discover, answer),
            Change::PlanPart { run, tasks } => self.apply_plan(run, tasks, answer, false),
            Change::PlanRun { run, tasks } => self.apply_plan(run, tasks, answer, true),
            Change::MoveRun {
                run, state, reason, ..
            } => self.apply_move_run(run, state, reason),
            Change::Assign {
                token,
                node,
                incarnation,
                at,
            } => self.apply_assign(token, &node, incarnation, at),
            Change::AssignTwin {
                token,
                node,
                incarnation,
                at,
            } => self.apply_assign_twin(token, &node, incarnation, at),
            Change::Forgive { token, .. } => self.apply_forgive(&token, answer),
            // The store ended it before, when its node registered anew: the rows know how.
            Change::EndAttempt { token, .. } if answer == Answer::Already => {
                self.reload_unless_ended(token.task);
            }
            Change::EndAttempt { .. } => self.apply_end_attempt(change),
            Change::EndTask {
                task,
                state,
                reason,
                ..
            } => {
                let now = self.now;
                if let Some(run) = self.runs.get_mut(&task.run) {
                    run.update(task.no, now, |record| {
                        record.task.state = state;
                        record.task.wait = None;
                        record.task.not_before = None;
                        record.task.reason = Some(reason);
                    });
                }
            }
            Change::RetryRun { run, .. } => {
                self.retries.remove(&run);
                self.awaited.insert(run);
                self.out.push(Command::Retried { run });
                self.read_run(run);
            }
            Change::MoveNode {
                node,
                incarnation,
                state,
                reason,
                ..
            } => self.apply_move_node(&node, incarnation, state, &reason),
            Change::ScaleEvent { to, reason, .. } => {
                self.scaler.apply(to);
                self.out.push(Command::DesiredNodes { n: to, reason });
            }
        }
    }

    fn apply_submit(&mut self, run: assay_model::run::Run, discover: Task, answer: Answer) {
        let id = run.id;
        self.submissions.remove(&id);
        self.out.push(Command::Submitted { run: id, answer });
        if answer == Answer::Ok && !self.runs.contains_key(&id) {
            self.insert_run(RunRows::of(run, false, vec![discover], 0));
        }
    }

    fn apply_move_run(&mut self, run: RunId, state: RunState, reason: Option<String>) {
        let Some(record) = self.runs.get_mut(&run) else {
            return;
        };
        record.run.state = state;
        if state == RunState::Planning {
            record.run.started_at.get_or_insert(self.now);
        }
        if state.is_terminal() {
            self.runs.remove(&run);
            self.count("runs_ended", 1);
        }
        self.out.push(Command::RunMoved { run, state, reason });
    }

    fn apply_assign(
        &mut self,
        token: AttemptToken,
        node: &NodeId,
        incarnation: Incarnation,
        at: Timestamp,
    ) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(&token.task.run) else {
            return;
        };
        run.update(token.task.no, now, |record| {
            record.task.state = TaskState::Assigned;
            record.task.attempt = token.attempt;
            record.task.nonce = Some(token.nonce);
            record.task.node = Some(node.clone());
            record.task.incarnation = Some(incarnation);
            record.task.assigned_at = Some(at);
            record.task.not_before = None;
            record.task.wait = None;
            record.open = Some(Open::new(now));
        });
        self.after_assign(token, node, incarnation);
    }

    fn on_fenced(&mut self, change: &Change) {
        self.count("changes_fenced", 1);
        match change {
            Change::SubmitRun { run, .. } => {
                self.submissions.remove(&run.id);
                self.refuse(run.id.to_string(), "the store refused the run");
            }
            Change::PlanPart { run, .. }
            | Change::PlanRun { run, .. }
            | Change::MoveRun { run, .. } => self.reload(*run),
            Change::Assign { token, node, .. } => {
                // The node may have a later life that has not said Hello yet.
                let until = after(self.now, self.config.commit_retry_ms);
                if let Some(record) = self.nodes.get_mut(node) {
                    record.shunned_until = Some(until);
                }
                self.reload(token.task.run);
            }
            Change::EndAttempt { token, .. } => self.reload_unless_ended(token.task),
            Change::AssignTwin { token, .. } => {
                self.no_copy_of(token);
                self.reload_unless_ended(token.task);
            }
            Change::Forgive { token, .. } => self.losses.retain(|loss| loss.token != *token),
            Change::EndTask { task, .. } => self.reload_unless_ended(*task),
            Change::RetryRun { run, .. } => {
                self.retries.remove(run);
                self.refuse(
                    run.to_string(),
                    "it has not ended, or none of its tasks failed; only failed tasks of an ended run \
                     can be tried again",
                );
            }
            Change::MoveNode {
                node, incarnation, ..
            } => self.on_node_superseded(node, *incarnation),
            Change::ScaleEvent { .. } => {}
        }
    }

    /// A fenced change of a task whose end has been heard of meanwhile needs no read.
    pub(crate) fn reload_unless_ended(&mut self, task: assay_model::ids::TaskId) {
        let ended = self
            .runs
            .get(&task.run)
            .and_then(|run| run.tasks.get(&task.no))
            .is_none_or(|record| record.task.state.is_terminal());
        if !ended {
            self.reload(task.run);
        }
    }

    /// Asks for the rows of a run; nothing is decided about it until they are here.
    pub(crate) fn reload(&mut self, run: RunId) {
        if let Some(record) = self.runs.get_mut(&run)
            && !record.reloading
        {
            record.reloading = true;
            record.reads += 1;
            self.read_run(run);
        }
    }

    fn read_run(&mut self, run: RunId) {
        let active = self.runs.values().filter(|run| run.is_active()).count();
        let most = self.config.tasks_held.share(active);
        self.out.push(Command::ReloadRun { run, most });
    }

    pub(crate) fn on_run_loaded(&mut self, id: RunId, rows: Option<Box<RunRows>>) {
        let retried = self.awaited.remove(&id);
        let known = self.runs.get(&id).is_some_and(|r| r.reloading);
        if !known && !retried {
            return;
        }
        let Some(rows) = rows.filter(|rows| !rows.run.state.is_terminal()) else {
            self.runs.remove(&id);
            return;
        };
        let before = self.runs.remove(&id);
        self.insert_run(*rows);
        let now = self.now;
        let Some(record) = self.runs.get_mut(&id) else {
            return;
        };
        let mut settled = Settled::default();
        if let Some(before) = before {
            settled = keep_observations(record, before, now);
        }
        if retried {
            record.forgives = true;
            for task in record.tasks.values_mut() {
                if !task.task.state.is_terminal() {
                    task.forgiven = task.task.attempt;
                }
            }
        }
        if settled.untrue > 0 {
            self.count("words_untrue", settled.untrue);
        }
        if settled.is_open {
            self.reload(id);
        }
    }

    pub(crate) fn refuse(&mut self, subject: String, reason: &str) {
        self.out.push(Command::Refused {
            subject,
            reason: reason.to_owned(),
        });
    }

    pub(crate) fn count(&mut self, what: &'static str, n: u64) {
        self.out.push(Command::Count { what, n });
    }
}

/// What rows said of the words of nodes.
#[derive(Default)]
struct Settled {
    /// Successes that were told and are not in the store.
    untrue: u64,
    /// Some were told after the rows were asked for: they are to be read once more.
    is_open: bool,
}

/// Of a run that is tried again, what waited in the store has not been tried since the run was.
fn forgive_the_new(record: &mut RunRecord, before: &BTreeMap<u32, TaskRecord>) {
    if !record.forgives {
        return;
    }
    for (no, fresh) in &mut record.tasks {
        if !before.contains_key(no) {
            fresh.forgiven = tried_before(&fresh.task);
        }
    }
}

/// Keeps what only the core has seen: rows may be read just before a node wrote. A success that was
/// told before the rows were asked for is in them, or it is none.
fn keep_observations(record: &mut RunRecord, before: RunRecord, now: Timestamp) -> Settled {
    let mut settled = Settled::default();
    record.reads = before.reads;
    record.cancel = before.cancel;
    record.unplannable = before.unplannable;
    record.paces = before.paces;
    record.credit_ms = before.credit_ms;
    record.plan = before.plan;
    record.forget_other_page();
    record.planned |= before.planned;
    record.forgives = before.forgives;
    forgive_the_new(record, &before.tasks);
    for (no, old) in before.tasks {
        let Some(fresh) = record.tasks.get_mut(&no) else {
            continue;
        };
        let token = old.token();
        fresh.forgiven = old.forgiven;
        fresh.copied = fresh.copied.max(old.copied);
        let twin = fresh.token_of(Copy::Second);
        if twin.is_some() && twin == old.token_of(Copy::Second) {
            fresh.twin_open.clone_from(&old.twin_open);
        }
        fresh.failed_on.clone_from(&old.failed_on);
        if fresh.token().is_some() && fresh.token() == token {
            fresh.open.clone_from(&old.open);
        }
        if old.task.state == TaskState::Succeeded {
            // Only the discovery is held when it has succeeded.
            record.told.extend(old.told.map(|told| (no, told)));
        } else if old.task.state == TaskState::Running && token.is_some() {
            record.update(no, now, |fresh| {
                if fresh.token() == token {
                    fresh.task.state = TaskState::Running;
                    fresh.task.started_at = old.task.started_at;
                }
            });
        }
    }
    record.told.extend(before.told);
    let told = std::mem::take(&mut record.told);
    for (no, (token, reads)) in told {
        let Some(fresh) = record.tasks.get(&no) else {
            // It has ended, unless it waits in the store, where the next read finds it.
            if Core::waits_in_store(record, no) {
                record.told.insert(no, (token, reads));
            }
            continue;
        };
        if fresh.task.state.is_terminal() {
            continue;
        }
        if reads < before.reads {
            settled.untrue += 1;
            record.update(no, now, |fresh| fresh.contradict(&token));
        } else {
            settled.is_open = true;
            record.update(no, now, |fresh| {
                fresh.told = Some((token, reads));
                fresh.task.state = TaskState::Succeeded;
            });
        }
    }
    settled
}

impl TaskRecord {
    /// The store has no result of an attempt whose node said that it had one: it failed there.
    fn contradict(&mut self, token: &AttemptToken) {
        let copy = self.copy_with(token);
        // The other copy was stopped when the success was told: its slot may be another's by now.
        let other = copy.map(Copy::other);
        if let Some(open) = other.and_then(|copy| self.open_mut(copy)) {
            open.doubted = true;
        }
        if let Some(open) = copy.and_then(|copy| self.open_mut(copy)) {
            open.heard = true;
            open.doubted = true;
            open.verdict = Some(TaskFailure {
                outcome: AttemptOutcome::Retryable,
                message: "its node said that it had succeeded, and the store has no result of it"
                    .to_owned(),
            });
        }
    }
}
