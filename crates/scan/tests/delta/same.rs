//! The rows of a Delta table give the metrics of the same rows as Parquet, to the last digit.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::metric::{Metric, MetricPoint};
use assay_scan::points::metric_points;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::common::{self, dataset, now, run};
use crate::writer::{self, Writer, add, in_file, inline, meta_data, protocol, remove, without};

/// Days that are looked at.
const DAYS: usize = 12;

fn flights() -> Vec<PathBuf> {
    let named = std::env::var_os("ASSAY_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = named.unwrap_or_else(beside);
    let folder = shared.join("data/nycflights13/flights_parquet");
    let listed = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut days: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    days.sort();
    days.into_iter().step_by(30).take(DAYS).collect()
}

fn day_of(path: &Path) -> String {
    let name = path.file_stem().unwrap().to_str().unwrap();
    name.trim_start_matches("date=").to_owned()
}

fn rows(path: &Path) -> Vec<RecordBatch> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    builder.build().unwrap().map(Result::unwrap).collect()
}

/// The rows whose place in the file is none of `gone`.
fn kept(batches: &[RecordBatch], gone: &[u64]) -> Vec<RecordBatch> {
    let mut at = 0;
    let keep = |batch: &RecordBatch| {
        let stays: BooleanArray = (at..at + batch.num_rows() as u64)
            .map(|row| Some(!gone.contains(&row)))
            .collect();
        at += batch.num_rows() as u64;
        filter_record_batch(batch, &stays).unwrap()
    };
    batches.iter().map(keep).collect()
}

/// Every metric by partition, without what is of files and not of rows.
fn points(dataset: &Dataset, besides: &[&str]) -> BTreeMap<String, Vec<MetricPoint>> {
    let found = run(dataset).unwrap();
    let mut all = BTreeMap::new();
    for evaluation in &found.plan.evaluations {
        let key = evaluation.partition.key.0.clone();
        let state = found.states[&key].clone();
        let mut points = metric_points(dataset, evaluation, state, now());
        let of_files = [
            Metric::ByteCount,
            Metric::LastModifiedAge,
            Metric::FileCount,
        ];
        points.retain(|p| !of_files.contains(&p.key.metric));
        if !besides.is_empty() {
            points.retain(|p| !matches!(p.key.metric, Metric::Schema | Metric::ColumnCount));
        }
        points.retain(|p| !besides.contains(&p.key.column.as_str()));
        for point in &mut points {
            // It tells where NULLs were counted: in the pages, or in footers.
            let note = point.note.take();
            point.note = note.filter(|note| !note.contains("footers"));
        }
        assert!(points.len() > 60, "{key}: {} points", points.len());
        all.insert(key, points);
    }
    all
}

fn single(mut dataset: Dataset) -> Dataset {
    dataset.partitions.layout = Layout::Single;
    dataset
}

fn same(left: &BTreeMap<String, Vec<MetricPoint>>, right: &BTreeMap<String, Vec<MetricPoint>>) {
    assert_eq!(
        left.keys().collect::<Vec<_>>(),
        right.keys().collect::<Vec<_>>()
    );
    for (key, points) in left {
        for (left, right) in points.iter().zip(&right[key]) {
            assert_eq!(left, right, "{key}");
        }
        assert_eq!(points.len(), right[key].len(), "{key}");
    }
}

/// A table of the flights, whose days are partitions if `by_day`.
fn table(root: &Path, days: &[PathBuf], by_day: bool, features: &[&str]) -> (Writer, Vec<Value>) {
    let schema = rows(&days[0])[0].schema();
    let (parts, names): (&[(&str, &str)], &[&str]) = match by_day {
        true => (&[("of_day", "date")], &["of_day"]),
        false => (&[], &[]),
    };
    let meta = meta_data(&writer::schema_of(&schema, parts), names, &json!({}));
    let mut table = Writer::create(root, protocol(3, features), meta);
    let mut adds = Vec::new();
    for path in days {
        let day = day_of(path);
        let (name, values) = match by_day {
            true => (
                format!("of_day={day}/part 1%.parquet"),
                json!({"of_day": day}),
            ),
            false => (format!("{day}.parquet"), json!({})),
        };
        let to = root.join(&name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(path, to).unwrap();
        adds.push(add(root, &name, &values));
        table.commit(&adds[adds.len() - 1..]);
    }
    (table, adds)
}

#[test]
fn flights_in_a_table_measure_as_their_files_do_however_the_log_is_written() {
    let days = flights();
    let folder = tempfile::tempdir().unwrap();
    for day in &days {
        fs::copy(day, folder.path().join(day.file_name().unwrap())).unwrap();
    }
    let files = dataset(folder.path(), FormatKind::Parquet);
    let (by_day, whole) = (points(&files, &["of_day"]), points(&single(files), &[]));
    for form in ["json", "v1", "v1 in parts", "v2 json", "v2 parquet"] {
        for partitioned in [true, false] {
            let root = tempfile::tempdir().unwrap();
            let features = ["v2Checkpoint"];
            let (mut table, mut adds) = table(root.path(), &days, partitioned, &features);
            match form {
                "v1" => table.checkpoint(1),
                "v1 in parts" => table.checkpoint(3),
                "v2 json" => table.checkpoint_v2(true),
                "v2 parquet" => table.checkpoint_v2(false),
                _ => {}
            }
            // Behind the checkpoint a file is rewritten under another name, and one is stray.
            let old = adds.remove(1);
            let path = old["add"]["path"].as_str().unwrap();
            let plain = path.replace("%20", " ").replace("%25", "%");
            let copy = plain.replace(".parquet", "-2.parquet");
            fs::copy(root.path().join(&plain), root.path().join(&copy)).unwrap();
            let again = add(root.path(), &copy, &old["add"]["partitionValues"]);
            table.commit(&[remove(&old), again]);
            fs::copy(&days[0], root.path().join("stray.parquet")).unwrap();
            // A hint that lies.
            fs::write(table.log("_last_checkpoint"), r#"{"version":900,"size":1}"#).unwrap();
            let delta = dataset(root.path(), FormatKind::Delta);
            match partitioned {
                true => same(&points(&delta, &["of_day"]), &by_day),
                false => same(&points(&delta, &[]), &whole),
            }
        }
    }
}

#[test]
fn rows_that_deletion_vectors_take_out_are_in_no_metric_whatever_the_cut() {
    let days = flights();
    let (root, truth) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let schema = writer::schema_of(&rows(&days[0])[0].schema(), &[]);
    let meta = meta_data(&schema, &[], &json!({}));
    let mut table = Writer::create(root.path(), protocol(3, &["deletionVectors"]), meta);
    let gone: [Vec<u64>; 3] = [
        (0..5000).step_by(7).collect(),
        (10..600).collect(),
        vec![0, 3],
    ];
    let batches: Vec<Vec<RecordBatch>> = days[..3].iter().map(|day| rows(day)).collect();
    let counts: Vec<u64> = batches
        .iter()
        .map(|b| b.iter().map(|b| b.num_rows() as u64).sum())
        .collect();
    let gone: Vec<Vec<u64>> = gone
        .iter()
        .zip(&counts)
        .map(|(rows, most)| rows.iter().copied().filter(|row| row < most).collect())
        .collect();
    let own: Vec<&[u64]> = gone[..2].iter().map(Vec::as_slice).collect();
    let mut vectors = in_file(root.path(), 0x1234_5678_9abc, &own);
    vectors.push(inline(&gone[2]));
    for (number, batches) in batches.iter().enumerate() {
        let name = format!("{number}.parquet");
        table.data(&name, batches, 100);
        let added = add(root.path(), &name, &json!({}));
        table.commit(std::slice::from_ref(&added));
        table.commit(&[remove(&added), without(&added, &vectors[number])]);
        let left = kept(batches, &gone[number]);
        common::write(&truth.path().join(&name), &left, Default::default());
    }
    let plain = single(dataset(truth.path(), FormatKind::Parquet));
    let truth = points(&plain, &[]);
    for target in [u64::MAX, 4096, 1] {
        let mut delta = dataset(root.path(), FormatKind::Delta);
        delta.scan.target_bytes = target;
        same(&points(&delta, &[]), &truth);
    }
}

#[test]
fn mapped_columns_are_found_by_their_physical_names_or_numbers() {
    let days = flights();
    let truth = tempfile::tempdir().unwrap();
    for day in &days[..2] {
        fs::copy(day, truth.path().join(day.file_name().unwrap())).unwrap();
    }
    let whole = points(&single(dataset(truth.path(), FormatKind::Parquet)), &[]);
    for mode in ["name", "id"] {
        let root = tempfile::tempdir().unwrap();
        let first = rows(&days[0]);
        let plain = first[0].schema();
        let mut schema = writer::schema_of(&plain, &[]);
        for (number, field) in schema["fields"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .enumerate()
        {
            field["metadata"] = json!({"delta.columnMapping.id": number + 1,
                "delta.columnMapping.physicalName": format!("col-{}", 100 - number)});
        }
        let settings = json!({"delta.columnMapping.mode": mode});
        let meta = meta_data(&schema, &[], &settings);
        let mut table = Writer::create(root.path(), protocol(2, &[]), meta);
        for day in &days[..2] {
            // By number the names in the file say nothing; columns stand in another order.
            let field = |(at, field): (usize, &Arc<Field>)| {
                let name = match mode {
                    "name" => format!("col-{}", 100 - at),
                    _ => format!("col-{at}-of-another-name"),
                };
                let id = ("PARQUET:field_id".to_owned(), (at + 1).to_string());
                Field::clone(field)
                    .with_name(name)
                    .with_metadata([id].into())
            };
            let fields: Vec<Field> = plain.fields().iter().enumerate().map(field).collect();
            let mapped = Arc::new(Schema::new(fields));
            let order: Vec<usize> = (0..plain.fields().len()).rev().collect();
            let batches: Vec<RecordBatch> = rows(day)
                .iter()
                .map(|b| RecordBatch::try_new(mapped.clone(), b.columns().to_vec()).unwrap())
                .map(|b| b.project(&order).unwrap())
                .collect();
            let name = format!("{}.parquet", day_of(day));
            table.data(&name, &batches, 10_000);
            table.commit(&[add(root.path(), &name, &json!({}))]);
        }
        same(
            &points(&dataset(root.path(), FormatKind::Delta), &[]),
            &whole,
        );
    }
}
