//! The leader's changes as one JSON array, for `commit_changes`.
//!
//! Comes in: changes. Goes out: what the function takes, and the tasks that it locks first. It must
//! never pass on a change that contradicts itself.

use std::collections::BTreeSet;

use assay_model::change::Change;
use assay_model::ids::{AttemptToken, TaskId};
use assay_model::run::{Run, RunState};
use assay_model::task::{AttemptOutcome, Task, TaskState, WaitReason};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rows::spell_all;
use crate::error::StoreError;
use crate::values::{int, micros};

/// A commit that is ready to be sent.
pub(super) struct Commit {
    pub(super) changes: String,
    /// The tasks that nodes may be writing at the same time.
    pub(super) runs: Vec<Uuid>,
    pub(super) nos: Vec<i64>,
}

impl Commit {
    pub(super) fn of(changes: &[Change]) -> Result<Self, StoreError> {
        let mut list: Vec<Value> = Vec::with_capacity(changes.len());
        // The assignments at the end of `list` are one change of many tasks, as long as no task is
        // twice among them.
        let mut assigned: BTreeSet<TaskId> = BTreeSet::new();
        let mut touched: BTreeSet<TaskId> = BTreeSet::new();
        for change in changes {
            touched.extend(task_of(change));
            let Change::Assign { token, .. } = change else {
                assigned.clear();
                list.push(of_change(change)?);
                continue;
            };
            let row = of_change(change)?;
            if assigned.is_empty() || assigned.contains(&token.task) {
                assigned.clear();
                list.push(json!({ "do": "assign", "tasks": [] }));
            }
            assigned.insert(token.task);
            let tasks = list
                .last_mut()
                .and_then(|last| last["tasks"].as_array_mut());
            tasks
                .expect("an assignment has just been put there")
                .push(row);
        }
        let mut changes = Value::Array(list);
        spell_all(&mut changes);
        Ok(Self {
            changes: changes.to_string(),
            runs: touched.iter().map(|task| task.run.0).collect(),
            nos: touched.iter().map(|task| i64::from(task.no)).collect(),
        })
    }
}

fn task_of(change: &Change) -> Option<TaskId> {
    match change {
        Change::Assign { token, .. }
        | Change::AssignTwin { token, .. }
        | Change::EndAttempt { token, .. }
        | Change::Forgive { token, .. } => Some(token.task),
        Change::EndTask { task, .. } => Some(*task),
        _ => None,
    }
}

fn refused<T>(what: &'static str, detail: impl Into<String>) -> Result<T, StoreError> {
    Err(StoreError::Refused {
        what,
        detail: detail.into(),
    })
}

/// A body that is stored as JSON.
pub(super) fn body<T: serde::Serialize>(
    what: &'static str,
    value: &T,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Refused {
        what,
        detail: e.to_string(),
    })
}

fn of_change(change: &Change) -> Result<Value, StoreError> {
    Ok(match change {
        Change::SubmitRun { run, discover } => submit(run, discover)?,
        Change::PlanPart { run, tasks } | Change::PlanRun { run, tasks } => {
            if let Some(task) = tasks.iter().find(|t| t.id.run != *run || t.id.no == 0) {
                let detail = format!("task {} does not belong to a plan of {run}", task.id);
                return refused("plan", detail);
            }
            let whole = matches!(change, Change::PlanRun { .. });
            let what = if whole { "plan_run" } else { "plan_part" };
            json!({ "do": what, "run": run.0, "tasks": new_tasks(tasks)? })
        }
        Change::MoveRun {
            run,
            state,
            reason,
            at,
        } => json!({
            "do": "move_run", "run": run.0, "state": state.as_str(), "reason": reason,
            "ends": RunState::is_terminal(*state), "at": micros(*at),
        }),
        Change::Assign { .. }
        | Change::AssignTwin { .. }
        | Change::Forgive { .. }
        | Change::EndAttempt { .. } => of_attempt(change)?,
        Change::EndTask {
            task,
            state,
            reason,
            at,
        } => {
            if !state.is_terminal() || *state == TaskState::Succeeded {
                return refused(
                    "end of a task",
                    format!("{task} cannot become {state} by it"),
                );
            }
            json!({
                "do": "end_task", "run": task.run.0, "no": task.no, "state": state.as_str(),
                "reason": reason, "at": micros(*at),
            })
        }
        Change::RetryRun {
            run,
            at,
            deadline_at,
        } => json!({
            "do": "retry_run", "run": run.0, "at": micros(*at), "deadline_at": micros(*deadline_at),
        }),
        Change::MoveNode {
            node,
            incarnation,
            state,
            at,
            reason,
        } => json!({
            "do": "move_node", "node": node.as_str(), "incarnation": int(incarnation.0),
            "state": state.as_str(), "at": micros(*at), "reason": reason,
        }),
        Change::ScaleEvent {
            at,
            from,
            to,
            reason,
        } => json!({ "do": "scale", "at": micros(*at), "from": from, "to": to, "reason": reason }),
    })
}

/// A change of one attempt.
fn of_attempt(change: &Change) -> Result<Value, StoreError> {
    Ok(match change {
        Change::Assign {
            token,
            node,
            incarnation,
            at,
        } => {
            let mut row = of_token(token);
            row["node"] = json!(node.as_str());
            row["incarnation"] = json!(int(incarnation.0));
            row["at"] = json!(micros(*at));
            row
        }
        Change::AssignTwin {
            token,
            node,
            incarnation,
            at,
        } => {
            let mut row = of_token(token);
            row["do"] = json!("assign_twin");
            row["node"] = json!(node.as_str());
            row["incarnation"] = json!(int(incarnation.0));
            row["at"] = json!(micros(*at));
            row
        }
        Change::Forgive { token, reason, at } => {
            let mut row = of_token(token);
            row["do"] = json!("forgive");
            row["reason"] = json!(reason);
            row["at"] = json!(micros(*at));
            row
        }
        _ => end_attempt(change)?,
    })
}

fn of_token(token: &AttemptToken) -> Value {
    json!({
        "run": token.task.run.0, "no": token.task.no, "attempt": token.attempt, "nonce": token.nonce,
    })
}

fn submit(run: &Run, discover: &Task) -> Result<Value, StoreError> {
    let belongs = discover.id == TaskId { run: run.id, no: 0 };
    if !belongs || run.state.is_terminal() || discover.state != TaskState::Ready {
        return refused(
            "run",
            "a new run comes with its discovery, task 0, and neither has begun",
        );
    }
    Ok(json!({
        "do": "submit_run",
        "run": run.id.0,
        "dataset": run.dataset.as_str(),
        "definition": run.definition,
        "trigger": run.trigger.as_str(),
        "slot": run.slot.map(micros),
        "priority": run.priority.as_str(),
        "selection": body("selection", &run.selection)?,
        "retries": run.retries,
        "task_timeout_ms": int(run.task_timeout_ms),
        "state": run.state.as_str(),
        "reason": run.reason,
        "created_at": micros(run.created_at),
        "started_at": run.started_at.map(micros),
        "finished_at": run.finished_at.map(micros),
        "deadline_at": micros(run.deadline_at),
        "planned_tasks": run.planned_tasks,
        "tasks": new_tasks(std::slice::from_ref(discover))?,
    }))
}

fn new_tasks(tasks: &[Task]) -> Result<Value, StoreError> {
    let mut rows = Vec::with_capacity(tasks.len());
    for task in tasks {
        let new = task.attempt == 0 && task.nonce.is_none() && task.node.is_none();
        if !new || task.state != TaskState::Ready {
            return refused("task", format!("{} is not a new task", task.id));
        }
        rows.push(json!({
            "no": task.id.no,
            "kind": task.spec.kind().as_str(),
            "state": task.state.as_str(),
            "wait": task.wait.map(WaitReason::as_str),
            "not_before": task.not_before.map(micros),
            "spec": body("task", &task.spec)?,
            "depends_on": body("task", &task.depends_on)?,
            "reason": task.reason,
        }));
    }
    Ok(Value::Array(rows))
}

fn end_attempt(change: &Change) -> Result<Value, StoreError> {
    let Change::EndAttempt {
        token,
        outcome,
        next,
        not_before,
        wait,
        reason,
        at,
    } = change
    else {
        return refused("end of an attempt", "it is another change");
    };
    let at_work = matches!(
        next,
        TaskState::Assigned | TaskState::Running | TaskState::Succeeded
    );
    if at_work || *outcome == AttemptOutcome::Ok {
        let detail = format!("{} cannot become {next} by it", token.task);
        return refused("end of an attempt", detail);
    }
    let waits = *next == TaskState::Ready;
    let mut row = of_token(token);
    row["do"] = json!("end_attempt");
    row["outcome"] = json!(outcome.as_str());
    row["next"] = json!(next.as_str());
    row["wait"] = json!(wait.filter(|_| waits).map(WaitReason::as_str));
    row["not_before"] = json!(not_before.filter(|_| waits).map(micros));
    row["reason"] = json!(reason);
    row["charged"] = json!(outcome.is_charged());
    row["crashed"] = json!(*outcome == AttemptOutcome::Crashed);
    row["at"] = json!(micros(*at));
    Ok(row)
}
