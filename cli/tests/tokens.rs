//! `assay token` and `assay audit`: what a person and a script are told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use assay_guard::tokens::{Refused, Tokens};
use assay_store::audit::{Audit as _, AuditRecord};
use assay_store::{AuditStage, OpenOptions, SqliteStore};
use common::Place;
use jiff::Timestamp;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_token_is_shown_once_works_and_can_be_revoked() {
    let place = Place::new();
    let new = [
        "token",
        "new",
        "--name",
        "CI",
        "--role",
        "owner:payments",
        "--role",
        "subscriber:*",
        "--write",
        "--expires-in",
        "1d",
    ];
    let said = place.assay(&new).ended(0);
    let text = said.out.trim();
    let tokens = Tokens::open(place.path("tokens.toml")).unwrap();
    let now = Timestamp::now();
    let who = tokens.check(text, now).unwrap();
    assert_eq!(who.rights(), "owner:payments,subscriber:*");
    let later = now + jiff::SignedDuration::from_hours(25);
    assert_eq!(tokens.check(text, later), Err(Refused::Expired));
    let listed = place.assay(&["token", "list", "-o", "json"]).ended(0);
    let items = json(&listed.out);
    assert_eq!(items["items"][0]["id"], *who.id);
    assert_eq!(items["items"][0]["scope"], "write");
    let secret = text.rsplit_once('_').unwrap().1;
    assert!(!listed.out.contains(secret) && !listed.out.contains("sha256"));
    assert!(place.assay(&["token", "list"]).out.contains("CI"));
    place.assay(&["token", "revoke", &who.id]).ended(0);
    let tokens = Tokens::open(place.path("tokens.toml")).unwrap();
    assert_eq!(tokens.check(text, now), Err(Refused::Unknown));
    place.assay(&["token", "revoke", &who.id]).ended(2);
}

#[test]
fn a_token_of_no_role_or_a_strange_one_is_a_wrong_command() {
    let place = Place::new();
    place.assay(&["token", "new", "--name", "x"]).ended(2);
    let said = place
        .assay(&["token", "new", "--name", "x", "--role", "admin"])
        .ended(2);
    assert!(said.err.contains("owner:NAME"), "{}", said.err);
    assert!(!place.path("tokens.toml").exists());
}

#[tokio::test]
async fn the_audit_log_is_listed_and_an_altered_one_is_found() {
    let place = Place::new();
    place.assay(&["audit", "list"]).ended(2);
    std::fs::create_dir(place.path(".assay")).unwrap();
    let path = place.path(".assay/assay.sqlite");
    let store = SqliteStore::open(&path, OpenOptions::default())
        .await
        .unwrap();
    for n in 1..=3 {
        let record = AuditRecord {
            request: format!("00000000-0000-0000-0000-00000000000{n}")
                .parse()
                .unwrap(),
            stage: AuditStage::Asked,
            who: format!("tok_{n}"),
            rights: "operator".to_owned(),
            action: "POST /api/v1/nodes/{id}".to_owned(),
            object: format!("/api/v1/nodes/n{n}:drain"),
            detail: "{}".to_owned(),
        };
        store.append(&record).await.unwrap();
    }
    let head = store.head().await.unwrap().to_string();
    let listed = place
        .assay(&["audit", "list", "--limit", "2", "-o", "json"])
        .ended(0);
    let items = json(&listed.out);
    let at = |n: usize| {
        (
            items["items"][n]["seq"].clone(),
            items["items"][n]["who"].clone(),
        )
    };
    assert_eq!(at(0), (3.into(), "tok_3".into()));
    assert_eq!(at(1), (2.into(), "tok_2".into()));
    assert_eq!(items["summary"]["nextBefore"], 2);
    let whole = place.assay(&["audit", "verify", "--known", &head]).ended(0);
    assert!(whole.out.contains(&head), "{}", whole.out);
    let other = format!("3:{}", "0".repeat(64));
    place
        .assay(&["audit", "verify", "--known", &other])
        .ended(1);
    place
        .assay(&["audit", "verify", "--known", "three"])
        .ended(2);
    store.close().await;
    // A byte of the second entry, past every trigger.
    let bytes = std::fs::read(&path).unwrap();
    let from = b"/api/v1/nodes/n2:drain";
    let found: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter_map(|(at, window)| (window == from).then_some(at))
        .collect();
    assert!(!found.is_empty(), "the file does not hold its rows");
    let mut bytes = bytes;
    for at in found {
        bytes[at + from.len() - 7] = b'9';
    }
    std::fs::write(&path, bytes).unwrap();
    let broken = place.assay(&["audit", "verify", "-o", "json"]).ended(1);
    let verdict = &json(&broken.out)["items"][0];
    assert_eq!(
        (&verdict["whole"], &verdict["at"]),
        (&Value::Bool(false), &2.into())
    );
}

#[test]
fn what_lies_on_this_machine_is_not_shown_for_a_cluster_elsewhere() {
    let place = Place::new();
    for command in [["audit", "verify"], ["audit", "list"], ["schedule", "list"]] {
        let named = [&["--server", "https://nowhere.example"], &command[..]].concat();
        let said = place.assay(&named).ended(2).all();
        assert!(said.contains("--server"), "{command:?}: {said}");
    }
}
