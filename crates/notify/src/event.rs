//! Events as they are sent: CloudEvents 1.0, structured, in JSON.
//!
//! Comes in: a cause, a judged partition or a wish for a test, who is told, and what this cluster
//! calls itself. Goes out: the event. Pure. It must never hold a value of a row or a secret.

use assay_model::dataset::Dataset;
use assay_model::notice::{Alert, Cause, Delivery, NoticeKind, Subscription};
use assay_model::part::part;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// What this cluster calls itself in what it sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The cluster (`staging`).
    pub cluster: String,
    /// The address of its pages, without a slash at the end; absent: events have no links.
    pub pages: Option<String>,
    /// What types of events begin with (`assay`, or a domain of the team read backwards).
    pub prefix: String,
}

impl Default for Origin {
    fn default() -> Self {
        Self {
            cluster: "assay".to_owned(),
            pages: None,
            prefix: "assay".to_owned(),
        }
    }
}

impl Origin {
    fn source(&self) -> String {
        match &self.pages {
            Some(pages) => format!("{pages}/clusters/{}", self.cluster),
            None => format!("urn:assay:{}", self.cluster),
        }
    }

    fn envelope(&self, id: Uuid, kind: &str, subject: &str, at: Timestamp) -> Map<String, Value> {
        let mut event = Map::new();
        let mut put = |key: &str, value: String| event.insert(key.to_owned(), value.into());
        put("specversion", "1.0".to_owned());
        put("id", id.simple().to_string());
        put("source", self.source());
        put("type", format!("{}.{kind}.v1", self.prefix));
        put("subject", subject.to_owned());
        put("time", at.to_string());
        put("datacontenttype", "application/json".to_owned());
        event
    }
}

/// The type of an event without its prefix and version.
pub(crate) const fn type_of(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Opened => "incident.opened",
        NoticeKind::Escalated => "incident.escalated",
        NoticeKind::StillOpen => "incident.still_open",
        NoticeKind::Resolved => "incident.resolved",
        NoticeKind::Finished => "partition.finished",
        NoticeKind::Test => "subscription.test",
        NoticeKind::RunFailed => "run.failed",
        NoticeKind::NodeLost => "node.lost",
        NoticeKind::DatasetStale => "dataset.stale",
    }
}

fn of_dataset(dataset: Option<&Dataset>, id: &str) -> Value {
    json!({
        "id": id,
        "version": dataset.map(|d| d.version.as_str()),
        "name": dataset.and_then(|d| d.name.as_deref()),
        "owner": dataset.and_then(|d| d.owner.as_deref()),
    })
}

/// What people read first.
fn headline(cause: &Cause, kind: NoticeKind) -> String {
    let message = &cause.finding.message;
    match (kind, &cause.resolved_by) {
        (NoticeKind::Resolved, Some(by)) => format!("resolved by {by}: {message}"),
        (NoticeKind::Resolved, None) => format!("in order again: {message}"),
        (NoticeKind::StillOpen, _) => format!("still open: {message}"),
        (NoticeKind::Escalated, _) => format!("graver: {message}"),
        (NoticeKind::Opened, _) if !cause.is_open() => {
            format!("{message} (and was in order again before this was told)")
        }
        _ => message.clone(),
    }
}

/// The message to a subscription that a cause stands as it does.
#[must_use]
pub fn of_cause(
    origin: &Origin,
    id: Uuid,
    kind: NoticeKind,
    cause: &Cause,
    dataset: Option<&Dataset>,
    now: Timestamp,
) -> Value {
    let finding = &cause.finding;
    let subject = format!("datasets/{}/checks/{}", cause.dataset, finding.check);
    let mut event = origin.envelope(id, type_of(kind), &subject, now);
    event.insert("severity".to_owned(), cause.severity.as_str().into());
    event.insert("dataset".to_owned(), cause.dataset.as_str().into());
    let links = origin.pages.as_ref().map(|pages| {
        let incident = format!("{pages}/incidents/{}", cause.shown());
        let check = part(finding.check.as_str());
        json!({
            "mute": format!("{incident}?action=mute"),
            "incident": incident,
            "chart": format!("{pages}/datasets/{}/checks/{check}", cause.dataset),
        })
    });
    let checks: Vec<&str> = cause.members.iter().map(|m| m.check.as_str()).collect();
    let data = json!({
        "incident": {
            "id": cause.shown(),
            "status": cause.status,
            "severity": cause.severity,
            "openedAt": cause.opened_at,
            "resolvedAt": cause.resolved_at,
            "resolvedBy": cause.resolved_by,
            "failingChecks": checks,
            "occurrence": cause.episode,
            "assignee": cause.assignee,
            "groupKey": format!("{}/{}/{}", cause.dataset, cause.dimension, cause.column),
        },
        "dataset": of_dataset(dataset, cause.dataset.as_str()),
        "check": {
            "id": finding.check,
            "column": cause.column,
            "metric": finding.metric,
            "dimension": cause.dimension,
            "expected": finding.expected,
            "actual": finding.actual,
            "partition": finding.partition,
        },
        "links": links,
        "message": headline(cause, kind),
    });
    event.insert("data".to_owned(), data);
    Value::Object(event)
}

/// The message to an operator that an alert stands as it does.
#[must_use]
pub fn of_alert(
    origin: &Origin,
    id: Uuid,
    alert: &Alert,
    dataset: Option<&Dataset>,
    now: Timestamp,
) -> Value {
    let (page, subject) = match alert.detail["run"]["id"].as_str() {
        Some(run) => (
            format!("runs/{run}"),
            format!("datasets/{}/runs/{run}", alert.subject),
        ),
        None if alert.kind == NoticeKind::NodeLost => {
            let page = format!("nodes/{}", part(&alert.subject));
            (page, format!("nodes/{}", alert.subject))
        }
        None => {
            let dataset = format!("datasets/{}", alert.subject);
            (dataset.clone(), dataset)
        }
    };
    let mut event = origin.envelope(id, type_of(alert.kind), &subject, now);
    let severity = crate::alerts::severity(alert.kind);
    event.insert("severity".to_owned(), severity.as_str().into());
    let links = origin
        .pages
        .as_ref()
        .map(|pages| json!({ "page": format!("{pages}/{page}") }));
    let message = match alert.waiting {
        0 | 1 => alert.message.clone(),
        many => format!(
            "{} (the last of {many} since it was told last)",
            alert.message
        ),
    };
    let mut data = json!({ "occurrences": alert.waiting, "links": links, "message": message });
    if let Some(id) = &alert.dataset {
        event.insert("dataset".to_owned(), id.as_str().into());
        data["dataset"] = of_dataset(dataset, id.as_str());
    }
    for (name, value) in alert.detail.as_object().into_iter().flatten() {
        data[name.as_str()] = value.clone();
    }
    event.insert("data".to_owned(), data);
    Value::Object(event)
}

/// The message that a partition was judged; `body` is what the outbox says of it.
#[must_use]
pub fn of_finished(
    origin: &Origin,
    id: Uuid,
    dataset: (&str, Option<&Dataset>),
    body: &Value,
    now: Timestamp,
) -> Value {
    let partition = body["partition"].as_str().unwrap_or_default();
    let subject = format!("datasets/{}/partitions/{partition}", dataset.0);
    let mut event = origin.envelope(id, type_of(NoticeKind::Finished), &subject, now);
    event.insert("dataset".to_owned(), dataset.0.into());
    let counts = &body["counts"];
    let of = |outcome: &str| counts[outcome].as_u64().unwrap_or(0);
    let bad = of("fail") + of("warn") + of("error") + of("missing") + of("overflow");
    let message = match bad {
        0 => format!(
            "{}: partition {partition} was checked, nothing is wrong",
            dataset.0
        ),
        n => format!(
            "{}: partition {partition} was checked, {n} checks need a look",
            dataset.0
        ),
    };
    let data = json!({
        "dataset": of_dataset(dataset.1, dataset.0),
        "partition": partition,
        "version": body["version"],
        "sealed": body["sealed"],
        "run": body["run"],
        "counts": counts,
        "message": message,
    });
    event.insert("data".to_owned(), data);
    Value::Object(event)
}

/// A message that shows that messages come.
#[must_use]
pub fn of_test(origin: &Origin, id: Uuid, subscription: &Subscription, now: Timestamp) -> Value {
    let subject = format!("subscriptions/{}", subscription.shown());
    let mut event = origin.envelope(id, type_of(NoticeKind::Test), &subject, now);
    let data = json!({
        "subscription": subscription.shown(),
        "dataset": subscription.dataset,
        "message": "this is a test: messages of this subscription come here",
    });
    event.insert("data".to_owned(), data);
    Value::Object(event)
}

/// A new delivery of `event`, due at once.
#[must_use]
pub fn delivery(
    id: Uuid,
    subscription: &Subscription,
    kind: NoticeKind,
    event: Value,
    now: Timestamp,
) -> Delivery {
    use assay_model::notice::DeliveryState;
    Delivery {
        id,
        subscription: subscription.id,
        kind,
        dataset: subscription.dataset.clone(),
        cause: None,
        event,
        created_at: now,
        state: DeliveryState::Pending,
        attempts: 0,
        next_at: Some(now),
        ended_at: None,
        error: None,
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
