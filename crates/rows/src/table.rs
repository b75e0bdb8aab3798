//! Rows of a database's table as batches.
//!
//! In: ranges of rows of a listing. Out: batches of the columns asked for, read in one transaction
//! that sees one state of the database, and held to what the listing showed.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use assay_model::dataset::Dataset;
use assay_model::partition::ObjectRef;
use assay_scan::reach;
use assay_scan::{ScanContext, ScanError};

use super::{Rows, projected};

/// A partition of a table.
pub(super) struct Table {
    table: Arc<dyn reach::Table>,
    dataset: Dataset,
    list: Vec<ObjectRef>,
    schema: SchemaRef,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.table)
    }
}

impl Table {
    pub(super) fn open(
        dataset: &Dataset,
        list: &[ObjectRef],
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        let reach = context.reach(&dataset.source.location.address())?;
        let table = reach.table(&dataset.source)?;
        let schema = table.columns(dataset, list, context)?;
        Ok(Self {
            table,
            dataset: dataset.clone(),
            list: list.to_vec(),
            schema,
        })
    }
}

impl Rows for Table {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let asked = projected(&self.schema, columns)?;
        self.table
            .rows(&self.dataset, &self.list, &asked, context, each)
    }
}
