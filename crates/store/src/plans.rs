//! Plans as they are kept: a short one with its discovery, a long one in pages.
//!
//! Comes in: a discovery. Goes out: JSON, and pages of tasks made of it again. It must never keep a part
//! of a plan where a program that knows no pages would take it for the whole.

use assay_model::ids::{RunId, TaskId};
use assay_model::output::Discovery;
use assay_model::task::{Task, TaskSpec};
use assay_model::unfinished::{PLAN_PAGE, PlanPage};
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::values::corrupt;

/// A plan that is ready to be written.
pub(crate) enum KeptPlan {
    /// The discovery as a whole.
    Whole(String),
    /// In pages: the number of the first task of each, 0 for the discovery without its plan.
    Pages(Vec<(u32, String)>),
}

/// A task as a page has it.
#[derive(Serialize, Deserialize)]
struct Planned {
    spec: TaskSpec,
    depends_on: Vec<u32>,
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Refused {
        what: "plan",
        detail: e.to_string(),
    })
}

impl KeptPlan {
    /// How a discovery is kept.
    pub(crate) fn of(discovery: &Discovery) -> Result<Self, StoreError> {
        let page = PLAN_PAGE as usize;
        if discovery.planned() <= page {
            return json(discovery).map(Self::Whole);
        }
        let mut pages = vec![(0, json(&discovery.without_plan())?)];
        // Tasks are numbered in any run alike.
        let mut tasks = discovery.tasks(RunId(uuid::Uuid::nil())).peekable();
        while let Some(first) = tasks.peek().map(|task| task.id.no) {
            let some = tasks.by_ref().take(page).map(|task| Planned {
                spec: task.spec,
                depends_on: task.depends_on,
            });
            pages.push((first, json(&some.collect::<Vec<_>>())?));
        }
        Ok(Self::Pages(pages))
    }
}

/// The page whose first task is `first`, from the task `from` on.
pub(crate) fn page(
    run: RunId,
    first: u32,
    body: &str,
    from: u32,
    is_last: bool,
) -> Result<PlanPage, StoreError> {
    let planned: Vec<Planned> = serde_json::from_str(body).map_err(|e| corrupt("plan", e))?;
    let tasks = (first..).zip(planned).filter(|(no, _)| *no >= from);
    Ok(PlanPage {
        tasks: tasks
            .map(|(no, task)| Task::new(TaskId { run, no }, task.spec, task.depends_on))
            .collect(),
        is_last,
    })
}
