//! Events against the rules of CloudEvents.

use super::*;
use crate::causes::{Book, Broken, News};
use assay_model::check::Severity;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::notice::Finding;
use assay_model::partition::PartitionKey;

fn cause() -> Cause {
    let mut book = Book::default();
    let broken = Broken {
        incident: Uuid::from_u128(1),
        dataset: DatasetId::new("orders").unwrap(),
        check: CheckId::new("email_format"),
        dimension: "conformity".to_owned(),
        column: "email".to_owned(),
        severity: Severity::Error,
        finding: Finding {
            check: CheckId::new("email_format"),
            metric: "invalidCount".to_owned(),
            actual: Some("412".to_owned()),
            expected: "= 0".to_owned(),
            partition: PartitionKey("2026-11-20".to_owned()),
            message: "orders.email: invalidCount is 412".to_owned(),
        },
    };
    book.take(News::Broken(Box::new(broken)), Timestamp::UNIX_EPOCH);
    book.changes().0.remove(0)
}

fn origin() -> Origin {
    Origin {
        cluster: "staging".to_owned(),
        pages: Some("https://assay.example".to_owned()),
        prefix: "example.assay".to_owned(),
    }
}

/// The rules that the standard has for every event.
fn is_cloud_event(event: &Value) {
    let event = event.as_object().unwrap();
    for required in ["specversion", "id", "source", "type"] {
        let text = event[required].as_str().unwrap();
        assert!(!text.is_empty(), "{required}");
    }
    assert_eq!(event["specversion"], "1.0");
    for name in event.keys() {
        let plain = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        assert!(plain && name.len() <= 20, "{name}");
    }
    let time = event["time"].as_str().unwrap();
    assert!(
        time.parse::<Timestamp>().is_ok() && time.ends_with('Z'),
        "{time}"
    );
    assert!(event.values().map(|v| v.to_string().len()).sum::<usize>() < 64 << 10);
}

#[test]
fn an_event_of_a_cause_says_what_and_leads_to_it() {
    let id = Uuid::from_u128(7);
    let event = of_cause(
        &origin(),
        id,
        NoticeKind::Opened,
        &cause(),
        None,
        Timestamp::UNIX_EPOCH,
    );
    is_cloud_event(&event);
    assert_eq!(event["id"], id.simple().to_string());
    assert_eq!(event["source"], "https://assay.example/clusters/staging");
    assert_eq!(event["type"], "example.assay.incident.opened.v1");
    assert_eq!(event["subject"], "datasets/orders/checks/email_format");
    assert_eq!(
        event["data"]["incident"]["groupKey"],
        "orders/conformity/email"
    );
    assert_eq!(event["data"]["check"]["actual"], "412");
    let link = event["data"]["links"]["incident"].as_str().unwrap();
    assert!(
        link.starts_with("https://assay.example/incidents/inc_"),
        "{link}"
    );
}

#[test]
fn every_kind_has_a_type_of_its_own() {
    let kinds = NoticeKind::ALL.iter().map(|kind| type_of(*kind));
    let kinds: std::collections::BTreeSet<&str> = kinds.collect();
    assert_eq!(kinds.len(), NoticeKind::ALL.len());
}

#[test]
fn a_finished_partition_and_a_test_are_events_too() {
    let body = json!({
        "partition": "2026-11-20", "version": "v", "sealed": true, "run": "run_1",
        "counts": { "planned": 3, "pass": 1, "fail": 2 },
    });
    let id = Uuid::from_u128(1);
    let usual = Origin::default();
    let event = of_finished(&usual, id, ("orders", None), &body, Timestamp::UNIX_EPOCH);
    is_cloud_event(&event);
    assert_eq!(event["source"], "urn:assay:assay");
    let message = event["data"]["message"].as_str().unwrap();
    assert!(message.contains("2 checks need a look"), "{message}");
}
