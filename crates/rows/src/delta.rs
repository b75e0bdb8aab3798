//! Rows of a Delta table as batches.
//!
//! In: files of a plan, each pinned to one version of the table. Out: batches of the table's
//! columns, as the metrics see them: without deleted rows, with the columns that the log holds.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use assay_model::partition::{ObjectRef, Part};
use assay_scan::delta::Table;
use assay_scan::{ScanContext, ScanError};

use super::{Files, Rows, projected};

/// A partition of a Delta table.
#[derive(Debug)]
pub(super) struct Delta {
    table: Table,
    list: Vec<ObjectRef>,
    schema: SchemaRef,
}

impl Delta {
    pub(super) fn open(files: Files, context: &ScanContext) -> Result<Self, ScanError> {
        let table = Table::open(&files.objects, &files.list, context)?;
        Ok(Self {
            schema: table.rows_schema(),
            table,
            list: files.list,
        })
    }
}

impl Rows for Delta {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        // What is asked for is there.
        projected(&self.schema, columns)?;
        let mut wanted = true;
        for object in &self.list {
            let whole = Part::Whole;
            self.table
                .read(object, whole, columns, context, &mut |batch| {
                    context.progress.add_rows(batch.num_rows() as u64);
                    wanted = each(batch);
                    Ok(wanted)
                })?;
            if !wanted {
                break;
            }
        }
        Ok(())
    }
}
