//! Times the ingest of rides from a Parquet file beside `\copy` of the same rows from CSV by psql.
//! `ingest_speed [ROWS] [PAIRS]`
//!
//! Both fill a new table of the same types on the same server, one after the other, and both are
//! done when the rows are durable. An ingest reads its copy back to measure it: that is timed apart,
//! by asking for a batch that is stored already, and taken off.
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/postgres_source/table.rs"]
#[allow(dead_code, unused_imports, reason = "the tests use the rest")]
mod table;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{
    ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use assay_model::dataset::{Dataset, FormatKind, Layout, Location};
use assay_model::source::{StorageMode, StoragePolicy};
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::reach::Access;
use assay_scan::storage::Storage;
use parquet::arrow::ArrowWriter;

const DDL: &str = "CREATE TABLE rides (vendor int4, pickup timestamp, dropoff timestamp, \
    passengers int4, distance float8, rate text, fare float8, tip float8, total float8)";
const BATCH: usize = 8192;
const START: i64 = 1_546_300_800_000_000;

/// Rides that look like those of New York's yellow taxis.
fn rides(from: usize, rows: usize) -> RecordBatch {
    let all = || from..from + rows;
    let mixed = |n: usize, by: u64| {
        (n as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(21)
            % by
    };
    let cents = |n: usize, by: u64| mixed(n, by) as f64 / 100.0;
    let pickup = |n: usize| START + n as i64 * 350_000;
    let columns: [(&str, ArrayRef); 9] = [
        (
            "vendor",
            Arc::new(
                all()
                    .map(|n| 1 + mixed(n, 2) as i32)
                    .collect::<Int32Array>(),
            ),
        ),
        (
            "pickup",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                all().map(pickup),
            )),
        ),
        (
            "dropoff",
            Arc::new(TimestampMicrosecondArray::from_iter_values(
                all().map(|n| pickup(n) + 1_000_000 * (60 + mixed(n, 3000) as i64)),
            )),
        ),
        (
            "passengers",
            Arc::new(
                all()
                    .map(|n| (mixed(n, 40) > 0).then(|| 1 + mixed(n, 5) as i32))
                    .collect::<Int32Array>(),
            ),
        ),
        (
            "distance",
            Arc::new(all().map(|n| cents(n, 2000)).collect::<Float64Array>()),
        ),
        (
            "rate",
            Arc::new(
                all()
                    .map(|n| {
                        Some(["standard", "JFK", "Newark", "negotiated"][mixed(n, 4) as usize])
                    })
                    .collect::<StringArray>(),
            ),
        ),
        (
            "fare",
            Arc::new(
                all()
                    .map(|n| 2.5 + cents(n, 6000))
                    .collect::<Float64Array>(),
            ),
        ),
        (
            "tip",
            Arc::new(all().map(|n| cents(n + 7, 900)).collect::<Float64Array>()),
        ),
        (
            "total",
            Arc::new(
                all()
                    .map(|n| 2.5 + cents(n, 6000) + cents(n + 7, 900))
                    .collect::<Float64Array>(),
            ),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet(path: &Path, rows: usize) {
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rides(0, 0).schema(), None).unwrap();
    for from in (0..rows).step_by(BATCH) {
        writer.write(&rides(from, BATCH.min(rows - from))).unwrap();
    }
    writer.close().unwrap();
}

/// A way to the storage in the database of `url`.
fn storage(url: &str) -> (Arc<dyn Storage>, ScanContext) {
    let access = Access {
        storage: Some(assay_sources::storage_at(url).unwrap()),
        ..Access::default()
    };
    let reach = assay_sources::reach(access);
    let storage = reach.storage().unwrap();
    let context = ScanContext {
        reach: Some(reach),
        ..ScanContext::default()
    };
    (storage, context)
}

fn dataset(file: &Path) -> Dataset {
    let path = file.display().to_string();
    let mut dataset = table::dataset(Location::Local { path }, FormatKind::Parquet);
    dataset.partitions.layout = Layout::Single;
    dataset.profile.metrics = table::TOTALS.to_vec();
    dataset.storage = StoragePolicy {
        mode: StorageMode::Ingest,
        retention_days: None,
    };
    dataset.scan.target_bytes = 1 << 40;
    dataset
}

/// Both, one after the other: the ingest, the look at its copy, `\copy`.
fn pair(home: &table::Home, dataset: &Dataset, spec: &MeasureSpec, csv: &Path) -> [Duration; 3] {
    let url = home.server.create_database();
    let (storage, context) = storage(&url);
    // The bookkeeping is made once in the life of a database.
    let key = &spec.partitions[0].key;
    let now = jiff::Timestamp::UNIX_EPOCH;
    storage.remove(&dataset.id, key, now, &context).unwrap();
    let ingest = || drop(storage.ingest(dataset, spec, &context).unwrap());
    let both = timed(ingest);
    let read = timed(ingest);
    home.server.sql(&url, DDL);
    let copy = format!("\\copy rides FROM '{}' CSV", csv.display());
    let psql = assay_test_servers::postgres::programs().join("psql");
    let by_psql = timed(|| {
        let done = Command::new(&psql)
            .args(["-qX", "-c", &copy, &url])
            .status();
        assert!(done.unwrap().success());
    });
    let columns = "vendor, pickup, dropoff, passengers, distance, rate, fare, tip, total";
    let differ = format!(
        "SELECT count(*) FROM (SELECT {columns} FROM rides EXCEPT SELECT {columns} \
         FROM assay_ingest.b1) x"
    );
    assert_eq!(home.server.sql(&url, &differ).trim(), "0");
    [both.saturating_sub(read), read, by_psql]
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: usize| arguments.next().map_or(or, |text| text.parse().unwrap());
    let (rows, pairs) = (number(1_000_000), number(5).max(1));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rides.parquet");
    let csv = folder.path().join("rides.csv");
    parquet(&file, rows);
    let home = table::Home::new();
    let dataset = dataset(&file);
    let (first, context) = storage(&home.url);
    let plan = table::list(&dataset, &context).unwrap();
    let spec = &plan.measures[0];
    // The rows as psql is given them, from a copy.
    first.ingest(&dataset, spec, &context).unwrap();
    home.sql(&format!(
        "\\copy (SELECT vendor, pickup, dropoff, passengers, distance, rate, fare, tip, total \
         FROM assay_ingest.b1) TO '{}' CSV",
        csv.display()
    ));
    let mib = |path: &Path| path.metadata().unwrap().len() >> 20;
    let (text, columns) = (mib(&csv), mib(&file));
    println!("{rows} rows: {text} MiB of CSV, {columns} MiB of Parquet");
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..pairs {
        let [own, read, by_psql] = pair(&home, &dataset, spec, &csv);
        println!("ingest {own:.2?} (and {read:.2?} to measure the copy), \\copy {by_psql:.2?}");
        ratios.push(by_psql.as_secs_f64() / own.as_secs_f64());
        ours.push(own);
        theirs.push(by_psql);
    }
    ours.sort_unstable();
    theirs.sort_unstable();
    ratios.sort_unstable_by(f64::total_cmp);
    let middle = pairs / 2;
    println!(
        "median: ingest {:.2?}, \\copy {:.2?}, {:.2} times as fast; pairs from {:.2} to {:.2}",
        ours[middle],
        theirs[middle],
        ratios[middle],
        ratios[0],
        ratios[pairs - 1]
    );
}

fn timed(run: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    run();
    begun.elapsed()
}
