//! Runs and selections.

use assay_model::run::{Run, Selection};

use super::bounds::{list, name, opt_text, opt_time, time, time_of, word};
use super::{WireError, dataset_id, run_id};
use crate::limits::KEYS_MAX;
use crate::v1;

/// Which partitions a run looks at.
///
/// # Errors
/// [`WireError`] when it names too many.
pub fn selection(value: Option<v1::Selection>) -> Result<Selection, WireError> {
    let Some(value) = value else {
        return Ok(Selection::default());
    };
    Ok(Selection {
        keys: list("selection.keys", value.keys, KEYS_MAX, |k| {
            name("selection.keys", k)
        })?,
        last_days: (value.last_days > 0).then_some(value.last_days),
        rescan: value.rescan,
    })
}

/// Which partitions a run looks at, for the wire.
#[must_use]
pub fn selection_of(value: &Selection) -> v1::Selection {
    v1::Selection {
        keys: value.keys.clone(),
        last_days: value.last_days.unwrap_or_default(),
        rescan: value.rescan,
    }
}

/// A run.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn run(value: v1::Run) -> Result<Run, WireError> {
    Ok(Run {
        id: run_id(value.id)?,
        dataset: dataset_id(value.dataset)?,
        definition: name("definition", value.definition)?,
        trigger: word("trigger", value.trigger)?,
        slot: opt_time("slot", value.slot)?,
        priority: word("priority", value.priority)?,
        selection: selection(value.selection)?,
        retries: value.retries,
        task_timeout_ms: value.task_timeout_ms,
        state: word("state", value.state)?,
        reason: opt_text("reason", value.reason)?,
        created_at: time("created_at", value.created_at)?,
        started_at: opt_time("started_at", value.started_at)?,
        finished_at: opt_time("finished_at", value.finished_at)?,
        deadline_at: time("deadline_at", value.deadline_at)?,
        planned_tasks: value.planned_tasks,
    })
}

/// A run for the wire.
#[must_use]
pub fn run_of(value: &Run) -> v1::Run {
    v1::Run {
        id: value.id.to_string(),
        dataset: value.dataset.to_string(),
        definition: value.definition.clone(),
        trigger: value.trigger.to_string(),
        slot: value.slot.map(time_of),
        priority: value.priority.to_string(),
        selection: Some(selection_of(&value.selection)),
        retries: value.retries,
        task_timeout_ms: value.task_timeout_ms,
        state: value.state.to_string(),
        reason: value.reason.clone().unwrap_or_default(),
        created_at: Some(time_of(value.created_at)),
        started_at: value.started_at.map(time_of),
        finished_at: value.finished_at.map(time_of),
        deadline_at: Some(time_of(value.deadline_at)),
        planned_tasks: value.planned_tasks,
        sum: None,
    }
}
