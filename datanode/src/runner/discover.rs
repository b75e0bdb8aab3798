//! Discovery: the source's listing against the ledger, and the plan that follows.

use std::collections::BTreeSet;

use assay_model::dataset::{Dataset, Source};
use assay_model::ledger::LedgerEntry;
use assay_model::output::TaskOutput;
use assay_model::task::TaskFailure;
use assay_scan::ScanContext;
use assay_scan::discover::decide::Redo;
use assay_scan::discover::discover_again;
use assay_scan::reach::Access;
use assay_store::MetricStore;

use super::access::Sources;
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

/// What a discovery may reach: the dataset's source, and the other servers that verdicts rest on.
/// Without their secrets it is as if they were away: discovery goes on, and says so.
pub(super) async fn access(
    sources: Option<&Sources>,
    dataset: &Dataset,
    redo: &Redo,
    own: Option<Access>,
) -> Option<Access> {
    let servers: BTreeSet<&str> = redo
        .beside
        .values()
        .flatten()
        .map(|beside| beside.server.as_str())
        .collect();
    let Some(sources) = sources.filter(|_| !servers.is_empty()) else {
        return own;
    };
    let mut reading = dataset.clone();
    let is_read = |other: &Source| servers.contains(other.server.as_str());
    reading.others.retain(is_read);
    sources.access_of_query(&reading).await.ok().or(own)
}

/// Lists the source and plans the run by what is [`known`].
pub(super) async fn run(
    (ledger, redo): (Vec<LedgerEntry>, Redo),
    job: TaskJob,
    context: ScanContext,
) -> Result<TaskOutput, TaskFailure> {
    let discovered = compute(move || {
        let selection = &job.run.selection;
        discover_again(&job.dataset, &ledger, selection, job.now, &context, &redo)
    });
    let discovery = discovered.await?.map_err(|error| scan_failure(&error))?;
    Ok(TaskOutput::Discovered(discovery))
}
