//! The rows of one slice of an object as record batches, for whoever keeps them.
//!
//! In: a slice of a batch, pinned to its listing. Out: its columns, then every one of its rows in
//! their order. Values come as they are written: columns of delimited text are texts, whatever the
//! definition declares. What a reader here cannot give without loss is refused by its name.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ::parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ParquetMetaData;
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use assay_model::dataset::{Dataset, FormatKind};
use assay_model::partition::{ObjectSlice, Part};

use crate::columnar::TYPE_TEXT;
use crate::context::ScanContext;
use crate::delta::Table;
use crate::error::{Place, ScanError};
use crate::object::parquet::Chunks;
use crate::object::{ObjectReader, Objects, ReadAt};
use crate::parquet::columns::{self, Meaning};
use crate::parquet::footer::{self, guarded};
use crate::parquet::spelled;
use crate::text::csv::stored;

/// Rows of a batch of a columnar file, at most.
const BATCH_ROWS: usize = 4096;
/// The part of a task's memory that the values of a batch may take.
const BATCH_SHARE: u64 = 8;

/// Marks a field whose column is stated to have no values.
pub const VOID: &str = "assay.void";

/// A slice that is open.
#[derive(Debug)]
pub struct SliceRows {
    reader: Arc<ObjectReader>,
    schema: SchemaRef,
    /// Bytes that the slice has, as stored.
    pub bytes: u64,
    /// Whether it is the first part of its object.
    pub first: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Delimited text, from one byte to another.
    Csv(u64, u64),
    /// Row groups of a Parquet file.
    Parquet(Box<ParquetMetaData>, std::ops::Range<usize>),
    /// An Avro or Arrow file.
    Columnar(FormatKind),
    /// A part of a file of a Delta table.
    Delta(Box<Table>, ObjectSlice),
}

impl SliceRows {
    /// Opens a slice and tells its columns.
    ///
    /// # Errors
    /// [`ScanError::Unsupported`] for a format or a column whose rows are not given here; those of
    /// reading the object's head.
    pub fn open(
        dataset: &Dataset,
        objects: &Objects,
        slice: &ObjectSlice,
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        if dataset.source.format.kind == FormatKind::Delta {
            return Self::of_table(objects, slice, context);
        }
        let reader = Arc::new(objects.reader(&slice.object)?);
        let size = reader.size();
        let kind = dataset.source.format.kind;
        let (schema, bytes, first, kind) = match kind {
            FormatKind::Csv => {
                let (start, end) = range(slice, size, reader.path())?;
                let schema = texts(&stored::names(dataset, reader.as_ref(), context)?);
                (schema, end - start, start == 0, Kind::Csv(start, end))
            }
            FormatKind::Parquet => parquet(&reader, slice, context)?,
            FormatKind::Avro | FormatKind::Arrow if slice.part == Part::Whole => {
                let path = reader.path();
                let schema = crate::columnar::schema(kind, &reader, context)?;
                known(&schema, path)?;
                (schema, size, true, Kind::Columnar(kind))
            }
            other => {
                return Err(ScanError::Unsupported {
                    path: reader.path().to_owned(),
                    place: Place::file(),
                    what: format!("rows of {other} are not stored"),
                    remedy: "write `mode: in-place` under assayStorage".to_owned(),
                });
            }
        };
        Ok(Self {
            reader,
            schema,
            bytes,
            first,
            kind,
        })
    }

    /// Opens a part of a file of a Delta table.
    fn of_table(
        objects: &Objects,
        slice: &ObjectSlice,
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        let table = Table::open(objects, [&slice.object], context)?;
        let (reader, read) = table.look(&slice.object, slice.part, context)?;
        let word = |field: &Arc<Field>| {
            let word = HashMap::from([(TYPE_TEXT.to_owned(), crate::columnar::type_text(field))]);
            Field::clone(field).with_metadata(word)
        };
        let fields: Vec<Field> = table.schema().fields().iter().map(word).collect();
        let schema = Arc::new(Schema::new(fields));
        known(&schema, reader.path())?;
        Ok(Self {
            reader,
            schema,
            bytes: read.bytes,
            first: read.first,
            kind: Kind::Delta(Box::new(table), slice.clone()),
        })
    }

    /// What errors call the object.
    #[must_use]
    pub fn path(&self) -> &str {
        self.reader.path()
    }

    /// Its columns; each with the word that the schema metric has for its type
    /// ([`crate::columnar::type_text`]).
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Gives every row to `take`, and compares the object with what the listing showed.
    ///
    /// # Errors
    /// [`ScanError`] when it cannot be read to its end; that of `take`.
    pub fn each(
        &self,
        dataset: &Dataset,
        context: &ScanContext,
        take: &mut dyn FnMut(&RecordBatch) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        match &self.kind {
            Kind::Csv(start, end) => {
                let range = (*start, *end);
                let reader = self.reader.as_ref();
                stored::columns(dataset, reader, range, &self.schema, context, take)?;
            }
            Kind::Parquet(metadata, groups) => {
                self.row_groups(metadata, groups.clone(), context, take)?;
            }
            Kind::Delta(table, slice) => {
                let columns: Vec<usize> = (0..self.schema.fields().len()).collect();
                let (object, part) = (&slice.object, slice.part);
                table.read(object, part, &columns, context, &mut |batch| {
                    let rows =
                        RecordBatch::try_new(Arc::clone(&self.schema), batch.columns().to_vec());
                    let corrupt =
                        |error| ScanError::corrupt(self.path(), Place::file(), format!("{error}"));
                    take(&rows.map_err(corrupt)?)?;
                    Ok(true)
                })?;
            }
            Kind::Columnar(kind) => {
                crate::columnar::each_batch(*kind, &self.reader, context, take)?;
                context.progress.add_bytes(self.bytes);
            }
        }
        self.reader.verify_unchanged()
    }

    fn row_groups(
        &self,
        metadata: &ParquetMetaData,
        groups: std::ops::Range<usize>,
        context: &ScanContext,
        take: &mut dyn FnMut(&RecordBatch) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        let path = self.path();
        let place = Place::file();
        let told = arrow_metadata(metadata.clone(), path)?;
        let chunks = Chunks(Arc::clone(&self.reader));
        let expected: i64 = groups
            .clone()
            .map(|g| metadata.row_group(g).num_rows())
            .sum();
        let batch_rows = batch_rows(metadata, groups.clone(), context.memory_bytes);
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, told)
            .with_row_groups(groups.collect())
            .with_batch_size(batch_rows);
        let mut batches = guarded(path, &place, || {
            builder.build().map_err(|error| unreadable(path, &error))
        })?;
        let mut rows = 0i64;
        loop {
            context.check(path)?;
            let next = guarded(path, &place, || {
                let next = batches.next().transpose();
                next.map_err(|error| ScanError::corrupt(path, Place::file(), error.to_string()))
            })?;
            let Some(batch) = next else { break };
            rows += batch.num_rows() as i64;
            let batch = batch.with_schema(Arc::clone(&self.schema));
            let corrupt = |error| ScanError::corrupt(path, Place::file(), format!("{error}"));
            take(&batch.map_err(corrupt)?)?;
        }
        if rows != expected {
            let what = format!("{rows} rows were read where the footer states {expected}");
            return Err(ScanError::corrupt(path, Place::file(), what));
        }
        context.progress.add_bytes(self.bytes);
        Ok(())
    }
}

/// Rows of these row groups that are held at a time: as many as their share of the memory holds, if
/// they are as wide as the footer says.
pub(crate) fn batch_rows(
    metadata: &ParquetMetaData,
    groups: std::ops::Range<usize>,
    memory: u64,
) -> usize {
    let widest = groups.map(|group| {
        let group = metadata.row_group(group);
        let bytes = group.columns().iter().map(|chunk| {
            let plain = chunk.unencoded_byte_array_data_bytes().unwrap_or(0);
            plain.max(chunk.uncompressed_size()).max(0).unsigned_abs()
        });
        let rows = group.num_rows().max(1).unsigned_abs();
        bytes.fold(0, u64::saturating_add).div_ceil(rows)
    });
    let rows = (memory / BATCH_SHARE) / widest.max().unwrap_or(0).max(1);
    usize::try_from(rows)
        .unwrap_or(BATCH_ROWS)
        .clamp(1, BATCH_ROWS)
}

/// The bytes of a slice of a text.
fn range(slice: &ObjectSlice, size: u64, path: &str) -> Result<(u64, u64), ScanError> {
    match slice.part {
        Part::Whole => Ok((0, size)),
        Part::Bytes { start, end } if start <= end && end <= size => Ok((start, end)),
        _ => Err(ScanError::Changed {
            path: path.to_owned(),
            what: format!("another part was planned than its {size} bytes have"),
        }),
    }
}

fn texts(names: &[String]) -> SchemaRef {
    let field = |name: &String| {
        let word = HashMap::from([(TYPE_TEXT.to_owned(), "text".to_owned())]);
        Field::new(name, DataType::Utf8, true).with_metadata(word)
    };
    Arc::new(Schema::new(names.iter().map(field).collect::<Vec<_>>()))
}

/// Refuses columns that have no one value in a row.
fn known(schema: &Schema, path: &str) -> Result<(), ScanError> {
    let nested = schema.fields().iter().find(|f| f.data_type().is_nested());
    match nested {
        Some(field) => Err(nested_column(field.name(), path)),
        None => Ok(()),
    }
}

fn nested_column(name: &str, path: &str) -> ScanError {
    ScanError::Unsupported {
        path: path.to_owned(),
        place: Place::file().in_column(name),
        what: "a column of structures, lists or maps is not stored".to_owned(),
        remedy: "write `mode: in-place` under assayStorage, or leave the column out".to_owned(),
    }
}

fn parquet(
    reader: &Arc<ObjectReader>,
    slice: &ObjectSlice,
    context: &ScanContext,
) -> Result<(SchemaRef, u64, bool, Kind), ScanError> {
    let path = reader.path();
    let metadata = footer::read(reader.as_ref(), context.memory_bytes)?;
    footer::verify_chunks(path, &metadata, reader.size())?;
    let descriptor = metadata.file_metadata().schema_descr();
    let told = guarded(path, &Place::file(), || Ok(columns::columns(descriptor)))?;
    let stated = descriptor.root_schema().get_fields().iter();
    let void: BTreeSet<String> = stated
        .filter(|field| spelled::is_void(field))
        .map(|field| field.name().to_owned())
        .collect();
    let metadata = guarded(path, &Place::file(), || {
        spelled::spelled_out(metadata).map_err(|error| unreadable(path, &error))
    })?;
    let arrow = arrow_metadata(metadata.clone(), path)?;
    let mut fields = Vec::with_capacity(told.len());
    for field in arrow.schema().fields() {
        let name = field.name();
        let Some(column) = told.iter().find(|column| column.name == *name) else {
            return Err(nested_column(name, path));
        };
        match column.meaning {
            Meaning::Nested => return Err(nested_column(name, path)),
            Meaning::Int96 => {
                return Err(ScanError::Unsupported {
                    path: path.to_owned(),
                    place: Place::file().in_column(name),
                    what: "96-bit timestamps are not stored".to_owned(),
                    remedy:
                        "have the column written as TIMESTAMP, or write `mode: in-place` under \
                             assayStorage"
                            .to_owned(),
                });
            }
            Meaning::Text if *field.data_type() != DataType::Utf8 => {
                return Err(ScanError::Unsupported {
                    path: path.to_owned(),
                    place: Place::file().in_column(name),
                    what: format!(
                        "texts that are written as {} are not stored",
                        field.data_type()
                    ),
                    remedy: "have the column written as STRING, or write `mode: in-place` under \
                             assayStorage"
                        .to_owned(),
                });
            }
            _ => {}
        }
        let mut word = HashMap::from([(TYPE_TEXT.to_owned(), column.type_text.clone())]);
        if void.contains(name) {
            word.insert(VOID.to_owned(), String::new());
        }
        let data_type = field.data_type().clone();
        fields.push(Field::new(name, data_type, column.nullable).with_metadata(word));
    }
    let groups = row_groups(&metadata, slice.part, path)?;
    let chunks = groups.clone().flat_map(|g| metadata.row_group(g).columns());
    let bytes = chunks.map(|chunk| chunk.compressed_size().max(0).unsigned_abs());
    let bytes = bytes.fold(0, u64::saturating_add);
    let first = groups.start == 0;
    let kind = Kind::Parquet(Box::new(metadata), groups);
    Ok((Arc::new(Schema::new(fields)), bytes, first, kind))
}

/// The row groups of a slice.
pub(crate) fn row_groups(
    metadata: &ParquetMetaData,
    part: Part,
    path: &str,
) -> Result<std::ops::Range<usize>, ScanError> {
    let all = metadata.num_row_groups();
    match part {
        Part::Whole => Ok(0..all),
        Part::RowGroups { first, count } if first as usize + count as usize <= all => {
            Ok(first as usize..first as usize + count as usize)
        }
        _ => {
            let what = format!("another part was planned than its {all} row groups have");
            let path = path.to_owned();
            Err(ScanError::Changed { path, what })
        }
    }
}

/// The metadata with the types that the file itself states: what its writer had in memory (texts in
/// dictionaries, seconds) is none of them.
pub(crate) fn arrow_metadata(
    metadata: ParquetMetaData,
    path: &str,
) -> Result<ArrowReaderMetadata, ScanError> {
    guarded(path, &Place::file(), || {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        ArrowReaderMetadata::try_new(Arc::new(metadata), options)
            .map_err(|error| unreadable(path, &error))
    })
}

fn unreadable(path: &str, error: &ParquetError) -> ScanError {
    ScanError::corrupt(path, Place::file(), error.to_string())
}
