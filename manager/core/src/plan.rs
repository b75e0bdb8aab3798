//! From a discovery to the tasks of its run.
//!
//! What comes in: what the discovery found. What goes out: the numbered tasks, measurements 1 to m,
//! evaluations m + 1 to m + e. It must never choose: the same discovery gives the same plan,
//! whichever leader asks.

use std::collections::BTreeMap;

use assay_model::change::Change;
use assay_model::ids::{RunId, TaskId};
use assay_model::output::Discovery;
use assay_model::run::RunState;
use assay_model::task::{Task, TaskSpec};

use crate::batch::Batch;
use crate::state::Plan;
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
            Plan::Known(discovery) => {
                batch.push(Change::PlanRun {
                    run: id,
                    tasks: tasks_of(id, discovery),
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
                self.out.push(Command::ReadPlan { task });
            }
        }
    }

    pub(crate) fn on_plan_read(&mut self, run: RunId, discovery: Option<Box<Discovery>>) {
        let again = after(self.now, READ_AGAIN_MS);
        if let Some(record) = self.runs.get_mut(&run)
            && matches!(record.plan, Plan::Asked)
        {
            let Some(discovery) = discovery else {
                record.plan = Plan::ReadAgain(again);
                // That there is one is what a node said: the rows know whether it has succeeded.
                self.reload(run);
                return;
            };
            record.plan = Plan::Known(discovery);
        }
    }
}

/// The tasks of a plan.
///
/// An evaluation waits for the end of its measurements, however they end, and of the evaluation of
/// the partition before it in its series, so that what it learns from the past does not depend on
/// timing. Series are judged beside each other: no one learns from another.
pub(crate) fn tasks_of(run: RunId, discovery: &Discovery) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut no = 0;
    for measure in &discovery.measures {
        no += 1;
        let id = TaskId { run, no };
        tasks.push(Task::new(
            id,
            TaskSpec::Measure(measure.clone()),
            Vec::new(),
        ));
    }
    let mut previous: BTreeMap<&str, u32> = BTreeMap::new();
    for evaluation in &discovery.evaluations {
        no += 1;
        let mut needs = evaluation.measured_by.clone();
        let series = evaluation.partition.series.as_str();
        needs.extend(previous.get(series));
        needs.sort_unstable();
        needs.dedup();
        let id = TaskId { run, no };
        tasks.push(Task::new(id, TaskSpec::Evaluate(evaluation.clone()), needs));
        previous.insert(series, no);
    }
    tasks
}
