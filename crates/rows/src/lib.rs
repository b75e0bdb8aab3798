//! The rows of a partition as Arrow record batches.
//!
//! In: a definition and objects of a listing. Out: batches of the columns that are asked for. Text
//! is told apart by the scan of the metrics itself, so that whoever reads rows and a metric see the
//! same fields, the same NULLs and the same types. A field that does not read as its declared type
//! is an error of whoever asks for its column, with the file and the line.
//!
//! It must never pass over a row: a read ends with all rows or with an error, and objects are held
//! to what the listing showed before and after.

mod cells;
mod columnar;
mod csv;
mod delta;
mod ndjson;
mod parquet;
mod picked;
mod table;
mod zoned;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use assay_model::dataset::{Dataset, FormatKind, Layout};
use assay_model::partition::{ObjectRef, Partition, PartitionKey};
use assay_scan::error::Place;
use assay_scan::object::Objects;
use assay_scan::text::keyed::Keyed;
use assay_scan::text::written::{self, MARK};
use assay_scan::{ScanContext, ScanError};

/// Rows of a batch at most, where the format leaves the choice.
pub const BATCH_ROWS: usize = 4096;

/// The rows of a partition: its columns, and its batches in the order of its objects.
pub trait Rows: Debug + Send + Sync {
    /// All columns.
    fn schema(&self) -> SchemaRef;

    /// Reads every row, with the columns whose places in [`Rows::schema`] are given, in that order;
    /// `each` says whether more are wanted. A batch without columns has its number of rows all the
    /// same.
    ///
    /// # Errors
    /// [`ScanError`] when the rows cannot be read to their end; batches that went before are not
    /// the partition then.
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
struct Files {
    dataset: Dataset,
    objects: Objects,
    list: Vec<ObjectRef>,
    /// The partition whose rows are read, where a column of the files tells it.
    only: Option<PartitionKey>,
}

impl Files {
    /// What tells the rows of the partition from others of their files.
    fn own(&self) -> Result<Option<Own>, ScanError> {
        let keyed = Keyed::of(&self.dataset)?;
        Ok(keyed
            .zip(self.only.clone())
            .map(|(keyed, key)| Own { keyed, key }))
    }
}

/// Tells the rows of one partition in files of text.
struct Own {
    keyed: Keyed,
    key: PartitionKey,
}

impl Own {
    /// Whether a row with this key belongs to the partition.
    fn has(
        &mut self,
        field: Option<&[u8]>,
        path: &str,
        place: impl FnOnce() -> Place,
    ) -> Result<bool, ScanError> {
        let key = self
            .keyed
            .key(field)
            .map_err(|what| ScanError::Definition {
                path: path.to_owned(),
                place: place(),
                what: format!("the row has no partition: {what}"),
                remedy: "correct assayPartitions, or the values".to_owned(),
            })?;
        Ok(key == self.key)
    }
}

/// How the columns of text files are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// With the type that is declared or that all of their values have.
    Typed,
    /// As they are written ([`assay_scan::text::written`]); columns of other files have types of
    /// their own, and are given with them.
    Written,
    /// With their type, and after all of them once more as they are written, under names with a
    /// [`MARK`].
    Both,
}

impl As {
    /// The columns of a text file, of these types and names.
    fn fields(self, typed: Vec<Field>, names: &[String]) -> Vec<Field> {
        match self {
            Self::Typed => typed,
            Self::Written => names.iter().map(written::field).collect(),
            Self::Both => {
                let marked = names.iter().map(|name| format!("{MARK}{name}"));
                typed
                    .into_iter()
                    .chain(marked.map(written::field))
                    .collect()
            }
        }
    }
}

/// Opens the rows of a partition and tells their columns. Instants say the zone of the dataset. `list` are its objects; `partition` tells
/// its rows from others in them where the layout tells partitions by a column, and nothing else.
///
/// # Errors
/// [`ScanError`] when one cannot be read, or they do not fit together.
pub fn open(
    dataset: &Dataset,
    list: &[ObjectRef],
    partition: Option<&Partition>,
    context: &ScanContext,
) -> Result<Arc<dyn Rows>, ScanError> {
    open_as(dataset, list, partition, As::Typed, context)
}

/// The same, with the columns of text files given in another way.
///
/// # Errors
/// As [`open`].
pub fn open_as(
    dataset: &Dataset,
    list: &[ObjectRef],
    partition: Option<&Partition>,
    as_: As,
    context: &ScanContext,
) -> Result<Arc<dyn Rows>, ScanError> {
    let rows = opened(dataset, list, partition, as_, context)?;
    Ok(zoned::zoned(rows, &dataset.partitions.time_zone))
}

fn opened(
    dataset: &Dataset,
    list: &[ObjectRef],
    partition: Option<&Partition>,
    as_: As,
    context: &ScanContext,
) -> Result<Arc<dyn Rows>, ScanError> {
    if dataset.source.format.kind == FormatKind::Table {
        return Ok(Arc::new(table::Table::open(dataset, list, context)?));
    }
    let is_by_column = matches!(dataset.partitions.layout, Layout::Column { .. });
    let only = partition.filter(|_| is_by_column).map(|p| p.key.clone());
    if is_by_column && only.is_none() {
        let what = "a column tells its partitions, and none was asked for";
        let address = dataset.source.location.address();
        return Err(ScanError::corrupt(address, Place::file(), what));
    }
    let key = only.clone();
    let files = Files {
        dataset: dataset.clone(),
        objects: Objects::open(&dataset.source, context)?,
        list: list.to_vec(),
        only,
    };
    let rows: Arc<dyn Rows> = match dataset.source.format.kind {
        FormatKind::Csv => return Ok(Arc::new(csv::Csv::open(files, as_, context)?)),
        FormatKind::Ndjson => return Ok(Arc::new(ndjson::Ndjson::open(files, as_, context)?)),
        FormatKind::Parquet => Arc::new(parquet::Parquet::open(files)?),
        FormatKind::Delta => return Ok(Arc::new(delta::Delta::open(files, context)?)),
        _ => Arc::new(columnar::Columnar::open(files, context)?),
    };
    Ok(match key {
        Some(key) => Arc::new(picked::Picked::new(dataset, rows, key)?),
        None => rows,
    })
}
