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
        declared: true,
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

/// Whether `value` is as `schema` says; of the keywords that our schemas have.
fn fits(schema: &Value, value: &Value) -> bool {
    let is = |word: &str| match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "null" => value.is_null(),
        other => panic!("the type {other}"),
    };
    let of_type = match &schema["type"] {
        Value::Null => true,
        Value::String(word) => is(word),
        words => words
            .as_array()
            .unwrap()
            .iter()
            .any(|word| is(word.as_str().unwrap())),
    };
    let either = schema["anyOf"].as_array();
    let fields = value.as_object().into_iter().flatten();
    let known = schema["properties"].as_object();
    let closed = schema["additionalProperties"] == false;
    let required = schema["required"].as_array().into_iter().flatten();
    let items = value.as_array().into_iter().flatten();
    of_type
        && either.is_none_or(|either| either.iter().any(|one| fits(one, value)))
        && schema.get("const").is_none_or(|one| one == value)
        && required
            .into_iter()
            .all(|name| value.is_null() || value.get(name.as_str().unwrap()).is_some())
        && items
            .into_iter()
            .all(|item| schema.get("items").is_none_or(|of| fits(of, item)))
        && fields
            .into_iter()
            .all(|(name, field)| match known.and_then(|k| k.get(name)) {
                Some(of) => fits(of, field),
                None => !closed,
            })
}

fn fits_its_schema(event: &Map<String, Value>) {
    let name = event["type"].as_str().unwrap();
    let types = crate::schema::types();
    let name = types.iter().find(|known| name.ends_with(known.as_str()));
    let schema = crate::schema::of(name.unwrap()).unwrap();
    assert!(
        fits(&schema, &Value::Object(event.clone())),
        "{schema:#}\n{event:#?}"
    );
    // A field more would have gone unseen, were the schema open.
    let mut more = Value::Object(event.clone());
    more["data"]["more"] = json!(1);
    assert!(!fits(&schema, &more));
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
    fits_its_schema(event);
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

#[test]
fn alerts_are_events_that_lead_to_what_they_are_about() {
    use crate::alerts;
    use assay_model::ids::{DatasetId, Incarnation, NodeId};
    let now = Timestamp::UNIX_EPOCH;
    let node = NodeId::new("n1");
    let orders = DatasetId::new("orders").unwrap();
    let day = jiff::SignedDuration::from_hours(24);
    let all = [
        (alerts::node_lost(&node, Incarnation(2), 7, now), "nodes/n1"),
        (
            alerts::dataset_stale(&orders, None, now, day),
            "datasets/orders",
        ),
        (
            alerts::dataset_stale(&orders, Some(now), now, day),
            "datasets/orders",
        ),
    ];
    for (happened, page) in all {
        let alert = alerts::after(None, happened).unwrap();
        let event = of_alert(&origin(), Uuid::from_u128(1), &alert, None, now);
        is_cloud_event(&event);
        assert_eq!(event["subject"], page);
        assert_eq!(
            event["data"]["links"]["page"],
            format!("https://assay.example/{page}")
        );
        is_cloud_event(&of_alert(
            &Origin::default(),
            Uuid::from_u128(1),
            &alert,
            None,
            now,
        ));
    }
    // A name that is no part of an address leads to its page all the same.
    let odd = alerts::node_lost(&NodeId::new("a/b?c d"), Incarnation(1), 8, now);
    let alert = alerts::after(None, odd).unwrap();
    let event = of_alert(&origin(), Uuid::from_u128(1), &alert, None, now);
    assert_eq!(event["subject"], "nodes/a/b?c d");
    assert_eq!(
        event["data"]["links"]["page"],
        "https://assay.example/nodes/a%2Fb%3Fc%20d"
    );
}

#[test]
fn a_check_whose_name_is_no_part_of_an_address_leads_to_its_chart() {
    let mut odd = cause();
    odd.finding.check = CheckId::new("net/gross?");
    let (id, now) = (Uuid::from_u128(7), Timestamp::UNIX_EPOCH);
    let event = of_cause(&origin(), id, NoticeKind::Opened, &odd, None, now);
    assert_eq!(
        event["data"]["links"]["chart"],
        "https://assay.example/datasets/orders/checks/net%2Fgross%3F"
    );
}
