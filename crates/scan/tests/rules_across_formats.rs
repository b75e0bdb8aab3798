//! Value rules and keys of several columns: the same data gives the same counts in every format.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use assay_model::dataset::{Column, Dataset, FormatKind, LogicalType};
use assay_model::metric::{Metric, MetricKey, MetricStatus, MetricValue};
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

const TEXTS: [&str; 9] = [
    "paid", "open", "n/a", "PAID", "käse", "x", "refunded", "-", "open ",
];

/// Doubles, as each of three spellings: equal ones are one value in every format.
const DOUBLES: [(f64, [&str; 3]); 6] = [
    (0.1, ["0.1", "0.10", "1e-1"]),
    (-2.5, ["-2.5", "-2.50", "-25e-1"]),
    (7.0, ["7", "7.0", "0.7e1"]),
    (0.0, ["0", "0.0", "0e5"]),
    (1e20, ["1e20", "1.0e20", "10e19"]),
    (0.3, ["0.3", "0.30", "3e-1"]),
];

/// The double of a row, and how it is written there.
fn double(row: usize) -> (f64, &'static str) {
    let (value, spellings) = DOUBLES[row * 7 % 6];
    (value, spellings[row % 3])
}

/// A whole number as text formats other than JSON may write it.
fn spelled(number: i64, row: usize) -> String {
    match row % 4 {
        0 => format!("{number:05}"),
        1 => format!("{number}.0"),
        _ => number.to_string(),
    }
}

fn rows() -> Vec<(Option<i64>, Option<&'static str>)> {
    let row = |i: usize| {
        let number = (i % 7 != 3).then_some((i * 37 % 101) as i64 - 30);
        (number, (i % 11 != 5).then_some(TEXTS[i * 5 % 9]))
    };
    (0..2000).map(row).collect()
}

fn write(folder: &Path, kind: FormatKind) {
    let rows = rows();
    let mut text = String::new();
    match kind {
        FormatKind::Parquet => {
            let numbers: ArrayRef = Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>());
            let texts: ArrayRef = Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>());
            let doubles = || (0..rows.len()).map(|row| double(row).0);
            let d: ArrayRef = Arc::new(Float64Array::from_iter_values(doubles()));
            let f = doubles().map(|value| value as f32);
            let f: ArrayRef = Arc::new(Float32Array::from_iter_values(f));
            let columns = [("n", numbers), ("s", texts), ("d", d), ("f", f)];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(300))
                .build();
            common::write(&folder.join("a.parquet"), &[batch], properties);
            return;
        }
        FormatKind::Csv => {
            text.push_str("n,s,d,f\n");
            for (row, (n, s)) in rows.into_iter().enumerate() {
                let n = n.map(|n| spelled(n, row)).unwrap_or_default();
                let (s, (_, d)) = (s.unwrap_or_default(), double(row));
                writeln!(text, "{n},{s},{d},{d}").unwrap();
            }
        }
        _ => {
            for (row, (n, s)) in rows.into_iter().enumerate() {
                let (n, s, (_, d)) = (json!(n), json!(s), double(row));
                writeln!(text, r#"{{"n":{n},"s":{s},"d":{d},"f":{d}}}"#).unwrap();
            }
        }
    }
    std::fs::write(folder.join(format!("a.{kind}")), text).unwrap();
}

fn column(name: &str, logical: LogicalType) -> Column {
    let bare = json!({ "name": name });
    Column {
        logical_type: Some(logical),
        ..serde_json::from_value(bare).unwrap()
    }
}

fn asked() -> Vec<MetricKey> {
    let mut rules: Vec<(&str, Value)> = vec![
        ("s", json!({ "missingValues": ["n/a", "-"] })),
        ("s", json!({ "validValues": ["paid", "open"] })),
        (
            "s",
            json!({ "pattern": "^[a-z]+$", "missingValues": ["n/a"] }),
        ),
        ("s", json!({ "minLength": 2, "maxLength": 4 })),
        ("n", json!({ "min": "-10", "max": "50.5" })),
        ("n", json!({ "validValues": ["1", "2", "3"] })),
        ("n", json!({ "missingValues": ["-1"], "min": "0" })),
    ];
    for name in ["d", "f"] {
        rules.push((
            name,
            json!({ "validValues": ["0.1", "7", "100000000000000000000"] }),
        ));
        rules.push((
            name,
            json!({ "missingValues": ["0.30", "0"], "max": "0.1" }),
        ));
        rules.push((name, json!({ "min": "0.1", "exclusiveMax": "1e20" })));
        rules.push((name, json!({ "max": "1e401" })));
    }
    let metrics = [
        Metric::MissingCount,
        Metric::MissingPercent,
        Metric::InvalidCount,
        Metric::InvalidPercent,
    ];
    let mut keys: Vec<MetricKey> = Vec::new();
    for (name, args) in &rules {
        keys.extend(
            metrics
                .iter()
                .map(|metric| MetricKey::column(*metric, *name).with_args(args)),
        );
    }
    for name in ["n", "s", "d", "f"] {
        keys.push(MetricKey::column(Metric::DistinctCount, name));
    }
    for metric in [Metric::DuplicateCount, Metric::DuplicatePercent] {
        keys.push(MetricKey::column(metric, "n,s"));
        keys.push(MetricKey::column(metric, "n"));
        keys.push(MetricKey::column(metric, "s"));
        keys.push(MetricKey::column(metric, "d"));
        keys.push(MetricKey::column(metric, "n,d,s"));
    }
    keys
}

fn values(dataset: &Dataset) -> Vec<(MetricKey, MetricValue)> {
    let points = common::points_of(dataset);
    let own = points
        .into_iter()
        .filter(|point| asked().contains(&point.key));
    own.map(|point| {
        assert_eq!(point.status, MetricStatus::Computed, "{point:?}");
        (point.key, point.value)
    })
    .collect()
}

#[test]
fn rules_and_keys_count_the_same_in_every_format() {
    let mut found = Vec::new();
    for kind in [FormatKind::Parquet, FormatKind::Csv, FormatKind::Ndjson] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), kind);
        let mut dataset = common::dataset(folder.path(), kind);
        dataset.source.format.null_tokens = vec![String::new()];
        dataset.columns = vec![
            column("n", LogicalType::Integer),
            column("s", LogicalType::String),
            column("d", LogicalType::Number),
            column("f", LogicalType::Number),
        ];
        dataset.checks = asked().into_iter().map(common::check).collect();
        for target in [u64::MAX, 1] {
            dataset.scan.target_bytes = target;
            found.push((kind, target, values(&dataset)));
        }
    }
    let (_, _, first) = &found[0];
    assert_eq!(first.len(), asked().len());
    for (kind, target, values) in &found {
        for (left, right) in values.iter().zip(first) {
            assert_eq!(left, right, "{kind} cut at {target}");
        }
    }
}

#[test]
fn rules_count_what_a_loop_over_the_rows_counts() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), FormatKind::Parquet);
    let mut dataset = common::dataset(folder.path(), FormatKind::Parquet);
    dataset.checks = asked().into_iter().map(common::check).collect();
    let values = values(&dataset);
    let value = |metric, name: &str, args: Value| {
        let key = MetricKey::column(metric, name).with_args(&args);
        values
            .iter()
            .find(|(own, _)| *own == key)
            .unwrap()
            .1
            .as_f64()
            .unwrap()
    };
    let rows = rows();
    let count = |hit: &dyn Fn(Option<i64>, Option<&str>) -> bool| {
        rows.iter().filter(|row| hit(row.0, row.1)).count() as f64
    };
    let missing = json!({ "missingValues": ["n/a", "-"] });
    let wanted = count(&|_, s| s.is_none_or(|s| s == "n/a" || s == "-"));
    assert_eq!(value(Metric::MissingCount, "s", missing), wanted);
    let pattern = json!({ "pattern": "^[a-z]+$", "missingValues": ["n/a"] });
    let wanted =
        count(&|_, s| s.is_some_and(|s| s != "n/a" && !s.bytes().all(|b| b.is_ascii_lowercase())));
    assert_eq!(value(Metric::InvalidCount, "s", pattern), wanted);
    let lengths = json!({ "minLength": 2, "maxLength": 4 });
    let wanted = count(&|_, s| s.is_some_and(|s| !(2..=4).contains(&s.chars().count())));
    assert_eq!(value(Metric::InvalidCount, "s", lengths), wanted);
    let bounds = json!({ "min": "-10", "max": "50.5" });
    let wanted = count(&|n, _| n.is_some_and(|n| !(-10..=50).contains(&n)));
    assert_eq!(value(Metric::InvalidCount, "n", bounds), wanted);
    let pairs: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row.0?, row.1?)))
        .collect();
    let distinct = pairs
        .iter()
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    let key = MetricKey::column(Metric::DuplicateCount, "n,s");
    let found = values.iter().find(|(own, _)| *own == key).unwrap();
    assert_eq!(found.1.as_f64().unwrap(), (pairs.len() - distinct) as f64);
}
