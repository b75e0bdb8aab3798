//! Discovery: the source's listing against the ledger, and the plan that follows.

use assay_model::output::TaskOutput;
use assay_model::task::TaskFailure;
use assay_store::MetricStore;

use crate::pause::asked;

use super::{TaskJob, TaskWatch, compute, redo, scan_failure, store_failure};
use assay_scan::ScanContext;
use assay_scan::discover::decide::Redo;
use assay_scan::discover::discover_again;

/// Lists the source and plans the run.
pub(super) async fn run(
    metrics: &dyn MetricStore,
    job: TaskJob,
    watch: TaskWatch,
) -> Result<TaskOutput, TaskFailure> {
    let ledger = asked(|| metrics.ledger(&job.dataset.id)).await;
    let ledger = ledger.map_err(|error| store_failure(&error))?;
    let redo = if job.run.selection.rescan {
        Redo::default()
    } else {
        let redo = redo::redo(metrics, &job.dataset, &ledger, job.now).await;
        redo.map_err(|error| store_failure(&error))?
    };
    let context = ScanContext {
        memory_bytes: job.memory_bytes,
        cancelled: watch.stop,
        progress: watch.progress,
    };
    let discovered = compute(move || {
        let selection = &job.run.selection;
        discover_again(&job.dataset, &ledger, selection, job.now, &context, &redo)
    });
    let discovery = discovered.await?.map_err(|error| scan_failure(&error))?;
    Ok(TaskOutput::Discovered(discovery))
}
