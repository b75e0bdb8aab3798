//! Second copies of attempts, and charges that are taken back.
//!
//! What comes in: a leader's change, or the end of one of two copies. What goes out: its answer. It
//! must never leave a task at work without a copy.

use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId};
use assay_model::task::{AttemptOutcome, Task, TaskState, Twin};
use jiff::Timestamp;

use super::{Attempt, MemoryStore, Mutant};

impl MemoryStore {
    pub(super) fn assign_twin(
        &mut self,
        epoch: Epoch,
        token: AttemptToken,
        node: &NodeId,
        incarnation: Incarnation,
        at: Timestamp,
    ) -> Answer {
        if self.attempt(&token).is_some_and(|a| a.twin) {
            return Answer::Already;
        }
        let copied = self.attempts.get(&token.task).is_some_and(|all| {
            let mut same = all.iter().filter(|a| a.token.attempt == token.attempt);
            same.any(|a| a.twin)
        });
        let live = self.is_live(node, incarnation);
        let generation = self.generations.get(&token.task).copied().unwrap_or(0);
        let running = self.tasks.get_mut(&token.task).filter(|task| {
            let this = task.state == TaskState::Running && task.attempt == token.attempt;
            this && task.twin.is_none() && task.node.as_ref() != Some(node)
        });
        let Some(task) = running.filter(|_| live && !copied) else {
            return Answer::Fenced;
        };
        task.twin = Some(Box::new(Twin {
            nonce: token.nonce,
            node: node.clone(),
            incarnation,
            assigned_at: at,
        }));
        self.attempts.entry(token.task).or_default().push(Attempt {
            token,
            node: node.clone(),
            incarnation,
            epoch,
            twin: true,
            generation,
            assigned_at: at,
            started_at: None,
            ended_at: None,
            outcome: None,
            reason: String::new(),
        });
        Answer::Ok
    }

    pub(super) fn forgive(&mut self, token: &AttemptToken, reason: &str) -> Answer {
        let round = self.generations.get(&token.task).copied().unwrap_or(0);
        let given_up = self
            .tasks
            .get(&token.task)
            .is_none_or(|t| t.state.is_terminal() && t.state != TaskState::Succeeded);
        let mutant = self.has(Mutant::ForgiveIgnored);
        let Some(attempt) = self.attempt(token) else {
            return Answer::Fenced;
        };
        if attempt.outcome == Some(AttemptOutcome::Orphaned) {
            return Answer::Already;
        }
        if mutant {
            return Answer::Ok;
        }
        let lost = attempt.outcome == Some(AttemptOutcome::NodeLost);
        if !lost || attempt.generation != round || given_up {
            return Answer::Fenced;
        }
        attempt.outcome = Some(AttemptOutcome::Orphaned);
        reason.clone_into(&mut attempt.reason);
        if let Some(task) = self.tasks.get_mut(&token.task) {
            task.charged = task.charged.saturating_sub(1);
        }
        Answer::Ok
    }

    /// Lets go of one of two copies; its task goes on with the other.
    pub(super) fn end_copy(&mut self, token: &AttemptToken) -> bool {
        let forgotten = self.has(Mutant::HandOverForgotten);
        let attempts = self.attempts.get(&token.task);
        let Some(task) = self.tasks.get_mut(&token.task) else {
            return false;
        };
        if task.attempt != token.attempt || forgotten {
            return false;
        }
        let Some(twin) = task.twin.take() else {
            return false;
        };
        if twin.nonce == token.nonce {
            return true;
        }
        if task.nonce != Some(token.nonce) {
            task.twin = Some(twin);
            return false;
        }
        let row = attempts.and_then(|all| all.iter().find(|a| a.token.nonce == twin.nonce));
        task.started_at = row.and_then(|a| a.started_at);
        task.state = match task.started_at {
            Some(_) => TaskState::Running,
            None => TaskState::Assigned,
        };
        task.nonce = Some(twin.nonce);
        task.node = Some(twin.node);
        task.incarnation = Some(twin.incarnation);
        task.assigned_at = Some(twin.assigned_at);
        true
    }

    /// Ends the copies that are left of a task that has ended.
    pub(super) fn end_other_copies(&mut self, token: &AttemptToken, at: Timestamp, why: &str) {
        if self.has(Mutant::OtherCopyForgotten) {
            return;
        }
        for attempt in self.attempts.get_mut(&token.task).into_iter().flatten() {
            if attempt.token.attempt == token.attempt && attempt.outcome.is_none() {
                attempt.outcome = Some(AttemptOutcome::Cancelled);
                attempt.ended_at = Some(at);
                why.clone_into(&mut attempt.reason);
            }
        }
    }
}

/// The copy on `node` of a task that has two.
pub(super) fn copy_on(task: &Task, node: &NodeId) -> Option<AttemptToken> {
    let twin = task.twin.as_ref()?;
    let nonce = if task.node.as_ref() == Some(node) {
        task.nonce
    } else {
        (twin.node == *node).then_some(twin.nonce)
    };
    Some(AttemptToken {
        task: task.id,
        attempt: task.attempt,
        nonce: nonce?,
    })
}
