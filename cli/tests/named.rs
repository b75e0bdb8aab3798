//! Partitions and metrics are found by every name that the program, or the data's folders, give them;
//! what has not come is not called judged.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;

use common::{Definition, Place};

/// Daily folders `dt=…` of January 2026, of these days, checked once.
fn feed(days: &[u32], partitions: &str) -> Place {
    let place = Place::new();
    for day in days {
        let lines: String = (0..20 + day % 3)
            .map(|row| format!("{row},{}.5\n", day + row))
            .collect();
        place.write(
            &format!("data/dt=2026-01-{day:02}/part.csv"),
            format!("id,amount\n{lines}"),
        );
    }
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check("{ id: half, metric: rowCount, mustBeGreaterThan: 21, severity: error }")
        .set("assayPartitions", partitions);
    place.write("orders.yaml", definition.text());
    place
}

#[test]
fn a_partition_is_named_as_its_folder_is_called_too() {
    for partitions in [
        "{ layout: auto }",
        "{ layout: hive }",
        "{ layout: hive, keys: [{ name: dt, type: date }] }",
    ] {
        let place = feed(&[1, 2, 3], partitions);
        let of = |name: &str, code: i32| {
            let args = ["check", "orders.yaml", "--rescan", "--partition", name];
            let json = [&args[..], &["-o", "json"]].concat();
            let said = place.assay(&json).ended(code);
            let found = said.json()["items"].as_array().unwrap().clone();
            assert!(found.iter().all(|i| i["partition"] == "2026-01-02"));
            found.len()
        };
        assert_eq!(of("2026-01-02", 0), of("dt=2026-01-02", 0), "{partitions}");
        let other = ["check", "orders.yaml", "--partition", "day=2026-01-02"];
        let said = place.assay(&other).ended(4);
        assert!(said.all().contains("day=2026-01-02"), "{}", said.all());
    }
}

#[test]
fn a_partition_that_has_not_come_is_not_counted_as_judged() {
    let place = feed(
        &[1, 2, 3, 4, 5, 6, 9, 10],
        "{ layout: hive, cadence: daily }",
    );
    let said = place.assay(&["check", "orders.yaml"]);
    let (missing, judged) = (
        said.out.matches(" missing").count(),
        "8 partitions judged, ",
    );
    assert!(missing > 0 && said.out.contains(judged), "{}", said.all());
    let place = feed(
        &[1, 2, 3, 4, 5, 6, 9, 10],
        "{ layout: hive, cadence: daily }",
    );
    let json = place.assay(&["check", "orders.yaml", "-o", "json"]).json();
    let items = json["items"].as_array().unwrap().iter();
    let missing = items.filter(|item| item["outcome"] == "missing");
    let missing: BTreeSet<String> = missing.map(|item| item["partition"].to_string()).collect();
    let missing = missing.len();
    assert!(missing >= 2, "{missing}");
    assert_eq!(json["summary"]["missingPartitions"], missing);
    assert_eq!(json["summary"]["partitions"], 8 + missing);
}

#[test]
fn a_history_is_found_by_the_key_that_the_lists_print() {
    let place = feed(&[1, 2, 3], "{ layout: hive }");
    place.assay(&["check", "orders.yaml"]).ended(1);
    let listed = place.assay(&["metric", "list", "orders", "-o", "json"]);
    let listed = listed.ended(0).json();
    let keys = listed["items"].as_array().unwrap();
    assert!(keys.len() > 3, "{listed:#}");
    let history = |name: &str| {
        let args = ["metric", "history", "orders", name, "-o", "json"];
        place.assay(&args).ended(0).json()["items"].clone()
    };
    for item in keys {
        let found = history(&item["key"].to_string());
        assert_eq!(found.as_array().unwrap().len(), 1, "{item}");
        assert_eq!(found[0]["key"], item["key"]);
    }
    let table = place.assay(&["metric", "list", "orders"]).ended(0).out;
    let quantile = table.lines().find(|line| line.contains("quantile("));
    let quantile = quantile.unwrap_or_else(|| panic!("{table}"));
    let end = quantile.find('}').unwrap() + 1;
    let found = history(quantile[..end].trim_start());
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
}
