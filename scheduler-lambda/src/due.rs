//! The slots of a dataset between the watermark and now.
//!
//! A slot is an instant at which the schedule fires in its time zone. Around a change of clocks:
//!
//! - **An hour that happens twice** (autumn). A schedule of one minute and one hour (`30 2 * * *`)
//!   fires once, at the first of the two; any other (`*/15 * * * *`, `15 * * * *`) goes on through
//!   both.
//! - **An hour that does not happen** (spring). A schedule of one minute and one hour inside
//!   it fires at the first instant after the gap, so that a daily run is never lost; any other
//!   has no slots there.

use assay_model::dataset::{CatchUp, Dataset, DatasetStatus};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Most slots that one question answers with; `catchUp: all` emits older ones first, and the rest
/// when it is asked again.
pub const SLOTS_MAX: usize = 48;

/// Most missed slots that are looked at one by one.
const LOOKED_AT_MAX: usize = 10_000;

/// With `catchUp: none`, a slot that came more than this many seconds ago was missed.
const ON_TIME_S: i64 = 300;

/// What is due of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The slots to emit, oldest first; at most [`SLOTS_MAX`].
    pub slots: Vec<Timestamp>,
    /// Slots that are not run, with the reason; the latest [`SLOTS_MAX`] of them.
    pub skipped: Vec<(Timestamp, &'static str)>,
    /// How many slots are skipped in all; a lower bound when `reason` says so.
    pub skipped_count: usize,
    /// The next slot after now, if there is one.
    pub next: Option<Timestamp>,
    /// Up to where the question is answered: the watermark after emitting `slots`.
    pub through: Option<Timestamp>,
    /// Why, in words for people.
    pub reason: String,
}

impl Due {
    fn never(through: Option<Timestamp>, reason: impl Into<String>) -> Self {
        Self {
            slots: Vec::new(),
            skipped: Vec::new(),
            skipped_count: 0,
            next: None,
            through,
            reason: reason.into(),
        }
    }
}

/// The slots of `dataset` after `emitted_through` and up to `now`.
///
/// Without a watermark the dataset is new: nothing before `now` was missed, and the first slot is
/// the next one. A clock that went back (`now` before the watermark) makes nothing due.
#[must_use]
pub fn due(dataset: &Dataset, emitted_through: Option<Timestamp>, now: Timestamp) -> Due {
    match dataset.status {
        DatasetStatus::Draft => {
            return Due::never(
                emitted_through,
                "the definition is a draft: it runs by hand only",
            );
        }
        DatasetStatus::Retired => return Due::never(emitted_through, "the dataset is retired"),
        DatasetStatus::Active | DatasetStatus::Deprecated => {}
    }
    let Some(text) = &dataset.run.schedule else {
        return Due::never(
            emitted_through,
            "no schedule: it runs by hand and when its data changes",
        );
    };
    let (cron, zone) = match schedule(text, &dataset.run.time_zone) {
        Ok(parts) => parts,
        Err(reason) => return Due::never(emitted_through, reason),
    };
    let next = next_after(&cron, &zone, now);
    let Some(since) = emitted_through else {
        return Due {
            next,
            through: Some(now),
            ..Due::never(None, "new: its first slot is the next one")
        };
    };
    let (missed, all_seen) = missed(&cron, &zone, since, now);
    let latest = latest_until(&cron, &zone, now, &missed, all_seen);
    let found = Missed {
        slots: missed,
        latest,
        all_seen,
    };
    let mut answer = choose(dataset.run.catch_up, found, since, now);
    answer.next = if answer.through == Some(now) || answer.through.is_none() {
        next
    } else {
        // Older slots are still to come; asking again at once is right.
        answer.through.and_then(|t| next_after(&cron, &zone, t))
    };
    answer
}

/// Checks that a schedule and its zone can be read.
pub(crate) fn readable(text: &str, zone: &str) -> Result<(), String> {
    schedule(text, zone).map(|_| ())
}

/// The schedule of a dataset, read as the dataset file's validation reads it.
fn schedule(text: &str, zone: &str) -> Result<(Cron, TimeZone), String> {
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    let cron = parser
        .parse(text)
        .map_err(|error| format!("the schedule `{text}` cannot be read: {error}"))?;
    let zone = TimeZone::get(zone).map_err(|_| format!("the time zone `{zone}` is unknown"))?;
    Ok((cron, zone))
}

/// The first slot after `instant`.
fn next_after(cron: &Cron, zone: &TimeZone, instant: Timestamp) -> Option<Timestamp> {
    let start = instant.to_zoned(zone.clone());
    let found: Zoned = cron.find_next_occurrence(&start, false).ok()?;
    // A search that does not move would never end.
    Some(found.timestamp()).filter(|slot| *slot > instant)
}

/// The slots after `since` and up to `now`, oldest first, and whether these are all.
fn missed(
    cron: &Cron,
    zone: &TimeZone,
    since: Timestamp,
    now: Timestamp,
) -> (Vec<Timestamp>, bool) {
    let mut slots = Vec::new();
    let mut at = since;
    while let Some(slot) = next_after(cron, zone, at) {
        if slot > now {
            break;
        }
        if slots.len() == LOOKED_AT_MAX {
            return (slots, false);
        }
        slots.push(slot);
        at = slot;
    }
    (slots, true)
}

/// The latest slot up to `now`, also when too many were missed to look at each.
fn latest_until(
    cron: &Cron,
    zone: &TimeZone,
    now: Timestamp,
    missed: &[Timestamp],
    all_seen: bool,
) -> Option<Timestamp> {
    let last = missed.last().copied();
    if all_seen {
        return last;
    }
    let found = cron.find_previous_occurrence(&now.to_zoned(zone.clone()), true);
    found
        .ok()
        .map(|z| z.timestamp())
        .filter(|t| *t <= now)
        .or(last)
}

/// The slots between the watermark and now.
struct Missed {
    /// Oldest first; not all of them when there are too many.
    slots: Vec<Timestamp>,
    /// The latest of all.
    latest: Option<Timestamp>,
    /// Whether `slots` is all of them.
    all_seen: bool,
}

/// What the policy makes of the missed slots.
fn choose(policy: CatchUp, missed: Missed, since: Timestamp, now: Timestamp) -> Due {
    let Missed {
        mut slots,
        latest,
        all_seen,
    } = missed;
    let mut due = Due::never(Some(now.max(since)), "nothing is due yet");
    let Some(latest) = latest else {
        return due;
    };
    if policy == CatchUp::All {
        if slots.len() > SLOTS_MAX || !all_seen {
            slots.truncate(SLOTS_MAX);
            due.through = slots.last().copied();
            due.reason = format!("catching up: the oldest {SLOTS_MAX} missed slots, more follow");
        } else {
            due.reason = counted(slots.len(), "is due", "are due, with the missed ones");
        }
        due.slots = slots;
        return due;
    }
    let late_s = now.as_second() - latest.as_second();
    let runs = policy == CatchUp::Latest || late_s <= ON_TIME_S;
    let why = if policy == CatchUp::None {
        "missed; `catchUp: none` skips it"
    } else {
        "missed; `catchUp: latest` runs the latest only"
    };
    if runs {
        slots.retain(|slot| *slot != latest);
        due.slots.push(latest);
    }
    due.skipped_count = slots.len();
    let kept = slots.len().saturating_sub(SLOTS_MAX);
    due.skipped = slots
        .split_off(kept)
        .into_iter()
        .map(|slot| (slot, why))
        .collect();
    let skipped = counted(due.skipped_count, "is skipped", "are skipped");
    let more = if all_seen { "" } else { "more than " };
    due.reason = match (runs, due.skipped_count) {
        (true, 0) => "its slot has come".to_owned(),
        (true, _) => format!("its latest slot has come; {more}{skipped}"),
        (false, _) => format!("{more}{skipped}: `catchUp: none`"),
    };
    due
}

fn counted(count: usize, one: &str, many: &str) -> String {
    if count == 1 {
        format!("1 slot {one}")
    } else {
        format!("{count} slots {many}")
    }
}

#[cfg(test)]
mod tests;
