//! The port of what people answer back to the judge.
//!
//! Comes in: answers, each with who gave it, when and why. Goes out: all that were ever given, the
//! newest first. It must never delete one, change one but by withdrawing it once, or take one from
//! a leader that was deposed.

use assay_model::feedback::{Answered, FeedbackId, Withdrawal};
use assay_model::ids::{DatasetId, Epoch};
use async_trait::async_trait;

use crate::error::StoreError;

/// Answers that a dataset has in force at most; one more is refused.
pub const IN_FORCE_MAX: u32 = 1000;
/// Answers of a dataset that are read for judging: more than can be in force.
pub const READ_MAX: u32 = 10_000;

/// What people answered back.
#[async_trait]
pub trait Feedback: Send + Sync {
    /// Keeps an answer, and gives it as it is kept: at the store's own instant where it has a
    /// clock. A repeat of its id changes nothing and gives what was kept first.
    ///
    /// # Errors
    /// [`StoreError::FencedEpoch`]; [`StoreError::Refused`] when [`IN_FORCE_MAX`] are in force, or
    /// when the id is that of another answer.
    async fn keep_feedback(&self, epoch: Epoch, answer: &Answered) -> Result<Answered, StoreError>;

    /// Withdraws an answer, and gives it as it is then; one that was withdrawn before stays so.
    /// `None` when the dataset has no such answer.
    ///
    /// # Errors
    /// [`StoreError::FencedEpoch`].
    async fn withdraw_feedback(
        &self,
        epoch: Epoch,
        dataset: &DatasetId,
        id: FeedbackId,
        how: &Withdrawal,
    ) -> Result<Option<Answered>, StoreError>;

    /// The answers of a dataset, those in force first, then newest first; at most `limit`.
    async fn feedback(&self, dataset: &DatasetId, limit: u32) -> Result<Vec<Answered>, StoreError>;
}

/// Whether two answers with one id are not the same.
pub(crate) fn another(known: &Answered, new: &Answered) -> bool {
    (&known.dataset, known.kind, &known.scope, &known.series)
        != (&new.dataset, new.kind, &new.scope, &new.series)
        || (&known.from, &known.to) != (&new.from, &new.to)
}

/// The refusal of an answer whose id is taken.
pub(crate) fn taken(new: &Answered) -> StoreError {
    StoreError::Refused {
        what: "feedback",
        detail: format!("{} is the id of another answer; give it another", new.id),
    }
}

/// The refusal of one answer too many.
pub(crate) fn full(dataset: &DatasetId) -> StoreError {
    StoreError::Refused {
        what: "feedback",
        detail: format!(
            "{dataset} has {IN_FORCE_MAX} answers in force, and no more are kept; withdraw some, or \
             write lasting windows into the definition (`assayLimits.exclude`)"
        ),
    }
}
