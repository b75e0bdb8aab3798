//! Incidents: what is wrong with a dataset, from its first bad partition to its repair.
//!
//! Comes in: the model's causes and the broken checks that belong to them. Goes out: their JSON, as
//! `assay incident … -o json` has it. It must never hold a value of a row.

use crate::schema::described;
use assay_model::check::Severity;
use assay_model::incident::{self, IncidentStatus};
use assay_model::notice::{Cause, CauseEvent};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

described! {
/// An incident: what is broken in one dimension of one column of a dataset, however many checks say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Incident {
    /// `inc_` and 32 hex digits; what comes back opens the same one again.
    pub id: String,
    /// The dataset.
    pub dataset: String,
    /// The dimension of quality; `evaluation` is what could not be evaluated.
    pub dimension: String,
    /// The column; `null` where it is about all of it.
    pub column: Option<String>,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The gravest severity since it was opened last.
    pub severity: Severity,
    /// How often it was opened, from 1.
    pub occurrence: u32,
    /// The checks that are broken; none of one that is resolved.
    pub failing_checks: Vec<String>,
    /// What was found last, in one sentence without a value of a row.
    pub message: String,
    /// The check that found it.
    pub check: String,
    /// What that check measures.
    pub metric: Option<String>,
    /// What it measured, where that says nothing of a single row.
    pub actual: Option<String>,
    /// What it expected.
    pub expected: Option<String>,
    /// The partition in which it was found last.
    pub partition: String,
    /// The partition that opened it last.
    pub first_partition: String,
    /// When it was opened last.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// Who resolved it; `null` where the data did.
    pub resolved_by: Option<String>,
    /// Nobody is told until then.
    pub muted_until: Option<Timestamp>,
    /// Who looks at it.
    pub acknowledged_by: Option<String>,
    /// Whose it is.
    pub assignee: Option<String>,
}
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl From<&Cause> for Incident {
    fn from(of: &Cause) -> Self {
        Self {
            id: of.shown(),
            dataset: of.dataset.to_string(),
            dimension: of.dimension.clone(),
            column: some(&of.column),
            status: of.status,
            severity: of.severity,
            occurrence: of.episode,
            failing_checks: of.members.iter().map(|m| m.check.to_string()).collect(),
            message: of.finding.message.clone(),
            check: of.finding.check.to_string(),
            metric: some(&of.finding.metric),
            actual: of.finding.actual.clone(),
            expected: some(&of.finding.expected),
            partition: of.finding.partition.to_string(),
            first_partition: of.first_partition.to_string(),
            opened_at: of.opened_at,
            updated_at: of.updated_at,
            resolved_at: of.resolved_at,
            resolved_by: of.resolved_by.clone(),
            muted_until: of.muted_until,
            acknowledged_by: of.acknowledged_by.clone(),
            assignee: of.assignee.clone(),
        }
    }
}

described! {
/// What happened to an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentEvent {
    /// When.
    pub at: Timestamp,
    /// What: `opened`, `escalated`, `resolved`, `acknowledged`, `muted`, `unmuted`, `assigned`,
    /// `noted`.
    pub kind: String,
    /// Who did it; `null` where the data did.
    pub by: Option<String>,
    /// More of it, for people.
    pub detail: Option<String>,
}
}

impl From<&CauseEvent> for IncidentEvent {
    fn from(of: &CauseEvent) -> Self {
        Self {
            at: of.at,
            kind: of.kind.clone(),
            by: some(&of.by),
            detail: some(&of.detail),
        }
    }
}

described! {
/// A broken check of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokenCheck {
    /// The check.
    pub check: String,
    /// The gravest severity so far.
    pub severity: Severity,
    /// The series that it is about, or empty.
    pub series: String,
    /// Partitions in which it is broken.
    pub partitions: u32,
    /// The first of them.
    pub first_partition: String,
    /// The newest of them.
    pub last_partition: String,
    /// What is wrong, in one sentence.
    pub message: String,
}
}

impl From<&incident::Incident> for BrokenCheck {
    fn from(of: &incident::Incident) -> Self {
        Self {
            check: of.check.to_string(),
            severity: of.severity,
            series: of.series.clone(),
            partitions: of.partitions,
            first_partition: of.first_partition.to_string(),
            last_partition: of.last_partition.to_string(),
            message: of.message.clone(),
        }
    }
}

described! {
/// An incident with what happened to it, and its broken checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentDetail {
    /// The incident.
    #[serde(flatten)]
    pub incident: Incident,
    /// What happened to it, oldest first: the newest 200.
    pub events: Vec<IncidentEvent>,
    /// The checks that are broken.
    pub checks: Vec<BrokenCheck>,
}
}

described! {
/// `PATCH /incidents/{id}`: what is sent. One of these at a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IncidentChange {
    /// `true`: who asks looks at it, and nobody is reminded any more.
    #[serde(default)]
    pub acknowledge: Option<bool>,
    /// Nobody is told until then: at most 366 days from now.
    #[serde(default)]
    pub mute_until: Option<Timestamp>,
    /// `true`: people are told again.
    #[serde(default)]
    pub unmute: Option<bool>,
    /// `true`: it is mended, or to be taken as normal.
    #[serde(default)]
    pub resolve: Option<bool>,
    /// Whose it is; empty: nobody's.
    #[serde(default)]
    pub assign: Option<String>,
}
}

described! {
/// `POST /incidents/{id}/notes`: what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoteDraft {
    /// What others who look at it should know: at most 2000 characters, lines among them.
    pub text: String,
}
}

described! {
/// Where a broken check lies in a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentWindow {
    /// Leads to the incident that it belongs to: `GET /incidents/{id}` answers with that one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_nothing_of_who_makes_it() {
        let sent = serde_json::json!({ "acknowledge": true, "by": "ada" });
        let refused = serde_json::from_value::<IncidentChange>(sent).unwrap_err();
        assert!(refused.to_string().contains("`by`"), "{refused}");
    }
}
