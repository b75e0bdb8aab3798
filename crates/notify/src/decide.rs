//! Decisions: what follows from causes that changed, for everybody who subscribes.
//!
//! Comes in: causes, subscriptions, what was told, the definition, the present. Goes out: messages,
//! what is told by them, and when each cause wakes next. Pure: the same again gives the same, ids of
//! messages too.

use std::collections::BTreeMap;

use assay_model::dataset::Dataset;
use assay_model::notice::{Cause, Delivery, Notices, Subscription, Told};
use jiff::Timestamp;
use uuid::Uuid;

use crate::event::{self, Origin};
use crate::telling::{self, Owed};

/// What a decision is made by.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What this cluster calls itself.
    pub origin: &'a Origin,
    /// Everybody who may be told.
    pub subscriptions: &'a [Subscription],
    /// What they were told of the causes.
    pub told: &'a [Told],
    /// The newest definition of each dataset.
    pub datasets: &'a BTreeMap<String, Dataset>,
    /// The present.
    pub now: Timestamp,
}

/// Adds to `notices` the causes as they wake next, and what is to be told of them.
pub fn tell(notices: &mut Notices, causes: Vec<Cause>, known: &Known<'_>) {
    let told: BTreeMap<(Uuid, Uuid), &Told> = known
        .told
        .iter()
        .map(|told| ((told.cause, told.subscription), told))
        .collect();
    for mut cause in causes {
        cause.wake_at = None;
        for subscription in known.subscriptions {
            let before = told.get(&(cause.id, subscription.id)).copied();
            let mut owed = telling::owed(&cause, subscription, before, known.now);
            if let Owed::Now(kind) = owed {
                let after = telling::after(&cause, subscription, before, kind, known.now);
                let id = Delivery::id_of(cause.id, subscription.id, after.messages);
                let dataset = known.datasets.get(cause.dataset.as_str());
                let sent = event::of_cause(known.origin, id, kind, &cause, dataset, known.now);
                notices.deliveries.push(Delivery {
                    cause: Some(cause.id),
                    dataset: Some(cause.dataset.clone()),
                    ..event::delivery(id, subscription, kind, sent, known.now)
                });
                owed = telling::owed(&cause, subscription, Some(&after), known.now);
                notices.told.push(after);
            }
            if let Owed::At(at) = owed {
                let sooner = cause.wake_at.is_none_or(|wake| at < wake);
                cause.wake_at = if sooner { Some(at) } else { cause.wake_at };
            }
        }
        notices.causes.push(cause);
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
