//! Times the fused scan: `measure_folder basic|full FOLDER THREADS [OUT.json]`.
//!
//! `FOLDER` holds hive folders `dt=…` with one Parquet file each. Every file is one partition and
//! one batch, and threads take batches from a shared counter, as the slots of a node do. `basic`
//! is rows, NULLs of all columns and sums of the numeric ones; `full` adds extremes, mean, standard
//! deviation, distinct counts and quantiles.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use assay_metrics::{SumValue, TableState};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;
use assay_model::partition::{ObjectRef, ObjectSlice, Part, Partition};
use assay_model::task::MeasureSpec;
use assay_scan::object::Objects;
use assay_scan::{ScanContext, measure};

const NUMERIC: [&str; 6] = ["id", "customer_id", "amount", "price", "qty", "score"];

fn dataset(folder: &str, full: bool) -> Result<Dataset, Box<dyn std::error::Error>> {
    let basic = Profile {
        columns: Some(NUMERIC.iter().map(|name| (*name).to_owned()).collect()),
        metrics: vec![Metric::NullCount, Metric::Sum],
        ..Profile::default()
    };
    let metrics = vec![
        Metric::NullCount,
        Metric::Sum,
        Metric::Min,
        Metric::Max,
        Metric::Mean,
        Metric::Stddev,
        Metric::DistinctCount,
        Metric::Quantile,
    ];
    Ok(Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("bench")?,
        version: "1".to_owned(),
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
                path: folder.to_owned(),
            },
            format: Format::of(FormatKind::Parquet),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: if full {
            Profile {
                metrics,
                ..Profile::default()
            }
        } else {
            basic
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    })
}

fn one(dataset: &Dataset, object: &ObjectRef) -> Result<TableState, String> {
    let spec = MeasureSpec {
        queries: false,
        reading: None,
        partitions: vec![Partition::all()],
        batch: 1,
        batches: 1,
        slices: vec![ObjectSlice {
            object: object.clone(),
            part: Part::Whole,
        }],
        bytes: object.size,
    };
    let measured = measure::measure(dataset, &spec, &ScanContext::default());
    let measured = measured.map_err(|error| error.to_string())?;
    let state = measured.first().ok_or("no partition")?;
    TableState::decode(&state.state).map_err(|error| error.to_string())
}

fn report(state: &TableState) -> serde_json::Value {
    let mut values = serde_json::Map::new();
    values.insert("rows".to_owned(), state.rows.into());
    for (name, column) in &state.columns {
        values.insert(format!("nulls_{name}"), column.counts.nulls.into());
        if let Ok(Some(sum)) = column.sum() {
            let sum = match sum.value {
                SumValue::Int(digits) | SumValue::Decimal(digits) => digits.into(),
                SumValue::Float(value) => value.into(),
            };
            values.insert(format!("sum_{name}"), sum);
        }
    }
    values.into()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [task, folder, threads, out @ ..] = args.as_slice() else {
        return Err("usage: measure_folder basic|full FOLDER THREADS [OUT.json]".into());
    };
    let begun = Instant::now();
    let folder = std::fs::canonicalize(folder)?.display().to_string();
    let dataset = dataset(&folder, task == "full")?;
    let objects = Objects::open(&dataset.source, &ScanContext::default())?;
    let listed = objects.walk("").collect::<Result<Vec<_>, _>>()?;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.parse::<usize>().unwrap_or(1) {
            scope.spawn(|| {
                while let Some(object) = listed.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let state = one(&dataset, object);
                    if let Ok(mut done) = done.lock() {
                        done.insert(object.path.clone(), state);
                    }
                }
            });
        }
    });
    let done = done.into_inner()?;
    let mut all = serde_json::Map::new();
    let mut rows = 0;
    for (path, state) in &done {
        let state = state.as_ref().map_err(Clone::clone)?;
        rows += state.rows;
        let day = path
            .split('/')
            .next()
            .and_then(|part| part.strip_prefix("dt="))
            .unwrap_or(path);
        all.insert(day.to_owned(), report(state));
    }
    println!(
        "assay {task} {rows} rows {:.3} s",
        begun.elapsed().as_secs_f64()
    );
    if let Some(out) = out.first() {
        std::fs::write(out, serde_json::to_string(&all)?)?;
    }
    Ok(())
}
