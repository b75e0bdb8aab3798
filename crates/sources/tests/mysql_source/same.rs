//! The same rows give the same states in a table and in Parquet files, whether the database computes
//! them or they are read.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{Decimal128Builder, Decimal256Builder, FixedSizeBinaryBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_buffer::i256;
use arrow_schema::DataType;
use assay_metrics::TableState;
use assay_model::dataset::{Cadence, Dataset, FormatKind, Layout, Location};
use assay_model::metric::Metric;
use assay_model::partition::PartitionKey;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::table::{Home, run, whole};
use crate::common::{ALL, TOTALS, assert_same, dataset, duplicates, shared, tab_separated, write};

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
        &[Metric::LengthMean],
    ] {
        let table = whole(asked(home.dataset(), metrics), metrics);
        assert_same(&table, &whole(asked(files(path), metrics), metrics));
    }
}

const DAY: i32 = 19_800;
const SECOND: i64 = 1_700_000_000_000_000;
const WIDE: &str = "12345678901234567890123456789012345";
const PART: &str = "012345678901234567890123456789";

fn integers() -> Vec<(&'static str, ArrayRef)> {
    vec![
        (
            "i1",
            Arc::new(Int8Array::from(vec![Some(1), Some(-128), None, Some(127)])),
        ),
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
        (
            "u1",
            Arc::new(UInt8Array::from(vec![Some(1), Some(255), None, Some(0)])),
        ),
        (
            "u2",
            Arc::new(UInt16Array::from(vec![
                Some(1),
                Some(u16::MAX),
                None,
                Some(0),
            ])),
        ),
        (
            "u4",
            Arc::new(UInt32Array::from(vec![
                Some(1),
                Some(u32::MAX),
                None,
                Some(0),
            ])),
        ),
        (
            "u8",
            Arc::new(UInt64Array::from(vec![
                Some(u64::MAX),
                Some(u64::MAX),
                None,
                Some(0),
            ])),
        ),
        (
            "y",
            Arc::new(Int16Array::from(vec![
                Some(1901),
                Some(2155),
                None,
                Some(0),
            ])),
        ),
        (
            "bits",
            Arc::new(UInt64Array::from(vec![
                Some(341),
                Some(u64::MAX),
                None,
                Some(0),
            ])),
        ),
    ]
}

fn numbers() -> Vec<(&'static str, ArrayRef)> {
    let mut money = Decimal128Builder::new()
        .with_precision_and_scale(12, 2)
        .unwrap();
    for value in [Some(150i128), Some(-1), None, Some(999_999_999_999)] {
        money.append_option(value);
    }
    let mut wide = Decimal256Builder::new()
        .with_precision_and_scale(65, 30)
        .unwrap();
    let widest = i256::from_string(&format!("{WIDE}{PART}")).unwrap();
    for value in [
        Some(widest),
        Some(widest.wrapping_neg()),
        None,
        Some(i256::ONE),
    ] {
        wide.append_option(value);
    }
    vec![
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
            "tiny",
            Arc::new(Float64Array::from(vec![
                Some(1.234_567_890_123_456_7e-300),
                Some(f64::MAX),
                None,
                Some(f64::MIN_POSITIVE),
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
    ]
}

fn texts_and_times() -> Vec<(&'static str, ArrayRef)> {
    let long = "é".repeat(2000);
    let other = format!("{long}f");
    let utc = TimestampMicrosecondArray::from(vec![
        Some(SECOND),
        Some(1_000_000),
        None,
        Some(SECOND + 7),
    ]);
    let mut uuid = FixedSizeBinaryBuilder::new(16);
    for value in [Some(150u128), Some(u128::MAX), None, Some(999_999_999_999)] {
        match value {
            Some(value) => uuid.append_value(value.to_be_bytes()).unwrap(),
            None => uuid.append_null(),
        }
    }
    let text = |all: [Option<&str>; 4]| -> ArrayRef { Arc::new(StringArray::from(all.to_vec())) };
    vec![
        (
            "word",
            text([Some("it's\tä\\"), Some(""), None, Some(&long)]),
        ),
        ("like", text([Some("a"), Some("A"), None, Some("a ")])),
        ("long", text([Some(&long), Some(&other), None, Some("😀")])),
        ("old", text([Some("é€"), Some("\u{81}"), None, Some("ÿ")])),
        ("kana", text([Some("かな"), Some("ｱ"), None, Some("x")])),
        ("one", text([Some("x"), Some("y"), None, Some("")])),
        ("some", text([Some("a,b"), Some("b"), None, Some("")])),
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
            "fixed",
            Arc::new(BinaryArray::from(vec![
                Some(&b"a\0\0"[..]),
                Some(b"abc"),
                None,
                Some(b"\0\0\0"),
            ])),
        ),
        (
            "day",
            Arc::new(Date32Array::from(vec![
                Some(DAY),
                Some(-300_000),
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
    ]
}

/// The table of these columns.
pub fn every_type(home: &Home) -> RecordBatch {
    home.sql(
        "CREATE TABLE t (i1 tinyint(1), i2 smallint, i4 int, i8 bigint, u1 tinyint unsigned, \
           u2 smallint unsigned zerofill, u4 int unsigned, u8 bigint unsigned, y year, bits bit(64), \
           money decimal(12,2) unsigned, wide decimal(65,30), f4 float, f8 double, tiny double, \
           yes bit(1), word varchar(2000), `like` varchar(9) COLLATE utf8mb4_general_ci, \
           `long` longtext, old varchar(9) CHARACTER SET latin1, \
           kana varchar(9) CHARACTER SET sjis, one enum('x', 'y', ''), some set('a', 'b'), \
           bytes blob, fixed binary(3), day date, clock datetime(6), at timestamp(6) NULL, \
           time time(6), uuid uuid)",
    );
    home.sql("ALTER TABLE t MODIFY money decimal(12,2)");
    home.sql(&format!(
        "SET time_zone = '+00:00'; INSERT INTO t VALUES \
         (1, 1, 1, 9223372036854775807, 1, 1, 1, 18446744073709551615, 1901, b'101010101', 1.50, \
           {WIDE}.{PART}, 0.1, 1e16, 1.2345678901234567e-300, 1, \
           CONCAT('it''s', X'09', 'ä', X'5c'), 'a', repeat('é', 2000), 'é€', 'かな', 'x', 'a,b', \
           X'00ff', 'a', from_unixtime({DAY} * 86400), from_unixtime(1700000000), \
           from_unixtime(1700000000), '00:00', '00000000-0000-0000-0000-000000000096'), \
         (-128, -7, -2147483648, 9223372036854775807, 255, 65535, 4294967295, \
           18446744073709551615, 2155, ~0, -0.01, -{WIDE}.{PART}, -0e0, 1, \
           1.7976931348623157e308, 0, '', 'A', CONCAT(repeat('é', 2000), 'f'), \
           CONVERT(X'81' USING latin1), 'ｱ', 'y', 'b', '', 'abc', \
           date_sub('1970-01-01', INTERVAL 300000 DAY), '1969-12-31 23:59:59.999999', \
           '1970-01-01 00:00:01', '23:59:59.999999', 'ffffffff-ffff-ffff-ffff-ffffffffffff'), \
         ({}), \
         (127, 32767, 5, -3, 0, 0, 0, 0, 0, 0, 9999999999.99, 1e-30, 1e30, -1e16, \
           2.2250738585072014e-308, 1, repeat('é', 2000), 'a ', '😀', 'ÿ', 'x', '', '', 'b', '', \
           '1970-01-01', '1970-01-01', '2023-11-14 22:13:20.000007', '00:00:00.000005', \
           '00000000-0000-0000-0000-00e8d4a50fff')",
        ["NULL"; 30].join(", ")
    ));
    let columns = [integers(), numbers(), texts_and_times()].concat();
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
        .unwrap()
}

#[test]
fn every_type_gives_the_state_that_it_gives_in_parquet() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.parquet");
    write(&file, &every_type(&home));
    assert_as_files(
        &home,
        &file,
        &["i4", "money", "like", "at", "i4, word", "u8"],
    );
}

/// Loads a Parquet file into the table `t`, made for it if it is not there.
fn load(home: &Home, path: &Path) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let columns: Vec<String> = reader
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let of = match field.data_type() {
                DataType::Int32 => "int",
                DataType::Int64 => "bigint",
                DataType::Float64 => "double",
                DataType::Utf8 | DataType::LargeUtf8 => "text",
                other => panic!("{other} is not loaded"),
            };
            format!("`{}` {of}", field.name())
        })
        .collect();
    home.sql(&format!(
        "CREATE TABLE IF NOT EXISTS t ({})",
        columns.join(", ")
    ));
    let rows = tab_separated(path);
    home.sql(&format!(
        "LOAD DATA LOCAL INFILE '{}' INTO TABLE t CHARACTER SET utf8mb4",
        rows.path().display()
    ));
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
        "CREATE TABLE t (vendor_id int, pickup_datetime datetime, dropoff_datetime datetime, \
         passenger_count int, fare_amount decimal(10,2))",
    );
    let folder = shared().join("taxi_yellow_samples");
    for month in ["01", "02"] {
        let path = folder.join(format!("yellow_tripdata_sample_2019-{month}.csv"));
        home.sql(&format!(
            "LOAD DATA LOCAL INFILE '{}' INTO TABLE t FIELDS TERMINATED BY ',' IGNORE 1 LINES",
            path.display()
        ));
    }
    let cut = |mut dataset: Dataset| {
        dataset.partitions.layout = Layout::Column {
            column: "pickup_datetime".to_owned(),
            granularity: Some(Cadence::Daily),
        };
        run(&dataset).unwrap()
    };
    let table = cut(home.dataset());
    let path = folder.display().to_string();
    let csv = cut(dataset(Location::Local { path }, FormatKind::Csv));
    let told = |states: &BTreeMap<PartitionKey, TableState>| -> Vec<String> {
        let told = |(key, state): (&PartitionKey, &TableState)| {
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
        "SET sql_mode = 'ALLOW_INVALID_DATES'; \
         CREATE TABLE t (id int, day date, clock datetime, at timestamp NULL, span time, \
           place geometry, ip inet6, doc json); \
         INSERT INTO t VALUES \
         (1, '0000-00-00', '2024-02-00', '0000-00-00', '31:00:00', point(1, 2), '::1', '{\"a\": 1}'), \
         (2, '2024-02-31', '2024-02-03 04:05:06', '2024-02-03', '-00:00:01', NULL, NULL, '[]'), \
         (3, '2024-02-29', '2024-02-05', NULL, '05:06:07', point(1, 2), '::2', NULL), \
         (4, '2024-03-01', '2024-02-04', '2024-02-03', '05:06:08', NULL, '::1', '{}')",
    );
    for metrics in [&TOTALS[..], &ALL[..], &[Metric::Max]] {
        let state = whole(home.dataset(), metrics);
        for (column, none, first) in [("day", 2, "19782"), ("clock", 1, "1706933106000000000")] {
            let of = &state.columns[column];
            assert_eq!(of.nan_count(), Ok(none), "{column}");
            assert_eq!(of.counts.nulls, 0, "{column}");
            let ends = of.extremes().unwrap().unwrap();
            assert_eq!(ends.value.0.to_string(), first, "{column}");
            assert_eq!(ends.left_out, none, "{column}");
        }
        assert_eq!(state.columns["at"].nan_count(), Ok(1));
        assert_eq!(state.columns["at"].counts.nulls, 1);
        assert_eq!(state.columns["span"].nan_count(), Ok(2));
        let flags: Vec<&String> = state.flags.keys().collect();
        assert!(
            flags
                .iter()
                .any(|flag| flag.ends_with("no date or time of day in day")),
            "{flags:?}"
        );
        assert_eq!(state.columns["place"].counts.nulls, 2);
        assert_eq!(state.columns["ip"].counts.nulls, 1);
        let types = |column: &str| {
            let types = &state.schema.columns[column].types;
            types.iter().next().unwrap().clone()
        };
        assert_eq!(types("place"), "geometry");
        assert_eq!(types("ip"), "inet6");
        assert_eq!(types("doc"), "string");
        assert_eq!(types("at"), "timestamp(us,utc)");
    }
}
