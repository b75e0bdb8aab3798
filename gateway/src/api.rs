//! The API as an object: its parts, what it keeps, what it was asked before.

pub mod badge;
pub mod endpoint;
pub mod events;
pub mod handlers;
pub mod list;
pub mod openapi;
pub mod params;
mod people;
mod queries;
mod records;
pub mod reply;
pub mod router;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use assay_answers::{Problem, Reader};
use assay_guard::Holding;
use assay_model::dataset::Dataset;
use jiff::Timestamp;

use crate::memory::{Memory, Source};
use crate::parts::Parts;
use crate::problem::{DRAINING, FORBIDDEN, STORE_AWAY};
use crate::repeats::Repeats;
use crate::rights::Action;

/// The API. Clones share it.
#[derive(Clone)]
pub struct Api {
    pub(crate) parts: Arc<Parts>,
    pub(crate) memory: Memory,
    pub(crate) repeats: Repeats,
    /// When this gateway started.
    pub(crate) started: Timestamp,
    leaving: Arc<AtomicBool>,
    owners: Arc<RwLock<BTreeMap<String, Option<String>>>>,
    /// When somebody's subscriptions were changed by way of this gateway.
    resubscribed: Arc<RwLock<Instant>>,
}

impl Api {
    /// An API over `parts`; it hears of commits once [`crate::follow::follow`] runs.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let started = (parts.now)();
        let memory = Memory::new(Arc::clone(&parts.now), parts.telemetry.clone());
        Self {
            parts: Arc::new(parts),
            memory,
            repeats: Repeats::default(),
            started,
            leaving: Arc::default(),
            owners: Arc::default(),
            resubscribed: Arc::new(RwLock::new(Instant::now())),
        }
    }

    /// What is known of subscriptions is as it was: somebody has changed them.
    pub(crate) fn resubscribes(&self) {
        let at = self.resubscribed.write();
        *at.unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Since when no subscription was changed by way of this gateway.
    pub(crate) fn resubscribed_at(&self) -> Instant {
        let at = self.resubscribed.read();
        *at.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `who` may do this with an object of a dataset's owner.
    pub(crate) fn may(&self, who: &Reader, action: Action, dataset: &Dataset) -> bool {
        let owner = dataset.owner.as_deref();
        self.parts.rights.may(who, action, owner)
    }

    /// Refuses whoever may not do this with the cluster itself.
    pub(crate) fn may_cluster(&self, who: &Reader, action: Action) -> Result<(), Problem> {
        if self.parts.rights.may(who, action, None) {
            return Ok(());
        }
        let what = "only operators may do this";
        Err(FORBIDDEN.because(what))
    }

    /// Remembers whose datasets are, for the order in which requests are answered.
    pub(crate) fn remember_owners(&self, owners: BTreeMap<String, Option<String>>) {
        *self.owners.write().unwrap_or_else(PoisonError::into_inner) = owners;
    }

    /// Whose this dataset was when datasets were last listed.
    pub(crate) fn holding(&self, dataset: &str) -> Holding {
        let owners = self.owners.read().unwrap_or_else(PoisonError::into_inner);
        match owners.get(dataset) {
            None => Holding::Unknown,
            Some(None) => Holding::Unowned,
            Some(Some(owner)) => Holding::Owner(owner.clone()),
        }
    }

    /// From here on this gateway says that it is leaving.
    pub(crate) fn drain(&self) {
        self.leaving.store(true, Ordering::SeqCst);
    }

    /// Whether this gateway is leaving: streams end, so that their readers go to another one.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Whether requests should come here: it is not leaving, and has something to answer with.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&self) -> Result<(), Problem> {
        if self.is_leaving() {
            return Err(DRAINING.because("this gateway is leaving"));
        }
        match self.memory.reach(Source::Store).is_away() {
            Some((_, why)) if !self.memory.knows_anything() => Err(STORE_AWAY.because(why)),
            _ => Ok(()),
        }
    }
}
