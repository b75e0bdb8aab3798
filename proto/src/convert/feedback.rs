//! What people answer back, and backtests.

use assay_model::feedback::{
    Alert, Alerts, Answered, Backtest, FeedbackId, FeedbackScope, Withdrawal,
};
use assay_model::ids::CheckId;
use assay_model::partition::PartitionKey;

use super::bounds::{bounded, finite, list, name, opt_time, present, text, time, time_of, word};
use super::{WireError, dataset_id, key, key_of, value, value_of};
use crate::limits::KEYS_MAX;
use crate::v1;

/// Alerts of one answer, at most: every metric of every partition that is judged over again.
const ALERTS_MAX: usize = 1_000_000;

/// The id of an answer.
///
/// # Errors
/// [`WireError::BadId`] when it is misspelt.
pub fn feedback_id(value: String) -> Result<FeedbackId, WireError> {
    Ok(bounded("id", value, 64)?.parse()?)
}

fn scope(wire: &mut v1::Feedback) -> Result<FeedbackScope, WireError> {
    let column = text("column", std::mem::take(&mut wire.column))?;
    Ok(match wire.metric.take() {
        Some(metric) => FeedbackScope::Metric(key(Some(metric))?),
        None if column.is_empty() => FeedbackScope::Dataset,
        None => FeedbackScope::Column(column),
    })
}

/// An answer.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn feedback(wire: Option<v1::Feedback>) -> Result<Answered, WireError> {
    let mut wire = present("feedback", wire)?;
    let scope = scope(&mut wire)?;
    let withdrawn = match opt_time("withdrawn_at", wire.withdrawn_at)? {
        None => None,
        Some(at) => Some(Withdrawal {
            at,
            by: text("withdrawn_by", wire.withdrawn_by)?,
            reason: text("withdrawn_reason", wire.withdrawn_reason)?,
        }),
    };
    let series = wire.series.map(|series| text("series", series));
    Ok(Answered {
        id: feedback_id(wire.id)?,
        dataset: dataset_id(wire.dataset)?,
        kind: word("kind", wire.kind)?,
        scope,
        series: series.transpose()?,
        from: PartitionKey(name("from", wire.from)?),
        to: opt_key("to", wire.to)?,
        by: text("by", wire.by)?,
        at: time("at", wire.at)?,
        reason: text("reason", wire.reason)?,
        withdrawn,
    })
}

fn opt_key(field: &'static str, value: String) -> Result<Option<PartitionKey>, WireError> {
    if value.is_empty() {
        return Ok(None);
    }
    Ok(Some(PartitionKey(name(field, value)?)))
}

/// An answer for the wire.
#[must_use]
pub fn feedback_of(value: &Answered) -> v1::Feedback {
    let (metric, column) = match &value.scope {
        FeedbackScope::Dataset => (None, String::new()),
        FeedbackScope::Column(column) => (None, column.clone()),
        FeedbackScope::Metric(key) => (Some(key_of(key)), String::new()),
    };
    let withdrawn = value.withdrawn.as_ref();
    let of = |key: &Option<PartitionKey>| key.as_ref().map(ToString::to_string);
    v1::Feedback {
        id: value.id.to_string(),
        dataset: value.dataset.to_string(),
        kind: value.kind.to_string(),
        metric,
        column,
        series: value.series.clone(),
        from: value.from.to_string(),
        to: of(&value.to).unwrap_or_default(),
        by: value.by.clone(),
        at: Some(time_of(value.at)),
        reason: value.reason.clone(),
        withdrawn_at: withdrawn.map(|how| time_of(how.at)),
        withdrawn_by: withdrawn.map(|how| how.by.clone()).unwrap_or_default(),
        withdrawn_reason: withdrawn.map(|how| how.reason.clone()).unwrap_or_default(),
    }
}

/// A backtest.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn backtest(wire: Option<v1::Backtest>) -> Result<Backtest, WireError> {
    let wire = present("backtest", wire)?;
    Ok(Backtest {
        partitions: wire.partitions,
        first: opt_key("first", wire.first)?,
        last: opt_key("last", wire.last)?,
        series: wire.series,
        series_left_out: wire.series_left_out,
        before: alerts(present("before", wire.before)?)?,
        after: alerts(present("after", wire.after)?)?,
    })
}

fn alerts(wire: v1::Alerts) -> Result<Alerts, WireError> {
    let key = |k| name("partitions", k).map(PartitionKey);
    Ok(Alerts {
        judged: wire.judged,
        learning: wire.learning,
        excluded: wire.excluded,
        partitions: list("partitions", wire.partitions, KEYS_MAX, key)?,
        alerts: list("alerts", wire.alerts, ALERTS_MAX, alert)?,
        elsewhere: wire.elsewhere,
    })
}

fn alert(wire: v1::Alert) -> Result<Alert, WireError> {
    let bound = |field, bound: Option<f64>| bound.map(|b| finite(field, b)).transpose();
    Ok(Alert {
        partition: PartitionKey(name("partition", wire.partition)?),
        check: CheckId::new(text("check", wire.check)?),
        metric: key(wire.metric)?,
        outcome: word("outcome", wire.outcome)?,
        value: value(wire.value)?,
        lower: bound("lower", wire.lower)?,
        expected: bound("expected", wire.expected)?,
        upper: bound("upper", wire.upper)?,
        marked_as_normal: wire.marked_as_normal,
    })
}

/// A backtest for the wire.
#[must_use]
pub fn backtest_of(value: &Backtest) -> v1::Backtest {
    let of = |key: &Option<PartitionKey>| key.as_ref().map(ToString::to_string);
    v1::Backtest {
        partitions: value.partitions,
        first: of(&value.first).unwrap_or_default(),
        last: of(&value.last).unwrap_or_default(),
        series: value.series,
        series_left_out: value.series_left_out,
        before: Some(alerts_of(&value.before)),
        after: Some(alerts_of(&value.after)),
    }
}

fn alerts_of(value: &Alerts) -> v1::Alerts {
    let alert = |alert: &Alert| v1::Alert {
        partition: alert.partition.to_string(),
        check: alert.check.to_string(),
        metric: Some(key_of(&alert.metric)),
        outcome: alert.outcome.to_string(),
        value: value_of(&alert.value),
        lower: alert.lower,
        expected: alert.expected,
        upper: alert.upper,
        marked_as_normal: alert.marked_as_normal,
    };
    v1::Alerts {
        judged: value.judged,
        learning: value.learning,
        excluded: value.excluded,
        partitions: value.partitions.iter().map(ToString::to_string).collect(),
        alerts: value.alerts.iter().map(alert).collect(),
        elsewhere: value.elsewhere,
    }
}
