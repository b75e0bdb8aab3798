//! The port of how the fleet was over time: its size and its work, why it was scaled and how that went,
//! and the lives of its nodes.
//!
//! Comes in: what the leader saw, once a minute, and the phases of what it decided. Goes out: the same
//! to people, oldest first. What a node went through is read from the log of events, where it stands
//! with the move itself. It must never keep what a deposed leader saw, or grow without a bound.

use assay_model::ids::{Epoch, Incarnation, NodeId};
use assay_model::node::NodeState;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::StoreError;
use crate::values::micros;

/// How the fleet was at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetSample {
    /// When.
    pub at: Timestamp,
    /// Nodes that the backlog asked for.
    pub desired: u32,
    /// Nodes that took tasks.
    pub ready: u32,
    /// Tasks that could have started if there had been a slot.
    pub queued: u64,
    /// Tasks at work.
    pub running: u64,
}

/// A change of the wanted number of nodes, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleEvent {
    /// Its number.
    pub id: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// Nodes wanted before.
    pub from: u32,
    /// Nodes wanted from then on.
    pub to: u32,
    /// Why.
    pub reason: String,
    /// When the first new node was ready, or the first node had left.
    pub first_at: Option<Timestamp>,
    /// When the first task began on a new node.
    pub task_at: Option<Timestamp>,
    /// When there were as many nodes as it wanted.
    pub done_at: Option<Timestamp>,
}

/// A step in the life of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeStep {
    /// Its place among all events.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The state that it moved to; `None` where its life began.
    pub state: Option<NodeState>,
    /// Why.
    pub reason: Option<String>,
}

/// Which steps to read.
#[derive(Debug, Clone, Default)]
pub struct StepFilter {
    /// Only of this node.
    pub node: Option<NodeId>,
    /// Only those after this place.
    pub after: u64,
    /// Only those at this instant or later.
    pub since: Option<Timestamp>,
    /// At most so many, oldest first.
    pub limit: u32,
}

/// What the leader saw, written at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FleetNote {
    /// How the fleet is.
    pub sample: Option<FleetSample>,
    /// Changes as far as they have come: a phase that is known stays as it is.
    pub phases: Vec<ScaleEvent>,
    /// Samples from before this are forgotten.
    pub forget_samples: Option<Timestamp>,
    /// Changes that were decided before this are forgotten.
    pub forget_events: Option<Timestamp>,
}

/// How the fleet was over time.
#[async_trait]
pub trait FleetLog: Send + Sync {
    /// Writes what the leader saw.
    ///
    /// # Errors
    /// [`StoreError::FencedEpoch`].
    async fn note_fleet(&self, epoch: Epoch, note: &FleetNote) -> Result<(), StoreError>;

    /// Samples since an instant, oldest first; of too many, the newest.
    async fn fleet_samples(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<FleetSample>, StoreError>;

    /// Changes of the wanted number, newest first, at most `limit`.
    async fn scale_events(&self, limit: u32) -> Result<Vec<ScaleEvent>, StoreError>;

    /// Steps in the lives of nodes, oldest first.
    async fn node_steps(&self, filter: &StepFilter) -> Result<Vec<NodeStep>, StoreError>;

    /// When the first task began on a life of a node whose registration is at the place `after`.
    async fn first_start(
        &self,
        node: &NodeId,
        incarnation: Incarnation,
        after: u64,
    ) -> Result<Option<Timestamp>, StoreError>;
}

/// A note as both adapters write it.
pub(crate) fn rows(note: &FleetNote) -> Value {
    let sample = note.sample.iter().map(|s| {
        json!({
            "at": micros(s.at), "desired": s.desired, "ready": s.ready, "queued": s.queued,
            "running": s.running,
        })
    });
    let phases = note.phases.iter().map(|event| {
        json!({
            "id": event.id, "first": event.first_at.map(micros), "task": event.task_at.map(micros),
            "done": event.done_at.map(micros),
        })
    });
    json!({
        "samples": sample.collect::<Vec<_>>(),
        "phases": phases.collect::<Vec<_>>(),
        "forgetSamples": note.forget_samples.map(micros),
        "forgetEvents": note.forget_events.map(micros),
    })
}
