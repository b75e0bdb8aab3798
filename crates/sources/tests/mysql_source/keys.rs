//! Partitions by a column: texts by their bytes, instants in the dataset's zone, and stretches of
//! primary keys that cover every row once.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use assay_model::dataset::{Cadence, Dataset, FormatKind, Layout, Location};
use assay_scan::ErrorClass;

use super::table::{Home, run, trusted, versions};
use crate::common::{assert_same, dataset, list, measure, write};

fn by(mut dataset: Dataset, column: &str, granularity: Option<Cadence>) -> Dataset {
    dataset.partitions.layout = Layout::Column {
        column: column.to_owned(),
        granularity,
    };
    dataset
}

#[test]
fn texts_are_told_apart_by_their_bytes_whatever_their_collation_says() {
    let home = Home::new();
    let long = "x".repeat(1500);
    home.sql(&format!(
        "CREATE TABLE t (k varchar(2000) COLLATE utf8mb4_general_ci, v int, KEY (k(20))); \
         INSERT INTO t VALUES ('a', 1), ('A', 2), ('a ', 3), ('ä', 4), (NULL, 5), ('it''s\\\\', 6), \
         ('a', 7), ('{long}1', 8), ('{long}2', 9)"
    ));
    let states = run(&by(home.dataset(), "k", None)).unwrap();
    let told: Vec<(String, u64)> = states.iter().map(|(k, s)| (k.0.clone(), s.rows)).collect();
    assert_eq!(told.len(), 8, "{told:?}");
    assert_eq!(told.iter().map(|(_, rows)| rows).sum::<u64>(), 9);
    assert!(told.contains(&("a".to_owned(), 2)), "{told:?}");
    assert!(told.contains(&("A".to_owned(), 1)), "{told:?}");
}

#[test]
fn numbers_and_truths_are_keys_and_fractions_are_none() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (u bigint unsigned, b bit(1), f double); \
         INSERT INTO t VALUES (7, 1, 0.5), (8, 0, 1.5), (8, NULL, NULL)",
    );
    let keys = |column: &str| -> Vec<String> {
        let states = run(&by(home.dataset(), column, None)).unwrap();
        states.keys().map(|key| key.0.clone()).collect()
    };
    assert_eq!(keys("u"), ["7", "8"]);
    assert_eq!(keys("b").len(), 3);
    let told = list(&by(home.dataset(), "f", None), &trusted()).unwrap_err();
    assert!(told.to_string().contains("of the type float64"), "{told}");
    home.sql("INSERT INTO t VALUES (18446744073709551615, 1, 1)");
    let told = list(&by(home.dataset(), "u", None), &trusted()).unwrap_err();
    assert!(told.to_string().contains("18446744073709551615"), "{told}");
}

#[test]
fn instants_are_cut_in_the_zone_of_the_dataset_as_those_of_files() {
    let home = Home::new();
    // Around both changes of the clocks, and where days begin.
    let seconds: Vec<i64> = (0..400)
        .map(|n| 1_711_756_800 + n * 1_000)
        .chain((0..400).map(|n| 1_729_987_200 + n * 1_000))
        .collect();
    let rows: Vec<String> = seconds
        .iter()
        .map(|second| format!("(from_unixtime({second}), {second})"))
        .collect();
    home.sql(&format!(
        "CREATE TABLE t (at timestamp NULL, v varchar(20)); INSERT INTO t VALUES {}",
        rows.join(", ")
    ));
    let folder = tempfile::tempdir().unwrap();
    let at = TimestampMicrosecondArray::from_iter_values(seconds.iter().map(|s| s * 1_000_000));
    let v = StringArray::from_iter_values(seconds.iter().map(ToString::to_string));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("at", Arc::new(at.with_timezone("+00:00"))),
        ("v", Arc::new(v)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    write(&folder.path().join("t.parquet"), &batch.unwrap());
    for zone in ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York"] {
        for unit in [
            Cadence::Hourly,
            Cadence::Daily,
            Cadence::Weekly,
            Cadence::Monthly,
        ] {
            let cut = |mut dataset: Dataset| {
                dataset.partitions.time_zone = zone.to_owned();
                run(&by(dataset, "at", Some(unit))).unwrap()
            };
            let path = folder.path().display().to_string();
            let files = cut(dataset(Location::Local { path }, FormatKind::Parquet));
            let table = cut(home.dataset());
            let keys = |states: &std::collections::BTreeMap<_, _>| -> Vec<_> {
                states.keys().cloned().collect()
            };
            assert_eq!(keys(&table), keys(&files), "{zone} {unit:?}");
            for (key, state) in &table {
                assert_same(state, &files[key]);
            }
        }
    }
}

#[test]
fn a_row_whose_date_is_none_is_in_no_partition_and_said_to_be() {
    let home = Home::new();
    home.sql(
        "SET sql_mode = ''; CREATE TABLE t (day date, v int); \
         INSERT INTO t VALUES ('2024-02-01', 1), ('2024-02-00', 2)",
    );
    for unit in [Cadence::Daily, Cadence::Weekly, Cadence::Monthly] {
        let error = list(&by(home.dataset(), "day", Some(unit)), &trusted()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Permanent);
        assert!(error.to_string().contains("2024-02-00"), "{error}");
    }
}

#[test]
fn a_large_table_is_cut_by_its_primary_key_without_another_version() {
    let home = Home::new();
    home.sql(
        "CREATE TABLE t (id int PRIMARY KEY, day date, v varchar(100)); \
         INSERT INTO t SELECT CAST(seq AS SIGNED) - 10000, '2024-01-01' + INTERVAL seq % 2 DAY, repeat('v', 100) \
         FROM seq_1_to_20000; ANALYZE TABLE t",
    );
    for layout in [None, Some(Cadence::Daily)] {
        let with = |target: u64| {
            let mut dataset = home.dataset();
            if layout.is_some() {
                dataset = by(dataset, "day", layout);
            }
            dataset.scan.target_bytes = target;
            dataset
        };
        let (one, many) = (with(1 << 30), with(100 << 10));
        let plan = list(&many, &trusted()).unwrap();
        assert!(plan.measures.len() > 10, "{} batches", plan.measures.len());
        assert_eq!(versions(&one), versions(&many));
        let states = measure(&many, &plan, &trusted()).unwrap();
        for (key, whole) in run(&one).unwrap() {
            assert_same(&states[&key], &whole);
        }
        // A row that comes within a stretch is met there.
        home.sql("INSERT INTO t VALUES (20000, '2024-01-01', 'new')");
        let error = measure(&many, &plan, &trusted()).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Changed, "{error}");
        home.sql("DELETE FROM t WHERE id = 20000");
    }
}
