//! Every data set with ground truth, through the whole program: a definition file, discovery,
//! batches on nodes, states, the store. What the store then holds is the truth: row counts, NULLs
//! and sums to the last bit, whatever the batches are and however many hands there were.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use assay_model::ids::DatasetId;
use assay_model::metric::{Metric, MetricStatus, MetricValue};
use assay_model::task::TaskKind;
use assay_store::port::RunFilter;
use assay_store::{MetricStore, SqliteStore};
use common::{Definition, Place, Running, shared};
use serde_json::Value;

/// What is measured: no more than what the truth knows.
const PROFILE: &str = "{ metrics: [nullCount, nonNumericCount, sum, min, max], judged: false }";

/// The value of each partition, metric and column.
type Found = BTreeMap<(String, Metric, String), MetricValue>;

fn truth(name: &str) -> Value {
    let text = std::fs::read_to_string(shared().join("ground_truth.json")).unwrap();
    let mut all: Value = serde_json::from_str(&text).unwrap();
    all["datasets"][name].take()
}

fn definition(path: &Path, truth: &Value) -> Definition {
    let format = serde_json::json!({
        "delimiter": truth["delimiter"],
        "quote": truth["quote"],
        "nullTokens": truth["null_tokens"],
    });
    let mut definition = Definition::new("truth", path, "csv")
        .set("assayFormat", &format.to_string())
        .set("assayProfile", PROFILE);
    definition.columns = declared(truth);
    definition
}

/// Columns in which some field is no number, although the truth has sums of them, are declared.
fn declared(truth: &Value) -> Vec<String> {
    let mut names = BTreeSet::new();
    for partition in truth["partitions"].as_object().unwrap().values() {
        for (name, stats) in partition["stats"].as_object().unwrap() {
            if stats["nonnumeric"].as_u64().is_some_and(|n| n > 0) {
                names.insert(name.clone());
            }
        }
    }
    let line = |name| format!("{{ name: {name}, logicalType: number }}");
    names.into_iter().map(line).collect()
}

async fn found(store: &SqliteStore) -> Found {
    let id = DatasetId::new("truth").unwrap();
    let mut found = Found::new();
    for (key, points) in store.history(&id, None, 100_000).await.unwrap() {
        for point in points {
            assert_eq!(
                point.status,
                MetricStatus::Computed,
                "{} of {}",
                key,
                point.partition.key
            );
            let place = (
                point.partition.key.to_string(),
                key.metric,
                key.column.clone(),
            );
            found.insert(place, point.value);
        }
    }
    found
}

/// Tasks that measured, and the nodes that did so.
async fn hands(store: &SqliteStore) -> (usize, BTreeSet<String>) {
    let (mut tasks, mut nodes) = (0, BTreeSet::new());
    let filter = RunFilter {
        limit: 10,
        ..RunFilter::default()
    };
    for run in store.runs(&filter).await.unwrap() {
        for (task, attempts) in store.tasks(run.id).await.unwrap() {
            if task.spec.kind() == TaskKind::Measure {
                tasks += 1;
                nodes.extend(attempts.iter().map(|a| a.node.to_string()));
            }
        }
    }
    (tasks, nodes)
}

fn exact(found: &Found, partition: &str, metric: Metric, column: &str) -> Option<u64> {
    let value = found.get(&(partition.to_owned(), metric, column.to_owned()))?;
    Some(value.to_string().parse().unwrap())
}

fn bits(found: &Found, partition: &str, metric: Metric, column: &str) -> Option<u64> {
    let value = found.get(&(partition.to_owned(), metric, column.to_owned()))?;
    value.as_f64().map(f64::to_bits)
}

/// Compares all partitions with the truth and says how many figures were compared.
fn agree(found: &Found, truth: &Value, key: impl Fn(&str) -> String) -> usize {
    let partitions = truth["partitions"].as_object().unwrap();
    let keys: BTreeSet<&String> = found.keys().map(|(partition, _, _)| partition).collect();
    let expected: BTreeSet<String> = partitions.keys().map(|name| key(name)).collect();
    assert_eq!(keys, expected.iter().collect(), "the partitions");
    let mut compared = 0;
    for (name, partition) in partitions {
        let key = key(name);
        let rows = exact(found, &key, Metric::RowCount, "");
        assert_eq!(rows, partition["rows"].as_u64(), "rows of {key}");
        for (column, stats) in partition["stats"].as_object().unwrap() {
            let nulls = exact(found, &key, Metric::NullCount, column);
            assert_eq!(nulls, stats["nulls"].as_u64(), "NULLs of {column} in {key}");
            compared += 2;
            let Some(words) = stats.get("nonnumeric") else {
                continue;
            };
            if let Some(found) = exact(found, &key, Metric::NonNumericCount, column) {
                assert_eq!(Some(found), words.as_u64(), "words of {column} in {key}");
                compared += 1;
            }
            for (metric, word) in [
                (Metric::Sum, "sum"),
                (Metric::Min, "min"),
                (Metric::Max, "max"),
            ] {
                let wanted = stats[word].as_f64();
                let got = bits(found, &key, metric, column);
                assert_eq!(
                    got.map(f64::from_bits),
                    wanted,
                    "{word} of {column} in {key}"
                );
                assert_eq!(got, wanted.map(f64::to_bits), "{word} of {column} in {key}");
                compared += 1;
            }
        }
    }
    compared
}

/// Checks `definition` with so many slots; gives what was found and how many tasks measured.
async fn check(definition: &Definition, slots: u32) -> (Found, usize) {
    let place = Place::new();
    place.write("truth.yaml", definition.text());
    place
        .assay(&[
            "check",
            "truth.yaml",
            "--slots",
            &slots.to_string(),
            // Some columns that are declared as numbers hold words; the values are the matter here.
            "--fail-on",
            "never",
        ])
        .ended(0);
    let store = place.store().await;
    let result = (found(&store).await, hands(&store).await.0);
    store.close().await;
    result
}

fn batches_of(bytes: u64) -> String {
    format!("{{ targetBytes: {} }}", bytes.max(1 << 16))
}

/// One batch a partition, about seven of the largest, and the least batches there are, by one and
/// by three slots: all agree with the truth, and so with each other.
async fn agree_in_any_batches(
    name: &str,
    change: impl Fn(Definition) -> Definition,
    key: impl Fn(&str) -> String,
) {
    let truth = truth(name);
    let partitions = truth["partitions"].as_object().unwrap();
    let sizes = partitions.values().map(|p| p["bytes"].as_u64().unwrap());
    let largest = sizes.max().unwrap();
    let base = change(definition(&shared().join(name), &truth));
    let mut before = 0;
    for (target, slots) in [(1 << 30, 1), (largest / 7, 3), (1 << 16, 1)] {
        let (found, tasks) =
            check(&base.clone().set("assayScan", &batches_of(target)), slots).await;
        let compared = agree(&found, &truth, &key);
        println!("{name}: {compared} figures, {tasks} tasks on {slots} slots");
        assert!(tasks >= before, "smaller batches are not fewer");
        before = tasks;
    }
    if largest > 2 << 16 {
        assert!(before > partitions.len(), "{before} tasks: nothing was cut");
    }
}

fn same(name: &str) -> String {
    name.to_owned()
}

#[tokio::test]
async fn flights_are_the_truth_in_any_batches() {
    agree_in_any_batches("nycflights13/flights_csv", |d| d, same).await;
}

#[tokio::test]
async fn the_weather_of_2019_is_the_truth() {
    let name = "nycflights13/weather_v2019_csv";
    let truth = truth(name);
    let (found, tasks) = check(&definition(&shared().join(name), &truth), 1).await;
    println!(
        "{name}: {} figures, {tasks} tasks",
        agree(&found, &truth, same)
    );
}

#[tokio::test]
async fn the_weather_of_2015_is_the_truth() {
    let name = "nycflights13/weather_v2015_csv";
    let truth = truth(name);
    let (found, tasks) = check(&definition(&shared().join(name), &truth), 3).await;
    println!(
        "{name}: {} figures, {tasks} tasks",
        agree(&found, &truth, same)
    );
}

#[tokio::test]
async fn posts_with_quoted_line_ends_are_the_truth_in_any_batches() {
    for name in ["fbposts/clean", "fbposts/dirty"] {
        agree_in_any_batches(name, |d| d, same).await;
    }
}

#[tokio::test]
async fn taxi_months_are_the_truth_in_any_batches() {
    agree_in_any_batches("taxi_yellow_samples", |d| d, same).await;
}

#[tokio::test]
async fn time_series_with_dos_line_ends_are_the_truth_in_any_batches() {
    let layout = |d: Definition| d.set("assayPartitions", "{ template: '{kind}/{series}.csv' }");
    agree_in_any_batches("nab", layout, |name| {
        let (kind, series) = name.split_once('/').unwrap();
        format!("kind={kind}/series={series}")
    })
    .await;
}

/// The days of the flights in one file, told apart by a column: batches hold parts of partitions.
#[tokio::test]
async fn days_in_one_file_are_the_truth_in_any_batches() {
    let truth = truth("nycflights13/flights_csv");
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for (name, partition) in truth["partitions"].as_object().unwrap() {
        let file = shared().join(partition["file"].as_str().unwrap());
        let lines = std::fs::read_to_string(file).unwrap();
        for (i, line) in lines.lines().enumerate() {
            match i {
                0 if text.is_empty() => text.push_str(&format!("the_day,{line}\n")),
                0 => {}
                _ => text.push_str(&format!("{name},{line}\n")),
            }
        }
    }
    std::fs::write(folder.path().join("flights.csv"), &text).unwrap();
    let base = definition(folder.path(), &truth).set("assayPartitions", "{ column: the_day }");
    let size = text.len() as u64;
    for (target, slots, least) in [(1 << 30, 3, 1), (size / 7, 1, 7), (1 << 16, 3, 80)] {
        let (found, tasks) =
            check(&base.clone().set("assayScan", &batches_of(target)), slots).await;
        let compared = agree(&found, &truth, same);
        println!("days in one file: {compared} figures, {tasks} tasks on {slots} slots");
        assert!(tasks >= least, "{tasks} tasks");
    }
}

/// Three nodes share the work of one run.
#[tokio::test]
async fn what_three_nodes_found_is_the_truth() {
    let name = "nycflights13/flights_csv";
    let truth = truth(name);
    let place = Place::new();
    let definition = definition(&shared().join(name), &truth);
    place.write("datasets/truth.odcs.yaml", definition.text());
    let command = place.command(&["dev", "--nodes", "3", "--grpc-port", "0"]);
    let dev = Running::start(command, &place.path("log"));
    // The backfill of a new dataset, and the look at what has arrived.
    place.settled(2, Duration::from_secs(100)).await;
    dev.kill();
    let store = place.store().await;
    let compared = agree(&found(&store).await, &truth, same);
    let (tasks, nodes) = hands(&store).await;
    println!("three nodes: {compared} figures, {tasks} tasks on {nodes:?}");
    assert_eq!(nodes.len(), 3, "{nodes:?}");
}

#[tokio::test]
async fn a_year_of_parquet_is_the_truth() {
    let text = std::fs::read_to_string(shared().join("ground_truth_parquet.json")).unwrap();
    let all: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let folder = shared().join("nycflights13/flights_parquet");
    let definition = Definition::new("truth", folder, "parquet").set("assayProfile", PROFILE);
    let (found, tasks) = check(&definition, 3).await;
    let mut days = 0;
    for (path, file) in &all {
        let Some(name) = path.strip_prefix("nycflights13/flights_parquet/date=") else {
            continue;
        };
        let key = name.strip_suffix(".parquet").unwrap();
        let truth = &file["pyarrow"];
        let rows = exact(&found, key, Metric::RowCount, "");
        assert_eq!(rows, truth["rows"].as_u64(), "rows of {key}");
        for (column, stats) in truth["cols"].as_object().unwrap() {
            let nulls = exact(&found, key, Metric::NullCount, column);
            assert_eq!(nulls, stats["nulls"].as_u64(), "NULLs of {column} in {key}");
            // An exact sum is held against the digits, never through a float.
            let place = (key.to_owned(), Metric::Sum, column.clone());
            let sum = found.get(&place).map(ToString::to_string);
            assert_eq!(
                sum.as_deref(),
                stats["sum"].as_str(),
                "sum of {column} in {key}"
            );
        }
        days += 1;
    }
    let keys: BTreeSet<&String> = found.keys().map(|(partition, _, _)| partition).collect();
    println!("parquet: {days} days, {tasks} tasks");
    assert_eq!((days, keys.len()), (365, 365));
}
