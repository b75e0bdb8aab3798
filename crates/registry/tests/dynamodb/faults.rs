//! Throttling, failures and lost answers.

use std::time::Duration;

use assay_registry::conformance::agenda::noon;
use assay_registry::conformance::document;
use assay_registry::dynamodb::DynamoRegistry;
use assay_registry::{Agenda, Look, Marked, Precondition, Registry, RegistryError};

use crate::proxy::{Fault, Proxy};
use crate::{World, config, id, open};

const THROTTLED: Fault = Fault::Refuse("ProvisionedThroughputExceededException");

/// A registry of `world`'s tables behind a proxy.
async fn behind(world: &World) -> (DynamoRegistry, Proxy) {
    let proxy = Proxy::start().await;
    let registry = open(&config(&proxy.url, 4).await, &world.table);
    (registry, proxy)
}

#[tokio::test]
async fn what_is_throttled_or_fails_for_a_while_is_done_all_the_same() {
    let world = World::new().await;
    let (registry, proxy) = behind(&world).await;
    let trouble = [
        THROTTLED,
        Fault::Fail,
        Fault::Refuse("RequestLimitExceeded"),
    ];
    proxy.plan("TransactWriteItems", &trouble);
    proxy.plan("BatchGetItem", &trouble);
    let put = registry
        .put(&document("orders", ""), Precondition::Absent)
        .await
        .unwrap();
    assert_eq!(proxy.calls("TransactWriteItems"), 4);
    proxy.plan("Query", &trouble);
    proxy.plan(
        "BatchGetItem",
        &[Fault::Refuse("ThrottlingException"), Fault::LoseRequest],
    );
    let page = registry.due(noon(), None, 10).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    proxy.plan("UpdateItem", &trouble);
    let look = Look {
        through: Some(noon()),
        ..Look::default()
    };
    assert_eq!(
        registry.mark(&page.entries[0], &look).await.unwrap(),
        Marked::Kept
    );
    proxy.plan("Scan", &trouble);
    assert_eq!(registry.list().await.unwrap().definitions, [put]);
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_is_made_once_and_said_to_be() {
    let world = World::new().await;
    let (registry, proxy) = behind(&world).await;
    for (no, faults) in [
        vec![Fault::LoseAnswer],
        vec![Fault::LoseAnswer, Fault::Fail, THROTTLED],
        // Every attempt's answer is lost: reading tells.
        vec![Fault::LoseAnswer; 4],
        vec![Fault::LoseAnswer, THROTTLED, THROTTLED, THROTTLED],
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("d{no}");
        proxy.plan("TransactWriteItems", &faults);
        let put = registry
            .put(&document(&name, ""), Precondition::Absent)
            .await;
        let put = put.unwrap_or_else(|error| panic!("{faults:?}: {error}"));
        assert_eq!(world.registry.get(&id(&name)).await.unwrap(), Some(put));
        let versions = world.registry.versions(&id(&name)).await.unwrap();
        assert_eq!(versions.len(), 1, "{faults:?}");
    }
}

#[tokio::test]
async fn a_put_that_cannot_be_told_of_is_not_called_undone() {
    let world = World::new().await;
    let (registry, proxy) = behind(&world).await;
    proxy.plan("TransactWriteItems", &[Fault::LoseAnswer; 4]);
    proxy.plan("GetItem", &[Fault::Fail; 4]);
    let text = document("orders", "");
    let error = registry.put(&text, Precondition::Absent).await.unwrap_err();
    assert!(
        !error.nothing_happened() && error.is_worth_a_retry(),
        "{error}"
    );
    // It was made: the same again finds itself, or is refused, and never doubles.
    let again = registry.put(&text, Precondition::Absent).await.unwrap_err();
    assert!(matches!(again, RegistryError::Conflict(_)), "{again}");
    assert_eq!(
        world.registry.versions(&id("orders")).await.unwrap().len(),
        1
    );
    // Nothing was done where nothing was reached.
    proxy.plan("TransactWriteItems", &[Fault::LoseRequest; 4]);
    let other = registry
        .put(&document("other", ""), Precondition::Absent)
        .await;
    assert!(!other.unwrap_err().nothing_happened());
    assert!(world.registry.get(&id("other")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_mark_whose_answer_is_lost_is_kept_and_not_overtaken_by_itself() {
    let world = World::new().await;
    let (registry, proxy) = behind(&world).await;
    registry
        .put(&document("orders", ""), Precondition::Absent)
        .await
        .unwrap();
    for no in 0..3 {
        let entry = registry.entry(&id("orders")).await.unwrap().unwrap();
        let look = Look {
            through: Some(noon() + jiff::SignedDuration::from_hours(no)),
            next: Some(noon()),
            ..Look::default()
        };
        proxy.plan("UpdateItem", &[Fault::LoseAnswer, Fault::Fail]);
        assert_eq!(registry.mark(&entry, &look).await.unwrap(), Marked::Kept);
        let read = registry.entry(&id("orders")).await.unwrap().unwrap();
        assert_eq!(read.emitted_through, look.through);
    }
}

#[tokio::test]
async fn a_batch_that_is_answered_in_parts_is_read_to_its_end() {
    let world = World::new().await;
    let (registry, proxy) = behind(&world).await;
    for no in 0..40 {
        let text = document(&format!("d{no:02}"), "");
        world
            .registry
            .put(&text, Precondition::Absent)
            .await
            .unwrap();
    }
    let parts = [
        Fault::Halve,
        Fault::Nothing,
        Fault::Halve,
        Fault::Nothing,
        Fault::Nothing,
    ];
    proxy.plan("BatchGetItem", &parts);
    let mut met = Vec::new();
    let mut next = None;
    loop {
        let page = registry.due(noon(), next.as_ref(), 1000).await.unwrap();
        met.extend(page.entries.into_iter().map(|entry| entry.key));
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    met.sort();
    met.dedup();
    assert_eq!(met.len(), 40);
    // What stays unread is an error, not an absence.
    proxy.plan("BatchGetItem", &[Fault::Nothing; 50]);
    let waited = tokio::time::timeout(Duration::from_secs(60), registry.due(noon(), None, 10));
    let error = waited.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("throttled") && error.is_worth_a_retry());
}

#[tokio::test]
async fn what_is_wrong_is_told_apart_and_says_what_to_do() {
    let world = World::new().await;
    let (registry, proxy) = behind(&world).await;
    for (code, word, passing) in [
        (
            "AccessDeniedException",
            "give the identity that right",
            false,
        ),
        ("UnrecognizedClientException", "aws sso login", false),
        (
            "ResourceNotFoundException",
            "the name and the region",
            false,
        ),
        ("ThrottlingException", "busier", true),
    ] {
        proxy.plan("GetItem", &[Fault::Refuse(code); 4]);
        let error = registry.get(&id("orders")).await.unwrap_err();
        let told = error.to_string();
        for word in [code, word, &world.table, "eu-west-1"] {
            assert!(told.contains(word), "{told}");
        }
        assert_eq!(error.is_worth_a_retry(), passing, "{told}");
        assert!(error.nothing_happened(), "{told}");
        proxy.plan("GetItem", &[]);
    }
    // The server's own words of a table that is not there.
    let none = open(&config(&proxy.url, 1).await, "nowhere");
    let told = none.get(&id("orders")).await.unwrap_err().to_string();
    assert!(
        told.contains("ResourceNotFoundException") && told.contains("nowhere"),
        "{told}"
    );
    // Nobody listens.
    let none = open(&config("http://127.0.0.1:9", 1).await, "nowhere");
    let error = none.get(&id("orders")).await.unwrap_err();
    assert!(
        error.is_worth_a_retry() && error.to_string().contains("reached"),
        "{error}"
    );
}
