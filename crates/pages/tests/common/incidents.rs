//! The incident of the world.

use assay_answers::incident::{BrokenCheck, Incident, IncidentDetail, IncidentEvent};
use assay_model::check::Severity;
use assay_model::incident::IncidentStatus;

use super::world::{INCIDENT, Names, hours_ago};

impl Names {
    pub fn incident(&self) -> Incident {
        Incident {
            id: INCIDENT.to_owned(),
            dataset: self.dataset.clone(),
            dimension: "conformity".to_owned(),
            column: Some(self.column.clone()),
            status: IncidentStatus::Open,
            severity: Severity::Error,
            occurrence: 2,
            failing_checks: vec![self.check.clone()],
            message: self.message.clone(),
            check: self.check.clone(),
            metric: Some("invalidCount".to_owned()),
            actual: Some("412".to_owned()),
            expected: Some("= 0".to_owned()),
            partition: self.key(83),
            first_partition: self.key(80),
            opened_at: hours_ago(96),
            updated_at: hours_ago(3),
            resolved_at: None,
            resolved_by: None,
            muted_until: Some(hours_ago(-24)),
            acknowledged_by: Some(self.message.clone()),
            assignee: Some(self.message.clone()),
        }
    }

    pub fn incident_detail(&self) -> IncidentDetail {
        let event = |kind: &str, by: Option<&str>, hours| IncidentEvent {
            at: hours_ago(hours),
            kind: kind.to_owned(),
            by: by.map(str::to_owned),
            detail: by.map(str::to_owned),
        };
        IncidentDetail {
            incident: self.incident(),
            events: vec![
                event("opened", None, 96),
                event("assigned", Some(self.message.as_str()), 3),
                event("noted", Some(self.message.as_str()), 2),
            ],
            checks: vec![BrokenCheck {
                check: self.check.clone(),
                severity: Severity::Error,
                series: String::new(),
                partitions: 4,
                first_partition: self.key(80),
                last_partition: self.key(83),
                message: self.message.clone(),
            }],
        }
    }
}
