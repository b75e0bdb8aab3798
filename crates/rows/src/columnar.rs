//! Avro and Arrow files as batches.
//!
//! In: objects of a listing. Out: batches of the columns asked for, from the readers that the
//! metrics read by.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use assay_scan::columnar;
use assay_scan::object::ReadAt;
use assay_scan::{ScanContext, ScanError};

use super::{Agreed, Files, Rows, picked, projected};

/// A partition of Avro or Arrow files.
#[derive(Debug)]
pub(super) struct Columnar {
    files: Files,
    schema: SchemaRef,
}

impl Columnar {
    pub(super) fn open(files: Files, context: &ScanContext) -> Result<Self, ScanError> {
        let mut agreed = Agreed::default();
        for object in &files.list {
            let reader = files.objects.reader(object)?;
            let kind = files.dataset.source.format.kind;
            let own = columnar::read(kind, &reader, context, &mut |_| Ok(false))?;
            agreed.take(own, reader.path())?;
        }
        let schema = agreed.schema();
        Ok(Self { files, schema })
    }
}

impl Rows for Columnar {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    fn read(
        &self,
        columns: &[usize],
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        let schema = projected(&self.schema, columns)?;
        for object in &self.files.list {
            let reader = self.files.objects.reader(object)?;
            let kind = self.files.dataset.source.format.kind;
            let mut wanted = true;
            columnar::read(kind, &reader, context, &mut |batch| {
                context.progress.add_rows(batch.num_rows() as u64);
                wanted = each(picked(&schema, batch, reader.path())?);
                Ok(wanted)
            })?;
            if !wanted {
                break;
            }
            reader.verify_unchanged()?;
        }
        Ok(())
    }
}
