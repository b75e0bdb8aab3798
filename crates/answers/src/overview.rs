//! How everything stands, on one page, and which build says so.

use crate::schema::described;
use assay_model::run::RunState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::value::Counts;

described! {
/// `GET /version`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The version of the program.
    pub version: String,
    /// The version of the API.
    pub api: String,
    /// `embedded` (`assay dev`) or `cluster`.
    pub mode: String,
}
}

described! {
/// `GET /me`: who asks, as the gateway knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// What they are called in logs and in what they change.
    pub id: String,
    /// `anonymous`, `subscriber`, `owner` or `operator`.
    pub role: String,
    /// The owners in whose name they act.
    pub owners: Vec<String>,
    /// The owners whose objects they may read besides; `*` is all.
    pub reads: Vec<String>,
    /// Whether what they have shown lets them change anything.
    pub writes: bool,
}
}

described! {
/// Datasets by health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthCounts {
    /// The newest judged partition passed.
    pub healthy: u64,
    /// Warnings only.
    pub warning: u64,
    /// Failed or missing.
    pub failing: u64,
    /// Could not be evaluated, or has never been.
    pub not_evaluated: u64,
    /// Too little history yet.
    pub learning: u64,
}
}

described! {
/// Open incidents by severity, of all time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentCounts {
    /// Of severity `error`.
    pub error: u64,
    /// Of severity `warning`.
    pub warning: u64,
    /// Of severity `info`.
    pub info: u64,
    /// Whether there are more than were counted.
    pub more: bool,
}
}

described! {
/// One square of the strip of runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunSquare {
    /// The run.
    pub id: String,
    /// Its dataset.
    pub dataset: String,
    /// Where it is.
    pub state: RunState,
    /// The outcomes of its checks so far.
    pub counts: Counts,
    /// When it was accepted.
    pub created_at: Timestamp,
}
}

described! {
/// A dataset whose slot comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextSlot {
    /// The dataset.
    pub dataset: String,
    /// Its next slot.
    pub at: Timestamp,
}
}

described! {
/// `GET /status`: everything in one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// The same in one line of words.
    pub line: String,
    /// Datasets by health.
    pub datasets: HealthCounts,
    /// Documents of the registry that define nothing, with the reason in `/datasets`' `invalid`.
    pub invalid_documents: u64,
    /// Open incidents by severity.
    pub incidents: IncidentCounts,
    /// Runs accepted within the last 24 hours, newest first, at most 500.
    pub runs: Vec<RunSquare>,
    /// Whether there were more than are shown.
    pub more_runs: bool,
    /// Data nodes that take tasks.
    pub nodes_live: u32,
    /// Data nodes that were lost within the last day.
    pub nodes_lost: u32,
    /// Tasks that could start if there were a slot.
    pub tasks_ready: u32,
    /// Tasks that wait for others or for a pause.
    pub tasks_waiting: u32,
    /// Tasks at work.
    pub tasks_running: u32,
    /// Who leads, or `null` when nobody is known to.
    pub leader: Option<String>,
    /// What is scheduled next, soonest first, at most 10.
    pub next: Vec<NextSlot>,
    /// What of this is not known at present, and why: one sentence each.
    pub unknown: Vec<String>,
}
}
