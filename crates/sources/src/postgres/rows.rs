//! The rows of ranges as batches, for whoever asks more of them than the metrics.
//!
//! In: ranges with the marks that the listing saw, and the columns that are asked for. Out: batches.
//! The rows of every range must be those that were listed, and a value that no type of Arrow has is
//! an error of whoever asks for its column: in a batch it would look like NULL.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use assay_model::partition::ObjectRef;
use assay_scan::error::{Place, ScanError};

use super::AtWork;
use super::decode::{Decoder, Odd};
use super::measure::{Wrong, digits};
use super::types::{Column, Reading};
use crate::table::batch::{Asked, Work};

/// What ends a copy of which no more rows are wanted.
const ENOUGH: &str = "enough";

impl AtWork<'_> {
    /// The columns whose values can be read.
    pub(super) fn columns(&mut self, ranges: &[ObjectRef]) -> Result<SchemaRef, ScanError> {
        let (works, scan) = (self.works_of(ranges)?, self.scan_plan());
        for work in &works {
            self.verified(work, &scan)?;
        }
        let mut fields = Vec::new();
        for column in &self.shape.columns {
            if column.reading == Reading::Counted {
                continue;
            }
            let mut found = None;
            if column.reading == Reading::Numeric {
                let (mut whole, mut scale) = (0, 0);
                for work in &works {
                    let (digits, own) =
                        digits(self.session, column, &work.rows_of())?.unwrap_or_default();
                    let left = i16::from(digits) - i16::from(own);
                    (whole, scale) = (left.max(whole), own.max(scale));
                }
                let digits = u8::try_from(whole + i16::from(scale)).ok();
                let digits = digits.filter(|digits| *digits <= 76);
                let digits = digits.ok_or_else(|| too_wide(column, self.address))?;
                found = Some((digits.max(1), scale));
            }
            let told = column.field(found);
            fields.push(Field::new(told.name(), told.data_type().clone(), true));
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// Reads the rows; `each` says whether more are wanted.
    pub(super) fn rows(
        &mut self,
        ranges: &[ObjectRef],
        asked: &SchemaRef,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let (works, scan) = (self.works_of(ranges)?, self.scan_plan());
        for work in works {
            self.context.check(&work.path)?;
            self.verified(&work, &scan)?;
            if !self.copied(&work, asked, each)? {
                break;
            }
            self.context.progress.add_bytes(work.bytes);
        }
        Ok(())
    }

    /// Copies the rows of one statement; whether more are wanted.
    fn copied(
        &mut self,
        work: &Work,
        asked: &SchemaRef,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<bool, ScanError> {
        let mut columns: Vec<&Column> = Vec::with_capacity(asked.fields().len());
        for field in asked.fields() {
            columns.push(self.shape.column(field.name(), self.address)?);
        }
        let corrupt = |what: String| ScanError::corrupt(&work.path, Place::file(), what);
        let mut decoder = Decoder::new(asked).map_err(corrupt)?;
        decoder.row_bytes = self.session.row_bytes();
        let values: Vec<String> = columns.iter().map(|column| column.expression()).collect();
        let statement = format!(
            "COPY (SELECT {} {}) TO STDOUT (FORMAT binary)",
            values.join(", "),
            work.rows_of()
        );
        let (mut rows, mut is_enough, mut odd) = (0, false, None);
        let (context, address) = (self.context, self.address);
        let ended = self.session.copy_out(&statement, |piece| {
            let mut ready = Vec::new();
            let mut take = |batch: RecordBatch| {
                ready.push(batch);
                Ok(())
            };
            let added = decoder.add::<Wrong>(piece, &mut take);
            decoder.wide.clear();
            added.map_err(|wrong| wrong.at(&work.path))?;
            let wrong = |_| Wrong::from(ENOUGH.to_owned()).at(&work.path);
            // Before anybody takes what looks like NULL for one: reading may end with this batch.
            if let Err(error) = plain(&columns, &decoder.odd, address) {
                odd = Some(error);
                return Err(wrong(()));
            }
            for batch in ready {
                rows += batch.num_rows() as u64;
                context.progress.add_rows(batch.num_rows() as u64);
                if !each(batch) {
                    is_enough = true;
                    return Err(wrong(()));
                }
            }
            Ok(())
        });
        if let Some(odd) = odd {
            return Err(odd);
        }
        if is_enough {
            return Ok(false);
        }
        ended?;
        let last = decoder.finish().map_err(corrupt)?;
        rows += last.num_rows() as u64;
        if rows != work.expected.rows {
            let what = format!("{rows} rows were copied of {}", work.expected.rows);
            return Err(corrupt(what));
        }
        plain(&columns, &decoder.odd, address)?;
        Ok(each(last))
    }
}

fn too_wide(column: &Column, address: &str) -> ScanError {
    ScanError::Unsupported {
        path: address.to_owned(),
        place: Place::file().in_column(&column.name),
        what: "its numbers need more than 76 digits".to_owned(),
        remedy: "declare the column `numeric(p, s)` with fewer, or leave it out by a view"
            .to_owned(),
    }
}

/// Refuses values that the batches could not show.
fn plain(columns: &[&Column], odd: &[Odd], address: &str) -> Result<(), ScanError> {
    for (column, odd) in columns.iter().zip(odd) {
        if odd.wide > 0 {
            return Err(too_wide(column, address));
        }
        if odd.count() > 0 {
            return Err(ScanError::Unsupported {
                path: address.to_owned(),
                place: Place::file().in_column(&column.name),
                what: "some of its values are infinite or NaN, which SQL over rows cannot hold in \
                       this type"
                    .to_owned(),
                remedy: "ask no query of this column, or leave such rows out by a view".to_owned(),
            });
        }
    }
    Ok(())
}
