//! What definitions make, and what people did with it.

use super::*;
use assay_model::ids::DatasetId;

fn dataset(subscribers: &[(&str, &str, Option<&str>)]) -> Dataset {
    let subscribers: Vec<_> = subscribers
        .iter()
        .map(|(channel, tool, url)| serde_json::json!({ "channel": channel, "tool": tool, "url": url }))
        .collect();
    serde_json::from_value(serde_json::json!({
        "id": "orders", "version": "1.0.0", "status": "active", "tenant": "shop",
        "subscribers": subscribers,
        "source": {
            "server": "here",
            "location": { "local": { "path": "/data" } },
            "format": { "kind": "parquet" },
        },
        "partitions": { "layout": "auto" },
    }))
    .unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What is there after the definition was looked at.
fn then(known: &[Subscription], changed: Vec<Subscription>) -> Vec<Subscription> {
    let mut all: Vec<Subscription> = known.to_vec();
    for one in changed {
        all.retain(|s| s.id != one.id);
        all.push(one);
    }
    all
}

#[test]
fn each_channel_is_a_subscription_once() {
    let dataset = dataset(&[
        ("#orders", "slack", None),
        (
            "team@acme.example",
            "email",
            Some("mailto:orders@acme.example"),
        ),
        ("orders", "webhook", Some("https://hooks.acme.example/x")),
        ("orders", "webhook", Some("https://hooks.acme.example/x")),
        ("someone", "pigeon", None),
    ]);
    let made = changes(&dataset, &[], at(1));
    let targets: Vec<(ChannelKind, &str)> = made.iter().map(|s| (s.channel, &*s.target)).collect();
    assert_eq!(
        targets,
        [
            (ChannelKind::Slack, "#orders"),
            (ChannelKind::Email, "orders@acme.example"),
            (ChannelKind::Webhook, "https://hooks.acme.example/x"),
        ]
    );
    assert_eq!(changes(&dataset, &made, at(2)), []);
}

#[test]
fn what_the_definition_drops_is_removed_and_comes_back_with_it() {
    let with = dataset(&[("#orders", "slack", None)]);
    let known = changes(&with, &[], at(1));
    let known = then(&known, changes(&dataset(&[]), &known, at(2)));
    assert_eq!(known[0].removed_at, Some(at(2)));
    assert_eq!(changes(&dataset(&[]), &known, at(3)), []);
    let known = then(&known, changes(&with, &known, at(4)));
    assert_eq!((known[0].removed_at, known[0].since), (None, at(4)));
}

#[test]
fn what_a_person_did_stays() {
    let with = dataset(&[("#orders", "slack", None)]);
    let mut known = changes(&with, &[], at(1));
    known[0].paused_by = Some("ada".to_owned());
    assert_eq!(changes(&with, &known, at(2)), []);
    known[0].removed_at = Some(at(3));
    assert_eq!(changes(&with, &known, at(4)), []);
    let own = Subscription {
        id: Uuid::from_u128(1),
        dataset: Some(DatasetId::new("orders").unwrap()),
        origin: SubscriptionOrigin::Person,
        removed_at: None,
        paused_by: None,
        ..known[0].clone()
    };
    assert_eq!(changes(&dataset(&[]), &[own], at(5)), []);
}
