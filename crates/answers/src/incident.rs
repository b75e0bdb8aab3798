//! Incidents: what is wrong with a dataset, from its first bad partition to its repair.

use crate::schema::described;
use assay_model::check::Severity;
use assay_model::incident::{self, IncidentStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

described! {
/// An incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// `inc_` and 32 hex digits.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The check that is broken.
    pub check: String,
    /// The column, or empty.
    pub column: String,
    /// The gravest severity so far.
    pub severity: Severity,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The series that it is about, or empty.
    pub series: String,
    /// The partition that opened it.
    pub first_partition: String,
    /// The newest partition that belongs to it.
    pub last_partition: String,
    /// Partitions that belong to it.
    pub partitions: u32,
    /// What is wrong, in one sentence.
    pub message: String,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
}
}

impl Incident {
    /// The id of an incident, as it is shown.
    #[must_use]
    pub fn shown(incident: &incident::Incident) -> String {
        format!("inc_{}", incident.id.simple())
    }
}

impl From<&incident::Incident> for Incident {
    fn from(of: &incident::Incident) -> Self {
        Self {
            id: Self::shown(of),
            dataset: of.dataset.to_string(),
            check: of.check.to_string(),
            column: of.column.clone(),
            severity: of.severity,
            status: of.status,
            series: of.series.clone(),
            first_partition: of.first_partition.to_string(),
            last_partition: of.last_partition.to_string(),
            partitions: of.partitions,
            message: of.message.clone(),
            opened_at: of.opened_at,
            updated_at: of.updated_at,
            resolved_at: of.resolved_at,
        }
    }
}

described! {
/// Where an incident lies in a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentWindow {
    /// The incident.
    pub id: String,
    /// The check.
    pub check: String,
    /// Its severity.
    pub severity: Severity,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The partition that opened it.
    pub first_partition: String,
    /// The newest partition that belongs to it.
    pub last_partition: String,
}
}
