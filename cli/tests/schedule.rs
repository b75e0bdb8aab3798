//! What `assay schedule` says of a folder of definitions, without and with a running cluster, and what
//! `assay dev` makes of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Place, Running};
use serde_json::Value;

/// How long `assay dev` may take for anything.
const SOON: Duration = Duration::from_secs(60);

/// Writes a definition of `data` whose `assayRun` is `run`.
fn define(place: &Place, id: &str, run: &str) {
    let data = place.path("data");
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {id}\nversion: 1.0.0\nstatus: active\n\
         servers:\n  - {{ server: here, type: local, path: {}, format: csv }}\n\
         customProperties:\n  - property: assayRun\n    value: {{ {run} }}\n",
        data.display()
    );
    place.write(&format!("datasets/{id}.odcs.yaml"), text);
}

fn place() -> Place {
    let place = Place::new();
    for day in [1, 2] {
        place.write(
            &format!("data/date=2026-01-0{day}.csv"),
            format!("id,amount\n1,{day}.5\n2,3.5\n"),
        );
    }
    define(
        &place,
        "yearly",
        "schedule: '0 3 1 1 *', timeZone: Europe/Berlin",
    );
    define(
        &place,
        "held",
        "paused: true, pausedReason: the source moves house",
    );
    place
}

fn items(text: &str) -> Vec<Value> {
    let envelope: Value = serde_json::from_str(text).unwrap();
    envelope["items"].as_array().unwrap().clone()
}

#[test]
fn a_folder_tells_what_comes_next_and_why_something_does_not() {
    let place = place();
    let said = place.assay(&["schedule", "explain", "yea"]).ended(0);
    for word in [
        "0 3 1 1 * Europe/Berlin",
        "not asked for yet",
        "backfill",
        "next",
    ] {
        assert!(said.out.contains(word), "{word}: {}", said.out);
    }
    let said = place.assay(&["schedule", "explain", "held"]).ended(0);
    assert!(said.out.contains("the source moves house"), "{}", said.out);
    assert!(!said.out.contains("next "), "{}", said.out);
    let said = place.assay(&["schedule", "list", "-o", "json"]).ended(0);
    let listed = items(&said.out);
    let yearly = listed
        .iter()
        .find(|one| one["dataset"] == "yearly")
        .unwrap();
    assert_eq!(yearly["registered"], false);
    assert_eq!(yearly["coming"].as_array().unwrap().len(), 3);
    place.assay(&["schedule", "explain", "nobody"]).ended(2);
    place.assay(&["schedule", "tick"]).ended(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_runs_the_past_of_a_dataset_once_and_leaves_a_paused_one_alone() {
    let place = place();
    let log = place.path("log");
    let dev = [
        "dev",
        "--dir",
        "datasets",
        "--grpc-port",
        "0",
        "--nodes",
        "1",
    ];
    for _ in 0..2 {
        let running = Running::start(place.command(&dev), &log);
        let until = Instant::now() + SOON;
        loop {
            let runs = place.runs().await;
            if runs.iter().any(|run| run.state.is_terminal()) {
                break;
            }
            assert!(
                Instant::now() < until,
                "no run: {}",
                std::fs::read_to_string(&log).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let until = Instant::now() + SOON;
        // The lock is published when the cluster answers.
        let told = loop {
            let said = place.assay(&["schedule", "tick", "-o", "json"]);
            if said.code == 0 {
                break said;
            }
            assert!(Instant::now() < until, "{}", said.err);
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let report = &items(&told.out)[0];
        assert_eq!(report["emitted"], 0, "{report:#}");
        assert_eq!(report["skipped"]["paused"], 1, "{report:#}");
        let said = place.assay(&["schedule", "explain", "yearly"]).ended(0);
        assert!(said.out.contains("asked for"), "{}", said.out);
        running.kill();
    }
    let runs = place.runs().await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert_eq!(runs[0].dataset.as_str(), "yearly");
}
