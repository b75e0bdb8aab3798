//! What tests of tables share, whatever the database: a definition, its listing and measurement, and
//! the files that hold the same rows.
#![allow(dead_code, reason = "not every test of tables uses all of it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use assay_metrics::TableState;
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{
    Credential, Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning,
    Profile, RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::{CheckId, DatasetId};
use assay_model::metric::{Metric, MetricKey};
use assay_model::output::Discovery;
use assay_model::partition::PartitionKey;
use assay_model::run::Selection;
use assay_scan::discover::discover;
use assay_scan::measure::states;
use assay_scan::reach::{Access, Secret};
use assay_scan::{ScanContext, ScanError};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// What a push-down can answer.
pub const TOTALS: [Metric; 6] = [
    Metric::NullCount,
    Metric::Sum,
    Metric::Stddev,
    Metric::Min,
    Metric::Max,
    Metric::LengthMean,
];

/// Everything of a profile.
pub const ALL: [Metric; 8] = [
    Metric::NullCount,
    Metric::Sum,
    Metric::Stddev,
    Metric::Min,
    Metric::Max,
    Metric::LengthMean,
    Metric::DistinctCount,
    Metric::Quantile,
];

pub fn dataset(location: Location, kind: FormatKind) -> Dataset {
    Dataset {
        id: DatasetId::new("t").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: Some(Credential::Env("ASSAY_SOURCE_T".to_owned())),
            server: "here".to_owned(),
            location,
            format: Format::of(kind),
        },
        others: Vec::new(),
        storage: StoragePolicy::default(),
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

/// A context whose secret is this.
pub fn context(secret: &str) -> ScanContext {
    let mut access = Access::default();
    let secret = Secret::new(secret);
    access
        .secrets
        .insert("env:ASSAY_SOURCE_T".to_owned(), secret);
    ScanContext {
        reach: Some(assay_sources::reach(access)),
        ..ScanContext::default()
    }
}

pub fn list(dataset: &Dataset, context: &ScanContext) -> Result<Discovery, ScanError> {
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    discover(dataset, &[], &Selection::default(), now, context)
}

/// The states of a plan, merged.
pub fn measure(
    dataset: &Dataset,
    plan: &Discovery,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let mut all: BTreeMap<PartitionKey, TableState> = BTreeMap::new();
    for spec in &plan.measures {
        for (key, state) in states(dataset, spec, context)? {
            let state = TableState::decode(&state.encode()).unwrap();
            all.entry(key).or_default().merge(&state);
        }
    }
    Ok(all)
}

/// Compares all but what is told of places.
pub fn assert_same(left: &TableState, right: &TableState) {
    assert_eq!(left.rows, right.rows);
    let names = |state: &TableState| state.columns.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for (name, column) in &left.columns {
        assert_eq!(column, &right.columns[name], "column {name}");
    }
    assert_eq!(left.keys, right.keys);
    assert_eq!(left.rules, right.rules);
}

pub fn write(path: &Path, batch: &RecordBatch) {
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

pub fn duplicates(column: &str) -> Check {
    Check {
        id: CheckId::new(column),
        metric: MetricKey::column(Metric::DuplicateCount, column),
        expect: Expectation::MustBe(Bound::new("0").unwrap()),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

pub fn shared() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = std::env::var_os("ASSAY_SHARED").map_or_else(default, PathBuf::from);
    let data = path.join("data");
    assert!(
        data.is_dir(),
        "no data at {}: set ASSAY_SHARED",
        data.display()
    );
    data
}

/// The rows of a Parquet file as texts between tabs, `\N` for NULL.
pub fn tab_separated(path: &Path) -> tempfile::NamedTempFile {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut rows = tempfile::NamedTempFile::new().unwrap();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = batch.columns().iter().map(|c| cell(c, row)).collect();
            writeln!(rows, "{}", cells.join("\t")).unwrap();
        }
    }
    rows
}

fn cell(array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return "\\N".to_owned();
    }
    let mut text = String::new();
    match array.data_type() {
        DataType::Int32 => write!(text, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(text, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => write!(text, "{}", array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => write!(text, "{}", array.as_string::<i32>().value(row)),
        _ => write!(text, "{}", array.as_string::<i64>().value(row)),
    }
    .unwrap();
    text
}
