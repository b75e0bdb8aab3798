//! How fast text is measured: `text_speed FOLDER csv|ndjson basic|full` measures every partition of
//! FOLDER on one thread and prints rows, bytes and megabytes a second.

use std::time::Instant;

use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;
use assay_model::run::Selection;
use assay_scan::{ScanContext, discover::discover, measure};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, format, task] = arguments.as_slice() else {
        return Err("usage: text_speed FOLDER csv|ndjson basic|full".into());
    };
    let path = std::fs::canonicalize(folder)?.display().to_string();
    let metrics = match task.as_str() {
        "basic" => vec![Metric::NullCount, Metric::Sum],
        _ => Profile::default().metrics,
    };
    let dataset = Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("speed")?,
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Draft,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "local".to_owned(),
            location: Location::Local { path },
            format: Format::of(format.parse::<FormatKind>()?),
        },
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile {
            metrics,
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy {
            target_bytes: u64::MAX,
            ..ScanPolicy::default()
        },
    };
    let context = ScanContext::default();
    let now = jiff::Timestamp::now();
    let plan = discover(&dataset, &[], &Selection::default(), now, &context)?;
    let (begun, mut rows) = (Instant::now(), 0);
    for spec in &plan.measures {
        rows += measure::measure(&dataset, spec, &context)?
            .iter()
            .map(|part| part.rows)
            .sum::<u64>();
    }
    let bytes: u64 = plan.measures.iter().map(|spec| spec.bytes).sum();
    let seconds = begun.elapsed().as_secs_f64();
    let speed = bytes as f64 / 1e6 / seconds;
    println!("{task}: {rows} rows, {bytes} bytes, {seconds:.3} s, {speed:.0} MB/s");
    Ok(())
}
