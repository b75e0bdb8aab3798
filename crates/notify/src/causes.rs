//! Causes: opened, escalated, resolved by what was judged and by people.
//!
//! Comes in: causes as they stand, what became of the incident of a check, or what a person wants.
//! Goes out: the causes as they stand afterwards, and what happened. Pure. It must never have two
//! causes for one dataset, dimension and column, resolve one while a check of it is broken (a person
//! may, and what breaks again opens it again), or let a late word about an ended incident open one.

use std::collections::BTreeMap;

use assay_model::check::Severity;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::incident::IncidentStatus;
use assay_model::notice::{Cause, CauseEvent, Finding, Member, Note};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// The longest that nobody is told of a cause.
pub const MUTED_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// What became of the incident of one check.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// It is broken: from now on, still, or worse.
    Broken(Box<Broken>),
    /// It is in order again, or due no more.
    Mended {
        /// Its incident.
        incident: Uuid,
    },
}

/// A check that is broken.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// Its incident.
    pub incident: Uuid,
    /// The dataset.
    pub dataset: DatasetId,
    /// The check.
    pub check: CheckId,
    /// The dimension that it is of.
    pub dimension: String,
    /// The column, or empty.
    pub column: String,
    /// How grave it is.
    pub severity: Severity,
    /// Whether the owner wrote it: a cause is called by what the owner asks for.
    pub declared: bool,
    /// What was found.
    pub finding: Finding,
}

/// Within this time the same note of the same person is a repeat whose answer was lost.
const NOTED_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// What a person wants of a cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Somebody is looking.
    Acknowledge,
    /// Nobody is to be told until then.
    Mute(Timestamp),
    /// People are to be told again.
    Unmute,
    /// It is mended, or to be taken as normal.
    Resolve,
    /// It is somebody's; empty: nobody's.
    Assign(String),
    /// Something is to be known by who looks at it; also of one that is over.
    Note(String),
}

/// Why a wish is not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is over.
    #[error("{0} is resolved: there is nothing to {1}")]
    Over(String, &'static str),
    /// The time is past, or too far away.
    #[error("an incident is muted until a time to come, at most a year away, not until {0}")]
    NoSuchTime(Timestamp),
    /// The text is no note.
    #[error("{0}")]
    NoNote(&'static str),
}

/// The causes of a dataset as they change.
#[derive(Debug, Clone, Default)]
pub struct Book {
    causes: BTreeMap<Uuid, Cause>,
    changed: BTreeMap<Uuid, ()>,
    events: Vec<CauseEvent>,
}

impl Book {
    /// A book of these causes.
    #[must_use]
    pub fn of(causes: impl IntoIterator<Item = Cause>) -> Self {
        Self {
            causes: causes.into_iter().map(|cause| (cause.id, cause)).collect(),
            ..Self::default()
        }
    }

    /// Those that changed, and what happened to them, in the order that it did.
    #[must_use]
    pub fn changes(self) -> (Vec<Cause>, Vec<CauseEvent>) {
        let Self {
            causes,
            changed,
            events,
        } = self;
        let of = causes.into_values().filter(|c| changed.contains_key(&c.id));
        (of.collect(), events)
    }

    /// Takes news in.
    pub fn take(&mut self, news: News, at: Timestamp) {
        match news {
            News::Broken(broken) => self.broken(*broken, at),
            News::Mended { incident } => self.mended(incident, at),
        }
    }

    fn broken(&mut self, broken: Broken, at: Timestamp) {
        let id = Cause::id_of(&broken.dataset, &broken.dimension, &broken.column);
        // A check whose dimension was changed belongs where it belongs now.
        let elsewhere: Vec<Uuid> = self.holders(broken.incident).collect();
        for other in elsewhere.into_iter().filter(|other| *other != id) {
            self.leave(other, broken.incident, at);
        }
        let event = match self.causes.get_mut(&id) {
            Some(cause) if cause.is_open() => go_on(cause, &broken, at),
            Some(cause) => Some(open_again(cause, broken, at)),
            None => {
                let (cause, event) = opened(id, broken, at);
                self.causes.insert(id, cause);
                Some(event)
            }
        };
        self.changed.insert(id, ());
        self.events.extend(event);
    }

    fn mended(&mut self, incident: Uuid, at: Timestamp) {
        let holders: Vec<Uuid> = self.holders(incident).collect();
        for id in holders {
            self.leave(id, incident, at);
        }
    }

    fn holders(&self, incident: Uuid) -> impl Iterator<Item = Uuid> {
        let holds = move |cause: &&Cause| cause.members.iter().any(|m| m.incident == incident);
        self.causes.values().filter(holds).map(|cause| cause.id)
    }

    /// A check leaves a cause; the last one ends it.
    fn leave(&mut self, id: Uuid, incident: Uuid, at: Timestamp) {
        let Some(cause) = self.causes.get_mut(&id) else {
            return;
        };
        cause.members.retain(|member| member.incident != incident);
        call(cause);
        cause.updated_at = at;
        self.changed.insert(id, ());
        if cause.members.is_empty() && cause.is_open() {
            end(cause, None, at);
            self.events.push(event(cause, "resolved", "", at));
        }
    }
}

fn event(cause: &Cause, kind: &str, by: &str, at: Timestamp) -> CauseEvent {
    CauseEvent {
        cause: cause.id,
        at,
        kind: kind.to_owned(),
        by: by.to_owned(),
        detail: match kind {
            "opened" | "escalated" => cause.finding.message.clone(),
            _ => String::new(),
        },
    }
}

fn member(broken: &Broken) -> Member {
    Member {
        incident: broken.incident,
        check: broken.check.clone(),
        severity: broken.severity,
        declared: broken.declared,
        finding: Some(broken.finding.clone()),
    }
}

/// Calls a cause by its gravest check, of those by the owner's own, of those by the one that was told
/// of last. Without a check it keeps its name: what it was.
fn call(cause: &mut Cause) {
    let known = cause.members.iter().filter(|m| m.finding.is_some());
    let first = known.max_by_key(|m| (m.severity, m.declared));
    if let Some(finding) = first.and_then(|m| m.finding.clone()) {
        cause.finding = finding;
    }
}

fn opened(id: Uuid, broken: Broken, at: Timestamp) -> (Cause, CauseEvent) {
    let cause = Cause {
        id,
        members: vec![member(&broken)],
        dataset: broken.dataset,
        dimension: broken.dimension,
        column: broken.column,
        status: IncidentStatus::Open,
        severity: broken.severity,
        episode: 1,
        first_partition: broken.finding.partition.clone(),
        finding: broken.finding,
        opened_at: at,
        escalated_at: None,
        updated_at: at,
        resolved_at: None,
        resolved_by: None,
        muted_until: None,
        acknowledged_by: None,
        assignee: None,
        noted: None,
        wake_at: None,
    };
    let event = event(&cause, "opened", "", at);
    (cause, event)
}

fn open_again(cause: &mut Cause, broken: Broken, at: Timestamp) -> CauseEvent {
    cause.members = vec![member(&broken)];
    cause.status = IncidentStatus::Open;
    cause.severity = broken.severity;
    cause.episode = cause.episode.saturating_add(1);
    cause.first_partition = broken.finding.partition.clone();
    cause.finding = broken.finding;
    cause.opened_at = at;
    cause.escalated_at = None;
    cause.updated_at = at;
    cause.resolved_at = None;
    cause.resolved_by = None;
    cause.acknowledged_by = None;
    event(cause, "opened", "", at)
}

fn go_on(cause: &mut Cause, broken: &Broken, at: Timestamp) -> Option<CauseEvent> {
    let graver = broken.severity > cause.severity;
    let mut told = member(broken);
    let mut members = cause.members.iter();
    if let Some(known) = members.position(|m| m.incident == broken.incident) {
        told.severity = told.severity.max(cause.members[known].severity);
        cause.members.remove(known);
    }
    // The last of them is the one that was told of last.
    cause.members.push(told);
    cause.severity = cause.severity.max(broken.severity);
    call(cause);
    cause.updated_at = at;
    graver.then(|| {
        cause.escalated_at = Some(at);
        event(cause, "escalated", "", at)
    })
}

fn end(cause: &mut Cause, by: Option<&str>, at: Timestamp) {
    cause.status = IncidentStatus::Resolved;
    cause.members.clear();
    cause.updated_at = at;
    cause.resolved_at = Some(at);
    cause.resolved_by = by.map(str::to_owned);
}

/// Whether a cause is as `by` wants it already: the wish is a repeat of one whose answer was lost, or
/// somebody was faster.
fn is_so(cause: &Cause, wish: &Wish, by: &str, at: Timestamp) -> bool {
    match wish {
        Wish::Acknowledge => {
            cause.status == IncidentStatus::Acknowledged
                && cause.acknowledged_by.as_deref() == Some(by)
        }
        Wish::Mute(until) => cause.is_open() && cause.muted_until == Some(*until),
        Wish::Unmute => cause.muted_until.is_none(),
        Wish::Resolve => !cause.is_open(),
        Wish::Assign(who) => cause.assignee.as_deref().unwrap_or_default() == who,
        // Later it is said again.
        Wish::Note(text) => cause.noted.as_ref().is_some_and(|last| {
            last.by == by && last.text == *text && at.duration_since(last.at) < NOTED_AGAIN
        }),
    }
}

/// Carries out what `by` wants, and says what happened: nothing where it is so already.
///
/// # Errors
/// [`Refusal`]; the cause is as it was.
pub fn wish(
    cause: &mut Cause,
    wish: &Wish,
    by: &str,
    at: Timestamp,
) -> Result<Option<CauseEvent>, Refusal> {
    if is_so(cause, wish, by, at) {
        return Ok(None);
    }
    let open = |what| match cause.is_open() {
        true => Ok(()),
        false => Err(Refusal::Over(cause.shown(), what)),
    };
    let (kind, detail) = match wish {
        Wish::Acknowledge => {
            open("acknowledge")?;
            cause.status = IncidentStatus::Acknowledged;
            cause.acknowledged_by = Some(by.to_owned());
            ("acknowledged", String::new())
        }
        Wish::Mute(until) => {
            open("mute")?;
            if *until <= at || until.duration_since(at) > MUTED_MAX {
                return Err(Refusal::NoSuchTime(*until));
            }
            cause.muted_until = Some(*until);
            ("muted", format!("until {until}"))
        }
        Wish::Unmute => {
            cause.muted_until = None;
            ("unmuted", String::new())
        }
        Wish::Resolve => {
            end(cause, Some(by), at);
            ("resolved", String::new())
        }
        Wish::Assign(who) => {
            cause.assignee = Some(who.clone()).filter(|who| !who.is_empty());
            ("assigned", who.clone())
        }
        Wish::Note(text) => {
            Note::check(text).map_err(Refusal::NoNote)?;
            cause.noted = Some(Note {
                by: by.to_owned(),
                at,
                text: text.clone(),
            });
            ("noted", text.clone())
        }
    };
    cause.updated_at = at;
    Ok(Some(CauseEvent {
        detail,
        ..event(cause, kind, by, at)
    }))
}

#[cfg(test)]
#[path = "causes_tests.rs"]
mod tests;
