//! When a dataset without a schedule is looked at.
//!
//! Comes in: a dataset's id and how often it wants to be looked at. Goes out: instants on a grid of
//! its own, so that ten thousand datasets are not all looked at in the same second. It must never
//! depend on when somebody asks: the same instant has the same slot for everybody.

use assay_model::dataset::Dataset;
use jiff::Timestamp;

/// Seconds between two looks, unless `poll` of `assayRun` says otherwise.
pub const POLL_S: u64 = 900;

/// Shortest and longest time between two looks, in seconds.
const BOUNDS_S: (u64, u64) = (60, 86_400);

/// Seconds between two looks at `dataset`.
#[must_use]
pub(crate) fn every_s(dataset: &Dataset) -> i64 {
    let asked = dataset.run.poll_s.unwrap_or(POLL_S);
    asked.clamp(BOUNDS_S.0, BOUNDS_S.1).cast_signed()
}

/// The latest look at `dataset` up to `now`.
#[must_use]
pub(crate) fn latest(dataset: &Dataset, now: Timestamp) -> Timestamp {
    let every = every_s(dataset);
    let hash = xxhash_rust::xxh3::xxh3_64(dataset.id.as_str().as_bytes());
    let phase = (hash % every.unsigned_abs()).cast_signed();
    let now_s = now.as_second();
    let since = (now_s - phase).rem_euclid(every);
    // At the very beginning of time there is no earlier one.
    Timestamp::from_second(now_s - since).unwrap_or(now)
}

/// The look after `slot`.
#[must_use]
pub(crate) fn after(dataset: &Dataset, slot: Timestamp) -> Option<Timestamp> {
    Timestamp::from_second(slot.as_second() + every_s(dataset)).ok()
}
