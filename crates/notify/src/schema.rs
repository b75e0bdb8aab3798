//! The schemas of the events that are sent, for those who take them.
//!
//! Comes in: the type of an event, without its prefix (`incident.opened.v1`). Goes out: its JSON Schema
//! (2020-12). It must never describe other fields than [`crate::event`] writes.

use assay_model::notice::NoticeKind;
use serde_json::{Value, json};

use crate::event::type_of;

/// The version of all events.
const VERSION: &str = "v1";

/// The types that there are, without their prefix.
#[must_use]
pub fn types() -> Vec<String> {
    let kinds = NoticeKind::ALL.iter();
    kinds
        .map(|kind| format!("{}.{VERSION}", type_of(*kind)))
        .collect()
}

/// An object of exactly these properties.
fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties
        .as_object()
        .into_iter()
        .flatten()
        .map(|p| p.0)
        .collect();
    json!({
        "type": "object",
        "required": names,
        "additionalProperties": false,
        "properties": properties,
    })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn maybe_text() -> Value {
    json!({ "type": ["string", "null"] })
}

fn instant() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn maybe_instant() -> Value {
    json!({ "anyOf": [instant(), { "type": "null" }] })
}

fn dataset() -> Value {
    object(&json!({
        "id": text(), "version": maybe_text(), "name": maybe_text(), "owner": maybe_text(),
    }))
}

fn of_cause() -> Value {
    let links = object(&json!({ "mute": text(), "incident": text(), "chart": text() }));
    object(&json!({
        "incident": object(&json!({
            "id": text(), "status": text(), "severity": text(), "openedAt": instant(),
            "resolvedAt": maybe_instant(),
            "resolvedBy": maybe_text(),
            "failingChecks": { "type": "array", "items": text() },
            "occurrence": { "type": "integer", "minimum": 0 },
            "assignee": maybe_text(), "groupKey": text(),
        })),
        "dataset": dataset(),
        "check": object(&json!({
            "id": text(), "column": text(), "metric": text(), "dimension": text(),
            "expected": text(), "actual": maybe_text(), "partition": text(),
        })),
        "links": { "anyOf": [links, { "type": "null" }] },
        "message": text(),
    }))
}

fn of_finished() -> Value {
    object(&json!({
        "dataset": dataset(), "partition": text(), "version": maybe_text(),
        "sealed": { "type": ["boolean", "null"] },
        "run": maybe_text(),
        "counts": {
            "type": ["object", "null"],
            "description": "Checks by their outcome; `planned` is all of them.",
            "additionalProperties": { "type": "integer", "minimum": 0 },
        },
        "message": text(),
    }))
}

/// What every alert of operators says, with `more` of its own.
fn of_alert(more: &Value) -> Value {
    let link = object(&json!({ "page": text() }));
    let mut properties = json!({
        "occurrences": {
            "type": "integer", "minimum": 0,
            "description": "How often it happened since it was told last.",
        },
        "links": { "anyOf": [link, { "type": "null" }] },
        "message": text(),
    });
    for (name, schema) in more.as_object().into_iter().flatten() {
        properties[name.as_str()] = schema.clone();
    }
    object(&properties)
}

fn of_run_failed() -> Value {
    let count = json!({ "type": "integer", "minimum": 0 });
    let run = object(&json!({
        "id": text(), "state": text(), "trigger": text(), "slot": maybe_instant(),
        "createdAt": instant(), "endedAt": instant(), "tasks": count, "unjudged": count,
    }));
    of_alert(&json!({ "dataset": dataset(), "run": run }))
}

fn of_node_lost() -> Value {
    let life = json!({ "type": "integer", "minimum": 1 });
    let node = object(&json!({ "id": text(), "incarnation": life, "lostAt": instant() }));
    of_alert(&json!({ "node": node }))
}

fn of_dataset_stale() -> Value {
    let seconds = json!({ "type": "integer", "minimum": 0 });
    let stale = object(&json!({
        "lastSuccess": maybe_instant(), "since": instant(), "pauseSeconds": seconds,
    }));
    of_alert(&json!({ "dataset": dataset(), "stale": stale }))
}

fn of_test() -> Value {
    object(&json!({ "subscription": text(), "dataset": maybe_text(), "message": text() }))
}

/// The schema of the events of a type (`incident.opened.v1`), if there is one of it.
#[must_use]
pub fn of(name: &str) -> Option<Value> {
    let kind = name.strip_suffix(VERSION)?.strip_suffix('.')?;
    let kind = *NoticeKind::ALL.iter().find(|of| type_of(**of) == kind)?;
    let data = match kind {
        NoticeKind::Opened
        | NoticeKind::Escalated
        | NoticeKind::StillOpen
        | NoticeKind::Resolved => of_cause(),
        NoticeKind::Finished => of_finished(),
        NoticeKind::Test => of_test(),
        NoticeKind::RunFailed => of_run_failed(),
        NoticeKind::NodeLost => of_node_lost(),
        NoticeKind::DatasetStale => of_dataset_stale(),
    };
    Some(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": "A CloudEvent 1.0, structured, in JSON. The type begins with the prefix of the cluster.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"],
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "description": "The same whenever it is sent again." },
            "source": text(),
            "type": { "type": "string", "pattern": format!("\\.{}$", name.replace('.', "\\.")) },
            "subject": text(),
            "time": instant(),
            "datacontenttype": { "const": "application/json" },
            "severity": text(),
            "dataset": text(),
            "data": data,
        },
    }))
}
