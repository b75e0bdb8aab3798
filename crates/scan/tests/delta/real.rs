//! Tables that others wrote, held against what another reader says of them.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::metric::{Metric, MetricKey, MetricValue};
use assay_scan::ScanContext;
use assay_scan::columnar::TYPE_TEXT;
use assay_scan::object::Objects;
use assay_scan::points::metric_points;
use assay_scan::slices::SliceRows;
use serde_json::Value;

use crate::common::{check, dataset, now, run};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/delta_tables")
}

/// The whole table as one partition.
fn single(name: &str) -> Dataset {
    let mut dataset = dataset(&folder().join(name), FormatKind::Delta);
    dataset.partitions.layout = Layout::Single;
    dataset
}

#[test]
fn tables_of_other_writers_are_read_as_another_reader_reads_them() {
    let truth = std::fs::read_to_string(folder().join("truth.json")).unwrap();
    let truth: Value = serde_json::from_str(&truth).unwrap();
    assert_eq!(truth.as_object().unwrap().len(), 9);
    for (name, told) in truth.as_object().unwrap() {
        let mut dataset = single(name);
        for (column, facts) in told["columns"].as_object().unwrap() {
            let mut asked = vec![Metric::NullCount, Metric::DistinctCount];
            asked.extend(facts.get("sum").map(|_| Metric::Sum));
            for metric in asked {
                dataset
                    .checks
                    .push(check(MetricKey::column(metric, column)));
            }
        }
        let found = run(&dataset).unwrap();
        let [evaluation] = found.plan.evaluations.as_slice() else {
            panic!("{name}: {:?}", found.plan.evaluations);
        };
        assert_eq!(Value::from(evaluation.objects), told["files"], "{name}");
        let state: TableState = found.states["all"].clone();
        assert_eq!(Value::from(state.rows), told["rows"], "{name}");
        let points = metric_points(&dataset, evaluation, state, now());
        for (column, facts) in told["columns"].as_object().unwrap() {
            let value = |metric: Metric| {
                let of = |p: &&assay_model::metric::MetricPoint| {
                    p.key.column == *column && p.key.metric == metric && p.key.args.is_empty()
                };
                match &points.iter().find(of).unwrap().value {
                    MetricValue::Float(value) => format!("{value:?}"),
                    other => other.to_string(),
                }
            };
            let place = format!("{name}, {column}");
            assert_eq!(
                value(Metric::NullCount),
                facts["nulls"].to_string(),
                "{place}"
            );
            assert_eq!(
                value(Metric::DistinctCount),
                facts["distinct"].to_string(),
                "{place}"
            );
            if let Some(sum) = facts["sum"].as_str() {
                assert_eq!(value(Metric::Sum), sum, "{place}");
            }
        }
    }
}

#[test]
fn rows_that_are_stored_are_those_that_are_measured() {
    for (name, rows) in [
        ("deletion-vector", 8),
        ("partitioned-by-decimal", 4),
        ("mapped-by-id", 3),
    ] {
        let dataset = single(name);
        let plan = run(&dataset).unwrap().plan;
        let objects = Objects::open(&dataset.source, &ScanContext::default()).unwrap();
        let mut found = 0;
        for slice in plan.measures.iter().flat_map(|spec| &spec.slices) {
            let context = ScanContext::default();
            let open = SliceRows::open(&dataset, &objects, slice, &context).unwrap();
            let told = open.schema().field(0).metadata().get(TYPE_TEXT).cloned();
            assert!(told.is_some() && open.bytes > 0 && open.first, "{name}");
            let mut take = |batch: &RecordBatch| {
                assert_eq!(batch.num_columns(), open.schema().fields().len());
                found += batch.num_rows();
                Ok(())
            };
            open.each(&dataset, &context, &mut take).unwrap();
        }
        assert_eq!(found, rows, "{name}");
    }
}

#[test]
fn widened_types_hold_the_values_of_older_files_exactly() {
    let mut dataset = single("type-widening");
    for column in ["float_double", "int_double", "date_timestamp_ntz"] {
        for metric in [Metric::Min, Metric::Max] {
            dataset
                .checks
                .push(check(MetricKey::column(metric, column)));
        }
    }
    let found = run(&dataset).unwrap();
    let state = found.states["all"].clone();
    assert_eq!(state.rows, 2);
    let points = metric_points(&dataset, &found.plan.evaluations[0], state, now());
    let value = |metric: Metric, column: &str| {
        let of = |p: &&assay_model::metric::MetricPoint| {
            p.key.column == column && p.key.metric == metric
        };
        points.iter().find(of).unwrap().value.to_string()
    };
    for (column, sum) in [
        ("byte_long", "9223372036854775808"),
        ("int_long", "9223372036854775809"),
        ("decimal_decimal_same_scale", "12345678901358.01"),
        ("decimal_decimal_greater_scale", "12345678969.12456"),
        ("byte_decimal", "124.4"),
        ("short_decimal", "12347.6"),
        ("int_decimal", "1234567893.1"),
        ("long_decimal", "123456789012345682.9"),
    ] {
        assert_eq!(value(Metric::Sum, column), sum, "{column}");
    }
    // The single of the older file, as the double that it is.
    assert_eq!(value(Metric::Max, "float_double"), "3.4000000953674316");
    assert_eq!(value(Metric::Max, "int_double"), "7");
    let (first, last) = (Metric::Min, Metric::Max);
    assert!(value(first, "date_timestamp_ntz").contains("2024-09-09T00:00:00"));
    assert!(value(last, "date_timestamp_ntz").contains("2024-09-09T12:34:56.123456"));
}

#[test]
fn partition_values_are_keys_by_their_types() {
    let keys = |name: &str| {
        let found = run(&dataset(&folder().join(name), FormatKind::Delta)).unwrap();
        let mut keys: Vec<(String, u64)> = Vec::new();
        for (key, state) in found.states {
            keys.push((key, state.rows));
        }
        keys
    };
    let of = |rows: &[(&str, u64)]| -> Vec<(String, u64)> {
        rows.iter()
            .map(|(key, rows)| ((*key).to_owned(), *rows))
            .collect()
    };
    assert_eq!(
        keys("partitioned-by-timestamp-ntz"),
        of(&[
            ("2013-07-05T17:01:00.123456", 3),
            ("2021-11-18T02:30:00.123456", 3),
            ("__HIVE_DEFAULT_PARTITION__", 3),
        ])
    );
    assert_eq!(
        keys("checkpoint-in-parts"),
        of(&[("0", 1), ("1", 2), ("2", 2)])
    );
}
