//! The port to what people are told: causes, subscriptions, messages on their way.
//!
//! Comes in: what the leader decided, all that belongs together at once. Goes out: the same to
//! whoever asks. Two writes, both fenced by the leader's epoch: [`NoticeStore::settle`] keeps a
//! decision with the messages that follow from it and with the mark that the outbox's message was
//! handled; [`NoticeStore::claim`] counts an attempt before it is made.

use assay_model::check::Severity;
use assay_model::ids::{DatasetId, Epoch};
use assay_model::incident::{Incident, OutboxEntry};
use assay_model::notice::{
    Alert, Cause, CauseEvent, Delivery, DeliveryState, Notices, Subscription, Told,
};
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::StoreError;
use crate::values::{corrupt, micros};

/// Which causes to read.
#[derive(Debug, Clone, Default)]
pub struct CauseFilter {
    /// Only this one.
    pub id: Option<Uuid>,
    /// Only of this dataset.
    pub dataset: Option<DatasetId>,
    /// Only those that are not resolved.
    pub open: bool,
    /// Only those that wake at this instant or before.
    pub due: Option<Timestamp>,
    /// At most so many, open ones first, then newest.
    pub limit: u32,
}

/// How many causes of a dataset are open that weigh the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCauses {
    /// The dataset.
    pub dataset: DatasetId,
    /// How bad they are.
    pub severity: Severity,
    /// Whether nothing is known of the data: see [`Cause::is_of_operators`].
    pub of_operators: bool,
    /// How many.
    pub count: u64,
}

/// Which alerts to read.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Only the one of this key.
    pub key: Option<String>,
    /// Only those that wake at this instant or before.
    pub due: Option<Timestamp>,
    /// At most so many, in the order of their keys.
    pub limit: u32,
}

/// Which deliveries to read.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only this one.
    pub id: Option<Uuid>,
    /// Only to these subscriptions.
    pub to: Option<Vec<Uuid>>,
    /// Only those that stand so.
    pub state: Option<DeliveryState>,
    /// At most so many, newest first.
    pub limit: u32,
}

/// Incidents of checks that the causes do not agree with, though every message about them was
/// handled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Adrift {
    /// Open, told, and of no cause.
    pub strays: Vec<Incident>,
    /// Resolved, and still of a cause.
    pub ghosts: Vec<Uuid>,
}

/// What people are told. Every list has a bound.
#[async_trait]
pub trait NoticeStore: Send + Sync {
    /// Writes all of `notices` in one transaction.
    async fn settle(
        &self,
        epoch: Epoch,
        notices: &Notices,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Takes up to `limit` messages that are due at `at` for an attempt that is counted: one of
    /// each subscription that is live and has none under way. They are in the hands of this epoch
    /// until they are reported, or `until` has passed. None while the outbox is held.
    async fn claim(
        &self,
        epoch: Epoch,
        at: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Causes.
    async fn causes(&self, filter: &CauseFilter) -> Result<Vec<Cause>, StoreError>;

    /// How many causes are open, of all datasets that have any, in no order: all of them are counted,
    /// however many there are.
    async fn open_causes(&self) -> Result<Vec<OpenCauses>, StoreError>;

    /// What happened to a cause, oldest first; of too many, the newest.
    async fn cause_events(&self, cause: Uuid, limit: u32) -> Result<Vec<CauseEvent>, StoreError>;

    /// What the causes do not agree with.
    async fn adrift(&self, limit: u32) -> Result<Adrift, StoreError>;

    /// Subscriptions for a dataset, those for all datasets among them (every one when it is
    /// `None`), removed ones too, in the order of their ids.
    async fn subscriptions(
        &self,
        dataset: Option<&DatasetId>,
    ) -> Result<Vec<Subscription>, StoreError>;

    /// What subscriptions were told of these causes.
    async fn told(&self, causes: &[Uuid]) -> Result<Vec<Told>, StoreError>;

    /// Alerts.
    async fn alerts(&self, filter: &AlertFilter) -> Result<Vec<Alert>, StoreError>;

    /// Deliveries.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;

    /// The newest delivery to each of these subscriptions that has one, in no order.
    async fn newest_deliveries(&self, to: &[Uuid]) -> Result<Vec<Delivery>, StoreError>;
}

/// The event of the outbox that a partition was judged.
pub const FINISHED: &str = "partition.finished";

/// Whether a message of the outbox is that a partition was judged.
#[must_use]
pub fn is_finished(entry: &OutboxEntry) -> bool {
    entry.event == FINISHED
}

fn doc(value: &impl serde::Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(value).map_err(|e| corrupt("notice", e))
}

fn alert_rows(alerts: &[Alert]) -> Result<Vec<Value>, StoreError> {
    let row = |alert: &Alert| {
        Ok(json!({
            "key": alert.key(), "at": micros(alert.at), "wake": alert.wake_at.map(micros),
            "doc": doc(alert)?,
        }))
    };
    alerts.iter().map(row).collect()
}

/// All of `notices` as both adapters write it.
pub(crate) fn rows(notices: &Notices, at: Timestamp) -> Result<Value, StoreError> {
    let mut causes = Vec::with_capacity(notices.causes.len());
    for cause in &notices.causes {
        let members: Vec<String> = cause
            .members
            .iter()
            .map(|m| m.incident.to_string())
            .collect();
        causes.push(json!({
            "id": cause.id, "dataset": cause.dataset, "dimension": cause.dimension,
            "column": cause.column, "status": cause.status, "severity": cause.severity,
            "opened": micros(cause.opened_at), "wake": cause.wake_at.map(micros),
            "members": members, "doc": doc(cause)?,
        }));
    }
    let events = notices.events.iter().map(|event| {
        json!({
            "cause": event.cause, "at": micros(event.at), "kind": event.kind, "by": event.by,
            "detail": event.detail,
        })
    });
    let mut subscriptions = Vec::with_capacity(notices.subscriptions.len());
    for subscription in &notices.subscriptions {
        subscriptions.push(json!({
            "id": subscription.id, "dataset": subscription.dataset,
            "live": subscription.is_live(), "removed": subscription.removed_at.is_some(),
            "doc": doc(subscription)?,
        }));
    }
    let mut told = Vec::with_capacity(notices.told.len());
    for one in &notices.told {
        told.push(json!({
            "cause": one.cause, "subscription": one.subscription, "doc": doc(one)?,
        }));
    }
    let deliveries = notices.deliveries.iter().map(|delivery| {
        json!({
            "id": delivery.id, "subscription": delivery.subscription, "cause": delivery.cause,
            "dataset": delivery.dataset, "kind": delivery.kind, "event": delivery.event,
            "created": micros(delivery.created_at),
        })
    });
    let reports = notices.reports.iter().map(|report| {
        json!({
            "delivery": report.delivery, "attempt": report.attempt, "state": report.state,
            "next": report.next_at.map(micros), "error": report.error,
        })
    });
    Ok(json!({
        "at": micros(at),
        "causes": causes,
        "events": events.collect::<Vec<_>>(),
        "subscriptions": subscriptions,
        "told": told,
        "alerts": alert_rows(&notices.alerts)?,
        "deliveries": deliveries.collect::<Vec<_>>(),
        "reports": reports.collect::<Vec<_>>(),
        "again": notices.again,
        "resolved": notices.resolved,
        "acknowledged": notices.acknowledged,
        "handled": notices.handled,
        "forget": notices.forget_before.map(micros),
    }))
}
