//! How fast text is measured: `text_speed FOLDER csv|ndjson basic|full [COLUMN:TYPE]...` measures
//! every partition of FOLDER on one thread and prints rows, bytes and megabytes a second. Columns
//! are declared with a logical type each; those that are not are read as what they look like.

use std::time::Instant;

use assay_model::dataset::{
    Column, Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning,
    Profile, RunPolicy, ScanPolicy, Source,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;
use assay_model::run::Selection;
use assay_scan::{ScanContext, discover::discover, measure};

fn declared(columns: &[String]) -> Result<Vec<Column>, Box<dyn std::error::Error>> {
    let column = |text: &String| {
        let (name, logical) = text.split_once(':').ok_or("write COLUMN:TYPE")?;
        Ok(Column {
            name: name.to_owned(),
            logical_type: Some(logical.parse()?),
            physical_type: None,
            required: false,
            unique: false,
            primary_key: None,
            masked: false,
        })
    };
    columns.iter().map(column).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, format, task, columns @ ..] = arguments.as_slice() else {
        return Err("usage: text_speed FOLDER csv|ndjson basic|full [COLUMN:TYPE]...".into());
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
        columns: declared(columns)?,
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
