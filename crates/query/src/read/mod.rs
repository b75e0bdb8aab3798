//! Readers of files as Arrow batches.
//!
//! In: a definition and objects of a listing. Out: batches of the columns that are asked for. Text
//! is told apart by the scan of the metrics itself, so that a query and a metric see the same
//! fields, the same NULLs and the same types. A field that does not read as its declared type is an
//! error of whoever asks for its column, with the file and the line.

mod cells;
mod csv;
mod ndjson;
mod parquet;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::partition::{ObjectRef, Partition};
use assay_scan::error::Place;
use assay_scan::object::Objects;
use assay_scan::{ScanContext, ScanError};

/// Rows of a batch.
pub(crate) const BATCH_ROWS: usize = 4096;

/// Where rows come from.
pub(crate) trait Rows: Debug + Send + Sync {
    /// All columns.
    fn schema(&self) -> SchemaRef;

    /// Reads every row; `each` says whether more are wanted.
    ///
    /// # Errors
    /// [`ScanError`] when the rows cannot be read to their end.
    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError>;
}

/// The files of a partition.
#[derive(Debug)]
pub(crate) struct Files {
    dataset: Dataset,
    objects: Objects,
    list: Vec<ObjectRef>,
}

/// Opens the files of a dataset and tells their columns.
///
/// # Errors
/// [`ScanError`] when one cannot be read, or they do not fit together.
pub(crate) fn open(
    dataset: &Dataset,
    list: &[ObjectRef],
    partition: Option<&Partition>,
    context: &ScanContext,
) -> Result<Arc<dyn Rows>, ScanError> {
    if partition.is_some() || matches!(dataset.partitions.layout, Layout::Column { .. }) {
        return Err(ScanError::Unsupported {
            path: dataset.source.location.address(),
            place: Place::file(),
            what: "its partitions are told by a column inside the files".to_owned(),
            remedy: "SQL reads datasets whose partitions are files: split the files by the key"
                .to_owned(),
        });
    }
    let files = Files {
        dataset: dataset.clone(),
        objects: Objects::open(&dataset.source.location)?,
        list: list.to_vec(),
    };
    Ok(match dataset.source.format.kind {
        FormatKind::Parquet => Arc::new(parquet::Parquet::open(files)?),
        FormatKind::Csv => Arc::new(csv::Csv::open(files, context)?),
        FormatKind::Ndjson => Arc::new(ndjson::Ndjson::open(files, context)?),
    })
}
