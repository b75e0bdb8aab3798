//! How often a dataset is looked at by itself.
//!
//! Comes in: a definition, and the present instant. Goes out: the longest pause that is to come, so
//! that whoever watches knows when too much time has passed. It must never read a clock.

use assay_model::dataset::{Dataset, DatasetStatus};
use jiff::{SignedDuration, Timestamp};

use crate::{arrival, due};

/// How far ahead slots are looked at: in so long a time lies a whole week-end, whatever day it is.
const AHEAD: SignedDuration = SignedDuration::from_hours(10 * 24);
/// Slots that are looked at at most: the pauses of a schedule with more of them in that time are met
/// from the slots before them.
const SLOTS_MAX: usize = 2_000;
/// Slots that are looked at however far apart they lie.
const SLOTS_MIN: usize = 3;

/// The longest pause between coming runs of `dataset`; `None` when none comes by itself: it is a
/// draft, retired or paused, or its schedule cannot be read or has no two slots any more.
#[must_use]
pub fn longest_pause(dataset: &Dataset, now: Timestamp) -> Option<SignedDuration> {
    match dataset.status {
        DatasetStatus::Draft | DatasetStatus::Retired => return None,
        DatasetStatus::Active | DatasetStatus::Deprecated => {}
    }
    if dataset.run.paused {
        return None;
    }
    if dataset.run.schedule.is_none() {
        return Some(SignedDuration::from_secs(arrival::every_s(dataset)));
    }
    let after = |at: &Timestamp| due::due(dataset, Some(*at), *at).next;
    // The pause at hand counts, too: its first slot may have been long ago.
    let near =
        |(at, slot): &(usize, Timestamp)| *at < SLOTS_MIN || slot.duration_since(now) <= AHEAD;
    let slots: Vec<Timestamp> = std::iter::successors(Some(now), after)
        .take(SLOTS_MAX)
        .enumerate()
        .take_while(near)
        .map(|(_, slot)| slot)
        .collect();
    if slots.len() < SLOTS_MIN {
        return None;
    }
    slots
        .windows(2)
        .map(|pair| pair[1].duration_since(pair[0]))
        .max()
}

#[cfg(test)]
mod tests {
    use assay_model::dataset::CatchUp;

    use super::*;
    use crate::samples::{at, dataset};

    #[test]
    fn the_longest_pause_is_that_of_the_schedule_or_of_the_looks_at_data() {
        let now = at("2026-11-20T12:10:00Z");
        for (schedule, hours) in [
            ("0 * * * *", 1),
            ("0 3 * * *", 24),
            ("0 3 * * 1-5", 72),
            ("0 3 * * 1", 168),
            ("0 9-17 * * *", 16),
            ("*/5 9-17 * * 1-5", 63),
        ] {
            let daily = dataset(Some(schedule), "UTC", CatchUp::All);
            let pause = longest_pause(&daily, now).unwrap();
            let (least, most) = (hours * 60, hours * 60 + 5);
            let minutes = pause.as_mins();
            assert!((least..=most).contains(&minutes), "{schedule}: {minutes}");
        }
        let looked_at = dataset(None, "UTC", CatchUp::All);
        let pause = longest_pause(&looked_at, now);
        assert_eq!(pause, Some(SignedDuration::from_secs(900)));
    }

    #[test]
    fn what_does_not_run_by_itself_has_no_pause() {
        let now = at("2026-11-20T12:10:00Z");
        let daily = dataset(Some("0 3 * * *"), "UTC", CatchUp::All);
        let mut held = daily.clone();
        held.run.paused = true;
        let mut over = daily.clone();
        over.status = DatasetStatus::Retired;
        let mut draft = daily;
        draft.status = DatasetStatus::Draft;
        let crooked = dataset(Some("61 * * * *"), "UTC", CatchUp::All);
        let nowhere = dataset(Some("0 3 * * *"), "Mars/Olympus", CatchUp::All);
        for one in [held, over, draft, crooked, nowhere] {
            assert_eq!(longest_pause(&one, now), None);
        }
    }
}
