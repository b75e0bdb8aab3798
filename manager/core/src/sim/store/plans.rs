//! Plans and what a leader holds of them, in the store in memory.
//!
//! What comes in: discoveries, parts of plans, questions. What goes out: pages, and tasks in their
//! order. It must never let a part of a plan pass for the whole.

use assay_model::change::Answer;
use assay_model::ids::{RunId, TaskId};
use assay_model::task::Task;
use assay_model::unfinished::{MoreTasks, PlanPage, RunRows, TasksRead};

use super::MemoryStore;

impl MemoryStore {
    /// A run that has not ended, with what its leader holds of its tasks.
    #[must_use]
    pub fn rows_of(&self, run: RunId, most: usize) -> Option<RunRows> {
        let row = self.runs.get(&run).filter(|r| !r.state.is_terminal())?;
        let planned = self.planned.contains_key(&run);
        Some(RunRows::of(row.clone(), planned, self.tasks_of(run), most))
    }

    /// More tasks of a run.
    #[must_use]
    pub fn more_tasks(&self, asked: &MoreTasks) -> TasksRead {
        let run = asked.run;
        let is_open = |no: u32| {
            let task = self.tasks.get(&TaskId { run, no });
            task.is_some_and(|task| !task.state.is_terminal())
        };
        let tasks = self.tasks_of(run).into_iter();
        TasksRead {
            tasks: tasks
                .filter(|task| task.id.no > asked.after && is_open(task.id.no))
                .take(asked.most)
                .collect(),
            unended: asked
                .believed
                .iter()
                .copied()
                .filter(|no| is_open(*no))
                .collect(),
        }
    }

    /// A page of the plan that a succeeded discovery left, if it did.
    #[must_use]
    pub fn plan_page(&self, task: TaskId, from: u32) -> Option<PlanPage> {
        let found = self.discoveries.get(&task.run)?;
        let tasks = found.tasks(task.run);
        let mut tasks = tasks.filter(|task| task.id.no >= from).peekable();
        Some(PlanPage {
            tasks: tasks.by_ref().take(self.plan_page).collect(),
            is_last: tasks.peek().is_none(),
        })
    }

    pub(super) fn plan(&mut self, run: RunId, tasks: &[Task], is_whole: bool) -> Answer {
        let there = self.tasks_of(run).last().map_or(0, |task| task.id.no);
        let Some(row) = self.runs.get_mut(&run) else {
            return Answer::Fenced;
        };
        let last = tasks.last().map_or(0, |task| task.id.no);
        if self.planned.contains_key(&run) || (!is_whole && last <= there) {
            return Answer::Already;
        }
        let follows = tasks.first().is_none_or(|task| task.id.no == there + 1);
        if row.state.is_terminal() || !follows {
            return Answer::Fenced;
        }
        if is_whole {
            let count = there.max(last);
            row.planned_tasks = count;
            self.planned.insert(run, count);
        }
        for task in tasks {
            self.tasks.insert(task.id, task.clone());
        }
        Answer::Ok
    }
}
