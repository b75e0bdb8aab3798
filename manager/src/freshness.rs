//! How old each dataset's last good run is, and how long its runs may lie apart: what an alarm on
//! stale datasets goes by.
//!
//! Comes in: runs that succeed, definitions that are run, and what the store knows of both from
//! before this term. Goes out: what is promised of each dataset, and two series of each of as many as a
//! family of series holds, of the leader alone. It must never hold up a term, or tell of one that has
//! ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_model::ids::{DatasetId, Epoch};
use assay_model::run::{RunState, Trigger};
use assay_scheduler::longest_pause;
use assay_store::StoreError;
use assay_store::port::RunFilter;
use assay_telemetry::Telemetry;
use jiff::{SignedDuration, Timestamp};

use crate::handle::Shared;

/// When the newest run of a dataset that succeeded did so.
pub(crate) const LAST: &str = "assay_dataset_last_success_timestamp_seconds";
/// The longest pause between its coming runs.
pub(crate) const PAUSE: &str = "assay_dataset_run_interval_seconds";

/// Datasets that the store is asked about at once.
const DATASETS: u32 = 500;
/// Runs of each that one which succeeded is looked for among.
const RUNS_MAX: u32 = 20;
/// Between two questions when the store does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// What a leader knows of a dataset.
#[derive(Clone, Copy, Default)]
struct Known {
    last: Option<Timestamp>,
    pause: Option<SignedDuration>,
}

/// A dataset that runs by itself: when the last good run of it was, where one is known, and the longest
/// pause between its coming ones.
pub(crate) type Promise = (DatasetId, Option<Timestamp>, SignedDuration);

/// What the leader knows of all datasets. Clones share it.
#[derive(Clone)]
pub(crate) struct Freshness {
    telemetry: Telemetry,
    known: Arc<Mutex<BTreeMap<DatasetId, Known>>>,
}

impl Freshness {
    /// Nothing is known.
    pub(crate) fn new(telemetry: Telemetry) -> Self {
        Self {
            telemetry,
            known: Arc::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<DatasetId, Known>> {
        // Each change is whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a run of `dataset` has succeeded; never goes back.
    pub(crate) fn succeeded(&self, dataset: &DatasetId, at: Timestamp) {
        let mut known = self.known();
        let of = known.entry(dataset.clone()).or_default();
        if of.last.is_none_or(|known| known < at) {
            of.last = Some(at);
            let labels = [("dataset", dataset.as_str())];
            let at = at.as_duration().as_secs_f64();
            self.telemetry.set(LAST, &labels, at);
        }
    }

    /// Notes how often `dataset` runs by itself from `now` on, when a run of it that `came_by_itself`
    /// shows that somebody has it run; one that is held back is waited for no more.
    pub(crate) fn expect(&self, dataset: &Dataset, came_by_itself: bool, now: Timestamp) {
        let labels = [("dataset", dataset.id.as_str())];
        match longest_pause(dataset, now) {
            Some(pause) if came_by_itself => {
                self.known().entry(dataset.id.clone()).or_default().pause = Some(pause);
                self.telemetry.set(PAUSE, &labels, pause.as_secs_f64());
            }
            Some(_) => {}
            None => {
                if let Some(of) = self.known().get_mut(&dataset.id) {
                    of.pause = None;
                }
                self.telemetry.remove(PAUSE, &labels);
            }
        }
    }

    /// All datasets that run by themselves.
    pub(crate) fn promised(&self) -> Vec<Promise> {
        // Whole seconds: the same run has the same instant, whoever leads.
        let whole = |at: Timestamp| Timestamp::from_second(at.as_second()).ok();
        let known = self.known();
        let promised = known.iter().filter_map(|(dataset, of)| {
            let last = of.last.and_then(whole);
            Some((dataset.clone(), last, of.pause?))
        });
        promised.collect()
    }

    /// Forgets all: another manager leads, and knows better.
    pub(crate) fn forget(&self) {
        self.known().clear();
    }
}

/// Whether nobody had to ask for a run by hand.
pub(crate) const fn comes_by_itself(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Schedule | Trigger::Arrival => true,
        Trigger::Manual | Trigger::Backfill => false,
    }
}

/// Reads what the store knows from before the term of `epoch`, beside that term's work.
pub(crate) fn recall(shared: &Arc<Shared>, epoch: Epoch) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let metrics = &shared.parts.metrics;
        let leads = || shared.seats.seat().is_ok_and(|seat| seat.epoch == epoch);
        let mut after: Option<DatasetId> = None;
        loop {
            let page = ask(&leads, || metrics.definitions(after.as_ref(), DATASETS)).await;
            let page = page.unwrap_or_default();
            for dataset in &page {
                let filter = RunFilter {
                    dataset: Some(dataset.id.clone()),
                    limit: RUNS_MAX,
                    ..RunFilter::default()
                };
                let Some(runs) = ask(&leads, || metrics.runs(&filter)).await else {
                    return;
                };
                let good = runs.iter().filter(|run| run.state == RunState::Succeeded);
                if let Some(at) = good.filter_map(|run| run.finished_at).max() {
                    shared.freshness.succeeded(&dataset.id, at);
                }
                let by_itself = runs.iter().any(|run| comes_by_itself(run.trigger));
                let now = (shared.parts.now)();
                shared.freshness.expect(dataset, by_itself, now);
            }
            if page.len() < DATASETS as usize {
                return;
            }
            after = page.last().map(|dataset| dataset.id.clone());
        }
    });
}

/// An answer of the store, however long it takes; `None` once the term has ended, or when no later
/// answer would be another one.
async fn ask<T, F>(leads: &impl Fn() -> bool, question: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    while leads() {
        match question().await {
            Ok(answer) => return Some(answer).filter(|_| leads()),
            Err(error) if error.is_retryable() => tokio::time::sleep(AGAIN).await,
            Err(error) => {
                tracing::warn!(%error, "when datasets last succeeded cannot be read: it is known from their next runs on");
                return None;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use super::*;

    fn hourly() -> Dataset {
        let definition = serde_json::json!({
            "id": "orders", "version": "1", "status": "active",
            "source": {
                "server": "here",
                "location": { "local": { "path": "/nowhere" } },
                "format": { "kind": "parquet" },
            },
            "partitions": { "layout": "auto" },
        });
        let mut dataset: Dataset = serde_json::from_value(definition).unwrap();
        dataset.run.schedule = Some("0 * * * *".to_owned());
        dataset
    }

    #[test]
    fn what_somebody_has_run_by_itself_is_waited_for_until_it_is_held_back() {
        let telemetry = Telemetry::default();
        let freshness = Freshness::new(telemetry.clone());
        let now: Timestamp = "2026-11-20T12:10:00Z".parse().unwrap();
        let value = || telemetry.value(PAUSE, &[("dataset", "orders")]);
        let hourly = hourly();
        let by_itself = |trigger| freshness.expect(&hourly, comes_by_itself(trigger), now);
        by_itself(Trigger::Manual);
        by_itself(Trigger::Backfill);
        assert_eq!(value(), None, "a run by hand promises no other");
        by_itself(Trigger::Schedule);
        assert_eq!(value(), Some(3600.0));
        by_itself(Trigger::Manual);
        assert_eq!(value(), Some(3600.0), "nor does it take a promise back");
        let hour = SignedDuration::from_hours(1);
        let promise =
            |last: Option<Timestamp>| -> Vec<Promise> { vec![(hourly.id.clone(), last, hour)] };
        assert_eq!(freshness.promised(), promise(None));
        freshness.succeeded(&hourly.id, now + SignedDuration::from_millis(7));
        assert_eq!(freshness.promised(), promise(Some(now)));
        let mut held = hourly.clone();
        held.run.paused = true;
        freshness.expect(&held, false, now);
        assert_eq!(value(), None);
        assert!(freshness.promised().is_empty());
    }

    #[test]
    fn more_datasets_are_waited_for_than_there_are_series_of() {
        let freshness = Freshness::new(Telemetry::default());
        let now: Timestamp = "2026-11-20T12:10:00Z".parse().unwrap();
        for n in 0..2_500 {
            let mut dataset = hourly();
            // One that is looked at every so often.
            dataset.run.schedule = None;
            dataset.id = DatasetId::new(format!("orders-{n}")).unwrap();
            freshness.expect(&dataset, true, now);
        }
        assert_eq!(freshness.promised().len(), 2_500);
        freshness.forget();
        assert!(freshness.promised().is_empty());
    }

    #[test]
    fn an_earlier_success_that_is_heard_of_later_changes_nothing() {
        let telemetry = Telemetry::default();
        let freshness = Freshness::new(telemetry.clone());
        let orders = DatasetId::new("orders").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let value = || telemetry.value(LAST, &[("dataset", "orders")]);
        assert_eq!(value(), None);
        for (heard, known) in [(100, 100.0), (90, 100.0), (110, 110.0)] {
            freshness.succeeded(&orders, at(heard));
            assert_eq!(value(), Some(known));
        }
    }
}
