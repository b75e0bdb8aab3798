//! Every text data set with ground truth, through discovery, batches, measurement and merge: rows,
//! NULLs, sums to the last bit, extremes and non-numeric fields, whatever the batches are.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use assay_metrics::{ColumnState, TableState};
use assay_model::dataset::{
    Column, Dataset, DatasetStatus, Format, FormatKind, Layout, LimitPolicy, Location, LogicalType,
    Partitioning, Profile, RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_model::run::Selection;
use assay_scan::ScanContext;
use assay_scan::discover::discover;
use jiff::Timestamp;
use serde_json::Value;

fn shared() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("ASSAY_SHARED").map_or_else(default, PathBuf::from);
    assert!(
        path.join("data").is_dir(),
        "no data at {}: set ASSAY_SHARED",
        path.display()
    );
    path
}

fn truth(name: &str) -> Value {
    let text = std::fs::read_to_string(shared().join("data/ground_truth.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all["datasets"][name].clone()
}

fn dataset(path: &Path, layout: Layout, truth: &Value) -> Dataset {
    let one = |name: &str| truth[name].as_str().unwrap().chars().next().unwrap();
    let tokens = truth["null_tokens"].as_array().unwrap();
    let format = Format {
        delimiter: one("delimiter"),
        quote: one("quote"),
        null_tokens: tokens
            .iter()
            .map(|t| t.as_str().unwrap().to_owned())
            .collect(),
        ..Format::of(FormatKind::Csv)
    };
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("truth").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "local".to_owned(),
            location: Location::Local {
                path: path.display().to_string(),
            },
            format,
        },
        partitions: Partitioning {
            layout,
            ..Partitioning::default()
        },
        columns: declared(truth),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// Columns in which some field is no number, although the truth has sums of them, must be declared.
fn declared(truth: &Value) -> Vec<Column> {
    let mut names = std::collections::BTreeSet::new();
    for partition in truth["partitions"].as_object().unwrap().values() {
        for (name, stats) in partition["stats"].as_object().unwrap() {
            if stats
                .get("nonnumeric")
                .is_some_and(|n| n.as_u64() != Some(0))
            {
                names.insert(name.clone());
            }
        }
    }
    let column = |name: String| Column {
        name,
        logical_type: Some(LogicalType::Number),
        physical_type: None,
        required: false,
        unique: false,
        primary_key: None,
        masked: false,
    };
    names.into_iter().map(column).collect()
}

/// The merged states by partition, and how many batches there were.
fn measure(dataset: &Dataset) -> (BTreeMap<String, TableState>, usize) {
    let context = ScanContext::default();
    let plan = discover(
        dataset,
        &[],
        &Selection::default(),
        Timestamp::now(),
        &context,
    )
    .unwrap();
    let mut states: Vec<BTreeMap<_, _>> = Vec::new();
    for spec in &plan.measures {
        // As it travels: encoded and decoded.
        let measured = assay_scan::measure::measure(dataset, spec, &context).unwrap();
        let decoded = measured
            .into_iter()
            .map(|part| (part.partition, TableState::decode(&part.state).unwrap()));
        states.push(decoded.collect());
    }
    let mut merged = BTreeMap::new();
    for evaluation in &plan.evaluations {
        if evaluation.measured_by.is_empty() {
            continue;
        }
        let mut state = TableState::default();
        for number in &evaluation.measured_by {
            state.merge(&states[*number as usize - 1][&evaluation.partition.key]);
        }
        assert_eq!(
            state.bytes, evaluation.bytes,
            "{}",
            evaluation.partition.key
        );
        assert_eq!(
            state.files, evaluation.objects,
            "{}",
            evaluation.partition.key
        );
        merged.insert(evaluation.partition.key.0.clone(), state);
    }
    (merged, plan.measures.len())
}

fn compare(column: &ColumnState, stats: &Value, place: &str) {
    assert_eq!(
        column.counts.nulls,
        stats["nulls"].as_u64().unwrap(),
        "nulls of {place}"
    );
    let Some(nonnumeric) = stats.get("nonnumeric").and_then(Value::as_u64) else {
        return;
    };
    assert_eq!(
        column.counts.nonnumeric, nonnumeric,
        "non-numeric fields of {place}"
    );
    let sum = column.sum().unwrap().map(|sum| sum.value.to_f64());
    assert_eq!(
        sum.map(f64::to_bits),
        stats["sum"].as_f64().map(f64::to_bits),
        "sum of {place}"
    );
    if let Some(low) = stats["min"].as_f64() {
        let (least, greatest) = column.extremes().unwrap().unwrap().value;
        assert_eq!(least.to_f64(), Some(low), "least of {place}");
        assert_eq!(
            greatest.to_f64(),
            stats["max"].as_f64(),
            "greatest of {place}"
        );
    }
}

fn agree(dataset: &Dataset, truth: &Value, key: impl Fn(&str) -> String) -> usize {
    let (states, batches) = measure(dataset);
    let partitions = truth["partitions"].as_object().unwrap();
    assert_eq!(states.len(), partitions.len());
    for (name, expected) in partitions {
        let state = states
            .get(&key(name))
            .unwrap_or_else(|| panic!("no partition {name}"));
        assert_eq!(
            state.rows,
            expected["rows"].as_u64().unwrap(),
            "rows of {name}"
        );
        let columns = expected["columns"].as_array().unwrap();
        assert_eq!(state.columns.len(), columns.len(), "columns of {name}");
        for (column, stats) in expected["stats"].as_object().unwrap() {
            compare(
                &state.columns[column],
                stats,
                &format!("{column} in {name}"),
            );
        }
    }
    batches
}

/// One batch a partition, about seven, and a batch for every few records: all agree with the truth.
fn agree_in_any_batches(path: &Path, name: &str, layout: Layout, key: impl Fn(&str) -> String) {
    let truth = truth(name);
    let mut dataset = dataset(path, layout, &truth);
    let one = agree(&dataset, &truth, &key);
    assert_eq!(one, truth["partitions"].as_object().unwrap().len());
    let partitions = truth["partitions"].as_object().unwrap();
    let largest = partitions
        .values()
        .map(|p| p["bytes"].as_u64().unwrap())
        .max()
        .unwrap();
    dataset.scan.target_bytes = largest / 7;
    assert!(agree(&dataset, &truth, &key) > one);
    dataset.scan.target_bytes = 3000;
    assert!(agree(&dataset, &truth, &key) > 2 * one);
}

fn data(name: &str) -> PathBuf {
    shared().join("data").join(name)
}

fn same(name: &str) -> String {
    name.to_owned()
}

#[test]
fn flights_agree_with_the_truth() {
    let name = "nycflights13/flights_csv";
    agree_in_any_batches(&data(name), name, Layout::Auto, same);
}

#[test]
fn both_editions_of_the_weather_agree_with_the_truth() {
    for name in [
        "nycflights13/weather_v2019_csv",
        "nycflights13/weather_v2015_csv",
    ] {
        agree_in_any_batches(&data(name), name, Layout::Auto, same);
    }
}

#[test]
fn posts_with_quoted_line_ends_agree_with_the_truth() {
    for name in ["fbposts/clean", "fbposts/dirty"] {
        agree_in_any_batches(&data(name), name, Layout::Auto, same);
    }
}

#[test]
fn taxi_months_agree_with_the_truth() {
    let name = "taxi_yellow_samples";
    agree_in_any_batches(&data(name), name, Layout::Auto, same);
}

#[test]
fn time_series_with_dos_line_ends_agree_with_the_truth() {
    let layout = Layout::Template("{kind}/{series}.csv".to_owned());
    agree_in_any_batches(&data("nab"), "nab", layout, |name| {
        let (kind, series) = name.split_once('/').unwrap();
        format!("kind={kind}/series={series}")
    });
}

/// The same files compressed: half in one stream, half in two members or frames.
#[test]
fn compressed_files_agree_with_the_truth_and_truncated_ones_are_errors() {
    let name = "nycflights13/flights_csv";
    let folder = tempfile::tempdir().unwrap();
    for (i, entry) in std::fs::read_dir(data(name)).unwrap().enumerate() {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        let cut = if i % 2 == 0 {
            bytes.len()
        } else {
            bytes.len() / 3
        };
        let mut packed = Vec::new();
        for part in [&bytes[..cut], &bytes[cut..]] {
            if i % 4 < 2 {
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(part).unwrap();
                packed.extend(gz.finish().unwrap());
            } else {
                packed.extend(zstd::encode_all(part, 1).unwrap());
            }
        }
        let suffix = if i % 4 < 2 { "gz" } else { "zst" };
        let target = entry.file_name().into_string().unwrap();
        std::fs::write(folder.path().join(format!("{target}.{suffix}")), packed).unwrap();
    }
    let truth = truth(name);
    let mut dataset = dataset(folder.path(), Layout::Auto, &truth);
    dataset.scan.target_bytes = 10_000;
    agree(&dataset, &truth, same);

    for entry in std::fs::read_dir(folder.path()).unwrap().take(8) {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        let context = ScanContext::default();
        dataset.source.location = Location::Local {
            path: path.display().to_string(),
        };
        let plan = discover(
            &dataset,
            &[],
            &Selection::default(),
            Timestamp::now(),
            &context,
        );
        let error = assay_scan::measure::measure(&dataset, &plan.unwrap().measures[0], &context);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("ends early"), "{error}");
    }
}
