//! Who waits for an answer of the core: submitters and those with a wish.
//!
//! Comes in: questions, and the core's answers. Goes out: each answer to all who wait for it. It
//! must never answer a wish before the core has followed or refused it.

use std::collections::BTreeMap;

use assay_model::change::Answer;
use assay_model::ids::RunId;
use tokio::sync::oneshot;

/// Who waits.
#[derive(Default)]
pub(crate) struct Desk {
    submitters: BTreeMap<RunId, Vec<oneshot::Sender<Answer>>>,
    wishes: BTreeMap<String, Vec<oneshot::Sender<Result<(), String>>>>,
}

impl Desk {
    pub(crate) fn submit(&mut self, run: RunId, reply: oneshot::Sender<Answer>) {
        self.submitters.entry(run).or_default().push(reply);
    }

    pub(crate) fn wish(&mut self, subject: String, reply: oneshot::Sender<Result<(), String>>) {
        self.wishes.entry(subject).or_default().push(reply);
    }

    pub(crate) fn submitted(&mut self, run: RunId, answer: Answer) {
        for reply in self.submitters.remove(&run).unwrap_or_default() {
            // Whoever stopped waiting needs no answer.
            let _ = reply.send(answer);
        }
    }

    /// The wishes about `subject` cannot be followed.
    pub(crate) fn refused(&mut self, subject: &str, reason: &str) {
        for reply in self.wishes.remove(subject).unwrap_or_default() {
            let _ = reply.send(Err(reason.to_owned()));
        }
    }

    /// The wishes about `subject` are followed.
    pub(crate) fn followed(&mut self, subject: &str) {
        for reply in self.wishes.remove(subject).unwrap_or_default() {
            let _ = reply.send(Ok(()));
        }
    }
}
