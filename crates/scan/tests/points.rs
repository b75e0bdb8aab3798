//! What is told of a partition: values that are shown, values that are not, and why.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use assay_model::dataset::{Dataset, FormatKind, LogicalType};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use parquet::file::properties::WriterProperties;
use serde_json::json;

fn people(folder: &Path, rows: usize) -> Dataset {
    let names: Vec<Option<String>> = (0..rows).map(|row| Some(format!("person {row}"))).collect();
    let salaries: Vec<Option<i64>> = (0..rows).map(|row| Some(70_000 + row as i64)).collect();
    // 2029-12-31T23:00:00Z is an hour before the moment of judging.
    let seen: Vec<i64> = (0..rows)
        .map(|row| 1_893_452_400_000_000 - row as i64)
        .collect();
    let arrays: [(&str, ArrayRef, bool); 3] = [
        ("name", Arc::new(StringArray::from(names)), true),
        ("salary", Arc::new(Int64Array::from(salaries)), true),
        (
            "seen",
            Arc::new(TimestampMicrosecondArray::from(seen).with_timezone("UTC")),
            false,
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(arrays).unwrap();
    common::write(
        &folder.join("a.parquet"),
        &[batch],
        WriterProperties::default(),
    );
    let mut dataset = common::dataset(folder, FormatKind::Parquet);
    dataset
        .profile
        .metrics
        .extend([Metric::Max, Metric::Latency, Metric::NullPercent]);
    dataset
}

fn point(points: &[MetricPoint], key: &MetricKey) -> MetricPoint {
    let mut own = points.iter().filter(|point| point.key == *key);
    let found = own
        .next()
        .unwrap_or_else(|| panic!("no point of {key:?}"))
        .clone();
    assert!(own.next().is_none(), "{key:?} is there twice");
    found
}

#[test]
fn masked_columns_show_no_value_whether_profiled_or_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = people(folder.path(), 100);
    let shown = common::points_of(&dataset);
    let median = point(&shown, &MetricKey::quantile("salary", 0.5));
    assert!(median.value.as_f64().unwrap() > 69_000.0);
    assert_eq!(
        point(&shown, &MetricKey::column(Metric::Min, "name")).value,
        MetricValue::Text("person 0".to_owned())
    );

    // The data spells them in small letters: a mask holds whatever the case.
    for name in ["Name", "SALARY", "seen"] {
        let masked = json!({ "name": name, "masked": true });
        dataset
            .columns
            .push(serde_json::from_value(masked).unwrap());
    }
    let told = |points: &[MetricPoint]| {
        let values = [Metric::Min, Metric::Max, Metric::Quantile, Metric::Latency];
        let own = points
            .iter()
            .filter(|point| values.contains(&point.key.metric));
        own.cloned().collect::<Vec<_>>()
    };
    assert_eq!(told(&common::points_of(&dataset)), []);
    let asked = [
        MetricKey::column(Metric::Min, "name"),
        MetricKey::column(Metric::Max, "salary"),
        MetricKey::quantile("salary", 0.5),
        MetricKey::column(Metric::Latency, "seen"),
    ];
    dataset.checks = asked.into_iter().map(common::check).collect();
    let points = common::points_of(&dataset);
    assert_eq!(told(&points).len(), 4);
    for point in told(&points) {
        assert_eq!(
            (point.status, &point.value),
            (MetricStatus::Error, &MetricValue::Null)
        );
        assert!(point.note.unwrap().contains("masked"));
    }
    assert!(!format!("{points:?}").contains("person "));
    assert_eq!(
        point(&points, &MetricKey::column(Metric::NullPercent, "name")).value,
        MetricValue::Float(0.0)
    );
}

#[test]
fn a_column_that_the_data_lacks_is_an_error_that_names_those_that_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = people(folder.path(), 3);
    let key = MetricKey::column(Metric::NullCount, "salery");
    dataset.checks = vec![common::check(key.clone())];
    let missing = point(&common::points_of(&dataset), &key);
    assert_eq!(missing.status, MetricStatus::Error);
    let note = missing.note.unwrap();
    assert!(
        note.contains("it has name, salary, seen") && note.contains("did you mean `salary`?"),
        "{note}"
    );
    let key = MetricKey::column(Metric::NullCount, "warehouse");
    dataset.checks = vec![common::check(key.clone())];
    let note = point(&common::points_of(&dataset), &key).note.unwrap();
    assert!(!note.contains("did you mean"), "{note}");
}

#[test]
fn a_percentage_of_no_rows_is_null_and_no_zero() {
    let folder = tempfile::tempdir().unwrap();
    let points = common::points_of(&people(folder.path(), 0));
    let percent = point(&points, &MetricKey::column(Metric::NullPercent, "salary"));
    assert_eq!(
        (percent.status, percent.value),
        (MetricStatus::Computed, MetricValue::Null)
    );
    assert_eq!(
        point(&points, &MetricKey::column(Metric::Sum, "salary")).value,
        MetricValue::Null
    );
    assert_eq!(
        point(&points, &MetricKey::table(Metric::RowCount)).value,
        MetricValue::integer(0)
    );
}

#[test]
fn a_rule_over_a_file_without_a_row_group_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let none: ArrayRef = Arc::new(arrow::array::StringArray::new_null(0));
    let empty = RecordBatch::try_from_iter([("s", none)]).unwrap();
    // The writer makes no row group of a batch without rows.
    common::write(
        &folder.path().join("a.parquet"),
        &[empty],
        WriterProperties::default(),
    );
    let mut dataset = common::dataset(folder.path(), FormatKind::Parquet);
    let args = json!({ "validValues": ["a"] });
    let keys = [Metric::InvalidCount, Metric::InvalidPercent]
        .map(|metric| MetricKey::column(metric, "s").with_args(&args));
    dataset.checks = keys.iter().cloned().map(common::check).collect();
    let points = common::points_of(&dataset);
    assert_eq!(point(&points, &keys[0]).value, MetricValue::integer(0));
    let percent = point(&points, &keys[1]);
    assert_eq!(
        (percent.status, percent.value),
        (MetricStatus::Computed, MetricValue::Null)
    );
}

#[test]
fn a_first_look_passes_over_a_column_without_a_name_and_takes_texts_for_texts() {
    let folder = tempfile::tempdir().unwrap();
    let days: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["2026-01-01"; 3]));
    let ids: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("", days.clone()), ("id", ids), ("day", days)]);
    let file = folder.path().join("a.parquet");
    common::write(&file, &[batch.unwrap()], WriterProperties::default());
    let dataset = common::dataset(folder.path(), FormatKind::Parquet);
    let context = assay_scan::ScanContext::default();
    let found =
        assay_scan::introspect::introspect(&dataset.source, common::now(), &context).unwrap();
    let told: Vec<_> = found
        .columns
        .iter()
        .map(|c| (&*c.name, c.logical_type))
        .collect();
    let types = [LogicalType::Integer, LogicalType::String].map(Some);
    assert_eq!(told, [("id", types[0]), ("day", types[1])]);
    assert!(found.ignored[0].starts_with("a column without a name"));
}

#[test]
fn latency_counts_from_the_latest_time_and_the_schema_is_one_text() {
    let folder = tempfile::tempdir().unwrap();
    let points = common::points_of(&people(folder.path(), 10));
    let latency = point(&points, &MetricKey::column(Metric::Latency, "seen"));
    assert_eq!(latency.value, MetricValue::Float(3600.0));
    let schema = point(&points, &MetricKey::table(Metric::Schema));
    let wanted = "name:string?, salary:int64?, seen:timestamp(us,utc)";
    assert_eq!(schema.value, MetricValue::Text(wanted.to_owned()));
}

/// What a file says of whose pages have checksums, right ones or a wrong one.
fn with_checksums(name: &str) -> Result<common::Found, assay_scan::ScanError> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let data = std::env::var_os("ASSAY_SHARED").map_or(data, Into::into);
    let file = data.join(format!("data/parquet-testing/data/{name}.parquet"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(&file, folder.path().join("a.parquet")).unwrap();
    common::run(&common::dataset(folder.path(), FormatKind::Parquet))
}

#[test]
fn a_page_with_a_wrong_checksum_is_corrupt_and_gives_no_number() {
    let found = with_checksums("datapage_v1-uncompressed-checksum").unwrap();
    assert_eq!(found.states.values().next().unwrap().rows, 5120);
    for name in [
        "datapage_v1-corrupt-checksum",
        "rle-dict-uncompressed-corrupt-checksum",
    ] {
        let Err(error) = with_checksums(name) else {
            panic!("{name} was read");
        };
        assert!(
            matches!(error, assay_scan::ScanError::Corrupt { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("checksum"), "{error}");
    }
}

#[test]
fn values_that_are_no_numbers_are_counted_wherever_a_column_holds_floats() {
    let folder = tempfile::tempdir().unwrap();
    let arrays: [(&str, ArrayRef, bool); 3] = [
        (
            "price",
            Arc::new(Float64Array::from(vec![
                1.5,
                f64::NAN,
                f64::NAN,
                f64::INFINITY,
            ])),
            false,
        ),
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4])), false),
        (
            "name",
            Arc::new(StringArray::from(vec!["a", "NaN", "c", "d"])),
            false,
        ),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(arrays).unwrap();
    common::write(
        &folder.path().join("a.parquet"),
        &[batch],
        WriterProperties::default(),
    );
    let mut dataset = common::dataset(folder.path(), FormatKind::Parquet);
    dataset.profile = assay_model::dataset::Profile::default();
    let points = common::points_of(&dataset);
    let counted = point(&points, &MetricKey::column(Metric::NanCount, "price"));
    assert_eq!(counted.value, MetricValue::integer(2));
    for other in ["id", "name"] {
        let key = MetricKey::column(Metric::NanCount, other);
        assert!(points.iter().all(|point| point.key != key), "{other}");
    }
}

/// One column `seen` of microseconds of 2029-12-31T23:00 and the minute before it.
fn times(folder: &Path, name: &str, zone: Option<&str>) {
    let seen = vec![1_893_452_400_000_000, 1_893_452_340_000_000];
    let seen = TimestampMicrosecondArray::from(seen).with_timezone_opt(zone);
    let seen: ArrayRef = Arc::new(seen);
    let batch = RecordBatch::try_from_iter([("seen", seen)]).unwrap();
    common::write(&folder.join(name), &[batch], WriterProperties::default());
}

#[test]
fn times_without_a_zone_are_read_off_the_wall_clock_of_the_dataset() {
    let folder = tempfile::tempdir().unwrap();
    times(folder.path(), "a.parquet", None);
    let mut dataset = common::dataset(folder.path(), FormatKind::Parquet);
    dataset.partitions.time_zone = "Asia/Tokyo".to_owned();
    let latency = MetricKey::column(Metric::Latency, "seen");
    let greatest = MetricKey::column(Metric::Max, "seen");
    let pattern = json!({ "pattern": "^2029-12-31T(14:00|13:59):00Z$" });
    let invalid = MetricKey::column(Metric::InvalidCount, "seen").with_args(&pattern);
    let asked = [&latency, &greatest, &invalid];
    dataset.checks = asked.map(|key| common::check(key.clone())).to_vec();
    let points = common::points_of(&dataset);
    // 23:00 in Tokyo is 14:00 in UTC, ten hours before the moment of judging.
    assert_eq!(point(&points, &latency).value, MetricValue::Float(36_000.0));
    assert_eq!(
        point(&points, &greatest).value,
        MetricValue::Text("2029-12-31T14:00:00Z".to_owned())
    );
    assert_eq!(point(&points, &invalid).value, MetricValue::integer(0));
    assert_eq!(
        point(&points, &MetricKey::table(Metric::Schema)).value,
        MetricValue::Text("seen:timestamp(us)".to_owned())
    );
}

#[test]
fn times_with_a_zone_and_times_without_one_have_no_common_order() {
    let folder = tempfile::tempdir().unwrap();
    times(folder.path(), "a.parquet", None);
    times(folder.path(), "b.parquet", Some("UTC"));
    let mut dataset = common::dataset(folder.path(), FormatKind::Parquet);
    let latency = MetricKey::column(Metric::Latency, "seen");
    dataset.checks = vec![common::check(latency.clone())];
    let mixed = point(&common::points_of(&dataset), &latency);
    assert_eq!(mixed.status, MetricStatus::Error);
    assert!(mixed.note.unwrap().contains("times without"));
}

#[test]
fn a_member_that_comes_late_is_null_before_however_the_file_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for row in 0..600 {
        let late = if row >= 450 { ",\"late\":1" } else { "" };
        text.push_str(&format!("{{\"id\":{row}{late}}}\n"));
    }
    std::fs::write(folder.path().join("a.ndjson"), text).unwrap();
    let mut dataset = common::dataset(folder.path(), FormatKind::Ndjson);
    let asked = [
        MetricKey::column(Metric::NullCount, "late"),
        MetricKey::column(Metric::DuplicateCount, "id,late"),
        MetricKey::column(Metric::InvalidCount, "late").with_args(&json!({ "min": "2" })),
        MetricKey::table(Metric::ColumnCount),
        MetricKey::table(Metric::Schema),
    ];
    dataset.checks = asked.iter().cloned().map(common::check).collect();
    let wanted = [
        MetricValue::integer(450),
        MetricValue::integer(0),
        MetricValue::integer(150),
        MetricValue::integer(2),
        MetricValue::Text("id:json?, late:json?".to_owned()),
    ];
    for target in [u64::MAX, 512] {
        dataset.scan.target_bytes = target;
        let points = common::points_of(&dataset);
        for (key, value) in asked.iter().zip(&wanted) {
            let found = point(&points, key);
            assert_eq!(
                (found.status, &found.value),
                (MetricStatus::Computed, value),
                "{key:?}"
            );
        }
    }
}
