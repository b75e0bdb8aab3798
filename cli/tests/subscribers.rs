//! The verbs of incidents and subscriptions, on the real program and a real receiver.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use assay_test_servers::receiver::{Behaviour, Receiver};
use common::{Definition, Place, Running};
use serde_json::Value;

/// A secret that signs webhooks, and that nobody must ever see.
const CANARY: &str = "CANARY-5e1f";

/// A cluster on a day with too few rows, that tells `receiver`.
async fn cluster(place: &Place, receiver: &Receiver) -> Running {
    place.write("data/date=2026-01-01.csv", "id,amount\n1,1.5\n");
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: error }");
    place.write("datasets/orders.odcs.yaml", definition.text());
    let allow = format!("[webhook]\nallow = [\"{}\"]\n", receiver.url());
    place.write("notify.toml", allow);
    place.write("assay.toml", "[notify]\nfile = \"notify.toml\"\n");
    place.write("hook", CANARY);
    let dev = ["-vv", "dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(1, Duration::from_secs(30)).await;
    dev
}

/// What the command says as JSON, once `is_so` holds of it.
fn until(place: &Place, args: &[&str], is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let json = place.assay(args).ended(0).json();
        if is_so(&json) {
            return json;
        }
        assert!(Instant::now() < deadline, "{json:#}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[tokio::test]
async fn an_incident_is_listed_taken_muted_and_resolved() {
    let place = Place::new();
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    let dev = cluster(&place, &receiver).await;
    let list = ["incident", "list", "-o", "json"];
    let open = until(&place, &list, |json| json["items"][0]["id"].is_string());
    let one = &open["items"][0];
    assert_eq!(one["status"], "open");
    assert_eq!(one["dataset"], "orders");
    assert_eq!(one["failingChecks"][0], "many");
    let id = one["id"].as_str().unwrap().to_owned();
    let text = place.assay(&["incident", "list"]).ended(0).out;
    assert!(
        text.contains("rowCount is 1") && text.contains("error"),
        "{text}"
    );
    // A beginning is enough.
    let beginning: String = id.chars().take(8).collect();
    let said = place.assay(&["incident", "ack", &beginning]).ended(0).out;
    assert!(
        said.contains("acknowledged") && said.contains(&id),
        "{said}"
    );
    let said = place
        .assay(&["incident", "mute", &id, "--for", "7d"])
        .ended(0)
        .out;
    assert!(said.contains("muted until"), "{said}");
    place.assay(&["incident", "assign", &id, "bob"]).ended(0);
    let note = "the loader was off\nuntil three";
    place.assay(&["incident", "note", &id, note]).ended(0);
    place
        .assay(&["incident", "note", &id, ""])
        .ended(2)
        .kind(&["it is empty"]);
    let whole = place
        .assay(&["incident", "get", &id, "-o", "json"])
        .ended(0)
        .json();
    let whole = &whole["items"][0];
    assert_eq!(
        (&whole["status"], &whole["assignee"]),
        (&"acknowledged".into(), &"bob".into())
    );
    assert!(whole["mutedUntil"].is_string(), "{whole:#}");
    let kinds: Vec<&str> = whole["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["opened", "acknowledged", "muted", "assigned", "noted"]
    );
    assert_eq!(whole["events"][4]["detail"], note);
    let text = place.assay(&["incident", "get", &id]).ended(0).out;
    assert!(
        text.contains("by the data")
            && text.contains("muted until")
            && text.contains("off\n      until three"),
        "{text}"
    );
    place.assay(&["incident", "mute", &id, "--off"]).ended(0);
    place.assay(&["incident", "resolve", &id]).ended(0);
    // Again, as after an answer that was lost: it is so already.
    place.assay(&["incident", "resolve", &id]).ended(0);
    place
        .assay(&["incident", "ack", &id])
        .ended(2)
        .kind(&["is resolved", "nothing to acknowledge"]);
    let told = place.assay(&["incident", "get", &id, "-o", "json"]);
    let told = told.ended(0).json()["items"][0]["events"].to_string();
    assert_eq!(told.matches("\"resolved\"").count(), 1, "{told}");
    let none = place.assay(&list).ended(0).json();
    assert_eq!(none["summary"]["incidents"], 0);
    let all = place
        .assay(&["incident", "list", "--all", "-o", "json"])
        .ended(0)
        .json();
    assert_eq!(all["items"][0]["status"], "resolved");
    place
        .assay(&["incident", "get", "inc_none"])
        .ended(2)
        .kind(&["no incident"]);
    dev.kill();
}

#[tokio::test]
async fn a_subscription_is_added_tested_paused_and_removed_and_no_secret_is_anywhere() {
    let place = Place::new();
    let receiver = Receiver::start(|request, _| match request.line.contains("/dead") {
        true => Behaviour::Status(410),
        false => Behaviour::Status(200),
    });
    let dev = cluster(&place, &receiver).await;
    let target = format!("{}/hook", receiver.url());
    let secret = format!("file:{}", place.path("hook").display());
    let add = |more: &[&str]| {
        let all = [&["subscribe", "add", "-o", "json"], more].concat();
        place.assay(&all)
    };
    let made = add(&[&target, "--dataset", "orders", "--secret", &secret])
        .ended(0)
        .json();
    let id = made["items"][0]["id"].as_str().unwrap().to_owned();
    let tested = place.assay(&["subscribe", "test", &id]).ended(0).out;
    assert!(tested.contains("delivered"), "{tested}");
    // Besides what the first run opened, if it ends after the subscription began.
    let mut heard = receiver.heard();
    heard.retain(|heard| heard.body.contains("subscription.test"));
    assert_eq!(heard.len(), 1);
    assert!(heard[0].head["webhook-signature"].starts_with("v1,"));
    // What is broken by then is told when it gets worse; what breaks from here on at once.
    place.write("data/date=2026-01-02.csv", "id\n1\n");
    place.assay(&["run", "start", "orders", "--wait"]);
    place.assay(&["subscribe", "pause", &id]).ended(0);
    place
        .assay(&["subscribe", "test", &id])
        .ended(2)
        .kind(&["paused", "resume"]);
    place.assay(&["subscribe", "resume", &id]).ended(0);
    let dead = add(&[&format!("{}/dead", receiver.url())]).ended(0).json();
    let dead = dead["items"][0]["id"].as_str().unwrap().to_owned();
    let said = place.assay(&["subscribe", "test", &dead]).ended(4);
    assert!(said.out.contains("dead after 1 attempts"), "{}", said.out);
    let args = [
        "subscribe",
        "deliveries",
        &dead,
        "--state",
        "dead",
        "-o",
        "json",
    ];
    let listed = place.assay(&args).ended(0).json();
    let delivery = listed["items"][0]["id"].as_str().unwrap().to_owned();
    place
        .assay(&["subscribe", "deliveries", "--again", &delivery])
        .ended(0);
    until(&place, &args, |json| json["items"][0]["attempts"] == 1);
    let before = receiver.heard();
    let ids: Vec<&String> = before
        .iter()
        .filter(|h| h.line.contains("/dead"))
        .map(|h| &h.head["webhook-id"])
        .collect();
    let of_it = delivery.trim_start_matches("dlv_");
    let times = ids.iter().filter(|id| **id == of_it).count();
    assert!(times >= 2, "{delivery} of {ids:?}");
    let text = place.assay(&["subscribe", "list"]).ended(0).out;
    let host = format!("{}/…", receiver.url());
    assert!(text.contains(&host) && text.contains("webhook"), "{text}");
    // Two of the same minute, each under a beginning that is its own.
    let shown = |id: &str| {
        let mut words = text.split_whitespace();
        let short = words.find(|word| id.starts_with(word)).unwrap();
        place.assay(&["subscribe", "deliveries", short]).ended(0);
        short.to_owned()
    };
    assert_ne!(shown(&id), shown(&dead));
    for output in ["text", "json"] {
        for args in [&["subscribe", "list"][..], &["subscribe", "deliveries"]] {
            let all = [args, &["-o", output]].concat();
            let said = place.assay(&all).ended(0).out;
            for whole in [&target, &target.replace("/hook", "/dead")] {
                assert!(!said.contains(whole.as_str()), "{said}");
            }
        }
    }
    place.assay(&["subscribe", "remove", &dead]).ended(0);
    let left = place
        .assay(&["subscribe", "list", "-o", "json"])
        .ended(0)
        .json();
    assert_eq!(left["summary"]["subscriptions"], 1, "{left:#}");
    // Refusals say what to do.
    add(&["somewhere"]).ended(2).kind(&["--channel"]);
    add(&["http://169.254.169.254/"])
        .ended(2)
        .kind(&["[webhook] allow"]);
    add(&[&target, "--secret", CANARY]).ended(2);
    add(&[&target, "--secret", "env:ASSAY_NOTIFY_NOT_SET"])
        .ended(2)
        .kind(&["env:ASSAY_NOTIFY_NOT_SET", "not to be had"]);
    dev.kill();
    for (name, text) in everything(&place) {
        assert!(!text.contains(CANARY), "{name} holds the secret");
    }
}

/// The log and the store, as text.
fn everything(place: &Place) -> Vec<(String, String)> {
    let mut all = vec!["log".to_owned()];
    let folder = std::fs::read_dir(place.path(".assay")).unwrap();
    for file in folder.flatten() {
        all.push(format!(".assay/{}", file.file_name().display()));
    }
    all.into_iter()
        .filter(|name| place.path(name).is_file())
        .map(|name| {
            let bytes = std::fs::read(place.path(&name)).unwrap();
            (name, String::from_utf8_lossy(&bytes).into_owned())
        })
        .collect()
}

#[tokio::test]
async fn a_check_without_a_cluster_tells_nobody() {
    let place = Place::new();
    let receiver = Receiver::start(|_, _| Behaviour::Status(200));
    place.write("data/date=2026-01-01.csv", "id,amount\n1,1.5\n");
    let support = format!(
        "support:\n  - {{ channel: hook, tool: webhook, scope: notifications, url: '{}' }}\n",
        receiver.url()
    );
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 1, severity: error }");
    let text = definition
        .text()
        .replace("schema:\n", &format!("{support}schema:\n"));
    let file = place.write("orders.odcs.yaml", text);
    let allow = format!("[webhook]\nallow = [\"{}\"]\n", receiver.url());
    place.write("notify.toml", allow);
    place.write("assay.toml", "[notify]\nfile = \"notify.toml\"\n");
    let file = file.display().to_string();
    place.assay(&["check", &file, "--ephemeral"]).ended(1);
    place.assay(&["check", &file]).ended(1);
    assert_eq!(receiver.heard().len(), 0);
}
