//! Answers that hold no more although the data is as it was: those that could not be had for a
//! reason that has passed, and those held against another server that has changed since.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Definition, Place, Said};
use serde_json::Value;

const KNOWN: &str = "{ id: known, type: sql, query: 'SELECT COUNT(*) FROM {object} AS o \
     LEFT JOIN customers AS c ON o.id = c.id WHERE c.id IS NULL', mustBe: 0 }";
const KEPT: &str = "{ id: kept, type: custom, engine: assay, implementation: { metric: rowCount, \
     filter: 'id IN (SELECT id FROM customers)', mustBe: 2 } }";

/// Two days of orders, held against customers at `customers`.
fn orders(place: &Place, customers: &str) -> String {
    place.write("orders/date=2026-01-01.csv", "id\n1\n2\n");
    place.write("orders/date=2026-01-02.csv", "id\n1\n3\n");
    let definition = Definition::new("orders", place.path("orders/date={date}.csv"), "csv")
        .set("assayProfile", "{ columns: none }")
        .check("{ id: positive, type: sql, query: 'SELECT COUNT(*) FROM {object} WHERE id < 0', mustBe: 0 }")
        .check(KNOWN)
        .check(KEPT);
    let other = format!(
        "  - {{ server: customers, type: local, path: '{}', format: csv }}\nschema:\n",
        place.path(customers).display()
    );
    definition.text().replacen("schema:\n", &other, 1)
}

fn check(place: &Place, program: Option<&std::path::Path>, code: i32) -> Value {
    let mut command = place.command(&["check", "orders.yaml", "-o", "json"]);
    if let Some(program) = program {
        command.env("ASSAY_QUERY_PROGRAM", program);
    }
    Said::of(&command.output().unwrap()).ended(code).json()
}

/// The result of a check of a day of January.
fn of<'a>(json: &'a Value, check: &str, day: u32) -> &'a Value {
    let key = format!("2026-01-{day:02}");
    let items = json["items"].as_array().unwrap();
    let is = |item: &&Value| item["check"] == check && item["partition"] == key.as_str();
    let found = items.iter().find(is);
    found.unwrap_or_else(|| panic!("no {check} of {key} in {json:#}"))
}

fn outcomes(json: &Value, check: &str) -> [String; 2] {
    [1, 2].map(|day| of(json, check, day)["outcome"].as_str().unwrap().to_owned())
}

#[test]
fn what_could_not_be_asked_is_asked_by_the_next_run_of_the_same_bytes() {
    let place = Place::new();
    place.write("customers.csv", "id\n1\n2\n3\n");
    place.write("orders.yaml", orders(&place, "customers.csv"));
    let none = place.path("nowhere/assay-query");
    let dies = place.path("dies");
    std::fs::write(&dies, "#!/bin/sh\nexit 7\n").unwrap();
    std::fs::set_permissions(&dies, std::fs::Permissions::from_mode(0o755)).unwrap();
    for program in [none, dies] {
        let json = check(&place, Some(&program), 4);
        let known = of(&json, "known", 1);
        assert_eq!(known["outcome"], "error", "{known:#}");
        let why = known["reason"].as_str().unwrap();
        assert!(why.contains("the next run asks again"), "{why}");
    }
    let json = check(&place, None, 0);
    for id in ["known", "kept", "positive"] {
        assert_eq!(outcomes(&json, id), ["pass", "pass"], "{id} {json:#}");
    }
    let said = place.assay(&["check", "orders.yaml"]).ended(0);
    assert!(said.out.contains("nothing new"), "{}", said.out);
}

#[test]
fn what_is_held_against_another_server_names_its_version_and_is_judged_again_with_it() {
    let place = Place::new();
    place.write("customers.csv", "id\n1\n2\n");
    place.write("orders.yaml", orders(&place, "customers.csv"));
    let json = check(&place, None, 1);
    assert_eq!(outcomes(&json, "known"), ["pass", "fail"], "{json:#}");
    assert_eq!(outcomes(&json, "kept"), ["pass", "fail"], "{json:#}");
    let note = |json: &Value, id: &str| of(json, id, 1)["note"].as_str().unwrap().to_owned();
    let before = note(&json, "known");
    assert!(
        before.starts_with("read beside it: \"customers\" in version "),
        "{before}"
    );
    assert_eq!(note(&json, "kept"), before);
    assert_eq!(of(&json, "positive", 1)["note"], Value::Null);
    let said = place.assay(&["check", "orders.yaml"]).ended(1);
    assert!(said.out.contains("nothing new"), "{}", said.out);

    place.write("customers.csv", "id\n1\n2\n3\n");
    let json = check(&place, None, 0);
    assert_eq!(outcomes(&json, "known"), ["pass", "pass"], "{json:#}");
    assert_eq!(outcomes(&json, "kept"), ["pass", "pass"], "{json:#}");
    assert_ne!(note(&json, "known"), before);
    let said = place.assay(&["check", "orders.yaml"]).ended(0);
    assert!(said.out.contains("nothing new"), "{}", said.out);

    // What cannot be looked at takes nothing back, and is told.
    std::fs::remove_file(place.path("customers.csv")).unwrap();
    let said = place.assay(&["check", "orders.yaml"]);
    assert!(said.all().contains("customers"), "{}", said.all());
}

#[test]
fn only_the_partition_whose_counterpart_came_or_changed_is_judged_again() {
    let place = Place::new();
    place.write("customers/date=2026-01-01.csv", "id\n1\n2\n");
    place.write("orders.yaml", orders(&place, "customers/date={date}.csv"));
    let json = check(&place, None, 4);
    assert_eq!(outcomes(&json, "known"), ["pass", "error"], "{json:#}");
    let said = place.assay(&["check", "orders.yaml"]).ended(4);
    assert!(said.out.contains("nothing new"), "{}", said.out);
    place.write("customers/date=2026-01-02.csv", "id\n1\n3\n");
    let json = check(&place, None, 0);
    assert_eq!(of(&json, "known", 2)["outcome"], "pass", "{json:#}");
    // The rows are as they were.
    assert_eq!(of(&json, "restated", 2)["outcome"], "pass", "{json:#}");
    let judged = &json["summary"]["partitions"];
    assert_eq!(*judged, 1, "the first is not judged again: {json:#}");
}
