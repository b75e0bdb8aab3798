//! The desk of the leader that tells people: keeps causes, decides who is told, sends.
//!
//! Comes in: messages of the outbox, wishes of people, the present. Goes out: decisions, each in one
//! transaction under the leader's epoch with the mark that its messages are handled, and messages to
//! receivers. It must never decide anything while another manager leads (the store refuses it), send
//! what is not kept, or wait for one receiver before it serves another.

mod alerts;
mod fold;
mod send;
mod stale;
pub(crate) mod wishes;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_model::ids::{DatasetId, Epoch};
use assay_model::notice::{Cause, Notices, Subscription};
use assay_notify::channels::Carrier;
use assay_notify::decide::{Known, tell};
use assay_notify::defaults;
use assay_notify::event::Origin;
use assay_store::StoreError;
use assay_store::notices::{CauseFilter, NoticeStore};
use assay_telemetry::repeat::Repeat;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Mutex, MutexGuard, Notify};

use crate::handle::{Shared, SubmitError};

pub(crate) use wishes::WishError;

/// Between two looks at the outbox when nothing waits.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two looks for what is due or adrift.
const SWEEP_EVERY: Duration = Duration::from_secs(15);
/// Between two looks for what may be forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// How long deliveries that have ended are kept.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Messages of the outbox that are handled at once.
const BATCH: u32 = 100;
/// Causes of one dataset, and those that are due at once.
const CAUSES_MAX: u32 = 10_000;
/// Incidents adrift that are taken up at once.
const ADRIFT_MAX: u32 = 1_000;

/// What tells people.
pub struct NoticeParts {
    /// Where causes, subscriptions and messages are.
    pub store: Arc<dyn NoticeStore>,
    /// What carries messages.
    pub carrier: Arc<dyn Carrier>,
    /// What this cluster calls itself in them.
    pub origin: Origin,
}

/// Whose turn it is to decide.
type Turn<'a> = MutexGuard<'a, ()>;

/// The desk.
pub(crate) struct Desk {
    parts: NoticeParts,
    /// Decisions are made one after another: each reads what the one before wrote.
    turn: Mutex<()>,
    /// Something is to be sent.
    sent: Notify,
}

impl Desk {
    pub(crate) fn new(parts: NoticeParts) -> Self {
        Self {
            parts,
            turn: Mutex::new(()),
            sent: Notify::new(),
        }
    }

    pub(crate) fn store(&self) -> &dyn NoticeStore {
        self.parts.store.as_ref()
    }

    pub(crate) fn carrier(&self) -> &dyn Carrier {
        self.parts.carrier.as_ref()
    }

    /// The causes of a dataset.
    async fn causes_of(&self, dataset: &DatasetId) -> Result<Vec<Cause>, StoreError> {
        let filter = CauseFilter {
            dataset: Some(dataset.clone()),
            limit: CAUSES_MAX,
            ..CauseFilter::default()
        };
        self.parts.store.causes(&filter).await
    }

    /// The subscriptions for a dataset as they are after its definition was looked at; what changes
    /// by that is added to `notices`.
    pub(crate) async fn subscribed(
        &self,
        shared: &Shared,
        dataset: &DatasetId,
        notices: &mut Notices,
        now: Timestamp,
    ) -> Result<(Vec<Subscription>, Option<Dataset>), StoreError> {
        let mut known = self.parts.store.subscriptions(Some(dataset)).await?;
        // What this very decision changes goes before what is stored.
        let of = |s: &&Subscription| s.dataset.as_ref().is_none_or(|of| of == dataset);
        for changed in notices.subscriptions.iter().filter(of) {
            known.retain(|subscription| subscription.id != changed.id);
            known.push(changed.clone());
        }
        let definition = readable(shared.parts.metrics.definition(dataset).await)?;
        if let Some(definition) = &definition {
            for changed in defaults::changes(definition, &known, now) {
                known.retain(|subscription| subscription.id != changed.id);
                known.push(changed.clone());
                notices.subscriptions.push(changed);
            }
        }
        Ok((known, definition))
    }

    /// Adds to `notices` what follows from `causes` of one dataset.
    async fn decide(
        &self,
        notices: &mut Notices,
        causes: Vec<Cause>,
        subscriptions: &[Subscription],
        definition: Option<Dataset>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let ids: Vec<_> = causes.iter().map(|cause| cause.id).collect();
        let told = self.parts.store.told(&ids).await?;
        let datasets: BTreeMap<String, Dataset> = definition
            .into_iter()
            .map(|dataset| (dataset.id.to_string(), dataset))
            .collect();
        let known = Known {
            origin: &self.parts.origin,
            subscriptions,
            told: &told,
            datasets: &datasets,
            now,
        };
        tell(notices, causes, &known);
        Ok(())
    }

    /// Keeps a decision, whose turn is held since before the first of what it rests on was read: a
    /// subscription that is removed meanwhile would be owed a message that nobody ever sends.
    async fn settle(
        &self,
        _: &Turn<'_>,
        epoch: Epoch,
        notices: &Notices,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if notices.is_empty() {
            return Ok(());
        }
        self.parts.store.settle(epoch, notices, now).await?;
        self.sent.notify_one();
        Ok(())
    }
}

/// Tells people until the manager stops.
pub(crate) fn keep(shared: &Arc<Shared>, desk: &Arc<Desk>) {
    tokio::spawn(go_round::<fold::Outbox>(
        Arc::clone(shared),
        Arc::clone(desk),
    ));
    tokio::spawn(go_round::<alerts::Watch>(
        Arc::clone(shared),
        Arc::clone(desk),
    ));
    tokio::spawn(send::keep(Arc::clone(shared), Arc::clone(desk)));
}

/// What the leader looks at again and again.
trait Rounds: Default + Send {
    /// What the log says when the store refuses.
    const CANNOT: &'static str;

    /// One round, which does nothing while another manager leads; says whether there may be more at
    /// once.
    fn round(
        &mut self,
        shared: &Shared,
        desk: &Desk,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Goes round until the manager stops.
async fn go_round<R: Rounds>(shared: Arc<Shared>, desk: Arc<Desk>) {
    let mut stop = shared.stop.subscribe();
    let mut repeat = Repeat::default();
    let mut rounds = R::default();
    while !*stop.borrow() {
        match rounds.round(&shared, &desk).await {
            Ok(more) => {
                repeat.ends();
                if more {
                    continue;
                }
            }
            // Who leads now does it.
            Err(StoreError::FencedEpoch { .. }) => {}
            Err(error) => {
                if let Some(again) = repeat.fails() {
                    tracing::warn!(%error, "{}; trying again{again}", R::CANNOT);
                }
            }
        }
        // Ends early when the manager stops.
        let _ = tokio::time::timeout(PAUSE, stop.wait_for(|stop| *stop)).await;
    }
}

/// Whether messages are held: nothing is decided meanwhile, for it would be told.
async fn is_held(shared: &Shared) -> Result<bool, StoreError> {
    Ok(shared.parts.metrics.health().await?.outbox_held.is_some())
}

/// A definition, if it can be read. One of a newer program, or damaged, says nothing of its dataset: what
/// is told lacks it, and nobody else's messages wait for it.
fn readable(found: Result<Option<Dataset>, StoreError>) -> Result<Option<Dataset>, StoreError> {
    match found {
        Err(error @ StoreError::Corrupt { .. }) => {
            tracing::error!(%error, "people are told without a definition");
            Ok(None)
        }
        found => found,
    }
}

/// The desk of this manager, if it tells people at all.
pub(crate) fn desk(shared: &Shared) -> Result<&Arc<Desk>, SubmitError> {
    shared.notices.get().ok_or_else(|| {
        SubmitError::Refused("this manager was started so that it tells nobody".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_cannot_be_read_holds_up_no_message_and_a_store_that_is_away_does() {
        let newer = StoreError::Corrupt {
            what: "definition",
            detail: "unknown variant".to_owned(),
        };
        assert!(matches!(readable(Err(newer)), Ok(None)));
        let away = StoreError::Unavailable("no connection".into());
        assert!(readable(Err(away)).is_err());
    }
}
