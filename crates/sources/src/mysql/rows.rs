//! The rows of ranges as batches, for whoever asks more of them than the metrics.
//!
//! In: ranges with the marks that the listing saw, and the columns that are asked for. Out: batches.
//! The rows of every range must be those that were listed, and a value that no type of Arrow has is
//! an error of whoever asks for its column: in a batch it would look like NULL.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use assay_model::partition::{ObjectRef, ObjectSlice};
use assay_scan::error::{Place, ScanError};

use super::AtWork;
use super::types::{Column, Reading};
use crate::table::batch::{Asked, Work};
use crate::table::odd::Odd;

impl AtWork<'_> {
    /// The columns whose values can be read.
    pub(super) fn columns(&mut self, ranges: &[ObjectRef]) -> Result<SchemaRef, ScanError> {
        let scan = self.scan_plan();
        for work in self.works_of(ranges)? {
            self.verified(&work, &scan)?;
        }
        let columns = self.shape.columns.iter();
        let fields: Vec<_> = columns
            .filter(|column| column.reading != Reading::Counted)
            .map(|column| column.field(None).with_nullable(true))
            .collect();
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Reads the rows; `each` says whether more are wanted.
    pub(super) fn rows(
        &mut self,
        ranges: &[ObjectRef],
        asked: &SchemaRef,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let progress = Arc::clone(&self.context.progress);
        let mut counted = |batch: RecordBatch| {
            progress.add_rows(batch.num_rows() as u64);
            Ok(each(batch))
        };
        for work in self.works_of(ranges)? {
            if self.given(&work, asked, &mut counted)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Reads all columns of all rows of a batch, for whoever stores them; how many rows and bytes
    /// each statement gave.
    pub(super) fn stored(
        &mut self,
        slices: &[ObjectSlice],
        asked: &SchemaRef,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), ScanError>,
    ) -> Result<Vec<(u64, u64)>, ScanError> {
        let mut given = Vec::new();
        for work in self.works(slices)? {
            let rows = self.given(&work, asked, &mut |batch| each(batch).map(|()| true))?;
            given.push((rows.unwrap_or_default(), work.bytes));
        }
        Ok(given)
    }

    /// Gives the rows of one statement; how many there were, `None` if not all were wanted.
    fn given(
        &mut self,
        work: &Work,
        asked: &SchemaRef,
        each: &mut dyn FnMut(RecordBatch) -> Result<bool, ScanError>,
    ) -> Result<Option<u64>, ScanError> {
        self.context.check(&work.path)?;
        let scan = self.scan_plan();
        self.verified(work, &scan)?;
        let shape = self.shape;
        let mut columns: Vec<&Column> = Vec::with_capacity(asked.fields().len());
        for field in asked.fields() {
            columns.push(shape.column(field.name(), self.address)?);
        }
        let (mut rows, address) = (0, self.address);
        let read = self.batches(work, &columns, asked, |batch, odd| {
            // Before anybody takes what looks like NULL for one: reading may end with this batch.
            plain(&columns, odd, address)?;
            rows += batch.num_rows() as u64;
            each(batch)
        })?;
        if read.is_none() {
            return Ok(None);
        }
        if rows != work.expected.rows {
            let what = format!("{rows} rows were read of {}", work.expected.rows);
            return Err(ScanError::corrupt(&work.path, Place::file(), what));
        }
        self.still(work)?;
        self.context.progress.add_bytes(work.bytes);
        Ok(Some(rows))
    }
}

/// Refuses values that the batches could not show.
fn plain(columns: &[&Column], odd: &[Odd], address: &str) -> Result<(), ScanError> {
    for (column, odd) in columns.iter().zip(odd) {
        if odd.count() > 0 {
            return Err(ScanError::Unsupported {
                path: address.to_owned(),
                place: Place::file().in_column(&column.name),
                what: "some of its values are no date or time of day, such as 0000-00-00 or \
                       31:00:00, which rows cannot hold in this type"
                    .to_owned(),
                remedy: "ask for rows without this column, or have a view tell such values as \
                         NULL or as texts"
                    .to_owned(),
            });
        }
    }
    Ok(())
}
