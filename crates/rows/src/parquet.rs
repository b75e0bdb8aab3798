//! Parquet files as batches.
//!
//! In: objects of a listing. Out: batches of the columns asked for. The files of a partition must
//! agree in their columns: a column that is a number here and a text there has no one type.
//!
//! INT96, a type of old writers, is an instant. Its nanoseconds leave 64 bits in the year 2262 and
//! wrap to dates that look right, so that it is read in microseconds; what leaves those, too, is
//! an error of its column.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{
    DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType,
};
use arrow::record_batch::RecordBatch;
use assay_model::partition::ObjectRef;
use assay_scan::error::Place;
use assay_scan::object::ReadAt;
use assay_scan::object::parquet::Chunks;
use assay_scan::{ScanContext, ScanError};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Type as PhysicalType;
use parquet::errors::ParquetError;

use super::{Agreed, BATCH_ROWS, Files, Rows, picked, projected};

/// A partition of Parquet files.
#[derive(Debug)]
pub(super) struct Parquet {
    files: Files,
    schema: SchemaRef,
}

type Builder = ParquetRecordBatchReaderBuilder<Chunks>;

/// Opens a file with its INT96 columns in `unit`; gives their names, too.
fn builder(chunks: Chunks, unit: TimeUnit) -> Result<(Builder, Vec<String>), ParquetError> {
    let read = ArrowReaderMetadata::load(&chunks, ArrowReaderOptions::new())?;
    let roots = read.parquet_schema().root_schema().get_fields();
    let old = roots
        .iter()
        .filter(|root| root.is_primitive() && root.get_physical_type() == PhysicalType::INT96);
    let old: Vec<String> = old.map(|root| root.name().to_owned()).collect();
    if old.is_empty() {
        return Ok((Builder::new_with_metadata(chunks, read), old));
    }
    let field = |field: &Arc<Field>| match old.contains(field.name()) {
        true => {
            let of = DataType::Timestamp(unit, Some("UTC".into()));
            Arc::new(field.as_ref().clone().with_data_type(of))
        }
        false => Arc::clone(field),
    };
    let fields: Vec<_> = read.schema().fields().iter().map(field).collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    let read = ArrowReaderMetadata::try_new(Arc::clone(read.metadata()), options)?;
    Ok((Builder::new_with_metadata(chunks, read), old))
}

/// Refuses instants whose microseconds left 64 bits: `coarse` are the same in milliseconds, which
/// none of INT96 leaves.
fn verify_instants(fine: &RecordBatch, coarse: &RecordBatch, path: &str) -> Result<(), ScanError> {
    for (field, coarse) in coarse.schema().fields().iter().zip(coarse.columns()) {
        let Some(fine) = fine.column_by_name(field.name()) else {
            continue;
        };
        let fine = fine.as_primitive::<TimestampMicrosecondType>();
        let coarse = coarse.as_primitive::<TimestampMillisecondType>();
        let is_same = |(fine, coarse): (Option<i64>, Option<i64>)| match (fine, coarse) {
            (Some(fine), Some(coarse)) => {
                // A part of a millisecond may have been cut on either side of it.
                fine.div_euclid(1000).abs_diff(coarse) <= 1
            }
            (fine, coarse) => fine == coarse,
        };
        if !fine.iter().zip(coarse).all(is_same) {
            return Err(ScanError::Unsupported {
                path: path.to_owned(),
                place: Place::file().in_column(field.name()),
                what: "it has an instant beyond the year 294246".to_owned(),
                remedy: "have the file written with the type TIMESTAMP, or ask no query of this \
                         column"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

fn unreadable(path: &str, error: &ParquetError) -> ScanError {
    ScanError::corrupt(path, Place::file(), error.to_string())
}

/// The INT96 columns `asked` of a file in milliseconds.
fn coarse(chunks: Chunks, asked: &[String]) -> Result<ParquetRecordBatchReader, ParquetError> {
    let (builder, _) = builder(chunks, TimeUnit::Millisecond)?;
    let roots = builder.schema().fields().iter().enumerate();
    let roots = roots.filter(|(_, field)| asked.contains(field.name()));
    let roots: Vec<usize> = roots.map(|(at, _)| at).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let builder = builder.with_projection(mask);
    builder.with_batch_size(BATCH_ROWS).build()
}

impl Parquet {
    pub(super) fn open(files: Files) -> Result<Self, ScanError> {
        let mut agreed = Agreed::default();
        for object in &files.list {
            let reader = files.objects.reader(object)?;
            let path = reader.path().to_owned();
            let builder = builder(Chunks(Arc::new(reader)), TimeUnit::Microsecond);
            let (builder, _) = builder.map_err(|error| unreadable(&path, &error))?;
            agreed.take(Arc::clone(builder.schema()), &path)?;
        }
        let schema = agreed.schema();
        Ok(Self { files, schema })
    }

    /// Reads a file; whether more are wanted.
    fn file(
        &self,
        object: &ObjectRef,
        schema: &SchemaRef,
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<bool, ScanError> {
        let reader = Arc::new(self.files.objects.reader(object)?);
        let path = reader.path();
        let broken = |error: &ParquetError| unreadable(path, error);
        let opened = builder(Chunks(Arc::clone(&reader)), TimeUnit::Microsecond);
        let (builder, old) = opened.map_err(|e| broken(&e))?;
        let is_asked = |name: &String| schema.column_with_name(name).is_some();
        let mut coarse = match old.iter().any(is_asked) {
            true => {
                let asked: Vec<String> = old.into_iter().filter(is_asked).collect();
                let again = coarse(Chunks(Arc::clone(&reader)), &asked);
                Some(again.map_err(|e| broken(&e))?)
            }
            false => None,
        };
        // The roots of this file, whose order may be another than that of the first.
        let own = Arc::clone(builder.schema());
        let root = |field: &Arc<Field>| own.index_of(field.name()).ok();
        let roots: Vec<usize> = schema.fields().iter().filter_map(root).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build();
        for batch in batches.map_err(|e| broken(&e))? {
            context.check(path)?;
            let batch = batch
                .map_err(|error| ScanError::corrupt(path, Place::file(), error.to_string()))?;
            if let Some(coarse) = coarse.as_mut().and_then(Iterator::next) {
                let coarse = coarse
                    .map_err(|error| ScanError::corrupt(path, Place::file(), error.to_string()))?;
                verify_instants(&batch, &coarse, path)?;
            }
            context.progress.add_rows(batch.num_rows() as u64);
            if !each(picked(schema, &batch, path)?) {
                return Ok(false);
            }
        }
        reader.verify_unchanged()?;
        Ok(true)
    }
}

impl Rows for Parquet {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let schema = projected(&self.schema, columns)?;
        for object in &self.files.list {
            if !self.file(object, &schema, context, each)? {
                break;
            }
        }
        Ok(())
    }
}
