//! What people do, from answers of the API to the words of the wire.

use assay_answers::feedback::{Alert, Alerts, Backtest, Feedback, FeedbackTold};
use assay_answers::incident::{BrokenCheck, Incident, IncidentEvent};
use assay_answers::notice::{Delivery, Subscription};
use assay_model::check::Severity;
use assay_model::feedback::{Answered, Withdrawal};
use assay_model::ids::DatasetId;
use assay_model::incident::IncidentStatus;
use assay_model::notice::{ChannelKind, DeliveryState, NoticeKind, SubscriptionOrigin};
use assay_model::partition::PartitionKey;
use assay_proto::convert::{self, time_of};
use assay_proto::v1;
use serde::de::Error as _;
use serde_json::Value;

use super::{Read, at, lift, measured, text, typed};

/// Takes the list of `field` out, and leaves an empty one in its place.
fn taken(of: &mut Value, field: &str) -> Value {
    match of.get_mut(field) {
        Some(list @ Value::Array(_)) => std::mem::replace(list, Value::Array(Vec::new())),
        // What is not there, or is no list, is refused by whoever reads it.
        _ => Value::Null,
    }
}

/// An incident by its cause.
pub(in super::super) fn cause(mut value: Value) -> Read<v1::Cause> {
    let status = lift(&mut value, "status", &IncidentStatus::Open);
    let severity = lift(&mut value, "severity", &Severity::Error);
    let of: Incident = typed(value)?;
    Ok(v1::Cause {
        id: of.id,
        dataset: of.dataset,
        dimension: of.dimension,
        column: text(of.column),
        status,
        severity,
        episode: of.occurrence,
        checks: of.failing_checks,
        message: of.message,
        partition: of.partition,
        first_partition: of.first_partition,
        opened_at: Some(time_of(of.opened_at)),
        updated_at: Some(time_of(of.updated_at)),
        resolved_at: at(of.resolved_at),
        resolved_by: text(of.resolved_by),
        muted_until: at(of.muted_until),
        acknowledged_by: text(of.acknowledged_by),
        assignee: text(of.assignee),
        check: of.check,
        metric: text(of.metric),
        actual: text(of.actual),
        expected: text(of.expected),
    })
}

fn event(of: IncidentEvent) -> v1::CauseEvent {
    v1::CauseEvent {
        at: Some(time_of(of.at)),
        kind: of.kind,
        by: text(of.by),
        detail: text(of.detail),
    }
}

fn broken(mut value: Value) -> Read<v1::Incident> {
    let severity = lift(&mut value, "severity", &Severity::Error);
    let of: BrokenCheck = typed(value)?;
    Ok(v1::Incident {
        check: of.check,
        severity,
        series: of.series,
        partitions: of.partitions,
        first_partition: of.first_partition,
        last_partition: of.last_partition,
        message: of.message,
        // Of a broken check by itself nothing more is told, and shown by no command.
        ..Default::default()
    })
}

/// An incident with what happened to it, and its broken checks.
pub(in super::super) fn detail(mut value: Value) -> Read<v1::GetCauseResponse> {
    let events: Vec<IncidentEvent> = typed(taken(&mut value, "events"))?;
    let checks: Vec<Value> = typed(taken(&mut value, "checks"))?;
    let incidents: Read<Vec<v1::Incident>> = checks.into_iter().map(broken).collect();
    Ok(v1::GetCauseResponse {
        cause: Some(cause(value)?),
        events: events.into_iter().map(event).collect(),
        incidents: incidents?,
    })
}

/// Somebody who is told.
pub(in super::super) fn subscription(mut value: Value) -> Read<v1::Subscription> {
    let origin = lift(&mut value, "origin", &SubscriptionOrigin::Person);
    let channel = lift(&mut value, "channel", &ChannelKind::Webhook);
    let severity = lift(&mut value, "severity", &Severity::Error);
    let events: Vec<String> = typed(taken(&mut value, "events"))?;
    let of: Subscription = typed(value)?;
    Ok(v1::Subscription {
        id: of.id,
        dataset: text(of.dataset),
        origin,
        channel,
        // As it may be shown, which the command leaves as it is.
        target: of.target,
        secret: text(of.secret),
        operator: of.operator,
        severity,
        dimensions: of.dimensions,
        columns: of.columns,
        events,
        paused_by: text(of.paused_by),
        created_by: of.created_by,
        created_at: Some(time_of(of.created_at)),
        removed_at: at(of.removed_at),
        pending: of.pending,
        dead: of.dead,
        trouble: text(of.trouble),
    })
}

/// A message.
pub(in super::super) fn delivery(mut value: Value) -> Read<v1::Delivery> {
    let kind = lift(&mut value, "kind", &NoticeKind::Test);
    let state = lift(&mut value, "state", &DeliveryState::Pending);
    let of: Delivery = typed(value)?;
    Ok(v1::Delivery {
        id: of.id,
        subscription: of.subscription,
        kind,
        dataset: text(of.dataset),
        cause: text(of.incident),
        state,
        attempts: of.attempts,
        created_at: Some(time_of(of.created_at)),
        next_at: at(of.next_at),
        ended_at: at(of.ended_at),
        error: text(of.error),
        message: of.message,
    })
}

/// An answer as it is kept.
pub(in super::super) fn feedback(value: Value) -> Read<v1::Feedback> {
    kept(typed(value)?)
}

fn kept(of: Feedback) -> Read<v1::Feedback> {
    let wrong = serde_json::Error::custom;
    let answered = Answered {
        id: of.id.parse().map_err(wrong)?,
        dataset: DatasetId::new(of.dataset).map_err(wrong)?,
        kind: of.kind,
        scope: of.scope,
        series: of.series,
        from: PartitionKey(of.from),
        to: of.to.map(PartitionKey),
        by: of.by,
        at: of.at,
        reason: of.reason,
        withdrawn: of.withdrawn.map(|how| Withdrawal {
            by: how.by,
            at: how.at,
            reason: how.reason,
        }),
    };
    Ok(convert::feedback_of(&answered))
}

fn alert(of: Alert) -> v1::Alert {
    v1::Alert {
        partition: of.partition,
        check: of.check,
        metric: Some(convert::key_of(&of.metric)),
        outcome: of.outcome.to_string(),
        value: measured(of.value),
        lower: of.lower,
        expected: of.expected,
        upper: of.upper,
        marked_as_normal: of.marked_as_normal,
    }
}

fn alerts(of: Alerts) -> v1::Alerts {
    v1::Alerts {
        judged: of.judged,
        learning: of.learning,
        excluded: of.excluded,
        partitions: of.partitions,
        alerts: of.alerts.into_iter().map(alert).collect(),
        elsewhere: of.elsewhere,
    }
}

fn backtest(of: Backtest) -> v1::Backtest {
    v1::Backtest {
        partitions: of.partitions,
        first: text(of.first),
        last: text(of.last),
        series: of.series,
        series_left_out: of.series_left_out,
        before: Some(alerts(of.before)),
        after: Some(alerts(of.after)),
    }
}

/// An answer with its backtest.
pub(in super::super) fn told(of: FeedbackTold) -> Read<v1::FeedbackResponse> {
    Ok(v1::FeedbackResponse {
        feedback: Some(kept(of.feedback)?),
        backtest: Some(backtest(of.backtest)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn incident() -> Value {
        json!({
            "id": "inc_1", "dataset": "orders", "dimension": "volume", "column": null,
            "status": "open", "severity": "error", "occurrence": 2, "failingChecks": ["many"],
            "message": "m", "check": "many", "metric": "rowCount", "actual": "1", "expected": null,
            "partition": "d2", "firstPartition": "d1", "openedAt": "2026-11-20T15:15:00.123456Z",
            "updatedAt": "2026-11-20T15:16:00Z", "resolvedAt": null, "resolvedBy": null,
            "mutedUntil": null, "acknowledgedBy": null, "assignee": "ada",
        })
    }

    #[test]
    fn a_word_of_a_later_version_is_carried_as_it_is() {
        let mut told = incident();
        told["status"] = json!("snoozed");
        told["severity"] = json!("fatal");
        told["colour"] = json!("red");
        told["events"] = json!([{"at": "2026-11-20T15:15:00Z", "kind": "painted", "by": null,
            "detail": "red"}]);
        told["checks"] = json!([{"check": "many", "severity": "fatal", "series": "",
            "partitions": 2, "firstPartition": "d1", "lastPartition": "d2", "message": "m"}]);
        let read = detail(told).unwrap();
        let cause = read.cause.unwrap();
        assert_eq!((&*cause.status, &*cause.severity), ("snoozed", "fatal"));
        assert_eq!((cause.episode, &*cause.assignee), (2, "ada"));
        assert_eq!(read.events[0].kind, "painted");
        assert_eq!(read.incidents[0].severity, "fatal");
        let told = json!({
            "id": "sub_1", "dataset": null, "origin": "heaven", "channel": "pigeon",
            "target": "…", "secret": null, "operator": false, "severity": "warning",
            "dimensions": [], "columns": [], "events": ["opened", "cooled"], "pausedBy": null,
            "createdBy": "ada", "createdAt": "2026-11-20T00:00:00Z", "removedAt": null,
            "pending": 1, "dead": 2, "trouble": null, "mine": true,
        });
        let read = subscription(told).unwrap();
        assert_eq!((&*read.channel, &*read.origin), ("pigeon", "heaven"));
        assert_eq!(read.events, ["opened", "cooled"]);
    }

    #[test]
    fn what_is_not_there_is_refused_and_not_made_up() {
        assert!(cause(incident()).is_ok());
        assert!(detail(incident()).is_err(), "no events and no checks");
        for field in ["status", "message", "openedAt", "failingChecks"] {
            let mut told = incident();
            told.as_object_mut().unwrap().remove(field);
            assert!(cause(told).is_err(), "{field}");
        }
        assert!(delivery(json!({"id": "dlv_1", "state": "pending"})).is_err());
        assert!(feedback(json!({"id": "fb_1"})).is_err());
    }
}
