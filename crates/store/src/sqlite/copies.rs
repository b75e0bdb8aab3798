//! Second copies of attempts, and charges that are taken back.
//!
//! Comes in: a leader's change, or the end of one of two copies. Goes out: its answer. It must never
//! leave a task at work without a copy, nor a copy at work that its task does not name.

use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, Incarnation, NodeId};
use assay_model::node::Node;
use assay_model::task::AttemptOutcome;
use jiff::Timestamp;

use super::changes::{End, ok_or_fenced};
use super::rows::{int, micros};
use super::writer::{Padded, Stop, Tx};

/// One copy per attempt, on another node than the first, and only beside one that is running.
const ASSIGN: &str = "UPDATE task SET twin_nonce = ?4, twin_node = ?5, twin_incarnation = ?6, \
     twin_assigned_at = ?7 \
     WHERE run_id = ?1 AND no = ?2 AND attempt = ?3 AND state = 'running' AND nonce <> ?4 \
     AND node <> ?5 AND twin_nonce IS NULL \
     AND NOT EXISTS (SELECT 1 FROM task_attempt a WHERE a.task_id = task.id AND a.attempt = ?3 \
     AND a.twin = 1) \
     AND EXISTS (SELECT 1 FROM node WHERE id = ?5 AND incarnation = ?6 AND state = 'live'); \
     INSERT INTO task_attempt (task_id, attempt, twin, generation, nonce, node, incarnation, \
     assigned_at) \
     SELECT id, attempt, 1, generation, twin_nonce, twin_node, twin_incarnation, twin_assigned_at \
     FROM task WHERE changes() = 1 AND run_id = ?1 AND no = ?2; \
     INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail) \
     SELECT ?7, ?8, 'task_assigned', run_id, id, attempt, twin_node, twin_incarnation, state, \
     'second copy' FROM task WHERE changes() = 1 AND run_id = ?1 AND no = ?2";

const WAS_ASSIGNED: &str = "SELECT count(*) FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4 AND a.twin = 1";

/// Gives a running task to one more node.
pub(super) async fn assign(
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
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(if before > 0 {
        Answer::Already
    } else {
        Answer::Fenced
    })
}

/// The copies change places: the one that was second is the one at work.
macro_rules! swap {
    () => {
        "UPDATE task SET nonce = twin_nonce, node = twin_node, incarnation = twin_incarnation, \
         assigned_at = twin_assigned_at, \
         started_at = (SELECT a.started_at FROM task_attempt a WHERE a.task_id = task.id \
         AND a.attempt = task.attempt AND a.nonce = task.twin_nonce), \
         state = CASE WHEN (SELECT a.started_at FROM task_attempt a WHERE a.task_id = task.id \
         AND a.attempt = task.attempt AND a.nonce = task.twin_nonce) IS NULL THEN 'assigned' \
         ELSE 'running' END, \
         twin_nonce = nonce, twin_node = node, twin_incarnation = incarnation, \
         twin_assigned_at = assigned_at WHERE twin_nonce IS NOT NULL AND "
    };
}

const END: &str = concat!(
    swap!(),
    "run_id = ?1 AND no = ?2 AND attempt = ?3 AND nonce = ?4 AND state IN ('assigned', 'running'); \
     UPDATE task SET charged = charged + ?5, crashes = crashes + ?6, twin_nonce = NULL, \
     twin_node = NULL, twin_incarnation = NULL, twin_assigned_at = NULL \
     WHERE run_id = ?1 AND no = ?2 AND attempt = ?3 AND twin_nonce = ?4 \
     AND state IN ('assigned', 'running'); \
     UPDATE task_attempt SET ended_at = ?7, outcome = ?8, charged = ?5, reason = ?9 \
     WHERE changes() = 1 AND attempt = ?3 AND nonce = ?4 \
     AND task_id = (SELECT id FROM task WHERE run_id = ?1 AND no = ?2); \
     INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail) \
     SELECT ?7, ?10, 'attempt_ended', ?1, a.task_id, a.attempt, a.node, a.incarnation, t.state, ?8 \
     FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE changes() = 1 AND t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4"
);

/// Ends one of two copies; its task goes on with the other. `Fenced` unless there are two.
pub(super) async fn end(
    tx: &mut Tx<'_>,
    token: &AttemptToken,
    end: &End<'_>,
) -> Result<Answer, Stop> {
    let changed = sqlx::query(END)
        .bind(token.task.run.to_string())
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(token.nonce.to_string())
        .bind(i64::from(end.outcome.is_charged()))
        .bind(i64::from(end.outcome == AttemptOutcome::Crashed))
        .bind(micros(end.at))
        .bind(end.outcome.as_str())
        .bind(end.reason)
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    Ok(ok_or_fenced(changed))
}

/// A task whose copy was on the node goes on with the other copy.
const RELEASE: &str = concat!(
    swap!(),
    "node = ?1; \
     UPDATE task_attempt SET ended_at = ?2, outcome = 'orphaned', charged = 0, \
     reason = 'its node registered anew' \
     WHERE (task_id, nonce) IN (SELECT id, twin_nonce FROM task WHERE twin_node = ?1); \
     INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, incarnation, state, detail) \
     SELECT ?2, ?3, 'attempt_ended', run_id, id, attempt, twin_node, twin_incarnation, state, \
     'orphaned' FROM task WHERE twin_node = ?1 ORDER BY id; \
     UPDATE task SET twin_nonce = NULL, twin_node = NULL, twin_incarnation = NULL, \
     twin_assigned_at = NULL WHERE twin_node = ?1"
);

/// Ends what a node's earlier lives held beside another node.
pub(super) async fn release(tx: &mut Tx<'_>, node: &Node, at: i64) -> Result<(), Stop> {
    sqlx::query(RELEASE)
        .bind(node.id.as_str())
        .bind(at)
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

const FORGIVE: &str = "UPDATE task_attempt SET outcome = 'orphaned', charged = 0, reason = ?5 \
     WHERE attempt = ?3 AND nonce = ?4 AND outcome = 'node_lost' \
     AND (task_id, generation) = (SELECT id, generation FROM task WHERE run_id = ?1 AND no = ?2 \
     AND state IN ('ready', 'assigned', 'running', 'succeeded')); \
     UPDATE task SET charged = charged - 1 WHERE changes() = 1 AND run_id = ?1 AND no = ?2; \
     INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, state, detail) \
     SELECT ?6, ?7, 'attempt_ended', run_id, id, ?3, state, 'forgiven' FROM task \
     WHERE changes() = 1 AND run_id = ?1 AND no = ?2";

const WAS_FORGIVEN: &str = "SELECT count(*) FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4 \
     AND a.outcome = 'orphaned'";

/// Takes back the charge of an attempt that its node's death ended.
pub(super) async fn forgive(
    tx: &mut Tx<'_>,
    token: &AttemptToken,
    reason: &str,
    at: Timestamp,
) -> Result<Answer, Stop> {
    let run = token.task.run.to_string();
    let nonce = token.nonce.to_string();
    let changed = sqlx::query(FORGIVE)
        .bind(&run)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(&nonce)
        .bind(reason)
        .bind(micros(at))
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    if changed > 0 {
        return Ok(Answer::Ok);
    }
    let before: i64 = sqlx::query_scalar(WAS_FORGIVEN)
        .bind(&run)
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(&nonce)
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(if before > 0 {
        Answer::Already
    } else {
        Answer::Fenced
    })
}
