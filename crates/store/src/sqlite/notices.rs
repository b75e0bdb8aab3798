//! What people are told: the port [`NoticeStore`] on SQLite.
//!
//! Comes in: rows of a decision as JSON, and questions. Goes out: what is stored. It must never keep
//! half of a decision, or count an attempt of a message that another one is at.

use assay_model::ids::{DatasetId, Epoch};
use assay_model::notice::{
    Alert, Cause, CauseEvent, Delivery, EVALUATION, Notices, Subscription, Told,
};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::jobs::mismatch;
use super::rows::{Cells, corrupt, int, micros};
use super::writer::{Operation, Reply, Stop, Tx};
use super::{SqliteStore, reads};
use crate::error::StoreError;
use crate::notices::{
    Adrift, AlertFilter, CauseFilter, DeliveryFilter, NoticeStore, OpenCauses, rows,
};

/// A claim: from, until, how many.
pub(super) struct Claim {
    at: Timestamp,
    until: Timestamp,
    limit: u32,
}

/// The statements of a decision, in their order; each takes the rows as ?1.
const SETTLE: &[&str] = &[
    "INSERT INTO cause (id, dataset_id, dimension, column_name, status, severity, opened_at, \
     wake_at, doc) SELECT value ->> 'id', value ->> 'dataset', value ->> 'dimension', \
     value ->> 'column', value ->> 'status', value ->> 'severity', value ->> 'opened', \
     value ->> 'wake', value -> 'doc' FROM json_each(?1, '$.causes') WHERE true \
     ON CONFLICT (id) DO UPDATE SET status = excluded.status, severity = excluded.severity, \
     opened_at = excluded.opened_at, wake_at = excluded.wake_at, doc = excluded.doc",
    "DELETE FROM cause_member WHERE cause_id IN \
     (SELECT value ->> 'id' FROM json_each(?1, '$.causes'))",
    "INSERT INTO cause_member (incident_id, cause_id) SELECT m.value, c.value ->> 'id' \
     FROM json_each(?1, '$.causes') c CROSS JOIN json_each(c.value, '$.members') m \
     WHERE EXISTS (SELECT 1 FROM incident i WHERE i.id = m.value) \
     ON CONFLICT (incident_id) DO UPDATE SET cause_id = excluded.cause_id",
    "INSERT INTO cause_event (cause_id, at, kind, by_whom, detail) SELECT value ->> 'cause', \
     value ->> 'at', value ->> 'kind', value ->> 'by', value ->> 'detail' \
     FROM json_each(?1, '$.events') ORDER BY key",
    "UPDATE incident SET status = 'resolved', resolved_at = ?1 ->> '$.at', \
     updated_at = ?1 ->> '$.at' WHERE status <> 'resolved' \
     AND id IN (SELECT value FROM json_each(?1, '$.resolved'))",
    "UPDATE incident SET status = 'acknowledged' WHERE status = 'open' \
     AND id IN (SELECT value FROM json_each(?1, '$.acknowledged'))",
    "INSERT INTO subscription (id, dataset_id, live, removed, doc) SELECT value ->> 'id', \
     value ->> 'dataset', value ->> 'live', value ->> 'removed', value -> 'doc' \
     FROM json_each(?1, '$.subscriptions') WHERE true ON CONFLICT (id) DO UPDATE \
     SET live = excluded.live, removed = excluded.removed, doc = excluded.doc",
    "UPDATE delivery SET state = 'dead', next_at = NULL, claim_epoch = NULL, claim_until = NULL, \
     ended_at = ?1 ->> '$.at', error = 'the subscription was removed' WHERE state = 'pending' \
     AND subscription_id IN (SELECT value ->> 'id' FROM json_each(?1, '$.subscriptions') \
     WHERE value ->> 'removed')",
    "INSERT INTO told (cause_id, subscription_id, doc) SELECT value ->> 'cause', \
     value ->> 'subscription', value -> 'doc' FROM json_each(?1, '$.told') WHERE true \
     ON CONFLICT (cause_id, subscription_id) DO UPDATE SET doc = excluded.doc",
    "INSERT INTO alert (key, at, wake_at, doc) SELECT value ->> 'key', value ->> 'at', \
     value ->> 'wake', value -> 'doc' FROM json_each(?1, '$.alerts') WHERE true \
     ON CONFLICT (key) DO UPDATE SET at = excluded.at, wake_at = excluded.wake_at, \
     doc = excluded.doc",
    "INSERT INTO delivery (id, subscription_id, cause_id, dataset_id, kind, event, created_at, \
     state, attempts, next_at) SELECT value ->> 'id', value ->> 'subscription', \
     value ->> 'cause', value ->> 'dataset', value ->> 'kind', value -> 'event', \
     value ->> 'created', 'pending', 0, value ->> 'created' \
     FROM json_each(?1, '$.deliveries') WHERE true ON CONFLICT (id) DO NOTHING",
    "UPDATE delivery SET state = r.value ->> 'state', next_at = r.value ->> 'next', \
     claim_epoch = NULL, claim_until = NULL, error = r.value ->> 'error', \
     ended_at = CASE WHEN r.value ->> 'state' = 'pending' THEN NULL ELSE ?1 ->> '$.at' END \
     FROM json_each(?1, '$.reports') r WHERE delivery.id = r.value ->> 'delivery' \
     AND delivery.state = 'pending' AND delivery.attempts = r.value ->> 'attempt'",
    "UPDATE delivery SET state = 'pending', attempts = 0, next_at = ?1 ->> '$.at', \
     claim_epoch = NULL, claim_until = NULL, ended_at = NULL, error = NULL \
     WHERE state <> 'pending' AND id IN (SELECT value FROM json_each(?1, '$.again'))",
    "DELETE FROM delivery WHERE state <> 'pending' AND ended_at < ?1 ->> '$.forget'",
    "DELETE FROM alert WHERE wake_at IS NULL AND at < ?1 ->> '$.forget'",
    "UPDATE outbox SET sent_at = max(?1 ->> '$.at', created_at) WHERE sent_at IS NULL \
     AND key IN (SELECT value FROM json_each(?1, '$.handled'))",
    // That a partition was judged is not kept once it is told.
    "DELETE FROM outbox WHERE event = 'partition.finished' \
     AND key IN (SELECT value FROM json_each(?1, '$.handled'))",
];

/// Writes a decision.
pub(super) async fn settle(tx: &mut Tx<'_>, rows: &str) -> Result<(), Stop> {
    for statement in SETTLE {
        sqlx::query(*statement)
            .bind(rows)
            .execute(&mut *tx.connection)
            .await?;
    }
    Ok(())
}

macro_rules! delivery_columns {
    () => {
        "id, subscription_id, cause_id, dataset_id, kind, event, created_at, state, attempts, \
         next_at, ended_at, error"
    };
}

/// ?1 epoch, ?2 at, ?3 until, ?4 limit.
const CLAIM: &str = concat!(
    "UPDATE delivery SET attempts = attempts + 1, claim_epoch = ?1, claim_until = ?3 \
     WHERE id IN (SELECT id FROM (SELECT w.id, w.next_at, row_number() OVER \
     (PARTITION BY w.subscription_id ORDER BY w.next_at, w.created_at, w.id) AS place \
     FROM delivery w JOIN subscription s ON s.id = w.subscription_id AND s.live \
     WHERE w.state = 'pending' AND w.next_at <= ?2 AND NOT EXISTS (SELECT 1 FROM delivery o \
     WHERE o.subscription_id = w.subscription_id AND o.state = 'pending' \
     AND o.claim_epoch = ?1 AND o.claim_until > ?2) AND NOT EXISTS (SELECT 1 FROM delivery e \
     WHERE e.subscription_id = w.subscription_id AND e.state = 'pending' \
     AND e.cause_id = w.cause_id AND (e.created_at, e.id) < (w.created_at, w.id))) \
     WHERE place = 1 ORDER BY next_at LIMIT ?4) \
     RETURNING ",
    delivery_columns!()
);

/// Takes messages for an attempt.
pub(super) async fn claim(
    tx: &mut Tx<'_>,
    epoch: Epoch,
    claim: &Claim,
) -> Result<Vec<Delivery>, Stop> {
    let taken: Vec<SqliteRow> = sqlx::query(CLAIM)
        .bind(int(epoch.0))
        .bind(micros(claim.at))
        .bind(micros(claim.until))
        .bind(i64::from(claim.limit))
        .fetch_all(&mut *tx.connection)
        .await?;
    let what = "delivery";
    let read = taken.iter().map(|row| delivery(&Cells { row, what }));
    Ok(read.collect::<Result<_, _>>()?)
}

fn id(cells: &Cells<'_>, column: &str) -> Result<Uuid, StoreError> {
    cells.word(column)
}

fn delivery(cells: &Cells<'_>) -> Result<Delivery, StoreError> {
    let dataset: Option<String> = cells.get("dataset_id")?;
    let dataset = dataset.map(|text| DatasetId::new(text).map_err(|e| corrupt("delivery", e)));
    Ok(Delivery {
        id: id(cells, "id")?,
        subscription: id(cells, "subscription_id")?,
        kind: cells.word("kind")?,
        dataset: dataset.transpose()?,
        cause: cells.word_or_none("cause_id")?,
        event: cells.json("event")?,
        created_at: cells.time("created_at")?,
        state: cells.word("state")?,
        attempts: cells.number("attempts")?,
        next_at: cells.time_or_none("next_at")?,
        ended_at: cells.time_or_none("ended_at")?,
        error: cells.get("error")?,
    })
}

/// ?1 limit, ?2 id, ?3 dataset, ?4 only open ones, ?5 due.
const CAUSES: &str = "SELECT doc FROM cause WHERE (?2 IS NULL OR id = ?2) \
     AND (?3 IS NULL OR dataset_id = ?3) AND (NOT ?4 OR NOT is_resolved) \
     AND (?5 IS NULL OR wake_at <= ?5) ORDER BY is_resolved, opened_at DESC, id LIMIT ?1";

/// ?1 the dimension of operators.
const OPEN_CAUSES: &str = "SELECT dataset_id, severity, dimension = ?1 AS of_operators, \
     count(*) AS causes FROM cause WHERE is_resolved = 0 GROUP BY 1, 2, 3";

/// ?1 cause, ?2 limit.
const EVENTS: &str = "SELECT cause_id, at, kind, by_whom, detail FROM (SELECT * FROM cause_event \
     WHERE cause_id = ?1 ORDER BY seq DESC LIMIT ?2) ORDER BY seq";

/// ?1 limit.
const STRAYS: &str = "SELECT i.id, i.dataset_id, i.check_id, i.column_name, i.severity, i.status, \
     coalesce(l.series, '') AS series, i.first_partition, i.last_partition, i.partitions, \
     i.message, i.opened_at, i.updated_at, i.resolved_at FROM incident i LEFT JOIN ledger l \
     ON l.dataset_id = i.dataset_id AND l.partition = i.first_partition WHERE i.is_resolved = 0 \
     AND EXISTS (SELECT 1 FROM outbox o WHERE o.key = i.id || ':incident.opened:' || i.opened_at \
     AND o.sent_at IS NOT NULL) \
     AND NOT EXISTS (SELECT 1 FROM cause_member m WHERE m.incident_id = i.id) LIMIT ?1";

/// ?1 limit.
const GHOSTS: &str = "SELECT m.incident_id FROM cause_member m JOIN incident i \
     ON i.id = m.incident_id AND i.is_resolved = 1 WHERE NOT EXISTS (SELECT 1 FROM outbox o \
     WHERE o.sent_at IS NULL AND o.dataset_id = i.dataset_id) LIMIT ?1";

/// ?1 dataset.
const SUBSCRIPTIONS: &str = "SELECT doc FROM subscription \
     WHERE ?1 IS NULL OR dataset_id IS NULL OR dataset_id = ?1 ORDER BY id";

/// ?1 causes.
const TOLD: &str = "SELECT t.doc FROM json_each(?1) c CROSS JOIN told t \
     ON t.cause_id = c.value ORDER BY t.cause_id, t.subscription_id";

/// ?1 limit, ?2 key, ?3 due.
const ALERTS: &str = "SELECT doc FROM alert WHERE (?2 IS NULL OR key = ?2) \
     AND (?3 IS NULL OR wake_at <= ?3) ORDER BY key LIMIT ?1";

/// ?1 limit, ?2 id, ?3 subscription, ?4 state.
const DELIVERIES: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery WHERE (?2 IS NULL OR id = ?2) AND (?3 IS NULL OR subscription_id = ?3) \
     AND (?4 IS NULL OR state = ?4) ORDER BY created_at DESC, id LIMIT ?1"
);

/// ?1 subscriptions.
const NEWEST: &str = concat!(
    "SELECT ",
    delivery_columns!(),
    " FROM delivery WHERE id IN (SELECT (SELECT d.id FROM delivery d \
     WHERE d.subscription_id = s.value ORDER BY d.created_at DESC, d.id LIMIT 1) \
     FROM json_each(?1) s)"
);

#[async_trait]
impl NoticeStore for SqliteStore {
    async fn settle(
        &self,
        epoch: Epoch,
        notices: &Notices,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let rows = rows(notices, at)?.to_string();
        match self.ask(Operation::Settle(epoch, rows)).await? {
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
        let claim = Claim { at, until, limit };
        match self.ask(Operation::Claim(epoch, claim)).await? {
            Reply::Deliveries(taken) => Ok(taken),
            _ => mismatch(),
        }
    }

    async fn causes(&self, filter: &CauseFilter) -> Result<Vec<Cause>, StoreError> {
        let query = sqlx::query(CAUSES)
            .bind(i64::from(filter.limit))
            .bind(filter.id.map(|id| id.to_string()))
            .bind(filter.dataset.as_ref().map(DatasetId::as_str))
            .bind(filter.open)
            .bind(filter.due.map(micros));
        self.list(query, "incident", |cells| cells.json("doc"))
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
        let query = sqlx::query(EVENTS)
            .bind(cause.to_string())
            .bind(i64::from(limit));
        self.list(query, "incident", |cells| {
            Ok(CauseEvent {
                cause: id(cells, "cause_id")?,
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
                .list(ghosts, "incident", |cells| id(cells, "incident_id"))
                .await?,
        })
    }

    async fn subscriptions(
        &self,
        dataset: Option<&DatasetId>,
    ) -> Result<Vec<Subscription>, StoreError> {
        let query = sqlx::query(SUBSCRIPTIONS).bind(dataset.map(DatasetId::as_str));
        self.list(query, "subscription", |cells| cells.json("doc"))
            .await
    }

    async fn told(&self, causes: &[Uuid]) -> Result<Vec<Told>, StoreError> {
        let causes = serde_json::to_string(causes).map_err(|e| corrupt("list of causes", e))?;
        let query = sqlx::query(TOLD).bind(causes);
        self.list(query, "message", |cells| cells.json("doc")).await
    }

    async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError> {
        let query = sqlx::query(ALERTS)
            .bind(i64::from(filter.limit))
            .bind(filter.key.as_deref())
            .bind(filter.due.map(micros));
        self.list(query, "alert", |cells| cells.json("doc")).await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(DELIVERIES)
            .bind(i64::from(filter.limit))
            .bind(filter.id.map(|id| id.to_string()))
            .bind(filter.subscription.map(|id| id.to_string()))
            .bind(filter.state.map(|state| state.as_str()));
        self.list(query, "delivery", delivery).await
    }

    async fn newest_deliveries(&self, to: &[Uuid]) -> Result<Vec<Delivery>, StoreError> {
        let to = serde_json::to_string(to).map_err(|e| corrupt("delivery", e))?;
        let query = sqlx::query(NEWEST).bind(to);
        self.list(query, "delivery", delivery).await
    }
}
