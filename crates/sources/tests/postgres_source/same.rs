//! The same rows give the same states in a table and in Parquet files, whether the database
//! computes them or they are copied.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Decimal128Builder, Decimal256Builder, FixedSizeBinaryBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::i256;
use arrow_schema::DataType;
use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind, Layout, Location};
use assay_model::metric::Metric;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::table::{ALL, Home, TOTALS, assert_same, dataset, run};
use crate::common::tab_separated;
pub use crate::common::{duplicates, shared, write};

fn whole(mut dataset: Dataset, metrics: &[Metric]) -> TableState {
    dataset.partitions.layout = Layout::Single;
    dataset.profile.metrics = metrics.to_vec();
    run(&dataset)
        .unwrap()
        .remove(&assay_model::partition::PartitionKey::all())
        .unwrap()
}

fn files(path: &Path) -> Dataset {
    let path = path.display().to_string();
    dataset(Location::Local { path }, FormatKind::Parquet)
}

/// Both ways to measure, and the checks that only a look at the values answers.
fn assert_as_files(home: &Home, path: &Path, keys: &[&str]) {
    // A column of which nothing but a key is asked is looked at in one way and not in the other.
    let asked = |mut dataset: Dataset, metrics: &[Metric]| {
        let keys = if metrics.len() > 1 { keys } else { &[] };
        dataset.checks = keys.iter().map(|key| duplicates(key)).collect();
        dataset
    };
    for metrics in [
        &TOTALS[..],
        &ALL[..],
        &[Metric::NullCount],
        &[Metric::Sum],
        &[Metric::Max],
    ] {
        let table = whole(asked(home.dataset(), metrics), metrics);
        assert_same(&table, &whole(asked(files(path), metrics), metrics));
    }
}

const DAY: i32 = 19_800;
const SECOND: i64 = 1_700_000_000_000_000;

pub fn every_type() -> RecordBatch {
    let long = "é".repeat(2000);
    let mut money = Decimal128Builder::new()
        .with_precision_and_scale(12, 2)
        .unwrap();
    let mut wide = Decimal256Builder::new()
        .with_precision_and_scale(60, 20)
        .unwrap();
    let mut uuid = FixedSizeBinaryBuilder::new(16);
    for value in [Some(150i128), Some(-1), None, Some(999_999_999_999)] {
        money.append_option(value);
        wide.append_option(value.map(|v| i256::from_i128(v * i128::from(u64::MAX))));
        match value {
            Some(value) => uuid.append_value(value.to_be_bytes()).unwrap(),
            None => uuid.append_null(),
        }
    }
    let utc = TimestampMicrosecondArray::from(vec![Some(SECOND), Some(-1), None, Some(SECOND + 7)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "i2",
            Arc::new(Int16Array::from(vec![
                Some(1),
                Some(-7),
                None,
                Some(i16::MAX),
            ])),
        ),
        (
            "i4",
            Arc::new(Int32Array::from(vec![
                Some(1),
                Some(i32::MIN),
                None,
                Some(5),
            ])),
        ),
        (
            "i8",
            Arc::new(Int64Array::from(vec![
                Some(i64::MAX),
                Some(i64::MAX),
                None,
                Some(-3),
            ])),
        ),
        ("money", Arc::new(money.finish())),
        ("wide", Arc::new(wide.finish())),
        (
            "f4",
            Arc::new(Float32Array::from(vec![
                Some(0.1),
                Some(-0.0),
                None,
                Some(1e30),
            ])),
        ),
        (
            "f8",
            Arc::new(Float64Array::from(vec![
                Some(1e16),
                Some(1.0),
                None,
                Some(-1e16),
            ])),
        ),
        (
            "odd",
            Arc::new(Float64Array::from(vec![
                Some(f64::NAN),
                Some(f64::INFINITY),
                Some(-0.0),
                Some(2.5),
            ])),
        ),
        (
            "yes",
            Arc::new(BooleanArray::from(vec![
                Some(true),
                Some(false),
                None,
                Some(true),
            ])),
        ),
        (
            "word",
            Arc::new(StringArray::from(vec![
                Some("it's\tä\\"),
                Some(""),
                None,
                Some(long.as_str()),
            ])),
        ),
        (
            "bytes",
            Arc::new(BinaryArray::from(vec![
                Some(&b"\x00\xff"[..]),
                Some(b""),
                None,
                Some(b"b"),
            ])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![
                Some(DAY),
                Some(-400_000),
                None,
                Some(0),
            ])),
        ),
        (
            "clock",
            Arc::new(TimestampMicrosecondArray::from(vec![
                Some(SECOND),
                Some(-1),
                None,
                Some(0),
            ])),
        ),
        ("at", Arc::new(utc.with_timezone("+00:00"))),
        (
            "time",
            Arc::new(Time64MicrosecondArray::from(vec![
                Some(0),
                Some(86_399_999_999),
                None,
                Some(5),
            ])),
        ),
        ("uuid", Arc::new(uuid.finish())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

#[test]
fn every_type_gives_the_state_that_it_gives_in_parquet() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.parquet");
    write(&file, &every_type());
    home.sql(
        "CREATE TABLE t (i2 int2, i4 int4, i8 int8, money numeric(12,2), wide numeric(60,20), \
           f4 float4, f8 float8, odd float8, yes bool, word varchar, bytes bytea, day date, \
           clock timestamp, at timestamptz, time time, uuid uuid); \
         INSERT INTO t VALUES \
         (1, 1, 9223372036854775807, 1.50, 150 * 0.18446744073709551615, 0.1, 1e16, 'NaN', true, \
           E'it''s\\tä\\\\', '\\x00ff', date '1970-01-01' + 19800, \
           timestamp '1970-01-01' + interval '1700000000 s', timestamptz '1970-01-01Z' + interval '1700000000 s', \
           '00:00', '00000000-0000-0000-0000-000000000096'), \
         (-7, -2147483648, 9223372036854775807, -0.01, -0.18446744073709551615, '-0', 1, 'inf', false, \
           '', '', date '1970-01-01' - 400000, '1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999Z', \
           '23:59:59.999999', 'ffffffff-ffff-ffff-ffff-ffffffffffff'), \
         (NULL, NULL, NULL, NULL, NULL, NULL, NULL, '-0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), \
         (32767, 5, -3, 9999999999.99, 999999999999 * 0.18446744073709551615, 1e30, -1e16, 2.5, true, \
           repeat('é', 2000), 'b', '1970-01-01', '1970-01-01', \
           timestamptz '1970-01-01Z' + interval '1700000000.000007 s', '00:00:00.000005', \
           '00000000-0000-0000-0000-00e8d4a50fff')",
    );
    assert_as_files(&home, &file, &["i4", "money", "word", "at", "i4, word"]);
}

/// Loads a Parquet file into the table `t`, made for it if it is not there.
pub fn load(home: &Home, path: &Path) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let columns: Vec<String> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let of = match field.data_type() {
                DataType::Int32 => "int4",
                DataType::Int64 => "int8",
                DataType::Float64 => "float8",
                DataType::Utf8 | DataType::LargeUtf8 => "text",
                other => panic!("{other} is not loaded"),
            };
            format!("\"{}\" {of}", field.name())
        })
        .collect();
    home.sql(&format!(
        "CREATE TABLE IF NOT EXISTS t ({})",
        columns.join(", ")
    ));
    let rows = tab_separated(path);
    home.sql(&format!("\\copy t FROM '{}'", rows.path().display()));
}

#[test]
fn flights_in_a_table_are_the_flights_of_the_files() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    for day in ["2013-01-01", "2013-01-02", "2013-02-08"] {
        let name = format!("date={day}.parquet");
        let from = shared().join("nycflights13/flights_parquet").join(&name);
        std::fs::copy(&from, folder.path().join(&name)).unwrap();
        load(&home, &from);
    }
    assert_as_files(
        &home,
        folder.path(),
        &["flight", "carrier, flight, dep_time"],
    );
}

#[test]
fn taxi_rides_have_the_partitions_and_extremes_of_the_csv_files() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (vendor_id int, pickup_datetime timestamp, dropoff_datetime timestamp, \
         passenger_count int, fare_amount numeric(10,2))",
    );
    let folder = shared().join("taxi_yellow_samples");
    for month in ["01", "02"] {
        let path = folder.join(format!("yellow_tripdata_sample_2019-{month}.csv"));
        home.sql(&format!("\\copy t FROM '{}' CSV HEADER", path.display()));
    }
    let cut = |mut dataset: Dataset| {
        dataset.partitions.layout = Layout::Column {
            column: "pickup_datetime".to_owned(),
            granularity: Some(assay_model::dataset::Cadence::Daily),
        };
        run(&dataset).unwrap()
    };
    let table = cut(home.dataset());
    let path = folder.display().to_string();
    let csv = cut(dataset(Location::Local { path }, FormatKind::Csv));
    let told = |states: &BTreeMap<_, TableState>| -> Vec<String> {
        let told = |(key, state): (&assay_model::partition::PartitionKey, &TableState)| {
            let fare = &state.columns["fare_amount"];
            let sum: f64 = fare.sum().unwrap().unwrap().value.to_f64();
            let mean = fare.mean().unwrap().unwrap().value;
            let riders = &state.columns["passenger_count"];
            let riders = riders.sum().unwrap().unwrap().value.to_f64();
            format!(
                "{key} {} {sum} {mean} {riders} {}",
                state.rows, fare.counts.nulls
            )
        };
        states.iter().map(told).collect()
    };
    assert!(table.len() > 50);
    assert_eq!(told(&table), told(&csv));
}

#[test]
fn what_no_file_can_hold_is_counted_and_told() {
    let home = Home::new();
    home.sql(
        "CREATE DOMAIN cents AS numeric(8,2); CREATE TYPE mood AS ENUM ('sad', 'ok'); \
         CREATE TABLE t (n numeric NOT NULL, price cents, big numeric(5,-2), day date, at timestamptz, \
           how mood, tags int[], code char(5), doc jsonb, span interval); \
         INSERT INTO t VALUES \
         (1.5, 'NaN', 12300, 'infinity', '-infinity', 'ok', '{1,2}', 'ab', '{\"b\":1,\"a\":2}', '1 day'), \
         ('Infinity', 2.50, 300, '2024-01-02', '2024-01-02Z', 'sad', NULL, 'abc', NULL, NULL), \
         (2.25, 4.50, NULL, '2024-01-03', '2024-01-03Z', NULL, '{}', '', '[]', '2 h')",
    );
    for metrics in [&TOTALS[..], &ALL[..]] {
        let state = whole(home.dataset(), metrics);
        let sum = |column: &str| format!("{:?}", state.columns[column].sum().unwrap().unwrap());
        assert_eq!(
            sum("n"),
            "Partial { value: Decimal(\"3.75\"), left_out: 1 }"
        );
        assert_eq!(
            sum("price"),
            "Partial { value: Decimal(\"7.00\"), left_out: 1 }"
        );
        assert_eq!(
            sum("big"),
            "Partial { value: Decimal(\"12600\"), left_out: 0 }"
        );
        for (column, infinite) in [("n", 1), ("price", 0), ("day", 1), ("at", 1)] {
            assert_eq!(state.columns[column].inf_count(), Ok(infinite), "{column}");
            assert_eq!(state.columns[column].counts.nulls, 0, "{column}");
        }
        assert_eq!(state.columns["price"].nan_count(), Ok(1));
        let days = state.columns["day"].extremes().unwrap().unwrap();
        assert_eq!(
            (days.value.0.to_string(), days.left_out),
            ("19724".to_owned(), 1)
        );
        assert!(
            state.flags.keys().any(|flag| flag.ends_with("in price")),
            "{:?}",
            state.flags
        );
        assert_eq!(state.columns["tags"].counts.nulls, 1);
        let length = state.columns["code"]
            .text_lengths()
            .unwrap()
            .chars()
            .unwrap();
        assert_eq!((length.min, length.max), (0, 3));
        let types = |column: &str| {
            state.schema.columns[column]
                .types
                .iter()
                .next()
                .unwrap()
                .clone()
        };
        assert_eq!(types("tags"), "integer[]");
        assert_eq!(types("price"), "decimal(8,2)");
        assert_eq!(types("how"), "string");
        assert_eq!(types("doc"), "json");
    }
    home.sql("UPDATE t SET n = 10::numeric ^ 90 + 1e-9");
    let mut dataset = home.dataset();
    dataset.profile.metrics = ALL.to_vec();
    let states = run(&dataset).unwrap();
    let columns = &states.values().next().unwrap().columns;
    let overflow = columns["n"].sum().unwrap_err().to_string();
    assert!(overflow.starts_with("overflow"), "{overflow}");
    assert!(columns["price"].sum().is_ok());
}
