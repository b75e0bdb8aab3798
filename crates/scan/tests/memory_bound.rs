//! The memory that a scan takes is bounded by its budget, not by the file: one row group, one line
//! or one field that is many times the budget. What does not fit is refused by its size.
//!
//! The peak is that of the process as the kernel counts it, so that this file has one test only.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use assay_metrics::TableState;
use assay_model::dataset::FormatKind;
use assay_model::run::Selection;
use assay_scan::discover::discover;
use assay_scan::measure::measure;
use assay_scan::{ScanContext, ScanError};
use common::{dataset, now};
use parquet::data_type::Int64Type;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const MIB: u64 = 1 << 20;
/// What the scans are allowed.
const BUDGET: u64 = 16 * MIB;
/// Bytes of each file's one piece, far beyond the budget.
const PIECE: u64 = 96 * MIB;

/// The greatest memory of the process since the last call of [`forget_peak`], in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let digits = line.unwrap().split_whitespace().nth(1).unwrap();
    digits.parse::<u64>().unwrap() << 10
}

/// Has the kernel count the peak anew.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// One row group of one column.
fn row_group(to: &Path) -> u64 {
    let schema = Arc::new(parse_message_type("message m { required int64 n; }").unwrap());
    let plain = WriterProperties::builder().set_dictionary_enabled(false);
    let file = File::create(to).unwrap();
    let properties = Arc::new(plain.build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let values: Vec<i64> = (0..1024).collect();
    let times = PIECE / 8 / 1024;
    for _ in 0..times {
        let typed = column.typed::<Int64Type>();
        typed.write_batch(&values, None, None).unwrap();
    }
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    times * 1024
}

/// `front`, very many letters, `end`.
fn letters(to: &Path, front: &str, end: &str) {
    let mut file = BufWriter::new(File::create(to).unwrap());
    file.write_all(front.as_bytes()).unwrap();
    for _ in 0..PIECE / 1024 {
        file.write_all(&[b'a'; 1024]).unwrap();
    }
    file.write_all(end.as_bytes()).unwrap();
    file.flush().unwrap();
}

/// The rows of a folder's files, measured within the budget; and what that added to the peak.
fn measured(folder: &Path, kind: FormatKind) -> (Result<u64, ScanError>, u64) {
    let context = ScanContext::new(BUDGET);
    let mut asked = dataset(folder, kind);
    asked.scan.target_bytes = 2 * PIECE;
    asked.profile.metrics = vec![assay_model::metric::Metric::Sum];
    forget_peak();
    let before = peak();
    let rows = discover(&asked, &[], &Selection::default(), now(), &context).and_then(|plan| {
        let mut rows = 0;
        for spec in &plan.measures {
            for part in measure(&asked, spec, &context)? {
                rows += TableState::decode(&part.state).unwrap().rows;
            }
        }
        Ok(rows)
    });
    (rows, peak() - before)
}

#[test]
fn a_scan_takes_no_more_memory_than_it_may_whatever_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| {
        let place = folder.path().join(name);
        std::fs::create_dir(&place).unwrap();
        place
    };
    let group = place("group");
    let written = row_group(&group.join("a.parquet"));
    let (rows, added) = measured(&group, FormatKind::Parquet);
    assert_eq!(rows.unwrap(), written);
    assert!(added <= BUDGET, "a row group: {added} bytes");

    let cases = [
        (FormatKind::Ndjson, "a.ndjson", "{\"a\":\"", "\"}\n"),
        (FormatKind::Csv, "a.csv", "a,b\n1,", "\n"),
        (FormatKind::Csv, "b.csv", "a,b\n1,\"", "\"\n"),
    ];
    for (kind, name, front, end) in cases {
        let folder = place(&name.replace('.', "_"));
        letters(&folder.join(name), front, end);
        let (rows, added) = measured(&folder, kind);
        let refused = rows.unwrap_err().to_string();
        assert!(refused.contains("a record is longer than"), "{refused}");
        assert!(added <= BUDGET, "{name}: {added} bytes");
    }
}
