//! Partitions told by a column of Parquet files: every row counted once, in the right partition.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use assay_model::dataset::{Cadence, Dataset, FormatKind, Layout};
use assay_model::metric::{Metric, MetricKey};
use assay_scan::ErrorClass;
use jiff::{Timestamp, tz::TimeZone};
use parquet::file::properties::WriterProperties;

const ROWS: usize = 1000;

/// Whole numbers 0 to 999, NULL in every 11th row.
fn amount(row: usize) -> Option<i64> {
    (!row.is_multiple_of(11)).then_some(row as i64)
}

fn dataset(folder: &Path, granularity: Option<Cadence>, zone: &str) -> Dataset {
    let mut dataset = common::dataset(folder, FormatKind::Parquet);
    dataset.partitions.layout = Layout::Column {
        column: "key".to_owned(),
        granularity,
    };
    dataset.partitions.time_zone = zone.to_owned();
    let pair = MetricKey::column(Metric::DuplicateCount, "amount,half");
    dataset.checks = vec![common::check(pair)];
    dataset
}

/// Rows, sum of the amounts, NULLs in them, and distinct pairs, by partition.
type Groups = BTreeMap<String, (u64, i64, u64, usize)>;

fn naive(keys: &[String]) -> Groups {
    let mut groups = Groups::new();
    for (row, key) in keys.iter().enumerate() {
        let group = groups.entry(key.clone()).or_default();
        group.0 += 1;
        match amount(row) {
            Some(amount) => group.1 += amount,
            None => group.2 += 1,
        }
    }
    for (key, group) in &mut groups {
        let pairs = keys.iter().enumerate().filter(|(_, own)| *own == key);
        let pairs: std::collections::BTreeSet<_> = pairs
            .filter_map(|(row, _)| Some((amount(row)?, row / 2)))
            .collect();
        group.3 = pairs.len();
    }
    groups
}

/// Writes the keys, in two files of several row groups, and compares each partition.
fn verify<A: Array + 'static>(
    keys: &Arc<A>,
    wanted: &[String],
    granularity: Option<Cadence>,
    zone: &str,
) {
    for dictionary in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let amounts: Int64Array = (0..ROWS).map(amount).collect();
        let halves: Int64Array = (0..ROWS).map(|row| Some(row as i64 / 2)).collect();
        let arrays: [(&str, ArrayRef, bool); 3] = [
            ("key", keys.clone(), true),
            ("amount", Arc::new(amounts), true),
            ("half", Arc::new(halves), true),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(arrays).unwrap();
        for (name, from, to) in [("a.parquet", 0, 700), ("b.parquet", 700, ROWS)] {
            let properties = WriterProperties::builder()
                .set_dictionary_enabled(dictionary)
                .set_data_page_row_count_limit(40)
                .set_write_batch_size(8)
                .set_max_row_group_row_count(Some(150))
                .build();
            let part = batch.slice(from, to - from);
            common::write(&folder.path().join(name), &[part], properties);
        }
        for target in [1, u64::MAX] {
            let mut dataset = dataset(folder.path(), granularity, zone);
            dataset.scan.target_bytes = target;
            let found = common::run(&dataset).unwrap();
            let batches = if target == 1 { 7 } else { 1 };
            assert_eq!(found.plan.measures.len(), batches);
            let got: Groups = found
                .states
                .iter()
                .map(|(key, state)| {
                    let amounts = &state.columns["amount"];
                    let sum = amounts.sum().unwrap().map(|sum| sum.value.to_f64());
                    let key_state = state.key("amount,half").unwrap();
                    let group = (
                        state.rows,
                        sum.unwrap_or(0.0) as i64,
                        amounts.counts.nulls,
                        key_state.distinct as usize,
                    );
                    (key.clone(), group)
                })
                .collect();
            assert_eq!(
                got,
                naive(wanted),
                "dictionary {dictionary}, target {target}"
            );
            let rows: u64 = found.states.values().map(|state| state.rows).sum();
            assert_eq!(rows, ROWS as u64);
            let planned: Vec<&str> = found
                .plan
                .evaluations
                .iter()
                .map(|e| e.partition.key.as_str())
                .collect();
            assert_eq!(planned.len(), got.len(), "{planned:?}");
        }
    }
}

const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

fn named<T>(values: &[Option<T>], name: impl Fn(&T) -> String) -> Vec<String> {
    let name = |value: &Option<T>| value.as_ref().map_or_else(|| NULL.to_owned(), &name);
    values.iter().map(name).collect()
}

#[test]
fn days_of_a_date_column_are_partitions() {
    let days: Vec<Option<i32>> = (0..ROWS as i32)
        .map(|row| (row % 13 != 0).then_some(19_000 + row % 40 / 2))
        .collect();
    let text = |day: &i32| {
        let at = Timestamp::from_second(i64::from(*day) * 86_400).unwrap();
        at.to_zoned(TimeZone::UTC).date().to_string()
    };
    let wanted = named(&days, text);
    verify(&Arc::new(Date32Array::from(days)), &wanted, None, "UTC");
}

#[test]
fn instants_are_cut_by_the_day_of_the_zone_where_clocks_change() {
    // Hours around both changes of the clock in Berlin, and in the zone that changed at 00:01.
    for (zone, first) in [
        ("Europe/Berlin", "2024-03-29T00:30:00Z"),
        ("Europe/Berlin", "2024-10-25T00:30:00Z"),
        ("America/St_Johns", "2010-11-05T00:30:30Z"),
    ] {
        let first: Timestamp = first.parse().unwrap();
        let tz = TimeZone::get(zone).unwrap();
        let times: Vec<Option<i64>> = (0..ROWS as i64)
            .map(|row| {
                (row % 17 != 0)
                    .then_some(first.as_microsecond() + (row * 7919 % 1000) * 431_000_000)
            })
            .collect();
        let wanted = named(&times, |time| {
            tz.to_datetime(Timestamp::from_microsecond(*time).unwrap())
                .date()
                .to_string()
        });
        let array = TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC");
        verify(&Arc::new(array), &wanted, Some(Cadence::Daily), zone);
        // Without a zone of their own they are on the wall clock already.
        let wanted = named(&times, |time| {
            TimeZone::UTC
                .to_datetime(Timestamp::from_microsecond(*time).unwrap())
                .date()
                .to_string()
        });
        verify(
            &Arc::new(TimestampMicrosecondArray::from(times)),
            &wanted,
            Some(Cadence::Daily),
            zone,
        );
    }
}

#[test]
fn whole_numbers_and_texts_are_partitions_as_they_are() {
    let numbers: Vec<Option<i64>> = (0..ROWS as i64)
        .map(|row| (row % 19 != 0).then_some(row * 31 % 23 - 5))
        .collect();
    let wanted = named(&numbers, ToString::to_string);
    verify(&Arc::new(Int64Array::from(numbers)), &wanted, None, "UTC");
    let texts: Vec<Option<String>> = (0..ROWS)
        .map(|row| (row % 7 != 0).then(|| format!("shop/{}", row * 7 % 12)))
        .collect();
    let wanted = named(&texts, Clone::clone);
    verify(&Arc::new(StringArray::from(texts)), &wanted, None, "UTC");
}

#[test]
fn a_file_without_the_key_column_is_refused_with_the_columns_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let amounts: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("amount", amounts)]).unwrap();
    common::write(
        &folder.path().join("a.parquet"),
        &[batch],
        WriterProperties::default(),
    );
    let error = common::run(&dataset(folder.path(), None, "UTC"))
        .err()
        .unwrap();
    assert_eq!(error.class(), ErrorClass::Permanent);
    let text = error.to_string();
    assert!(
        text.contains("no column `key`") && text.contains("it has amount"),
        "{text}"
    );
}

#[test]
fn a_key_that_is_no_time_is_refused_with_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["2024-01-01", "soon"]));
    let batch = RecordBatch::try_from_iter([("key", keys)]).unwrap();
    common::write(
        &folder.path().join("a.parquet"),
        &[batch],
        WriterProperties::default(),
    );
    let error = common::run(&dataset(folder.path(), Some(Cadence::Daily), "UTC"))
        .err()
        .unwrap();
    let text = error.to_string();
    assert!(text.contains("row 1") && text.contains("soon"), "{text}");
}
