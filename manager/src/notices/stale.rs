//! Which datasets have had no good run for longer than their schedules promise.
//!
//! Comes in: what the leader knows of each dataset's last good run and of the longest pause between its
//! coming ones, and the store where it knows of none. Goes out: what happened, for operators. It must
//! never take one for stale that nobody has run by itself, or that is held back.

use assay_model::ids::DatasetId;
use assay_model::run::{Run, RunState};
use assay_notify::alerts::{self, Happened};
use assay_store::StoreError;
use assay_store::port::RunFilter;
use jiff::Timestamp;

use crate::handle::Shared;

/// Runs among which a good one is looked for where none is known. Those of a dataset that runs once a
/// minute reach further back than the time for which it may be without a good one.
const RUNS_MAX: u32 = 1_000;

/// Those that are stale at present.
pub(super) async fn found(shared: &Shared) -> Result<Vec<Happened>, StoreError> {
    let now = (shared.parts.now)();
    let mut stale = Vec::new();
    for (dataset, last, pause) in shared.freshness.promised() {
        // A look into the store is for those alone that seem to be late.
        let (last, base) = match last {
            Some(last) => (Some(last), last),
            None => match begun(shared, &dataset).await? {
                Some(found) => found,
                None => continue,
            },
        };
        if let Some(since) = alerts::stale_since(base, pause, now) {
            stale.push(alerts::dataset_stale(&dataset, last, since, pause));
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
    Ok(waits(&shared.parts.metrics.runs(&filter).await?))
}

/// The same of its newest runs.
fn waits(runs: &[Run]) -> Option<(Option<Timestamp>, Timestamp)> {
    let good = runs.iter().filter(|run| run.state == RunState::Succeeded);
    let last = good.filter_map(|run| run.finished_at).max();
    let first = runs.iter().map(|run| run.created_at).min();
    last.or(first).map(|base| (last, base))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use assay_model::ids::RunId;
    use assay_model::run::{Priority, Selection, Trigger};
    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + 60 * minute).unwrap()
    }

    fn run(minute: i64, state: RunState) -> Run {
        Run {
            id: RunId(Uuid::from_u128(1)),
            dataset: DatasetId::new("orders").unwrap(),
            definition: String::new(),
            trigger: Trigger::Schedule,
            slot: None,
            priority: Priority::Live,
            selection: Selection::default(),
            retries: 2,
            task_timeout_ms: 0,
            state,
            reason: None,
            created_at: at(minute),
            started_at: None,
            finished_at: Some(at(minute)),
            deadline_at: at(minute + 1),
            planned_tasks: 0,
        }
    }

    #[test]
    fn a_dataset_that_runs_every_minute_and_never_succeeds_is_stale() {
        let all = i64::from(RUNS_MAX);
        let mut runs: Vec<Run> = (0..all).map(|n| run(n, RunState::Failed)).collect();
        let (last, base) = waits(&runs).unwrap();
        assert_eq!((last, base), (None, at(0)));
        let minute = SignedDuration::from_mins(1);
        assert!(alerts::stale_since(base, minute, at(all)).is_some());
        runs.push(run(all, RunState::Succeeded));
        assert_eq!(waits(&runs), Some((Some(at(all)), at(all))));
        assert_eq!(waits(&[]), None);
    }
}
