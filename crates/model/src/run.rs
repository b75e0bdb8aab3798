//! Runs: one execution of a dataset's checks, from its trigger to its end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{DatasetId, RunId};

crate::words! {
    /// Where a run is.
    pub enum RunState {
        /// Waiting for its turn.
        Queued = "queued",
        /// Its partitions are being discovered.
        Planning = "planning",
        /// Its tasks are at work.
        Running = "running",
        /// Its tasks have ended; it is being closed.
        Finalising = "finalising",
        /// Every task succeeded.
        Succeeded = "succeeded",
        /// Some tasks did not succeed; the others stand.
        Partial = "partial",
        /// Nothing could be evaluated.
        Failed = "failed",
        /// Stopped by someone.
        Cancelled = "cancelled",
        /// Its slot is older than its deadline; a newer one runs instead.
        SkippedStale = "skipped_stale",
    }
}

impl RunState {
    /// Whether the run has ended; an ended run never changes.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Succeeded | Self::Partial | Self::Failed | Self::Cancelled | Self::SkippedStale
        )
    }
}

crate::words! {
    /// What started a run.
    pub enum Trigger {
        /// Its schedule.
        Schedule = "schedule",
        /// A person or a program.
        Manual = "manual",
        /// Registration, or a chosen window of the past.
        Backfill = "backfill",
        /// New or changed data.
        Arrival = "arrival",
    }
}

crate::words! {
    /// Which runs go first.
    pub enum Priority {
        /// The present: ahead of everything else.
        Live = "live",
        /// The past.
        Backfill = "backfill",
    }
}

/// Which partitions a run looks at. Empty: all that are new or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// Only these partition keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Only dated partitions of the last so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_days: Option<u32>,
    /// Measure again what is unchanged, too.
    #[serde(default)]
    pub rescan: bool,
}

/// A run, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The dataset.
    pub dataset: DatasetId,
    /// The digest of the definition that it was planned with.
    pub definition: String,
    /// What started it.
    pub trigger: Trigger,
    /// The scheduled instant, for a scheduled run.
    #[serde(default)]
    pub slot: Option<Timestamp>,
    /// Which runs go first.
    pub priority: Priority,
    /// Which partitions it looks at.
    #[serde(default)]
    pub selection: Selection,
    /// Retries of each of its tasks.
    pub retries: u32,
    /// The longest time of each of its tasks, in milliseconds.
    pub task_timeout_ms: u64,
    /// Where it is.
    pub state: RunState,
    /// Why it ended as it did.
    #[serde(default)]
    pub reason: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its first task was assigned.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
    /// When it is given up.
    pub deadline_at: Timestamp,
    /// Tasks of its plan; set with the plan.
    pub planned_tasks: u32,
}
