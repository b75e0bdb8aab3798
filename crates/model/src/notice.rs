//! What people are told: incidents by their cause, who asked to be told of what, and deliveries.
//!
//! A [`crate::incident::Incident`] is one broken check of one series. What people handle is a
//! [`Cause`]: all that is broken in one dimension of one column of a dataset, one thing to look at
//! however many checks say it. Nothing here holds a value of a row.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::check::Severity;
use crate::dataset::Credential;
use crate::ids::{CheckId, DatasetId, InvalidId};
use crate::incident::IncidentStatus;
use crate::partition::PartitionKey;

/// What was found, for people who may not see rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check.
    pub check: CheckId,
    /// What it measures; empty for a check of the partition as such.
    #[serde(default)]
    pub metric: String,
    /// The measured value as text; absent where it is, or may hold, a value of a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// What was expected, as the definition says it.
    #[serde(default)]
    pub expected: String,
    /// The partition.
    pub partition: PartitionKey,
    /// All of that in one sentence.
    pub message: String,
}

/// A broken check that belongs to a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The incident of the check.
    pub incident: Uuid,
    /// The check.
    pub check: CheckId,
    /// How grave it is.
    pub severity: Severity,
    /// Whether the owner wrote it.
    #[serde(default)]
    pub declared: bool,
    /// What was found of it last; absent in what older versions wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
}

/// An incident as people handle it: what is broken in one dimension of one column of a dataset.
///
/// There is one for each such cause; what comes back opens it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// The same for the same dataset, dimension and column.
    pub id: Uuid,
    /// The dataset.
    pub dataset: DatasetId,
    /// The dimension of quality (`completeness`, …).
    pub dimension: String,
    /// The column, or empty.
    #[serde(default)]
    pub column: String,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The gravest severity since it was opened last.
    pub severity: Severity,
    /// How often it was opened, from 1.
    pub episode: u32,
    /// The broken checks; empty when it is resolved.
    pub members: Vec<Member>,
    /// What it is called by: what was found last of its gravest check, of those the owner's own
    /// before what is measured besides.
    pub finding: Finding,
    /// The partition that opened it last.
    pub first_partition: PartitionKey,
    /// When it was opened last.
    pub opened_at: Timestamp,
    /// When its severity rose last since then.
    #[serde(default)]
    pub escalated_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was resolved.
    #[serde(default)]
    pub resolved_at: Option<Timestamp>,
    /// Who resolved it; absent where the data did.
    #[serde(default)]
    pub resolved_by: Option<String>,
    /// Until when nobody is told.
    #[serde(default)]
    pub muted_until: Option<Timestamp>,
    /// Who is looking.
    #[serde(default)]
    pub acknowledged_by: Option<String>,
    /// Whose it is.
    #[serde(default)]
    pub assignee: Option<String>,
    /// What was noted last: a repeat of it is the same note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted: Option<Note>,
    /// When somebody may have to be told next, if nothing else happens.
    #[serde(default)]
    pub wake_at: Option<Timestamp>,
}

/// What somebody notes about a cause, for others who look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub text: String,
}

impl Note {
    /// Characters of a note, at most.
    pub const MOST: usize = 2_000;

    /// What is wrong with a text as a note, in words for people.
    ///
    /// # Errors
    /// When it is empty, too long, or holds what a terminal takes for a command.
    pub fn check(text: &str) -> Result<(), &'static str> {
        let lines = |c: char| c == '\n' || c == '\t';
        if text.trim().is_empty() {
            return Err("a note says something: it is empty");
        }
        if text.chars().nth(Self::MOST).is_some() {
            return Err("a note has at most 2000 characters");
        }
        match text.chars().any(|c| c.is_control() && !lines(c)) {
            true => Err("a note has no control characters but ends of lines and tabs"),
            false => Ok(()),
        }
    }
}

/// The dimension of what could not be evaluated: told to operators.
pub const EVALUATION: &str = "evaluation";

/// The name space of the ids of this module.
const NOTICE_NAMESPACE: Uuid = Uuid::from_u128(0x6173_7361_792d_6e6f_7469_6365_0000_0001);

fn named(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&NOTICE_NAMESPACE, parts.join("\u{0}").as_bytes())
}

impl Cause {
    /// The id of the cause of a dataset, dimension and column.
    #[must_use]
    pub fn id_of(dataset: &DatasetId, dimension: &str, column: &str) -> Uuid {
        named(&["cause", dataset.as_str(), dimension, column])
    }

    /// Whether something is broken.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.status != IncidentStatus::Resolved
    }

    /// Whether it is operators who are told: nothing is known of the data.
    #[must_use]
    pub fn is_of_operators(&self) -> bool {
        self.dimension == EVALUATION
    }

    /// How people see the id.
    #[must_use]
    pub fn shown(&self) -> String {
        shown_as("inc", self.id)
    }
}

/// An id with the word of its kind: `inc_…`, `sub_…`, `dlv_…`.
#[must_use]
pub fn shown_as(kind: &str, id: Uuid) -> String {
    format!("{kind}_{}", id.simple())
}

/// The id in `inc_…` and the like.
///
/// # Errors
/// [`InvalidId`] when the text is none of that kind.
pub fn id_in(kind: &'static str, text: &str) -> Result<Uuid, InvalidId> {
    let bare = text.strip_prefix(kind).and_then(|t| t.strip_prefix('_'));
    bare.and_then(|bare| Uuid::try_parse(bare).ok())
        .ok_or_else(|| InvalidId {
            kind,
            text: text.to_owned(),
            rule: "its kind, an underscore and 32 hexadecimal digits",
        })
}

/// What happened to a cause, kept for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseEvent {
    /// The cause.
    pub cause: Uuid,
    /// When.
    pub at: Timestamp,
    /// What: `opened`, `escalated`, `resolved`, `acknowledged`, `muted`, `unmuted`, `assigned`,
    /// `noted`.
    pub kind: String,
    /// Who did it; empty where the data did.
    #[serde(default)]
    pub by: String,
    /// More of it, for people.
    #[serde(default)]
    pub detail: String,
}

crate::words! {
    /// What one can be told of.
    pub enum NoticeKind {
        /// Something broke.
        Opened = "opened",
        /// It became graver.
        Escalated = "escalated",
        /// It has been open for a day, and nobody looks.
        StillOpen = "still_open",
        /// It is mended.
        Resolved = "resolved",
        /// A partition was judged, whatever came of it.
        Finished = "finished",
        /// A run, or partitions of it, could not be evaluated.
        RunFailed = "run_failed",
        /// A data node is gone without a word.
        NodeLost = "node_lost",
        /// A dataset has had no good run for longer than its schedule promises.
        DatasetStale = "dataset_stale",
        /// A message that only shows that messages come.
        Test = "test",
    }
}

impl NoticeKind {
    /// Whether operators alone are told of it: it is about the cluster's work and not about data.
    #[must_use]
    pub const fn is_of_operators(self) -> bool {
        matches!(self, Self::RunFailed | Self::NodeLost | Self::DatasetStale)
    }
}

crate::words! {
    /// How one is told.
    pub enum ChannelKind {
        /// A CloudEvent by HTTP.
        Webhook = "webhook",
        /// An incoming webhook of Slack.
        Slack = "slack",
        /// A mail.
        Email = "email",
        /// A topic of Amazon SNS.
        Sns = "sns",
        /// A function of AWS Lambda.
        Lambda = "lambda",
    }
}

crate::words! {
    /// Where a subscription comes from.
    pub enum SubscriptionOrigin {
        /// The `support` of the dataset's definition.
        Definition = "definition",
        /// Somebody added it.
        Person = "person",
    }
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: Uuid,
    /// Only of this dataset; absent: of all.
    #[serde(default)]
    pub dataset: Option<DatasetId>,
    /// Where it comes from.
    pub origin: SubscriptionOrigin,
    /// How.
    pub channel: ChannelKind,
    /// Where: an address of HTTP, a channel of Slack, an address of mail, an ARN.
    pub target: String,
    /// The secret that signs webhooks, or the address of Slack's incoming webhook: by reference.
    #[serde(default)]
    pub secret: Option<Credential>,
    /// Told of what could not be evaluated and of what the cluster lost, and of nothing else.
    #[serde(default)]
    pub operator: bool,
    /// Told of what is at least so grave.
    pub severity: Severity,
    /// Only of these dimensions; empty: any.
    #[serde(default)]
    pub dimensions: Vec<String>,
    /// Only of these columns; empty: any.
    #[serde(default)]
    pub columns: Vec<String>,
    /// What it is told of.
    pub events: Vec<NoticeKind>,
    /// Who paused it, while it is paused.
    #[serde(default)]
    pub paused_by: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Since when it is told: its making, or the end of its last pause.
    pub since: Timestamp,
    /// When it was removed.
    #[serde(default)]
    pub removed_at: Option<Timestamp>,
}

impl Subscription {
    /// What one is told of who does not say.
    pub const USUAL: [NoticeKind; 4] = [
        NoticeKind::Opened,
        NoticeKind::Escalated,
        NoticeKind::StillOpen,
        NoticeKind::Resolved,
    ];

    /// What an operator is told of who does not say.
    pub const USUAL_OF_OPERATORS: [NoticeKind; 7] = [
        NoticeKind::Opened,
        NoticeKind::Escalated,
        NoticeKind::StillOpen,
        NoticeKind::Resolved,
        NoticeKind::RunFailed,
        NoticeKind::NodeLost,
        NoticeKind::DatasetStale,
    ];

    /// What one is told of who does not say.
    #[must_use]
    pub fn usual(operator: bool) -> Vec<NoticeKind> {
        match operator {
            true => Self::USUAL_OF_OPERATORS.to_vec(),
            false => Self::USUAL.to_vec(),
        }
    }

    /// The id of the subscription that a dataset's definition makes for a target.
    #[must_use]
    pub fn id_of(dataset: &DatasetId, channel: ChannelKind, target: &str) -> Uuid {
        named(&["subscription", dataset.as_str(), channel.as_str(), target])
    }

    /// Whether it is told of anything at all at present.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.paused_by.is_none() && self.removed_at.is_none()
    }

    /// How people see the id.
    #[must_use]
    pub fn shown(&self) -> String {
        shown_as("sub", self.id)
    }
}

/// What a subscription was told of a cause last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The cause.
    pub cause: Uuid,
    /// The subscription.
    pub subscription: Uuid,
    /// Which opening of the cause it was.
    pub episode: u32,
    /// Whether it was told that it is open.
    pub open: bool,
    /// How grave it was said to be.
    pub severity: Severity,
    /// Whether it was told in that episode that it is still open.
    #[serde(default)]
    pub reminded: bool,
    /// How many messages there were, of all episodes.
    pub messages: u32,
    /// When the last one was written.
    pub at: Timestamp,
}

/// Something about the cluster's own work that operators are told of: one for each kind and subject,
/// however often it happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is: one of those that are told to operators.
    pub kind: NoticeKind,
    /// What it is about: a dataset's or a node's name.
    pub subject: String,
    /// The dataset, if it is of one.
    #[serde(default)]
    pub dataset: Option<DatasetId>,
    /// What happened last: a repeat of it is the same one.
    pub occurrence: String,
    /// Its place in the log of events; 0 of what is in no log.
    #[serde(default)]
    pub seq: u64,
    /// When it did.
    pub at: Timestamp,
    /// What happened last, in one sentence without a word of an error.
    pub message: String,
    /// More of it, as the event tells it.
    pub detail: serde_json::Value,
    /// How often it happened since somebody could be told.
    pub waiting: u32,
    /// When it was told last.
    #[serde(default)]
    pub told_at: Option<Timestamp>,
    /// When it is to be looked at, if nothing else happens.
    #[serde(default)]
    pub wake_at: Option<Timestamp>,
}

impl Alert {
    /// The key of the alert of a kind about a subject.
    #[must_use]
    pub fn key_of(kind: NoticeKind, subject: &str) -> String {
        format!("{kind}/{subject}")
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> String {
        Self::key_of(self.kind, &self.subject)
    }
}

crate::words! {
    /// How a message stands.
    pub enum DeliveryState {
        /// It is still to be taken.
        Pending = "pending",
        /// The receiver has taken it.
        Delivered = "delivered",
        /// It was given up; it can be sent again.
        Dead = "dead",
    }
}

/// One message to one subscription. Its id is the event's id for the receiver, whatever the attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Its id.
    pub id: Uuid,
    /// The subscription.
    pub subscription: Uuid,
    /// What is told.
    pub kind: NoticeKind,
    /// The dataset, if it is of one.
    #[serde(default)]
    pub dataset: Option<DatasetId>,
    /// The cause, if it is of one.
    #[serde(default)]
    pub cause: Option<Uuid>,
    /// The event as it is sent: a CloudEvent.
    pub event: serde_json::Value,
    /// When it was written.
    pub created_at: Timestamp,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it is tried next, while it is pending.
    #[serde(default)]
    pub next_at: Option<Timestamp>,
    /// When it was delivered or given up.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// What went wrong last.
    #[serde(default)]
    pub error: Option<String>,
}

impl Delivery {
    /// The id of the message number `number` of a cause to a subscription.
    #[must_use]
    pub fn id_of(cause: Uuid, subscription: Uuid, number: u32) -> Uuid {
        let (cause, subscription) = (cause.to_string(), subscription.to_string());
        named(&["delivery", &cause, &subscription, &number.to_string()])
    }

    /// The id of the message to a subscription that tells of an alert, by what happened last.
    #[must_use]
    pub fn id_of_alert(alert: &Alert, subscription: Uuid) -> Uuid {
        let subscription = subscription.to_string();
        named(&["alert", &alert.key(), &alert.occurrence, &subscription])
    }

    /// The id of the message to a subscription that a message of the outbox gives rise to.
    #[must_use]
    pub fn id_of_message(key: &str, subscription: Uuid) -> Uuid {
        named(&["message", key, &subscription.to_string()])
    }

    /// How people see the id.
    #[must_use]
    pub fn shown(&self) -> String {
        shown_as("dlv", self.id)
    }
}

/// How an attempt to deliver ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The delivery.
    pub delivery: Uuid,
    /// Which of its attempts, from 1.
    pub attempt: u32,
    /// How it stands now.
    pub state: DeliveryState,
    /// When it is tried next, while it is pending.
    #[serde(default)]
    pub next_at: Option<Timestamp>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<String>,
}

/// All that the leader writes at once: changes, who is to be told of them, and what of the outbox
/// they come from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Notices {
    /// Causes as they stand.
    pub causes: Vec<Cause>,
    /// What happened to them.
    pub events: Vec<CauseEvent>,
    /// Subscriptions as they stand.
    pub subscriptions: Vec<Subscription>,
    /// What was told.
    pub told: Vec<Told>,
    /// Alerts as they stand.
    pub alerts: Vec<Alert>,
    /// Messages to be delivered; one that is there already is the same message.
    pub deliveries: Vec<Delivery>,
    /// Ends of attempts.
    pub reports: Vec<Report>,
    /// Deliveries that are to be tried from the beginning, at once.
    pub again: Vec<Uuid>,
    /// Incidents of checks that a person has resolved.
    pub resolved: Vec<Uuid>,
    /// Incidents of checks that a person has acknowledged.
    pub acknowledged: Vec<Uuid>,
    /// Keys of messages of the outbox that this comes from: they are marked as sent.
    pub handled: Vec<String>,
    /// Ended deliveries that ended before this are forgotten, and alerts that happened last before it.
    pub forget_before: Option<Timestamp>,
}

impl Notices {
    /// Whether there is nothing to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_its_kind_and_as_no_other() {
        let dataset = DatasetId::new("orders").unwrap();
        let id = Cause::id_of(&dataset, "completeness", "amount");
        assert_ne!(id, Cause::id_of(&dataset, "completeness", ""));
        let shown = shown_as("inc", id);
        assert_eq!(id_in("inc", &shown).unwrap(), id);
        for other in ["", "inc_", "sub_1", &id.to_string()] {
            assert!(id_in("inc", other).is_err(), "{other}");
        }
        assert!(id_in("sub", &shown).is_err());
    }

    #[test]
    fn ids_of_messages_are_stable_and_differ_by_their_number() {
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(Delivery::id_of(a, b, 1), Delivery::id_of(a, b, 1));
        assert_ne!(Delivery::id_of(a, b, 1), Delivery::id_of(a, b, 2));
        assert_ne!(Delivery::id_of(a, b, 1), Delivery::id_of(b, a, 1));
    }
}
