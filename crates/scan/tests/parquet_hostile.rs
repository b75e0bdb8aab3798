//! Parquet files whose few bytes stand for many: they are refused, or read in bounded memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::run::Selection;
use assay_scan::discover::discover;
use assay_scan::measure::measure;
use assay_scan::{ScanContext, ScanError};
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;

/// What reading a dataset with this memory says.
fn read(dataset: &Dataset, memory_bytes: u64) -> Result<(), ScanError> {
    let context = ScanContext::new(memory_bytes);
    let now = common::now();
    let plan = discover(dataset, &[], &Selection::default(), now, &context)?;
    for spec in &plan.measures {
        measure(dataset, spec, &context)?;
    }
    Ok(())
}

fn by_key(folder: &Path) -> Dataset {
    let mut dataset = common::dataset(folder, FormatKind::Parquet);
    dataset.partitions.layout = Layout::Column {
        column: "key".to_owned(),
        granularity: None,
    };
    dataset
}

fn write(folder: &Path, columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    common::write(&folder.join("a.parquet"), &[batch], properties);
}

/// Properties with `encoding` instead of a dictionary.
fn encoded(encoding: Encoding) -> WriterProperties {
    WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(encoding)
        .build()
}

#[test]
fn texts_have_the_same_state_in_any_encoding() {
    let texts = (0..5000).map(|row| match row % 7 {
        0 => None,
        1 => Some(String::new()),
        _ => Some(format!("/var/log/{}/{row}", row / 100)),
    });
    let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
    let keys: ArrayRef = Arc::new((0..5000).map(|row| Some(row % 3)).collect::<Int64Array>());
    let mut known = None;
    for encoding in [
        Encoding::PLAIN,
        Encoding::DELTA_BYTE_ARRAY,
        Encoding::DELTA_LENGTH_BYTE_ARRAY,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_column_encoding("name".into(), encoding)
            .build();
        let columns = vec![("name", texts.clone()), ("key", keys.clone())];
        write(folder.path(), columns, properties);
        let whole = common::whole(&common::dataset(folder.path(), FormatKind::Parquet));
        let parts = common::run(&by_key(folder.path())).unwrap().states;
        let parts: Vec<_> = parts
            .into_values()
            .map(|mut s| s.columns.remove("name"))
            .collect();
        let found = (whole.columns["name"].clone(), parts);
        assert_eq!(found.0.counts.nulls, 715);
        let known = known.get_or_insert_with(|| found.clone());
        assert!(*known == found, "{encoding}");
    }
}

#[test]
fn values_that_share_their_beginnings_are_refused_beyond_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let long = "x".repeat(60_000);
    let texts: StringArray = (0..100).map(|_| Some(long.as_str())).collect();
    let columns = vec![("name", Arc::new(texts) as ArrayRef)];
    write(folder.path(), columns, encoded(Encoding::DELTA_BYTE_ARRAY));
    let dataset = common::dataset(folder.path(), FormatKind::Parquet);
    read(&dataset, 8 << 20).unwrap();
    let refused = read(&dataset, 1 << 20).unwrap_err().to_string();
    assert!(refused.contains("does not fit the memory"), "{refused}");
}

#[test]
fn stated_rows_are_told_apart_only_within_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 500_000;
    let keys = Int64Array::from(vec![7; rows]);
    let columns = vec![("key", Arc::new(keys) as ArrayRef)];
    let properties = WriterProperties::builder()
        .set_data_page_row_count_limit(10_000)
        .set_write_batch_size(10_000)
        .build();
    write(folder.path(), columns, properties);
    let dataset = by_key(folder.path());
    read(&dataset, 4 << 20).unwrap();
    let refused = read(&dataset, 1 << 20).unwrap_err();
    assert!(
        matches!(refused, ScanError::Unsupported { .. }),
        "{refused}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_long_text_that_many_rows_repeat_is_not_copied_for_each_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let rows = 30_000;
    let long = StringArray::from(vec!["x".repeat(100_000)]);
    let texts = DictionaryArray::new(Int32Array::from(vec![0; rows]), Arc::new(long));
    let keys: Int64Array = (0..rows).map(|row| Some(row as i64 % 2)).collect();
    let columns = vec![
        ("key", Arc::new(keys) as ArrayRef),
        ("name", Arc::new(texts) as ArrayRef),
    ];
    write(folder.path(), columns, WriterProperties::default());
    let mut dataset = by_key(folder.path());
    dataset.profile.metrics = vec![assay_model::metric::Metric::LengthMax];
    read(&dataset, 64 << 20).unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim_end_matches("kB").trim();
    let peak: u64 = peak.parse().unwrap();
    // Half of the rows of each partition were 1.6 GB.
    assert!(peak < 500_000, "{peak} kB");
}
