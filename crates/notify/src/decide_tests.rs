//! Decisions for several who subscribe.

use super::*;
use crate::causes::{Book, Broken, News};
use assay_model::check::Severity;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::notice::{ChannelKind, Finding, NoticeKind, SubscriptionOrigin};
use assay_model::partition::PartitionKey;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn cause() -> Cause {
    let mut book = Book::default();
    let broken = Broken {
        incident: Uuid::from_u128(1),
        dataset: DatasetId::new("orders").unwrap(),
        check: CheckId::new("c"),
        dimension: "completeness".to_owned(),
        column: "amount".to_owned(),
        severity: Severity::Warning,
        declared: true,
        finding: Finding {
            check: CheckId::new("c"),
            metric: String::new(),
            actual: None,
            expected: String::new(),
            partition: PartitionKey("p".to_owned()),
            message: "broken".to_owned(),
        },
    };
    book.take(News::Broken(Box::new(broken)), at(0));
    book.changes().0.remove(0)
}

fn subscription(id: u128, severity: Severity) -> Subscription {
    Subscription {
        id: Uuid::from_u128(id),
        dataset: None,
        origin: SubscriptionOrigin::Person,
        channel: ChannelKind::Webhook,
        target: "https://hooks.example/".to_owned(),
        secret: None,
        operator: false,
        severity,
        dimensions: Vec::new(),
        columns: Vec::new(),
        events: Subscription::USUAL.to_vec(),
        paused_by: None,
        created_by: "ada".to_owned(),
        created_at: at(0),
        since: at(0),
        removed_at: None,
    }
}

#[test]
fn everybody_concerned_is_told_once_and_the_cause_wakes_for_the_reminder() {
    let subscriptions = [
        subscription(1, Severity::Warning),
        subscription(2, Severity::Error),
        subscription(3, Severity::Info),
    ];
    let (origin, datasets) = (Origin::default(), BTreeMap::new());
    let decide = |told: &[Told], now: Timestamp| {
        let mut notices = Notices::default();
        let known = Known {
            origin: &origin,
            subscriptions: &subscriptions,
            told,
            datasets: &datasets,
            now,
        };
        tell(&mut notices, vec![cause()], &known);
        notices
    };
    let first = decide(&[], at(0));
    assert_eq!(first, decide(&[], at(0)));
    let to: Vec<u128> = first
        .deliveries
        .iter()
        .map(|d| d.subscription.as_u128())
        .collect();
    assert_eq!(to, [1, 3]);
    assert_ne!(first.deliveries[0].id, first.deliveries[1].id);
    let id = first.deliveries[0].id.simple().to_string();
    assert_eq!(first.deliveries[0].event["id"], id);
    assert_eq!(first.causes[0].wake_at, Some(at(24 * 3600)));
    let again = decide(&first.told, at(1));
    assert_eq!((again.deliveries.len(), again.told.len()), (0, 0));
    let day = decide(&first.told, at(24 * 3600));
    let kinds: Vec<NoticeKind> = day.deliveries.iter().map(|d| d.kind).collect();
    assert_eq!(kinds, [NoticeKind::StillOpen, NoticeKind::StillOpen]);
    assert_eq!(day.causes[0].wake_at, None);
}

#[test]
fn what_begins_and_ends_in_one_decision_is_told_to_begin_and_an_hour_later_to_be_over() {
    let mut book = Book::of([cause()]);
    let incident = Uuid::from_u128(1);
    book.take(News::Mended { incident }, at(0));
    let over = book.changes().0.remove(0);
    let subscriptions = [subscription(1, Severity::Warning)];
    let (origin, datasets) = (Origin::default(), BTreeMap::new());
    let decide = |told: &[Told], now: Timestamp| {
        let mut notices = Notices::default();
        let known = Known {
            origin: &origin,
            subscriptions: &subscriptions,
            told,
            datasets: &datasets,
            now,
        };
        tell(&mut notices, vec![over.clone()], &known);
        notices
    };
    let first = decide(&[], at(1));
    let kinds = |notices: &Notices| -> Vec<NoticeKind> {
        notices.deliveries.iter().map(|d| d.kind).collect()
    };
    assert_eq!(kinds(&first), [NoticeKind::Opened]);
    let event = &first.deliveries[0].event["data"];
    assert_eq!(event["incident"]["status"], "resolved");
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("in order again before"), "{message}");
    assert_eq!(first.causes[0].wake_at, Some(at(3601)));
    let second = decide(&first.told, at(3601));
    assert_eq!(kinds(&second), [NoticeKind::Resolved]);
    let third = decide(&second.told, at(99 * 3600));
    assert_eq!(kinds(&third), []);
}
