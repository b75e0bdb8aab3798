//! Rows of Delta tables: those that the metrics count, with the columns that the table has.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::array::cast::AsArray;
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::DatasetId;
use assay_rows::Rows;
use assay_scan::{ScanContext, delta};

fn dataset(name: &str) -> Dataset {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scan/tests/delta_tables");
    Dataset {
        id: DatasetId::new("table").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            server: "local".to_owned(),
            location: Location::Local {
                path: folder.join(name).display().to_string(),
            },
            format: Format::of(FormatKind::Delta),
            credential: None,
        },
        others: Vec::new(),
        storage: StoragePolicy::default(),
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

fn open(name: &str) -> std::sync::Arc<dyn Rows> {
    let (dataset, context) = (dataset(name), ScanContext::default());
    let list = delta::files(&dataset, &context).unwrap();
    assay_rows::open(&dataset, &list, None, &context).unwrap()
}

/// The rows with these columns, in one batch for each file.
fn read(rows: &dyn Rows, columns: &[usize], most: usize) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    rows.read(columns, &ScanContext::default(), &mut |batch| {
        batches.push(batch);
        batches.len() < most
    })
    .unwrap();
    batches
}

#[test]
fn deleted_rows_are_not_shown() {
    let rows = open("deletion-vector");
    let batches = read(rows.as_ref(), &[0], 9);
    let values = batches[0].column(0).as_primitive::<Int32Type>();
    assert_eq!(values.values().as_ref(), [1, 2, 3, 4, 5, 6, 7, 8]);
    // Without a column the rows count all the same.
    let none = read(rows.as_ref(), &[], 9);
    assert_eq!((none[0].num_columns(), none[0].num_rows()), (0, 8));
}

#[test]
fn columns_of_partitions_and_mapped_columns_have_the_names_and_types_of_the_table() {
    let rows = open("partitioned-by-decimal");
    let schema = rows.schema();
    let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    assert_eq!(names, ["part", "col1", "col2", "col3"]);
    // In another order than the table's, and of the log and the file.
    let batches = read(rows.as_ref(), &[2, 0], 9);
    let mut pairs: Vec<(i128, i128)> = Vec::new();
    for batch in &batches {
        let value = |at: usize| batch.column(at).as_primitive::<Decimal128Type>().value(0);
        pairs.push((value(1), value(0)));
    }
    pairs.sort_unstable();
    assert_eq!(
        pairs,
        [
            (-234_234_223_423, -9_999_999_999),
            (4, 0),
            (23_400_000, 200_000),
            (234_222_223_454, 2_222_222_222),
        ]
    );
    for name in ["mapped-by-id", "mapped-by-name"] {
        let rows = open(name);
        let schema = rows.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["id", "name", "value"]);
        let batches = read(rows.as_ref(), &[0, 1], 99);
        let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, 3, "{name}");
        assert!(batches.iter().all(|b| b.column(1).null_count() == 0));
        assert_eq!(read(rows.as_ref(), &[0], 1).len(), 1);
    }
    let whole = open("checkpoint-v2-classic");
    let sum: i64 = read(whole.as_ref(), &[0], 99)
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .sum();
    assert_eq!(sum, 190);
}
