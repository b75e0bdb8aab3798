//! What pages ask beside the API's reads and wishes: answering back, what is done to incidents,
//! subscriptions, settings.
//!
//! Each is a port of its own, and each may be absent: then the page says so, and what to do instead.
//! They are asked with who asks, and answer under the same rights as the API.

use std::sync::Arc;

use assay_answers::{Problem, Reader};
use async_trait::async_trait;
use jiff::Timestamp;

/// What an owner says of a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saying {
    /// This partition was no fault: it counts as normal.
    MarkAsNormal,
    /// What came before this partition is no longer learned from.
    TrainAsNewNormal,
    /// Nothing is learned from the partitions of a window; they are judged as any others.
    ExcludeWindow,
}

impl Saying {
    /// Every saying.
    pub const ALL: [Self; 3] = [
        Self::MarkAsNormal,
        Self::TrainAsNewNormal,
        Self::ExcludeWindow,
    ];

    /// Its word in forms and in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MarkAsNormal => "mark_as_normal",
            Self::TrainAsNewNormal => "train_as_new_normal",
            Self::ExcludeWindow => "exclude_window",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MarkAsNormal => "Mark as normal",
            Self::TrainAsNewNormal => "Train as new normal from here",
            Self::ExcludeWindow => "Exclude this window",
        }
    }

    /// What follows from it.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::MarkAsNormal => "This partition was no fault. Limits may learn from it.",
            Self::TrainAsNewNormal => {
                "The data has changed for good. Limits are learned from this partition on."
            }
            Self::ExcludeWindow => {
                "These partitions are a known exception. Limits never learn from them."
            }
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|saying| saying.as_str() == word)
    }
}

/// A saying about a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What is said.
    pub saying: Saying,
    /// The dataset.
    pub dataset: String,
    /// The check.
    pub check: String,
    /// The partition, or the first of the window.
    pub from: String,
    /// The last partition of the window; `from` for the others.
    pub to: String,
    /// Why, in the owner's words.
    pub why: String,
}

/// What a saying would have changed in the past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backtest {
    /// Partitions that were looked at.
    pub partitions: u64,
    /// Those that the limits as they are alert on.
    pub before: Vec<String>,
    /// Those that they would alert on with the saying kept.
    pub after: Vec<String>,
    /// What cannot be told, if anything: too little history, say.
    pub note: Option<String>,
}

/// A saying that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// What was said.
    pub said: Said,
    /// Who said it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Timestamp>,
}

/// Answering back.
#[async_trait]
pub trait Answering: Send + Sync {
    /// What a saying would have changed, without keeping it.
    async fn backtest(&self, who: &Reader, said: &Said) -> Result<Backtest, Problem>;
    /// Keeps a saying; repeats under one `key` are one.
    async fn keep(&self, who: &Reader, said: &Said, key: &str) -> Result<Kept, Problem>;
    /// What is kept of a check, newest first.
    async fn kept(&self, who: &Reader, dataset: &str, check: &str) -> Result<Vec<Kept>, Problem>;
    /// Withdraws a saying, and keeps why; it stays on record.
    async fn withdraw(
        &self,
        who: &Reader,
        dataset: &str,
        id: &str,
        why: &str,
    ) -> Result<(), Problem>;
}

/// What can be done to an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Somebody is looking.
    Acknowledge,
    /// Nobody is told for so many hours.
    Mute {
        /// Hours.
        hours: u32,
    },
    /// Mended, or declared so.
    Resolve,
    /// Something that others who look at it should know.
    Note {
        /// What.
        text: String,
    },
}

/// Changes of incidents.
#[async_trait]
pub trait Incidents: Send + Sync {
    /// Changes an incident.
    async fn change(&self, who: &Reader, incident: &str, change: &Change) -> Result<(), Problem>;
}

/// Who is told of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// The dataset, or empty for all.
    pub dataset: String,
    /// The kind of channel (`slack`, `email`, `webhook`).
    pub tool: String,
    /// The channel, without a secret.
    pub channel: String,
    /// What it is told of, in words.
    pub filter: String,
    /// Whether the dataset's document names it.
    pub declared: bool,
    /// Whether it belongs to who asks.
    pub mine: bool,
    /// Whether it is paused.
    pub paused: bool,
    /// The newest delivery: when, and how it ended.
    pub last: Option<(Timestamp, String)>,
    /// Deliveries that failed for good.
    pub dead: u64,
}

/// A message to somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// What it tells of (`opened`, `resolved`).
    pub kind: String,
    /// What it says.
    pub words: String,
    /// How it stands: `pending`, `delivered`, `dead`.
    pub state: String,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it was written.
    pub at: Timestamp,
    /// What went wrong last.
    pub error: Option<String>,
}

/// Subscriptions.
#[async_trait]
pub trait Subscriptions: Send + Sync {
    /// All that who asks may see.
    async fn list(&self, who: &Reader) -> Result<Vec<Subscription>, Problem>;
    /// The newest messages to one, newest first; at most `limit`.
    async fn messages(&self, who: &Reader, id: &str, limit: u32) -> Result<Vec<Message>, Problem>;
    /// Sends a message that was given up again.
    async fn again(&self, who: &Reader, id: &str, message: &str) -> Result<(), Problem>;
    /// Sends a test, and says how it went.
    async fn test(&self, who: &Reader, id: &str) -> Result<String, Problem>;
}

/// A setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name (`server.port`).
    pub name: String,
    /// Its value; of a secret, only its reference.
    pub value: String,
    /// Where it was set.
    pub source: String,
}

/// Settings in force.
pub trait Settings: Send + Sync {
    /// All that who asks may see.
    fn settings(&self, who: &Reader) -> Vec<Setting>;
}

/// The ports that may be absent.
#[derive(Clone, Default)]
pub struct Seams {
    /// Answering back.
    pub answering: Option<Arc<dyn Answering>>,
    /// Changes of incidents.
    pub incidents: Option<Arc<dyn Incidents>>,
    /// Subscriptions.
    pub subscriptions: Option<Arc<dyn Subscriptions>>,
    /// Settings in force.
    pub settings: Option<Arc<dyn Settings>>,
}

impl std::fmt::Debug for Seams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seams")
            .field("answering", &self.answering.is_some())
            .field("incidents", &self.incidents.is_some())
            .field("subscriptions", &self.subscriptions.is_some())
            .field("settings", &self.settings.is_some())
            .finish()
    }
}
