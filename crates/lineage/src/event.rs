//! The events of a run: `START`, `RUNNING`, and `COMPLETE`, `FAIL` or `ABORT`.
//!
//! Comes in: the facts of a run. Goes out: one JSON object per event. Pure: the same facts give the
//! same bytes, so that a repeat is the same event.

use assay_model::dataset::Dataset;
use assay_model::metric::MetricPoint;
use assay_model::outcome::CheckResult;
use assay_model::partition::{Partition, PartitionKey};
use assay_model::run::{Run, RunState};
use assay_model::source::Location;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::facets;

/// The version of the events.
const SCHEMA: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";
/// Who makes them.
pub(crate) const PRODUCER: &str = concat!("https://assay.example/", env!("CARGO_PKG_VERSION"));

/// What is known of a run that has begun or ended.
#[derive(Debug, Clone)]
pub struct RunFacts<'a> {
    /// The run.
    pub run: &'a Run,
    /// The definition that it was planned with.
    pub dataset: &'a Dataset,
    /// The namespace of its job.
    pub namespace: &'a str,
    /// When it moved.
    pub at: Timestamp,
    /// The newest partition that it judged, with what was measured of it.
    pub newest: Option<(&'a Partition, &'a [MetricPoint])>,
    /// The results of the checks of all partitions that it judged, or the gravest of them.
    pub results: &'a [(PartitionKey, CheckResult)],
    /// How many results there are besides.
    pub results_left_out: u64,
}

/// A run has begun.
#[must_use]
pub fn started(facts: &RunFacts<'_>) -> Value {
    event("START", facts, &facets::of_begun_run(facts), &input(facts))
}

/// A run has its plan, and is at work; of one that is tried again, it is so again.
#[must_use]
pub fn working(facts: &RunFacts<'_>) -> Value {
    event(
        "RUNNING",
        facts,
        &facets::of_begun_run(facts),
        &input(facts),
    )
}

/// A run has ended. `None` of one that has not.
#[must_use]
pub fn ended(facts: &RunFacts<'_>) -> Option<Value> {
    let kind = match facts.run.state {
        RunState::Succeeded => "COMPLETE",
        // Part of it was not evaluated: that is no completion.
        RunState::Partial | RunState::Failed => "FAIL",
        RunState::Cancelled | RunState::SkippedStale => "ABORT",
        RunState::Queued | RunState::Planning | RunState::Running | RunState::Finalising => {
            return None;
        }
    };
    let mut input = input(facts);
    let found = facets::of_data(facts);
    if !found.is_empty() {
        input["inputFacets"] = Value::Object(found);
    }
    Some(event(kind, facts, &facets::of_ended_run(facts), &input))
}

fn event(kind: &str, facts: &RunFacts<'_>, run: &Map<String, Value>, input: &Value) -> Value {
    json!({
        "eventType": kind,
        "eventTime": facts.at.to_string(),
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": { "runId": facts.run.id.0.to_string(), "facets": run },
        "job": {
            "namespace": facts.namespace,
            "name": facts.dataset.id.as_str(),
            "facets": facets::of_job(),
        },
        "inputs": [input],
        "outputs": [],
    })
}

/// The dataset, by the names that the specification gives to places.
fn input(facts: &RunFacts<'_>) -> Value {
    let (namespace, name) = named(&facts.dataset.source.location);
    json!({
        "namespace": namespace,
        "name": name,
        "facets": facets::of_dataset(facts),
    })
}

/// The namespace and the name of a place.
fn named(place: &Location) -> (String, String) {
    match place {
        Location::Local { path } => ("file".to_owned(), path.clone()),
        Location::Bucket(bucket) => {
            let namespace = format!("{}://{}", bucket.store, bucket.name);
            let path = if bucket.path.is_empty() {
                "/"
            } else {
                &bucket.path
            };
            (namespace, path.to_owned())
        }
        Location::Database(of) => {
            let namespace = format!("{}://{}:{}", of.kind, of.host, of.port);
            let parts = [&of.database, &of.schema, &of.table];
            let parts: Vec<&str> = parts
                .into_iter()
                .map(String::as_str)
                .filter(|part| !part.is_empty())
                .collect();
            (namespace, parts.join("."))
        }
    }
}
