//! The same files in a folder and in a bucket: the same partitions, metrics and first definitions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Sealing, Source, StoragePolicy,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;
use assay_model::run::Selection;
use assay_scan::ScanContext;
use assay_scan::discover::discover;
use assay_scan::introspect::introspect;
use assay_scan::measure::states;
use assay_test_servers::ministack;
use assay_test_servers::s3::TestBucket;
use jiff::Timestamp;

use crate::{access, bucket, place, source};

fn dataset(source: Source, partitions: Partitioning) -> Dataset {
    Dataset {
        id: DatasetId::new("feed").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source,
        others: Vec::new(),
        storage: StoragePolicy::default(),
        partitions,
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile {
            metrics: vec![
                Metric::NanCount,
                Metric::Sum,
                Metric::Stddev,
                Metric::Min,
                Metric::DistinctCount,
                Metric::DuplicateCount,
                Metric::Quantile,
                Metric::LengthMean,
            ],
            quantiles: vec![0.5],
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy {
            target_bytes: 100 << 10,
            ..ScanPolicy::default()
        },
    }
}

fn context() -> ScanContext {
    ScanContext {
        reach: Some(assay_sources::reach(access())),
        ..ScanContext::default()
    }
}

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// What a dataset comes to: its partitions with what is known of each, and every batch's states.
fn measured(dataset: &Dataset) -> (Vec<String>, BTreeMap<String, Vec<Vec<u8>>>) {
    let context = context();
    let plan = discover(dataset, &[], &Selection::default(), now(), &context).unwrap();
    let judged = plan.evaluations.iter();
    let judged = judged.map(|e| format!("{:?} {} bytes", e.partition.key, e.bytes));
    let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for spec in &plan.measures {
        for (key, state) in states(dataset, spec, &context).unwrap() {
            found.entry(key.0).or_default().push(state.encode());
        }
    }
    let told = plan.ignored.iter().chain(&plan.notices).cloned();
    (judged.chain(told).collect(), found)
}

fn of_folder(path: &Path, kind: FormatKind) -> Source {
    Source {
        server: "lake".to_owned(),
        location: Location::Local {
            path: path.display().to_string(),
        },
        format: Format::of(kind),
        credential: None,
    }
}

fn of_bucket(bucket: &TestBucket, path: &str, kind: FormatKind) -> Source {
    let mut found = source(place(&bucket.name, path, &ministack::shared().url()));
    found.format = Format::of(kind);
    found
}

/// The shared data.
fn shared() -> PathBuf {
    let named = std::env::var_os("ASSAY_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = named.unwrap_or_else(beside).join("data");
    assert!(
        folder.is_dir(),
        "the shared data is not at {}: name it with ASSAY_SHARED",
        folder.display()
    );
    folder
}

fn same(local: &Source, remote: &Source, partitions: &Partitioning) {
    let (ours, values) = measured(&dataset(local.clone(), partitions.clone()));
    let (theirs, others) = measured(&dataset(remote.clone(), partitions.clone()));
    assert_eq!(ours, theirs);
    assert!(!values.is_empty());
    assert!(values == others, "the states differ");
    let here = introspect(local, now(), &ScanContext::default()).unwrap();
    let there = introspect(remote, now(), &context()).unwrap();
    assert_eq!(here, there);
}

#[test]
fn taxi_files_in_a_bucket_give_the_states_of_those_in_a_folder() {
    let folder = shared().join("taxi_yellow_samples");
    let bucket = bucket();
    bucket.put_folder(&folder, "taxi/");
    let auto = Partitioning::default();
    let local = of_folder(&folder, FormatKind::Csv);
    same(&local, &of_bucket(&bucket, "taxi/", FormatKind::Csv), &auto);
    same(&local, &of_bucket(&bucket, "taxi", FormatKind::Csv), &auto);
    let pattern = "yellow_tripdata_sample_{year}-{month}.csv";
    let local = of_folder(&folder.join(pattern), FormatKind::Csv);
    let remote = of_bucket(&bucket, &format!("taxi/{pattern}"), FormatKind::Csv);
    same(&local, &remote, &auto);
    let one = "yellow_tripdata_sample_2019-01.csv";
    let local = of_folder(&folder.join(one), FormatKind::Csv);
    let remote = of_bucket(&bucket, &format!("taxi/{one}"), FormatKind::Csv);
    same(&local, &remote, &auto);
}

#[test]
fn hive_folders_of_parquet_with_markers_are_the_same_in_a_bucket() {
    let folder = tempfile::tempdir().unwrap();
    let file = shared().join("parquet-testing/data/alltypes_plain.parquet");
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for day in 1..=3 {
        let day = folder.path().join(format!("dt=2024-01-0{day}"));
        std::fs::create_dir(&day).unwrap();
        std::fs::write(day.join("a.parquet"), &bytes).unwrap();
        std::fs::write(day.join("_SUCCESS"), "").unwrap();
    }
    std::fs::remove_file(folder.path().join("dt=2024-01-02/_SUCCESS")).unwrap();
    let bucket = bucket();
    bucket.put_folder(folder.path(), "hive/");
    bucket.put("hive/dt=2024-01-04/", b"");
    let partitions = Partitioning {
        sealing: Sealing::Marker {
            name: "_SUCCESS".to_owned(),
        },
        ..Partitioning::default()
    };
    let local = of_folder(folder.path(), FormatKind::Parquet);
    let remote = of_bucket(&bucket, "hive", FormatKind::Parquet);
    same(&local, &remote, &partitions);
}

#[test]
fn delta_tables_are_the_same_in_a_bucket() {
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scan/tests/delta_tables");
    let bucket = bucket();
    // With a deletion vector in a file, escaped names, parts of a checkpoint, typed partitions.
    for name in [
        "deletion-vector",
        "checkpoint-in-parts",
        "partitioned-by-timestamp-ntz",
        "mapped-by-id",
    ] {
        let folder = tables.join(name);
        bucket.put_folder(&folder, &format!("{name}/"));
        let local = of_folder(&folder, FormatKind::Delta);
        let remote = of_bucket(&bucket, name, FormatKind::Delta);
        same(&local, &remote, &Partitioning::default());
    }
}
