//! Numbers, dates and times of text formats: every digit counts, and what is lost is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use assay_model::dataset::{Column, Dataset, FormatKind, LogicalType};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use serde_json::json;

/// The dataset of one file of `kind` with this text, and the folder it is in.
fn dataset(kind: FormatKind, text: &str) -> (Dataset, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(format!("a.{kind}")), text).unwrap();
    (common::dataset(folder.path(), kind), folder)
}

fn column(name: &str, logical: LogicalType, physical: Option<&str>) -> Column {
    let bare = json!({ "name": name, "physicalType": physical });
    Column {
        logical_type: Some(logical),
        ..serde_json::from_value(bare).unwrap()
    }
}

fn ask(dataset: &mut Dataset, keys: &[MetricKey]) -> Vec<MetricPoint> {
    dataset.checks = keys.iter().cloned().map(common::check).collect();
    let points = common::points_of(dataset);
    let of = |key: &MetricKey| points.iter().find(|point| point.key == *key).unwrap();
    keys.iter().map(|key| of(key).clone()).collect()
}

fn value(point: &MetricPoint) -> f64 {
    assert_eq!(point.status, MetricStatus::Computed, "{point:?}");
    point.value.as_f64().unwrap()
}

const NEAR: &str = "170141183460469231731687303715884105728";
const NEXT: &str = "170141183460469231731687303715884105729";

#[test]
fn whole_numbers_beyond_128_bits_stay_apart_and_sum_exactly() {
    let csv = format!("n\n{NEAR}\n{NEXT}\n");
    let json = format!("{{\"n\":{NEAR}}}\n{{\"n\":{NEXT}}}\n");
    for (kind, text) in [(FormatKind::Csv, csv), (FormatKind::Ndjson, json)] {
        for declared in [None, Some(LogicalType::Integer)] {
            let (mut dataset, _folder) = dataset(kind, &text);
            dataset.columns = declared
                .map(|logical| column("n", logical, None))
                .into_iter()
                .collect();
            let asked = [
                Metric::DuplicateCount,
                Metric::DistinctCount,
                Metric::Sum,
                Metric::Max,
            ];
            let points = ask(
                &mut dataset,
                &asked.map(|metric| MetricKey::column(metric, "n")),
            );
            assert_eq!((value(&points[0]), value(&points[1])), (0.0, 2.0), "{kind}");
            let exact = |text: &str| MetricValue::Exact(text.to_owned());
            let sum = exact("340282366920938463463374607431768211457");
            assert_eq!(points[2].value, sum, "{kind} {declared:?}");
            assert_eq!(points[3].value, exact(NEXT), "{kind} {declared:?}");
        }
    }
}

#[test]
fn a_number_that_no_type_holds_makes_the_sum_an_overflow_and_hides_no_other() {
    let wide = |last: char| format!("{}{last}", "9".repeat(90));
    let (a, b) = (wide('1'), wide('2'));
    let csv = format!("n\n1\n{a}\n{b}\n");
    let json = format!("{{\"n\":1}}\n{{\"n\":{a}}}\n{{\"n\":{b}}}\n");
    for (kind, text) in [(FormatKind::Csv, csv), (FormatKind::Ndjson, json)] {
        let (mut dataset, _folder) = dataset(kind, &text);
        let asked = [
            Metric::DistinctCount,
            Metric::Sum,
            Metric::Mean,
            Metric::Stddev,
            Metric::Max,
        ];
        let keys = asked.map(|metric| MetricKey::column(metric, "n"));
        let points = ask(&mut dataset, &keys);
        assert_eq!(value(&points[0]), 3.0, "{kind}");
        assert_eq!(points[1].status, MetricStatus::Overflow, "{kind}");
        for point in &points[2..] {
            assert_ne!(point.status, MetricStatus::Computed, "{kind} {point:?}");
        }
        let why = points[4].note.clone().unwrap();
        assert!(why.contains("so many digits"), "{why}");
    }
}

/// The latency of a column `at` with these values, declared as a timestamp or not.
fn latency(kind: FormatKind, declared: bool, values: &[&str]) -> MetricPoint {
    let text: String = match kind {
        FormatKind::Csv => values.iter().map(|value| format!("{value}\n")).collect(),
        _ => values
            .iter()
            .map(|value| format!("{{\"at\":{value:?}}}\n"))
            .collect(),
    };
    let head = if kind == FormatKind::Csv { "at\n" } else { "" };
    let (mut dataset, _folder) = dataset(kind, &format!("{head}{text}"));
    if declared {
        dataset.columns = vec![column("at", LogicalType::Timestamp, None)];
    }
    let key = MetricKey::column(Metric::Latency, "at");
    ask(&mut dataset, &[key]).remove(0)
}

#[test]
fn the_latest_time_is_the_latest_instant_and_unknown_beside_a_value_that_is_none() {
    for kind in [FormatKind::Csv, FormatKind::Ndjson] {
        for declared in [true, false] {
            let of = |values: &[&str]| latency(kind, declared, values);
            // The first is later, though its text is less.
            let offsets = of(&["2029-12-31T23:00:00Z", "2030-01-01T00:30:00+02:00"]);
            assert_eq!(value(&offsets), 3600.0, "{kind} {declared}");
            for newest in ["31 Dec 2029 23:00", "2029-12-31 23h", "12/31/2029 23:00"] {
                let unread = of(&["2029-12-31T22:00:00Z", newest]);
                assert_eq!(unread.status, MetricStatus::Error, "{unread:?}");
            }
            let far = of(&["2029-12-31T22:00:00Z", "9999-12-30T00:00:00Z"]);
            assert_eq!(value(&far), -251_508_672_000.0, "{kind}");
        }
    }
}

#[test]
fn values_that_are_no_numbers_are_counted_whatever_their_json_type() {
    let text = "{\"n\":1}\n{\"n\":2.5}\n{\"n\":\"3\"}\n{\"n\":true}\n{\"n\":null}\n{\"n\":[1]}\n";
    let (mut dataset, _folder) = dataset(FormatKind::Ndjson, text);
    let asked = [Metric::NonNumericCount, Metric::LengthMax];
    let points = ask(
        &mut dataset,
        &asked.map(|metric| MetricKey::column(metric, "n")),
    );
    assert_eq!(value(&points[0]), 3.0);
    assert_eq!(value(&points[1]), 1.0, "a list is no text");
    let note = points[1].note.clone().unwrap();
    assert!(note.starts_with("4 values that are no texts"), "{note}");
    let (mut dataset, _folder) = self::dataset(FormatKind::Ndjson, "{\"n\":1}\n{\"n\":2}\n");
    dataset.columns = vec![column("n", LogicalType::Integer, None)];
    let points = ask(&mut dataset, &[MetricKey::column(asked[0], "n")]);
    assert_eq!(value(&points[0]), 0.0);
}

#[test]
fn a_partition_of_json_lines_without_rows_tells_no_schema() {
    let schema = [Metric::Schema, Metric::ColumnCount].map(MetricKey::table);
    let (mut dataset, _folder) = dataset(FormatKind::Ndjson, "");
    for point in ask(&mut dataset, &schema) {
        assert_eq!(point.value, MetricValue::Null);
        assert!(point.note.clone().unwrap().contains("no rows"), "{point:?}");
    }
    let (mut dataset, _folder) = self::dataset(FormatKind::Csv, "a,b\n");
    assert_eq!(value(&ask(&mut dataset, &schema)[1]), 2.0);
}

#[test]
fn a_declared_integer_is_whole_by_its_value() {
    let csv = "v,w\n1.5,1\n.5,2.0\nNaN,1e3\nInfinity,\n1e400,-7\nx,170141183460469231731687303715884105729\n";
    let json = concat!(
        "{\"v\":1.5,\"w\":1}\n{\"v\":0.5,\"w\":2.0}\n{\"v\":\"7\",\"w\":null}\n",
        "{\"v\":true,\"w\":-7}\n{\"v\":[1],\"w\":170141183460469231731687303715884105729}\n",
    );
    let args = json!({ "logicalType": "integer" });
    for (kind, text, broken) in [(FormatKind::Csv, csv, 6), (FormatKind::Ndjson, json, 5)] {
        let (mut dataset, _folder) = dataset(kind, text);
        dataset.columns = ["v", "w"]
            .map(|name| column(name, LogicalType::Integer, None))
            .into();
        let keys =
            ["v", "w"].map(|name| MetricKey::column(Metric::InvalidCount, name).with_args(&args));
        let points = ask(&mut dataset, &keys);
        assert_eq!(points[0].value, MetricValue::integer(broken), "{kind}");
        assert_eq!(points[1].value, MetricValue::integer(0), "{kind}");
    }
}

#[test]
fn lists_and_structures_have_no_length() {
    let text = "{\"s\":\"abc\"}\n{\"s\":{\"a\":1}}\n{\"s\":[1,2]}\n{\"s\":null}\n";
    let (mut dataset, _folder) = dataset(FormatKind::Ndjson, text);
    let keys = [Metric::LengthMean, Metric::LengthMax, Metric::DistinctCount]
        .map(|metric| MetricKey::column(metric, "s"));
    let points = ask(&mut dataset, &keys);
    assert_eq!(value(&points[0]), 3.0);
    assert_eq!(value(&points[1]), 3.0);
    assert_eq!(value(&points[2]), 3.0);
    let note = points[0].note.as_deref();
    assert_eq!(note, Some("2 values that are no texts are left out"));
}
