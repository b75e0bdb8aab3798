//! Lives of nodes: registration, moves, and what earlier lives held.
//!
//! What comes in: a node or a leader's change. What goes out: its incarnation or an answer. It must
//! never leave an attempt on a life that is over by a later one.

use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId};
use assay_model::node::{Node, NodeState};
use assay_model::task::{AttemptOutcome, TaskState};
use jiff::Timestamp;

use super::copies::copy_on;
use super::{FencedEpoch, MemoryStore, Mutant, let_go};

impl MemoryStore {
    pub(super) fn move_node(
        &mut self,
        epoch: Epoch,
        node: &NodeId,
        incarnation: Incarnation,
        state: NodeState,
        at: Timestamp,
    ) -> Answer {
        match self.nodes.get_mut(node) {
            Some(row) if row.incarnation == incarnation && row.state == state => Answer::Already,
            Some(row) if row.incarnation == incarnation && !row.state.is_final() => {
                row.state = state;
                if state == NodeState::Dead {
                    self.deaths.push((epoch, node.clone(), incarnation, at));
                }
                Answer::Ok
            }
            _ => Answer::Fenced,
        }
    }

    /// Registers a node's new life and releases what its earlier lives held.
    ///
    /// # Errors
    /// [`FencedEpoch`].
    pub fn register(
        &mut self,
        epoch: Epoch,
        node: &Node,
        at: Timestamp,
    ) -> Result<Incarnation, FencedEpoch> {
        self.check(epoch)?;
        let before = self
            .nodes
            .get(&node.id)
            .map_or(Incarnation(0), |n| n.incarnation);
        let reused = self.has(Mutant::IncarnationReused) && before.0 > 0;
        let incarnation = if reused {
            before
        } else {
            Incarnation(before.0 + 1)
        };
        let row = Node {
            incarnation,
            state: NodeState::Live,
            ..node.clone()
        };
        self.nodes.insert(node.id.clone(), row);
        if !self.has(Mutant::RegisterReleasesNothing) {
            self.release(&node.id, at);
        }
        Ok(incarnation)
    }

    fn release(&mut self, node: &NodeId, at: Timestamp) {
        let why = "its node registered anew";
        let mut released = Vec::new();
        let copies: Vec<AttemptToken> = self
            .tasks
            .values()
            .filter_map(|task| copy_on(task, node))
            .collect();
        for token in copies {
            self.end_copy(&token);
            released.push(token);
        }
        for task in self
            .tasks
            .values_mut()
            .filter(|t| t.node.as_ref() == Some(node))
        {
            if let Some(nonce) = task.nonce {
                released.push(AttemptToken {
                    task: task.id,
                    attempt: task.attempt,
                    nonce,
                });
            }
            task.state = TaskState::Ready;
            task.wait = None;
            task.not_before = None;
            task.reason = Some(why.to_owned());
            let_go(task);
        }
        for token in released {
            self.close(&token, AttemptOutcome::Orphaned, at, why);
        }
    }
}
