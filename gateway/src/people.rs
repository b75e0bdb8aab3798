//! What people do through the API: one file a noun.

mod deliveries;
mod feedback;
mod incidents;
pub(crate) mod seams;
mod subscriptions;

use assay_answers::Problem;
use assay_proto::convert::WireError;
use assay_store::StoreError;

use crate::problem::{DAMAGED, Miss, OVERLOADED, STORE_AWAY};

pub(crate) use subscriptions::Turn;

/// A text of the wire, which has no `null`.
fn or_none(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// What the leader said is of another version, or damaged.
fn unreadable(error: &WireError) -> Problem {
    DAMAGED.because(format!("the leader's answer cannot be read: {error}"))
}

/// Why the store did not answer what is not kept.
pub(crate) fn away(error: StoreError) -> Problem {
    match Miss::from(error) {
        Miss::Problem(problem) => *problem,
        Miss::Away(why) => STORE_AWAY.because(why),
        Miss::Busy(why) => OVERLOADED.because(why),
        Miss::Old => STORE_AWAY.because("the store does not answer"),
    }
}
