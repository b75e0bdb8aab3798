//! What `assayRun` says beyond a schedule.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use assay_contract::{Code, Parsed, parse};
use assay_model::dataset::RunPolicy;

fn read(run: &str) -> Parsed {
    let text = format!(
        "apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
servers:
  - {{ server: local, type: local, path: ./data/*.parquet, format: parquet }}
customProperties:
  - property: assayRun
    value: {{ {run} }}
"
    );
    parse("orders.yaml", &text, Path::new("/base"))
}

fn policy(run: &str) -> RunPolicy {
    let parsed = read(run);
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    parsed.dataset.unwrap().run
}

#[test]
fn a_dataset_may_be_paused_with_a_reason() {
    let run = policy("paused: true, pausedReason: the source moves house");
    assert!(run.paused);
    assert_eq!(run.paused_reason.as_deref(), Some("the source moves house"));
    assert!(!policy("paused: false").paused);
    let parsed = read("pausedReason: no longer");
    assert_eq!(parsed.diagnostics[0].code, Code::NotUsed);
    assert_eq!(parsed.dataset.unwrap().run.paused_reason, None);
    let parsed = read("paused: perhaps");
    assert!(parsed.diagnostics.iter().any(|d| d.is_error()));
}

#[test]
fn how_often_data_is_looked_at_is_bounded_and_has_no_place_beside_a_schedule() {
    assert_eq!(policy("poll: 5m").poll_s, Some(300));
    for wrong in ["poll: 5s", "poll: 2d", "poll: often"] {
        assert!(
            read(wrong).diagnostics.iter().any(|d| d.is_error()),
            "{wrong}"
        );
    }
    let parsed = read("poll: 5m, schedule: '0 * * * *'");
    assert_eq!(parsed.diagnostics[0].code, Code::NotUsed);
}

#[test]
fn a_definition_that_says_nothing_of_it_keeps_its_digest() {
    let json = serde_json::to_string(&policy("retries: 2")).unwrap();
    for word in ["paused", "poll"] {
        assert!(!json.contains(word), "{json}");
    }
}
