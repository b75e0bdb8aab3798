//! Tables that read exactly the files of a request.
//!
//! In: a definition and the objects of a listing. Out: a table of the engine whose scan reads the
//! columns that are asked for, from objects that are held to what the listing showed before and
//! after. No folder is listed, and nothing is opened that the request does not name. A scan ends
//! with all rows or with an error: a reader that breaks off is never taken for the end.

use std::sync::{Arc, Mutex};

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use assay_scan::{ScanContext, ScanError};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};

use crate::threads;
use assay_rows::Rows;

/// Batches that wait for the engine at most.
const AHEAD: usize = 2;

/// Why reading failed, for whoever asked: the engine passes errors on as texts.
pub(crate) type Failed = Arc<Mutex<Option<ScanError>>>;

/// A table over files.
#[derive(Debug)]
pub(crate) struct FileTable {
    rows: Arc<dyn Rows>,
    schema: SchemaRef,
    context: ScanContext,
    failed: Failed,
}

impl FileTable {
    /// A table of what `rows` reads.
    pub(crate) fn new(rows: Arc<dyn Rows>, context: ScanContext, failed: Failed) -> Self {
        Self {
            schema: rows.schema(),
            rows,
            context,
            failed,
        }
    }
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema.fields().len()).collect();
        let columns = projection.cloned().unwrap_or_else(all);
        let schema: SchemaRef = Arc::new(self.schema.project(&columns)?);
        let stream = Stream {
            rows: Arc::clone(&self.rows),
            columns,
            schema: Arc::clone(&schema),
            context: self.context.clone(),
            failed: Arc::clone(&self.failed),
        };
        let exec =
            StreamingTableExec::try_new(schema, vec![Arc::new(stream)], None, [], false, limit)?;
        Ok(Arc::new(exec))
    }
}

#[derive(Debug)]
struct Stream {
    rows: Arc<dyn Rows>,
    columns: Vec<usize>,
    schema: Arc<Schema>,
    context: ScanContext,
    failed: Failed,
}

/// What a reading thread sends.
enum Sent {
    Batch(RecordBatch),
    End,
}

impl PartitionStream for Stream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (sender, receiver) = tokio::sync::mpsc::channel(AHEAD);
        let (rows, columns) = (Arc::clone(&self.rows), self.columns.clone());
        let (context, failed) = (self.context.clone(), Arc::clone(&self.failed));
        let read = move || {
            let mut gone = false;
            let ended = rows.read(&columns, &context, &mut |batch| {
                gone = sender.blocking_send(Sent::Batch(batch)).is_err();
                !gone
            });
            match ended {
                Ok(()) if gone => {}
                Ok(()) => drop(sender.blocking_send(Sent::End)),
                Err(error) => {
                    let mut first = failed.lock().unwrap_or_else(|broken| broken.into_inner());
                    first.get_or_insert(error);
                }
            }
        };
        let started = threads::read(Box::new(read));
        let state = (receiver, false);
        let batches = futures::stream::unfold(state, |(mut receiver, over)| async move {
            if over {
                return None;
            }
            match receiver.recv().await {
                Some(Sent::Batch(batch)) => Some((Ok(batch), (receiver, false))),
                Some(Sent::End) => None,
                None => Some((Err(broken_off()), (receiver, true))),
            }
        });
        let schema = Arc::clone(&self.schema);
        if !started {
            let what = "it reads more tables at once than a query may".to_owned();
            let error = DataFusionError::ResourcesExhausted(what);
            let error = futures::stream::once(async { Err(error) });
            return Box::pin(RecordBatchStreamAdapter::new(schema, error));
        }
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

fn broken_off() -> DataFusionError {
    DataFusionError::Execution("reading broke off".to_owned())
}
