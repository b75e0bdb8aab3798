//! What people are told: the port [`NoticeStore`] on Postgres.
//!
//! Comes in: rows of a decision as JSON, and questions. Goes out: what is stored. It must never hold
//! a transaction itself: each write is one function of the database.

use assay_model::ids::{DatasetId, Epoch};
use assay_model::notice::{
    Alert, Cause, CauseEvent, Delivery, EVALUATION, Notices, Subscription, Told,
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::calls::{Call, Reply};
use super::jobs::mismatch;
use super::rows::{Cells, spell_all, unspelt_json};
use super::{PostgresStore, reads};
use crate::error::StoreError;
use crate::notices::{
    Adrift, AlertFilter, CauseFilter, DeliveryFilter, NoticeStore, OpenCauses, rows,
};
use crate::values::{corrupt, int, micros};

macro_rules! delivery_columns {
    () => {
        "id, subscription_id, cause_id, dataset_id, kind, event::text AS event, created_at, state, \
         attempts, next_at, ended_at, error"
    };
}

/// $1 epoch, $2 at, $3 until, $4 limit.
const CLAIM: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM claim_deliveries($1, $2, $3, $4)"
);

/// Writes a decision.
pub(super) async fn settle(
    connection: &mut PgConnection,
    epoch: Epoch,
    rows: &str,
) -> Result<(), sqlx::Error> {
    let settled = sqlx::query("SELECT settle_notices($1, $2::text::jsonb)")
        .bind(int(epoch.0))
        .bind(rows)
        .execute(connection);
    settled.await.map(drop)
}

/// Takes messages for an attempt.
pub(super) async fn claim(
    connection: &mut PgConnection,
    epoch: Epoch,
    (at, until): (i64, i64),
    limit: u32,
) -> Result<Vec<PgRow>, sqlx::Error> {
    let claimed = sqlx::query(CLAIM)
        .bind(int(epoch.0))
        .bind(at)
        .bind(until)
        .bind(i64::from(limit))
        .fetch_all(connection);
    claimed.await
}

/// $1 limit, $2 id, $3 dataset, $4 only open ones, $5 due.
const CAUSES: &str = "SELECT doc::text AS doc FROM cause WHERE ($2::uuid IS NULL OR id = $2) \
     AND ($3::text IS NULL OR dataset_id = $3) AND (NOT $4 OR NOT is_resolved) \
     AND ($5::bigint IS NULL OR wake_at <= instant($5)) \
     ORDER BY is_resolved, opened_at DESC, id LIMIT $1";

/// $1 the dimension of operators.
const OPEN_CAUSES: &str = "SELECT dataset_id, severity, dimension = $1 AS of_operators, \
     count(*) AS causes FROM cause WHERE NOT is_resolved GROUP BY 1, 2, 3";

/// $1 cause, $2 limit.
const EVENTS: &str = "SELECT cause_id, at, kind, by_whom, detail FROM (SELECT * FROM cause_event \
     WHERE cause_id = $1 ORDER BY seq DESC LIMIT $2) e ORDER BY seq";

/// $1 limit.
const STRAYS: &str = "SELECT i.id, i.dataset_id, i.check_id, i.column_name, i.severity, i.status, \
     coalesce(l.series, '') AS series, i.first_partition, i.last_partition, i.partitions, \
     i.message, i.opened_at, i.updated_at, i.resolved_at FROM incident i LEFT JOIN ledger l \
     ON l.dataset_id = i.dataset_id AND l.partition = i.first_partition WHERE NOT i.is_resolved \
     AND EXISTS (SELECT 1 FROM outbox o \
     WHERE o.key = i.id::text || ':incident.opened:' || micros(i.opened_at)::text \
     AND o.sent_at IS NOT NULL) \
     AND NOT EXISTS (SELECT 1 FROM cause_member m WHERE m.incident_id = i.id) LIMIT $1";

/// $1 limit.
const GHOSTS: &str = "SELECT m.incident_id FROM cause_member m JOIN incident i \
     ON i.id = m.incident_id AND i.is_resolved WHERE NOT EXISTS (SELECT 1 FROM outbox o \
     WHERE o.sent_at IS NULL AND o.dataset_id = i.dataset_id) LIMIT $1";

/// $1 dataset.
const SUBSCRIPTIONS: &str = "SELECT doc::text AS doc FROM subscription \
     WHERE $1::text IS NULL OR dataset_id IS NULL OR dataset_id = $1 ORDER BY id";

/// $1 causes.
const TOLD: &str = "SELECT doc::text AS doc FROM told WHERE cause_id = ANY ($1) \
     ORDER BY cause_id, subscription_id";

/// $1 limit, $2 key, $3 due.
const ALERTS: &str = "SELECT doc::text AS doc FROM alert WHERE ($2::text IS NULL OR key = $2) \
     AND ($3::bigint IS NULL OR wake_at <= instant($3)) ORDER BY key LIMIT $1";

/// $1 limit, $2 id, $3 subscriptions, $4 state.
const DELIVERIES: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery WHERE ($2::uuid IS NULL OR id = $2) \
     AND ($3::uuid[] IS NULL OR subscription_id = ANY ($3)) AND ($4::text IS NULL OR state = $4) \
     ORDER BY created_at DESC, id LIMIT $1"
);

/// $1 subscriptions.
const NEWEST: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery WHERE id IN (SELECT n.id FROM unnest($1::uuid[]) AS s (id) CROSS JOIN LATERAL \
     (SELECT d.id FROM delivery d WHERE d.subscription_id = s.id \
     ORDER BY d.created_at DESC, d.id LIMIT 1) n)"
);

/// The value of a document, as it was before its texts were spelt for Postgres.
fn document<T: DeserializeOwned>(cells: &Cells<'_>, column: &str) -> Result<T, StoreError> {
    let text: &str = cells.get(column)?;
    serde_json::from_str(&unspelt_json(text)).map_err(|e| corrupt(cells.what, e))
}

fn delivery(cells: &Cells<'_>) -> Result<Delivery, StoreError> {
    let dataset = cells.text_or_none("dataset_id")?;
    let dataset = dataset.map(|text| DatasetId::new(text).map_err(|e| corrupt("delivery", e)));
    Ok(Delivery {
        id: cells.get("id")?,
        subscription: cells.get("subscription_id")?,
        kind: cells.word("kind")?,
        dataset: dataset.transpose()?,
        cause: cells.get("cause_id")?,
        event: document(cells, "event")?,
        created_at: cells.time("created_at")?,
        state: cells.word("state")?,
        attempts: cells.number("attempts")?,
        next_at: cells.time_or_none("next_at")?,
        ended_at: cells.time_or_none("ended_at")?,
        error: cells.text_or_none("error")?,
    })
}

/// Deliveries of rows.
pub(super) fn deliveries(rows: &[PgRow]) -> Result<Vec<Delivery>, StoreError> {
    let what = "delivery";
    rows.iter()
        .map(|row| delivery(&Cells { row, what }))
        .collect()
}

#[async_trait]
impl NoticeStore for PostgresStore {
    async fn settle(
        &self,
        epoch: Epoch,
        notices: &Notices,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut rows = rows(notices, at)?;
        spell_all(&mut rows);
        let call = Call::Settle(epoch, rows.to_string());
        match self.inner.leader.ask(call).await? {
            Reply::Done => Ok(()),
            _ => mismatch(),
        }
    }

    async fn claim(
        &self,
        epoch: Epoch,
        at: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let call = Call::Claim(epoch, micros(at), micros(until), limit);
        match self.inner.leader.ask(call).await? {
            Reply::Deliveries(taken) => Ok(taken),
            _ => mismatch(),
        }
    }

    async fn causes(&self, filter: &CauseFilter) -> Result<Vec<Cause>, StoreError> {
        let query = sqlx::query(CAUSES)
            .bind(i64::from(filter.limit))
            .bind(filter.id)
            .bind(filter.dataset.as_ref().map(DatasetId::as_str))
            .bind(filter.open)
            .bind(filter.due.map(micros));
        self.list(query, "incident", |cells| document(cells, "doc"))
            .await
    }

    async fn open_causes(&self) -> Result<Vec<OpenCauses>, StoreError> {
        let query = sqlx::query(OPEN_CAUSES).bind(EVALUATION);
        self.list(query, "incident", |cells| {
            Ok(OpenCauses {
                dataset: cells.dataset("dataset_id")?,
                severity: cells.word("severity")?,
                of_operators: cells.get("of_operators")?,
                count: cells.number("causes")?,
            })
        })
        .await
    }

    async fn cause_events(&self, cause: Uuid, limit: u32) -> Result<Vec<CauseEvent>, StoreError> {
        let query = sqlx::query(EVENTS).bind(cause).bind(i64::from(limit));
        self.list(query, "incident", |cells| {
            Ok(CauseEvent {
                cause: cells.get("cause_id")?,
                at: cells.time("at")?,
                kind: cells.text("kind")?,
                by: cells.text("by_whom")?,
                detail: cells.text("detail")?,
            })
        })
        .await
    }

    async fn adrift(&self, limit: u32) -> Result<Adrift, StoreError> {
        let strays = sqlx::query(STRAYS).bind(i64::from(limit));
        let ghosts = sqlx::query(GHOSTS).bind(i64::from(limit));
        Ok(Adrift {
            strays: self.list(strays, "incident", reads::incident).await?,
            ghosts: self
                .list(ghosts, "incident", |cells| cells.get("incident_id"))
                .await?,
        })
    }

    async fn subscriptions(
        &self,
        dataset: Option<&DatasetId>,
    ) -> Result<Vec<Subscription>, StoreError> {
        let query = sqlx::query(SUBSCRIPTIONS).bind(dataset.map(DatasetId::as_str));
        self.list(query, "subscription", |cells| document(cells, "doc"))
            .await
    }

    async fn told(&self, causes: &[Uuid]) -> Result<Vec<Told>, StoreError> {
        let query = sqlx::query(TOLD).bind(causes);
        self.list(query, "message", |cells| document(cells, "doc"))
            .await
    }

    async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let query = sqlx::query(ALERTS)
            .bind(i64::from(filter.limit))
            .bind(filter.key.as_deref())
            .bind(filter.due.map(micros));
        self.list(query, "alert", |cells| document(cells, "doc"))
            .await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(DELIVERIES)
            .bind(i64::from(filter.limit))
            .bind(filter.id)
            .bind(filter.to.as_deref())
            .bind(filter.state.map(|state| state.as_str()));
        self.list(query, "delivery", delivery).await
    }

    async fn newest_deliveries(&self, to: &[Uuid]) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(NEWEST).bind(to);
        self.list(query, "delivery", delivery).await
    }
}
