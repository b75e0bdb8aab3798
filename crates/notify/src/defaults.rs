//! The subscriptions that a dataset's definition makes: its `support` channels for notifications.
//!
//! Comes in: the definition and the subscriptions that are there. Goes out: those that change. Pure.
//! It must never touch what a person added, or take back that a person paused one.

use std::collections::BTreeSet;

use assay_model::check::Severity;
use assay_model::dataset::{Dataset, Subscriber};
use assay_model::notice::{ChannelKind, Subscription, SubscriptionOrigin};
use jiff::Timestamp;
use uuid::Uuid;

/// How a channel of a definition is reached; `None` for a tool that is none of ours.
fn channel(subscriber: &Subscriber) -> Option<(ChannelKind, String)> {
    let url = subscriber.url.as_deref().unwrap_or_default();
    let named = |prefix: &str| url.strip_prefix(prefix).filter(|rest| !rest.is_empty());
    match subscriber.tool.as_str() {
        "email" => {
            let address = named("mailto:").unwrap_or(&subscriber.channel);
            Some((ChannelKind::Email, address.to_owned()))
        }
        "slack" => Some((ChannelKind::Slack, subscriber.channel.clone())),
        "webhook" => {
            let target = if url.is_empty() {
                &subscriber.channel
            } else {
                url
            };
            Some((ChannelKind::Webhook, target.to_owned()))
        }
        _ => None,
    }
}

/// What has to be written so that the subscriptions of `dataset` are those that it names.
#[must_use]
pub fn changes(dataset: &Dataset, known: &[Subscription], now: Timestamp) -> Vec<Subscription> {
    let mut named = BTreeSet::new();
    let mut changed = Vec::new();
    for subscriber in &dataset.subscribers {
        let Some((channel, target)) = channel(subscriber) else {
            continue;
        };
        let id = Subscription::id_of(&dataset.id, channel, &target);
        if !named.insert(id) {
            continue;
        }
        match known.iter().find(|subscription| subscription.id == id) {
            None => changed.push(fresh(id, dataset, channel, target, now)),
            Some(back) if back.removed_at.is_some() && !removed_by_person(back) => {
                changed.push(Subscription {
                    removed_at: None,
                    since: now,
                    ..back.clone()
                });
            }
            Some(_) => {}
        }
    }
    let gone = known.iter().filter(|subscription| {
        subscription.origin == SubscriptionOrigin::Definition
            && subscription.dataset.as_ref() == Some(&dataset.id)
            && subscription.removed_at.is_none()
            && !named.contains(&subscription.id)
    });
    changed.extend(gone.map(|subscription| Subscription {
        removed_at: Some(now),
        ..subscription.clone()
    }));
    changed
}

/// What a person removed stays so, whatever the definition says: it is marked as paused, too.
fn removed_by_person(subscription: &Subscription) -> bool {
    subscription.paused_by.is_some()
}

fn fresh(
    id: Uuid,
    dataset: &Dataset,
    channel: ChannelKind,
    target: String,
    now: Timestamp,
) -> Subscription {
    Subscription {
        id,
        dataset: Some(dataset.id.clone()),
        origin: SubscriptionOrigin::Definition,
        channel,
        target,
        secret: None,
        operator: false,
        severity: Severity::Warning,
        dimensions: Vec::new(),
        columns: Vec::new(),
        events: Subscription::USUAL.to_vec(),
        paused_by: None,
        created_by: format!("definition {}", dataset.version),
        created_at: now,
        since: now,
        removed_at: None,
    }
}

#[cfg(test)]
#[path = "defaults_tests.rs"]
mod tests;
