//! How much a gateway is asked and how much the store holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::schema::described;

described! {
/// Requests that waited for a place, of one rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueUsage {
    /// Who waits: `owner`, `subscriber` or `anonymous`; the first goes first.
    pub queue: String,
    /// Requests that wait now.
    pub waiting: u64,
    /// Requests that entered, or were sent away.
    pub came: u64,
    /// Milliseconds that they waited on average; `null` while none came.
    pub mean_wait_ms: Option<f64>,
    /// Milliseconds that 99 of 100 of them waited at most; `null` while none came, and where it is more
    /// than 10 s.
    pub p99_wait_ms: Option<f64>,
}
}

described! {
/// What a gateway let in, refused and kept waiting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayUsage {
    /// When it started: since then it counts.
    pub since: Timestamp,
    /// Requests at work now, this one among them.
    pub active: u64,
    /// Requests that were let in.
    pub allowed: u64,
    /// Requests above the rate limit of who sent them.
    pub exceeded: u64,
    /// Requests that were refused before they were looked at, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Who waited for a place.
    pub queues: Vec<QueueUsage>,
}
}

described! {
/// The rows of a table of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableUsage {
    /// The table.
    pub table: String,
    /// Its rows, as far as they were counted.
    pub rows: u64,
    /// Whether there are more than were counted.
    pub more: bool,
}
}

described! {
/// How much the store holds, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreUsage {
    /// What serves it, with its version.
    pub server: String,
    /// The version of its schema.
    pub schema: u64,
    /// Bytes of its tables with their indexes.
    pub bytes: u64,
    /// Bytes among them that are free to be written again; `null` where the store does not know.
    pub free_bytes: Option<u64>,
    /// The tables that grow.
    pub tables: Vec<TableUsage>,
}
}

described! {
/// `GET /cluster/usage`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// The gateway that answers: each counts for itself.
    pub gateway: GatewayUsage,
    /// The store; `null` while it has not said.
    pub store: Option<StoreUsage>,
    /// Why it has not.
    pub store_unknown: Option<String>,
}
}
