//! A dataset over a folder, measured as a run measures it: discovered, in batches, merged.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::RecordBatch;
use assay_metrics::TableState;
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::{CheckId, DatasetId};
use assay_model::metric::{Metric, MetricKey, MetricPoint};
use assay_model::output::Discovery;
use assay_model::run::Selection;
use assay_scan::discover::discover;
use assay_scan::measure::measure;
use assay_scan::{ScanContext, ScanError, points};
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Everything is read.
pub const ALL: &[Metric] = &[
    Metric::NanCount,
    Metric::Sum,
    Metric::Stddev,
    Metric::Min,
    Metric::DistinctCount,
    Metric::DuplicateCount,
    Metric::Quantile,
    Metric::LengthMean,
];

pub fn dataset(path: &Path, kind: FormatKind) -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("feed").unwrap(),
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
            format: Format::of(kind),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile {
            metrics: ALL.to_vec(),
            quantiles: vec![0.5],
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// A check of a metric, whatever it is judged by.
pub fn check(metric: MetricKey) -> Check {
    Check {
        id: CheckId::new("asked"),
        metric,
        expect: Expectation::MustBe(Bound::new("0").unwrap()),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

pub fn write(file: &Path, batches: &[RecordBatch], properties: WriterProperties) {
    let to = std::fs::File::create(file).unwrap();
    let mut writer = ArrowWriter::try_new(to, batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

pub fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

/// What a run finds.
pub struct Found {
    pub plan: Discovery,
    /// States by partition, merged from all batches.
    pub states: BTreeMap<String, TableState>,
}

/// Runs the dataset as a cluster does.
pub fn run(dataset: &Dataset) -> Result<Found, ScanError> {
    let context = ScanContext::default();
    let plan = discover(dataset, &[], &Selection::default(), now(), &context)?;
    let mut states: BTreeMap<String, TableState> = BTreeMap::new();
    for spec in &plan.measures {
        for part in measure(dataset, spec, &context)? {
            let state = TableState::decode(&part.state).unwrap();
            assert_eq!(part.rows, state.rows);
            states.entry(part.partition.0).or_default().merge(&state);
        }
    }
    Ok(Found { plan, states })
}

/// The only state of a dataset without partitions.
pub fn whole(dataset: &Dataset) -> TableState {
    let found = run(dataset).unwrap();
    assert_eq!(found.states.len(), 1);
    found.states.into_values().next().unwrap()
}

/// The points of a dataset without partitions.
pub fn points_of(dataset: &Dataset) -> Vec<MetricPoint> {
    let found = run(dataset).unwrap();
    assert_eq!(found.plan.evaluations.len(), 1);
    let state = found.states.into_values().next().unwrap();
    points::metric_points(dataset, &found.plan.evaluations[0], state, now())
}
