//! `assay check` as scripts use it: exit codes, the JSON envelope, the JUnit report, and that a
//! look beside a running cluster leaves no trace.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use assay_store::MetricStore as _;
use common::{Definition, Place, Running, Said};
use serde_json::Value;

/// Three days of orders; the last one has `rows` rows.
fn orders(place: &Place, rows: u32) -> Definition {
    for (day, rows) in [(1, 20), (2, 21), (3, rows)] {
        let lines: String = (0..rows)
            .map(|row| format!("{row},{}.5\n", day + row))
            .collect();
        let name = format!("data/date=2026-01-{day:02}.csv");
        place.write(&name, format!("id,amount\n{lines}"));
    }
    Definition::new("orders", place.path("data"), "csv").set("assayProfile", "{ columns: none }")
}

fn rule(metric: &str, severity: &str) -> String {
    format!("{{ id: enough, {metric}, mustBeGreaterThan: 10, severity: {severity} }}")
}

/// Writes a dataset whose newest partition breaks a rule of `severity`.
fn bad(place: &Place, severity: &str) {
    let definition = orders(place, 5).check(&rule("metric: rowCount", severity));
    place.write("orders.yaml", definition.text());
}

#[test]
fn good_data_is_0_and_what_is_still_learning_is_said() {
    let place = Place::new();
    place.write("orders.yaml", orders(&place, 19).text());
    let said = place.assay(&["check", "orders.yaml"]).ended(0);
    assert!(
        said.out.ends_with('\n') && said.out.contains("exit code 0"),
        "{}",
        said.out
    );
    assert!(said.out.contains("still learning"), "{}", said.out);
    assert_eq!(said.err, "");
}

#[test]
fn a_node_finds_its_leader_at_the_first_try() {
    let place = Place::new();
    place.write("orders.yaml", orders(&place, 19).text());
    let mut command = place.command(&["check", "orders.yaml", "--ephemeral"]);
    command.env("ASSAY_LOG", "assay_datanode=debug");
    let said = Said::of(&command.output().unwrap()).ended(0);
    assert!(said.err.contains("registered"), "{}", said.err);
    assert!(!said.err.contains("no link to a leader"), "{}", said.err);
}

#[test]
fn bad_data_is_1_from_the_severity_that_was_asked_for() {
    let place = Place::new();
    bad(&place, "error");
    let check = |args: &[&str]| {
        let mut all = vec!["check", "orders.yaml", "--ephemeral"];
        all.extend(args);
        place.assay(&all)
    };
    let said = check(&[]).ended(1);
    assert!(
        said.out.contains("FAIL") && said.out.contains("enough"),
        "{}",
        said.out
    );
    check(&["--fail-on", "warning"]).ended(1);
    check(&["--fail-on", "never"]).ended(0);
    bad(&place, "warning");
    check(&[]).ended(0);
    check(&["--fail-on", "warning"]).ended(1);
}

#[test]
fn a_wrong_command_line_is_2() {
    let place = Place::new();
    place.assay(&["check"]).ended(2).kind(&["Usage"]);
    place
        .assay(&["check", "x.yaml", "--fail-on", "sometimes"])
        .ended(2)
        .kind(&["--fail-on", "warning"]);
}

#[test]
fn an_invalid_definition_is_3_and_nothing_is_kept() {
    let place = Place::new();
    let definition = orders(&place, 19).check("{ id: x, metric: rowCout, mustBe: 1 }");
    place.write("orders.yaml", definition.text());
    place.assay(&["check", "orders.yaml"]).ended(3);
    assert!(!place.path(".assay").exists(), "a data folder was made");
}

#[test]
fn what_cannot_be_read_is_4_and_wins_over_bad_data() {
    let place = Place::new();
    bad(&place, "error");
    place.write("data/date=2026-01-02.csv", b"id,amount\n1,2\n1,2,3\n");
    let said = place
        .assay(&["check", "orders.yaml", "-o", "json"])
        .ended(4);
    let json = said.json();
    assert_eq!(json["exitCode"], 4);
    let counts = &json["summary"]["counts"];
    assert!(counts["error"].as_u64().unwrap() > 0, "{counts}");
    assert!(
        counts["fail"].as_u64().unwrap() > 0,
        "both are told: {counts}"
    );
}

#[test]
fn the_json_envelope_holds_every_result_and_nothing_else_is_on_standard_output() {
    let place = Place::new();
    bad(&place, "error");
    let json = place
        .assay(&["check", "orders.yaml", "-o", "json"])
        .ended(1)
        .json();
    assert_eq!(json["apiVersion"], "assay/v1");
    assert_eq!(json["kind"], "CheckResultList");
    assert_eq!(json["exitCode"], 1);
    let items = json["items"].as_array().unwrap();
    let counts = &json["summary"]["counts"];
    assert_eq!(counts["planned"].as_u64().unwrap(), items.len() as u64);
    let words = [
        "pass", "warn", "fail", "error", "missing", "learning", "skipped", "overflow",
    ];
    for word in words {
        let of_word = items.iter().filter(|item| item["outcome"] == word).count();
        assert_eq!(counts[word].as_u64(), Some(of_word as u64), "{word}");
    }
    let failed: Vec<&Value> = items.iter().filter(|i| i["outcome"] == "fail").collect();
    let [failed] = failed.as_slice() else {
        panic!("{failed:#?}");
    };
    assert_eq!(failed["dataset"], "orders");
    assert_eq!(failed["partition"], "2026-01-03");
    assert_eq!(failed["check"], "enough");
    assert_eq!(failed["metric"], "rowCount");
    assert_eq!(failed["severity"], "error");
    assert_eq!(failed["actual"]["value"], "5");
    assert_eq!(json["summary"]["rows"], 20 + 21 + 5);
}

#[test]
fn json_lines_are_one_document_each_and_none_is_silent() {
    let place = Place::new();
    bad(&place, "error");
    let said = place
        .assay(&["check", "orders.yaml", "-o", "jsonl"])
        .ended(1);
    for line in said.out.lines() {
        let _: Value = serde_json::from_str(line).unwrap();
    }
    assert!(said.out.lines().count() > 5, "{}", said.out);
    let said = place
        .assay(&["check", "orders.yaml", "-o", "none"])
        .ended(1);
    assert_eq!(said.all(), "");
}

#[test]
fn the_junit_report_counts_what_the_json_counts() {
    let place = Place::new();
    bad(&place, "error");
    let args = [
        "check",
        "orders.yaml",
        "-o",
        "json",
        "--junit",
        "report.xml",
    ];
    let json = place.assay(&args).ended(1).json();
    let report = std::fs::read_to_string(place.path("report.xml")).unwrap();
    let counts = &json["summary"]["counts"];
    assert!(report.starts_with("<?xml version=\"1.0\""), "{report}");
    assert!(
        report.contains(&format!("tests=\"{}\"", counts["planned"])),
        "{report}"
    );
    assert!(report.contains("failures=\"1\""), "{report}");
    assert_eq!(report.matches("<failure ").count(), 1);
    let cases = report.matches("<testcase ").count() as u64;
    assert_eq!(Some(cases), counts["planned"].as_u64());
}

#[test]
fn github_gets_annotations_at_the_line_of_the_rule() {
    let place = Place::new();
    bad(&place, "error");
    let text = std::fs::read_to_string(place.path("orders.yaml")).unwrap();
    let line = 1 + text.lines().position(|l| l.contains("enough")).unwrap();
    let said = place.assay(&["check", "orders.yaml", "--ci"]).ended(1);
    let wanted = format!("::error file=orders.yaml,line={line},");
    assert!(said.err.contains(&wanted), "{}", said.err);
}

#[test]
fn a_second_check_with_nothing_new_keeps_the_verdict() {
    let place = Place::new();
    bad(&place, "error");
    let args = ["check", "orders.yaml", "-o", "json"];
    let first = place.assay(&args).ended(1).json();
    let second = place.assay(&args).ended(1).json();
    let newest = |json: &Value| -> Vec<Value> {
        let items = json["items"].as_array().unwrap().iter();
        items
            .filter(|item| item["partition"] == "2026-01-03")
            .cloned()
            .collect()
    };
    assert!(!newest(&first).is_empty());
    assert_eq!(newest(&first), newest(&second));
    let said = place.assay(&["check", "orders.yaml"]).ended(1);
    assert!(said.out.contains("nothing new"), "{}", said.out);
}

#[test]
fn a_named_partition_answers_for_itself_whatever_was_judged_since() {
    let place = Place::new();
    bad(&place, "error");
    place.assay(&["check", "orders.yaml"]).ended(1);
    place.write("data/date=2026-01-04.csv", good_day());
    let of = |day: &str, code| {
        let said = place.assay(&["check", "orders.yaml", "--partition", day, "-o", "json"]);
        said.ended(code).json()
    };
    of("2026-01-04", 0);
    let failed = of("2026-01-03", 1);
    assert_eq!(failed["summary"]["partitions"], 1, "{}", failed["summary"]);
    of("2026-01-01", 0);
}

#[test]
fn a_failure_stands_when_a_later_look_finds_good_partitions_only() {
    let place = Place::new();
    bad(&place, "error");
    place.assay(&["check", "orders.yaml"]).ended(1);
    place.write("data/date=2026-01-04.csv", good_day());
    for _ in 0..2 {
        let said = place.assay(&["check", "orders.yaml"]).ended(1);
        assert!(said.out.contains("FAIL     2026-01-03"), "{}", said.out);
        assert!(
            said.out.contains("1 partition of earlier looks"),
            "{}",
            said.out
        );
    }
    // Its data made good, the failure is over.
    let good = orders(&place, 22).check(&rule("metric: rowCount", "error"));
    place.write("orders.yaml", good.text());
    place.assay(&["check", "orders.yaml"]).ended(0);
}

fn good_day() -> String {
    let lines: String = (0..20).map(|row| format!("{row},{row}.5\n")).collect();
    format!("id,amount\n{lines}")
}

#[test]
fn a_rewritten_partition_is_judged_again_and_a_good_one_ends_the_failure() {
    let place = Place::new();
    bad(&place, "error");
    place.assay(&["check", "orders.yaml"]).ended(1);
    let good = orders(&place, 22).check(&rule("metric: rowCount", "error"));
    place.write("orders.yaml", good.text());
    let json = place
        .assay(&["check", "orders.yaml", "-o", "json"])
        .ended(0)
        .json();
    assert!(json["summary"]["rows"].as_u64().unwrap() >= 22, "{json}");
}

#[test]
fn of_two_files_the_graver_code_is_given() {
    let place = Place::new();
    bad(&place, "error");
    let mut other = orders(&place, 5);
    other.id = "other".to_owned();
    place.write("other.yaml", other.text());
    let said = place
        .assay(&["check", "other.yaml", "orders.yaml"])
        .ended(1);
    assert!(said.out.contains("orders 1.0.0") && said.out.contains("other 1.0.0"));
}

/// Every file of a folder with its bytes.
fn files(folder: PathBuf) -> BTreeMap<PathBuf, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

/// The files of a folder once nobody has written to them for a second: the cluster still clears up
/// after a run has ended.
async fn at_rest(folder: &std::path::Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let written = |files: &BTreeMap<PathBuf, Vec<u8>>| {
        let mut files = files.clone();
        files.retain(|path, _| !path.to_string_lossy().ends_with("-shm"));
        files
    };
    let mut seen = files(folder.to_owned());
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = files(folder.to_owned());
        if written(&now) == written(&seen) {
            return now;
        }
        seen = now;
    }
    panic!("{} does not come to rest", folder.display());
}

#[tokio::test]
async fn a_check_beside_a_running_cluster_reads_its_history_and_writes_nothing() {
    let place = Place::new();
    bad(&place, "error");
    std::fs::create_dir(place.path("datasets")).unwrap();
    let text = std::fs::read(place.path("orders.yaml")).unwrap();
    place.write("datasets/orders.odcs.yaml", text);
    let dev = place.command(&["dev", "--grpc-port", "0", "--poll-s", "3600"]);
    let dev = Running::start(dev, &place.path("log"));
    place.settled(2, Duration::from_secs(30)).await;
    let runs = place.runs().await.len();
    let before = at_rest(&place.path(".assay")).await;
    let said = place.assay(&["check", "orders.yaml"]).ended(1);
    assert!(said.err.contains("writing nothing"), "{}", said.err);
    assert!(
        said.out.contains("nothing new"),
        "history was read: {}",
        said.out
    );
    place.assay(&["check", "orders.yaml", "--rescan"]).ended(1);
    assert_eq!(place.runs().await.len(), runs, "a run was written");
    let after = files(place.path(".assay"));
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &before {
        // The index of the write-ahead log is memory that readers mark.
        if !path.to_string_lossy().ends_with("-shm") {
            assert!(after[path] == *bytes, "{} was written", path.display());
        }
    }
    dev.kill();
}

#[tokio::test]
async fn what_a_killed_check_left_is_finished_and_told_by_the_next() {
    let place = Place::new();
    let days = 120;
    let first = jiff::civil::date(2026, 1, 1);
    for day in 0..days {
        let rows = if day == 3 || day == 90 { 5 } else { 20 };
        let lines: String = (0..rows).map(|row| format!("{row},{day}.5\n")).collect();
        let date = first + jiff::Span::new().days(day);
        place.write(
            &format!("data/date={date}.csv"),
            format!("id,amount\n{lines}"),
        );
    }
    let definition = Definition::new("orders", place.path("data"), "csv")
        .check(&rule("metric: rowCount", "error"))
        .set("assayLimits", "{ learned: true }");
    place.write("orders.yaml", definition.text());
    let check = place.command(&["check", "orders.yaml"]);
    let check = Running::start(check, &place.path("log"));
    while ended_tasks(&place).await < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check.kill();
    let left = place.runs().await;
    assert!(left.iter().any(|run| !run.state.is_terminal()), "too late");
    let json = place
        .assay(&["check", "orders.yaml", "-o", "json"])
        .ended(1)
        .json();
    assert_eq!(json["summary"]["partitions"], days);
    let items = json["items"].as_array().unwrap().iter();
    let failed: Vec<&Value> = items
        .filter(|item| item["check"] == "enough" && item["outcome"] == "fail")
        .map(|item| &item["partition"])
        .collect();
    assert_eq!(failed, ["2026-01-04", "2026-04-01"]);
}

async fn ended_tasks(place: &Place) -> usize {
    let Some(store) = place.try_store().await else {
        return 0;
    };
    let mut ended = 0;
    for run in place.runs().await {
        let tasks = store.tasks(run.id).await.unwrap_or_default();
        ended += tasks.iter().filter(|(t, _)| t.state.is_terminal()).count();
    }
    store.close().await;
    ended
}
