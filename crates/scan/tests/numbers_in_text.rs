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
