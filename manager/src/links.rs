//! The open streams to nodes, as the term's task sees them.
//!
//! Comes in: opened and closed streams, messages of the core. Goes out: messages on the stream of
//! the life they are meant for. It must never wait for a slow node: what does not fit is dropped,
//! which the protocol allows, and said.

use std::collections::BTreeMap;

use assay_manager_core::ToNode;
use assay_model::ids::{Epoch, Incarnation, NodeId};
use assay_proto::convert::token_of;
use assay_proto::v1::{self, manager_message::Kind};
use tokio::sync::mpsc;
use tonic::Status;

/// Messages to one node that may wait.
pub(crate) const LINK_MAX: usize = 1024;

/// One open stream.
pub(crate) struct Link {
    /// Which stream, to tell a late close from the present one.
    pub(crate) stream: u64,
    /// The life it is of.
    pub(crate) incarnation: Incarnation,
    /// Where messages go.
    pub(crate) messages: mpsc::Sender<Result<v1::ManagerMessage, Status>>,
}

/// The open streams of one term.
pub(crate) struct Links {
    epoch: Epoch,
    drain_grace_ms: u64,
    open: BTreeMap<NodeId, Link>,
}

impl Links {
    pub(crate) fn new(epoch: Epoch, drain_grace_ms: u64) -> Self {
        Self {
            epoch,
            drain_grace_ms,
            open: BTreeMap::new(),
        }
    }

    /// Takes a stream in; an earlier one of the same node ends.
    pub(crate) fn open(&mut self, node: NodeId, link: Link) {
        let registered = v1::Registered {
            incarnation: link.incarnation.0,
        };
        self.tell(&node, &link, Kind::Registered(registered));
        self.open.insert(node, link);
    }

    /// Takes a stream out; says whether it was the present one.
    pub(crate) fn close(&mut self, node: &NodeId, stream: u64) -> bool {
        let present = self.open.get(node).is_some_and(|l| l.stream == stream);
        if present {
            self.open.remove(node);
        }
        present
    }

    /// Sends a message to the life of a node that it is meant for.
    pub(crate) fn send(&self, node: &NodeId, incarnation: Incarnation, message: &ToNode) {
        let Some(link) = self.open.get(node) else {
            return;
        };
        if link.incarnation != incarnation {
            return;
        }
        let kind = self.kind_of(message);
        self.tell(node, link, kind);
    }

    /// Tells every node that the leader is there.
    pub(crate) fn alive(&self) {
        for (node, link) in &self.open {
            self.tell(node, link, Kind::Alive(v1::Alive {}));
        }
    }

    /// Whether a stream of the node is open.
    pub(crate) fn is_open(&self, node: &NodeId) -> bool {
        self.open.contains_key(node)
    }

    /// How many streams are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    fn kind_of(&self, message: &ToNode) -> Kind {
        match message {
            ToNode::Assign {
                token,
                kind,
                timeout_ms,
                bytes,
                suspect,
            } => Kind::Assign(v1::Assign {
                token: Some(token_of(token)),
                kind: kind.to_string(),
                timeout_ms: *timeout_ms,
                bytes: *bytes,
                suspect: *suspect,
            }),
            ToNode::Cancel { token } => Kind::Cancel(token_of(token)),
            ToNode::Drain => Kind::Drain(v1::Drain {
                grace_ms: self.drain_grace_ms,
                reason: String::new(),
            }),
            ToNode::Resume => Kind::Resume(v1::Resume {}),
            ToNode::Rejoin => Kind::Rejoin(v1::Rejoin {}),
        }
    }

    fn tell(&self, node: &NodeId, link: &Link, kind: Kind) {
        let message = v1::ManagerMessage {
            epoch: self.epoch.0,
            kind: Some(kind),
        };
        if let Err(mpsc::error::TrySendError::Full(_)) = link.messages.try_send(Ok(message)) {
            tracing::warn!(%node, "the node reads too slowly: a message to it was dropped");
        }
    }
}
