//! Instants are the same ones in every format, say the zone of the dataset, and never wrap.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, Layout, LimitPolicy, Location, Partitioning,
    Profile, RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::DatasetId;
use assay_model::partition::ObjectRef;
use assay_rows::Rows;
use assay_scan::ScanContext;
use parquet::data_type::{Int96, Int96Type};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const ZONE: &str = "Europe/Berlin";
/// 1970-01-01, as INT96 counts days.
const EPOCH: u32 = 2_440_588;
/// 9999-12-31, in days since then.
const LAST: u32 = 2_932_896;
const DAY_US: i64 = 86_400_000_000;

fn dataset(folder: &Path) -> Dataset {
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
            format: Format::of(FormatKind::Parquet),
            credential: None,
        },
        others: Vec::new(),
        storage: StoragePolicy::default(),
        partitions: Partitioning {
            layout: Layout::Single,
            time_zone: ZONE.to_owned(),
            ..Partitioning::default()
        },
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// The rows of a folder with one file of these bytes.
fn rows(bytes: &[u8]) -> (tempfile::TempDir, Arc<dyn Rows>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), bytes).unwrap();
    let metadata = std::fs::metadata(folder.path().join("a")).unwrap();
    let object = ObjectRef {
        path: "a".to_owned(),
        size: metadata.len(),
        modified: metadata.modified().unwrap().try_into().unwrap(),
        etag: None,
    };
    let dataset = dataset(folder.path());
    let rows = assay_rows::open(&dataset, &[object], None, &ScanContext::default()).unwrap();
    (folder, rows)
}

fn int96(values: &[(u64, u32)]) -> Vec<u8> {
    let schema = parse_message_type("message m { REQUIRED INT96 at; }").unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        SerializedFileWriter::new(&mut bytes, Arc::new(schema), Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let of = |(nanos, day): &(u64, u32)| {
        let mut value = Int96::new();
        value.set_data(*nanos as u32, (*nanos >> 32) as u32, *day);
        value
    };
    let values: Vec<Int96> = values.iter().map(of).collect();
    column
        .typed::<Int96Type>()
        .write_batch(&values, None, None)
        .unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn read(rows: &dyn Rows) -> Result<Vec<i64>, assay_scan::ScanError> {
    let mut all = Vec::new();
    rows.read(&[0], &ScanContext::default(), &mut |batch| {
        let column = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        assert_eq!(column.timezone(), Some(ZONE));
        all.extend(column.values().iter().copied());
        true
    })?;
    Ok(all)
}

#[test]
fn an_int96_of_the_year_9999_does_not_wrap() {
    let noon = 43_200_000_000_000;
    let (_folder, rows) = rows(&int96(&[(noon, EPOCH + LAST), (1_999_000, EPOCH - 1)]));
    let of = DataType::Timestamp(TimeUnit::Microsecond, Some(ZONE.into()));
    assert_eq!(*rows.schema().field(0).data_type(), of);
    let told = [i64::from(LAST) * DAY_US + DAY_US / 2, 1_999 - DAY_US];
    assert_eq!(read(rows.as_ref()).unwrap(), told);
}

#[test]
fn an_int96_that_no_instant_is_is_an_error_of_its_column() {
    let (_folder, rows) = rows(&int96(&[(0, EPOCH), (0, i32::MAX as u32)]));
    let told = read(rows.as_ref()).unwrap_err().to_string();
    assert!(told.contains("at") && told.contains("294246"), "{told}");
}

#[test]
fn an_instant_says_the_zone_of_its_dataset_whatever_its_writer_said() {
    for said in ["UTC", "+00:00", "America/New_York", ZONE] {
        // 2026-11-20T23:30Z, which is the 21st in Berlin.
        let at = 1_795_217_400_000_000;
        let column = TimestampMicrosecondArray::from(vec![at]).with_timezone(said);
        let columns: [(&str, ArrayRef); 1] = [("at", Arc::new(column))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer =
            parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let (_folder, rows) = rows(&bytes);
        assert_eq!(read(rows.as_ref()).unwrap(), [at], "{said}");
    }
}
