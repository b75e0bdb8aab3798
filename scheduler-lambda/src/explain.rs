//! What would run next of a dataset, and why something did not.
//!
//! Comes in: an entry of the agenda, from where data may come, and the present instant. Goes out:
//! everything that a tick at this instant would do about it, and what the last one noted. It must
//! never change anything.

use assay_model::dataset::Dataset;
use assay_registry::{AT_ONCE, Agenda, Entry, Policy, RegistryError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::look::{Emission, Key, Skipped, look};
use crate::reason::Reason;
use crate::tick::page_of;
use crate::{arrival, due};

/// Coming slots that are told.
const COMING: usize = 3;
/// Entries in one list.
pub const LISTED_MAX: usize = 1000;

/// How a dataset stands with its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The dataset, or what it is kept under.
    pub dataset: String,
    /// The instant that all of this is about.
    pub at: Timestamp,
    /// Everything in one sentence.
    pub words: String,
    /// The definition's version; absent when there is no valid one.
    pub version: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where the definition is in its life.
    pub status: Option<String>,
    /// Five-field cron; absent: it is looked at for new data.
    pub schedule: Option<String>,
    /// The zone of the schedule.
    pub time_zone: Option<String>,
    /// What happens to missed slots.
    pub catch_up: Option<String>,
    /// Without a schedule: seconds between two looks.
    pub poll_s: Option<i64>,
    /// Whether the run over its past has been asked for.
    pub registered: bool,
    /// Up to where its slots have been emitted.
    pub emitted_through: Option<Timestamp>,
    /// When a tick looks at it next; absent: when its definition changes.
    pub due_at: Option<Timestamp>,
    /// What the last tick had to say about it.
    pub note: Option<String>,
    /// The runs that a tick would ask for at this instant.
    pub would_run: Vec<Wanted>,
    /// What it would not run, and why; of missed slots the latest.
    pub skipped: Vec<NotRun>,
    /// How many it would not run in all.
    pub skipped_count: usize,
    /// The slots that come next.
    pub coming: Vec<Timestamp>,
}

/// A run that would be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The id that it will have.
    pub run: String,
    /// What starts it.
    pub trigger: String,
    /// The scheduled instant.
    pub slot: Option<Timestamp>,
}

/// Something that would not be run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotRun {
    /// The slot; absent: the dataset as a whole.
    pub slot: Option<Timestamp>,
    /// The kind of reason.
    pub reason: Reason,
    /// The reason, for people.
    pub why: String,
}

/// Tells how `entry` stands.
#[must_use]
pub fn explain(entry: &Entry, policy: &Policy, now: Timestamp) -> Explanation {
    let decision = look(entry, policy, now);
    let dataset = entry.definition.as_ref().ok().map(|d| d.dataset.as_ref());
    let rests = decision
        .skipped
        .iter()
        .any(|skipped| skipped.slot.is_none());
    let coming = dataset.filter(|_| !rests);
    let scheduled = dataset.filter(|d| d.run.schedule.is_some());
    Explanation {
        dataset: entry.key.clone(),
        at: now,
        words: decision.words,
        version: dataset.map(|d| d.version.clone()),
        owner: dataset.and_then(|d| d.owner.clone()),
        status: dataset.map(|d| d.status.to_string()),
        schedule: dataset.and_then(|d| d.run.schedule.clone()),
        time_zone: scheduled.map(|d| d.run.time_zone.clone()),
        catch_up: scheduled.map(|d| d.run.catch_up.to_string()),
        poll_s: dataset
            .filter(|_| scheduled.is_none())
            .map(arrival::every_s),
        registered: entry.registered,
        emitted_through: entry.emitted_through,
        due_at: entry.due_at.map(|at| if at == AT_ONCE { now } else { at }),
        note: entry.note.clone(),
        would_run: dataset.map_or_else(Vec::new, |d| {
            decision.emissions.iter().map(|e| wanted(d, e)).collect()
        }),
        skipped: decision.skipped.into_iter().map(not_run).collect(),
        skipped_count: decision.skipped_count,
        coming: coming.map_or_else(Vec::new, |d| upcoming(d, now)),
    }
}

fn wanted(dataset: &Dataset, emission: &Emission) -> Wanted {
    Wanted {
        run: emission.run_of(&dataset.id).to_string(),
        trigger: emission.trigger.to_string(),
        slot: match emission.key {
            Key::Slot(slot) => Some(slot),
            Key::Text(_) => None,
        },
    }
}

fn not_run(skipped: Skipped) -> NotRun {
    NotRun {
        slot: skipped.slot,
        reason: skipped.reason,
        why: skipped.text,
    }
}

fn upcoming(dataset: &Dataset, now: Timestamp) -> Vec<Timestamp> {
    let after = |at: Timestamp| match dataset.run.schedule {
        Some(_) => due::due(dataset, Some(at), at).next,
        None => arrival::after(dataset, arrival::latest(dataset, at)),
    };
    std::iter::successors(after(now), |at| after(*at))
        .take(COMING)
        .collect()
}

/// How datasets stand, those that are due first, and whether there are more than [`LISTED_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Those that a tick will ever look at as they are.
    pub datasets: Vec<Explanation>,
    /// Whether there are more.
    pub more: bool,
}

/// Tells how everything stands that is ever due.
///
/// # Errors
/// [`RegistryError`].
pub async fn list(agenda: &dyn Agenda, now: Timestamp) -> Result<Listed, RegistryError> {
    let mut datasets = Vec::new();
    let mut after = None;
    let mut more = false;
    loop {
        let (page, policy) = page_of(agenda, end_of_time(), after.as_ref(), 100).await?;
        let told = page.entries.iter().map(|e| explain(e, &policy, now));
        datasets.extend(told);
        match page.next {
            Some(_) if datasets.len() >= LISTED_MAX => {
                more = true;
                break;
            }
            Some(next) => after = Some(next),
            None => break,
        }
    }
    datasets.sort_by(|a, b| (a.due_at, &a.dataset).cmp(&(b.due_at, &b.dataset)));
    Ok(Listed { datasets, more })
}

/// Later than any slot.
fn end_of_time() -> Timestamp {
    // The last whole second of the calendar's year 9000: RFC 3339 has four digits for it.
    Timestamp::from_second(221_845_392_000).unwrap_or(Timestamp::MAX)
}
