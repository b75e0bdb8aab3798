//! Which datasets have had no good run for longer than their schedules promise.
//!
//! Comes in: what the leader knows of each dataset's last good run and of the longest pause between its
//! coming ones, and the store where it knows of none. Goes out: what happened, for operators. It must
//! never take one for stale that nobody has run by itself, or that is held back.

use assay_model::ids::DatasetId;
use assay_model::run::RunState;
use assay_notify::alerts::{self, Happened};
use assay_store::StoreError;
use assay_store::port::RunFilter;
use jiff::Timestamp;

use crate::freshness::{self, DATASETS_MAX, RUNS_MAX};
use crate::handle::Shared;

/// Those that are stale at present.
pub(super) async fn found(shared: &Shared) -> Result<Vec<Happened>, StoreError> {
    let now = (shared.parts.now)();
    let mut stale = Vec::new();
    for dataset in shared.parts.metrics.definitions(DATASETS_MAX).await? {
        let telemetry = &shared.parts.telemetry;
        let Some((last, pause)) = freshness::promised(telemetry, &dataset.id) else {
            continue;
        };
        // A look into the store is for those alone that seem to be late.
        let (last, base) = match last {
            Some(last) => (Some(last), last),
            None => match begun(shared, &dataset.id).await? {
                Some(found) => found,
                None => continue,
            },
        };
        if let Some(since) = alerts::stale_since(base, pause, now) {
            stale.push(alerts::dataset_stale(&dataset.id, last, since, pause));
        }
    }
    Ok(stale)
}

/// When the newest good run of a dataset ended, if one is known, and since when one is waited for.
async fn begun(
    shared: &Shared,
    dataset: &DatasetId,
) -> Result<Option<(Option<Timestamp>, Timestamp)>, StoreError> {
    let filter = RunFilter {
        dataset: Some(dataset.clone()),
        limit: RUNS_MAX,
        ..RunFilter::default()
    };
    let runs = shared.parts.metrics.runs(&filter).await?;
    let good = runs.iter().filter(|run| run.state == RunState::Succeeded);
    let last = good.filter_map(|run| run.finished_at).max();
    let first = runs.iter().map(|run| run.created_at).min();
    Ok(last.or(first).map(|base| (last, base)))
}
