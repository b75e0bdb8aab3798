//! Incidents: what is wrong with a dataset, from its first bad partition to its repair.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::check::Severity;
use crate::ids::{CheckId, DatasetId};
use crate::partition::PartitionKey;

crate::words! {
    /// Whether an incident is still open.
    pub enum IncidentStatus {
        /// Somebody should look.
        Open = "open",
        /// Somebody is looking.
        Acknowledged = "acknowledged",
        /// Mended, or declared normal.
        Resolved = "resolved",
    }
}

/// An incident: one check of one series of a dataset that is broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The same for the same check and first partition, so that a repeat never makes a second one.
    pub id: Uuid,
    /// The dataset.
    pub dataset: DatasetId,
    /// The check that is broken.
    pub check: CheckId,
    /// The column, or empty.
    #[serde(default)]
    pub column: String,
    /// The gravest severity so far.
    pub severity: Severity,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The series that it is about, which is that of the partition that opened it (a store reads
    /// it from the ledger); empty where the dataset is one series. A partition of another series
    /// neither continues nor resolves it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub series: String,
    /// The partition that opened it.
    pub first_partition: PartitionKey,
    /// The newest partition that belongs to it.
    pub last_partition: PartitionKey,
    /// Partitions that belong to it.
    pub partitions: u32,
    /// What is wrong, in one sentence.
    pub message: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was resolved.
    #[serde(default)]
    pub resolved_at: Option<Timestamp>,
}

/// The name space of incident ids.
const INCIDENT_NAMESPACE: Uuid = Uuid::from_u128(0x6173_7361_792d_696e_6369_6465_6e74_0001);

impl Incident {
    /// The id of the incident of `check` that `partition` opens.
    #[must_use]
    pub fn id_of(dataset: &DatasetId, check: &CheckId, partition: &PartitionKey) -> Uuid {
        let name = format!("{dataset}\u{0}{check}\u{0}{partition}");
        Uuid::new_v5(&INCIDENT_NAMESPACE, name.as_bytes())
    }
}

/// Something to be told, written in the same transaction as what it tells of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Unique and stable; repeats are the same message.
    pub key: String,
    /// The event (`incident.opened`, `incident.resolved`, …).
    pub event: String,
    /// The dataset it is about.
    pub dataset: DatasetId,
    /// The event's body.
    pub body: serde_json::Value,
    /// The key of the message that this one follows: where that was never told, this one is not
    /// told either. A store that gives messages out leaves it empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}
