//! What the HTTP API has on record of runs: their log, their OpenLineage event; and what is shown
//! elsewhere: the picture of a metric, the schemas.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
mod web;

use std::time::{Duration, Instant};

use common::{Definition, Place, Running};
use serde_json::Value;
use web::Site;

const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster on three days, the last of which warns, whose lineage goes to a file.
async fn cluster(place: &Place) -> (Running, Site) {
    for (day, rows) in [(1, "1,1.5\n2,3.5\n"), (2, "1,2.5\n2,1.0\n"), (3, "1,0.5\n")] {
        place.write(
            &format!("data/date=2026-01-0{day}.csv"),
            format!("id,amount\n{rows}"),
        );
    }
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: warning }");
    place.write("datasets/orders.odcs.yaml", definition.text());
    let lineage = place.path("lineage.jsonl");
    place.write(
        "assay.toml",
        format!("[lineage]\nfile = \"{}\"\n", lineage.display()),
    );
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(2, PATIENCE).await;
    let site = Site::of_log(&place.path("log"));
    (dev, site)
}

fn run_of(site: &Site) -> String {
    // The first one is that of the past; later ones found nothing new.
    let runs = site.get("/api/v1/runs").ok();
    let first = runs["items"].as_array().unwrap().last().unwrap();
    first["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_event_of_a_run_is_the_one_that_lineage_was_told() {
    let place = Place::new();
    let (_dev, site) = cluster(&place).await;
    let run = run_of(&site);
    let begun = Instant::now();
    let told = loop {
        let file = std::fs::read_to_string(place.path("lineage.jsonl")).unwrap_or_default();
        let events = file.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut ended = events.filter(|event: &Value| {
            let of = event["run"]["runId"].as_str().unwrap().replace('-', "");
            event["eventType"] == "COMPLETE" && run.ends_with(&of)
        });
        if let Some(event) = ended.next() {
            break event;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "no run is told to have ended: {file}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let event = site.get(&format!("/api/v1/runs/{run}/openlineage")).ok();
    assert_eq!(event, told);
    let named = site.get(&format!("/api/v1/runs/{run}/openlineage?namespace=shop"));
    assert_eq!(named.ok()["job"]["namespace"], "shop");
    let strange = format!("run_{:032x}", 1);
    let none = site.get(&format!("/api/v1/runs/{strange}/openlineage"));
    assert_eq!(none.problem(404), "not-found");
}

#[tokio::test]
async fn the_log_of_a_task_is_that_of_its_attempts() {
    let place = Place::new();
    let (_dev, site) = cluster(&place).await;
    let run = run_of(&site);
    let path = format!("/api/v1/runs/{run}/tasks");
    for task in site.get(&path).ok()["items"].as_array().unwrap() {
        let log = site.get(&format!("{path}/{}/log", task["no"])).ok();
        let lines = log["lines"].as_array().unwrap();
        let told: Vec<&str> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
        assert_eq!(told, ["assigned", "started", "ended"], "{log:#}");
        let of = &task["tries"][0];
        for (line, at) in lines.iter().zip(["assignedAt", "startedAt", "endedAt"]) {
            assert_eq!(line["at"], of[at], "{log:#}");
            assert_eq!(line["node"], of["node"]);
            assert_eq!(line["no"], task["no"]);
        }
        assert_eq!(lines[2]["outcome"], "ok");
    }
    assert_eq!(
        site.get(&format!("{path}/999/log")).problem(404),
        "not-found"
    );
    assert_eq!(
        site.get(&format!("{path}/x/log")).problem(400),
        "bad-parameter"
    );
    let run = site.get(&format!("/api/v1/runs/{run}")).ok();
    let log = run["log"].as_array().unwrap();
    let told: Vec<&str> = log.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["finished", "began", "accepted"], "newest first");
    assert_eq!(log[0]["outcome"], "succeeded");
    let progress = &run["progress"];
    assert_eq!(progress["bytesDone"], progress["bytesPlanned"]);
    assert!(progress["bytesDone"].as_u64().unwrap() > 0, "{progress}");
    assert_eq!(progress["leftMs"], Value::Null);
}

#[tokio::test]
async fn a_picture_is_of_the_points_and_holds_everything_within() {
    let place = Place::new();
    let (_dev, site) = cluster(&place).await;
    let path = "/api/v1/datasets/orders/chart.svg";
    let picture = site.get(path);
    assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
    let usual = picture.text();
    assert_eq!(usual, site.get(&format!("{path}?metric=rowCount")).text());
    assert_eq!(usual.matches("class=\"dot ").count(), 3, "{usual}");
    assert!(usual.contains("class=\"dot o-warn"), "{usual}");
    let elsewhere = ["<script", "url(", "@import", "src=", "javascript:"];
    assert!(!elsewhere.iter().any(|bad| usual.contains(bad)), "{usual}");
    assert!(!usual.contains("table below"), "there is no table below it");
    let part = site.get(&format!("{path}?metric=sum(amount)&from=2026-01-02"));
    assert_eq!(part.text().matches("class=\"dot ").count(), 2);
    let none = site.get(&format!("{path}?metric=nothing"));
    assert_eq!(none.problem(404), "not-found");
    let none = site.get("/api/v1/datasets/none/chart.svg");
    assert_eq!(none.problem(404), "not-found");
}

#[tokio::test]
async fn schemas_are_of_files_of_messages_and_of_answers() {
    let place = Place::new();
    let (_dev, site) = cluster(&place).await;
    let of = |name: &str| site.get(&format!("/api/v1/schemas/{name}"));
    let file = of("dataset.json").ok();
    let required = file["required"].as_array().unwrap();
    assert!(required.contains(&"apiVersion".into()), "{required:?}");
    let message = of("incident.opened.v1.json").ok();
    assert_eq!(message["properties"]["specversion"]["const"], "1.0");
    let event = of("RunEvent.json").ok();
    assert_eq!(event["$ref"], "#/components/schemas/RunEvent");
    assert_eq!(of("nothing.json").problem(404), "not-found");
}

#[tokio::test]
async fn a_change_of_the_fleet_is_told_with_how_soon_its_nodes_were_there() {
    let place = Place::new();
    place.write("data/date=2026-01-01.csv", "id,amount\n1,1.5\n");
    let definition = Definition::new("orders", place.path("data"), "csv");
    place.write("datasets/orders.odcs.yaml", definition.text());
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600", "--nodes"];
    let dev = Running::start(
        place.command(&[&dev[..], &["1..2"]].concat()),
        &place.path("log"),
    );
    place.settled(1, PATIENCE).await;
    let site = Site::of_log(&place.path("log"));
    let never = place.assay(&["cluster", "events"]).ended(0).out;
    assert!(never.contains("never scaled"), "{never}");
    place.assay(&["cluster", "scale", "--nodes", "2"]).ended(0);
    let until = async |is_so: &dyn Fn(&Value) -> bool| {
        let begun = Instant::now();
        loop {
            let history = site.get("/api/v1/cluster/history").ok();
            if is_so(&history) {
                return history;
            }
            assert!(begun.elapsed() < PATIENCE, "{history:#}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let is_whole = |history: &Value| {
        history["scaleEvents"][0]["doneAt"].is_string() && history["samples"][0]["at"].is_string()
    };
    let history = until(&is_whole).await;
    let event = &history["scaleEvents"][0];
    assert_eq!((&event["from"], &event["to"]), (&1.into(), &2.into()));
    assert!(
        event["reason"].as_str().unwrap().contains("bounds"),
        "{event:#}"
    );
    assert!(
        event["firstNodeAt"].as_str() > event["at"].as_str(),
        "{event:#}"
    );
    assert!(event["durationMs"].as_u64().unwrap() < 60_000, "{event:#}");
    let sample = history["samples"].as_array().unwrap().last().unwrap();
    assert!(sample["ready"].as_u64().unwrap() >= 1, "{sample:#}");
    let said = place
        .assay(&["cluster", "events", "-o", "json"])
        .ended(0)
        .json();
    assert_eq!(said["items"][0]["firstNodeAt"], event["firstNodeAt"]);
    let text = place.assay(&["cluster", "events"]).ended(0).out;
    assert!(text.contains("1 -> 2") && text.contains("after"), "{text}");
    // Each node says since when it is there.
    let nodes = site.get("/api/v1/nodes").ok();
    for node in nodes["items"].as_array().unwrap() {
        let id = node["id"].as_str().unwrap();
        let history = site.get(&format!("/api/v1/nodes/{id}")).ok()["history"].clone();
        let steps = history.as_array().unwrap();
        assert_eq!(steps.last().unwrap()["step"], "joined", "{history:#}");
        let page = site.get(&format!("/nodes/{id}")).text();
        assert!(page.contains("joined"), "{page}");
    }
    let page = site.get("/cluster").text();
    assert!(
        page.contains("1 → 2") && page.contains("Nodes over the last day"),
        "{page}"
    );
    dev.kill();
}
