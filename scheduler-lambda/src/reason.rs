//! Why something is not run.
//!
//! Comes in: nothing. Goes out: one word for each reason, for metrics and for programs. Nothing is
//! left out without one of these.

use serde::{Deserialize, Serialize};

/// Why a dataset, or a slot of it, is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The definition is a draft: it runs by hand only.
    Draft,
    /// The dataset is retired.
    Retired,
    /// Its owner holds it back.
    Paused,
    /// Its source is not among those that its owner may read.
    NotAllowed,
    /// Its schedule or time zone cannot be read.
    BadSchedule,
    /// What is kept of it is no valid definition.
    Invalid,
    /// It is kept under the id of another dataset.
    Misplaced,
    /// The slot came and went, and the policy does not catch up on it.
    Missed,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Draft,
        Self::Retired,
        Self::Paused,
        Self::NotAllowed,
        Self::BadSchedule,
        Self::Invalid,
        Self::Misplaced,
        Self::Missed,
    ];

    /// The word, as in metrics and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Retired => "retired",
            Self::Paused => "paused",
            Self::NotAllowed => "not_allowed",
            Self::BadSchedule => "bad_schedule",
            Self::Invalid => "invalid",
            Self::Misplaced => "misplaced",
            Self::Missed => "missed",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}
