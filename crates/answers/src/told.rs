//! What goes round every answer: how old it is, how a list goes on, and who asks.

use crate::schema::described;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An answer with its age. In JSON the fields of the answer and `asOf` stand side by side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told<T> {
    /// The answer.
    #[serde(flatten)]
    pub it: T,
    /// When it was read from where it is kept.
    pub as_of: Timestamp,
    /// Seconds since it could last be confirmed, while where it is kept does not answer; `None`
    /// when the answer is in force. In HTTP it is the header `assay-stale`.
    #[serde(skip)]
    pub stale_s: Option<u64>,
}

impl<T> Told<T> {
    /// An answer in force.
    pub const fn fresh(it: T, as_of: Timestamp) -> Self {
        Self {
            it,
            as_of,
            stale_s: None,
        }
    }

    /// The same answer made of `other`, too: as old as the older of the two.
    #[must_use]
    pub fn beside<U>(self, other: &Told<U>) -> Self {
        Self {
            as_of: self.as_of.min(other.as_of),
            stale_s: self.stale_s.max(other.stale_s),
            ..self
        }
    }

    /// The same age of another answer.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Told<U> {
        Told {
            it: change(self.it),
            as_of: self.as_of,
            stale_s: self.stale_s,
        }
    }
}

described! {
/// A part of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to send as `cursor` for the items that follow; `null` when these were the last.
    pub next_cursor: Option<String>,
    /// How many items the whole list has, where that is known without reading it.
    pub total: Option<u64>,
}
}

/// What a reader is to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Nobody known.
    Anonymous,
    /// Reads what they are told of.
    Subscriber,
    /// Answers for datasets.
    Owner,
    /// Runs the cluster.
    Operator,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// What they are called, for logs and for what they change.
    pub id: String,
    /// What they are to the cluster.
    pub role: Role,
    /// The owners in whose name they act; for [`Role::Owner`].
    pub owners: Vec<String>,
    /// The owners whose objects they may read besides; `*` is all.
    pub reads: Vec<String>,
    /// Whether what they have shown lets them change anything.
    pub writes: bool,
}

impl Reader {
    /// The user of a machine's own cluster, who may do everything.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self {
            id: "local".to_owned(),
            role: Role::Operator,
            owners: Vec::new(),
            reads: Vec::new(),
            writes: true,
        }
    }
}
