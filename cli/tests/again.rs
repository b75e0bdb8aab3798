//! Verdicts that hold no more although the data is as it was: by another definition, and of an age.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::{Definition, Place};
use jiff::Timestamp;
use serde_json::Value;

/// Twenty days of orders, the first with 2 rows, the others with 20.
fn orders(place: &Place) -> Definition {
    for day in 1..=20 {
        let rows = if day == 1 { 2 } else { 20 };
        let lines: String = (0..rows).map(|row| format!("{row},{day}.5\n")).collect();
        let name = format!("data/date=2026-01-{day:02}.csv");
        place.write(&name, format!("id,amount\n{lines}"));
    }
    Definition::new("orders", place.path("data"), "csv").set("assayProfile", "{ columns: none }")
}

fn check(place: &Place, definition: &Definition, more: &[&str], code: i32) -> Value {
    place.write("orders.yaml", definition.text());
    let args = [&["check", "orders.yaml", "-o", "json"], more].concat();
    place.assay(&args).ended(code).json()
}

/// The partitions in which a check has an outcome.
fn with(json: &Value, check: &str, outcome: &str) -> usize {
    let items = json["items"].as_array().unwrap();
    let of = |item: &&Value| item["check"] == check && item["outcome"] == outcome;
    items.iter().filter(of).count()
}

#[test]
fn a_new_check_on_what_is_stored_is_evaluated_for_every_partition() {
    let place = Place::new();
    let before = orders(&place);
    check(&place, &before, &[], 0);
    let after = before
        .clone()
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 100000 }");
    let json = check(&place, &after, &[], 1);
    assert_eq!(with(&json, "many", "fail"), 20, "{json:#}");
    assert_eq!(json["summary"]["partitions"], 20, "{}", json["summary"]);
    let said = place.assay(&["check", "orders.yaml"]).ended(1);
    assert!(said.out.contains("nothing new"), "{}", said.out);
    check(&place, &after, &["--check", "many"], 1);
    // The bound corrected, nothing is bad any more but the day that is.
    let corrected = before
        .clone()
        .check("{ id: many, metric: rowCount, mustBeGreaterThan: 10 }");
    let json = check(&place, &corrected, &[], 1);
    assert_eq!(with(&json, "many", "fail"), 1, "{json:#}");
    assert_eq!(with(&json, "many", "pass"), 19, "{json:#}");
    // Where a check stands in its file changes no verdict.
    let text = corrected.text();
    place.write("orders.yaml", format!("# the rules\n{text}"));
    let said = place.assay(&["check", "orders.yaml"]).ended(1);
    assert!(said.out.contains("nothing new"), "{}", said.out);
    check(&place, &before, &[], 0);
}

#[test]
fn that_a_partition_was_restated_stays_told_when_it_is_measured_anew() {
    let place = Place::new();
    let orders = orders(&place);
    let json = check(&place, &orders, &[], 0);
    assert_eq!(with(&json, "restated", "skipped"), 20, "{json:#}");
    let lines: String = (0..21).map(|row| format!("{row},7.5\n")).collect();
    place.write("data/date=2026-01-07.csv", format!("id,amount\n{lines}"));
    let told = |json: &Value| {
        [
            with(json, "restated", "warn"),
            with(json, "restated", "pass"),
        ]
    };
    let json = check(&place, &orders, &["--partition", "2026-01-07"], 0);
    assert_eq!(told(&json), [1, 0], "{json:#}");
    for _ in 0..2 {
        let json = check(&place, &orders, &["--rescan"], 0);
        assert_eq!(told(&json), [1, 19], "{json:#}");
    }
    // A third version is held against the second.
    let lines: String = (0..22).map(|row| format!("{row},7.5\n")).collect();
    place.write("data/date=2026-01-07.csv", format!("id,amount\n{lines}"));
    let json = check(&place, &orders, &["--rescan"], 0);
    let items = json["items"].as_array().unwrap();
    let warned = |item: &&Value| item["check"] == "restated" && item["outcome"] == "warn";
    let reason = items.iter().find(warned).unwrap()["reason"].as_str();
    assert!(reason.unwrap().contains("21"), "{reason:?}");
}

#[test]
fn a_check_on_what_is_not_stored_is_measured_for_every_partition() {
    let place = Place::new();
    let before = orders(&place);
    check(&place, &before, &[], 0);
    let rule =
        "{ id: all, metric: duplicateValues, arguments: { properties: [id, amount] }, mustBe: 0 }";
    let after = before.clone().check(rule);
    let json = check(&place, &after, &[], 0);
    assert_eq!(with(&json, "all", "pass"), 20, "{json:#}");
    let named = before.check(
        "{ id: high, metric: duplicateValues, arguments: { properties: [amount] }, mustBe: 0 }",
    );
    let json = check(&place, &named, &["--partition", "2026-01-07"], 1);
    assert_eq!(with(&json, "high", "fail"), 1, "{json:#}");
}

#[test]
fn other_null_tokens_are_another_reading_and_are_measured_again() {
    let place = Place::new();
    let days = orders(&place);
    place.write("data/date=2026-01-20.csv", "id,amount\n1,n/a\n2,1.5\n");
    let mut before = days;
    let rule = "{ id: full, metric: nullValues, mustBe: 0 }";
    before.columns = vec![format!("{{ name: amount, quality: [{rule}] }}")];
    check(&place, &before, &[], 0);
    let after = before.set("assayFormat", "{ nullTokens: ['', n/a] }");
    let json = check(&place, &after, &[], 1);
    assert_eq!(with(&json, "full", "fail"), 1, "{json:#}");
    assert_eq!(with(&json, "full", "pass"), 19, "{json:#}");
}

#[test]
fn a_feed_that_stops_turns_red_by_itself_and_green_with_what_comes_next() {
    let place = Place::new();
    let (begun, limit) = (Instant::now(), Duration::from_secs(12));
    let write = |day: u32| {
        let name = format!("data/date=2026-01-{day:02}.csv");
        place.write(&name, format!("id,ts\n1,{}\n", Timestamp::now()));
    };
    write(1);
    let mut definition = Definition::new("orders", place.path("data"), "csv")
        .set("assayProfile", "{ columns: none }");
    definition.columns = vec![
        "{ name: id, logicalType: integer }".to_owned(),
        "{ name: ts, logicalType: timestamp }".to_owned(),
    ];
    let text = definition.text().replace(
        "customProperties:",
        "slaProperties:\n  - { id: fresh, property: latency, value: 12, unit: s, element: orders.ts }\n\
         customProperties:",
    );
    place.write("orders.yaml", text);
    let look = |code| place.assay(&["check", "orders.yaml"]).ended(code);
    look(0);
    std::thread::sleep((limit + Duration::from_secs(2)).saturating_sub(begun.elapsed()));
    let said = look(1);
    assert!(said.out.contains("FAIL"), "{}", said.out);
    let said = look(1);
    assert!(said.out.contains("nothing new"), "{}", said.out);
    write(2);
    look(0);
}
