//! The cluster: who leads, who stands by, what waits, how many nodes there should be.

use crate::schema::described;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::node::Node;

described! {
/// A manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manager {
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub address: String,
    /// Whether it leads.
    pub leads: bool,
}
}

described! {
/// What the leader's own last look at the schedule came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticked {
    /// When.
    pub at: Option<Timestamp>,
    /// `ok`, `partial`, `away` or `failed`.
    pub outcome: String,
    /// What it did, for people.
    pub words: String,
}
}

described! {
/// `GET /cluster`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// The leader's name.
    pub leader: String,
    /// Its epoch.
    pub epoch: u64,
    /// The managers, in the order in which they would lead.
    pub managers: Vec<Manager>,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Nodes whose life ended within the last day, newest first, at most 20.
    pub departed: Vec<Node>,
    /// How many more there are.
    pub departed_more: u32,
    /// What of this is not known at present, and why: one sentence each.
    pub unknown: Vec<String>,
    /// Nodes that the backlog asks for.
    pub nodes_desired: u32,
    /// Why so many.
    pub nodes_desired_reason: String,
    /// Runs that have not ended.
    pub runs_unfinished: u32,
    /// Tasks that could start if there were a slot.
    pub tasks_ready: u32,
    /// Tasks that wait for others or for a pause.
    pub tasks_waiting: u32,
    /// Tasks at work.
    pub tasks_running: u32,
    /// Why the store does not answer the leader; `null` while it does.
    pub store_away: Option<String>,
    /// Since when it does not.
    pub store_away_since: Option<Timestamp>,
    /// The leader's last look at the schedule; `null` when it does not look.
    pub schedule: Option<Ticked>,
}
}

described! {
/// `POST /cluster:scale`: what is sent, and the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// Nodes, at least.
    pub min: u32,
    /// Nodes, at most.
    pub max: u32,
}
}
