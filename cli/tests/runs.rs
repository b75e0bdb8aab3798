//! `assay run` tells what runs came to, with one count for all its commands, and says why a wish
//! does not fit a run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{Definition, Place, Running};

/// A cluster on two days of `place`, one of them cut off when `broken`; its runs have ended.
async fn cluster(place: &Place, broken: bool) -> Running {
    place.write("data/date=2026-01-01.csv", "id,amount\n1,1.5\n2,3.5\n");
    let second = if broken {
        "id,amount\n1\n"
    } else {
        "id,amount\n1,2.5\n"
    };
    place.write("data/date=2026-01-02.csv", second);
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: warning }");
    place.write("datasets/orders.odcs.yaml", definition.text());
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(2, Duration::from_secs(30)).await;
    dev
}

#[tokio::test]
async fn a_list_of_runs_has_the_counts_of_each_run() {
    let place = Place::new();
    let dev = cluster(&place, true).await;
    let list = place.assay(&["run", "list", "-o", "json"]).ended(0).json();
    let runs = list["items"].as_array().unwrap();
    assert!(runs.len() >= 2);
    for run in runs {
        let id = run["id"].as_str().unwrap();
        let one = place
            .assay(&["run", "get", id, "-o", "json"])
            .ended(0)
            .json();
        let one = &one["items"][0];
        let tasks = one["tasks"].as_array().unwrap().len();
        assert_eq!(run["taskCount"], tasks, "{run:#}");
        assert_eq!(run["taskStates"], one["taskStates"]);
        if one["unchanged"] == false {
            assert_eq!(run["counts"], one["counts"], "{id}");
        }
    }
    let text = place.assay(&["run", "list"]).ended(0).out;
    assert!(text.contains("OUTCOME") && text.contains("error"), "{text}");
    for noun in ["run", "incident"] {
        let list = |name| place.assay(&[noun, "list", "--dataset", name]);
        let said = list("order").ended(2);
        let told = ["did you mean `orders`?", "no dataset `order`"];
        assert!(told.iter().any(|t| said.err.contains(t)), "{}", said.err);
        list("orders").ended(0);
    }
    dev.kill();
}

#[tokio::test]
async fn a_run_without_failed_tasks_is_not_tried_again() {
    let place = Place::new();
    let dev = cluster(&place, false).await;
    let text = place.assay(&["run", "list"]).ended(0).out;
    assert!(text.contains("nothing new"), "{text}");
    let run = place.runs().await.pop().unwrap().id.to_string();
    place.assay(&["run", "retry", &run]).ended(2).kind(&[
        &run,
        "has succeeded",
        "nothing to try again",
        "assay run start orders --rescan",
    ]);
    place
        .assay(&["run", "cancel", &run])
        .ended(2)
        .kind(&["ended"]);
    dev.kill();
}

#[tokio::test]
async fn a_second_try_and_a_later_good_day_do_not_turn_red_into_green() {
    let place = Place::new();
    let good = "id,amount\n1,1.5\n2,3.5\n";
    place.write("data/date=2026-01-01.csv", good);
    place.write("data/date=2026-01-02.csv", "id,amount\n1,1.5\n");
    place.write("data/date=2026-01-03.csv", good);
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: error }");
    place.write("datasets/orders.odcs.yaml", definition.text());
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(2, Duration::from_secs(30)).await;
    let wait = |more: &[&str]| {
        let all = [&["run", "start", "orders", "--wait", "-o", "json"], more].concat();
        place.assay(&all)
    };
    // Nothing is new, and the newest partition passes: the failure stands all the same.
    let json = wait(&[]).ended(1).json();
    assert_eq!(json["items"][0]["unchanged"], true, "{json:#}");
    place.write("data/date=2026-01-04.csv", good);
    let json = wait(&[]).ended(1).json();
    assert_eq!(json["items"][0]["unchanged"], false, "{json:#}");
    assert_eq!(json["items"][0]["standingElsewhere"], 1, "{json:#}");
    wait(&["--partition", "2026-01-03"]).ended(0);
    wait(&["--partition", "2026-01-02"]).ended(1);
    place.write("data/date=2026-01-02.csv", good);
    wait(&[]).ended(0);
    dev.kill();
}
