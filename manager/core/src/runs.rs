//! Runs: their queue, their turns, their ends.
//!
//! What comes in: requests, deadlines, the ends of tasks. What goes out: the states of runs. It must
//! never end a run whose tasks have not ended (J1), nor run two runs of one dataset at once beyond
//! what the configuration allows.

use std::collections::BTreeMap;

use assay_model::change::{Answer, Change};
use assay_model::ids::{DatasetId, RunId, TaskId};
use assay_model::run::{Priority, Run, RunState};
use assay_model::task::{Task, TaskSpec, TaskState};
use jiff::Timestamp;

use crate::batch::Batch;
use crate::fair::Turns;
use crate::invariant;
use crate::state::RunRecord;
use crate::{Command, Core};

impl Core {
    pub(crate) fn on_submitted(&mut self, run: Run) {
        if self.runs.contains_key(&run.id) {
            self.out.push(Command::Submitted {
                run: run.id,
                answer: Answer::Already,
            });
        } else {
            self.submissions.insert(run.id, run);
        }
    }

    pub(crate) fn on_cancel(&mut self, id: RunId, reason: String) {
        match self.runs.get_mut(&id) {
            Some(record) => {
                record.cancel.get_or_insert(reason);
            }
            None => self.refuse(id.to_string(), "no such run is at work or waiting"),
        }
    }

    pub(crate) fn on_retry(&mut self, id: RunId, deadline_at: Timestamp) {
        if self.runs.contains_key(&id) || self.awaited.contains(&id) {
            self.refuse(id.to_string(), "the run has not ended; cancel it first");
        } else {
            self.retries.insert(id, deadline_at);
        }
    }

    /// Writes what people and schedules ask for.
    pub(crate) fn decide_requests(&mut self, batch: &mut Batch) {
        for run in self.submissions.values() {
            if batch.is_full() {
                return;
            }
            let id = TaskId { run: run.id, no: 0 };
            batch.push(Change::SubmitRun {
                run: Box::new(run.clone()),
                discover: Box::new(Task::new(id, TaskSpec::Discover, Vec::new())),
            });
        }
        for (&run, &deadline_at) in &self.retries {
            if batch.is_full() {
                return;
            }
            batch.push(Change::RetryRun {
                run,
                at: self.now,
                deadline_at,
            });
        }
    }

    pub(crate) fn decide_runs(&mut self, batch: &mut Batch) {
        let ids: Vec<RunId> = self.runs.keys().copied().collect();
        for id in ids {
            if batch.is_full() {
                return;
            }
            let Some(record) = self.runs.get(&id).filter(|r| !r.reloading) else {
                continue;
            };
            let stopped = record.cancel.is_some() || record.unplannable.is_some();
            if stopped || record.is_expired(self.counted_now()) {
                self.close(record, batch);
                self.decide_window(id);
            } else if record.is_active() && !record.planned {
                self.decide_unplanned(id, batch);
            } else if record.is_active() {
                self.decide_planned(record, batch);
                self.decide_window(id);
            }
        }
        self.start_runs(batch);
    }

    /// Ends what is left of a run that goes no further, then the run.
    fn close(&self, record: &RunRecord, batch: &mut Batch) {
        let stale = record.run.state == RunState::Queued
            && record.run.slot.is_some()
            && record.run.started_at.is_none()
            && record.cancel.is_none();
        let (state, reason) = match (&record.cancel, &record.unplannable) {
            (Some(reason), _) => (TaskState::Cancelled, reason.clone()),
            (None, Some(reason)) => (TaskState::Failed, reason.clone()),
            (None, None) if stale => (
                TaskState::Cancelled,
                "its slot is past its deadline".to_owned(),
            ),
            (None, None) => (TaskState::Failed, "the run is past its deadline".to_owned()),
        };
        if record.has_ended() {
            let (state, reason) = if record.cancel.is_some() {
                // Whoever cancels too late has stopped nothing.
                match end_of(record) {
                    (RunState::Succeeded, none) => (RunState::Succeeded, none),
                    _ => (RunState::Cancelled, Some(reason)),
                }
            } else if record.unplannable.is_some() {
                // Nobody has stopped it: what was found could not be planned, and is not judged.
                (RunState::Failed, Some(reason))
            } else if stale {
                (RunState::SkippedStale, Some(reason))
            } else {
                end_of(record)
            };
            batch.push(self.move_run(record, state, reason));
            return;
        }
        for &no in record.unended.difference(&record.open) {
            if batch.is_full() {
                return;
            }
            let task = TaskId {
                run: record.run.id,
                no,
            };
            let change = Change::EndTask {
                task,
                state,
                reason: reason.clone(),
                at: self.now,
            };
            batch.push_task(task, change);
        }
    }

    fn decide_unplanned(&mut self, id: RunId, batch: &mut Batch) {
        let Some(record) = self.runs.get(&id) else {
            return;
        };
        match record.tasks.get(&0).map(|t| t.task.state) {
            Some(TaskState::Succeeded) => self.decide_plan(id, batch),
            Some(state) if state.is_terminal() => {
                let (state, reason) = end_of(record);
                batch.push(self.move_run(record, state, reason));
            }
            _ => {}
        }
    }

    fn decide_planned(&self, record: &RunRecord, batch: &mut Batch) {
        if record.has_ended() {
            let (state, reason) = end_of(record);
            batch.push(self.move_run(record, state, reason));
        } else if record.run.state == RunState::Running && record.is_measured() {
            batch.push(self.move_run(record, RunState::Finalising, None));
        }
    }

    pub(crate) fn move_run(
        &self,
        record: &RunRecord,
        state: RunState,
        reason: Option<String>,
    ) -> Change {
        invariant::run_ends_after_its_tasks(record, state);
        Change::MoveRun {
            run: record.run.id,
            state,
            reason,
            at: self.now,
        }
    }

    /// Gives waiting runs their turn: present before past, then the dataset served least, and
    /// within a dataset the older slot first.
    fn start_runs(&self, batch: &mut Batch) {
        let mut active: BTreeMap<&DatasetId, u32> = BTreeMap::new();
        let mut total = 0;
        for record in self
            .runs
            .values()
            .filter(|r| r.run.state != RunState::Queued)
        {
            *active.entry(&record.run.dataset).or_default() += 1;
            total += 1;
        }
        let mut queues: BTreeMap<&DatasetId, Vec<&RunRecord>> = BTreeMap::new();
        for record in self.runs.values() {
            let waits = record.run.state == RunState::Queued
                && !record.reloading
                && record.cancel.is_none()
                && !record.is_expired(self.counted_now());
            if waits {
                queues.entry(&record.run.dataset).or_default().push(record);
            }
        }
        let mut turns = Turns::new();
        for (dataset, queue) in &mut queues {
            queue.sort_by_key(|r| std::cmp::Reverse(place_in_queue(&r.run)));
            let priority = queue.last().map_or(Priority::Backfill, |r| r.run.priority);
            turns.join(*dataset, priority, self.served(dataset), self.served_floor);
        }
        while let Some((_, served, dataset)) = turns.take() {
            let running = active.entry(dataset).or_default();
            if batch.is_full() || total >= self.config.max_running_runs {
                return;
            }
            if *running >= self.config.max_running_runs_per_dataset {
                continue;
            }
            let Some(queue) = queues.get_mut(dataset) else {
                continue;
            };
            if let Some(record) = queue.pop() {
                // A run that is tried again may have its plan.
                let state = if record.planned {
                    RunState::Running
                } else {
                    RunState::Planning
                };
                batch.push(self.move_run(record, state, None));
                *running += 1;
                total += 1;
            }
            if let Some(next) = queue.last() {
                let cost = self.config.task_overhead_bytes;
                turns.put_back(dataset, next.run.priority, served, cost);
            }
        }
    }

    /// The cost served to a dataset so far.
    pub(crate) fn served(&self, dataset: &DatasetId) -> u64 {
        self.datasets.get(dataset).map_or(0, |d| d.served)
    }
}

/// The order of the runs of one dataset.
fn place_in_queue(run: &Run) -> (Priority, Timestamp, RunId) {
    (run.priority, run.slot.unwrap_or(run.created_at), run.id)
}

/// How a run whose tasks have ended has ended itself, and why.
pub(crate) fn end_of(record: &RunRecord) -> (RunState, Option<String>) {
    let discovery = record.tasks.get(&0).map(|record| &record.task);
    let discovery = discovery.filter(|task| task.state != TaskState::Succeeded);
    let first = match discovery {
        Some(task) => Some((0, task.state, task.reason.clone())),
        None => record.ended.first.clone(),
    };
    let Some((no, state, why)) = first else {
        if record.planned {
            return (RunState::Succeeded, None);
        }
        let reason = "it was past its deadline before it had a plan".to_owned();
        return (RunState::Failed, Some(reason));
    };
    let reason = format!(
        "{} of {} tasks did not succeed; the first is task {no} ({state}): {}",
        record.ended.unsuccessful() + u32::from(discovery.is_some()),
        u64::from(record.there) + 1,
        why.as_deref().unwrap_or("no reason is recorded"),
    );
    // Of a plan that is not whole nobody knows what is missing: the store takes no such run for partial.
    if record.planned && record.ended.judged > 0 {
        (RunState::Partial, Some(reason))
    } else {
        (RunState::Failed, Some(reason))
    }
}
