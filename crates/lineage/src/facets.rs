//! The facets of events: of the job, the run, the dataset and the quality of its data.
//!
//! Comes in: the facts of a run. Goes out: JSON objects that keep to the facets' schemas. Where a
//! schema wants a double and the value is exact, the digits stand beside it. It must never say
//! `pass` or `success` of anything but a pass.

use assay_judge::schema::read_columns;
use assay_model::check::Severity;
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_model::outcome::{CheckResult, Outcome};
use assay_model::run::RunState;
use serde_json::{Map, Number, Value, json};

use crate::event::{PRODUCER, RunFacts};

/// A facet with what every one has.
fn facet(version: &str, name: &str, body: Value) -> Value {
    let mut all = json!({
        "_producer": PRODUCER,
        "_schemaURL": format!("https://openlineage.io/spec/facets/{version}/{name}.json"),
    });
    if let (Some(all), Value::Object(body)) = (all.as_object_mut(), body) {
        all.extend(body);
    }
    all
}

pub(crate) fn of_job() -> Value {
    let body = json!({
        "processingType": "BATCH",
        "integration": "ASSAY",
        "jobType": "JOB",
    });
    json!({ "jobType": facet("2-0-4", "JobTypeJobFacet", body) })
}

pub(crate) fn of_begun_run(facts: &RunFacts<'_>) -> Map<String, Value> {
    let mut facets = Map::new();
    let engine = json!({ "name": "assay", "version": env!("CARGO_PKG_VERSION") });
    let engine = facet("1-1-1", "ProcessingEngineRunFacet", engine);
    facets.insert("processing_engine".to_owned(), engine);
    if let Some(slot) = facts.run.slot {
        let nominal = json!({ "nominalStartTime": slot.to_string() });
        let nominal = facet("1-0-1", "NominalTimeRunFacet", nominal);
        facets.insert("nominalTime".to_owned(), nominal);
    }
    facets
}

pub(crate) fn of_ended_run(facts: &RunFacts<'_>) -> Map<String, Value> {
    let mut facets = of_begun_run(facts);
    let tests: Vec<Value> = facts
        .results
        .iter()
        .map(|(partition, result)| {
            let mut test = json!({
                "name": result.check.as_str(),
                "status": status(result.outcome),
                "severity": severity(result.severity),
                "type": result.metric.metric.as_str(),
                "expected": result.expected,
                "params": params(partition.as_str(), result),
            });
            if let Some(actual) = actual(result) {
                test["actual"] = actual;
            }
            test
        })
        .collect();
    let mut body = json!({ "tests": tests });
    if facts.results_left_out > 0 {
        body["assay_testsLeftOut"] = facts.results_left_out.into();
    }
    facets.insert("test".to_owned(), facet("1-0-1", "TestRunFacet", body));
    if matches!(facts.run.state, RunState::Partial | RunState::Failed) {
        let unknown = || "no reason was given".to_owned();
        let body = json!({
            "message": facts.run.reason.clone().unwrap_or_else(unknown),
            "programmingLanguage": "RUST",
        });
        let error = facet("1-0-1", "ErrorMessageRunFacet", body);
        facets.insert("errorMessage".to_owned(), error);
    }
    facets
}

/// Whether issues were found; what could not be told is no pass.
const fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Warn | Outcome::Fail | Outcome::Error | Outcome::Missing | Outcome::Overflow => {
            "fail"
        }
        Outcome::Learning | Outcome::Skipped => "skip",
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning | Severity::Info => "warn",
    }
}

fn params(partition: &str, result: &CheckResult) -> Value {
    let mut params = json!({
        "partition": partition,
        "outcome": result.outcome,
        "metric": result.metric.to_string(),
    });
    if let Some(reason) = &result.reason {
        params["reason"] = reason.as_str().into();
    }
    params
}

/// The value as text; nothing where there is none.
fn actual(result: &CheckResult) -> Option<Value> {
    (result.actual != MetricValue::Null).then(|| result.actual.to_string().into())
}

pub(crate) fn of_dataset(facts: &RunFacts<'_>) -> Value {
    let measured = facts.newest.and_then(|(_, points)| {
        let schema = points.iter().find(|p| p.key.metric == Metric::Schema)?;
        match &schema.value {
            MetricValue::Text(text) if schema.status == MetricStatus::Computed => {
                Some(read_columns(text))
            }
            _ => None,
        }
    });
    let field = |at: usize, name: &str, kind: Option<&str>| {
        let mut field = json!({ "name": name, "ordinal_position": at + 1 });
        if let Some(kind) = kind {
            field["type"] = kind.into();
        }
        field
    };
    let fields: Vec<Value> = match &measured {
        Some(columns) => {
            let of = columns.iter().enumerate();
            of.map(|(at, c)| field(at, &c.name, c.data_type.as_deref()))
                .collect()
        }
        None => {
            let of = facts.dataset.columns.iter().enumerate();
            let kind = |c: &assay_model::dataset::Column| {
                let logical = c.logical_type.map(|kind| kind.to_string());
                c.physical_type.clone().or(logical)
            };
            of.map(|(at, c)| field(at, &c.name, kind(c).as_deref()))
                .collect()
        }
    };
    if fields.is_empty() {
        return json!({});
    }
    json!({ "schema": facet("1-2-0", "SchemaDatasetFacet", json!({ "fields": fields })) })
}

/// What was found out of the newest partition that the run judged.
pub(crate) fn of_data(facts: &RunFacts<'_>) -> Map<String, Value> {
    let mut facets = Map::new();
    let Some((partition, points)) = facts.newest else {
        return facets;
    };
    let key = partition.key.as_str();
    let mut metrics = metrics(points);
    metrics["assay_partition"] = key.into();
    let name = "DataQualityMetricsInputDatasetFacet";
    let metrics = facet("1-0-3", name, metrics);
    facets.insert("dataQualityMetrics".to_owned(), metrics);
    let of_newest = facts.results.iter().filter(|(of, _)| of.as_str() == key);
    // An assertion has held or not: what was not evaluated for lack of history, or skipped, is none.
    let told = of_newest.filter(|(_, r)| status(r.outcome) != "skip");
    let assertions: Vec<Value> = told.map(|(of, r)| assertion(of.as_str(), r)).collect();
    let body = json!({ "assertions": assertions, "assay_partition": key });
    let body = facet("1-1-0", "DataQualityAssertionsDatasetFacet", body);
    facets.insert("dataQualityAssertions".to_owned(), body);
    facets
}

fn assertion(partition: &str, result: &CheckResult) -> Value {
    let mut body = json!({
        "assertion": result.metric.metric.as_str(),
        "success": result.outcome == Outcome::Pass,
        "severity": severity(result.severity),
        "name": result.check.as_str(),
        "expected": result.expected,
        "params": params(partition, result),
    });
    if !result.metric.column.is_empty() {
        body["column"] = result.metric.column.as_str().into();
    }
    if let Some(actual) = actual(result) {
        body["actual"] = actual;
    }
    if let Some(sql) = result.metric.sql() {
        body["content"] = sql.into();
        body["contentType"] = "sql".into();
    }
    body
}

/// The metrics for which the facet has names; those of rows that a filter leaves are not of all.
fn metrics(points: &[MetricPoint]) -> Value {
    let mut body = json!({ "columnMetrics": {} });
    let computed = points
        .iter()
        .filter(|p| p.status == MetricStatus::Computed && p.key.filter.is_empty());
    for point in computed {
        let key = &point.key;
        let whole = match key.metric {
            Metric::RowCount => Some("rowCount"),
            Metric::ByteCount => Some("bytes"),
            Metric::FileCount => Some("fileCount"),
            _ => None,
        };
        if let Some(name) = whole {
            if let Some(number) = integer(&point.value) {
                body[name] = Value::Number(number);
            }
        } else if !key.column.is_empty() && !key.column.contains(',') {
            of_column(&mut body["columnMetrics"], key, point);
        }
    }
    body
}

fn of_column(columns: &mut Value, key: &MetricKey, point: &MetricPoint) {
    let (name, number) = match key.metric {
        Metric::NullCount => ("nullCount", integer(&point.value)),
        Metric::DistinctCount => ("distinctCount", integer(&point.value)),
        Metric::Sum => ("sum", double(&point.value)),
        Metric::Min => ("min", double(&point.value)),
        Metric::Max => ("max", double(&point.value)),
        Metric::Quantile => ("quantiles", double(&point.value)),
        _ => return,
    };
    let Some(number) = number else { return };
    if !columns[&key.column].is_object() {
        columns[&key.column] = json!({});
    }
    let column = &mut columns[&key.column];
    if key.metric == Metric::Quantile {
        let args: Option<Value> = serde_json::from_str(&key.args).ok();
        if let Some(q) = args.as_ref().and_then(|args| args.get("q")) {
            if !column[name].is_object() {
                column[name] = json!({});
            }
            column[name][q.to_string()] = Value::Number(number);
        }
        return;
    }
    column[name] = Value::Number(number);
    if let (Metric::Sum, MetricValue::Exact(digits)) = (key.metric, &point.value) {
        column["assay_sumExact"] = digits.as_str().into();
    }
    if let (Metric::DistinctCount, Some(error)) = (key.metric, point.error_bound) {
        column["assay_distinctCountError"] = json!(error);
    }
}

/// A whole number, where the value is one that JSON's integers hold.
fn integer(value: &MetricValue) -> Option<Number> {
    match value {
        MetricValue::Exact(digits) => {
            let signed = digits.parse::<i64>().ok().map(Number::from);
            signed.or_else(|| digits.parse::<u64>().ok().map(Number::from))
        }
        MetricValue::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "whole, and within the bound"
            )]
            let whole = *number as i64;
            Some(whole.into())
        }
        _ => None,
    }
}

/// A finite number: whole where it is one, else the nearest double.
fn double(value: &MetricValue) -> Option<Number> {
    integer(value).or_else(|| Number::from_f64(value.as_f64()?))
}
