//! The leader's changes: each a guarded statement with its traces, inside the fenced transaction.
//!
//! Comes in: one [`Change`]. Goes out: its [`Answer`]. It must never write when the guard does not
//! hold: the statements that follow a guarded one look at `changes()`, as a CTE does in Postgres.

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::NodeState;
use assay_model::run::{Run, RunState, Trigger};
use assay_model::task::{AttemptOutcome, Task, TaskState, WaitReason};
use jiff::Timestamp;

use super::rows::{int, micros};
use super::writer::{Padded, Stop, Tx};
use super::{copies, retry};
use crate::error::StoreError;

/// Applies one change.
pub(super) async fn apply(tx: &mut Tx<'_>, change: &Change) -> Result<Answer, Stop> {
    match change {
        Change::SubmitRun { run, discover } => submit(tx, run, discover).await,
        Change::PlanPart { run, tasks } => plan(tx, *run, tasks, false).await,
        Change::PlanRun { run, tasks } => plan(tx, *run, tasks, true).await,
        Change::MoveRun {
            run,
            state,
            reason,
            at,
        } => move_run(tx, *run, *state, reason.as_deref(), *at).await,
        Change::Assign {
            token,
            node,
            incarnation,
            at,
        } => assign(tx, token, node, *incarnation, *at).await,
        Change::EndAttempt {
            token,
            outcome,
            next,
            not_before,
            wait,
            reason,
            at,
        } => {
            let end = End {
                outcome: *outcome,
                next: *next,
                not_before: *not_before,
                wait: *wait,
                reason,
                at: *at,
            };
            end_attempt(tx, token, &end).await
        }
        Change::AssignTwin {
            token,
            node,
            incarnation,
            at,
        } => copies::assign(tx, token, node, *incarnation, *at).await,
        Change::Forgive { token, reason, at } => copies::forgive(tx, token, reason, *at).await,
        Change::EndTask {
            task,
            state,
            reason,
            at,
        } => end_task(tx, *task, *state, reason, *at).await,
        Change::RetryRun {
            run,
            at,
            deadline_at,
        } => retry::run(tx, *run, *at, *deadline_at).await,
        Change::MoveNode {
            node,
            incarnation,
            state,
            at,
            reason,
        } => move_node(tx, node, *incarnation, *state, *at, reason).await,
        Change::ScaleEvent {
            at,
            from,
            to,
            reason,
        } => scale(tx, *at, (*from, *to), reason).await,
    }
}

fn refused(what: &'static str, detail: impl Into<String>) -> Stop {
    Stop::Store(StoreError::Refused {
        what,
        detail: detail.into(),
    })
}

/// `Ok` when the guarded statement changed something.
pub(super) fn ok_or_fenced(changed: u64) -> Answer {
    if changed > 0 {
        Answer::Ok
    } else {
        Answer::Fenced
    }
}

/// A body that is stored as JSON.
pub(super) fn json<T: serde::Serialize>(
    what: &'static str,
    value: &T,
) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Refused {
        what,
        detail: e.to_string(),
    })
}

const SUBMIT: &str = "INSERT INTO run (id, dataset_id, definition, trigger_word, slot, priority, \
     selection, retries, task_timeout_ms, state, reason, created_at, started_at, finished_at, \
     deadline_at, planned_tasks) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) \
     ON CONFLICT (id) DO NOTHING; \
     INSERT INTO event (at, epoch, kind, run_id, state, detail) \
     SELECT ?12, ?17, 'run_submitted', ?1, ?10, ?4 WHERE changes() = 1";

/// The watermark never goes back: a slot that is submitted late leaves it where it is.
const ADVANCE: &str = "INSERT INTO schedule (dataset_id, emitted_through) VALUES (?1, ?2) \
     ON CONFLICT (dataset_id) DO UPDATE SET emitted_through = excluded.emitted_through \
     WHERE excluded.emitted_through > emitted_through";

async fn submit(tx: &mut Tx<'_>, run: &Run, discover: &Task) -> Result<Answer, Stop> {
    let belongs = discover.id == TaskId { run: run.id, no: 0 };
    if !belongs || run.state.is_terminal() || discover.state != TaskState::Ready {
        return Err(refused(
            "run",
            "a new run comes with its discovery, task 0, and neither has begun",
        ));
    }
    let known: i64 =
        sqlx::query_scalar("SELECT count(*) FROM definition WHERE digest = ?1 AND dataset_id = ?2")
            .bind(&run.definition)
            .bind(run.dataset.as_str())
            .fetch_one(&mut *tx.connection)
            .await?;
    if known == 0 {
        return Err(Stop::Store(StoreError::NotFound {
            what: "definition",
            name: format!("{} of {}", run.definition, run.dataset),
        }));
    }
    let inserted = sqlx::query(SUBMIT)
        .bind(run.id.to_string())
        .bind(run.dataset.as_str())
        .bind(&run.definition)
        .bind(run.trigger.as_str())
        .bind(run.slot.map(micros))
        .bind(run.priority.as_str())
        .bind(json("selection", &run.selection)?)
        .bind(i64::from(run.retries))
        .bind(int(run.task_timeout_ms))
        .bind(run.state.as_str())
        .bind(run.reason.as_deref())
        .bind(micros(run.created_at))
        .bind(run.started_at.map(micros))
        .bind(run.finished_at.map(micros))
        .bind(micros(run.deadline_at))
        .bind(i64::from(run.planned_tasks))
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    if inserted == 0 {
        return Ok(Answer::Already);
    }
    insert_tasks(tx, std::slice::from_ref(discover)).await?;
    if let (Trigger::Schedule, Some(slot)) = (run.trigger, run.slot) {
        sqlx::query(ADVANCE)
            .bind(run.dataset.as_str())
            .bind(micros(slot))
            .execute(&mut *tx.connection)
            .await?;
    }
    Ok(Answer::Ok)
}

/// The rows of tasks, set-wise: [run, no, kind, state, wait, not_before, spec, depends_on].
const INSERT_TASKS: &str = "INSERT INTO task (run_id, no, kind, state, wait, not_before, attempt, \
     charged, crashes, reason) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, 0, 0, 0, \
     value ->> 8 FROM json_each(?1); \
     INSERT INTO task_spec (task_id, spec, depends_on) \
     SELECT t.id, e.value ->> 6, e.value ->> 7 FROM json_each(?1) e \
     CROSS JOIN task t ON t.run_id = e.value ->> 0 AND t.no = e.value ->> 1";

/// Tasks of one statement; a plan of any size is a few statements of bounded size.
const TASKS_AT_ONCE: usize = 500;

async fn insert_tasks(tx: &mut Tx<'_>, tasks: &[Task]) -> Result<(), Stop> {
    for some in tasks.chunks(TASKS_AT_ONCE) {
        let mut rows = Vec::with_capacity(some.len());
        for task in some {
            let new = task.attempt == 0 && task.nonce.is_none() && task.node.is_none();
            if !new || task.state != TaskState::Ready {
                return Err(refused("task", format!("{} is not a new task", task.id)));
            }
            rows.push(serde_json::json!([
                task.id.run.to_string(),
                task.id.no,
                task.spec.kind().as_str(),
                task.state.as_str(),
                task.wait.map(WaitReason::as_str),
                task.not_before.map(micros),
                json("task", &task.spec)?,
                json("task", &task.depends_on)?,
                task.reason,
            ]));
        }
        sqlx::query(INSERT_TASKS)
            .bind(json("task", &rows)?)
            .padded()
            .execute(&mut *tx.connection)
            .await?;
    }
    Ok(())
}

const PLAN: &str = "UPDATE run SET planned_at = ?2, planned_tasks = ?3 WHERE id = ?1; \
     INSERT INTO event (at, epoch, kind, run_id, detail) VALUES (?2, ?4, 'run_planned', ?1, ?3)";

const PLANNED_SO_FAR: &str = "SELECT planned_at IS NOT NULL, \
     state IN ('queued', 'planning', 'running', 'finalising'), \
     (SELECT coalesce(max(no), 0) FROM task WHERE run_id = ?1) FROM run WHERE id = ?1";

/// The tasks of a plan, or of a part of it, when they are the next ones.
async fn plan(tx: &mut Tx<'_>, run: RunId, tasks: &[Task], is_whole: bool) -> Result<Answer, Stop> {
    if let Some(task) = tasks.iter().find(|t| t.id.run != run || t.id.no == 0) {
        return Err(refused(
            "plan",
            format!("task {} does not belong to a plan of {run}", task.id),
        ));
    }
    let so_far: Option<(bool, bool, i64)> = sqlx::query_as(PLANNED_SO_FAR)
        .bind(run.to_string())
        .fetch_optional(&mut *tx.connection)
        .await?;
    let Some((is_planned, is_unfinished, there)) = so_far else {
        return Ok(Answer::Fenced);
    };
    let first = tasks.first().map(|task| i64::from(task.id.no));
    let last = tasks.last().map_or(0, |task| i64::from(task.id.no));
    if is_planned || (!is_whole && last <= there) {
        return Ok(Answer::Already);
    }
    if !is_unfinished || first.is_some_and(|first| first != there + 1) {
        return Ok(Answer::Fenced);
    }
    insert_tasks(tx, tasks).await?;
    if is_whole {
        sqlx::query(PLAN)
            .bind(run.to_string())
            .bind(micros(Timestamp::now()))
            .bind(there.max(last))
            .bind(int(tx.epoch.0))
            .padded()
            .execute(&mut *tx.connection)
            .await?;
    }
    Ok(Answer::Ok)
}

/// That its tasks have ended is what nodes say: a run does not end before the rows say so, too.
const MOVE_RUN: &str = "UPDATE run SET state = ?2, reason = ?3, \
     finished_at = CASE WHEN ?5 THEN ?4 ELSE NULL END \
     WHERE id = ?1 AND state IN ('queued', 'planning', 'running', 'finalising') \
     AND NOT (?2 IN ('succeeded', 'partial') AND planned_at IS NULL) \
     AND NOT (?5 AND EXISTS (SELECT 1 FROM task WHERE run_id = ?1 \
     AND (state IN ('ready', 'assigned', 'running') OR (?2 = 'succeeded' AND state <> 'succeeded')))); \
     INSERT INTO event (at, epoch, kind, run_id, state, detail) \
     SELECT ?4, ?6, 'run_moved', ?1, ?2, ?3 WHERE changes() = 1";

async fn move_run(
    tx: &mut Tx<'_>,
    run: RunId,
    state: RunState,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<Answer, Stop> {
    let changed = sqlx::query(MOVE_RUN)
        .bind(run.to_string())
        .bind(state.as_str())
        .bind(reason)
        .bind(micros(at))
        .bind(state.is_terminal())
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    Ok(ok_or_fenced(changed))
}

/// That what it needs has ended is what nodes say: nothing is judged before the rows say so, too.
const ASSIGN: &str = "UPDATE task SET state = 'assigned', wait = NULL, not_before = NULL, \
     attempt = ?3, nonce = ?4, node = ?5, incarnation = ?6, assigned_at = ?7, started_at = NULL \
     WHERE run_id = ?1 AND no = ?2 AND state = 'ready' AND attempt = ?3 - 1 \
     AND (not_before IS NULL OR not_before <= ?7) \
     AND EXISTS (SELECT 1 FROM node WHERE id = ?5 AND incarnation = ?6 AND state = 'live') \
     AND (kind <> 'evaluate' OR NOT EXISTS (SELECT 1 FROM task_spec s \
     CROSS JOIN json_each(s.depends_on) d \
     CROSS JOIN task n ON n.run_id = ?1 AND n.no = d.value \
     WHERE s.task_id = task.id AND n.state IN ('ready', 'assigned', 'running'))); \
     INSERT INTO task_attempt (task_id, attempt, generation, nonce, node, incarnation, assigned_at) \
     SELECT id, attempt, generation, nonce, node, incarnation, assigned_at FROM task \
     WHERE changes() = 1 AND run_id = ?1 AND no = ?2; \
     INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state) \
     SELECT ?7, ?8, 'task_assigned', run_id, id, attempt, node, incarnation, state FROM task \
     WHERE changes() = 1 AND run_id = ?1 AND no = ?2; \
     UPDATE run SET started_at = ?7 WHERE changes() = 1 AND id = ?1 AND started_at IS NULL";

const WAS_ASSIGNED: &str = "SELECT count(*) FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4 AND a.node = ?5 \
     AND a.incarnation = ?6";

async fn assign(
    tx: &mut Tx<'_>,
    token: &AttemptToken,
    node: &NodeId,
    incarnation: Incarnation,
    at: Timestamp,
) -> Result<Answer, Stop> {
    let run = token.task.run.to_string();
    let nonce = token.nonce.to_string();
    let changed = sqlx::query(ASSIGN)
        .bind(&run)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(&nonce)
        .bind(node.as_str())
        .bind(int(incarnation.0))
        .bind(micros(at))
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    if changed > 0 {
        return Ok(Answer::Ok);
    }
    let before: i64 = sqlx::query_scalar(WAS_ASSIGNED)
        .bind(&run)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(&nonce)
        .bind(node.as_str())
        .bind(int(incarnation.0))
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(if before > 0 {
        Answer::Already
    } else {
        Answer::Fenced
    })
}

/// How an attempt ends without a result.
pub(super) struct End<'a> {
    pub(super) outcome: AttemptOutcome,
    next: TaskState,
    not_before: Option<Timestamp>,
    wait: Option<WaitReason>,
    pub(super) reason: &'a str,
    pub(super) at: Timestamp,
}

const END_ATTEMPT: &str = "UPDATE task SET state = ?5, wait = ?6, not_before = ?7, reason = ?8, \
     charged = charged + ?9, crashes = crashes + ?10, \
     nonce = NULL, node = NULL, incarnation = NULL, assigned_at = NULL, started_at = NULL, \
     twin_nonce = NULL, twin_node = NULL, twin_incarnation = NULL, twin_assigned_at = NULL \
     WHERE run_id = ?1 AND no = ?2 AND attempt = ?3 AND (nonce = ?4 OR twin_nonce = ?4) \
     AND state IN ('assigned', 'running'); \
     UPDATE task_attempt SET ended_at = ?11, outcome = ?12, charged = ?9, reason = ?8, \
     retry_at = ?7 WHERE changes() = 1 AND attempt = ?3 AND nonce = ?4 \
     AND task_id = (SELECT id FROM task WHERE run_id = ?1 AND no = ?2); \
     INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail) \
     SELECT ?11, ?13, 'attempt_ended', ?1, a.task_id, a.attempt, a.node, a.incarnation, ?5, ?12 \
     FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE changes() = 1 AND t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4; \
     UPDATE task_attempt SET ended_at = ?11, outcome = 'cancelled', charged = 0, \
     reason = 'its task ended with the other copy' WHERE changes() = 1 AND attempt = ?3 \
     AND ended_at IS NULL AND task_id = (SELECT id FROM task WHERE run_id = ?1 AND no = ?2)";

const HAD_ENDED: &str = "SELECT count(*) FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4 AND a.outcome = ?5";

async fn end_attempt(tx: &mut Tx<'_>, token: &AttemptToken, end: &End<'_>) -> Result<Answer, Stop> {
    let at_work = matches!(
        end.next,
        TaskState::Assigned | TaskState::Running | TaskState::Succeeded
    );
    if at_work || end.outcome == AttemptOutcome::Ok {
        return Err(refused(
            "end of an attempt",
            format!("{} cannot become {} by it", token.task, end.next),
        ));
    }
    let waits = end.next == TaskState::Ready;
    if waits && copies::end(tx, token, end).await? == Answer::Ok {
        return Ok(Answer::Ok);
    }
    let run = token.task.run.to_string();
    let nonce = token.nonce.to_string();
    let changed = sqlx::query(END_ATTEMPT)
        .bind(&run)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(&nonce)
        .bind(end.next.as_str())
        .bind(end.wait.filter(|_| waits).map(WaitReason::as_str))
        .bind(end.not_before.filter(|_| waits).map(micros))
        .bind(end.reason)
        .bind(i64::from(end.outcome.is_charged()))
        .bind(i64::from(end.outcome == AttemptOutcome::Crashed))
        .bind(micros(end.at))
        .bind(end.outcome.as_str())
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    if changed > 0 {
        return Ok(Answer::Ok);
    }
    let before: i64 = sqlx::query_scalar(HAD_ENDED)
        .bind(&run)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(&nonce)
        .bind(end.outcome.as_str())
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(if before > 0 {
        Answer::Already
    } else {
        Answer::Fenced
    })
}

const END_TASK: &str = "UPDATE task SET state = ?3, wait = NULL, not_before = NULL, reason = ?4 \
     WHERE run_id = ?1 AND no = ?2 AND state = 'ready'; \
     INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, state, detail) \
     SELECT ?5, ?6, 'task_ended', run_id, id, attempt, state, ?4 FROM task \
     WHERE changes() = 1 AND run_id = ?1 AND no = ?2";

async fn end_task(
    tx: &mut Tx<'_>,
    task: TaskId,
    state: TaskState,
    reason: &str,
    at: Timestamp,
) -> Result<Answer, Stop> {
    if !state.is_terminal() || state == TaskState::Succeeded {
        return Err(refused(
            "end of a task",
            format!("{task} cannot become {state} by it"),
        ));
    }
    let changed = sqlx::query(END_TASK)
        .bind(task.run.to_string())
        .bind(i64::from(task.no))
        .bind(state.as_str())
        .bind(reason)
        .bind(micros(at))
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    Ok(ok_or_fenced(changed))
}

const MOVE_NODE: &str = "UPDATE node SET state = ?3, moved_at = ?4, reason = ?5 \
     WHERE id = ?1 AND incarnation = ?2 AND state NOT IN ('dead', 'gone', ?3); \
     INSERT INTO event (at, epoch, kind, node, incarnation, state, detail) \
     SELECT ?4, ?6, 'node_moved', ?1, ?2, ?3, ?5 WHERE changes() = 1";

async fn move_node(
    tx: &mut Tx<'_>,
    node: &NodeId,
    incarnation: Incarnation,
    state: NodeState,
    at: Timestamp,
    reason: &str,
) -> Result<Answer, Stop> {
    let changed = sqlx::query(MOVE_NODE)
        .bind(node.as_str())
        .bind(int(incarnation.0))
        .bind(state.as_str())
        .bind(micros(at))
        .bind(reason)
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    if changed > 0 {
        return Ok(Answer::Ok);
    }
    let there: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM node WHERE id = ?1 AND incarnation = ?2 AND state = ?3",
    )
    .bind(node.as_str())
    .bind(int(incarnation.0))
    .bind(state.as_str())
    .fetch_one(&mut *tx.connection)
    .await?;
    Ok(if there > 0 {
        Answer::Already
    } else {
        Answer::Fenced
    })
}

const SCALE: &str = "INSERT INTO scale_event (at, epoch, from_nodes, to_nodes, reason) \
     VALUES (?1, ?2, ?3, ?4, ?5); \
     INSERT INTO event (at, epoch, kind, detail) \
     VALUES (?1, ?2, 'scaled', ?3 || ' to ' || ?4 || ': ' || ?5)";

async fn scale(
    tx: &mut Tx<'_>,
    at: Timestamp,
    (from, to): (u32, u32),
    reason: &str,
) -> Result<Answer, Stop> {
    sqlx::query(SCALE)
        .bind(micros(at))
        .bind(int(tx.epoch.0))
        .bind(i64::from(from))
        .bind(i64::from(to))
        .bind(reason)
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    Ok(Answer::Ok)
}
