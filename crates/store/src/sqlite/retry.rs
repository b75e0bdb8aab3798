//! A run that is tried again, by a person.
//!
//! Comes in: the run. Goes out: its failed tasks and the judgements that follow from them, ready
//! again. It must never call a run mended whose verdicts still say that nothing was measured, nor
//! put it to work beside another run of its dataset: it takes its turn in the queue.

use assay_model::change::Answer;
use assay_model::ids::RunId;
use jiff::Timestamp;

use super::rows::{int, micros};
use super::writer::{Padded, Stop, Tx};

const RETRY_RUN: &str = "UPDATE run SET state = 'queued', reason = NULL, finished_at = NULL, \
     deadline_at = ?3 \
     WHERE id = ?1 AND state IN ('succeeded', 'partial', 'failed', 'cancelled', 'skipped_stale') \
     AND (planned_at IS NULL OR EXISTS (SELECT 1 FROM task WHERE run_id = ?1 \
     AND state IN ('failed', 'quarantined', 'cancelled'))); \
     INSERT INTO event (at, epoch, kind, run_id, state) \
     SELECT ?2, ?4, 'run_retried', ?1, 'queued' WHERE changes() = 1";

/// The judgements that were made without a measurement that is tried again. Their verdicts stay in
/// force until the next ones take their places.
macro_rules! judged_in_vain {
    () => {
        "SELECT e.id FROM task e JOIN task_spec s ON s.task_id = e.id \
         WHERE e.run_id = ?1 AND e.kind = 'evaluate' AND e.state = 'succeeded' \
         AND EXISTS (SELECT 1 FROM json_each(s.spec, '$.measured_by') n JOIN task m \
         ON m.run_id = ?1 AND m.no = n.value AND m.state IN ('failed', 'quarantined', 'cancelled'))"
    };
}

const RETRY_TASKS: &str = concat!(
    "INSERT INTO event (at, epoch, kind, run_id, task_id, attempt, state) \
     SELECT ?2, ?3, 'task_retried', run_id, id, attempt, 'ready' FROM task WHERE run_id = ?1 \
     AND (state IN ('failed', 'quarantined', 'cancelled') OR id IN (",
    judged_in_vain!(),
    ")) ORDER BY no; DELETE FROM task_output WHERE task_id IN (",
    judged_in_vain!(),
    "); UPDATE task SET state = 'ready', charged = 0, crashes = 0, generation = generation + 1, \
     not_before = NULL, wait = 'dependency', \
     reason = 'it is judged again: a measurement of it is tried again' WHERE id IN (",
    judged_in_vain!(),
    "); UPDATE task SET state = 'ready', charged = 0, crashes = 0, generation = generation + 1, \
     not_before = NULL, wait = (SELECT CASE WHEN json_array_length(depends_on) > 0 \
     THEN 'dependency' END FROM task_spec WHERE task_id = task.id) \
     WHERE run_id = ?1 AND state IN ('failed', 'quarantined', 'cancelled')"
);

/// Puts an ended run back into the queue.
pub(super) async fn run(
    tx: &mut Tx<'_>,
    run: RunId,
    at: Timestamp,
    deadline_at: Timestamp,
) -> Result<Answer, Stop> {
    let changed = sqlx::query(RETRY_RUN)
        .bind(run.to_string())
        .bind(micros(at))
        .bind(micros(deadline_at))
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?
        .rows_affected();
    if changed == 0 {
        return Ok(Answer::Fenced);
    }
    sqlx::query(RETRY_TASKS)
        .bind(run.to_string())
        .bind(micros(at))
        .bind(int(tx.epoch.0))
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    Ok(Answer::Ok)
}
