//! Who waits for an answer of the core: submitters and those with a wish.
//!
//! Comes in: questions, and what the core has done. Goes out: each answer to all who wait for it.
//! It must never answer a wish before that very wish is in the store or refused: a wish that only
//! a leader's memory holds is lost with the leader.

use std::collections::BTreeMap;

use assay_model::change::Answer;
use assay_model::ids::{NodeId, RunId};
use assay_model::node::NodeState;
use assay_model::run::RunState;
use tokio::sync::oneshot;

/// What must have happened before a wish is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The run has ended.
    Ended,
    /// The run's tasks are ready again.
    Retried,
    /// The node takes no new task.
    Drained,
    /// The node takes tasks.
    Uncordoned,
    /// The leader knows it: for what lasts no longer than its term.
    Known,
}

type Reply = oneshot::Sender<Result<(), String>>;

/// What became of a wish for a run, or why it is refused.
pub(crate) type Submission = oneshot::Sender<Result<Answer, String>>;

/// Who waits.
#[derive(Default)]
pub(crate) struct Desk {
    submitters: BTreeMap<RunId, Vec<Submission>>,
    wishes: BTreeMap<String, Vec<(Until, Reply)>>,
}

impl Desk {
    pub(crate) fn submit(&mut self, run: RunId, reply: Submission) {
        self.submitters.entry(run).or_default().push(reply);
    }

    pub(crate) fn wish(&mut self, subject: String, until: Until, reply: Reply) {
        let waiting = self.wishes.entry(subject).or_default();
        // Whoever stopped waiting needs no answer.
        waiting.retain(|(_, reply)| !reply.is_closed());
        waiting.push((until, reply));
    }

    /// A run that is new is new to one of those who wait; to the others it was there already.
    pub(crate) fn submitted(&mut self, run: RunId, mut answer: Answer) {
        for reply in self.submitters.remove(&run).unwrap_or_default() {
            if reply.send(Ok(answer)).is_ok() && answer == Answer::Ok {
                answer = Answer::Already;
            }
        }
    }

    /// The wishes about `subject` cannot be followed; where there are none, the run of that name is
    /// refused.
    pub(crate) fn refused(&mut self, subject: &str, reason: &str) {
        if self.wishes.contains_key(subject) {
            self.answer(subject, |_| Some(Err(reason.to_owned())));
        } else if let Ok(run) = subject.parse::<RunId>() {
            for reply in self.submitters.remove(&run).unwrap_or_default() {
                // Whoever stopped waiting needs no answer.
                let _ = reply.send(Err(reason.to_owned()));
            }
        }
    }

    /// What only had to be known is known.
    pub(crate) fn known(&mut self, subject: &str) {
        self.answer(subject, |until| (until == Until::Known).then_some(Ok(())));
    }

    /// The tasks of `run` are ready again.
    pub(crate) fn retried(&mut self, run: RunId) {
        self.answer(&run.to_string(), |until| {
            (until == Until::Retried).then_some(Ok(()))
        });
    }

    /// `run` is in `state`.
    pub(crate) fn run_moved(&mut self, run: RunId, state: RunState) {
        if !state.is_terminal() {
            return;
        }
        self.answer(&run.to_string(), |until| {
            (until == Until::Ended).then(|| match state {
                RunState::Cancelled => Ok(()),
                other => Err(format!(
                    "{run} has ended ({other}) before it could be stopped"
                )),
            })
        });
    }

    /// `node` is in `state`.
    pub(crate) fn node_moved(&mut self, node: &NodeId, state: NodeState) {
        let ends = state.is_final();
        let drains = state == NodeState::Draining || ends;
        self.answer(node.as_str(), |until| match until {
            Until::Drained if drains => Some(Ok(())),
            Until::Uncordoned if ends => Some(Err(format!("{node} has left"))),
            Until::Uncordoned if !drains && state != NodeState::Excluded => Some(Ok(())),
            _ => None,
        });
    }

    fn answer(&mut self, subject: &str, said: impl Fn(Until) -> Option<Result<(), String>>) {
        let Some(waiting) = self.wishes.remove(subject) else {
            return;
        };
        let mut left = Vec::new();
        for (until, reply) in waiting {
            match said(until) {
                Some(answer) => {
                    let _ = reply.send(answer);
                }
                None => left.push((until, reply)),
            }
        }
        if !left.is_empty() {
            self.wishes.insert(subject.to_owned(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(
        desk: &mut Desk,
        subject: &str,
        until: Until,
    ) -> oneshot::Receiver<Result<(), String>> {
        let (reply, answer) = oneshot::channel();
        desk.wish(subject.to_owned(), until, reply);
        answer
    }

    #[test]
    fn a_run_that_several_ask_for_at_once_is_new_to_one_of_them() {
        let (mut desk, run) = (Desk::default(), RunId(uuid::Uuid::from_u128(1)));
        let mut asked = || {
            let (reply, answer) = oneshot::channel();
            desk.submit(run, reply);
            answer
        };
        let gone = asked();
        let (mut first, mut second, mut third) = (asked(), asked(), asked());
        drop(gone);
        desk.submitted(run, Answer::Ok);
        assert_eq!(first.try_recv(), Ok(Ok(Answer::Ok)));
        assert_eq!(second.try_recv(), Ok(Ok(Answer::Already)));
        assert_eq!(third.try_recv(), Ok(Ok(Answer::Already)));
    }

    #[test]
    fn who_asks_for_a_run_that_is_refused_is_told_why() {
        let (mut desk, run) = (Desk::default(), RunId(uuid::Uuid::from_u128(1)));
        let (reply, mut asked) = oneshot::channel();
        desk.submit(run, reply);
        // Another wish about the same run has an answer of its own.
        let mut retry = waits(&mut desk, &run.to_string(), Until::Retried);
        desk.refused(&run.to_string(), "it has not ended");
        assert!(retry.try_recv().unwrap().is_err());
        assert!(asked.try_recv().is_err());
        desk.refused(&run.to_string(), "no definition");
        assert_eq!(asked.try_recv(), Ok(Err("no definition".to_owned())));
    }

    #[test]
    fn a_cancel_is_answered_by_the_end_of_its_run_and_by_no_other_move() {
        let (mut desk, run) = (Desk::default(), RunId(uuid::Uuid::from_u128(1)));
        let mut cancel = waits(&mut desk, &run.to_string(), Until::Ended);
        desk.run_moved(run, RunState::Planning);
        desk.retried(run);
        desk.known(&run.to_string());
        assert!(cancel.try_recv().is_err());
        desk.run_moved(run, RunState::Cancelled);
        assert_eq!(cancel.try_recv(), Ok(Ok(())));
    }

    #[test]
    fn who_cancels_too_late_is_told_how_the_run_ended() {
        let (mut desk, run) = (Desk::default(), RunId(uuid::Uuid::from_u128(1)));
        let mut cancel = waits(&mut desk, &run.to_string(), Until::Ended);
        desk.run_moved(run, RunState::Succeeded);
        let answer = cancel.try_recv().unwrap().unwrap_err();
        assert!(answer.contains("succeeded"), "{answer}");
    }

    #[test]
    fn a_drain_waits_for_its_own_node_and_its_own_state() {
        let (mut desk, node) = (Desk::default(), NodeId::new("n1".to_owned()));
        let mut drain = waits(&mut desk, node.as_str(), Until::Drained);
        let mut uncordon = waits(&mut desk, node.as_str(), Until::Uncordoned);
        desk.node_moved(&node, NodeState::Excluded);
        assert!(drain.try_recv().is_err());
        assert!(uncordon.try_recv().is_err());
        desk.node_moved(&node, NodeState::Live);
        assert!(drain.try_recv().is_err());
        assert_eq!(uncordon.try_recv(), Ok(Ok(())));
        desk.node_moved(&node, NodeState::Draining);
        assert_eq!(drain.try_recv(), Ok(Ok(())));
    }
}
