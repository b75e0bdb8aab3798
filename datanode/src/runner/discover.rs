//! Discovery: the source's listing against the ledger, and the plan that follows.

use assay_model::ledger::LedgerEntry;
use assay_model::output::TaskOutput;
use assay_model::task::TaskFailure;
use assay_scan::ScanContext;
use assay_scan::discover::decide::Redo;
use assay_scan::discover::discover_again;
use assay_store::MetricStore;

use super::{TaskJob, compute, redo, scan_failure, store_failure};
use crate::pause::asked;

/// What a discovery needs of the store: the ledger, and the partitions whose verdict holds no more.
pub(super) async fn known(
    metrics: &dyn MetricStore,
    job: &TaskJob,
) -> Result<(Vec<LedgerEntry>, Redo), TaskFailure> {
    let ledger = asked(|| metrics.ledger(&job.dataset.id)).await;
    let ledger = ledger.map_err(|error| store_failure(&error))?;
    if job.run.selection.rescan {
        return Ok((ledger, Redo::default()));
    }
    let redo = redo::redo(metrics, &job.dataset, &ledger, job.now).await;
    let redo = redo.map_err(|error| store_failure(&error))?;
    Ok((ledger, redo))
}

/// Lists the source and plans the run.
pub(super) async fn run(
    metrics: &dyn MetricStore,
    job: TaskJob,
    context: ScanContext,
) -> Result<TaskOutput, TaskFailure> {
    let (ledger, redo) = known(metrics, &job).await?;
    let discovered = compute(move || {
        let selection = &job.run.selection;
        discover_again(&job.dataset, &ledger, selection, job.now, &context, &redo)
    });
    let discovery = discovered.await?.map_err(|error| scan_failure(&error))?;
    Ok(TaskOutput::Discovered(discovery))
}
