//! The metrics and results of an evaluation, as rows.
//!
//! Comes in: what was measured of a partition and how it was judged. Goes out: a row for each. It must
//! never write a row of another metric than the one that is named.
//!
//! The values are bound as they are: spelling them as JSON, to be taken apart again by SQL, costs
//! the one writer more than writing them.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::metric::{MetricKey, MetricPoint};
use assay_model::outcome::CheckResult;
use assay_model::output::Evaluation;
use serde_json::{Value, json as row};
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Sqlite};

use super::attempts::Completed;
use super::changes::json;
use super::rows::{Cells, corrupt, int, value_columns};
use super::sql;
use super::writer::{Stop, Tx};
use crate::error::StoreError;

/// Rows of one statement: thirteen columns each, well below SQLite's bound of 32,766 parameters.
const AT_ONCE: usize = 500;

/// The statement for so many rows is kept ready; for more it is made anew, for it takes space.
const KEPT: usize = 128;

/// ?1 dataset, ?2 metrics.
const NEW_SERIES: &str = "INSERT INTO metric_series (dataset_id, metric, column_name, args, \
     filter, semantics) SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 \
     FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING";

const METRIC: (&str, &str) = (
    "INSERT INTO metric (verdict_id, series_id, status, kind, value, number, error_bound, note) \
     VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?)",
);

const RESULT: (&str, &str) = (
    "INSERT INTO check_result (verdict_id, place, series_id, check_id, severity, origin, outcome, \
     kind, actual, actual_number, expected, limits, reason) VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
);

/// The numbers of a dataset's metrics.
pub(super) struct Series(BTreeMap<MetricKey, i64>);

impl Series {
    /// Those of the metrics of `all`; metrics that are met for the first time get theirs.
    pub(super) async fn of(
        tx: &mut Tx<'_>,
        task: &Completed,
        all: impl Iterator<Item = &Evaluation>,
    ) -> Result<Self, Stop> {
        let keys = all.flat_map(|evaluation| {
            let measured = evaluation.metrics.iter().map(|m| &m.key);
            measured.chain(evaluation.results.iter().map(|r| &r.metric))
        });
        let mut met = BTreeSet::new();
        let keys = keys.filter(|key| met.insert(*key));
        let keys: Vec<Value> = keys.map(series_row).collect();
        sqlx::query(NEW_SERIES)
            .bind(task.dataset.as_str())
            .bind(json("metric", &keys)?)
            .execute(&mut *tx.connection)
            .await?;
        let rows = sqlx::query(sql::SERIES)
            .bind(task.dataset.as_str())
            .fetch_all(&mut *tx.connection)
            .await?;
        let series = rows.iter().map(|row| {
            let cells = Cells {
                row,
                what: "metric",
            };
            Ok((cells.metric_key()?, cells.get("id")?))
        });
        let series: Result<_, StoreError> = series.collect();
        Ok(Self(series?))
    }

    fn of_key(&self, key: &MetricKey) -> Result<i64, StoreError> {
        let of = self.0.get(key).copied();
        of.ok_or_else(|| corrupt("metric", format!("{key} has no number")))
    }
}

fn series_row(key: &MetricKey) -> Value {
    row!([
        key.metric.as_str(),
        key.column,
        key.args,
        key.filter,
        key.semantics
    ])
}

/// Writes what was measured and how it was judged. `limits` are those of the results, as JSON.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    verdict: i64,
    series: &Series,
    evaluation: &Evaluation,
    limits: &[Option<String>],
) -> Result<(), Stop> {
    let (metrics, results) = (&evaluation.metrics, &evaluation.results);
    let mut text = String::new();
    insert(&mut text, METRIC, metrics.len());
    insert(&mut text, RESULT, results.len());
    if text.is_empty() {
        return Ok(());
    }
    let mut query = sqlx::query(AssertSqlSafe(text));
    for metric in metrics {
        query = bind_metric(query, verdict, series, metric)?;
    }
    for (place, (result, limits)) in results.iter().zip(limits).enumerate() {
        query = query.bind(verdict).bind(int(place as u64));
        query = bind_result(query, series, result, limits.as_deref())?;
    }
    query
        .persistent(metrics.len() + results.len() <= KEPT)
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// Adds the statements that insert so many rows.
fn insert(text: &mut String, (head, row): (&str, &str), mut rows: usize) {
    while rows > 0 {
        let some = rows.min(AT_ONCE);
        if !text.is_empty() {
            text.push_str("; ");
        }
        text.push_str(head);
        text.push_str(row);
        for _ in 1..some {
            text.push_str(", ");
            text.push_str(row);
        }
        rows -= some;
    }
}

type Insert = Query<'static, Sqlite, SqliteArguments>;

fn bind_metric(
    query: Insert,
    verdict: i64,
    series: &Series,
    metric: &MetricPoint,
) -> Result<Insert, StoreError> {
    let (kind, value, number) = value_columns(&metric.value);
    Ok(query
        .bind(verdict)
        .bind(series.of_key(&metric.key)?)
        .bind(metric.status.as_str())
        .bind(kind)
        .bind(value)
        .bind(number)
        .bind(metric.error_bound.filter(|bound| bound.is_finite()))
        .bind(metric.note.clone()))
}

fn bind_result(
    query: Insert,
    series: &Series,
    result: &CheckResult,
    limits: Option<&str>,
) -> Result<Insert, StoreError> {
    let (kind, value, number) = value_columns(&result.actual);
    Ok(query
        .bind(series.of_key(&result.metric)?)
        .bind(result.check.as_str().to_owned())
        .bind(result.severity.as_str())
        .bind(result.origin.as_str())
        .bind(result.outcome.as_str())
        .bind(kind)
        .bind(value)
        .bind(number)
        .bind(result.expected.clone())
        .bind(limits.map(str::to_owned))
        .bind(result.reason.clone()))
}
