//! What a leader holds of runs that have not ended: a window of their tasks, and what is kept of those
//! that have ended.
//!
//! What comes in: rows. What goes out: values of a bounded size, however many tasks a run has. It must
//! never hold what a task is told to read, nor what it left.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::run::Run;
use crate::task::{Task, TaskKind, TaskState};

/// Tasks of one page of a plan: what one commit of a leader writes of it, at most.
pub const PLAN_PAGE: u32 = 4_000;

/// How many tasks that have not ended a leader holds in memory. The others wait in the store until their
/// turn is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TasksHeld {
    /// Of all runs together.
    pub max: usize,
    /// Of each run, even where that makes more than `max`: every run goes on.
    pub per_run: usize,
}

impl Default for TasksHeld {
    fn default() -> Self {
        Self {
            max: 16_384,
            per_run: 256,
        }
    }
}

impl TasksHeld {
    /// How many of each of `runs` runs.
    #[must_use]
    pub fn share(&self, runs: usize) -> usize {
        (self.max / runs.max(1)).max(self.per_run)
    }
}

/// A run that has not ended, and as many of its tasks as its leader holds.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRows {
    /// The run.
    pub run: Run,
    /// Whether the whole of its plan is in the store.
    pub planned: bool,
    /// Tasks of its plan that are in the store: 1 to this number.
    pub there: u32,
    /// What is kept of those that have ended.
    pub ended: Ended,
    /// Its discovery (task 0), however it stands; of the others those that are at work, and the first
    /// ones of those that are ready. In the order of their numbers.
    pub tasks: Vec<Task>,
}

/// What is kept of tasks that have ended, the discovery aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended {
    /// How many ended in which state.
    pub by_state: BTreeMap<TaskState, u32>,
    /// Evaluations among those that succeeded.
    pub judged: u32,
    /// The first of those that did not succeed: its number, its state, and why.
    pub first: Option<(u32, TaskState, Option<String>)>,
}

impl Ended {
    /// How many have ended.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.by_state.values().sum()
    }

    /// How many of them did not succeed.
    #[must_use]
    pub fn unsuccessful(&self) -> u32 {
        let all = self.by_state.iter();
        all.filter(|(state, _)| **state != TaskState::Succeeded)
            .map(|(_, count)| count)
            .sum()
    }

    /// Notes a task that has ended.
    pub fn note(&mut self, task: &Task) {
        *self.by_state.entry(task.state).or_default() += 1;
        if task.state == TaskState::Succeeded {
            self.judged += u32::from(task.spec.kind() == TaskKind::Evaluate);
            return;
        }
        let first = self.first.as_ref();
        if first.is_none_or(|(no, ..)| task.id.no < *no) {
            self.first = Some((task.id.no, task.state, task.reason.clone()));
        }
    }
}

impl RunRows {
    /// Of all `tasks` of a run, in their order, those that its leader holds when it holds `most` that
    /// are ready.
    #[must_use]
    pub fn of(run: Run, planned: bool, tasks: Vec<Task>, most: usize) -> Self {
        let mut rows = Self {
            run,
            planned,
            there: 0,
            ended: Ended::default(),
            tasks: Vec::new(),
        };
        let mut ready = 0;
        for task in tasks {
            rows.there = rows.there.max(task.id.no);
            let held = match task.state {
                _ if task.id.no == 0 => true,
                TaskState::Ready => {
                    ready += 1;
                    ready <= most
                }
                state if state.is_terminal() => {
                    rows.ended.note(&task);
                    false
                }
                _ => true,
            };
            if held {
                rows.tasks.push(task);
            }
        }
        rows
    }
}

/// A question for more tasks of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoreTasks {
    /// The run.
    pub run: RunId,
    /// Those with a greater number.
    pub after: u32,
    /// At most so many.
    pub most: usize,
    /// Tasks that are believed to have ended: which of them have not?
    /// In order.
    pub believed: Vec<u32>,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TasksRead {
    /// The tasks that have not ended, in the order of their numbers.
    pub tasks: Vec<Task>,
    /// Those of the tasks that were believed to have ended that have not.
    pub unended: Vec<u32>,
}

/// A page of the plan that a discovery left.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanPage {
    /// Its tasks.
    pub tasks: Vec<Task>,
    /// Whether it is the last one.
    pub is_last: bool,
}

impl PlanPage {
    /// The tasks from number `from` on of a plan that is kept as a whole.
    #[must_use]
    pub fn rest(tasks: impl Iterator<Item = Task>, from: u32) -> Self {
        Self {
            tasks: tasks.filter(|task| task.id.no >= from).collect(),
            is_last: true,
        }
    }
}
