//! Readers of files as Arrow batches.
//!
//! In: a definition and objects of a listing. Out: batches of the columns that are asked for. Text
//! is told apart by the scan of the metrics itself, so that a query and a metric see the same
//! fields, the same NULLs and the same types. A field that does not read as its declared type is an
//! error of whoever asks for its column, with the file and the line.

mod cells;
mod columnar;
mod csv;
mod ndjson;
mod parquet;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
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

/// The columns of a partition's files as one: they must have the same ones.
#[derive(Default)]
struct Agreed(Option<(SchemaRef, String)>);

impl Agreed {
    /// Takes the columns of a file.
    fn take(&mut self, own: SchemaRef, path: &str) -> Result<(), ScanError> {
        match &self.0 {
            None => {
                self.0 = Some((own, path.to_owned()));
                Ok(())
            }
            Some((first, of)) => agree(first, of, &own, path),
        }
    }

    /// The columns; what writers leave in a schema is none of the engine's business.
    fn schema(self) -> SchemaRef {
        let Some((schema, _)) = self.0 else {
            return Arc::new(Schema::empty());
        };
        let plain = |field: &Arc<Field>| {
            let bare = Field::new(field.name(), field.data_type().clone(), true);
            Arc::new(bare)
        };
        Arc::new(Schema::new(
            schema.fields().iter().map(plain).collect::<Vec<_>>(),
        ))
    }
}

fn agree(first: &SchemaRef, of: &str, own: &SchemaRef, path: &str) -> Result<(), ScanError> {
    let told = |what: String| ScanError::Unsupported {
        path: path.to_owned(),
        place: Place::file(),
        what,
        remedy: "write the files of one partition with the same columns".to_owned(),
    };
    for field in first.fields() {
        let name = field.name();
        match own.field_with_name(name) {
            Err(_) => return Err(told(format!("it lacks the column {name:?} of {of}"))),
            Ok(other) if other.data_type() != field.data_type() => {
                let (here, there) = (other.data_type(), field.data_type());
                let what = format!("its column {name:?} is {here}, and that of {of} is {there}");
                return Err(told(what));
            }
            Ok(_) => {}
        }
    }
    let more = own
        .fields()
        .iter()
        .find(|field| first.field_with_name(field.name()).is_err());
    match more {
        Some(more) => Err(told(format!(
            "it has a column {:?}, which {of} lacks",
            more.name()
        ))),
        None => Ok(()),
    }
}

/// A batch with the columns of `schema`, by their names.
fn picked(schema: &SchemaRef, batch: &RecordBatch, path: &str) -> Result<RecordBatch, ScanError> {
    let named = |field: &Arc<Field>| batch.column_by_name(field.name()).cloned();
    let arrays = schema.fields().iter().filter_map(named).collect();
    batch_of(schema, arrays, batch.num_rows(), path)
}

/// A batch of columns and a number of rows, which stands where there is no column.
fn batch_of(
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
    path: &str,
) -> Result<RecordBatch, ScanError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(|error| ScanError::corrupt(path, Place::file(), error.to_string()))
}

/// The columns that are asked for.
fn projected(schema: &SchemaRef, columns: &[usize]) -> Result<SchemaRef, ScanError> {
    let projected = schema.project(columns);
    let projected =
        projected.map_err(|error| ScanError::corrupt("a query", Place::file(), error.to_string()));
    projected.map(Arc::new)
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
        objects: Objects::open(&dataset.source, context)?,
        list: list.to_vec(),
    };
    Ok(match dataset.source.format.kind {
        FormatKind::Parquet => Arc::new(parquet::Parquet::open(files)?),
        FormatKind::Csv => Arc::new(csv::Csv::open(files, context)?),
        FormatKind::Ndjson => Arc::new(ndjson::Ndjson::open(files, context)?),
        FormatKind::Avro | FormatKind::Arrow => Arc::new(columnar::Columnar::open(files, context)?),
        FormatKind::Table => {
            return Err(ScanError::Unsupported {
                path: dataset.source.location.address(),
                place: Place::file(),
                what: "its rows are in a database".to_owned(),
                remedy: "SQL over files reads files: the database answers its own".to_owned(),
            });
        }
    })
}
