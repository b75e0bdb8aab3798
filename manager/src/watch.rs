//! What watchers of runs are told.

use assay_model::ids::RunId;
use assay_model::run::RunState;
use jiff::Timestamp;

/// Updates that a slow watcher may fall behind by; it then sees the next state instead.
pub(crate) const UPDATES_MAX: usize = 1024;

/// A run has moved on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunUpdate {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// Why, for an end.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}
