//! Outputs: what a task leaves, as the functions of the database take it.
//!
//! Comes in: a [`TaskOutput`]. Goes out: arrays and JSON. It must never pass on an output that
//! contradicts itself.

use assay_model::incident::{Incident, OutboxEntry};
use assay_model::metric::{MetricKey, MetricPoint};
use assay_model::outcome::{CheckResult, OutcomeCounts};
use assay_model::output::{Discovery, Evaluation, MeasuredPartition, TaskOutput};
use assay_model::task::TaskKind;
use serde_json::{Value, json};

use super::changes::body;
use super::rows::spell_all;
use crate::error::StoreError;
use crate::plans::KeptPlan;
use crate::values::{int, micros, value_columns};

/// An output that is ready to be sent.
pub(super) enum Prepared {
    /// Without a plan when it is kept in pages.
    Discovered {
        plan: Option<String>,
        sightings: String,
    },
    Measured(Vec<MeasuredPartition>),
    /// One evaluation, or a list of several.
    Evaluated(String),
}

impl Prepared {
    /// What is sent, and the pages that are kept before.
    pub(super) fn of(output: &TaskOutput) -> Result<(Self, Vec<(u32, String)>), StoreError> {
        let mut pages = Vec::new();
        let prepared = match output {
            TaskOutput::Discovered(discovery) => {
                let plan = match KeptPlan::of(discovery)? {
                    KeptPlan::Whole(plan) => Some(plan),
                    KeptPlan::Pages(kept) => {
                        pages = kept;
                        None
                    }
                };
                let sightings = sightings(discovery);
                Self::Discovered { plan, sightings }
            }
            TaskOutput::Measured(parts) => Self::Measured(parts.clone()),
            TaskOutput::Evaluated(evaluation) => {
                Self::Evaluated(evaluated(evaluation)?.to_string())
            }
            TaskOutput::EvaluatedMany(all) => {
                let each: Result<Vec<Value>, _> = all.iter().map(evaluated).collect();
                Self::Evaluated(Value::Array(each?).to_string())
            }
        };
        Ok((prepared, pages))
    }

    /// The kind of task that leaves such an output.
    pub(super) const fn kind(&self) -> TaskKind {
        match self {
            Self::Discovered { .. } => TaskKind::Discover,
            Self::Measured(_) => TaskKind::Measure,
            Self::Evaluated(_) => TaskKind::Evaluate,
        }
    }
}

fn sightings(discovery: &Discovery) -> String {
    let rows = discovery.sightings.iter().map(|seen| {
        json!({
            "partition": seen.partition.key.as_str(),
            "ord": seen.partition.order,
            "series": seen.partition.series,
            "date": seen.partition.date.map(|d| d.to_string()),
            "start": seen.partition.start.map(micros),
            "end": seen.partition.end.map(micros),
            "state": seen.state.as_str(),
            "version": seen.version.as_str(),
            "objects": int(seen.objects),
            "bytes": int(seen.bytes),
            "last_modified": seen.last_modified.map(micros),
        })
    });
    let mut rows = Value::Array(rows.collect());
    spell_all(&mut rows);
    rows.to_string()
}

/// The counts are those of the results: nothing is counted twice, nothing is left out.
fn check_counts(evaluation: &Evaluation) -> Result<(), StoreError> {
    if OutcomeCounts::of(&evaluation.results) == evaluation.counts {
        return Ok(());
    }
    Err(StoreError::Refused {
        what: "verdict",
        detail: format!(
            "its counts {:?} are not those of its {} results",
            evaluation.counts,
            evaluation.results.len()
        ),
    })
}

fn evaluated(e: &Evaluation) -> Result<Value, StoreError> {
    check_counts(e)?;
    let mut counts = vec![int(e.counts.planned)];
    counts.extend(e.counts.by_outcome().iter().map(|(_, count)| int(*count)));
    let metrics: Vec<Value> = e.metrics.iter().map(metric_row).collect();
    let mut results = Vec::with_capacity(e.results.len());
    for result in &e.results {
        results.push(result_row(result)?);
    }
    let incidents: Vec<Value> = e.incidents.iter().map(incident_row).collect();
    let mut outbox = Vec::with_capacity(e.outbox.len());
    for message in &e.outbox {
        outbox.push(outbox_row(message)?);
    }
    let mut whole = json!({
        "partition": e.partition.key.as_str(),
        "ord": e.partition.order,
        "series": e.partition.series,
        "date": e.partition.date.map(|d| d.to_string()),
        "start": e.partition.start.map(micros),
        "end": e.partition.end.map(micros),
        "version": e.version.as_str(),
        "sealed": e.sealed,
        "state": e.state.as_str(),
        "judged_at": micros(e.judged_at),
        "counts": counts,
        "metrics": metrics,
        "results": results,
        "incidents": incidents,
        "outbox": outbox,
    });
    spell_all(&mut whole);
    Ok(whole)
}

fn metric_row(point: &MetricPoint) -> Value {
    let (kind, value, number) = value_columns(&point.value);
    let MetricKey {
        metric,
        column,
        args,
        filter,
        semantics,
    } = &point.key;
    json!([
        metric.as_str(),
        column,
        args,
        filter,
        semantics,
        point.status.as_str(),
        kind,
        value,
        number,
        point.error_bound,
        point.note,
    ])
}

fn result_row(result: &CheckResult) -> Result<Value, StoreError> {
    let (kind, value, number) = value_columns(&result.actual);
    let limits = match &result.limits {
        Some(limits) => Some(body("limits", limits)?),
        None => None,
    };
    let key = &result.metric;
    Ok(json!([
        key.metric.as_str(),
        key.column,
        key.args,
        key.filter,
        key.semantics,
        result.check.as_str(),
        result.severity.as_str(),
        result.origin.as_str(),
        result.outcome.as_str(),
        kind,
        value,
        number,
        result.expected,
        limits,
        result.reason,
    ]))
}

fn incident_row(incident: &Incident) -> Value {
    json!([
        incident.id,
        incident.dataset.as_str(),
        incident.check.as_str(),
        incident.column,
        incident.severity.as_str(),
        incident.status.as_str(),
        incident.first_partition.as_str(),
        incident.last_partition.as_str(),
        incident.partitions,
        incident.message,
        micros(incident.opened_at),
        micros(incident.updated_at),
        incident.resolved_at.map(micros),
    ])
}

fn outbox_row(message: &OutboxEntry) -> Result<Value, StoreError> {
    Ok(json!([
        message.key,
        message.event,
        message.dataset.as_str(),
        body("message", &message.body)?,
        message.after,
    ]))
}
