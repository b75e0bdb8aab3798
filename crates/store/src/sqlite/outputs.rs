//! Outputs: what a task leaves, made ready by the caller and written by the writer.
//!
//! Comes in: a [`TaskOutput`]. Goes out: the columns and JSON arrays that the statements take, so
//! that the one writer spends no time on spelling them. It must never accept an output that
//! contradicts itself.

use assay_model::output::{Discovery, Evaluation, MeasuredPartition, TaskOutput};
use assay_model::task::TaskKind;

use super::attempts::Completed;
use super::changes::json;
use super::evaluated::PreparedEvaluation;
use super::rows::{int, micros};
use super::writer::{Padded, Stop, Tx};
use crate::error::StoreError;
use crate::plans::KeptPlan;

/// An output that is ready to be written.
pub(super) enum Prepared {
    Discovered(PreparedDiscovery),
    Measured(Vec<MeasuredPartition>),
    Evaluated(Box<PreparedEvaluation>),
    EvaluatedMany(Vec<PreparedEvaluation>),
}

/// A discovery: its sightings as rows, and its plan.
pub(super) struct PreparedDiscovery {
    sightings: String,
    parts: i64,
    plan: KeptPlan,
}

impl Prepared {
    /// Makes an output ready.
    pub(super) fn of(output: &TaskOutput) -> Result<Self, StoreError> {
        match output {
            TaskOutput::Discovered(discovery) => {
                PreparedDiscovery::of(discovery).map(Self::Discovered)
            }
            TaskOutput::Measured(parts) => Ok(Self::Measured(parts.clone())),
            TaskOutput::Evaluated(evaluation) => {
                let evaluation: &Evaluation = evaluation;
                PreparedEvaluation::of(evaluation).map(|e| Self::Evaluated(Box::new(e)))
            }
            TaskOutput::EvaluatedMany(all) => {
                let each = all.iter().map(PreparedEvaluation::of);
                each.collect::<Result<_, _>>().map(Self::EvaluatedMany)
            }
        }
    }

    /// The kind of task that leaves such an output.
    pub(super) const fn kind(&self) -> TaskKind {
        match self {
            Self::Discovered(_) => TaskKind::Discover,
            Self::Measured(_) => TaskKind::Measure,
            Self::Evaluated(_) | Self::EvaluatedMany(_) => TaskKind::Evaluate,
        }
    }
}

impl PreparedDiscovery {
    fn of(discovery: &Discovery) -> Result<Self, StoreError> {
        let rows: Vec<_> = discovery
            .sightings
            .iter()
            .map(|seen| {
                serde_json::json!([
                    seen.partition.key.as_str(),
                    seen.partition.order,
                    seen.partition.date.map(|d| d.to_string()),
                    seen.partition.start.map(micros),
                    seen.partition.end.map(micros),
                    seen.state.as_str(),
                    seen.version.as_str(),
                    int(seen.objects),
                    int(seen.bytes),
                    seen.last_modified.map(micros),
                    seen.partition.series,
                ])
            })
            .collect();
        Ok(Self {
            parts: int(rows.len() as u64),
            sightings: json("sighting", &rows)?,
            plan: KeptPlan::of(discovery)?,
        })
    }
}

const WRITE_DISCOVERY: &str = "INSERT INTO task_output (task_id, attempt, parts, plan) \
     VALUES (?1, ?2, ?3, ?4); \
     INSERT INTO ledger (dataset_id, partition, ord, date, start_at, end_at, state, version, \
     objects, bytes, first_seen, last_modified, series) \
     SELECT ?5, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
     value ->> 6, value ->> 7, value ->> 8, ?7, value ->> 9, value ->> 10 FROM json_each(?6) WHERE true \
     ON CONFLICT (dataset_id, partition) DO UPDATE SET ord = excluded.ord, date = excluded.date, \
     start_at = excluded.start_at, end_at = excluded.end_at, state = excluded.state, \
     version = excluded.version, objects = excluded.objects, bytes = excluded.bytes, \
     last_modified = excluded.last_modified, series = excluded.series";

const WRITE_PLAN_PAGE: &str =
    "INSERT INTO task_plan (task_id, attempt, first, body) VALUES (?1, ?2, ?3, ?4)";

/// The plan, and what the ledger learns.
pub(super) async fn write_discovery(
    tx: &mut Tx<'_>,
    task: &Completed,
    found: &PreparedDiscovery,
) -> Result<(), Stop> {
    let attempt = i64::from(task.token.attempt);
    let (whole, pages) = match &found.plan {
        KeptPlan::Whole(plan) => (Some(plan), &[][..]),
        KeptPlan::Pages(pages) => (None, pages.as_slice()),
    };
    for (first, body) in pages {
        sqlx::query(WRITE_PLAN_PAGE)
            .bind(task.task_id)
            .bind(attempt)
            .bind(i64::from(*first))
            .bind(body)
            .execute(&mut *tx.connection)
            .await?;
    }
    sqlx::query(WRITE_DISCOVERY)
        .bind(task.task_id)
        .bind(attempt)
        .bind(found.parts)
        .bind(whole)
        .bind(task.dataset.as_str())
        .bind(&found.sightings)
        .bind(micros(task.at))
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

const WRITE_OUTPUT: &str = "INSERT INTO task_output (task_id, attempt, parts) VALUES (?1, ?2, ?3)";

const WRITE_OUTPUT_AND_STATE: &str = "INSERT INTO task_output (task_id, attempt, parts) \
     VALUES (?1, ?2, ?3); \
     INSERT INTO metric_state (task_id, partition, attempt, rows, bytes, payload) \
     VALUES (?1, ?4, ?2, ?5, length(?6), ?6)";

/// States of one statement: six columns each, well below SQLite's bound of 32,766 parameters.
const STATES_AT_ONCE: usize = 500;

/// The states of a batch, one per partition.
pub(super) async fn write_states(
    tx: &mut Tx<'_>,
    task: &Completed,
    parts: &[MeasuredPartition],
) -> Result<(), Stop> {
    let attempt = i64::from(task.token.attempt);
    if let [part] = parts {
        sqlx::query(WRITE_OUTPUT_AND_STATE)
            .bind(task.task_id)
            .bind(attempt)
            .bind(1_i64)
            .bind(part.partition.as_str())
            .bind(int(part.rows))
            .bind(part.state.as_slice())
            .padded()
            .execute(&mut *tx.connection)
            .await?;
        return Ok(());
    }
    sqlx::query(WRITE_OUTPUT)
        .bind(task.task_id)
        .bind(attempt)
        .bind(int(parts.len() as u64))
        .execute(&mut *tx.connection)
        .await?;
    for some in parts.chunks(STATES_AT_ONCE) {
        let mut insert = sqlx::QueryBuilder::new(
            "INSERT INTO metric_state (task_id, partition, attempt, rows, bytes, payload) ",
        );
        insert.push_values(some, |mut row, part| {
            row.push_bind(task.task_id)
                .push_bind(part.partition.as_str())
                .push_bind(attempt)
                .push_bind(int(part.rows))
                .push_bind(int(part.state.len() as u64))
                .push_bind(part.state.as_slice());
        });
        insert.build().execute(&mut *tx.connection).await?;
    }
    Ok(())
}
