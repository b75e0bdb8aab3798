//! What a log says is what is read: versions, holes, lost files, and what a table may ask for.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::metric::{Metric, MetricKey, MetricValue};
use assay_model::output::Discovery;
use assay_model::run::Selection;
use assay_scan::discover::discover;
use assay_scan::error::ErrorClass;
use assay_scan::measure::states;
use assay_scan::points::metric_points;
use assay_scan::{ScanContext, ScanError};
use serde_json::{Value, json};

use crate::common::{dataset, now, run};
use crate::writer::{
    Writer, add, in_file, inline, meta_data, protocol, remove, schema_of, without,
};

pub fn numbers(values: std::ops::Range<i64>) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let array = Arc::new(values.collect::<Int64Array>());
    RecordBatch::try_new(schema, vec![array]).unwrap()
}

/// A table of numbers, partitioned by `part` where asked for.
pub fn table(root: &Path, by_part: bool, features: &[&str]) -> Writer {
    let (parts, names): (&[(&str, &str)], &[&str]) = match by_part {
        true => (&[("part", "string")], &["part"]),
        false => (&[], &[]),
    };
    let schema = schema_of(&numbers(0..1).schema(), parts);
    let meta = meta_data(&schema, names, &json!({}));
    Writer::create(root, protocol(3, features), meta)
}

/// Adds a file of numbers.
pub fn file(table: &mut Writer, path: &str, values: std::ops::Range<i64>, part: &Value) -> Value {
    table.data(path, &[numbers(values)], 10);
    let added = add(&table.root, path, part);
    table.commit(std::slice::from_ref(&added));
    added
}

fn delta(root: &Path) -> Dataset {
    dataset(root, FormatKind::Delta)
}

fn plan(dataset: &Dataset) -> Result<Discovery, ScanError> {
    discover(
        dataset,
        &[],
        &Selection::default(),
        now(),
        &ScanContext::default(),
    )
}

fn versions(root: &Path) -> Vec<(String, String)> {
    let of = |s: assay_model::ledger::Sighting| (s.partition.key.0, s.version.0);
    plan(&delta(root))
        .unwrap()
        .sightings
        .into_iter()
        .map(of)
        .collect()
}

fn sums(plan: &Discovery, dataset: &Dataset) -> Result<Vec<u64>, ScanError> {
    let mut rows = Vec::new();
    for spec in &plan.measures {
        let found = states(dataset, spec, &ScanContext::default())?;
        rows.extend(found.values().map(|state| state.rows));
    }
    Ok(rows)
}

fn refused(root: &Path) -> String {
    match run(&delta(root)) {
        Ok(_) => panic!("it was read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_commit_changes_the_partitions_it_writes_to_and_no_other() {
    let root = tempfile::tempdir().unwrap();
    let mut table = table(root.path(), true, &["deletionVectors"]);
    for part in ["a", "b", "c"] {
        let name = format!("part={part}/1.parquet");
        file(&mut table, &name, 0..20, &json!({ "part": part }));
    }
    let first = versions(root.path());
    assert_eq!(first.len(), 3);
    // A commit without files, another file, a vector, and a checkpoint of it all.
    table.commit(&[json!({"txn": {"appId": "a", "version": 1}})]);
    assert_eq!(versions(root.path()), first);
    file(
        &mut table,
        "part=b/2.parquet",
        20..30,
        &json!({"part": "b"}),
    );
    let added = add(root.path(), "part=c/1.parquet", &json!({"part": "c"}));
    table.commit(&[remove(&added), without(&added, &inline(&[3]))]);
    let second = versions(root.path());
    assert_eq!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
    assert_ne!(first[2], second[2]);
    table.checkpoint(1);
    assert_eq!(versions(root.path()), second);
    // Files of the same rows under other names are another version.
    let rows: Vec<u64> = run(&delta(root.path()))
        .unwrap()
        .states
        .into_values()
        .map(|s| s.rows)
        .collect();
    assert_eq!(rows, [20, 30, 19]);
}

#[test]
fn a_plan_is_measured_at_its_version_whatever_is_committed_since() {
    let root = tempfile::tempdir().unwrap();
    let mut table = table(root.path(), false, &["deletionVectors"]);
    let one = file(&mut table, "1.parquet", 0..20, &json!({}));
    file(&mut table, "2.parquet", 0..5, &json!({}));
    let mut dataset = delta(root.path());
    dataset.scan.target_bytes = 1;
    let before = plan(&dataset).unwrap();
    table.commit(&[
        remove(&one),
        without(&one, &in_file(root.path(), 7, &[&[0, 19]])[0]),
    ]);
    file(&mut table, "3.parquet", 0..50, &json!({}));
    assert_eq!(sums(&before, &dataset).unwrap().iter().sum::<u64>(), 25);
    let after = plan(&dataset).unwrap();
    assert_eq!(sums(&after, &dataset).unwrap().iter().sum::<u64>(), 73);
    // The log is cleaned up: the old version cannot be told any more, the new one can.
    table.checkpoint(1);
    let gone = sums(&before, &dataset).unwrap_err();
    assert_eq!(gone.class(), ErrorClass::Changed, "{gone}");
    assert_eq!(sums(&after, &dataset).unwrap().iter().sum::<u64>(), 73);
    // A vector that is written over is noticed, and so is a file.
    let name = "deletion_vector_00000000-0000-0000-0000-000000000007.bin";
    let bytes = fs::read(root.path().join(name)).unwrap();
    fs::write(root.path().join(name), [&bytes[..], b"x"].concat()).unwrap();
    assert_eq!(
        sums(&after, &dataset).unwrap_err().class(),
        ErrorClass::Changed
    );
    fs::remove_file(root.path().join("3.parquet")).unwrap();
    let lost = plan(&dataset).unwrap_err().to_string();
    assert!(
        lost.contains("3.parquet") && lost.contains("vacuumed"),
        "{lost}"
    );
}

#[test]
fn a_log_that_cannot_be_followed_is_an_error_that_says_where() {
    let root = tempfile::tempdir().unwrap();
    let mut table = table(root.path(), false, &["deletionVectors"]);
    let one = file(&mut table, "1.parquet", 0..20, &json!({}));
    let told = |actions: &[Value], words: &[&str]| {
        let log = root.path().join("_delta_log/00000000000000000002.json");
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        fs::write(&log, lines.join("\n")).unwrap();
        let told = refused(root.path());
        for word in words {
            assert!(told.contains(word), "{told}");
        }
        fs::remove_file(log).unwrap();
    };
    let vector = |key: &str, value: Value| {
        let mut vector = inline(&[3]);
        vector[key] = value;
        [remove(&one), without(&one, &vector)]
    };
    told(
        &vector("cardinality", json!(2)),
        &["1.parquet", "1 rows", "states 2"],
    );
    told(&vector("storageType", json!("q")), &["1.parquet", "\"q\""]);
    told(&vector("pathOrInlineDv", json!("0000\u{7f}")), &["base 85"]);
    let beyond = without(&one, &inline(&[20]));
    told(&[remove(&one), beyond], &["1.parquet", "row 20", "20 rows"]);
    told(
        &[remove(&one), one.clone()],
        &["00000000000000000002.json", "line 2", "adds and removes"],
    );
    told(&[without(&one, &inline(&[3]))], &["1.parquet", "twice"]);
    let mut untold = one.clone();
    untold["add"]
        .as_object_mut()
        .unwrap()
        .remove("partitionValues");
    told(&[untold], &["line 1", "partitionValues"]);
    let mut other = one.clone();
    other["add"]["size"] = json!(7);
    told(&[other], &["1.parquet", "states 7"]);
    let mut away = one.clone();
    away["add"]["path"] = json!("gone.parquet");
    told(&[away.clone()], &["gone.parquet", "version 2", "not there"]);
    for outside in [
        "../x.parquet",
        "/etc/passwd",
        "file:///etc/passwd",
        "s3://b/x",
        "a%2F..%2F..%2Fx",
    ] {
        away["add"]["path"] = json!(outside);
        told(&[away.clone()], &["refused"]);
    }
    for feature in ["variantType", "catalogManaged"] {
        told(&[protocol(3, &[feature])], &[feature, "not read here"]);
    }
    told(&[protocol(9, &[])], &["version 9"]);
    told(&[json!({"sidecar": {"path": "x.parquet"}})], &["sidecar"]);
    let broken = root.path().join("_delta_log/00000000000000000002.json");
    fs::write(&broken, "{\"add\":{\"path\":\n").unwrap();
    assert!(refused(root.path()).contains("line 1"));
    fs::rename(
        &broken,
        root.path().join("_delta_log/00000000000000000003.json"),
    )
    .unwrap();
    let hole = refused(root.path());
    assert!(hole.contains("version 2 is missing"), "{hole}");
    // An absolute path below the root is a file of the table.
    fs::remove_file(root.path().join("_delta_log/00000000000000000003.json")).unwrap();
    let mut own = one.clone();
    let real = root.path().canonicalize().unwrap();
    own["add"]["path"] = json!(format!("file://{}/1.parquet", real.display()));
    table.commit(&[remove(&one)]);
    table.commit(&[own]);
    assert_eq!(run(&delta(root.path())).unwrap().states["all"].rows, 20);
    let none = tempfile::tempdir().unwrap();
    assert!(refused(none.path()).contains("_delta_log"));
}

#[test]
fn sidecars_list_files_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let mut table = table(root.path(), false, &["v2Checkpoint"]);
    file(&mut table, "1.parquet", 0..20, &json!({}));
    file(&mut table, "2.parquet", 0..20, &json!({}));
    table.checkpoint_v2(false);
    assert_eq!(run(&delta(root.path())).unwrap().states["all"].rows, 40);
    // A sidecar that is a checkpoint with a sidecar of its own would lead round in a circle.
    let checkpoint = fs::read_dir(root.path().join("_delta_log")).unwrap();
    let mut names = checkpoint.map(|entry| entry.unwrap().path());
    let checkpoint = names
        .find(|p| p.display().to_string().ends_with(".parquet"))
        .unwrap();
    fs::copy(&checkpoint, table.log("_sidecars/0.parquet")).unwrap();
    assert!(refused(root.path()).contains("nothing else"));
    fs::remove_file(table.log("_sidecars/0.parquet")).unwrap();
    let lost = refused(root.path());
    assert!(
        lost.contains("0.parquet") && lost.contains("not there"),
        "{lost}"
    );
}

#[test]
fn a_table_without_files_has_no_rows_and_is_no_error() {
    let root = tempfile::tempdir().unwrap();
    let mut own = table(root.path(), false, &[]);
    let dataset = delta(root.path());
    let look = |rows: u64, files: u64| {
        let found = run(&dataset).unwrap();
        let state = found.states["all"].clone();
        assert_eq!(state.rows, rows);
        let points = metric_points(&dataset, &found.plan.evaluations[0], state, now());
        let value = |key: MetricKey| points.iter().find(|p| p.key == key).unwrap().value.clone();
        let integer = |n: u64| MetricValue::integer(i128::from(n));
        assert_eq!(value(MetricKey::table(Metric::RowCount)), integer(rows));
        assert_eq!(value(MetricKey::table(Metric::FileCount)), integer(files));
        assert_eq!(value(MetricKey::table(Metric::ColumnCount)), integer(1));
        let schema = MetricValue::Text("n:int64?".to_owned());
        assert_eq!(value(MetricKey::table(Metric::Schema)), schema);
    };
    look(0, 0);
    let added = file(&mut own, "1.parquet", 0..20, &json!({}));
    look(20, 1);
    own.commit(&[remove(&added)]);
    look(0, 0);
    own.checkpoint(1);
    look(0, 0);

    let root = tempfile::tempdir().unwrap();
    let mut parts = table(root.path(), true, &[]);
    let added = file(&mut parts, "part=a/1.parquet", 0..20, &json!({"part": "a"}));
    assert_eq!(versions(root.path()).len(), 1);
    parts.commit(&[remove(&added)]);
    let empty = plan(&delta(root.path())).unwrap();
    assert!(empty.measures.is_empty() && empty.sightings.is_empty());
    assert!(
        empty
            .notices
            .iter()
            .any(|notice| notice.contains("no files"))
    );
}

#[test]
fn a_column_that_older_files_lack_is_null_in_their_rows() {
    let root = tempfile::tempdir().unwrap();
    let mut table = table(root.path(), false, &[]);
    file(&mut table, "1.parquet", 0..20, &json!({}));
    let mut schema = schema_of(&numbers(0..1).schema(), &[]);
    let more = json!({"name": "m", "type": "string", "nullable": true, "metadata": {}});
    schema["fields"].as_array_mut().unwrap().push(more);
    table.commit(&[meta_data(&schema, &[], &json!({}))]);
    let state = run(&delta(root.path())).unwrap().states["all"].clone();
    let column = &state.columns["m"];
    assert_eq!((column.counts.rows, column.counts.nulls), (20, 20));
    assert_eq!(state.columns["n"].counts.nulls, 0);
    // A file with a type that the table does not state is refused by both.
    schema["fields"][0]["type"] = json!("integer");
    table.commit(&[meta_data(&schema, &[], &json!({}))]);
    let told = refused(root.path());
    assert!(
        told.contains("Int64 in the file and Int32 in the table"),
        "{told}"
    );
}

#[test]
fn memory_is_bounded_and_layouts_that_a_table_has_not_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let mut table = table(root.path(), true, &[]);
    let many: Vec<Value> = (0..5000)
        .map(|n| json!({"add": {"path": format!("part=a/{n}.parquet"), "size": 1, "partitionValues": {"part": "a"}}}))
        .collect();
    table.commit(&many);
    let dataset = delta(root.path());
    let look = |memory: u64| {
        let context = ScanContext::new(memory);
        discover(&dataset, &[], &Selection::default(), now(), &context)
            .unwrap_err()
            .to_string()
    };
    let told = look(1 << 20);
    assert!(told.contains("do not fit the memory"), "{told}");
    assert!(look(64 << 20).contains("not there"));
    let long = json!({"commitInfo": {"x": "y".repeat(3 << 20)}});
    table.commit(&[long]);
    let told = look(1 << 20);
    assert!(told.contains("memory"), "{told}");
    let own = tempfile::tempdir().unwrap();
    let mut lacking = self::table(own.path(), true, &[]);
    file(&mut lacking, "part=a/1.parquet", 0..3, &json!({}));
    assert!(refused(own.path()).contains("says no \"part\""));
    for (layout, word) in [
        (Layout::Template("{part}.parquet".to_owned()), "template"),
        (
            Layout::Column {
                column: "n".to_owned(),
                granularity: None,
            },
            "column",
        ),
    ] {
        let mut odd = dataset.clone();
        odd.partitions.layout = layout;
        assert!(plan(&odd).unwrap_err().to_string().contains(word));
    }
    let mut parquet = dataset.clone();
    parquet.source.format.kind = FormatKind::Parquet;
    table.data("part=a/0.parquet", &[numbers(0..3)], 10);
    let notices = plan(&parquet).unwrap().notices;
    assert!(
        notices.iter().any(|n| n.contains("format: delta")),
        "{notices:?}"
    );
}
