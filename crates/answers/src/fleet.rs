//! The fleet over time: its size and its work, why it was scaled and how that went, the lives of nodes.

use crate::schema::described;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

described! {
/// How the fleet was at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
}

described! {
/// A change of the wanted number of nodes, and how it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScaleEvent {
    /// When it was decided.
    pub at: Timestamp,
    /// Nodes wanted before.
    pub from: u32,
    /// Nodes wanted from then on.
    pub to: u32,
    /// Why.
    pub reason: String,
    /// When the first new node was ready, or the first node had left; `null` while none is known.
    pub first_node_at: Option<Timestamp>,
    /// When the first task began on a new node.
    pub first_task_at: Option<Timestamp>,
    /// When there were as many nodes as it wanted.
    pub done_at: Option<Timestamp>,
    /// Milliseconds from the decision until then.
    pub duration_ms: Option<u64>,
}
}

described! {
/// `GET /cluster/history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetHistory {
    /// How the fleet was over the last day, about once a minute, oldest first.
    pub samples: Vec<FleetSample>,
    /// The last changes of the wanted number of nodes, newest first.
    pub scale_events: Vec<ScaleEvent>,
}
}

described! {
/// A step in the life of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStep {
    /// When.
    pub at: Timestamp,
    /// Which life of it.
    pub incarnation: u64,
    /// `joined` where a life began, else the state that it moved to (`live`, `dead`, …).
    pub step: String,
    /// Why.
    pub reason: Option<String>,
    /// Of a step back to work, milliseconds since it was suspected, lost, excluded or had left.
    pub away_ms: Option<u64>,
}
}
