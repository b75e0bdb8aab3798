//! A command whose reader has gone (`assay check … | head`) ends as it would have, whatever it had to say.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::process::Stdio;

use common::{Definition, Place};

/// The exit code of a command that nobody listens to.
fn unheard(place: &Place, args: &[&str]) -> Option<i32> {
    let mut command = place.command(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    child.wait().unwrap().code()
}

#[test]
fn bad_data_is_bad_though_nobody_reads_of_it() {
    let place = Place::new();
    place.write("data/date=2026-01-01.csv", "id,amount\n1,2.5\n");
    let rule = "{ id: enough, metric: rowCount, mustBeGreaterThan: 10, severity: error }";
    let orders = Definition::new("orders", place.path("data"), "csv").check(rule);
    place.write("orders.yaml", orders.text());
    let check = [
        "check",
        "orders.yaml",
        "--ephemeral",
        "--ci",
        "--junit",
        "report.xml",
    ];
    assert_eq!(unheard(&place, &check), Some(1));
    let report = std::fs::read_to_string(place.path("report.xml")).unwrap();
    assert!(report.contains("enough"), "{report}");
    let json = ["check", "orders.yaml", "--ephemeral", "--output", "json"];
    assert_eq!(unheard(&place, &json), Some(1));
}

#[test]
fn what_is_wrong_with_a_file_or_a_command_has_its_code_though_nobody_reads_why() {
    let place = Place::new();
    place.write("orders.yaml", "kind: DataContract\nid: [\n");
    assert_eq!(unheard(&place, &["check", "orders.yaml"]), Some(3));
    assert_eq!(unheard(&place, &["check", "nowhere.yaml"]), Some(3));
}
