//! Runs with the tasks that their leader holds, put together of rows.
//!
//! Comes in: rows of runs, groups of their tasks by state, rows of tasks. Goes out: [`RunRows`]. It must
//! never drop a task: one of a run that is not there is an error.

use std::collections::BTreeMap;

use assay_model::ids::RunId;
use assay_model::run::Run;
use assay_model::task::{Task, TaskState};
use assay_model::unfinished::{Ended, RunRows};

use crate::error::StoreError;
use crate::values::corrupt;

/// The tasks of a run that are in one state, its discovery aside.
pub(crate) struct Group {
    pub(crate) run: RunId,
    pub(crate) state: TaskState,
    pub(crate) tasks: u32,
    /// Evaluations among them.
    pub(crate) judges: u32,
    /// The least and the greatest number, and the reason of the first.
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) reason: Option<String>,
}

/// Runs in their order, which get their tasks.
pub(crate) struct Gathered {
    runs: Vec<RunRows>,
    places: BTreeMap<RunId, usize>,
}

impl Gathered {
    /// Runs, each with whether the whole of its plan is there.
    pub(crate) fn of(runs: Vec<(Run, bool)>) -> Self {
        let rows = |(run, planned)| RunRows {
            run,
            planned,
            there: 0,
            ended: Ended::default(),
            tasks: Vec::new(),
        };
        let runs: Vec<RunRows> = runs.into_iter().map(rows).collect();
        let places = runs.iter().enumerate().map(|(place, r)| (r.run.id, place));
        Self {
            places: places.collect(),
            runs,
        }
    }

    fn of_run(&mut self, run: RunId) -> Result<&mut RunRows, StoreError> {
        let place = self.places.get(&run);
        let found = place.and_then(|place| self.runs.get_mut(*place));
        found.ok_or_else(|| corrupt("run", format!("{run} has tasks and is not there")))
    }

    /// Adds what is known of tasks in one state.
    pub(crate) fn group(&mut self, group: Group) -> Result<(), StoreError> {
        let rows = self.of_run(group.run)?;
        rows.there = rows.there.max(group.last);
        if !group.state.is_terminal() {
            return Ok(());
        }
        let ended = &mut rows.ended;
        ended.by_state.insert(group.state, group.tasks);
        if group.state == TaskState::Succeeded {
            ended.judged += group.judges;
        } else if ended.first.as_ref().is_none_or(|f| group.first < f.0) {
            ended.first = Some((group.first, group.state, group.reason));
        }
        Ok(())
    }

    /// Adds a task that is held.
    pub(crate) fn task(&mut self, task: Task) -> Result<(), StoreError> {
        self.of_run(task.id.run)?.tasks.push(task);
        Ok(())
    }

    /// The runs with all that was added.
    pub(crate) fn runs(self) -> Vec<RunRows> {
        self.runs
    }
}
