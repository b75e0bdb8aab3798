//! Metrics, limits, results, incidents and the ledger.

use assay_model::ids::CheckId;
use assay_model::incident::Incident;
use assay_model::ledger::LedgerEntry;
use assay_model::metric::{MetricKey, MetricValue};
use assay_model::outcome::{CheckResult, HeldBack, Limits, OutcomeCounts, Span};
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use uuid::Uuid;

use super::bounds::{bounded, list, name, opt_text, opt_time, present, text, time, time_of, word};
use super::{WireError, dataset_id};
use crate::limits::{KEYS_MAX, TEXT_BYTES_MAX};
use crate::v1;

/// A partition.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn partition(value: Option<v1::Partition>) -> Result<Partition, WireError> {
    let value = present("partition", value)?;
    let date = match value.date.as_str() {
        "" => None,
        text => Some(text.parse().map_err(|error| WireError::OutOfRange {
            field: "partition.date",
            detail: format!("{error}"),
        })?),
    };
    Ok(Partition {
        order: bounded("partition.order", value.order, TEXT_BYTES_MAX)?,
        key: PartitionKey(name("partition.key", value.key)?),
        date,
        start: opt_time("partition.start", value.start)?,
        end: opt_time("partition.end", value.end)?,
        series: bounded("partition.series", value.series, TEXT_BYTES_MAX)?,
    })
}

/// A partition for the wire.
#[must_use]
pub fn partition_of(value: &Partition) -> v1::Partition {
    v1::Partition {
        key: value.key.as_str().to_owned(),
        order: value.order.clone(),
        date: value.date.map(|d| d.to_string()).unwrap_or_default(),
        start: value.start.map(time_of),
        end: value.end.map(time_of),
        series: value.series.clone(),
    }
}

/// A metric's identity.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn key(value: Option<v1::MetricKey>) -> Result<MetricKey, WireError> {
    let value = present("key", value)?;
    Ok(MetricKey {
        metric: word("key.metric", value.metric)?,
        column: text("key.column", value.column)?,
        args: text("key.args", value.args)?,
        filter: text("key.filter", value.filter)?,
        semantics: u16::try_from(value.semantics).map_err(|error| WireError::OutOfRange {
            field: "key.semantics",
            detail: error.to_string(),
        })?,
    })
}

/// A metric's identity for the wire.
#[must_use]
pub fn key_of(value: &MetricKey) -> v1::MetricKey {
    v1::MetricKey {
        metric: value.metric.to_string(),
        column: value.column.clone(),
        args: value.args.clone(),
        filter: value.filter.clone(),
        semantics: u32::from(value.semantics),
    }
}

/// A measured value; absent is NULL.
///
/// # Errors
/// [`WireError`] when an exact number is not plain decimal digits.
pub fn value(value: Option<v1::MetricValue>) -> Result<MetricValue, WireError> {
    use v1::metric_value::Kind;
    Ok(match value.and_then(|v| v.kind) {
        None => MetricValue::Null,
        Some(Kind::Exact(digits)) => MetricValue::Exact(exact(digits)?),
        Some(Kind::Float(number)) => MetricValue::Float(number),
        Some(Kind::Text(value)) => MetricValue::Text(text("value.text", value)?),
    })
}

fn exact(digits: String) -> Result<String, WireError> {
    let digits = text("value.exact", digits)?;
    let plain = digits.strip_prefix('-').unwrap_or(&digits);
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if all_digits(whole) && all_digits(fraction) {
        return Ok(digits);
    }
    Err(WireError::OutOfRange {
        field: "value.exact",
        detail: "not plain decimal digits".to_owned(),
    })
}

/// A measured value for the wire.
#[must_use]
pub fn value_of(value: &MetricValue) -> Option<v1::MetricValue> {
    use v1::metric_value::Kind;
    let kind = match value {
        MetricValue::Null => return None,
        MetricValue::Exact(digits) => Kind::Exact(digits.clone()),
        MetricValue::Float(number) => Kind::Float(*number),
        MetricValue::Text(text) => Kind::Text(text.clone()),
    };
    Some(v1::MetricValue { kind: Some(kind) })
}

/// Limits.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn limits(value: v1::Limits) -> Result<Limits, WireError> {
    Ok(Limits {
        lower: value.lower,
        expected: value.expected,
        upper: value.upper,
        model: text("limits.model", value.model)?,
        model_version: u16::try_from(value.model_version).map_err(|error| {
            WireError::OutOfRange {
                field: "limits.model_version",
                detail: error.to_string(),
            }
        })?,
        learned_from: list(
            "limits.learned_from",
            value.learned_from,
            KEYS_MAX,
            |span| {
                Ok(Span {
                    first: name("limits.learned_from.first", span.first)?,
                    last: name("limits.learned_from.last", span.last)?,
                    partitions: span.partitions,
                })
            },
        )?,
        provisional: value.provisional,
        held_back: list("limits.held_back", value.held_back, KEYS_MAX, |h| {
            Ok(HeldBack {
                partition: name("limits.held_back.partition", h.partition)?,
                by: CheckId::new(name("limits.held_back.by", h.by)?),
            })
        })?,
    })
}

/// Limits for the wire.
#[must_use]
pub fn limits_of(value: &Limits) -> v1::Limits {
    v1::Limits {
        lower: value.lower,
        expected: value.expected,
        upper: value.upper,
        model: value.model.clone(),
        model_version: u32::from(value.model_version),
        learned_from: value
            .learned_from
            .iter()
            .map(|span| v1::LearnedSpan {
                first: span.first.clone(),
                last: span.last.clone(),
                partitions: span.partitions,
            })
            .collect(),
        provisional: value.provisional,
        held_back: value
            .held_back
            .iter()
            .map(|h| v1::HeldBack {
                partition: h.partition.clone(),
                by: h.by.to_string(),
            })
            .collect(),
    }
}

/// Counts of outcomes.
///
/// # Errors
/// [`WireError::OutOfRange`] when they do not add up: a check without an outcome is not hidden.
pub fn counts(value: v1::OutcomeCounts) -> Result<OutcomeCounts, WireError> {
    let counts = OutcomeCounts {
        planned: value.planned,
        pass: value.pass,
        warn: value.warn,
        fail: value.fail,
        error: value.error,
        missing: value.missing,
        learning: value.learning,
        skipped: value.skipped,
        overflow: value.overflow,
    };
    let sum = counts
        .by_outcome()
        .iter()
        .try_fold(0_u64, |sum, (_, n)| sum.checked_add(*n));
    if sum == Some(counts.planned) {
        return Ok(counts);
    }
    Err(WireError::OutOfRange {
        field: "counts",
        detail: "planned is not the sum of the outcomes".to_owned(),
    })
}

/// Counts of outcomes for the wire.
#[must_use]
pub fn counts_of(value: &OutcomeCounts) -> v1::OutcomeCounts {
    v1::OutcomeCounts {
        planned: value.planned,
        pass: value.pass,
        warn: value.warn,
        fail: value.fail,
        error: value.error,
        missing: value.missing,
        learning: value.learning,
        skipped: value.skipped,
        overflow: value.overflow,
    }
}

/// The check's part of a result.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn check_result(result: v1::Result) -> Result<CheckResult, WireError> {
    Ok(CheckResult {
        check: CheckId::new(name("check", result.check)?),
        metric: key(result.metric)?,
        severity: word("severity", result.severity)?,
        origin: word("origin", result.origin)?,
        outcome: word("outcome", result.outcome)?,
        actual: value(result.actual)?,
        error_bound: result.error_bound,
        note: opt_text("note", result.note)?,
        expected: text("expected", result.expected)?,
        limits: result.limits.map(limits).transpose()?,
        reason: opt_text("reason", result.reason)?,
    })
}

/// The check's part of a result, for the wire; the caller adds run, partition and version.
#[must_use]
pub fn result_of(value: &CheckResult) -> v1::Result {
    v1::Result {
        check: value.check.to_string(),
        metric: Some(key_of(&value.metric)),
        severity: value.severity.to_string(),
        origin: value.origin.to_string(),
        outcome: value.outcome.to_string(),
        actual: value_of(&value.actual),
        error_bound: value.error_bound,
        note: value.note.clone().unwrap_or_default(),
        expected: value.expected.clone(),
        limits: value.limits.as_ref().map(limits_of),
        reason: value.reason.clone().unwrap_or_default(),
        ..v1::Result::default()
    }
}

/// An incident.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn incident(value: v1::Incident) -> Result<Incident, WireError> {
    Ok(Incident {
        id: Uuid::try_parse(&value.id).map_err(|error| WireError::OutOfRange {
            field: "incident.id",
            detail: error.to_string(),
        })?,
        dataset: dataset_id(value.dataset)?,
        check: CheckId::new(name("check", value.check)?),
        column: text("column", value.column)?,
        severity: word("severity", value.severity)?,
        status: word("status", value.status)?,
        series: text("series", value.series)?,
        first_partition: PartitionKey(name("first_partition", value.first_partition)?),
        last_partition: PartitionKey(name("last_partition", value.last_partition)?),
        partitions: value.partitions,
        message: text("message", value.message)?,
        opened_at: time("opened_at", value.opened_at)?,
        updated_at: time("updated_at", value.updated_at)?,
        resolved_at: opt_time("resolved_at", value.resolved_at)?,
    })
}

/// An incident for the wire.
#[must_use]
pub fn incident_of(value: &Incident) -> v1::Incident {
    v1::Incident {
        id: value.id.to_string(),
        dataset: value.dataset.to_string(),
        check: value.check.to_string(),
        column: value.column.clone(),
        severity: value.severity.to_string(),
        status: value.status.to_string(),
        series: value.series.clone(),
        first_partition: value.first_partition.as_str().to_owned(),
        last_partition: value.last_partition.as_str().to_owned(),
        partitions: value.partitions,
        message: value.message.clone(),
        opened_at: Some(time_of(value.opened_at)),
        updated_at: Some(time_of(value.updated_at)),
        resolved_at: value.resolved_at.map(time_of),
    }
}

/// A row of the ledger.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn ledger_entry(value: v1::LedgerEntry) -> Result<LedgerEntry, WireError> {
    Ok(LedgerEntry {
        partition: partition(value.partition)?,
        state: word("state", value.state)?,
        version: PartitionVersion(name("version", value.version)?),
        judged: opt_text("judged", value.judged)?.map(PartitionVersion),
        revision: value.revision,
        objects: value.objects,
        bytes: value.bytes,
        first_seen: time("first_seen", value.first_seen)?,
        last_modified: opt_time("last_modified", value.last_modified)?,
        verdict: value.verdict.map(counts).transpose()?,
    })
}

/// A row of the ledger for the wire.
#[must_use]
pub fn ledger_entry_of(value: &LedgerEntry) -> v1::LedgerEntry {
    v1::LedgerEntry {
        partition: Some(partition_of(&value.partition)),
        state: value.state.to_string(),
        version: value.version.as_str().to_owned(),
        judged: value
            .judged
            .as_ref()
            .map(|v| v.as_str().to_owned())
            .unwrap_or_default(),
        revision: value.revision,
        objects: value.objects,
        bytes: value.bytes,
        first_seen: Some(time_of(value.first_seen)),
        last_modified: value.last_modified.map(time_of),
        verdict: value.verdict.as_ref().map(counts_of),
    }
}
