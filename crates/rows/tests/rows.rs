//! Rows are those that the metrics see: the same values, NULLs and partitions, in every format.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use assay_model::dataset::{
    Cadence, Column, Dataset, DatasetStatus, Format, FormatKind, Layout, LimitPolicy, Location,
    LogicalType, Partitioning, Profile, RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;
use assay_model::partition::{ObjectRef, ObjectSlice, Part, Partition, PartitionKey};
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::columnar::{Feed, Rows as Whose};
use assay_scan::measure::states;

const DAYS: [i32; 5] = [20_400, 20_401, 20_400, 20_401, 20_400];
const VALUES: [Option<i64>; 5] = [
    Some(7),
    Some(-3),
    None,
    Some(9_007_199_254_740_993),
    Some(1),
];
const NAMES: [&str; 5] = ["a", "b, \"c\"", "", "d", "é"];

fn dataset(folder: &Path, kind: FormatKind, layout: Layout) -> Dataset {
    let column = |(name, logical): (&str, LogicalType)| Column {
        name: name.to_owned(),
        logical_type: Some(logical),
        physical_type: None,
        required: false,
        unique: false,
        primary_key: None,
        masked: false,
    };
    let columns = [
        ("day", LogicalType::Date),
        ("v", LogicalType::Integer),
        ("name", LogicalType::String),
    ];
    Dataset {
        id: DatasetId::new("orders").unwrap(),
        version: "1".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            server: "files".to_owned(),
            location: Location::Local {
                path: folder.display().to_string(),
            },
            format: Format::of(kind),
            credential: None,
        },
        others: Vec::new(),
        storage: StoragePolicy::default(),
        partitions: Partitioning {
            layout,
            ..Partitioning::default()
        },
        columns: columns.into_iter().map(column).collect(),
        checks: Vec::new(),
        profile: Profile {
            metrics: vec![Metric::NullCount, Metric::Sum, Metric::DistinctCount],
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("day", Arc::new(Date32Array::from(DAYS.to_vec()))),
        ("v", Arc::new(Int64Array::from(VALUES.to_vec()))),
        ("name", Arc::new(StringArray::from(NAMES.to_vec()))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The rows as a file of this format.
fn written(kind: FormatKind) -> Vec<u8> {
    let batch = batch();
    let mut bytes = Vec::new();
    let date = |days: i32| {
        if days == DAYS[0] {
            "2025-11-08"
        } else {
            "2025-11-09"
        }
    };
    match kind {
        FormatKind::Parquet => {
            let mut writer =
                parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        }
        FormatKind::Arrow => {
            let mut writer =
                arrow::ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema()).unwrap();
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
            drop(writer);
        }
        FormatKind::Csv => {
            bytes.extend_from_slice(b"day,v,name\n");
            for ((day, value), name) in DAYS.iter().zip(VALUES).zip(NAMES) {
                let value = value.map(|v| v.to_string()).unwrap_or_default();
                let name = name.replace('"', "\"\"");
                let line = format!("{},{value},\"{name}\"\n", date(*day));
                bytes.extend_from_slice(line.as_bytes());
            }
        }
        FormatKind::Ndjson => {
            for ((day, value), name) in DAYS.iter().zip(VALUES).zip(NAMES) {
                let value = value.map_or("null".to_owned(), |v| v.to_string());
                let name = name.replace('"', "\\\"");
                let line = format!(
                    "{{\"day\":\"{}\",\"v\":{value},\"name\":\"{name}\"}}\n",
                    date(*day)
                );
                bytes.extend_from_slice(line.as_bytes());
            }
        }
        other => panic!("{other:?} is not written here"),
    }
    bytes
}

fn object(folder: &Path, name: &str) -> ObjectRef {
    let metadata = std::fs::metadata(folder.join(name)).unwrap();
    ObjectRef {
        path: name.to_owned(),
        size: metadata.len(),
        modified: metadata.modified().unwrap().try_into().unwrap(),
        etag: None,
    }
}

const KINDS: [FormatKind; 4] = [
    FormatKind::Parquet,
    FormatKind::Arrow,
    FormatKind::Csv,
    FormatKind::Ndjson,
];

fn by_day() -> Layout {
    Layout::Column {
        column: "day".to_owned(),
        granularity: Some(Cadence::Daily),
    }
}

fn partition(key: &str) -> Partition {
    Partition {
        key: PartitionKey(key.to_owned()),
        ..Partition::all()
    }
}

/// The states that the rows and the scan of the metrics give.
fn both(kind: FormatKind, layout: Layout, key: &str) -> [assay_metrics::TableState; 2] {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), written(kind)).unwrap();
    std::fs::write(folder.path().join("b"), written(kind)).unwrap();
    let list = vec![object(folder.path(), "a"), object(folder.path(), "b")];
    let dataset = dataset(folder.path(), kind, layout);
    let context = ScanContext::default();
    let partition = partition(key);
    let rows = assay_rows::open(&dataset, &list, Some(&partition), &context).unwrap();
    let all: Vec<usize> = (0..rows.schema().fields().len()).collect();
    let whose = Whose::Of(partition.key.clone());
    let mut feed = Feed::new(&dataset, &rows.schema(), whose, "rows", &context).unwrap();
    rows.read(&all, &context, &mut |batch| {
        feed.add(&batch).unwrap();
        true
    })
    .unwrap();
    let fed = feed.finish(0, true).remove(&partition.key).unwrap();
    let both_days = [
        partition,
        self::partition(if key == "2025-11-08" {
            "2025-11-09"
        } else {
            "2025-11-08"
        }),
    ];
    let spec = MeasureSpec {
        partitions: match dataset.partitions.layout {
            Layout::Single => both_days[..1].to_vec(),
            _ => both_days.to_vec(),
        },
        batch: 1,
        batches: 1,
        slices: list
            .into_iter()
            .map(|object| ObjectSlice {
                object,
                part: Part::Whole,
            })
            .collect(),
        bytes: 0,
        queries: false,
        reading: None,
    };
    let mut measured = states(&dataset, &spec, &context).unwrap();
    [fed, measured.remove(&both_days[0].key).unwrap()]
}

#[test]
fn the_rows_of_a_partition_measure_as_the_metrics_of_its_files() {
    for kind in KINDS {
        for (layout, key, count) in [
            (Layout::Single, "all", 10),
            (by_day(), "2025-11-08", 6),
            (by_day(), "2025-11-09", 4),
        ] {
            let [fed, measured] = both(kind, layout, key);
            assert_eq!((fed.rows, measured.rows), (count, count), "{kind} {key}");
            for name in ["day", "v", "name"] {
                let (fed, measured) = (&fed.columns[name], &measured.columns[name]);
                assert_eq!(
                    fed.counts.nulls, measured.counts.nulls,
                    "{kind} {key} {name}"
                );
                let of = |state: &assay_metrics::ColumnState| {
                    (
                        // Why there is no sum of dates is told in the words of the way they came.
                        format!("{:?}", state.sum().ok()),
                        format!("{:?}", state.distinct_count()),
                    )
                };
                assert_eq!(of(fed), of(measured), "{kind} {key} {name}");
            }
        }
    }
}

#[test]
fn columns_are_read_in_the_order_that_is_asked_and_a_batch_of_none_has_its_rows() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), written(kind)).unwrap();
        let list = vec![object(folder.path(), "a")];
        let context = ScanContext::default();
        let read = |layout: Layout, columns: &[usize]| {
            let dataset = dataset(folder.path(), kind, layout);
            let of = partition("2025-11-08");
            let rows = assay_rows::open(&dataset, &list, Some(&of), &context).unwrap();
            let mut batches = Vec::new();
            rows.read(columns, &context, &mut |batch| {
                batches.push(batch);
                true
            })
            .unwrap();
            batches
        };
        let none = read(by_day(), &[]);
        assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
        let turned = read(by_day(), &[2, 1]);
        let first = &turned[0];
        assert_eq!(first.schema().field(0).name(), "name");
        let sum: i64 = turned
            .iter()
            .flat_map(|b| b.column(1).as_primitive::<Int64Type>().iter().flatten())
            .sum();
        assert_eq!(sum, 8, "{kind}");
    }
}

#[test]
fn a_file_that_changed_since_it_was_listed_is_never_read_as_if_it_had_not() {
    for kind in KINDS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, written(kind)).unwrap();
        let list = vec![object(folder.path(), "a")];
        let mut bytes = written(kind);
        bytes.extend_from_slice(b"\n");
        std::fs::write(&path, bytes).unwrap();
        let dataset = dataset(folder.path(), kind, Layout::Single);
        let context = ScanContext::default();
        let opened = assay_rows::open(&dataset, &list, None, &context);
        assert!(
            matches!(opened, Err(assay_scan::ScanError::Changed { .. })),
            "{kind}: {opened:?}"
        );
    }
}
