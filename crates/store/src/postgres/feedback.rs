//! What people answer back, in Postgres.
//!
//! Comes in: answers and withdrawals under the leader's epoch. Goes out: what is kept. It must never
//! change an answer but by withdrawing it once; the table refuses that, too.

use assay_model::feedback::{Answered, FeedbackId, Withdrawal};
use assay_model::ids::{DatasetId, Epoch};
use assay_model::partition::PartitionKey;
use async_trait::async_trait;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::PostgresStore;
use super::calls::{Call, Reply, Stop, fenced};
use super::rows::{Cells, spell_all, spelt, unspelt_json};
use crate::error::StoreError;
use crate::feedback::{Feedback, IN_FORCE_MAX, full, taken};
use crate::values::{corrupt, int};

/// The columns of an answer.
macro_rules! columns {
    () => {
        "SELECT id, dataset_id, kind, scope::text AS scope, series, from_partition, to_partition, \
         answered_by, answered_at, reason, withdrawn_by, withdrawn_at, withdrawn_reason \
         FROM feedback "
    };
}

const BY_ID: &str = concat!(columns!(), "WHERE id = $1");
const OF_DATASET: &str = concat!(
    columns!(),
    "WHERE dataset_id = $1 ORDER BY withdrawn_at IS NULL DESC, answered_at DESC, id DESC LIMIT $2"
);

fn answered(cells: &Cells<'_>) -> Result<Answered, StoreError> {
    let withdrawn = cells.time_or_none("withdrawn_at")?.map(|at| {
        Ok::<_, StoreError>(Withdrawal {
            at,
            by: cells.text("withdrawn_by")?,
            reason: cells.text("withdrawn_reason")?,
        })
    });
    let scope: String = cells.get("scope")?;
    let scope = unspelt_json(&scope);
    Ok(Answered {
        id: FeedbackId(cells.get::<Uuid>("id")?),
        dataset: cells.dataset("dataset_id")?,
        kind: cells.word("kind")?,
        scope: serde_json::from_str(&scope).map_err(|e| corrupt("feedback", e))?,
        series: cells.text_or_none("series")?,
        from: PartitionKey(cells.text("from_partition")?),
        to: cells.text_or_none("to_partition")?.map(PartitionKey),
        by: cells.text("answered_by")?,
        at: cells.time("answered_at")?,
        reason: cells.text("reason")?,
        withdrawn: withdrawn.transpose()?,
    })
}

/// Keeps or withdraws an answer; replies with it as it is then.
pub(super) async fn make(
    connection: &mut PgConnection,
    call: &Call,
) -> Result<Result<Reply, StoreError>, Stop> {
    let id = match call {
        Call::KeepFeedback(epoch, new) => {
            if let Err(refused) = keep(connection, *epoch, new).await? {
                return Ok(Err(refused));
            }
            new.id
        }
        Call::WithdrawFeedback(epoch, dataset, id, how) => {
            sqlx::query("SELECT withdraw_feedback($1, $2, $3, $4, $5)")
                .bind(int(epoch.0))
                .bind(dataset.as_str())
                .bind(id.0)
                .bind(spelt(&how.by).into_owned())
                .bind(spelt(&how.reason).into_owned())
                .execute(&mut *connection)
                .await
                .map_err(fenced(*epoch))?;
            *id
        }
        _ => return Ok(super::jobs::mismatch()),
    };
    let query = sqlx::query(BY_ID).bind(id.0);
    let row = query.fetch_optional(connection).await?;
    let what = "feedback";
    let found = row.map(|row| answered(&Cells { row: &row, what }));
    Ok(Ok(Reply::Answered(found.transpose()?.map(Box::new))))
}

/// Keeps an answer, or says why not.
async fn keep(
    connection: &mut PgConnection,
    epoch: Epoch,
    new: &Answered,
) -> Result<Result<(), StoreError>, Stop> {
    let mut body = json!({
        "id": new.id.0,
        "dataset": new.dataset,
        "kind": new.kind,
        "scope": new.scope,
        "series": new.series,
        "from": new.from,
        "to": new.to,
        "by": new.by,
        "reason": new.reason,
    });
    spell_all(&mut body);
    let said: String = sqlx::query_scalar("SELECT keep_feedback($1, $2, $3::text::jsonb)")
        .bind(int(epoch.0))
        .bind(i64::from(IN_FORCE_MAX))
        .bind(body.to_string())
        .fetch_one(connection)
        .await
        .map_err(fenced(epoch))?;
    Ok(match said.as_str() {
        "ok" | "already" => Ok(()),
        "another" => Err(taken(new)),
        "full" => Err(full(&new.dataset)),
        other => Err(corrupt("answer", other)),
    })
}

#[async_trait]
impl Feedback for PostgresStore {
    async fn keep_feedback(&self, epoch: Epoch, answer: &Answered) -> Result<Answered, StoreError> {
        let call = Call::KeepFeedback(epoch, Box::new(answer.clone()));
        match self.inner.leader.ask(call).await? {
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
        let call = Call::WithdrawFeedback(epoch, dataset.clone(), id, how.clone());
        match self.inner.leader.ask(call).await? {
            // The id may be of another dataset's, which is left as it is.
            Reply::Answered(found) => {
                let found = found.filter(|answer| answer.dataset == *dataset);
                Ok(found.map(|found| *found))
            }
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
