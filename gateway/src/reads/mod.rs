//! The reads of the API: one file a noun, each from what is kept.

mod bounds;
mod checks;
mod cut;
mod dataset;
mod datasets;
mod definition;
mod facts;
mod fleet;
mod history;
mod incidents;
mod known;
mod lineage;
mod log;
mod metrics;
mod nodes;
mod overview;
mod points;
mod progress;
mod runs;
mod standing;
#[cfg(test)]
mod test_tasks;
mod usage;

pub(crate) use cut::{MOST as LIST_MOST, page, page_of};
pub(crate) use definition::diff;
pub(crate) use incidents::word;
pub(crate) use known::Known;
pub(crate) use runs::Snapshot;

use std::time::Duration;

/// How long what changes without a word of the store is in force.
pub(crate) const BRIEF: Duration = Duration::from_millis(1000);
/// The same of what is watched while it moves.
pub(crate) const LIVE: Duration = Duration::from_millis(250);
