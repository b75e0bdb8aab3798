//! From a discovery to the tasks of its run.
//!
//! What comes in: the plan that the discovery left, page by page. What goes out: its numbered tasks,
//! written page by page; the run has its plan with the last one. It must never choose: the same
//! discovery gives the same plan, whichever leader asks, so that one goes on where another died.

use assay_model::change::{Answer, Change};
use assay_model::ids::{RunId, TaskId};
use assay_model::run::RunState;
use assay_model::task::Task;
use assay_model::unfinished::PlanPage;

use crate::batch::Batch;
use crate::state::{Plan, RunRecord};
use crate::time::after;
use crate::{Command, Core};

/// The pause before a plan is looked for again that was not there.
const READ_AGAIN_MS: u64 = 1_000;

impl Core {
    /// Writes the plan of a run whose discovery has succeeded, or asks for it.
    pub(crate) fn decide_plan(&mut self, id: RunId, batch: &mut Batch) {
        let now = self.now;
        let Some(record) = self.runs.get_mut(&id) else {
            return;
        };
        match &record.plan {
            Plan::Known(page) if !page.is_last => {
                batch.push(Change::PlanPart {
                    run: id,
                    tasks: page.tasks.clone(),
                });
            }
            Plan::Known(page) => {
                batch.push(Change::PlanRun {
                    run: id,
                    tasks: page.tasks.clone(),
                });
                batch.push(Change::MoveRun {
                    run: id,
                    state: RunState::Running,
                    reason: None,
                    at: now,
                });
            }
            Plan::Asked => {}
            Plan::ReadAgain(at) if *at > now => {}
            Plan::Unread | Plan::ReadAgain(_) => {
                record.plan = Plan::Asked;
                let task = TaskId { run: id, no: 0 };
                let from = record.there + 1;
                self.out.push(Command::ReadPlan { task, from });
            }
        }
    }

    pub(crate) fn on_plan_read(&mut self, run: RunId, page: Option<Box<PlanPage>>) {
        let again = after(self.now, READ_AGAIN_MS);
        if let Some(record) = self.runs.get_mut(&run)
            && matches!(record.plan, Plan::Asked)
        {
            let Some(page) = page else {
                record.plan = Plan::ReadAgain(again);
                // That there is one is what a node said: the rows know whether it has succeeded.
                self.reload(run);
                return;
            };
            record.plan = Plan::Known(page);
            record.forget_other_page();
        }
    }

    /// A page of the plan is in the store. A plan of one page that fits is held as it is; of a longer
    /// one the first tasks are read once the whole of it is there.
    pub(crate) fn apply_plan(&mut self, run: RunId, tasks: Vec<Task>, answer: Answer, whole: bool) {
        let (now, limits) = (self.now, self.config.tasks_held);
        let fits = self.tasks_held() + tasks.len() <= limits.max || tasks.len() <= limits.per_run;
        let Some(record) = self.runs.get_mut(&run) else {
            return;
        };
        record.plan = Plan::Unread;
        record.planned |= whole;
        if answer == Answer::Already {
            if !tasks.is_empty() {
                self.reload(run);
            }
            return;
        }
        let is_first = record.there == 0;
        record.there = tasks.last().map_or(record.there, |task| task.id.no);
        if whole {
            record.run.planned_tasks = record.there;
        }
        if whole && is_first && fits {
            record.through = record.there;
            record.add_tasks(tasks, now);
        }
    }
}

impl RunRecord {
    /// Forgets a page of the plan that is not the next one: rows were read meanwhile.
    pub(crate) fn forget_other_page(&mut self) {
        let next = self.there + 1;
        if let Plan::Known(page) = &self.plan
            && page.tasks.first().is_some_and(|task| task.id.no != next)
        {
            self.plan = Plan::Unread;
        }
    }
}
