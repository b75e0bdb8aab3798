//! The events of a run from a store: as it stood at a move of it.
//!
//! Comes in: a run and the store that remembers it. Goes out: the events of its state, with what it
//! found out. It must never hold a value against a partition that another run measured.

use assay_model::metric::MetricPoint;
use assay_model::outcome::CheckResult;
use assay_model::partition::{Partition, PartitionKey};
use assay_model::run::{Run, RunState};
use assay_past::line::{just_after, points_of};
use assay_store::port::ResultFilter;
use assay_store::{MetricStore, StoreError};
use jiff::Timestamp;
use serde_json::Value;

use crate::{RunFacts, ended, started, working};

/// Results of a run that are told with it; the others are counted.
const RESULTS_MAX: u32 = 1000;

/// What a run has found out.
#[derive(Default)]
struct Found {
    newest: Option<(Partition, Vec<MetricPoint>)>,
    results: Vec<(PartitionKey, CheckResult)>,
    left_out: u64,
}

/// What is to be told of a run that came into its state at `at`, oldest event first: nothing where
/// its definition is not remembered, or its state is none that is told of.
///
/// # Errors
/// When the store does not answer.
pub async fn events(
    store: &dyn MetricStore,
    run: &Run,
    at: Timestamp,
    namespace: &str,
) -> Result<Vec<Value>, StoreError> {
    let Some(dataset) = store.definition_by(&run.definition).await? else {
        return Ok(Vec::new());
    };
    let mut facts = RunFacts {
        run,
        dataset: &dataset,
        namespace,
        at,
        newest: None,
        results: &[],
        results_left_out: 0,
    };
    match run.state {
        RunState::Planning => Ok(vec![started(&facts)]),
        RunState::Running => Ok(vec![working(&facts)]),
        RunState::Queued | RunState::Finalising => Ok(Vec::new()),
        _ => {
            let found = found(store, run).await?;
            facts.results = &found.results;
            facts.results_left_out = found.left_out;
            let newest = found.newest.as_ref();
            facts.newest = newest.map(|(partition, points)| (partition, &points[..]));
            // One that ended before its turn came has not begun, and every run begins.
            let begun = run.started_at.is_none().then(|| started(&facts));
            Ok(begun.into_iter().chain(ended(&facts)).collect())
        }
    }
}

async fn found(store: &dyn MetricStore, run: &Run) -> Result<Found, StoreError> {
    let filter = ResultFilter {
        run: Some(run.id),
        superseded: true,
        limit: RESULTS_MAX,
        ..ResultFilter::default()
    };
    let rows = store.results(&run.dataset, &filter).await?;
    let sums = store.run_sums(&[run.id]).await?;
    let planned = sums.get(&run.id).map_or(0, |sum| sum.counts.planned);
    let mut found = Found {
        left_out: planned.saturating_sub(rows.len() as u64),
        ..Found::default()
    };
    if let Some(newest) = rows.first() {
        let after = just_after(&newest.partition);
        let one = store.history(&run.dataset, Some(&after), 1).await?;
        // Values of another version are those of a later run.
        let of_version = one.iter().flat_map(|(_, points)| points).any(|point| {
            point.partition.key == newest.partition.key && *point.version == newest.version
        });
        let points = if of_version {
            points_of(&one, &newest.partition.key)
        } else {
            Vec::new()
        };
        found.newest = Some((newest.partition.clone(), points));
    }
    found.results = rows
        .into_iter()
        .map(|row| (row.partition.key, row.result))
        .collect();
    Ok(found)
}
