//! Parquet files whose footer does not say what their pages hold, or whose columns change type.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch};
use arrow::datatypes::Int64Type;
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_scan::ScanError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnChunkMetaDataBuilder, ParquetMetaDataReader, ParquetMetaDataWriter,
};
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;

/// Four values of `v`, two of them NULL, each in one of two partitions by `key`.
fn write(folder: &Path) {
    let v: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), None]));
    let key: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 2, 2]));
    let batch = RecordBatch::try_from_iter([("v", v), ("key", key)]).unwrap();
    common::write(
        &folder.join("a.parquet"),
        &[batch],
        WriterProperties::default(),
    );
}

/// Writes the footer of `a.parquet` anew with what `patch` makes of its first column chunk.
fn patch(folder: &Path, patch: impl Fn(ColumnChunkMetaData) -> ColumnChunkMetaDataBuilder) {
    let path = folder.join("a.parquet");
    let file = std::fs::read(&path).unwrap();
    let source = std::fs::File::open(&path).unwrap();
    let metadata = ParquetMetaDataReader::new()
        .parse_and_finish(&source)
        .unwrap();
    let groups = metadata.row_groups().iter().cloned().map(|group| {
        let mut columns = group.columns().to_vec();
        columns[0] = patch(columns[0].clone()).build().unwrap();
        let builder = group.into_builder().set_column_metadata(columns);
        builder.build().unwrap()
    });
    let groups = groups.collect();
    let metadata = metadata.into_builder().set_row_groups(groups).build();
    let length: [u8; 4] = file[file.len() - 8..file.len() - 4].try_into().unwrap();
    let body = file.len() - 8 - u32::from_le_bytes(length) as usize;
    let mut bytes = file[..body].to_vec();
    ParquetMetaDataWriter::new(&mut bytes, &metadata)
        .finish()
        .unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn no_nulls(chunk: ColumnChunkMetaData) -> ColumnChunkMetaDataBuilder {
    let stated = Statistics::int64(Some(1), Some(3), None, Some(0), false);
    chunk.into_builder().set_statistics(stated)
}

/// The dataset in `folder`, of which these metrics are asked.
fn asked(folder: &Path, metrics: &[MetricKey]) -> Dataset {
    let mut dataset = common::dataset(folder, FormatKind::Parquet);
    dataset.profile.metrics.clear();
    dataset.checks = metrics.iter().cloned().map(common::check).collect();
    dataset
}

fn nulls() -> MetricKey {
    MetricKey::column(Metric::NullCount, "v")
}

fn sum() -> MetricKey {
    MetricKey::column(Metric::Sum, "v")
}

fn point(dataset: &Dataset, key: &MetricKey) -> MetricPoint {
    let points = common::points_of(dataset);
    points.into_iter().find(|p| p.key == *key).unwrap()
}

fn by_key(mut dataset: Dataset) -> Dataset {
    dataset.partitions.layout = Layout::Column {
        column: "key".to_owned(),
        granularity: None,
    };
    dataset
}

#[test]
fn nulls_that_only_a_footer_states_are_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let stated = point(&asked(folder.path(), &[nulls()]), &nulls());
    assert_eq!(stated.value, MetricValue::integer(2));
    let note = stated.note.unwrap();
    assert_eq!(note, "as the footers of the files state");
    // Where the values are read, the NULLs are counted.
    let counted = point(&asked(folder.path(), &[nulls(), sum()]), &nulls());
    assert_eq!(
        (counted.value, counted.note),
        (MetricValue::integer(2), None)
    );
}

#[test]
fn a_footer_that_contradicts_its_pages_makes_a_file_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    patch(folder.path(), no_nulls);
    let told = point(&asked(folder.path(), &[nulls()]), &nulls());
    assert!(told.note.unwrap().contains("footers"));
    let dataset = asked(folder.path(), &[nulls(), sum()]);
    for dataset in [dataset.clone(), by_key(dataset)] {
        let Err(refused) = common::run(&dataset) else {
            panic!(
                "2 NULLs of which the footer says 0 are taken: {:?}",
                dataset.partitions
            );
        };
        assert!(matches!(refused, ScanError::Corrupt { .. }), "{refused}");
        let refused = refused.to_string();
        assert!(refused.contains("state 0 NULLs"), "{refused}");
    }
}

#[test]
fn column_chunks_that_together_are_longer_than_their_file_are_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let size = std::fs::metadata(folder.path().join("a.parquet"))
        .unwrap()
        .len();
    let size = i64::try_from(size).unwrap();
    patch(folder.path(), |chunk| {
        chunk.into_builder().set_total_compressed_size(size)
    });
    let Err(refused) = common::run(&asked(folder.path(), &[])) else {
        panic!("the bytes of a footer are taken");
    };
    assert!(matches!(refused, ScanError::Corrupt { .. }), "{refused}");
}

#[test]
fn nulls_by_partition_are_those_of_their_rows_whatever_else_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    for metrics in [vec![nulls()], vec![nulls(), sum()]] {
        let dataset = by_key(asked(folder.path(), &metrics));
        let found = common::run(&dataset).unwrap();
        let nulls: Vec<(u64, u64)> = found
            .states
            .values()
            .map(|state| &state.columns["v"].counts)
            .map(|counts| (counts.rows, counts.nulls))
            .collect();
        assert_eq!(nulls, [(2, 1), (2, 1)]);
    }
}

#[test]
fn a_rule_over_a_column_that_becomes_a_list_is_not_one_over_the_other_files() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1)]), None]);
    let list: ArrayRef = Arc::new(list);
    let batch = RecordBatch::try_from_iter([("v", list)]).unwrap();
    let file = folder.path().join("b.parquet");
    common::write(&file, &[batch], WriterProperties::default());
    let rule =
        MetricKey::column(Metric::InvalidCount, "v").with_args(&serde_json::json!({ "min": "0" }));
    let found = point(&asked(folder.path(), std::slice::from_ref(&rule)), &rule);
    assert_eq!(found.status, MetricStatus::Error, "{found:?}");
}
