//! The agenda: which datasets a tick has to look at, and what became of the look.
//!
//! Comes in: an instant, and what a tick has done about a dataset. Goes out: the entries whose time
//! has come, a page at a time. It must never answer with the whole registry when little is due, nor
//! let an entry that nobody can read hide the others. The store's watermark stays the truth about
//! what was emitted: the one kept here says when to look again, and may lag.

use std::collections::BTreeSet;

use assay_model::ids::DatasetId;
use async_trait::async_trait;
use jiff::Timestamp;

use crate::policy::Policy;
use crate::port::{Definition, InvalidFile, RegistryError};

/// The instant since which an entry is due whose definition is new or has changed: before any
/// other, whatever the clocks say of those who write and those who read.
pub const AT_ONCE: Timestamp = Timestamp::UNIX_EPOCH;

/// One dataset as the agenda knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key that it is kept under: the id of the dataset, unless somebody made it something else.
    pub key: String,
    /// The definition in force, or what is wrong with the one that is kept.
    pub definition: Result<Definition, InvalidFile>,
    /// Up to where its slots have been emitted, as far as is known here; absent: never looked at.
    pub emitted_through: Option<Timestamp>,
    /// Whether the run over its past has been asked for.
    pub registered: bool,
    /// Since when it is to be looked at ([`AT_ONCE`] when its definition has changed); absent: not at
    /// all, until its definition changes.
    pub due_at: Option<Timestamp>,
    /// What the last look had to say, when it was about something wrong.
    pub note: Option<String>,
}

impl Entry {
    /// Its owner, as [`Agenda::policy_of`] is asked; nobody when its definition has none, or cannot
    /// be read.
    #[must_use]
    pub fn owners(&self) -> BTreeSet<String> {
        let definition = self.definition.as_ref().ok();
        definition
            .and_then(|d| d.dataset.owner.clone())
            .into_iter()
            .collect()
    }
}

/// What a tick has made of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Up to where its slots are emitted. A watermark that is kept never goes back.
    pub through: Option<Timestamp>,
    /// Whether the run over its past has been asked for.
    pub registered: bool,
    /// When it is to be looked at again; absent: when its definition changes.
    pub next: Option<Timestamp>,
    /// What is wrong with it, for people; absent clears what was said before.
    pub note: Option<String>,
}

/// Whether a mark was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    /// It was.
    Kept,
    /// Its definition or its watermark has changed since it was read: nothing was changed, and the
    /// next tick looks again.
    Overtaken,
}

/// Where a page ends: opaque, and of one agenda only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) String);

impl Cursor {
    /// The error of a cursor that another agenda gave.
    pub(crate) fn foreign() -> RegistryError {
        RegistryError::Unavailable {
            place: "the agenda".to_owned(),
            reason: "the page asked for begins where no page of this agenda ends".to_owned(),
            remedy: "begin again with the first page".to_owned(),
            passing: false,
            unchanged: true,
        }
    }
}

/// Entries, and where to go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Due entries; those due longest come first within one part of the agenda.
    pub entries: Vec<Entry>,
    /// Where the next page begins; absent: this is the last one.
    pub next: Option<Cursor>,
}

/// Knows what is due.
#[async_trait]
pub trait Agenda: Send + Sync {
    /// At most about `limit` entries that are to be looked at by `now`, from `after` on. Entries that
    /// are marked meanwhile may be left out or met once more; others are met exactly once.
    async fn due(
        &self,
        now: Timestamp,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page, RegistryError>;

    /// The entry of one dataset, due or not.
    async fn entry(&self, id: &DatasetId) -> Result<Option<Entry>, RegistryError>;

    /// Keeps what a tick has made of `entry`, if neither its definition nor its watermark has changed
    /// since it was read.
    async fn mark(&self, entry: &Entry, look: &Look) -> Result<Marked, RegistryError>;

    /// From where each owner's data may come: all lists, which may take reading everything.
    async fn policy(&self) -> Result<Policy, RegistryError>;

    /// The same of these owners alone, as a tick asks for those of a page; [`crate::EVERYBODY`]'s
    /// list is always in it.
    async fn policy_of(&self, owners: &BTreeSet<String>) -> Result<Policy, RegistryError> {
        let _ = owners;
        self.policy().await
    }
}
