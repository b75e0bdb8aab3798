//! Parquet files with a ground truth that two other engines agree on: rows, NULLs and sums.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_metrics::{SumValue, TableState};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;
use assay_model::partition::{ObjectSlice, Part, Partition};
use assay_model::task::MeasureSpec;
use assay_scan::object::{Files, Objects};
use assay_scan::{ErrorClass, ScanContext, ScanError, measure};
use serde_json::Value;

fn shared() -> PathBuf {
    let root = std::env::var_os("ASSAY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    assert!(
        root.join("data").is_dir(),
        "no data in {}: set ASSAY_SHARED",
        root.display()
    );
    root.join("data")
}

fn dataset(folder: &Path, metrics: &[Metric]) -> Dataset {
    Dataset {
        id: DatasetId::new("truth").unwrap(),
        version: "1".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        source: Source {
            credential: None,
            server: "local".to_owned(),
            location: Location::Local {
                path: folder.display().to_string(),
            },
            format: Format::of(FormatKind::Parquet),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile {
            metrics: metrics.to_vec(),
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// Everything is read.
const ALL: &[Metric] = &[
    Metric::NanCount,
    Metric::Sum,
    Metric::Stddev,
    Metric::Min,
    Metric::DistinctCount,
    Metric::Quantile,
    Metric::LengthMean,
];

fn scan(file: &Path, metrics: &[Metric], parts: &[Part]) -> Result<TableState, ScanError> {
    let folder = file.parent().unwrap();
    let dataset = dataset(folder, metrics);
    let objects = Objects::Files(Files::open(&file.display().to_string())?);
    let object = objects.walk("").next().unwrap()?;
    let context = ScanContext::default();
    let mut state = TableState::default();
    for part in parts {
        let spec = MeasureSpec {
            queries: false,
            reading: None,
            partitions: vec![Partition::all()],
            batch: 1,
            batches: 1,
            slices: vec![ObjectSlice {
                object: object.clone(),
                part: *part,
            }],
            bytes: object.size,
        };
        for measured in measure::measure(&dataset, &spec, &context)? {
            state.merge(&TableState::decode(&measured.state).unwrap());
        }
    }
    Ok(state)
}

fn truth() -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(shared().join("ground_truth_parquet.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What differs between a state and the truth.
fn differences(state: &TableState, truth: &Value, sums: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |what: String, got: String, wanted: String| {
        if got != wanted {
            wrong.push(format!("{what}: {got} instead of {wanted}"));
        }
    };
    expect(
        "rows".into(),
        state.rows.to_string(),
        truth["rows"].to_string(),
    );
    let columns = truth["cols"].as_object().unwrap();
    for (name, wanted) in columns {
        let Some(column) = state.columns.get(name) else {
            expect(name.clone(), "nothing".into(), "a column".into());
            continue;
        };
        expect(
            format!("rows of {name}"),
            column.counts.rows.to_string(),
            truth["rows"].to_string(),
        );
        let nulls = column.counts.nulls.to_string();
        expect(
            format!("nulls of {name}"),
            nulls,
            wanted["nulls"].to_string(),
        );
        if !sums || wanted.get("sum").is_none_or(Value::is_null) {
            continue;
        }
        let finite = column.counts.non_null() - column.left_out();
        let (got, wanted) = match column.sum() {
            Err(why) => (why.to_string(), wanted["sum"].to_string()),
            // The peer has 0 where a sum of nothing is NULL.
            Ok(None) => (finite.to_string(), "0".to_owned()),
            Ok(Some(sum)) => match (sum.value, &wanted["sum"]) {
                (SumValue::Int(digits), Value::String(wanted)) => (digits, wanted.clone()),
                (SumValue::Float(got), wanted) => {
                    let wanted = wanted.as_f64().unwrap();
                    // The truth is exact where the values are few; 1e-12 covers its own rounding.
                    let close = (got - wanted).abs() <= wanted.abs() * 1e-12;
                    (
                        got.to_string(),
                        if close {
                            got.to_string()
                        } else {
                            wanted.to_string()
                        },
                    )
                }
                (got, wanted) => (format!("{got:?}"), wanted.to_string()),
            },
        };
        expect(format!("sum of {name}"), got, wanted);
    }
    expect(
        "columns".into(),
        state.columns.len().to_string(),
        columns.len().to_string(),
    );
    wrong
}

#[test]
fn every_file_that_two_engines_agree_on_has_the_same_rows_nulls_and_sums() {
    let mut wrong = Vec::new();
    let mut agreed = 0;
    for (name, truth) in truth()
        .iter()
        .filter(|(_, truth)| truth["agree"] == Value::Bool(true))
    {
        agreed += 1;
        let file = shared().join(name);
        match scan(&file, ALL, &[Part::Whole]) {
            // The engines of the truth do not compare checksums unless they are told to.
            Err(error) if name.contains("corrupt-checksum") => {
                assert!(error.to_string().contains("checksum"), "{name}: {error}");
            }
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(state) => {
                let found = differences(&state, &truth["pyarrow"], true);
                wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
            }
        }
    }
    assert_eq!(agreed, 437);
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn nulls_told_by_footers_are_the_nulls_that_a_scan_counts() {
    let mut wrong = Vec::new();
    for (name, truth) in truth()
        .iter()
        .filter(|(_, truth)| truth["agree"] == Value::Bool(true))
    {
        match scan(&shared().join(name), &[Metric::NullCount], &[Part::Whole]) {
            Err(error) => wrong.push(format!("{name}: {error}")),
            Ok(state) => {
                assert!(
                    state.columns.values().all(|column| column.counts.read == 0),
                    "{name}"
                );
                let found = differences(&state, &truth["pyarrow"], false);
                wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn row_groups_measured_apart_merge_to_the_state_of_the_whole() {
    let mut cut = 0;
    for (name, _) in truth()
        .iter()
        .filter(|(_, truth)| truth["agree"] == Value::Bool(true))
    {
        let file = shared().join(name);
        if name.contains("corrupt-checksum") {
            continue;
        }
        let whole = scan(&file, ALL, &[Part::Whole]).unwrap();
        let mut groups = Vec::new();
        loop {
            let group = Part::RowGroups {
                first: groups.len() as u32,
                count: 1,
            };
            if scan(&file, ALL, &[group]).is_err() {
                break;
            }
            groups.push(group);
        }
        if groups.len() < 2 {
            continue;
        }
        cut += 1;
        let merged = scan(&file, ALL, &groups).unwrap();
        assert_eq!(merged, whole, "{name}");
    }
    assert!(cut >= 3, "{cut} files with several row groups");
}

#[test]
fn a_file_that_is_refused_elsewhere_is_refused_with_its_name_or_read_as_the_truth_says() {
    let mut refused = 0;
    let files = truth();
    let bad = files
        .iter()
        .filter(|(name, truth)| truth["agree"].is_null() || name.contains("bad_data"));
    for (name, truth) in bad {
        let file = shared().join(name);
        match scan(&file, ALL, &[Part::Whole]) {
            Ok(state) => {
                let engines = [&truth["pyarrow"], &truth["duckdb"]];
                let agrees = engines
                    .iter()
                    .filter(|engine| engine["status"] == "ok")
                    .any(|engine| differences(&state, engine, true).is_empty());
                assert!(
                    agrees,
                    "{name} was read as {} rows, which no engine reads",
                    state.rows
                );
            }
            Err(error) => {
                refused += 1;
                let text = error.to_string();
                assert!(
                    text.contains(file.file_name().unwrap().to_str().unwrap()),
                    "{text}"
                );
                assert_eq!(error.class(), ErrorClass::Permanent, "{text}");
                println!("{text}");
            }
        }
    }
    assert!(refused >= 20, "{refused}");
}
