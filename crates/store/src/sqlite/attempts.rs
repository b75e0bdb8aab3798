//! What nodes write: their registration, and the start and completion of an attempt.
//!
//! Comes in: a node or an attempt's token. Goes out: the incarnation, what the attempt needs, or an
//! answer. It must never let a token write that is not the one at work.

use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, DatasetId, Incarnation};
use assay_model::node::Node;
use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::copies;
use super::outputs::Prepared;
use super::rows::{Cells, corrupt, int, micros};
use super::sql::{run_columns, task_columns};
use super::writer::{Padded, Stop, Tx};
use super::{evaluated, outputs};
use crate::error::StoreError;
use crate::port::Started;

const REGISTER: &str = "INSERT INTO node (id, incarnation, state, slots, memory_bytes, zone, \
     registered_at, moved_at) VALUES (?1, 1, 'live', ?2, ?3, ?4, ?5, ?5) \
     ON CONFLICT (id) DO UPDATE SET incarnation = incarnation + 1, state = 'live', \
     slots = excluded.slots, memory_bytes = excluded.memory_bytes, zone = excluded.zone, \
     registered_at = excluded.registered_at, moved_at = excluded.moved_at, reason = NULL; \
     INSERT INTO event (at, epoch, kind, node, incarnation, state) \
     SELECT ?5, ?6, 'node_registered', id, incarnation, state FROM node WHERE id = ?1";

/// Ends the attempts of earlier lives: the attempts first, while the tasks still name the node.
const RELEASE: &str = "INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, node, \
     incarnation, state, detail) \
     SELECT ?2, ?3, 'attempt_ended', run_id, id, attempt, node, incarnation, 'ready', 'orphaned' \
     FROM task WHERE node = ?1 ORDER BY id; \
     UPDATE task_attempt SET ended_at = ?2, outcome = 'orphaned', charged = 0, \
     reason = 'its node registered anew' \
     WHERE (task_id, nonce) IN (SELECT id, nonce FROM task WHERE node = ?1); \
     UPDATE task SET state = 'ready', wait = NULL, not_before = NULL, \
     reason = 'its node registered anew', nonce = NULL, node = NULL, incarnation = NULL, \
     assigned_at = NULL, started_at = NULL WHERE node = ?1";

/// Registers a node and releases what its earlier lives held.
pub(super) async fn register(tx: &mut Tx<'_>, node: &Node) -> Result<Incarnation, Stop> {
    let at = micros(Timestamp::now());
    sqlx::query(REGISTER)
        .bind(node.id.as_str())
        .bind(i64::from(node.slots))
        .bind(int(node.memory_bytes))
        .bind(&node.zone)
        .bind(at)
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    copies::release(tx, node, at).await?;
    sqlx::query(RELEASE)
        .bind(node.id.as_str())
        .bind(at)
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    let incarnation: i64 = sqlx::query_scalar("SELECT incarnation FROM node WHERE id = ?1")
        .bind(node.id.as_str())
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(Incarnation(incarnation.unsigned_abs()))
}

const START: &str = concat!(
    "UPDATE task SET state = 'running', started_at = ?5 \
     WHERE run_id = ?1 AND no = ?2 AND attempt = ?3 AND nonce = ?4 AND state = 'assigned'; \
     UPDATE task_attempt SET started_at = ?5 WHERE changes() = 1 AND attempt = ?3 AND nonce = ?4 \
     AND task_id = (SELECT id FROM task WHERE run_id = ?1 AND no = ?2); \
     INSERT INTO event (at, kind, run_id, task_id, attempt, node, incarnation, state) \
     SELECT ?5, 'task_started', run_id, id, attempt, node, incarnation, state FROM task \
     WHERE changes() = 1 AND run_id = ?1 AND no = ?2; \
     UPDATE task_attempt SET started_at = ?5 WHERE twin = 1 AND started_at IS NULL \
     AND ended_at IS NULL AND attempt = ?3 AND nonce = ?4 \
     AND task_id = (SELECT id FROM task WHERE run_id = ?1 AND no = ?2); \
     SELECT ",
    run_columns!(),
    ", ",
    task_columns!(),
    " FROM task t JOIN task_spec s ON s.task_id = t.id JOIN run r ON r.id = t.run_id \
     WHERE t.run_id = ?1 AND t.no = ?2 AND t.attempt = ?3 AND (t.nonce = ?4 OR t.twin_nonce = ?4) \
     AND t.state = 'running'"
);

/// Assigned → running, and what the attempt needs.
pub(super) async fn start(
    tx: &mut Tx<'_>,
    token: &AttemptToken,
    at: Timestamp,
) -> Result<Option<Started>, Stop> {
    let rows = sqlx::query(START)
        .bind(token.task.run.to_string())
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(token.nonce.to_string())
        .bind(micros(at))
        .padded()
        .fetch_all(&mut *tx.connection)
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let cells = Cells { row, what: "task" };
    let (run, task) = (cells.run()?, cells.task()?);
    let dataset = match tx.definitions.get(&run.definition) {
        Some(dataset) => dataset,
        None => {
            let body: String = sqlx::query_scalar("SELECT body FROM definition WHERE digest = ?1")
                .bind(&run.definition)
                .fetch_one(&mut *tx.connection)
                .await?;
            let dataset = serde_json::from_str(&body).map_err(|e| corrupt("definition", e))?;
            let dataset = std::sync::Arc::new(dataset);
            tx.definitions
                .put(&run.definition, std::sync::Arc::clone(&dataset));
            dataset
        }
    };
    Ok(Some(Started {
        run,
        task,
        dataset,
        at,
    }))
}

const COMPLETE: &str = "UPDATE task SET state = 'succeeded', wait = NULL, not_before = NULL, \
     reason = NULL, nonce = NULL, node = NULL, incarnation = NULL, assigned_at = NULL, \
     started_at = NULL, twin_nonce = NULL, twin_node = NULL, twin_incarnation = NULL, \
     twin_assigned_at = NULL \
     WHERE run_id = ?1 AND no = ?2 AND attempt = ?3 AND (nonce = ?4 OR twin_nonce = ?4) \
     AND kind = ?6 \
     AND state IN ('assigned', 'running'); \
     UPDATE task_attempt SET ended_at = ?5, outcome = 'ok', charged = 0 \
     WHERE changes() = 1 AND attempt = ?3 AND nonce = ?4 \
     AND task_id = (SELECT id FROM task WHERE run_id = ?1 AND no = ?2); \
     INSERT INTO event (at, kind, run_id, task_id, attempt, node, incarnation, state) \
     SELECT ?5, 'task_succeeded', ?1, a.task_id, a.attempt, a.node, a.incarnation, 'succeeded' \
     FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE changes() = 1 AND t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4; \
     SELECT t.id, t.attempt, r.dataset_id FROM task t JOIN run r ON r.id = t.run_id \
     WHERE changes() = 1 AND t.run_id = ?1 AND t.no = ?2; \
     UPDATE task_attempt SET ended_at = ?5, outcome = 'cancelled', charged = 0, \
     reason = 'the other copy was first' WHERE changes() = 1 AND attempt = ?3 \
     AND ended_at IS NULL AND task_id = (SELECT id FROM task WHERE run_id = ?1 AND no = ?2)";

/// The task whose completion is being written.
pub(super) struct Completed {
    pub(super) token: AttemptToken,
    pub(super) task_id: i64,
    pub(super) dataset: DatasetId,
    pub(super) at: Timestamp,
}

fn completed(row: &SqliteRow, token: &AttemptToken, at: Timestamp) -> Result<Completed, Stop> {
    let cells = Cells { row, what: "task" };
    Ok(Completed {
        token: *token,
        task_id: cells.get("id")?,
        dataset: cells.dataset("dataset_id")?,
        at,
    })
}

/// Assigned or running → succeeded, with all that the attempt leaves.
pub(super) async fn complete(
    tx: &mut Tx<'_>,
    token: &AttemptToken,
    output: &Prepared,
    at: Timestamp,
) -> Result<Answer, Stop> {
    let rows = sqlx::query(COMPLETE)
        .bind(token.task.run.to_string())
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(token.nonce.to_string())
        .bind(micros(at))
        .bind(output.kind().as_str())
        .padded()
        .fetch_all(&mut *tx.connection)
        .await?;
    let Some(row) = rows.first() else {
        return explain(tx, token, output).await;
    };
    let task = completed(row, token, at)?;
    match output {
        Prepared::Discovered(found) => {
            outputs::write_discovery(tx, &task, found).await?;
            tx.told.push(task.dataset);
        }
        Prepared::Measured(parts) => outputs::write_states(tx, &task, parts).await?,
        Prepared::Evaluated(evaluation) => {
            evaluated::write(tx, &task, evaluation).await?;
            tx.told.push(task.dataset);
        }
        Prepared::EvaluatedMany(all) => {
            evaluated::write_many(tx, &task, all).await?;
            tx.told.push(task.dataset);
        }
    }
    Ok(Answer::Ok)
}

const EXPLAIN: &str = "SELECT a.outcome, t.kind FROM task t JOIN task_attempt a ON a.task_id = t.id \
     WHERE t.run_id = ?1 AND t.no = ?2 AND a.attempt = ?3 AND a.nonce = ?4";

/// Why a completion changed nothing: a repeat, a zombie, or an output of another kind.
async fn explain(tx: &mut Tx<'_>, token: &AttemptToken, output: &Prepared) -> Result<Answer, Stop> {
    let attempt = sqlx::query(EXPLAIN)
        .bind(token.task.run.to_string())
        .bind(i64::from(token.task.no))
        .bind(i64::from(token.attempt))
        .bind(token.nonce.to_string())
        .fetch_optional(&mut *tx.connection)
        .await?;
    let Some(row) = attempt else {
        return Ok(Answer::Fenced);
    };
    let outcome: Option<String> = row.try_get("outcome")?;
    let kind: String = row.try_get("kind")?;
    match outcome.as_deref() {
        Some("ok") => Ok(Answer::Already),
        None if kind != output.kind().as_str() => Err(Stop::Store(StoreError::Refused {
            what: "result",
            detail: format!("{} is to {kind}, not to {}", token.task, output.kind()),
        })),
        _ => Ok(Answer::Fenced),
    }
}
