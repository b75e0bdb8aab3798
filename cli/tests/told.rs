//! What a look at the data sees besides whole partitions is said: deleted data, odd names, gaps.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Definition, Place};

/// Days `1` to `days` of January 2026, checked once.
fn feed(days: u32) -> Place {
    let place = Place::new();
    for day in 1..=days {
        let lines: String = (0..20 + day % 3)
            .map(|row| format!("{row},{}.5\n", day + row))
            .collect();
        place.write(
            &format!("data/orders_2026-01-{day:02}.csv"),
            format!("id,amount\n{lines}"),
        );
    }
    place.write("orders.yaml", definition(&place).text());
    place.assay(&["check", "orders.yaml"]).ended(0);
    place
}

fn definition(place: &Place) -> Definition {
    Definition::new("orders", place.path("data"), "csv").set("assayProfile", "{ columns: none }")
}

fn remove(place: &Place, day: u32) {
    std::fs::remove_file(place.path(&format!("data/orders_2026-01-{day:02}.csv"))).unwrap();
}

#[test]
fn a_deleted_partition_is_a_warning_and_stays_one_until_something_is_new() {
    let place = feed(5);
    remove(&place, 3);
    for _ in 0..2 {
        let said = place.assay(&["check", "orders.yaml"]).ended(0);
        let line = said.out.lines().find(|line| line.contains("gone"));
        let line = line.unwrap_or_else(|| panic!("{}", said.out));
        assert!(
            line.contains("WARN") && line.contains("2026-01-03"),
            "{line}"
        );
    }
    place
        .assay(&["check", "orders.yaml", "--fail-on", "warning"])
        .ended(1);
    let json = place.assay(&["check", "orders.yaml", "-o", "json"]).json();
    assert_eq!(json["summary"]["counts"]["warn"], 1);
}

#[test]
fn a_clean_up_of_the_oldest_partition_is_a_notice_and_no_result() {
    let place = feed(5);
    remove(&place, 1);
    let said = place
        .assay(&["check", "orders.yaml", "--fail-on", "warning"])
        .ended(0);
    assert!(
        said.out.contains("NOTICE   partition 2026-01-01"),
        "{}",
        said.out
    );
}

#[test]
fn data_that_is_all_gone_is_an_error_and_not_an_empty_success() {
    let place = feed(5);
    (1..=5).for_each(|day| remove(&place, day));
    let said = place.assay(&["check", "orders.yaml"]).ended(4);
    assert!(said.out.contains("not taken for gone"), "{}", said.out);
}

#[test]
fn ignored_files_are_counted_and_named_in_text_and_json() {
    let place = feed(5);
    for name in ["notes.txt.bak", "readme.md", "x.parquet", "y.parquet"] {
        place.write(&format!("data/{name}"), "x");
    }
    let said = place.assay(&["check", "orders.yaml"]).ended(0);
    assert!(
        said.out.contains("4 files are ignored: notes.txt.bak: "),
        "{}",
        said.out
    );
    assert!(said.out.contains("; and 1 more"), "{}", said.out);
    for name in ["_temporary/a.csv", "_temporary/b.csv", ".x.csv.crc"] {
        place.write(&format!("data/{name}"), "x");
    }
    let json = place.assay(&["check", "orders.yaml", "-o", "json"]).json();
    assert_eq!(json["summary"]["ignoredCount"], 7);
    let first = json["summary"]["ignored"][1].as_str().unwrap();
    assert!(
        first.starts_with("readme.md: its name is not of a csv file"),
        "{first}"
    );
}

#[test]
fn a_misnamed_file_is_an_error_of_its_own_where_the_keys_are_declared() {
    let place = feed(5);
    let layout = "{ template: 'orders_{date}.csv', keys: [{ name: date, type: date }] }";
    let declared = definition(&place).set("assayPartitions", layout);
    place.write("orders.yaml", declared.text());
    place.write("data/orders_2026-13-09.csv", "id,amount\n1,2\n");
    let said = place.assay(&["check", "orders.yaml", "--all"]).ended(4);
    assert!(said.out.contains("ERROR    2026-13-09"), "{}", said.out);
    let rescan = ["check", "orders.yaml", "--rescan", "-o", "json"];
    let json = place.assay(&rescan).ended(4).json();
    assert_eq!(json["summary"]["partitions"], 6, "{}", json["summary"]);
}

#[test]
fn gaps_that_are_too_young_to_be_judged_are_said() {
    let place = feed(3);
    place.write("data/orders_2026-01-05.csv", "id,amount\n1,2\n");
    let said = place.assay(&["check", "orders.yaml"]).ended(0);
    assert!(
        said.out.contains("gaps between partitions are not judged"),
        "{}",
        said.out
    );
}

#[test]
fn a_first_definition_passes_over_a_broken_file_and_says_so() {
    let place = feed(5);
    place.write("data/orders_2026-01-03.csv", b"id,amount\n1,2,3\n\"4");
    let said = place.assay(&["dataset", "init", "data"]).ended(0);
    let told = said.all();
    assert!(told.contains("orders_2026-01-03.csv"), "{told}");
    assert!(told.contains("not looked at"), "{told}");
    assert!(place.path("data.odcs.yaml").is_file());
}

#[test]
fn a_wrong_delimiter_is_hinted_at_with_the_key_to_set() {
    let place = Place::new();
    place.write("data/a.csv", "id;amount\n1;2\n3;4\n");
    place.write("orders.yaml", definition(&place).text());
    let said = place.assay(&["check", "orders.yaml"]);
    assert!(said.out.contains("`;`"), "{}", said.out);
    assert!(said.out.contains("assayFormat.delimiter"), "{}", said.out);
}

#[test]
fn a_first_definition_keeps_the_digits_of_decimals() {
    let place = Place::new();
    place.write(
        "data/a.csv",
        "v,far,id,text\n0.1,0.1234567,1,a\n0.2,1,2.0,b\n,2,3,1.5\n",
    );
    place.assay(&["dataset", "init", "data"]).ended(0);
    let yaml = std::fs::read_to_string(place.path("data.odcs.yaml")).unwrap();
    assert_eq!(yaml.matches("physicalType").count(), 2, "{yaml}");
    assert!(yaml.contains("physicalType: 'decimal(18,1)'"), "{yaml}");
    let exact = yaml.replacen(
        "physicalType: 'decimal(18,1)'",
        "physicalType: 'decimal(18,1)'\n        quality: [{ id: total, type: custom, engine: assay, implementation: { metric: sum, mustBe: 0.3 } }]",
        1,
    );
    place.write("data.odcs.yaml", exact);
    let said = place.assay(&["check", "data.odcs.yaml", "--check", "total"]);
    assert!(said.ended(0).out.contains("PASS"));
}

#[test]
fn two_files_with_one_id_are_told_by_validate() {
    let place = Place::new();
    for file in ["a.yaml", "b.yaml"] {
        place.write(file, definition(&place).text());
    }
    place.assay(&["dataset", "validate", "a.yaml"]).ended(0);
    let said = place
        .assay(&["dataset", "validate", "a.yaml", "b.yaml"])
        .ended(3);
    assert!(
        said.all().contains("already defined by a.yaml"),
        "{}",
        said.all()
    );
}
