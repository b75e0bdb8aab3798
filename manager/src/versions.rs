//! Which version of the program each node has, by what it said when it came.
//!
//! Comes in: greetings of nodes that were let in. Goes out: a word for people. It must never steer
//! anything: what versions differ in, the protocol settles by itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use assay_model::ids::NodeId;

/// Nodes that are remembered; more come without a version.
const NODES_MAX: usize = 10_000;

/// What nodes said.
#[derive(Default)]
pub(crate) struct Versions {
    // Held for a moment, never across an await.
    said: Mutex<BTreeMap<NodeId, String>>,
}

impl Versions {
    /// Notes what a node said.
    pub(crate) fn note(&self, node: &NodeId, version: String) {
        let mut said = self.said();
        if said.len() < NODES_MAX || said.contains_key(node) {
            said.insert(node.clone(), version);
        }
    }

    /// Forgets all nodes but those that `stay`.
    pub(crate) fn keep(&self, stay: impl Fn(&NodeId) -> bool) {
        self.said().retain(|node, _| stay(node));
    }

    /// What a node said; empty when nothing is known.
    pub(crate) fn of(&self, node: &NodeId) -> String {
        self.said().get(node).cloned().unwrap_or_default()
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<NodeId, String>> {
        // A panic while it is held leaves the words whole.
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_said_last_is_known_until_it_has_left() {
        let versions = Versions::default();
        let (a, b) = (NodeId::new("a"), NodeId::new("b"));
        versions.note(&a, "0.1.0".to_owned());
        versions.note(&a, "0.2.0".to_owned());
        versions.note(&b, "0.1.0".to_owned());
        assert_eq!(versions.of(&a), "0.2.0");
        versions.keep(|node| *node == b);
        assert_eq!(
            (versions.of(&a), versions.of(&b)),
            (String::new(), "0.1.0".to_owned())
        );
    }
}
