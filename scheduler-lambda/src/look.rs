//! What a tick does about one dataset.
//!
//! Comes in: an entry of the agenda, from where its owner's data may come, and the present instant.
//! Goes out: the runs to ask for, what is not run with the reason, and what the agenda keeps of the
//! look. It must never read a clock, and never leave something out in silence.
//!
//! - **New**: a run over its past is asked for, under one key however often; its schedule begins
//!   with the next slot. Nothing else of it is asked for in the same look.
//! - **Its backfill in progress**: its slots are asked for as they come. The manager runs one run of
//!   a dataset at a time, the present before the past, so that they wait for their turn there, where
//!   they are seen, and not here.
//! - **By schedule**: see [`due`](crate::due).
//! - **By arrival** (no schedule): a run that discovers what has come, each time on a grid of the
//!   dataset's own. Looks that were missed are one: the latest finds all that has come.
//! - **Paused**: nothing is asked for, and its watermark stays. When it goes on, its missed slots
//!   are those of `catchUp`.
//! - **Draft, retired**: nothing, until its definition changes.
//! - **Something wrong** (an invalid definition, a source that its owner may not read): nothing, and
//!   it is looked at again after a while, since it may be mended elsewhere.

use assay_model::dataset::{Dataset, DatasetStatus};
use assay_model::ids::{DatasetId, RunId};
use assay_model::run::{Selection, Trigger};
use assay_registry::{Entry, Look, Policy};
use jiff::{SignedDuration, Timestamp};

use crate::reason::Reason;
use crate::{arrival, due};

/// The key of the run over a new dataset's past.
pub const REGISTRATION: &str = "registration";

/// How long until something wrong is looked at again.
const AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// What tells a run from all others of its dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The scheduled instant.
    Slot(Timestamp),
    /// A text.
    Text(String),
}

/// A run to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Emission {
    /// What starts it.
    pub trigger: Trigger,
    /// Repeats under one key are one run.
    pub key: Key,
    /// Which partitions it looks at.
    pub selection: Selection,
}

impl Emission {
    fn slot(slot: Timestamp) -> Self {
        Self {
            trigger: Trigger::Schedule,
            key: Key::Slot(slot),
            selection: Selection::default(),
        }
    }

    fn keyed(trigger: Trigger, key: String) -> Self {
        Self {
            trigger,
            key: Key::Text(key),
            selection: Selection::default(),
        }
    }

    /// The id that the manager gives the run.
    #[must_use]
    pub fn run_of(&self, dataset: &DatasetId) -> RunId {
        match &self.key {
            Key::Slot(slot) => RunId::of_slot(dataset, *slot),
            Key::Text(key) => RunId::of_key(dataset, &format!("key|{key}")),
        }
    }
}

/// What is not run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The slot; absent: the dataset as a whole.
    pub slot: Option<Timestamp>,
    /// The kind of reason.
    pub reason: Reason,
    /// The reason, for people.
    pub text: String,
}

/// What a tick does about one dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The runs to ask for, in this order.
    pub emissions: Vec<Emission>,
    /// What is not run; of missed slots the latest ones.
    pub skipped: Vec<Skipped>,
    /// How many are not run in all.
    pub skipped_count: usize,
    /// What the agenda keeps when all of `emissions` have been taken.
    pub look: Look,
    /// All of it in one sentence, for people.
    pub words: String,
}

/// What a tick does about `entry`.
#[must_use]
pub fn look(entry: &Entry, policy: &Policy, now: Timestamp) -> Decision {
    let standing = Standing {
        through: entry.emitted_through,
        registered: entry.registered,
        now,
    };
    let definition = match &entry.definition {
        Ok(definition) => definition,
        Err(file) => {
            let first = file.diagnostics.iter().find(|d| d.is_error());
            let first = first.or(file.diagnostics.first());
            let why = first.map_or_else(
                || "what is kept of it cannot be read".to_owned(),
                ToString::to_string,
            );
            return standing.wrong(Reason::Invalid, format!("its definition is invalid: {why}"));
        }
    };
    let dataset = &definition.dataset;
    if dataset.id.as_str() != entry.key {
        let text = format!(
            "it is kept under `{}` and defines `{}`: put the definition again under its own id",
            entry.key, dataset.id
        );
        return standing.wrong(Reason::Misplaced, text);
    }
    standing.decide(dataset, policy)
}

/// How a dataset stands when it is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) through: Option<Timestamp>,
    pub(crate) registered: bool,
    pub(crate) now: Timestamp,
}

impl Standing {
    pub(crate) fn decide(self, dataset: &Dataset, policy: &Policy) -> Decision {
        match dataset.status {
            DatasetStatus::Draft => {
                let text = "the definition is a draft: it runs by hand only";
                return self.resting(Reason::Draft, text.to_owned());
            }
            DatasetStatus::Retired => {
                return self.resting(Reason::Retired, "the dataset is retired".to_owned());
            }
            DatasetStatus::Active | DatasetStatus::Deprecated => {}
        }
        if dataset.run.paused {
            let text = match &dataset.run.paused_reason {
                Some(reason) => format!("it is paused: {reason}"),
                None => "it is paused".to_owned(),
            };
            return self.resting(Reason::Paused, text);
        }
        if let Some(refusal) = policy.refusal(dataset) {
            return self.wrong(Reason::NotAllowed, refusal);
        }
        if let Some(text) = &dataset.run.schedule
            && let Err(why) = due::readable(text, &dataset.run.time_zone)
        {
            return self.wrong(Reason::BadSchedule, why);
        }
        if !self.registered {
            return self.first(dataset);
        }
        match dataset.run.schedule {
            Some(_) => self.scheduled(dataset),
            None => self.arrived(dataset),
        }
    }

    /// Nothing until the definition changes.
    fn resting(self, reason: Reason, text: String) -> Decision {
        self.not_run(reason, text, None, None)
    }

    /// Nothing, and another look after a while.
    fn wrong(self, reason: Reason, text: String) -> Decision {
        let next = self.now.checked_add(AGAIN).ok();
        self.not_run(reason, text.clone(), next, Some(text))
    }

    fn not_run(
        self,
        reason: Reason,
        text: String,
        next: Option<Timestamp>,
        note: Option<String>,
    ) -> Decision {
        Decision {
            emissions: Vec::new(),
            skipped: vec![Skipped {
                slot: None,
                reason,
                text: text.clone(),
            }],
            skipped_count: 1,
            look: Look {
                through: self.through,
                registered: self.registered,
                next,
                note,
            },
            words: text,
        }
    }

    fn runs(
        self,
        emissions: Vec<Emission>,
        through: Timestamp,
        next: Option<Timestamp>,
        words: String,
    ) -> Decision {
        Decision {
            emissions,
            skipped: Vec::new(),
            skipped_count: 0,
            look: Look {
                // A watermark that is kept never goes back, and neither does the one that is asked for.
                through: Some(self.through.map_or(through, |known| known.max(through))),
                registered: true,
                next,
                note: None,
            },
            words,
        }
    }

    fn first(self, dataset: &Dataset) -> Decision {
        let mut emission = Emission::keyed(Trigger::Backfill, REGISTRATION.to_owned());
        emission.selection.last_days = dataset.limits.backfill_days;
        // What was emitted before its registration was noted stays emitted.
        let through = self.through.unwrap_or(self.now);
        let next = match dataset.run.schedule {
            Some(_) => due::due(dataset, Some(through), through).next,
            None => arrival::after(dataset, arrival::latest(dataset, through)),
        };
        let words = "new: a run over its past, then its next slot".to_owned();
        self.runs(vec![emission], through, next, words)
    }

    fn scheduled(self, dataset: &Dataset) -> Decision {
        let due = due::due(dataset, self.through, self.now);
        let emissions = due.slots.into_iter().map(Emission::slot).collect();
        let through = due.through.unwrap_or(self.now);
        let mut decision = self.runs(emissions, through, due.next, due.reason);
        decision.skipped_count = due.skipped_count;
        let missed = due.skipped.into_iter().map(|(slot, why)| Skipped {
            slot: Some(slot),
            reason: Reason::Missed,
            text: why.to_owned(),
        });
        decision.skipped = missed.collect();
        decision
    }

    fn arrived(self, dataset: &Dataset) -> Decision {
        let slot = arrival::latest(dataset, self.now);
        let next = arrival::after(dataset, slot);
        let known = self.through.unwrap_or(Timestamp::MIN);
        if slot <= known {
            let next = next.into_iter().chain(arrival::after(dataset, known));
            let words = "no schedule: it is looked at for new data in a while";
            return self.runs(Vec::new(), known, next.max(), words.to_owned());
        }
        let key = format!("arrival|{slot}");
        let emission = Emission::keyed(Trigger::Arrival, key);
        let words = "no schedule: it is looked at for new or changed data".to_owned();
        self.runs(vec![emission], slot, next, words)
    }
}

#[cfg(test)]
mod tests;
