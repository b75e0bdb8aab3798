//! What is known of the past of one series of a dataset.
//!
//! Comes in: what a store holds. Goes out: the same, in one place. Nothing is decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::feedback::Answered;
use assay_model::history::{Breach, MetricHistory, Verdict};
use assay_model::incident::Incident;
use assay_model::partition::Partition;

/// Earlier partitions that one is judged by: the learner's window with room for those that do not
/// teach.
pub const PAST_MAX: u32 = 400;
/// Open incidents of one dataset that are looked at.
pub const INCIDENTS_MAX: u32 = 100_000;
/// Broken checks of one series that are looked at; a partition whose are beyond teaches nothing.
pub const BREACHES_MAX: u32 = 200_000;

/// What is known: history, verdicts and breaches are of one series alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// The stored values, in the order of the partitions.
    pub history: MetricHistory,
    /// The verdicts in force.
    pub verdicts: Vec<Verdict>,
    /// The checks that were broken in those partitions and in later ones.
    pub breaches: Vec<Breach>,
    /// The partitions of the ledger: for a judgement those with a value in `history`, and those that
    /// incidents, answers or the definition name; to settle an answer all of the dataset.
    pub partitions: Vec<Arc<Partition>>,
    /// The incidents that are open.
    pub open: Vec<Incident>,
    /// What people answered; what was withdrawn counts for nothing.
    pub answered: Vec<Answered>,
}

impl Known {
    /// The place of each known partition in the order, by its key.
    #[must_use]
    pub fn order(&self) -> BTreeMap<&str, &str> {
        let places = self.partitions.iter();
        places.map(|p| (p.key.as_str(), p.order.as_str())).collect()
    }
}
