//! Who is told of incidents, and the messages that tell them.
//!
//! Comes in: the model's deliveries; what people send to subscribe. Goes out: their JSON, as
//! `assay subscribe … -o json` has it. It must never hold an address with what may be a secret in it.

use crate::schema::described;
use assay_model::check::Severity;
use assay_model::notice::{self, ChannelKind, DeliveryState, NoticeKind, SubscriptionOrigin};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

described! {
/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// `sub_` and 32 hex digits.
    pub id: String,
    /// Only of this dataset; `null`: of all.
    pub dataset: Option<String>,
    /// Where it comes from.
    pub origin: SubscriptionOrigin,
    /// How.
    pub channel: ChannelKind,
    /// Where: of an address of the web, the host alone.
    pub target: String,
    /// What signs its messages: a reference, never the secret.
    pub secret: Option<String>,
    /// Told of what could not be evaluated and of what the cluster lost, and of nothing else.
    pub operator: bool,
    /// Told of what is at least so grave.
    pub severity: Severity,
    /// Only of these dimensions; none: any.
    pub dimensions: Vec<String>,
    /// Only of these columns; none: any.
    pub columns: Vec<String>,
    /// What it is told of.
    pub events: Vec<NoticeKind>,
    /// Who paused it, while it is paused.
    pub paused_by: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was removed.
    pub removed_at: Option<Timestamp>,
    /// Messages that wait.
    pub pending: u32,
    /// Messages that were given up.
    pub dead: u32,
    /// Why it cannot be reached as the settings are.
    pub trouble: Option<String>,
    /// Whether who asks made it.
    pub mine: bool,
}
}

described! {
/// `POST /subscriptions`: what is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SubscriptionDraft {
    /// How.
    pub channel: ChannelKind,
    /// Where: an address of the web, a channel of Slack, an address of mail, an ARN.
    pub target: String,
    /// Only of this dataset. Operators alone may leave it out, for all.
    #[serde(default)]
    pub dataset: Option<String>,
    /// What signs its messages: a reference (`env:NAME`), never the secret. Operators alone may name one.
    #[serde(default)]
    pub secret: Option<String>,
    /// To be told of what could not be evaluated and of what the cluster lost, and of nothing else.
    #[serde(default)]
    pub operator: bool,
    /// To be told of what is at least so grave; `warning` when absent.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Only of these dimensions; none: any.
    #[serde(default)]
    pub dimensions: Vec<String>,
    /// Only of these columns; none: any.
    #[serde(default)]
    pub columns: Vec<String>,
    /// What to be told of; none: the first four kinds, and for operators those that they alone get.
    #[serde(default)]
    pub events: Vec<NoticeKind>,
}
}

described! {
/// A message to somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// `dlv_` and 32 hex digits: for the receiver, its digits are the id of the event.
    pub id: String,
    /// The subscription.
    pub subscription: String,
    /// What is told.
    pub kind: NoticeKind,
    /// The dataset, if it is of one.
    pub dataset: Option<String>,
    /// The incident, if it is of one.
    pub incident: Option<String>,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it is tried next, while it is pending.
    pub next_at: Option<Timestamp>,
    /// When it was delivered or given up.
    pub ended_at: Option<Timestamp>,
    /// What went wrong last.
    pub error: Option<String>,
    /// What it says, in one sentence.
    pub message: String,
}
}

impl From<&notice::Delivery> for Delivery {
    fn from(of: &notice::Delivery) -> Self {
        let message = of.event["data"]["message"].as_str();
        Self {
            id: of.shown(),
            subscription: notice::shown_as("sub", of.subscription),
            kind: of.kind,
            dataset: of.dataset.as_ref().map(ToString::to_string),
            incident: of.cause.map(|cause| notice::shown_as("inc", cause)),
            state: of.state,
            attempts: of.attempts,
            created_at: of.created_at,
            next_at: of.next_at,
            ended_at: of.ended_at,
            error: of.error.clone(),
            message: message.unwrap_or_default().to_owned(),
        }
    }
}

/// Where somebody is told, fit to be shown: an address of the web may hold a secret in any part of it
/// but its host.
#[must_use]
pub fn masked(channel: ChannelKind, target: &str) -> String {
    let web = matches!(channel, ChannelKind::Webhook | ChannelKind::Slack);
    let Some((scheme, rest)) = target.split_once("://") else {
        return match channel {
            ChannelKind::Webhook => "…".to_owned(),
            _ => target.to_owned(),
        };
    };
    if !web {
        return "…".to_owned();
    }
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}

/// A text that may repeat `target`, with that masked.
#[must_use]
pub fn without(text: &str, channel: ChannelKind, target: &str) -> String {
    if target.is_empty() {
        return text.to_owned();
    }
    text.replace(target, &masked(channel, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_of_the_web_only_the_host_is_shown() {
        use ChannelKind::{Email, Lambda, Slack, Sns, Webhook};
        for (channel, target, shown) in [
            (
                Webhook,
                "https://hooks.example/services/T0/CANARY",
                "https://hooks.example/…",
            ),
            (
                Webhook,
                "https://ada:CANARY@hooks.example:8443",
                "https://hooks.example:8443/…",
            ),
            (
                Webhook,
                "http://hooks.example?key=CANARY@x",
                "http://hooks.example/…",
            ),
            (Webhook, "CANARY", "…"),
            (Slack, "#orders", "#orders"),
            (
                Slack,
                "https://hooks.slack.example/CANARY",
                "https://hooks.slack.example/…",
            ),
            (Email, "team@acme.example", "team@acme.example"),
            (
                Sns,
                "arn:aws:sns:eu-west-1:1:topic",
                "arn:aws:sns:eu-west-1:1:topic",
            ),
            (Lambda, "https://CANARY", "…"),
        ] {
            assert_eq!(masked(channel, target), shown);
            let error = format!("{target}: connection refused");
            assert!(!without(&error, channel, target).contains("CANARY"));
        }
    }

    #[test]
    fn a_subscription_says_nothing_of_who_asks_for_it() {
        let sent = serde_json::json!({
            "channel": "slack", "target": "#orders", "createdBy": "ada",
        });
        let refused = serde_json::from_value::<SubscriptionDraft>(sent).unwrap_err();
        assert!(refused.to_string().contains("`createdBy`"), "{refused}");
    }
}
