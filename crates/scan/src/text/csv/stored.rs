//! Delimited text on its way to storage and back.
//!
//! In: a part of an object. Out: its fields as columns of texts, as they were written, with NULL
//! where a field means that. And back: delimited text that storage gives, measured as a file of the
//! same records is, so that what is no number stays a text and what is stays as it was written.

use std::cell::Cell;
use std::io::Read;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use assay_metrics::TableState;
use assay_model::dataset::Dataset;
use assay_model::partition::Partition;

use super::{Csv, Measure, Rows, columns_of, field, header, marks, measured, open};
use crate::compress::Plain;
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;
use crate::text::records::BOM;

/// What a stream is called, where an object is asked for.
struct Named<'a>(&'a str);

impl ReadAt for Named<'_> {
    fn path(&self) -> &str {
        self.0
    }

    fn size(&self) -> u64 {
        0
    }

    fn read_exact_at(&self, _: u64, _: &mut [u8]) -> Result<(), ScanError> {
        let what = "a stream is read once, from its beginning";
        Err(ScanError::corrupt(self.0, Place::file(), what))
    }
}

/// Measures delimited text that comes as a stream, with its header if the format has one, as an
/// object with the same bytes is. `failed` is where the stream leaves its own error.
///
/// # Errors
/// [`ScanError`] when it cannot be read to its end.
pub fn measure_stream<'a>(
    dataset: &'a Dataset,
    partition: &'a Partition,
    path: &'a str,
    stream: Box<dyn Read + 'a>,
    failed: &'a Cell<Option<ScanError>>,
    context: &'a ScanContext,
) -> Result<TableState, ScanError> {
    let named = Named(path);
    let plain = Plain::of_stream(path, stream, failed);
    let csv = Csv {
        blocks: crate::text::lines::Blocks::of_stream(&named, plain, context),
        marks: marks(&dataset.source.format, path)?,
        positions: Vec::new(),
        rows: Rows::default(),
        whole: 0,
    };
    let only = std::slice::from_ref(partition);
    let mut states = measured(csv, dataset, only, &named, true, context)?;
    Ok(states.remove(&partition.key).unwrap_or_default())
}

/// Reads a part of an object; every block of records as columns of texts. `schema` is that of
/// [`header`].
///
/// # Errors
/// [`ScanError`] when the part cannot be read to its end; that of `take`.
pub fn columns(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    range: (u64, u64),
    schema: &SchemaRef,
    context: &ScanContext,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let failed = Cell::new(None);
    let mut csv = open(dataset, reader, range, context, &failed)?;
    let mut more = csv.next()?;
    let mut skip = 0;
    let mut names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    if range.0 == 0 {
        if !more && dataset.source.format.header {
            let what = "the file is empty: it lacks even the header";
            return Err(ScanError::corrupt(reader.path(), Place::byte(0), what));
        }
        let first = if more {
            Some(csv.first_record()?)
        } else {
            None
        };
        (names, skip) = columns_of(dataset, reader, first)?;
    }
    let mut measure = Measure::new(dataset, &[], names, reader)?;
    if range.0 == 0 && skip == 0 && more && csv.blocks.bytes().starts_with(BOM) {
        csv.whole = BOM.len();
        more = csv.next()?;
    }
    while more {
        csv.split(measure.table.names.len().max(1), skip)?;
        skip = 0;
        measure.unquote_all(&csv)?;
        take(&batch(&csv, &measure, schema, reader.path())?)?;
        more = csv.next()?;
    }
    Ok(())
}

/// The records of a block as columns.
fn batch(
    csv: &Csv<'_>,
    measure: &Measure<'_>,
    schema: &SchemaRef,
    path: &str,
) -> Result<RecordBatch, ScanError> {
    let rows = csv.rows.len();
    let corrupt = |what: String| ScanError::corrupt(path, Place::file(), what);
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(measure.table.names.len());
    for column in 0..measure.table.names.len() {
        let mut texts = StringBuilder::with_capacity(rows, rows * 8);
        for row in 0..rows {
            match field(csv, &measure.cells, &measure.nulls, row, column) {
                None => texts.append_null(),
                Some(bytes) => {
                    let text = std::str::from_utf8(bytes);
                    texts.append_value(text.map_err(|e| corrupt(e.to_string()))?);
                }
            }
        }
        arrays.push(Arc::new(texts.finish()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
        .map_err(|error| corrupt(error.to_string()))
}

/// The names of the columns of an object, as [`columns`] gives them.
///
/// # Errors
/// [`ScanError`] when the first record cannot be read.
pub fn names(
    dataset: &Dataset,
    reader: &dyn ReadAt,
    context: &ScanContext,
) -> Result<Vec<String>, ScanError> {
    header(dataset, reader, context)
}
