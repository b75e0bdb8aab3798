//! The rows of one partition among those of others.
//!
//! In: typed rows of files whose key column tells the partitions apart. Out: those of one partition,
//! by the key that the metrics cut of the same value.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use assay_model::dataset::{Dataset, Layout};
use assay_model::partition::PartitionKey;
use assay_scan::columnar::Picker;
use assay_scan::error::Place;
use assay_scan::{ScanContext, ScanError};
use std::sync::Arc;

use super::{Rows, projected};

/// Rows of which those of one partition are kept.
#[derive(Debug)]
pub(super) struct Picked {
    rows: Arc<dyn Rows>,
    dataset: Dataset,
    address: String,
    key: PartitionKey,
    /// Where the key is.
    at: usize,
}

impl Picked {
    pub(super) fn new(
        dataset: &Dataset,
        rows: Arc<dyn Rows>,
        key: PartitionKey,
    ) -> Result<Self, ScanError> {
        let address = dataset.source.location.address();
        let schema = rows.schema();
        // It says so when the column is not there.
        Picker::new(dataset, &schema, &address)?;
        let at = match &dataset.partitions.layout {
            Layout::Column { column, .. } => schema.index_of(column).ok(),
            _ => None,
        };
        let lost = || ScanError::corrupt(&address, Place::file(), "it has no key column");
        Ok(Self {
            at: at.ok_or_else(lost)?,
            rows,
            dataset: dataset.clone(),
            address,
            key,
        })
    }
}

impl Rows for Picked {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let mut with_key = columns.to_vec();
        if !columns.contains(&self.at) {
            with_key.push(self.at);
        }
        let asked: Vec<usize> = (0..columns.len()).collect();
        let schema = projected(&self.rows.schema(), &with_key)?;
        let lost = || ScanError::corrupt(&self.address, Place::file(), "it has no key column");
        let picker = Picker::new(&self.dataset, &schema, &self.address)?.ok_or_else(lost)?;
        let mut before = 0;
        let mut failed = None;
        self.rows.read(&with_key, context, &mut |batch| {
            let own = picker.pick(&batch, before, &self.address, &self.key);
            before += batch.num_rows() as u64;
            let kept = own.and_then(|own| {
                let Some(own) = own else {
                    return Ok(true);
                };
                let own = own.project(&asked).map_err(|error| {
                    ScanError::corrupt(&self.address, Place::file(), error.to_string())
                })?;
                Ok(each(own))
            });
            kept.unwrap_or_else(|error| {
                failed = Some(error);
                false
            })
        })?;
        failed.map_or(Ok(()), Err)
    }
}
