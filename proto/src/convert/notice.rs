//! Incidents by cause, subscriptions and deliveries.

use assay_model::check::Severity;
use assay_model::dataset::Credential;
use assay_model::notice::{
    Cause, CauseEvent, Delivery, NoticeKind, Subscription, SubscriptionOrigin, id_in, shown_as,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::bounds::{WireError, bounded, list, name, present, text, time_of, word};
use super::ids::dataset_id;
use crate::v1;

/// Bytes of an id with the word of its kind, at most.
const ID_BYTES_MAX: usize = 64;
/// Words of one filter, at most.
const FILTER_MAX: usize = 100;

/// The id in `inc_…` and the like.
///
/// # Errors
/// [`WireError`] when it is misspelt.
pub fn notice_id(kind: &'static str, value: String) -> Result<Uuid, WireError> {
    Ok(id_in(kind, &bounded("id", value, ID_BYTES_MAX)?)?)
}

/// A cause for the wire.
#[must_use]
pub fn cause_of(value: &Cause) -> v1::Cause {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    v1::Cause {
        id: value.shown(),
        dataset: value.dataset.to_string(),
        dimension: value.dimension.clone(),
        column: value.column.clone(),
        status: value.status.to_string(),
        severity: value.severity.to_string(),
        episode: value.episode,
        checks: value.members.iter().map(|m| m.check.to_string()).collect(),
        message: value.finding.message.clone(),
        partition: value.finding.partition.as_str().to_owned(),
        first_partition: value.first_partition.as_str().to_owned(),
        opened_at: Some(time_of(value.opened_at)),
        updated_at: Some(time_of(value.updated_at)),
        resolved_at: value.resolved_at.map(time_of),
        resolved_by: or_empty(&value.resolved_by),
        muted_until: value.muted_until.map(time_of),
        acknowledged_by: or_empty(&value.acknowledged_by),
        assignee: or_empty(&value.assignee),
        check: value.finding.check.to_string(),
        metric: value.finding.metric.clone(),
        actual: or_empty(&value.finding.actual),
        expected: value.finding.expected.clone(),
    }
}

/// What happened to a cause, for the wire.
#[must_use]
pub fn cause_event_of(value: &CauseEvent) -> v1::CauseEvent {
    v1::CauseEvent {
        at: Some(time_of(value.at)),
        kind: value.kind.clone(),
        by: value.by.clone(),
        detail: value.detail.clone(),
    }
}

/// A subscription for the wire, without what the store counts.
#[must_use]
pub fn subscription_of(value: &Subscription) -> v1::Subscription {
    v1::Subscription {
        id: value.shown(),
        dataset: value
            .dataset
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        origin: value.origin.to_string(),
        channel: value.channel.to_string(),
        target: value.target.clone(),
        secret: value
            .secret
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        operator: value.operator,
        severity: value.severity.to_string(),
        dimensions: value.dimensions.clone(),
        columns: value.columns.clone(),
        events: value.events.iter().map(ToString::to_string).collect(),
        paused_by: value.paused_by.clone().unwrap_or_default(),
        created_by: value.created_by.clone(),
        created_at: Some(time_of(value.created_at)),
        removed_at: value.removed_at.map(time_of),
        ..Default::default()
    }
}

/// A subscription that `by` makes at `at`, under the id `id`.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn new_subscription(
    value: Option<v1::Subscription>,
    id: Uuid,
    by: String,
    at: Timestamp,
) -> Result<Subscription, WireError> {
    let value = present("subscription", value)?;
    // What only answers say is not taken, and not longer than it may be.
    for (field, unused) in [
        ("id", value.id),
        ("origin", value.origin),
        ("paused_by", value.paused_by),
        ("created_by", value.created_by),
        ("trouble", value.trouble),
    ] {
        text(field, unused)?;
    }
    let secret = match value.secret.as_str() {
        "" => None,
        // The text is not repeated: it may be the secret itself.
        reference => Some(reference.parse::<Credential>().map_err(|error| {
            let detail = error.to_string();
            WireError::OutOfRange {
                field: "secret",
                detail,
            }
        })?),
    };
    let dataset = match value.dataset.is_empty() {
        true => None,
        false => Some(dataset_id(value.dataset)?),
    };
    let severity = match value.severity.is_empty() {
        true => Severity::Warning,
        false => word("severity", value.severity)?,
    };
    let events: Vec<NoticeKind> = list("events", value.events, FILTER_MAX, |e| word("events", e))?;
    let of_operators = events.iter().find(|event| event.is_of_operators());
    if let Some(event) = of_operators.filter(|_| !value.operator) {
        let detail = format!("`{event}` is told to operators alone: subscribe as one (`operator`)");
        let field = "events";
        return Err(WireError::OutOfRange { field, detail });
    }
    Ok(Subscription {
        id,
        dataset,
        origin: SubscriptionOrigin::Person,
        channel: word("channel", value.channel)?,
        target: name("target", value.target)?,
        secret,
        operator: value.operator,
        severity,
        dimensions: list("dimensions", value.dimensions, FILTER_MAX, |d| {
            name("dimensions", d)
        })?,
        columns: list("columns", value.columns, FILTER_MAX, |c| text("columns", c))?,
        events: match events.is_empty() {
            true => Subscription::usual(value.operator),
            false => events,
        },
        paused_by: None,
        created_by: by,
        created_at: at,
        since: at,
        removed_at: None,
    })
}

/// A delivery for the wire.
#[must_use]
pub fn delivery_of(value: &Delivery) -> v1::Delivery {
    let message = value.event["data"]["message"].as_str();
    v1::Delivery {
        id: value.shown(),
        subscription: shown_as("sub", value.subscription),
        kind: value.kind.to_string(),
        dataset: value
            .dataset
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        cause: value
            .cause
            .map(|cause| shown_as("inc", cause))
            .unwrap_or_default(),
        state: value.state.to_string(),
        attempts: value.attempts,
        created_at: Some(time_of(value.created_at)),
        next_at: value.next_at.map(time_of),
        ended_at: value.ended_at.map(time_of),
        error: value.error.clone().unwrap_or_default(),
        message: message.unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operators_are_told_is_told_to_operators_alone() {
        let ask = |operator: bool, events: &[&str]| {
            let asked = v1::Subscription {
                channel: "webhook".to_owned(),
                target: "https://hooks.example/".to_owned(),
                operator,
                events: events.iter().map(|e| (*e).to_owned()).collect(),
                ..Default::default()
            };
            let now = Timestamp::UNIX_EPOCH;
            new_subscription(Some(asked), Uuid::nil(), "ada".to_owned(), now)
        };
        assert_eq!(
            ask(true, &[]).unwrap().events,
            Subscription::USUAL_OF_OPERATORS
        );
        assert_eq!(ask(true, &["node_lost"]).unwrap().events.len(), 1);
        for event in ["run_failed", "node_lost", "dataset_stale"] {
            let refused = ask(false, &["opened", event]).unwrap_err().to_string();
            assert!(
                refused.contains(event) && refused.contains("operator"),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_secret_is_taken_by_reference_and_never_repeated() {
        let ask = |secret: &str| {
            let asked = v1::Subscription {
                channel: "webhook".to_owned(),
                target: "https://hooks.example/".to_owned(),
                secret: secret.to_owned(),
                ..Default::default()
            };
            new_subscription(
                Some(asked),
                Uuid::nil(),
                "ada".to_owned(),
                Timestamp::UNIX_EPOCH,
            )
        };
        let made = ask("env:HOOK").unwrap();
        assert_eq!(made.secret, Some(Credential::Env("HOOK".to_owned())));
        assert_eq!(made.events, Subscription::USUAL);
        let refused = ask("whsec_CANARY").unwrap_err().to_string();
        assert!(!refused.contains("CANARY"), "{refused}");
        let back = subscription_of(&made);
        assert_eq!(
            (back.origin.as_str(), back.severity.as_str()),
            ("person", "warning")
        );
    }
}
