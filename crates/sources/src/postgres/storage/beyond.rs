//! Rows of a table of another kind of database on their way into storage.
//!
//! In: a batch of a table of MySQL. Out: its columns as storage keeps them, then its rows as binary
//! COPY takes them. What differs from the listing is an error, and so is a value that storage cannot
//! hold, such as a date that no calendar has.

use arrow_schema::SchemaRef;
use assay_model::dataset::Dataset;
use assay_model::source::Database;
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::error::ScanError;
use assay_scan::reach::Access;

use super::super::session::CopyIn;
use super::bookkeeping::Part;
use super::kept::Kept;
use super::source::{refused, send};
use crate::mysql::MysqlTable;

/// A table.
pub(super) struct BeyondSource<'a> {
    table: MysqlTable,
    dataset: &'a Dataset,
    spec: &'a MeasureSpec,
    context: &'a ScanContext,
    schema: SchemaRef,
    address: String,
    pub(super) columns: Vec<Kept>,
}

impl<'a> BeyondSource<'a> {
    /// Looks at the columns of the table.
    pub(super) fn open(
        dataset: &'a Dataset,
        of: &Database,
        spec: &'a MeasureSpec,
        access: &Access,
        context: &'a ScanContext,
    ) -> Result<Self, ScanError> {
        let table = MysqlTable::new(&dataset.source, of, access)?;
        let schema = table.stored_columns(dataset, context)?;
        let address = of.address();
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                Kept::of_field(field).map_err(|what| refused(&address, field.name(), what))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            table,
            dataset,
            spec,
            context,
            schema,
            address,
            columns,
        })
    }

    /// Sends every row.
    pub(super) fn copy(&self, copy: &mut CopyIn<'_>) -> Result<Vec<Part>, ScanError> {
        let places: Vec<Option<usize>> = (0..self.columns.len()).map(Some).collect();
        let most = copy.row_bytes();
        let mut before = 0;
        let mut put = |batch: arrow_array::RecordBatch| {
            send(&batch, &places, copy, &self.address, before, most)?;
            before += batch.num_rows() as u64;
            Ok(())
        };
        let given = self.table.stored(
            self.dataset,
            self.spec,
            &self.schema,
            self.context,
            &mut put,
        )?;
        let part = |(rows, bytes)| Part {
            rows,
            bytes,
            first: true,
            columns: None,
        };
        Ok(given.into_iter().map(part).collect())
    }
}
