//! Small datasets in temporary folders, and requests over them.
#![allow(dead_code, reason = "each test file uses some of it")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Schema;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use assay_model::dataset::{
    Column, Dataset, DatasetStatus, Format, FormatKind, Layout, LimitPolicy, Location, LogicalType,
    Partitioning, Profile, RunPolicy, ScanPolicy, Source as Place, StoragePolicy,
};
use assay_model::ids::DatasetId;
use assay_model::partition::ObjectRef;
use assay_query::{Answer, Limits, Number, QueryError, Request, Source, Table, Want};

/// A dataset of the files of `folder`.
pub fn dataset(folder: &Path, kind: FormatKind, columns: &[(&str, LogicalType)]) -> Dataset {
    let column = |(name, logical): &(&str, LogicalType)| Column {
        name: (*name).to_owned(),
        logical_type: Some(*logical),
        physical_type: None,
        required: false,
        unique: false,
        primary_key: None,
        masked: false,
    };
    Dataset {
        id: DatasetId::new("orders").unwrap(),
        version: "1".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Place {
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
            layout: Layout::Single,
            ..Partitioning::default()
        },
        columns: columns.iter().map(column).collect(),
        checks: Vec::new(),
        profile: Profile {
            metrics: Vec::new(),
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// The files of a folder, as a listing shows them.
pub fn objects(folder: &Path) -> Vec<ObjectRef> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap())
        .collect();
    names.sort_by_key(std::fs::DirEntry::file_name);
    let object = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        ObjectRef {
            path: entry.file_name().into_string().unwrap(),
            size: metadata.len(),
            modified: metadata.modified().unwrap().try_into().unwrap(),
            etag: None,
        }
    };
    names.into_iter().map(object).collect()
}

/// A folder with one file.
pub fn file(name: &str, content: impl AsRef<[u8]>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(name), content).unwrap();
    folder
}

/// The table `orders` over the files of a folder.
pub fn files(folder: &Path, kind: FormatKind, columns: &[(&str, LogicalType)]) -> Table {
    Table {
        name: "orders".to_owned(),
        rows: Source::Files {
            dataset: Box::new(dataset(folder, kind, columns)),
            objects: objects(folder),
            partition: None,
        },
    }
}

/// A table of a batch.
pub fn batch(name: &str, batch: &RecordBatch) -> Table {
    let mut bytes = Vec::new();
    let schema: Arc<Schema> = batch.schema();
    let mut writer = StreamWriter::try_new(&mut bytes, &schema).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    Table {
        name: name.to_owned(),
        rows: Source::Ipc(bytes),
    }
}

/// Limits for tests: short and small.
pub fn limits() -> Limits {
    Limits {
        memory_bytes: 64 << 20,
        time: Duration::from_secs(30),
        answer_bytes: 1 << 16,
    }
}

/// A request over tables, the first of which is the object.
pub fn request(tables: Vec<Table>, sql: &str, want: Want) -> Request {
    Request {
        object: tables[0].name.clone(),
        tables,
        property: None,
        masked: Vec::new(),
        partition: "2026-11-20".to_owned(),
        sql: sql.to_owned(),
        want,
    }
}

/// The number that `sql` gives.
pub fn number(tables: Vec<Table>, sql: &str) -> Result<Option<Number>, QueryError> {
    match assay_query::run(&request(tables, sql, Want::Number), limits())? {
        Answer::Number { value, .. } => Ok(value),
        other => panic!("{other:?}"),
    }
}

/// The digits that `sql` gives.
pub fn exact(tables: Vec<Table>, sql: &str) -> String {
    match number(tables, sql).unwrap_or_else(|error| panic!("{sql}: {error}")) {
        Some(Number::Exact(digits)) => digits,
        other => panic!("{sql}: {other:?}"),
    }
}
