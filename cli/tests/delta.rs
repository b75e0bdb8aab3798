//! A Delta table through the whole program: a first definition, checks, the row that is deleted and
//! shown nowhere, the doctor.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{Definition, Place};

fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copied(&path, &to),
            false => std::fs::copy(&path, &to).map(|_| ()).unwrap(),
        }
    }
}

/// A place with a table in the folder `lake`.
fn place(table: &str) -> Place {
    let place = Place::new();
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/scan/tests/delta_tables");
    copied(&tables.join(table), &place.path("lake"));
    place
}

#[test]
fn a_table_is_found_defined_checked_and_looked_after() {
    let place = place("checkpoint-in-parts");
    let args = ["dataset", "init", "lake", "-f", "datasets/lake.yaml"];
    std::fs::create_dir(place.path("datasets")).unwrap();
    place.assay(&args).ended(0);
    let text = std::fs::read_to_string(place.path("datasets/lake.yaml")).unwrap();
    assert!(text.contains("format: delta"), "{text}");
    for column in ["name: id", "name: value", "name: part"] {
        assert!(text.contains(column), "{text}");
    }
    place.assay(&["check", "datasets/lake.yaml"]).ended(0);
    let said = place.assay(&["check", "datasets/lake.yaml"]).ended(0).all();
    assert!(said.contains("nothing new"), "{said}");
    let said = place.assay(&["doctor"]).all();
    assert!(said.contains("1 of 1 are there"), "{said}");
    // A feature that is not known is told by its name, by both.
    let feature = r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["catalogManaged"],"writerFeatures":["catalogManaged"]}}"#;
    place.write("lake/_delta_log/00000000000000000006.json", feature);
    let said = place.assay(&["check", "datasets/lake.yaml"]).ended(4).all();
    assert!(said.contains("catalogManaged"), "{said}");
    let said = place.assay(&["doctor"]).all();
    assert!(
        said.contains("not reached: lake") || said.contains("catalogManaged"),
        "{said}"
    );
}

#[test]
fn deleted_rows_break_no_rule() {
    let place = place("deletion-vector");
    // The file has the numbers from 0 to 9; 0 and 9 are deleted.
    let text = |least: u32| {
        let mut numbers = Definition::new("numbers", place.path("lake"), "delta")
            .check("{ id: eight, metric: rowCount, mustBe: 8 }")
            .set("assayPartitions", "{ sealing: immediately }");
        numbers.columns = vec![format!(
            "{{ name: value, logicalType: integer, logicalTypeOptions: {{ minimum: {least}, maximum: 8 }} }}"
        )];
        numbers.text()
    };
    place.write("numbers.yaml", text(1));
    place
        .assay(&["check", "numbers.yaml", "--ephemeral"])
        .ended(0);
    place.write("numbers.yaml", text(2));
    place
        .assay(&["check", "numbers.yaml", "--ephemeral"])
        .ended(1);
}
