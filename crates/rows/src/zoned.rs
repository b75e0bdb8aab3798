//! Instants in the zone of the dataset.
//!
//! In: rows whose columns of instants say any zone, as their writers did. Out: the same instants,
//! all of which say the zone of the dataset, so that the day of a row is the same in every format.
//! No value changes. A time without a zone stays one.

use std::sync::Arc;

use arrow::array::{ArrayRef, make_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use assay_scan::error::Place;
use assay_scan::{ScanContext, ScanError};

use super::{Rows, batch_of};

/// Rows that say the zone of their dataset.
#[derive(Debug)]
pub(super) struct Zoned {
    rows: Arc<dyn Rows>,
    schema: SchemaRef,
}

/// The same rows in this zone.
pub(super) fn zoned(rows: Arc<dyn Rows>, zone: &str) -> Arc<dyn Rows> {
    let own = rows.schema();
    let zone: Arc<str> = zone.into();
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Timestamp(unit, Some(said)) if *said != zone => {
            let of = DataType::Timestamp(*unit, Some(Arc::clone(&zone)));
            Arc::new(field.as_ref().clone().with_data_type(of))
        }
        _ => Arc::clone(field),
    };
    let fields: Vec<_> = own.fields().iter().map(field).collect();
    let schema = Arc::new(Schema::new(fields));
    if schema.fields() == own.fields() {
        return rows;
    }
    Arc::new(Zoned { rows, schema })
}

fn said(column: &ArrayRef, of: &DataType) -> Result<ArrayRef, ScanError> {
    if column.data_type() == of {
        return Ok(Arc::clone(column));
    }
    let data = column.to_data().into_builder().data_type(of.clone());
    let data = data
        .build()
        .map_err(|error| ScanError::corrupt("a query", Place::file(), error.to_string()))?;
    Ok(make_array(data))
}

impl Rows for Zoned {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let schema = super::projected(&self.schema, columns)?;
        let mut failed = None;
        self.rows.read(columns, context, &mut |batch| {
            let fields = schema.fields().iter();
            let columns = batch.columns().iter().zip(fields);
            let columns = columns.map(|(column, field)| said(column, field.data_type()));
            let said = columns.collect::<Result<Vec<_>, _>>();
            let said = said.and_then(|all| batch_of(&schema, all, batch.num_rows(), "a query"));
            match said {
                Ok(batch) => each(batch),
                Err(error) => {
                    failed = Some(error);
                    false
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }
}
