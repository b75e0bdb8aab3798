//! Data nodes, as the leader sees them.

use crate::fleet::NodeStep;
use crate::schema::described;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

described! {
/// A data node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    pub id: String,
    /// Which life of it.
    pub incarnation: u64,
    /// Where it is in its life (`live`, `suspect`, `draining`, …).
    pub state: String,
    /// Tasks it runs at once.
    pub slots: u32,
    /// Tasks it holds.
    pub slots_used: u32,
    /// CPU in use, 0 to 1 of all cores.
    pub cpu: f64,
    /// Memory that it has for tasks, bytes.
    pub memory_bytes: u64,
    /// Memory in use, bytes.
    pub memory_used_bytes: u64,
    /// Its failure zone, or empty.
    pub zone: String,
    /// Milliseconds since its last heartbeat.
    pub silent_ms: u64,
    /// Why it is in its state.
    pub reason: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The version of its program, where it says.
    pub version: Option<String>,
}
}

described! {
/// `GET /nodes`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeList {
    /// The nodes.
    pub items: Vec<Node>,
    /// Always `null`: the list is whole.
    pub next_cursor: Option<String>,
    /// Nodes that the backlog asks for.
    pub desired: u32,
    /// Nodes whose life ended within the last day, newest first, at most 20.
    pub departed: Vec<Node>,
    /// How many more there are.
    pub departed_more: u32,
    /// What of this is not known at present, and why.
    pub unknown: Vec<String>,
}
}

described! {
/// A task that a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The run.
    pub run_id: String,
    /// Its dataset.
    pub dataset: String,
    /// The task's number.
    pub no: u32,
    /// Its kind.
    pub kind: String,
    /// The partition it is about, or empty.
    pub partition: String,
    /// Its state.
    pub state: String,
    /// When it was assigned.
    pub assigned_at: Option<Timestamp>,
}
}

described! {
/// `GET /nodes/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub node: Node,
    /// Tasks that it holds.
    pub holds: Vec<Held>,
    /// What it went through over the last day, newest first, at most 100 steps.
    pub history: Vec<NodeStep>,
}
}

described! {
/// `POST /nodes/{id}:drain`: what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Drain {
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}
}
