//! Parquet files as batches.
//!
//! In: objects of a listing. Out: batches of the columns asked for. The files of a partition must
//! agree in their columns: a column that is a number here and a text there has no one type.

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use assay_model::partition::ObjectRef;
use assay_scan::error::Place;
use assay_scan::object::ReadAt;
use assay_scan::object::parquet::Chunks;
use assay_scan::{ScanContext, ScanError};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{Agreed, BATCH_ROWS, Files, Rows, picked, projected};

/// A partition of Parquet files.
#[derive(Debug)]
pub(super) struct Parquet {
    files: Files,
    schema: SchemaRef,
}

type Builder = ParquetRecordBatchReaderBuilder<Chunks>;

fn unreadable(path: &str, error: &ParquetError) -> ScanError {
    ScanError::corrupt(path, Place::file(), error.to_string())
}

impl Parquet {
    pub(super) fn open(files: Files) -> Result<Self, ScanError> {
        let mut agreed = Agreed::default();
        for object in &files.list {
            let reader = files.objects.reader(object)?;
            let path = reader.path().to_owned();
            let builder = Builder::try_new(Chunks(Arc::new(reader)));
            let builder = builder.map_err(|error| unreadable(&path, &error))?;
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
        let builder = Builder::try_new(Chunks(Arc::clone(&reader))).map_err(|e| broken(&e))?;
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
