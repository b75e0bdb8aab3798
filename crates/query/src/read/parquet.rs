//! Parquet files as batches.
//!
//! In: objects of a listing. Out: batches of the columns asked for. The files of a partition must
//! agree in their columns: a column that is a number here and a text there has no one type.

use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatchOptions;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use assay_scan::error::Place;
use assay_scan::object::{ObjectReader, ReadAt};
use assay_scan::{ScanContext, ScanError};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::{BATCH_ROWS, Files, Rows};

/// A pinned object as the Parquet reader sees it.
#[derive(Clone)]
struct Chunks(Arc<ObjectReader>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

/// Reads on from an offset.
struct From {
    chunks: Chunks,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.chunks.len().saturating_sub(self.at);
        let room = (buffer.len() as u64).min(left) as usize;
        let into = &mut buffer[..room];
        self.chunks.0.read_exact_at(self.at, into).map_err(std::io::Error::other)?;
        self.at += room as u64;
        Ok(room)
    }
}

impl ChunkReader for Chunks {
    type T = std::io::BufReader<From>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let chunks = self.clone();
        Ok(std::io::BufReader::new(From { chunks, at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.len()) {
            return Err(ParquetError::EOF("a range beyond the end of the file".to_owned()));
        }
        let mut bytes = vec![0; length];
        self.0
            .read_exact_at(start, &mut bytes)
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(bytes.into())
    }
}

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
        let mut schema: Option<(SchemaRef, String)> = None;
        for object in &files.list {
            let reader = files.objects.reader(object)?;
            let name = reader.path().to_owned();
            let builder = Builder::try_new(Chunks(Arc::new(reader)));
            let own = Arc::clone(builder.map_err(|error| unreadable(&name, &error))?.schema());
            match &schema {
                None => schema = Some((own, name)),
                Some((first, of)) => agree(first, of, &own, &name)?,
            }
        }
        let schema = schema.map_or_else(|| Arc::new(arrow::datatypes::Schema::empty()), |(own, _)| own);
        // Keys and values that writers leave in a schema are none of the engine's business.
        let fields: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.as_ref().clone().with_metadata(Default::default()).with_nullable(true))
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        Ok(Self { files, schema })
    }
}

fn agree(first: &SchemaRef, of: &str, own: &SchemaRef, name: &str) -> Result<(), ScanError> {
    let told = |what: String| ScanError::Unsupported {
        path: name.to_owned(),
        place: Place::file(),
        what,
        remedy: "write the files of one partition with the same columns".to_owned(),
    };
    for field in first.fields() {
        match own.field_with_name(field.name()) {
            Err(_) => return Err(told(format!("it lacks the column {:?} of {of}", field.name()))),
            Ok(other) if other.data_type() != field.data_type() => {
                return Err(told(format!(
                    "its column {:?} is {}, and that of {of} is {}",
                    field.name(),
                    other.data_type(),
                    field.data_type()
                )));
            }
            Ok(_) => {}
        }
    }
    match own.fields().iter().find(|field| first.field_with_name(field.name()).is_err()) {
        Some(more) => Err(told(format!("it has a column {:?}, which {of} lacks", more.name()))),
        None => Ok(()),
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
        let projected = self.schema.project(columns);
        let projected = Arc::new(projected.map_err(|error| {
            ScanError::corrupt("a projection", Place::file(), error.to_string())
        })?);
        for object in &self.files.list {
            let reader = Arc::new(self.files.objects.reader(object)?);
            let name = reader.path().to_owned();
            let broken = |error: &ParquetError| unreadable(&name, error);
            let builder = Builder::try_new(Chunks(Arc::clone(&reader))).map_err(|e| broken(&e))?;
            let own = Arc::clone(builder.schema());
            // The roots of this file, whose order may be another than that of the first.
            let mut roots = Vec::with_capacity(columns.len());
            for column in columns {
                let name = self.schema.field(*column).name();
                roots.push(own.index_of(name).map_err(|_| ScanError::Changed {
                    path: reader.path().to_owned(),
                    what: format!("its column {name:?} is gone"),
                })?);
            }
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied());
            let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
            for batch in batches.map_err(|e| broken(&e))? {
                context.check(&name)?;
                let batch = batch.map_err(|error| {
                    ScanError::corrupt(&name, Place::file(), error.to_string())
                })?;
                context.progress.add_rows(batch.num_rows() as u64);
                let arrays = projected
                    .fields()
                    .iter()
                    .filter_map(|field| batch.column_by_name(field.name()).cloned())
                    .collect();
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let batch = RecordBatch::try_new_with_options(Arc::clone(&projected), arrays, &options);
                let batch = batch.map_err(|error| {
                    ScanError::corrupt(&name, Place::file(), error.to_string())
                })?;
                if !each(batch) {
                    return Ok(());
                }
            }
            reader.verify_unchanged()?;
        }
        Ok(())
    }
}
