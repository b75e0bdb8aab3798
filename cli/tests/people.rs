//! What people do over the HTTP API and on the pages of `assay dev`: the same as by the command.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "people/fuzzed.rs"]
mod fuzzed;
#[path = "people/marked.rs"]
mod marked;
#[path = "people/notices.rs"]
mod notices;
#[path = "people/others.rs"]
mod others;
mod web;

use std::time::{Duration, Instant};

use common::{Definition, Place, Running};
use serde_json::{Value, json};
use web::{Answer, Schema, Site};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn day(at: u32) -> String {
    let days = i64::from(at);
    (jiff::civil::date(2026, 1, 5) + jiff::Span::new().days(days)).to_string()
}

/// A cluster on days of orders, of which there are more since the day 24.
async fn cluster(place: &Place) -> (Running, Site) {
    for at in 0..32 {
        let rows = if at < 24 { 100 } else { 400 } + (at * 7919 % 11);
        let lines: String = (0..rows).map(|row| format!("{row},{at}.5\n")).collect();
        let file = format!("data/date={}.csv", day(at));
        place.write(&file, format!("id,amount\n{lines}"));
    }
    let definition = Definition::new("orders", place.path("data"), "csv")
        .set("assayProfile", "{ columns: none }")
        .check("{ id: usual, type: custom, engine: assay, implementation: { metric: rowCount, learned: true } }");
    place.write("datasets/orders.odcs.yaml", definition.text());
    let dev = ["dev", "--grpc-port", "0", "--poll-s", "3600"];
    let dev = Running::start(place.command(&dev), &place.path("log"));
    place.settled(1, Duration::from_secs(60)).await;
    let site = Site::of_log(&place.path("log"));
    (dev, site)
}

/// Waits until `look` gives something.
#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Sends JSON under a key; the answer is as the document says.
fn post(site: &Site, schema: &Schema, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [JSON, ("idempotency-key", key)];
    let path = format!("/api/v1/{path}");
    let answer = site.send("POST", &path, &headers, body.to_string().as_bytes());
    let document = site.get("/api/v1/openapi.json").ok();
    let mut of = path.replace("/orders", "/{dataset}");
    if let Some((head, rest)) = of.split_once("/fb_") {
        let verb = rest.find(':').map_or("", |at| &rest[at..]);
        of = format!("{head}/{{feedback}}{verb}");
    }
    let responses = &document["paths"][&of]["post"]["responses"];
    schema.check(responses, &answer, &path);
    answer
}

#[tokio::test]
async fn an_answer_is_looked_at_kept_once_listed_and_withdrawn() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let schema = Schema::of(&site.get("/api/v1/openapi.json").ok());
    let said = |args: &[&str]| place.assay(args).ended(0).json();
    let from = day(24);
    let draft = json!({
        "kind": "train_as_new_normal", "metric": "rowCount", "from": from, "reason": "a second shop",
    });
    let path = "datasets/orders/feedback";
    let preview = format!("{path}:preview");
    let looked = post(&site, &schema, &preview, "look", &draft).ok();
    assert_eq!(looked["kept"], false);
    let by_command = said(&[
        "feedback",
        "train-as-new-normal",
        "orders",
        &from,
        "--metric",
        "rowCount",
        "--reason",
        "a second shop",
        "--preview",
        "-o",
        "json",
    ]);
    let by_command = &by_command["items"][0];
    assert_eq!(looked["backtest"], by_command["backtest"]);
    assert_eq!(looked["feedback"]["scope"], by_command["feedback"]["scope"]);
    let alerted = looked["backtest"]["before"]["alerts"].as_array().unwrap();
    assert!(!alerted.is_empty(), "{looked:#}");
    assert_eq!(
        site.get("/api/v1/datasets/orders/feedback").ok()["total"],
        0
    );

    let first = post(&site, &schema, path, "k-1", &draft);
    assert_eq!(first.status, 201, "{}", first.text());
    let kept = first.json();
    assert_eq!(kept["feedback"]["by"], "local");
    assert_eq!(kept["backtest"], looked["backtest"]);
    let again = post(&site, &schema, path, "k-1", &draft);
    assert_eq!(again.json(), kept);
    let id = kept["feedback"]["id"].as_str().unwrap();
    let place_of = format!("/api/v1/datasets/orders/feedback/{id}");
    assert_eq!(first.header("location"), Some(place_of.as_str()));
    let listed = site.get("/api/v1/datasets/orders/feedback").ok();
    let commands = said(&["feedback", "list", "orders", "-o", "json"]);
    assert_eq!(listed["items"], commands["items"]);
    assert_eq!(listed["total"], 1);

    let gone = json!({ "reason": "it was closed again" });
    let withdraw = format!("{path}/{id}:withdraw");
    let withdrawn = post(&site, &schema, &withdraw, "k-2", &gone).ok();
    assert_eq!(withdrawn["feedback"]["inForce"], false);
    let one = site.get(&place_of).ok();
    assert_eq!(one["withdrawn"]["reason"], "it was closed again");
    assert_eq!(one["withdrawn"]["by"], "local");
    dev.kill();
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_and_nothing_is_kept() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let schema = Schema::of(&site.get("/api/v1/openapi.json").ok());
    let path = "datasets/orders/feedback";
    let good = json!({ "kind": "mark_as_normal", "from": day(24), "reason": "a sale" });
    let changed = |name: &str, value: Value| {
        let mut draft = good.clone();
        draft[name] = value;
        draft
    };
    for (draft, slug) in [
        // Who answers is who asks, and nobody else.
        (changed("by", json!("ada")), "bad-body"),
        (changed("kind", json!("mark_as_fine")), "bad-body"),
        (changed("reason", json!("  ")), "bad-body"),
        (changed("from", json!("2030-01-01")), "bad-body"),
        (changed("metric", json!("nothing")), "bad-body"),
    ] {
        let refused = post(&site, &schema, path, "refused", &draft);
        assert_eq!(refused.problem(422), slug, "{draft}");
    }
    let elsewhere = site.send(
        "POST",
        "/api/v1/datasets/none/feedback",
        &[JSON],
        good.to_string().as_bytes(),
    );
    assert_eq!(elsewhere.problem(404), "not-found");
    let none = format!("{path}/fb_{}:withdraw", "0".repeat(32));
    let refused = post(&site, &schema, &none, "w", &json!({ "reason": "why" }));
    assert_eq!(refused.problem(404), "not-found");
    assert_eq!(
        site.get("/api/v1/datasets/orders/feedback").ok()["total"],
        0
    );
    dev.kill();
}

#[tokio::test]
async fn a_check_is_marked_as_normal_on_its_page() {
    let place = Place::new();
    let (dev, site) = cluster(&place).await;
    let page = "/datasets/orders/checks/usual";
    let query = format!("saying=mark_as_normal&from={}&why=a+sale", day(24));
    let looked = site.get(&format!("{page}/answer?{query}"));
    assert_eq!(looked.status, 200, "{}", looked.text());
    assert!(looked.text().contains("Nothing is kept yet"));
    let form = format!("{query}&key=page-1");
    let answer = format!("{page}/answer");
    for _ in 0..2 {
        let kept = site.send("POST", &answer, &[FORM], form.as_bytes());
        assert_eq!(kept.status, 303, "{}", kept.text());
    }
    let listed = site.get("/api/v1/datasets/orders/feedback").ok();
    assert_eq!(listed["total"], 1, "{listed:#}");
    let one = &listed["items"][0];
    assert_eq!(
        (&one["kind"], &one["reason"]),
        (&json!("mark_as_normal"), &json!("a sale"))
    );
    assert!(site.get(page).text().contains("a sale"));
    let id = one["id"].as_str().unwrap();
    let withdraw = format!("{page}/withdraw");
    let silent = site.send("POST", &withdraw, &[FORM], format!("id={id}").as_bytes());
    assert_eq!(silent.status, 422, "{}", silent.text());
    let form = format!("id={id}&why=it+was+none");
    let gone = site.send("POST", &withdraw, &[FORM], form.as_bytes());
    assert_eq!(gone.status, 303, "{}", gone.text());
    let listed = site.get("/api/v1/datasets/orders/feedback").ok();
    assert_eq!(listed["items"][0]["withdrawn"]["reason"], "it was none");
    dev.kill();
}
