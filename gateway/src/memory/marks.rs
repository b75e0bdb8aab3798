//! What was heard of commits, and what that says of answers.
//!
//! Comes in: datasets with a new commit, and when hearing began and ended. Goes out: whether an answer
//! that was read at some point is in force. It must never hold one in force across a time in which
//! commits could pass unheard.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use assay_model::ids::DatasetId;

/// When an answer was read, in commits that were heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Commits about its dataset.
    dataset: u64,
    /// Words that were about all.
    all: u64,
    /// Times that hearing began or ended.
    period: u64,
}

impl Mark {
    /// Which of the times between two that hearing began or ended.
    pub const fn period(&self) -> u64 {
        self.period
    }
}

/// What was heard so far.
#[derive(Debug, Default)]
pub struct Marks {
    // Held for one look.
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    datasets: HashMap<DatasetId, u64>,
    /// Any commit; for questions about no dataset in particular.
    any: u64,
    all: u64,
    period: u64,
    follows: bool,
    /// When hearing ended last.
    lost_at: Option<Instant>,
}

impl Heard {
    fn dataset(&self, dataset: Option<&DatasetId>) -> u64 {
        match dataset {
            Some(dataset) => self.datasets.get(dataset).copied().unwrap_or(0),
            None => self.any,
        }
    }

    fn unchanged(&self, dataset: Option<&DatasetId>, mark: &Mark) -> bool {
        self.dataset(dataset) == mark.dataset && self.all == mark.all
    }
}

impl Marks {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Each change is whole by itself.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit about a dataset.
    pub fn told(&self, dataset: &DatasetId) {
        let mut heard = self.heard();
        *heard.datasets.entry(dataset.clone()).or_default() += 1;
        heard.any += 1;
    }

    /// Something that may be about every answer.
    pub fn told_all(&self) {
        self.heard().all += 1;
    }

    /// Whether commits are heard of.
    pub fn hears(&self) -> bool {
        self.heard().follows
    }

    /// Hearing begins.
    pub fn follows(&self) {
        let mut heard = self.heard();
        heard.period += 1;
        heard.follows = true;
    }

    /// Hearing ends.
    pub fn lost(&self) {
        let mut heard = self.heard();
        heard.period += 1;
        heard.follows = false;
        heard.lost_at = Some(Instant::now());
    }

    /// The present mark.
    pub fn of(&self, dataset: Option<&DatasetId>) -> Mark {
        let heard = self.heard();
        Mark {
            dataset: heard.dataset(dataset),
            all: heard.all,
            period: heard.period,
        }
    }

    /// Whether nothing was committed since, for certain.
    pub fn holds(&self, dataset: Option<&DatasetId>, mark: &Mark) -> bool {
        let heard = self.heard();
        heard.follows && heard.period == mark.period && heard.unchanged(dataset, mark)
    }

    /// Whether nothing was heard of since; something may have passed unheard.
    pub fn same(&self, dataset: Option<&DatasetId>, mark: &Mark) -> bool {
        self.heard().unchanged(dataset, mark)
    }

    /// Whether nothing was heard of since that may be about every answer.
    pub fn undisturbed(&self, mark: &Mark) -> bool {
        self.heard().all == mark.all
    }

    /// Until when an answer was in force for certain: when hearing ended, if it was then.
    pub fn confirmed(&self, dataset: Option<&DatasetId>, mark: &Mark) -> Option<Instant> {
        let heard = self.heard();
        let until_then = !heard.follows && heard.period == mark.period + 1;
        heard
            .lost_at
            .filter(|_| until_then && heard.unchanged(dataset, mark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_holds_until_its_dataset_is_told_or_hearing_ends() {
        let marks = Marks::default();
        let [a, b] = ["a", "b"].map(|id| DatasetId::new(id).unwrap());
        let before = marks.of(Some(&a));
        assert!(!marks.holds(Some(&a), &before), "nobody listens yet");
        marks.follows();
        let (of_a, of_all) = (marks.of(Some(&a)), marks.of(None));
        assert!(!marks.holds(Some(&a), &before));
        marks.told(&b);
        assert!(marks.holds(Some(&a), &of_a));
        assert!(!marks.holds(None, &of_all));
        marks.told(&a);
        assert!(!marks.holds(Some(&a), &of_a));
        let again = marks.of(Some(&a));
        marks.lost();
        assert!(!marks.holds(Some(&a), &again));
        assert!(marks.confirmed(Some(&a), &again).is_some());
        assert!(marks.confirmed(Some(&a), &of_a).is_none());
        marks.follows();
        assert!(!marks.holds(Some(&a), &again), "a commit may have passed");
    }
}
