//! Results of checks, as they are read.
//!
//! Comes in: a dataset and what is asked of its results. Goes out: results with their partitions, the
//! newest first. It must never leave out one that it cannot read.

use assay_model::ids::{CheckId, DatasetId};
use assay_model::outcome::CheckResult;
use assay_model::partition::PartitionVersion;

use super::rows::{Cells, spelt};
use super::{PostgresStore, sql};
use crate::error::StoreError;
use crate::port::{ResultFilter, ResultRow};
use crate::values::{corrupt, value_of};

/// The results of `dataset` that `filter` asks for.
pub(super) async fn of(
    store: &PostgresStore,
    dataset: &DatasetId,
    filter: &ResultFilter,
) -> Result<Vec<ResultRow>, StoreError> {
    let check = filter.check.as_ref();
    let check = check.map(|check| spelt(check.as_str()).into_owned());
    let (superseded, limit) = (filter.superseded, i64::from(filter.limit));
    let partition = filter.partition.as_ref();
    if let (Some(check), None, None, false) = (&check, partition, filter.run, filter.bad) {
        let query = sqlx::query(sql::RESULTS_OF_CHECK)
            .bind(dataset.as_str())
            .bind(superseded)
            .bind(limit)
            .bind(check);
        let connections = &store.inner.by_key;
        return store.list_by(connections, query, "result", result).await;
    }
    let query = sqlx::query(sql::RESULTS)
        .bind(dataset.as_str())
        .bind(superseded)
        .bind(limit)
        .bind(check)
        .bind(filter.run.map(|r| r.0))
        .bind(partition.map(|p| spelt(p.as_str()).into_owned()))
        .bind(filter.bad);
    store.list(query, "result", result).await
}

fn result(cells: &Cells<'_>) -> Result<ResultRow, StoreError> {
    let limits: Option<&str> = cells.get("limits")?;
    let actual = cells.text_or_none("actual")?;
    Ok(ResultRow {
        run: cells.run_id("run_id")?,
        partition: cells.partition()?,
        version: PartitionVersion(cells.text("version")?),
        judged_at: cells.time("judged_at")?,
        result: CheckResult {
            check: CheckId(cells.text("check_id")?),
            metric: cells.metric_key()?,
            severity: cells.word("severity")?,
            origin: cells.word("origin")?,
            outcome: cells.word("outcome")?,
            actual: value_of(cells.get("kind")?, actual.as_deref())?,
            expected: cells.text("expected")?,
            limits: limits
                .map(|text| serde_json::from_str(text).map_err(|e| corrupt("limits", e)))
                .transpose()?,
            error_bound: cells.get("error_bound")?,
            note: cells.text_or_none("note")?,
            reason: cells.text_or_none("reason")?,
        },
    })
}
