//! Attempts at work: what their nodes say of them, and how they end.
//!
//! What comes in: starts, ends, failures, heartbeats. What goes out: the ends of attempts, charged
//! to the task or not. It must never end an attempt in memory that is not ended in the store. That one
//! succeeded is taken on its node's word, which spares a read and is no more than a hint: whatever
//! rests on it is refused by the store while the rows say otherwise, and then the rows are read.

use std::collections::BTreeSet;

use assay_model::change::Change;
use assay_model::ids::{AttemptToken, DatasetId, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::{NodeState, Progress};
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, TaskFailure, TaskKind, TaskState};
use jiff::Timestamp;

use crate::Core;
use crate::backoff::{self, Spent};
use crate::batch::Batch;
use crate::breaker::Breaker;
use crate::copies::{Copy, end_of_copy};
use crate::state::{RunRecord, TaskRecord};
use crate::time::{after, ms_between};

/// What a node does about its own time-out takes a moment to arrive; the core waits so long.
const TIMEOUT_SLACK_MS: u64 = 2_000;
/// Heartbeats in a row without an attempt after which it is an orphan.
const MISSED_MAX: u8 = 2;

impl Core {
    /// The task one of whose copies at work is `token`.
    pub(crate) fn open_attempt(&self, token: &AttemptToken) -> Option<&TaskRecord> {
        let record = self.task(token.task)?;
        record.copy_with(token).map(|_| record)
    }

    /// Changes the task one of whose copies at work is `token`; nothing when it is another.
    fn update_attempt(&mut self, token: &AttemptToken, change: impl FnOnce(&mut TaskRecord, Copy)) {
        let copy = self.task(token.task).and_then(|r| r.copy_with(token));
        let now = self.now;
        if let (Some(copy), Some(run)) = (copy, self.runs.get_mut(&token.task.run)) {
            run.update(token.task.no, now, |record| change(record, copy));
        }
    }

    pub(crate) fn on_started(&mut self, token: &AttemptToken) {
        let now = self.now;
        self.update_attempt(token, |record, copy| {
            if record.task.state == TaskState::Assigned && copy == Copy::First {
                record.task.state = TaskState::Running;
                record.task.started_at = Some(now);
            }
            if let Some(open) = record.open_mut(copy) {
                open.heard = true;
                open.missed = 0;
                open.progressed_at = now;
                open.started_at.get_or_insert(now);
            }
        });
    }

    pub(crate) fn on_finished(&mut self, token: &AttemptToken) {
        let Some(record) = self.open_attempt(token) else {
            return;
        };
        let Some(copy) = record.copy_with(token) else {
            return;
        };
        let node = record.place_of(copy).map(|place| place.0.clone());
        let kind = record.task.spec.kind();
        let failed_on = record.failed_on.clone();
        let other = other_copy(record, copy);
        let took = record.open_of(copy).map(|open| self.took_ms(open));
        let pace = took.map(|ms| (self.cost_of(record), ms));
        let reads = self.runs.get(&token.task.run).map_or(0, |run| run.reads);
        self.update_attempt(token, |record, _| {
            record.told = Some((*token, reads));
            record.task.state = TaskState::Succeeded;
            record.task.wait = None;
            record.task.reason = None;
        });
        self.count("tasks_succeeded", 1);
        if let Some((token, node, life)) = other {
            self.count("copies_fenced", 1);
            self.stop_copy(token, &node, life);
        }
        if let Some(run) = self.runs.get_mut(&token.task.run)
            && let Some((cost, ms)) = pace.filter(|_| kind == TaskKind::Measure)
        {
            run.note_pace(cost, ms);
        }
        for (failed, at) in failed_on {
            let recent = after(at, self.config.exclude_window_ms) > self.now;
            if Some(&failed) != node.as_ref() && recent {
                let now = self.now;
                if let Some(record) = self.nodes.get_mut(&failed) {
                    record.blamed.push(now);
                }
            }
        }
        if kind != TaskKind::Evaluate {
            self.close_breaker_of(token.task.run);
        }
    }

    pub(crate) fn on_failed(&mut self, token: &AttemptToken, mut failure: TaskFailure) {
        use AttemptOutcome as O;
        failure.outcome = match failure.outcome {
            O::Retryable | O::Permanent | O::TimedOut | O::Crashed => failure.outcome,
            O::DependencyDown | O::Drained => failure.outcome,
            O::Ok | O::NodeLost | O::Orphaned | O::DispatchLost | O::Cancelled => O::Retryable,
        };
        self.update_attempt(token, |record, copy| {
            if let Some(open) = record.open_mut(copy) {
                open.heard = true;
                open.verdict.get_or_insert(failure);
            }
        });
    }

    pub(crate) fn on_dropped(&mut self, token: &AttemptToken) {
        let failure = TaskFailure {
            outcome: AttemptOutcome::Drained,
            message: "its node hands it back: it drains, or its slots are taken".to_owned(),
        };
        self.on_failed(token, failure);
    }

    /// Notes which attempts a node lists. One that it has listed before, or that it should know
    /// after a Hello, is missed when it is not there.
    pub(crate) fn note_listed(
        &mut self,
        node: &NodeId,
        incarnation: Incarnation,
        listed: &BTreeSet<(TaskId, u32)>,
        hello: bool,
    ) {
        for run in self.runs.values_mut() {
            for no in run.open.clone() {
                let Some(record) = run.tasks.get_mut(&no) else {
                    continue;
                };
                let key = (record.task.id, record.task.attempt);
                let here = record.copy_on(node, incarnation);
                let Some(open) = here.and_then(|copy| record.open_mut(copy)) else {
                    continue;
                };
                if listed.contains(&key) {
                    open.heard = true;
                    open.missed = 0;
                } else if open.heard || hello {
                    open.heard = true;
                    open.missed = open.missed.saturating_add(1);
                }
            }
        }
    }

    pub(crate) fn note_progress(
        &mut self,
        node: &NodeId,
        incarnation: Incarnation,
        progress: &Progress,
    ) {
        let now = self.now;
        let run = self.runs.get_mut(&progress.task.run);
        let record = run.and_then(|run| run.tasks.get_mut(&progress.task.no));
        let Some(record) = record.filter(|r| r.task.attempt == progress.attempt) else {
            return;
        };
        let here = record.copy_on(node, incarnation);
        if let Some(open) = here.and_then(|copy| record.open_mut(copy))
            && (progress.rows > open.rows || progress.bytes > open.bytes)
        {
            open.rows = open.rows.max(progress.rows);
            open.bytes = open.bytes.max(progress.bytes);
            open.progressed_at = now;
        }
    }

    pub(crate) fn decide_attempts(&mut self, batch: &mut Batch) {
        let mut ends = Vec::new();
        for run in self.runs.values().filter(|run| !run.reloading) {
            for record in run.open.iter().filter_map(|no| run.tasks.get(no)) {
                for copy in record.copies() {
                    if let Some(end) = self.end_of(run, record, copy) {
                        ends.push((record.task.id, copy, end));
                    }
                }
            }
        }
        for (task, copy, failure) in ends {
            if batch.is_full() {
                return;
            }
            if !batch.touches_task(task)
                && let Some(change) = self.end_attempt(task, copy, failure)
            {
                batch.push_task(task, change);
            }
        }
    }

    /// Whether a copy of the attempt at work is over, and how it counts.
    fn end_of(&self, run: &RunRecord, record: &TaskRecord, copy: Copy) -> Option<TaskFailure> {
        use AttemptOutcome as O;
        let open = record.open_of(copy)?;
        let end = |outcome, message: String| Some(TaskFailure { outcome, message });
        if let Some(reason) = &run.cancel {
            return end(O::Cancelled, reason.clone());
        }
        if run.is_expired(self.counted_now()) {
            return end(O::Cancelled, "the run is past its deadline".to_owned());
        }
        if let Some(verdict) = &open.verdict {
            return Some(verdict.clone());
        }
        let (id, incarnation) = record.place_of(copy)?;
        let Some(node) = self.nodes.get(id) else {
            return end(O::Orphaned, "its node is not registered".to_owned());
        };
        if node.node.incarnation != incarnation {
            return end(O::Orphaned, "its node has begun another life".to_owned());
        }
        if let Some(death) = &node.death {
            return end(death.outcome, death.reason.clone());
        }
        if open.missed >= MISSED_MAX {
            return end(O::Orphaned, "its node does not have it".to_owned());
        }
        if let (NodeState::Draining, Some(since)) = (node.node.state, node.draining_since)
            && after(since, self.config.drain_grace_ms) <= self.counted_now()
        {
            return end(
                O::Drained,
                "its node drains and it took too long".to_owned(),
            );
        }
        let (at, outcome, message) = self.time_limit(run, record, copy)?;
        (at <= self.counted_now()).then_some(TaskFailure {
            outcome,
            message: message.to_owned(),
        })
    }

    /// The next instant at which the attempt will have taken too long.
    pub(crate) fn time_limit(
        &self,
        run: &RunRecord,
        record: &TaskRecord,
        copy: Copy,
    ) -> Option<(Timestamp, AttemptOutcome, &'static str)> {
        let open = record.open_of(copy)?;
        let least = match open.inherited {
            true => after(open.counted_from, self.config.grace_ms),
            false => open.counted_from,
        };
        let limit = |from: Timestamp, ms: u64| {
            let credit = open.credit_ms;
            after(from, ms.saturating_add(credit)).max(after(least, credit))
        };
        if open.started_at.is_none() && !open.heard {
            let at = limit(open.counted_from, self.config.dispatch_timeout_ms);
            return Some((
                at,
                AttemptOutcome::DispatchLost,
                "it was not started in time",
            ));
        }
        let from = open.started_at.unwrap_or(open.counted_from);
        let timeout = run.run.task_timeout_ms.saturating_add(TIMEOUT_SLACK_MS);
        let close = (
            limit(from, timeout),
            AttemptOutcome::TimedOut,
            "it took longer than its time-out",
        );
        if record.task.spec.kind() != TaskKind::Measure {
            return Some(close);
        }
        let stall = (
            limit(open.progressed_at.max(from), self.config.stall_timeout_ms),
            AttemptOutcome::TimedOut,
            "its counters did not move",
        );
        Some(if stall.0 < close.0 { stall } else { close })
    }

    fn end_attempt(
        &mut self,
        task: TaskId,
        copy: Copy,
        mut failure: TaskFailure,
    ) -> Option<Change> {
        let jitter = self.ids.jitter_permille();
        let run = self.runs.get(&task.run)?;
        let record = run.tasks.get(&task.no)?;
        let token = record.token_of(copy)?;
        if record.task.twin.is_some() {
            failure = end_of_copy(&failure);
        }
        let spent = Spent {
            charged: record.task.charged,
            crashes: record.task.crashes,
            uncharged: record.uncharged(),
            retries: run.run.retries,
        };
        let next = backoff::next(&self.config, spent, failure.outcome, jitter);
        if next.given_up == Some(backoff::SPENT) && self.may_be_forgiven(record, copy) {
            return None;
        }
        let mut state = next.state;
        if failure.outcome == AttemptOutcome::Cancelled && run.cancel.is_none() {
            state = TaskState::Failed;
        }
        let mut pause_ms = next.pause_ms;
        if failure.outcome == AttemptOutcome::DependencyDown {
            let dataset = self.datasets.get(&run.run.dataset);
            let previous = dataset.and_then(|d| d.breaker.as_ref());
            let breaker = Breaker::after_failure(previous, &self.config, self.now);
            pause_ms = ms_between(self.now, breaker.until);
        }
        let ready = state == TaskState::Ready;
        let reason = match next.given_up {
            Some(given_up) => format!("{}; {given_up}", failure.message),
            None => failure.message,
        };
        Some(Change::EndAttempt {
            token,
            outcome: failure.outcome,
            next: state,
            not_before: ready.then(|| after(self.now, pause_ms)),
            wait: next.wait.filter(|_| ready),
            reason,
            at: self.now,
        })
    }

    pub(crate) fn apply_end_attempt(&mut self, change: Change) {
        let Change::EndAttempt {
            token,
            outcome,
            next,
            not_before,
            wait,
            reason,
            ..
        } = change
        else {
            return;
        };
        let Some(record) = self.open_attempt(&token) else {
            // Its node said meanwhile that it had succeeded, and the store has ended it otherwise.
            self.reload(token.task.run);
            return;
        };
        let Some(copy) = record.copy_with(&token) else {
            return;
        };
        let place = record
            .place_of(copy)
            .map(|(node, life)| (node.clone(), life));
        // A node that reports an end has stopped already.
        let open = record.open_of(copy);
        let stopped = open.is_some_and(|open| open.verdict.is_some() && !open.doubted);
        let other = other_copy(record, copy);
        let goes_on = next == TaskState::Ready && other.is_some();
        let now = self.now;
        let own_fault = matches!(
            outcome,
            AttemptOutcome::Retryable | AttemptOutcome::TimedOut | AttemptOutcome::Crashed
        );
        self.update_attempt(&token, |record, copy| {
            if goes_on {
                record.drop_copy(copy);
            } else {
                record.task.state = next;
                record.task.not_before = not_before;
                record.task.wait = wait;
                record.task.reason = Some(reason);
            }
            record.task.charged += u32::from(outcome.is_charged());
            record.task.crashes += u32::from(outcome == AttemptOutcome::Crashed);
            if let Some((node, _)) = place.as_ref().filter(|_| own_fault) {
                record.failed_on.push((node.clone(), now));
            }
        });
        self.count(counter_of(outcome), 1);
        self.note_end_for_breaker(&token, outcome);
        if let Some((node, life)) = place
            .as_ref()
            .filter(|_| outcome == AttemptOutcome::NodeLost)
        {
            self.note_loss(token, node, *life);
        }
        if let Some((node, incarnation)) = place.filter(|_| !stopped) {
            self.stop_copy(token, &node, incarnation);
        }
        if let Some((token, node, incarnation)) = other.filter(|_| !goes_on) {
            self.stop_copy(token, &node, incarnation);
        }
    }

    fn note_end_for_breaker(&mut self, token: &AttemptToken, outcome: AttemptOutcome) {
        let Some(dataset) = self.dataset_of(token.task.run) else {
            return;
        };
        let (now, config) = (self.now, &self.config);
        let Some(record) = self.datasets.get_mut(&dataset) else {
            return;
        };
        if outcome == AttemptOutcome::DependencyDown {
            let breaker = Breaker::after_failure(record.breaker.as_ref(), config, now);
            record.breaker = Some(breaker);
        } else if let Some(breaker) = &mut record.breaker
            && breaker.probe == Some(*token)
        {
            breaker.probe = None;
        }
    }

    pub(crate) fn on_breaker_opened(&mut self, dataset: DatasetId) {
        let (now, config) = (self.now, &self.config);
        let record = self.datasets.entry(dataset).or_default();
        let breaker = Breaker::after_failure(record.breaker.as_ref(), config, now);
        record.breaker = Some(breaker);
    }

    pub(crate) fn on_breaker_closed(&mut self, dataset: &DatasetId) {
        if let Some(record) = self.datasets.get_mut(dataset) {
            record.breaker = None;
        }
    }

    fn close_breaker_of(&mut self, run: RunId) {
        if let Some(dataset) = self.dataset_of(run) {
            self.on_breaker_closed(&dataset);
        }
    }

    fn dataset_of(&self, run: RunId) -> Option<DatasetId> {
        let record = self.runs.get(&run)?;
        debug_assert!(
            record.run.state != RunState::Queued,
            "J1: work in a queued run"
        );
        Some(record.run.dataset.clone())
    }
}

/// The other copy of an attempt that has two: its token and its place.
fn other_copy(record: &TaskRecord, copy: Copy) -> Option<(AttemptToken, NodeId, Incarnation)> {
    let token = record.token_of(copy.other())?;
    let (node, incarnation) = record.place_of(copy.other())?;
    Some((token, node.clone(), incarnation))
}

const fn counter_of(outcome: AttemptOutcome) -> &'static str {
    match outcome {
        AttemptOutcome::Ok => "attempts_ok",
        AttemptOutcome::Retryable => "attempts_retryable",
        AttemptOutcome::Permanent => "attempts_permanent",
        AttemptOutcome::TimedOut => "attempts_timed_out",
        AttemptOutcome::Crashed => "attempts_crashed",
        AttemptOutcome::NodeLost => "attempts_node_lost",
        AttemptOutcome::Drained => "attempts_drained",
        AttemptOutcome::Orphaned => "attempts_orphaned",
        AttemptOutcome::DispatchLost => "attempts_dispatch_lost",
        AttemptOutcome::DependencyDown => "attempts_dependency_down",
        AttemptOutcome::Cancelled => "attempts_cancelled",
    }
}
