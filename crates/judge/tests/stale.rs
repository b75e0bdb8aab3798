//! The rule of stale partitions on ten data sets: those that repeat an earlier partition are found,
//! and no other is taken for one.
//!
//! The stale partitions are the benchmark's own faults of that name; each partition is held against
//! the true ones before it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use assay_judge::exact::stale;

/// From this position on there is enough past to say which metrics move.
const FIRST: usize = 8;
/// The least share of stale partitions that is found.
const FOUND_MIN: f64 = 0.95;

/// A column and a metric of it.
type Metric = (String, String);
/// The values of every metric of a data set, by position.
type Series = BTreeMap<Metric, BTreeMap<usize, Option<f64>>>;

fn inputs() -> PathBuf {
    let root = std::env::var_os("ASSAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let folder = root.join("thresholds/series/OPEN");
    let shown = folder.display();
    assert!(folder.is_dir(), "no series in {shown}: set ASSAY_SHARED");
    folder
}

/// Each line's fields by name.
fn lines(name: &str, each: impl FnMut(BTreeMap<&str, &str>)) {
    let text = fs::read_to_string(inputs().join(name)).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| header.iter().copied().zip(line.split(',')).collect())
        .for_each(each);
}

fn number(text: &str) -> Option<f64> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

/// Whether a partition at `at` with `values` (the true ones where it has none) repeats an earlier.
fn taken_for_stale(of: &Series, at: usize, values: &BTreeMap<Metric, Option<f64>>) -> bool {
    let pasts: Vec<(Vec<Option<f64>>, Option<f64>)> = of
        .iter()
        .map(|(metric, by_place)| {
            let past = (0..at).map(|i| by_place.get(&i).copied().flatten());
            let is = by_place.get(&at).copied().flatten();
            (past.collect(), values.get(metric).copied().unwrap_or(is))
        })
        .collect();
    let series: Vec<_> = pasts.iter().map(|(past, is)| (&past[..], *is)).collect();
    stale(&series).is_some()
}

#[test]
fn stale_partitions_are_found_and_no_other_is_taken_for_one() {
    let mut sets: BTreeMap<String, Series> = BTreeMap::new();
    lines("series.csv", |row| {
        let metric = (row["column"].to_owned(), row["metric"].to_owned());
        let of = sets.entry(row["dataset"].to_owned()).or_default();
        let place = row["idx"].parse().unwrap();
        of.entry(metric)
            .or_default()
            .insert(place, number(row["value"]));
    });
    let mut faults: BTreeMap<(String, String, usize), BTreeMap<Metric, Option<f64>>> =
        BTreeMap::new();
    lines("injections.csv", |row| {
        if row["fault"] == "stale" {
            let place = row["idx"].parse().unwrap();
            let case = (row["dataset"].to_owned(), row["case"].to_owned(), place);
            let metric = (row["column"].to_owned(), row["metric"].to_owned());
            let values = faults.entry(case).or_default();
            values.insert(metric, number(row["value"]));
        }
    });
    let (mut partitions, mut mistaken) = (0, Vec::new());
    for (name, of) in &sets {
        let end = of.values().filter_map(|s| s.keys().last()).max().unwrap() + 1;
        for at in FIRST..end {
            partitions += 1;
            if taken_for_stale(of, at, &BTreeMap::new()) {
                mistaken.push(format!("{name} {at}"));
            }
        }
    }
    let later: Vec<_> = faults.iter().filter(|(case, _)| case.2 >= FIRST).collect();
    let missed: Vec<String> = later
        .iter()
        .filter(|((name, _, at), values)| !taken_for_stale(&sets[name], *at, values))
        .map(|((name, case, at), _)| format!("{name} {at} (case {case})"))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a number of cases is small")]
    let found = 1.0 - missed.len() as f64 / later.len() as f64;
    println!(
        "{} stale partitions: found {found:.4}; {} of {partitions} others taken for stale",
        later.len(),
        mistaken.len()
    );
    assert!(later.len() >= 400 && partitions >= 1000, "too few cases");
    assert!(mistaken.is_empty(), "taken for stale: {mistaken:?}");
    assert!(found >= FOUND_MIN, "found {found}, missed {missed:?}");
}
