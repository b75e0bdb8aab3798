//! The window of a run's tasks that is held: which tasks are read when, and what is let go of.
//!
//! What comes in: a run with as many tasks as there may be. What goes out: reads of its next tasks,
//! which bound what is held by the configuration. It must never hold a task whose needs may wait in the
//! store: the tasks that are held are the first of those that have not ended, and what a task needs
//! comes before it.

use std::collections::BTreeSet;

use assay_model::ids::RunId;
use assay_model::task::{Task, TaskState};
use assay_model::unfinished::{MoreTasks, TasksRead};
use jiff::Timestamp;

use crate::state::RunRecord;
use crate::{Command, Core};

/// Tasks of one read, at most: it is answered soon, whatever a leader may hold.
const READ_MAX: usize = 8_192;

impl RunRecord {
    /// Tasks of the plan that are held.
    pub(crate) fn held(&self) -> usize {
        self.tasks.len() - usize::from(self.tasks.contains_key(&0))
    }

    /// Tasks in the store that have not ended and are not held.
    pub(crate) fn rest(&self) -> usize {
        let out = self.ended.count() as usize + self.held();
        (self.there as usize).saturating_sub(out)
    }

    /// Tasks that could start if there were slots. Of those whose turn in the plan has not come that is
    /// not known: as large a part of them as of those that are held. What waits for other tasks is no
    /// reason for more nodes.
    pub(crate) fn waiting(&self) -> usize {
        let rest = if self.planned { self.rest() } else { 0 };
        let able = self.ready.len() + self.open.len();
        let later = match self.held() {
            0 => rest,
            held => rest.saturating_mul(able.min(held)) / held,
        };
        self.ready.len() + later
    }

    /// Whether every task has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.unended.is_empty() && self.rest() == 0
    }

    /// Holds the tasks that were loaded with the run.
    pub(crate) fn hold(&mut self, tasks: Vec<Task>, now: Timestamp) {
        let ready = tasks.iter().filter(|t| t.state == TaskState::Ready);
        let last_ready = ready.map(|t| t.id.no).max().unwrap_or(0);
        self.add_tasks(tasks, now);
        // Only ready ones may have been left out, those after the last one that is here.
        self.through = if self.rest() == 0 {
            self.there
        } else {
            last_ready
        };
        self.beyond = self.tasks.range(self.through + 1..).map(|t| *t.0).collect();
    }

    /// Lets go of a task that has ended. What its node said of it stays until rows confirm it.
    pub(crate) fn let_go(&mut self, no: u32) {
        if no == 0 {
            return;
        }
        let Some(record) = self.tasks.remove(&no) else {
            return;
        };
        self.ended.note(&record.task);
        if let Some(told) = record.told {
            self.told.insert(no, told);
        }
    }
}

impl Core {
    /// Asks for more tasks of a run when half of what it may hold has ended.
    pub(crate) fn decide_window(&mut self, id: RunId) {
        let limits = self.config.tasks_held;
        let reads = |run: &RunRecord| run.is_asked || run.reloading;
        if self
            .runs
            .get(&id)
            .is_none_or(|run| reads(run) || run.rest() == 0)
        {
            return;
        }
        let active = self.runs.values().filter(|run| run.is_active()).count();
        let all = self.tasks_held();
        let share = limits.share(active);
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let held = run.held();
        if held > share / 2 {
            return;
        }
        // What other runs hold from the time when there were fewer of them counts, too.
        let least = limits.per_run.saturating_sub(held);
        let room = limits.max.saturating_sub(all).max(least);
        let most = (share - held).min(room).min(READ_MAX);
        if most == 0 {
            return;
        }
        run.is_asked = true;
        self.out.push(Command::ReadTasks(MoreTasks {
            run: id,
            after: run.through,
            most,
            believed: run.told.keys().copied().collect(),
        }));
    }

    /// Holds what was read. Rows that contradict what is known are a reason to read all of them.
    pub(crate) fn on_tasks_read(&mut self, asked: &MoreTasks, read: TasksRead) {
        let now = self.now;
        let run = self.runs.get_mut(&asked.run);
        let Some(run) = run.filter(|run| run.is_asked && run.through == asked.after) else {
            return;
        };
        run.is_asked = false;
        // What was told before the question and is not in the rows is not true.
        let untrue: BTreeSet<u32> = read.unended.into_iter().collect();
        let confirmed = |no: &u32| asked.believed.binary_search(no).is_ok() && !untrue.contains(no);
        run.told.retain(|no, _| !confirmed(no));
        let is_last = read.tasks.len() < asked.most;
        let last = read.tasks.last().map(|task| task.id.no);
        run.through = last.filter(|_| !is_last).unwrap_or(run.there);
        let beyond = std::mem::take(&mut run.beyond);
        let tasks = read.tasks.into_iter();
        let new = tasks.filter(|task| !beyond.contains(&task.id.no));
        let new: Vec<Task> = new.filter(|task| !task.state.is_terminal()).collect();
        for task in &new {
            run.told.remove(&task.id.no);
        }
        let through = run.through;
        run.beyond = beyond.into_iter().filter(|no| *no > through).collect();
        run.add_tasks(new, now);
        if !untrue.is_empty() || (is_last && run.rest() > 0) {
            self.reload(asked.run);
        }
    }

    /// Whether a task waits in the store for its turn.
    pub(crate) fn waits_in_store(run: &RunRecord, no: u32) -> bool {
        no > run.through && no <= run.there && !run.beyond.contains(&no)
    }

    /// Tasks of plans that are held in memory, of all runs: at most `tasks_held.max` of the
    /// configuration, and `tasks_held.per_run` of each run more.
    #[must_use]
    pub fn tasks_held(&self) -> usize {
        self.runs.values().map(RunRecord::held).sum()
    }
}
