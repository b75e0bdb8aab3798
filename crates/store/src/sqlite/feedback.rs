//! What people answer back, in SQLite.
//!
//! Comes in: answers and withdrawals under the leader's epoch. Goes out: what is kept. It must never
//! change an answer but by withdrawing it once; the table refuses that, too.

use assay_model::feedback::{Answered, FeedbackId, Withdrawal};
use assay_model::ids::{DatasetId, Epoch};
use assay_model::partition::PartitionKey;
use async_trait::async_trait;

use super::rows::{Cells, micros};
use super::writer::{Operation, Reply, Stop, Tx};
use super::{SqliteStore, changes};
use crate::error::StoreError;
use crate::feedback::{Feedback, IN_FORCE_MAX, another, full, taken};

/// The columns of an answer.
macro_rules! columns {
    () => {
        "SELECT id, dataset_id, kind, scope, series, from_partition, to_partition, answered_by, \
         answered_at, reason, withdrawn_by, withdrawn_at, withdrawn_reason FROM feedback "
    };
}

const BY_ID: &str = concat!(columns!(), "WHERE id = ?1");
const OF_DATASET: &str = concat!(
    columns!(),
    "WHERE dataset_id = ?1 ORDER BY withdrawn_at IS NULL DESC, answered_at DESC, id DESC LIMIT ?2"
);

fn answered(cells: &Cells<'_>) -> Result<Answered, StoreError> {
    let withdrawn = cells.time_or_none("withdrawn_at")?.map(|at| {
        Ok::<_, StoreError>(Withdrawal {
            at,
            by: cells.text("withdrawn_by")?,
            reason: cells.text("withdrawn_reason")?,
        })
    });
    Ok(Answered {
        id: cells.word("id")?,
        dataset: cells.dataset("dataset_id")?,
        kind: cells.word("kind")?,
        scope: cells.json("scope")?,
        series: cells.get("series")?,
        from: PartitionKey(cells.text("from_partition")?),
        to: cells
            .get::<Option<String>>("to_partition")?
            .map(PartitionKey),
        by: cells.text("answered_by")?,
        at: cells.time("answered_at")?,
        reason: cells.text("reason")?,
        withdrawn: withdrawn.transpose()?,
    })
}

async fn by_id(tx: &mut Tx<'_>, id: FeedbackId) -> Result<Option<Answered>, Stop> {
    let row = sqlx::query(BY_ID)
        .bind(id.to_string())
        .fetch_optional(&mut *tx.connection)
        .await?;
    let what = "feedback";
    let found = row.map(|row| answered(&Cells { row: &row, what }));
    Ok(found.transpose()?)
}

/// Keeps an answer; gives it as it is kept.
pub(super) async fn keep(tx: &mut Tx<'_>, new: &Answered) -> Result<Answered, Stop> {
    if let Some(known) = by_id(tx, new.id).await? {
        return if another(&known, new) {
            Err(Stop::Store(taken(new)))
        } else {
            Ok(known)
        };
    }
    let in_force: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM feedback WHERE dataset_id = ?1 AND withdrawn_at IS NULL",
    )
    .bind(new.dataset.as_str())
    .fetch_one(&mut *tx.connection)
    .await?;
    if in_force >= i64::from(IN_FORCE_MAX) {
        return Err(Stop::Store(full(&new.dataset)));
    }
    sqlx::query(
        "INSERT INTO feedback (id, dataset_id, kind, scope, series, from_partition, to_partition, \
         answered_by, answered_at, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )
    .bind(new.id.to_string())
    .bind(new.dataset.as_str())
    .bind(new.kind.as_str())
    .bind(changes::json("feedback", &new.scope)?)
    .bind(new.series.as_deref())
    .bind(new.from.as_str())
    .bind(new.to.as_ref().map(PartitionKey::as_str))
    .bind(&new.by)
    .bind(micros(new.at))
    .bind(&new.reason)
    .execute(&mut *tx.connection)
    .await?;
    let kept = by_id(tx, new.id).await?;
    kept.ok_or_else(|| Stop::Store(StoreError::Unknown("an answer is not there".into())))
}

/// Withdraws an answer; gives it as it is then.
pub(super) async fn withdraw(
    tx: &mut Tx<'_>,
    dataset: &DatasetId,
    id: FeedbackId,
    how: &Withdrawal,
) -> Result<Option<Answered>, Stop> {
    sqlx::query(
        "UPDATE feedback SET withdrawn_by = ?3, withdrawn_at = ?4, withdrawn_reason = ?5 \
         WHERE id = ?1 AND dataset_id = ?2 AND withdrawn_at IS NULL",
    )
    .bind(id.to_string())
    .bind(dataset.as_str())
    .bind(&how.by)
    .bind(micros(how.at))
    .bind(&how.reason)
    .execute(&mut *tx.connection)
    .await?;
    let found = by_id(tx, id).await?;
    Ok(found.filter(|answer| answer.dataset == *dataset))
}

#[async_trait]
impl Feedback for SqliteStore {
    async fn keep_feedback(&self, epoch: Epoch, answer: &Answered) -> Result<Answered, StoreError> {
        let operation = Operation::KeepFeedback(epoch, Box::new(answer.clone()));
        match self.ask(operation).await? {
            Reply::Answered(Some(kept)) => Ok(*kept),
            _ => super::jobs::mismatch(),
        }
    }

    async fn withdraw_feedback(
        &self,
        epoch: Epoch,
        dataset: &DatasetId,
        id: FeedbackId,
        how: &Withdrawal,
    ) -> Result<Option<Answered>, StoreError> {
        let operation = Operation::WithdrawFeedback(epoch, dataset.clone(), id, how.clone());
        match self.ask(operation).await? {
            Reply::Answered(found) => Ok(found.map(|found| *found)),
            _ => super::jobs::mismatch(),
        }
    }

    async fn feedback(&self, dataset: &DatasetId, limit: u32) -> Result<Vec<Answered>, StoreError> {
        let query = sqlx::query(OF_DATASET)
            .bind(dataset.as_str())
            .bind(i64::from(limit));
        self.list(query, "feedback", answered).await
    }
}
