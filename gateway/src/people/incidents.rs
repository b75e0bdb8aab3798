//! What people say of incidents: that somebody looks, that nobody be told, whose it is, that it is over,
//! and what others should know of it.
//!
//! Comes in: who wishes what of which incident. Goes out: the incident as it stands then. It must
//! never change one in another's name, or one of a dataset whose incidents who asks does not answer.

use assay_answers::incident::{Incident, IncidentChange, NoteDraft};
use assay_answers::{Problem, Reader};
use assay_model::ids::DatasetId;
use assay_model::notice::Note;
use assay_proto::convert::{self, WireError, opt_time, time, time_of};
use assay_proto::v1;
use assay_proto::v1::change_cause_request::Wish;

use super::{or_none, unreadable};
use crate::api::Api;
use crate::problem::{BAD_BODY, FORBIDDEN, no};
use crate::rights::Action;

/// What is wished: one thing at a time, so that none of two is done without the other.
fn wish(change: &IncidentChange) -> Result<Wish, Problem> {
    let said = |flag: Option<bool>, name: &str| match flag {
        Some(false) => {
            let what = format!("`{name}` is true, or left out");
            Err(BAD_BODY.because(what))
        }
        flag => Ok(flag),
    };
    let wishes = [
        said(change.acknowledge, "acknowledge")?.map(Wish::Acknowledge),
        change
            .mute_until
            .map(|until| Wish::MuteUntil(time_of(until))),
        said(change.unmute, "unmute")?.map(Wish::Unmute),
        said(change.resolve, "resolve")?.map(Wish::Resolve),
        change.assign.clone().map(Wish::Assign),
    ];
    let mut wishes = wishes.into_iter().flatten();
    match (wishes.next(), wishes.next()) {
        (Some(wish), None) => Ok(wish),
        _ => {
            let what = "send one of acknowledge, muteUntil, unmute, resolve and assign";
            Err(BAD_BODY.because(what))
        }
    }
}

/// An incident, as the leader tells it.
fn of_wire(of: v1::Cause) -> Result<Incident, WireError> {
    Ok(Incident {
        id: of.id,
        dataset: of.dataset,
        dimension: of.dimension,
        column: or_none(of.column),
        status: convert::word("status", of.status)?,
        severity: convert::word("severity", of.severity)?,
        occurrence: of.episode,
        failing_checks: of.checks,
        message: of.message,
        check: of.check,
        metric: or_none(of.metric),
        actual: or_none(of.actual),
        expected: or_none(of.expected),
        partition: of.partition,
        first_partition: of.first_partition,
        opened_at: time("opened_at", of.opened_at)?,
        updated_at: time("updated_at", of.updated_at)?,
        resolved_at: opt_time("resolved_at", of.resolved_at)?,
        resolved_by: or_none(of.resolved_by),
        muted_until: opt_time("muted_until", of.muted_until)?,
        acknowledged_by: or_none(of.acknowledged_by),
        assignee: or_none(of.assignee),
    })
}

impl Api {
    /// Changes an incident.
    pub(crate) async fn change_incident(
        &self,
        who: &Reader,
        id: &str,
        change: &IncidentChange,
    ) -> Result<Incident, Problem> {
        let what = "you may read this incident, and not change it";
        let wish = || wish(change);
        self.wished(who, id, (Action::Answer, what), wish).await
    }

    /// Notes something about an incident: whoever may be told of it may say what they know.
    pub(crate) async fn note_incident(
        &self,
        who: &Reader,
        id: &str,
        note: &NoteDraft,
    ) -> Result<Incident, Problem> {
        let what = "you may read this incident, and not add a note to it";
        let wish = || match Note::check(&note.text) {
            Ok(()) => Ok(Wish::Note(note.text.clone())),
            Err(why) => Err(BAD_BODY.because(why)),
        };
        self.wished(who, id, (Action::Subscribe, what), wish).await
    }

    async fn wished(
        &self,
        who: &Reader,
        id: &str,
        (action, refusal): (Action, &str),
        wish: impl FnOnce() -> Result<Wish, Problem>,
    ) -> Result<Incident, Problem> {
        let found = self.incident_of(who, id).await?.it.incident;
        let dataset = DatasetId::new(&found.dataset).map_err(|_| no("incident", id))?;
        if !self.may_of(who, action, &dataset).await? {
            return Err(FORBIDDEN.because(refusal));
        }
        let wish = v1::ChangeCauseRequest {
            id: found.id,
            by: who.id.clone(),
            wish: Some(wish()?),
        };
        let answered = self.parts.managers.change_incident(wish).await;
        // Also where it is not known whether it was changed.
        self.memory.told(&dataset);
        of_wire(answered?).map_err(|error| unreadable(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_wished_at_a_time() {
        let read = |text: &str| wish(&serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"acknowledge":true}"#), Ok(Wish::Acknowledge(true)));
        assert_eq!(read(r#"{"assign":""}"#), Ok(Wish::Assign(String::new())));
        assert!(read(r#"{"muteUntil":"2026-12-01T00:00:00Z"}"#).is_ok());
        for bad in [
            "{}",
            r#"{"resolve":false}"#,
            r#"{"acknowledge":null}"#,
            r#"{"acknowledge":true,"resolve":true}"#,
        ] {
            let refused = read(bad).unwrap_err();
            assert_eq!((refused.slug(), refused.status), ("bad-body", 422), "{bad}");
        }
    }
}
