//! What a tick did, for people and programs.
//!
//! Comes in: what became of each dataset. Goes out: counts, the first details, and what is left. It
//! must never grow with the number of datasets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// Details in one report.
pub const DETAILS_MAX: usize = 50;

/// Characters of one detail's reason.
const WORDS_MAX: usize = 400;

/// What a tick did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TickReport {
    /// The instant that it was about.
    pub at: Timestamp,
    /// Datasets that were looked at.
    pub looked: u64,
    /// Runs that were begun.
    pub emitted: u64,
    /// Runs that were asked for and were there already.
    pub existed: u64,
    /// Datasets and slots that were not run, by [`Reason`].
    pub skipped: BTreeMap<Reason, u64>,
    /// What failed, by `refused` (a run), `away` (the manager) and `registry` (a page or a mark).
    pub failed: BTreeMap<Failure, u64>,
    /// Looks that the agenda keeps.
    pub marked: u64,
    /// Looks that it does not, since somebody else was first.
    pub overtaken: u64,
    /// Datasets whose time has come and that were not dealt with; a lower bound when `more_left`.
    pub left: u64,
    /// Whether the agenda was not read to its end.
    pub more_left: bool,
    /// Why the tick ended before it was through.
    pub stopped: Option<String>,
    /// How long the dataset that had waited longest was due, in seconds.
    pub lag_s: f64,
    /// How long the tick took, in milliseconds.
    pub took_ms: u64,
    /// The first [`DETAILS_MAX`] things that people may want to know.
    pub details: Vec<Detail>,
}

/// The kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// A run was refused.
    Refused,
    /// The manager is away.
    Away,
    /// The registry did not answer, or not as asked.
    Registry,
}

impl Failure {
    /// The word, as in metrics and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Away => "away",
            Self::Registry => "registry",
        }
    }
}

/// Something about one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The dataset, or what it is kept under.
    pub dataset: String,
    /// `emitted`, `existed`, a [`Reason`] or a [`Failure`].
    pub what: String,
    /// The slot that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Timestamp>,
    /// The run's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

impl TickReport {
    /// The report of a tick that has done nothing yet.
    #[must_use]
    pub const fn new(at: Timestamp) -> Self {
        Self {
            at,
            looked: 0,
            emitted: 0,
            existed: 0,
            skipped: BTreeMap::new(),
            failed: BTreeMap::new(),
            marked: 0,
            overtaken: 0,
            left: 0,
            more_left: false,
            stopped: None,
            lag_s: 0.0,
            took_ms: 0,
            details: Vec::new(),
        }
    }

    /// `ok`; `partial` when something failed or is left; `away` when the manager took nothing.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        if self.failed.contains_key(&Failure::Away) {
            "away"
        } else if !self.failed.is_empty() || self.left > 0 || self.more_left {
            "partial"
        } else {
            "ok"
        }
    }

    pub(crate) fn skip(&mut self, reason: Reason, count: u64) {
        *self.skipped.entry(reason).or_default() += count;
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        *self.failed.entry(failure).or_default() += 1;
    }

    pub(crate) fn detail(&mut self, mut detail: Detail) {
        if self.details.len() < DETAILS_MAX {
            if detail.why.chars().count() > WORDS_MAX {
                detail.why = detail.why.chars().take(WORDS_MAX).chain(['…']).collect();
            }
            self.details.push(detail);
        }
    }
}

impl std::fmt::Display for TickReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} datasets looked at, {} runs begun, {} there already",
            self.looked, self.emitted, self.existed
        )?;
        for (reason, count) in &self.skipped {
            write!(f, ", {count} {reason}")?;
        }
        for (failure, count) in &self.failed {
            write!(f, ", {count} failed ({})", failure.word())?;
        }
        if let Some(stopped) = &self.stopped {
            write!(f, "; {stopped}")?;
        }
        Ok(())
    }
}
