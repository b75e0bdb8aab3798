//! An evaluation: verdict, metrics, results, ledger, incidents and messages, all with the attempt.
//!
//! Comes in: an [`Evaluation`]. Goes out: rows, or a refusal. It must never let the verdict on an
//! older version replace that on a newer one, nor keep an outcome uncounted.

use assay_model::incident::{Incident, OutboxEntry};
use assay_model::output::Evaluation;
use serde_json::{Value, json as row};
use sqlx::Row;

use super::attempts::Completed;
use super::changes::json;
use super::measured::{self, Series};
use super::rows::{int, micros};
use super::sql::page;
use super::writer::{Padded, Stop, Tx};
use crate::error::StoreError;

/// An evaluation that is ready to be written: the limits of its results as JSON, incidents and
/// messages as JSON arrays of rows.
pub(super) struct PreparedEvaluation {
    evaluation: Box<Evaluation>,
    limits: Vec<Option<String>>,
    incidents: String,
    outbox: String,
}

impl PreparedEvaluation {
    pub(super) fn of(evaluation: &Evaluation) -> Result<Self, StoreError> {
        check_counts(evaluation)?;
        let limits = evaluation.results.iter().map(|result| {
            let limits = result.limits.as_ref();
            limits.map(|limits| json("limits", limits)).transpose()
        });
        let limits = limits.collect::<Result<_, _>>()?;
        let incidents: Vec<Value> = evaluation.incidents.iter().map(incident_row).collect();
        let mut outbox = Vec::with_capacity(evaluation.outbox.len());
        for message in &evaluation.outbox {
            outbox.push(outbox_row(message)?);
        }
        Ok(Self {
            evaluation: Box::new(evaluation.clone()),
            limits,
            incidents: json("incident", &incidents)?,
            outbox: json("message", &outbox)?,
        })
    }
}

/// The counts are those of the results: nothing is counted twice, nothing is left out.
fn check_counts(evaluation: &Evaluation) -> Result<(), StoreError> {
    use assay_model::outcome::OutcomeCounts;
    let found = OutcomeCounts::of(&evaluation.results);
    if found == evaluation.counts {
        return Ok(());
    }
    Err(StoreError::Refused {
        what: "verdict",
        detail: format!(
            "its counts {:?} are not those of its {} results",
            evaluation.counts,
            evaluation.results.len()
        ),
    })
}

fn incident_row(incident: &Incident) -> Value {
    row!([
        incident.id.to_string(),
        incident.dataset.as_str(),
        incident.check.as_str(),
        incident.column,
        incident.severity.as_str(),
        incident.status.as_str(),
        incident.first_partition.as_str(),
        incident.last_partition.as_str(),
        incident.partitions,
        incident.message,
        micros(incident.opened_at),
        micros(incident.updated_at),
        incident.resolved_at.map(micros),
    ])
}

fn outbox_row(message: &OutboxEntry) -> Result<Value, StoreError> {
    Ok(row!([
        message.key,
        message.event,
        message.dataset.as_str(),
        json("message", &message.body)?,
        message.after,
    ]))
}

/// What the ledger and the task's orders say of the partition.
struct Place {
    /// The revision of this judgement.
    revision: i64,
    /// A newer version has been judged, or this one by a later definition: this verdict is kept,
    /// and is not in force.
    outdated: bool,
    objects: i64,
    bytes: i64,
    last_modified: Option<i64>,
}

/// ?1 task, ?2 dataset, ?3 partition, ?4 run, ?5 where the orders are in the task's.
const PLACE: &str = "SELECT s.spec ->> (?5 || '.partition.key') AS partition, \
     s.spec ->> (?5 || '.version') AS version, \
     s.spec ->> (?5 || '.objects') AS objects, s.spec ->> (?5 || '.bytes') AS bytes, \
     l.version AS seen, l.judged, l.revision, l.last_modified, EXISTS (SELECT 1 FROM verdict v \
     JOIN run r ON r.id = v.run_id JOIN definition d ON d.digest = r.definition \
     JOIN run m ON m.id = ?4 JOIN definition o ON o.digest = m.definition \
     WHERE v.dataset_id = ?2 AND v.partition = ?3 AND v.superseded = 0 \
     AND d.stored_at > o.stored_at) AS by_later \
     FROM task_spec s LEFT JOIN ledger l ON l.dataset_id = ?2 AND l.partition = ?3 \
     WHERE s.task_id = ?1";

async fn place(
    tx: &mut Tx<'_>,
    task: &Completed,
    orders: &str,
    e: &Evaluation,
) -> Result<Place, Stop> {
    let row = sqlx::query(PLACE)
        .bind(task.task_id)
        .bind(task.dataset.as_str())
        .bind(e.partition.key.as_str())
        .bind(task.token.task.run.to_string())
        .bind(orders)
        .fetch_one(&mut *tx.connection)
        .await?;
    let partition: Option<String> = row.try_get("partition")?;
    let version: Option<String> = row.try_get("version")?;
    let (partition, version) = (partition.unwrap_or_default(), version.unwrap_or_default());
    if partition != e.partition.key.as_str() || version != e.version.as_str() {
        return Err(Stop::Store(StoreError::Refused {
            what: "verdict",
            detail: format!(
                "{} is to judge {partition} in version {version}, not {} in version {}",
                task.token.task, e.partition.key, e.version
            ),
        }));
    }
    let foreign = e.incidents.iter().find(|i| i.dataset != task.dataset);
    if let Some(incident) = foreign {
        return Err(Stop::Store(StoreError::Refused {
            what: "incident",
            detail: format!("{} is not of {}", incident.dataset, task.dataset),
        }));
    }
    let seen: Option<String> = row.try_get("seen")?;
    let judged: Option<String> = row.try_get("judged")?;
    let revision: Option<i64> = row.try_get("revision")?;
    let by_later: bool = row.try_get("by_later")?;
    let this = Some(e.version.as_str());
    let newer = judged.is_some() && judged == seen && seen.as_deref() != this;
    Ok(Place {
        revision: revision.unwrap_or(0) + 1,
        outdated: newer || (by_later && judged.as_deref() == this),
        objects: row.try_get("objects")?,
        bytes: row.try_get("bytes")?,
        last_modified: row.try_get("last_modified")?,
    })
}

/// ?1 dataset, ?2 partition, ?3 ord, ?4 date, ?5 start, ?6 end, ?7 state, ?8 version, ?9 revision,
/// ?10 objects, ?11 bytes, ?12 when, ?13 last modified, ?14 outdated, ?15 series, ?16 sealed,
/// ?17 run, ?18 task, ?19 attempt, ?20 metrics, ?21 to ?29 the counts.
///
/// A version seen while this one was being judged keeps its state: it is still to be judged.
const VERDICT: &str = "INSERT INTO ledger (dataset_id, partition, ord, date, start_at, end_at, \
     state, version, judged, revision, objects, bytes, first_seen, last_modified, series) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12, ?13, ?15) \
     ON CONFLICT (dataset_id, partition) DO UPDATE SET revision = excluded.revision, \
     judged = CASE WHEN ?14 THEN judged ELSE excluded.judged END, \
     state = CASE WHEN ?14 THEN state WHEN version = excluded.version THEN excluded.state \
     WHEN state <> 'sealed' THEN state ELSE 'rewritten' END; \
     UPDATE verdict SET superseded = 1 WHERE NOT ?14 AND dataset_id = ?1 AND partition = ?2 \
     AND superseded = 0; \
     INSERT INTO verdict (dataset_id, partition, ord, version, revision, sealed, \
     superseded, run_id, task_id, attempt, judged_at, metrics, planned, pass, warn, fail, error, \
     missing, learning, skipped, overflow) VALUES (?1, ?2, ?3, ?8, ?9, ?16, ?14, ?17, ?18, ?19, \
     ?12, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)";

/// ?1 task, ?2 attempt, ?3 how many verdicts.
const OUTPUT: &str = "INSERT INTO task_output (task_id, attempt, parts) VALUES (?1, ?2, ?3)";

const ORDERED: &str =
    "SELECT json_array_length(spec, '$.of') AS ordered FROM task_spec WHERE task_id = ?1";

/// ?1 the verdict, ?2 incidents, ?3 messages, ?4 when. First the page of the verdict's metrics.
///
/// An incident that a person has acknowledged stays so while it is open; one that is opened anew is
/// opened at the instant of that. A message that is there already is the same message; one that
/// follows another is not told where that was not.
const TOLD: &str = concat!(
    "INSERT INTO metric_page (verdict_id, page) SELECT ?1, ",
    page!(),
    " FROM metric WHERE verdict_id = ?1; \
     INSERT INTO incident (id, dataset_id, check_id, column_name, severity, status, \
     first_partition, last_partition, partitions, message, opened_at, updated_at, resolved_at) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
     value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12 \
     FROM json_each(?2) WHERE true \
     ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, \
     opened_at = CASE WHEN status = 'resolved' AND excluded.status <> 'resolved' \
     THEN excluded.opened_at ELSE opened_at END, \
     status = CASE WHEN status = 'acknowledged' AND excluded.status = 'open' THEN status \
     ELSE excluded.status END, last_partition = excluded.last_partition, \
     partitions = excluded.partitions, message = excluded.message, \
     updated_at = excluded.updated_at, resolved_at = excluded.resolved_at; \
     INSERT INTO outbox (key, event, dataset_id, body, created_at) \
     SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, ?4 FROM json_each(?3) \
     WHERE value ->> 4 IS NULL OR EXISTS (SELECT 1 FROM outbox o WHERE o.key = value ->> 4) \
     ON CONFLICT (key) DO NOTHING"
);

/// Empties the states that are merged: their rows and sizes stay. Those of a partition that could
/// not be measured whole, and of those judged with it, stay as they are: they are merged when the rest
/// has been tried again. ?1 task, ?2 run, ?3 partitions, as a JSON list.
const EMPTY_STATES: &str = "UPDATE metric_state SET payload = NULL \
     WHERE partition IN (SELECT value FROM json_each(?3)) AND payload IS NOT NULL AND task_id IN (SELECT t.id FROM task_spec s \
     CROSS JOIN json_each(s.spec, '$.measured_by') m CROSS JOIN task t \
     ON t.run_id = ?2 AND t.no = m.value WHERE s.task_id = ?1) \
     AND NOT EXISTS (SELECT 1 FROM task_spec s \
     CROSS JOIN json_each(s.spec, '$.measured_by') m CROSS JOIN task t \
     ON t.run_id = ?2 AND t.no = m.value AND t.state <> 'succeeded' WHERE s.task_id = ?1)";

/// Writes all that an evaluation leaves.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    task: &Completed,
    prepared: &PreparedEvaluation,
) -> Result<(), Stop> {
    write_output(tx, task, 1).await?;
    let series = Series::of(tx, task, std::iter::once(&*prepared.evaluation)).await?;
    write_one(tx, task, "$", &series, prepared).await?;
    empty_states(tx, task, std::slice::from_ref(prepared)).await
}

/// Writes all that an evaluation of several partitions leaves: a verdict on each of them.
pub(super) async fn write_many(
    tx: &mut Tx<'_>,
    task: &Completed,
    all: &[PreparedEvaluation],
) -> Result<(), Stop> {
    let ordered: Option<i64> = sqlx::query_scalar(ORDERED)
        .bind(task.task_id)
        .fetch_one(&mut *tx.connection)
        .await?;
    if ordered != Some(int(all.len() as u64)) {
        return Err(Stop::Store(StoreError::Refused {
            what: "verdict",
            detail: format!(
                "{} is to judge {} partitions, and {} verdicts came",
                task.token.task,
                ordered.unwrap_or(1),
                all.len()
            ),
        }));
    }
    write_output(tx, task, all.len()).await?;
    let evaluations = all.iter().map(|prepared| &*prepared.evaluation);
    let series = Series::of(tx, task, evaluations).await?;
    for (number, prepared) in all.iter().enumerate() {
        let orders = format!("$.of[{number}]");
        write_one(tx, task, &orders, &series, prepared).await?;
    }
    empty_states(tx, task, all).await
}

async fn write_output(tx: &mut Tx<'_>, task: &Completed, verdicts: usize) -> Result<(), Stop> {
    sqlx::query(OUTPUT)
        .bind(task.task_id)
        .bind(i64::from(task.token.attempt))
        .bind(int(verdicts as u64))
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// `orders` says where the partition is in the orders of the task.
async fn write_one(
    tx: &mut Tx<'_>,
    task: &Completed,
    orders: &str,
    series: &Series,
    prepared: &PreparedEvaluation,
) -> Result<(), Stop> {
    let e = &*prepared.evaluation;
    let place = place(tx, task, orders, e).await?;
    let verdict = write_verdict(tx, task, e, &place).await?;
    measured::write(tx, verdict, series, e, &prepared.limits).await?;
    let (incidents, outbox) = match place.outdated {
        false => (&*prepared.incidents, &*prepared.outbox),
        true => ("[]", "[]"),
    };
    sqlx::query(TOLD)
        .bind(verdict)
        .bind(incidents)
        .bind(outbox)
        .bind(micros(task.at))
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// The states of the partitions of `all` have been merged.
async fn empty_states(
    tx: &mut Tx<'_>,
    task: &Completed,
    all: &[PreparedEvaluation],
) -> Result<(), Stop> {
    let keys = all.iter().map(|e| e.evaluation.partition.key.as_str());
    let keys: Vec<&str> = keys.collect();
    sqlx::query(EMPTY_STATES)
        .bind(task.task_id)
        .bind(task.token.task.run.to_string())
        .bind(json("partition", &keys)?)
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// The ledger's row and the verdict's; answers the verdict's id.
async fn write_verdict(
    tx: &mut Tx<'_>,
    task: &Completed,
    e: &Evaluation,
    place: &Place,
) -> Result<i64, Stop> {
    let mut insert = sqlx::query(VERDICT)
        .bind(task.dataset.as_str())
        .bind(e.partition.key.as_str())
        .bind(&e.partition.order)
        .bind(e.partition.date.map(|d| d.to_string()))
        .bind(e.partition.start.map(micros))
        .bind(e.partition.end.map(micros))
        .bind(e.state.as_str())
        .bind(e.version.as_str())
        .bind(place.revision)
        .bind(place.objects)
        .bind(place.bytes)
        .bind(micros(e.judged_at))
        .bind(place.last_modified)
        .bind(place.outdated)
        .bind(&e.partition.series)
        .bind(e.sealed)
        .bind(task.token.task.run.to_string())
        .bind(task.task_id)
        .bind(i64::from(task.token.attempt))
        .bind(int(e.metrics.len() as u64))
        .bind(int(e.counts.planned));
    for (_, count) in e.counts.by_outcome() {
        insert = insert.bind(int(count));
    }
    let inserted = insert.padded().execute(&mut *tx.connection).await?;
    Ok(inserted.last_insert_rowid())
}
