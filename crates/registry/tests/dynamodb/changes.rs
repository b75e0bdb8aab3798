//! Changes of definitions: who wins, who is refused, what is kept.

use std::sync::Arc;

use assay_model::dataset::DatasetStatus;
use assay_registry::conformance::agenda::noon;
use assay_registry::conformance::{self, document};
use assay_registry::dynamodb::{DynamoRegistry, ITEM_BYTES_MAX};
use assay_registry::{Agenda, Look, Marked, Precondition, Registry, RegistryError};
use aws_sdk_dynamodb::types::AttributeValue;

use crate::{World, id, owned, s};

/// The answers of 16 clients that begin together.
async fn race<T, F>(registry: &DynamoRegistry, what: impl Fn(DynamoRegistry, u32) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let barrier = Arc::new(tokio::sync::Barrier::new(16));
    let mut tasks = Vec::new();
    for no in 0..16 {
        let (work, barrier) = (what(registry.clone(), no), Arc::clone(&barrier));
        tasks.push(tokio::spawn(async move {
            barrier.wait().await;
            work.await
        }));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_create_the_same_dataset_one_wins_and_the_others_are_told_who() {
    let world = World::new().await;
    for round in 0..10 {
        let name = format!("d{round}");
        let answers = race(&world.registry, |registry, no| {
            let text = document(&name, &no.to_string());
            async move { registry.put(&text, Precondition::Absent).await }
        });
        let mut won = Vec::new();
        for answer in answers.await {
            match answer {
                Ok(definition) => won.push(definition),
                Err(RegistryError::Conflict(conflict)) => {
                    assert!(conflict.told.contains("put by ana"), "{conflict}");
                    assert!(conflict.told.contains("revision 1"), "{conflict}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1, "round {round}");
        let kept = world.registry.get(&id(&name)).await.unwrap().unwrap();
        assert_eq!(kept, won[0]);
        let versions = world.registry.versions(&id(&name)).await.unwrap();
        assert_eq!(versions.len(), 1, "what lost left no version");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_change_the_same_version_one_wins_and_no_version_is_lost() {
    let world = World::new().await;
    let first = document("orders", "0");
    let first = world.registry.put(&first, Precondition::Absent).await;
    let mut digest = first.unwrap().digest;
    for round in 2..8 {
        let answers = race(&world.registry, |registry, no| {
            let text = document("orders", &format!("{round} {no}"));
            let precondition = Precondition::Digest(digest.clone());
            async move { registry.put(&text, precondition).await }
        });
        let answers = answers.await;
        let won: Vec<_> = answers.iter().filter_map(|a| a.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        digest.clone_from(&won[0].digest);
    }
    let versions = world.registry.versions(&id("orders")).await.unwrap();
    let numbers: Vec<u64> = versions.iter().map(|v| v.revision).collect();
    assert_eq!(numbers, [7, 6, 5, 4, 3, 2, 1]);
    let (first, text) = world
        .registry
        .version(&id("orders"), 1)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(text, document("orders", "0"));
    assert_eq!(first.by.as_deref(), Some("ana"));
    assert_eq!(versions[0].digest, Some(digest));
    assert!(
        world
            .registry
            .version(&id("orders"), 9)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        world
            .registry
            .versions(&id("nobody"))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_who_mark_the_same_entry_one_is_kept() {
    let world = World::new().await;
    let text = document("orders", "");
    world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap();
    for round in 0..10 {
        let entry = world.registry.entry(&id("orders")).await.unwrap().unwrap();
        let through = noon() + jiff::SignedDuration::from_hours(round);
        let answers = race(&world.registry, |registry, no| {
            let (entry, next) = (entry.clone(), through + jiff::SignedDuration::from_mins(1));
            let look = Look {
                through: Some(through),
                next: Some(next),
                registered: true,
                note: Some(format!("{no}")),
            };
            async move { registry.mark(&entry, &look).await.unwrap() }
        });
        let answers = answers.await;
        let kept = answers.iter().filter(|m| **m == Marked::Kept).count();
        assert_eq!(kept, 1, "round {round}: {answers:?}");
        let read = world.registry.entry(&id("orders")).await.unwrap().unwrap();
        let winner = answers.iter().position(|m| *m == Marked::Kept).unwrap();
        assert_eq!(read.note, Some(winner.to_string()));
    }
}

#[tokio::test]
async fn another_owner_cannot_take_an_id_unawares_and_is_told_whose_it_is() {
    let world = World::new().await;
    let put = world
        .registry
        .put(&owned("orders", "payments", ""), Precondition::Absent)
        .await;
    let put = put.unwrap();
    let text = owned("orders", "growth", "");
    let refused = world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap_err();
    let told = refused.to_string();
    assert!(matches!(refused, RegistryError::Refused { .. }), "{told}");
    for word in ["payments", "revision 1", "put by ana", "another id"] {
        assert!(told.contains(word), "{told}");
    }
    assert!(refused.nothing_happened() && !refused.is_worth_a_retry());
    let again = owned("orders", "payments", "2");
    let again = world.registry.put(&again, Precondition::Absent).await;
    assert!(matches!(again, Err(RegistryError::Conflict(_))));
    // Who names the version has read it: ownership may be handed over.
    let taken = world
        .registry
        .put(&text, Precondition::Digest(put.digest))
        .await
        .unwrap();
    assert_eq!(taken.dataset.owner.as_deref(), Some("growth"));
    let item = world.item("orders").await.unwrap();
    assert_eq!(item["owner"], s("growth"));
    assert_eq!(item["revision"], AttributeValue::N("2".to_owned()));
}

#[tokio::test]
async fn a_source_outside_of_the_owners_list_is_refused_and_may_still_be_retired() {
    let world = World::new().await;
    world.allow("payments", &["file:///data/"]).await;
    world.allow("*", &["file:///public/"]).await;
    let text = owned("orders", "payments", "");
    let put = world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap();
    for (text, word) in [
        (owned("theirs", "growth", ""), "growth"),
        (document("nobodys", ""), "without an owner"),
    ] {
        let refused = world
            .registry
            .put(&text, Precondition::Absent)
            .await
            .unwrap_err();
        let told = refused.to_string();
        assert!(matches!(refused, RegistryError::Refused { .. }), "{told}");
        assert!(
            told.contains(word) && told.contains("file:///public/"),
            "{told}"
        );
    }
    // A list that cannot be read allows nothing.
    world
        .keep([("id".to_owned(), s("#owner/payments"))].into())
        .await;
    let refused = world
        .registry
        .put(
            &owned("orders", "payments", "2"),
            Precondition::Digest(put.digest.clone()),
        )
        .await;
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("cannot be read"), "{told}");
    let listing = world.registry.list().await.unwrap();
    assert_eq!(listing.invalid.len(), 1);
    assert!(listing.invalid[0].origin.ends_with("#owner/payments"));
    let policy = world.registry.policy().await.unwrap();
    let of_two = ["payments".to_owned(), "growth".to_owned()].into();
    assert_eq!(world.registry.policy_of(&of_two).await.unwrap(), policy);
    assert_eq!(policy.owners.len(), 2);
    let retired = world
        .registry
        .retire(&id("orders"), &put.digest)
        .await
        .unwrap();
    assert_eq!(retired.dataset.status, DatasetStatus::Retired);
}

#[tokio::test]
async fn a_document_that_does_not_fit_is_refused_with_its_size() {
    let world = World::new().await;
    let noise = |bytes: usize| {
        let mut seed = 1_u64;
        let letters = std::iter::repeat_with(move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'!' + u8::try_from((seed >> 33) % 90).unwrap())
        });
        letters
            .take(bytes)
            .filter(|c| *c != '#')
            .collect::<String>()
    };
    let large = document("orders", &noise(600_000));
    let refused = world
        .registry
        .put(&large, Precondition::Absent)
        .await
        .unwrap_err();
    match &refused {
        RegistryError::TooLarge { bytes, limit, .. } => {
            assert!(*bytes > ITEM_BYTES_MAX && *limit == ITEM_BYTES_MAX);
        }
        other => panic!("{other}"),
    }
    assert!(refused.to_string().contains("shorten"), "{refused}");
    assert!(world.item("orders").await.is_none());
    // Just below, it fits DynamoDB's own limit with all that comes with it.
    let fits = document("orders", &noise(450_000));
    let put = world
        .registry
        .put(&fits, Precondition::Absent)
        .await
        .unwrap();
    let got = world.registry.get(&id("orders")).await.unwrap().unwrap();
    assert_eq!(got, put);
}

#[tokio::test]
async fn a_table_restored_without_its_versions_goes_on_above_them() {
    let world = World::new().await;
    for note in ["1", "2"] {
        let found = world.registry.get(&id("orders")).await.unwrap();
        let precondition = found.map_or(Precondition::Absent, |d| Precondition::Digest(d.digest));
        world
            .registry
            .put(&document("orders", note), precondition)
            .await
            .unwrap();
    }
    let call = world.client.delete_item().table_name(&world.table);
    call.key("id", s("orders")).send().await.unwrap();
    world
        .registry
        .put(&document("orders", "3"), Precondition::Absent)
        .await
        .unwrap();
    let versions = world.registry.versions(&id("orders")).await.unwrap();
    assert_eq!(
        versions.iter().map(|v| v.revision).collect::<Vec<_>>(),
        [3, 2, 1]
    );
}

#[tokio::test]
async fn the_same_document_again_changes_nothing() {
    let world = World::new().await;
    let text = conformance::document("orders", "");
    let put = world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap();
    let before = world.item("orders").await;
    let again = world
        .registry
        .put(&text, Precondition::Digest(put.digest.clone()))
        .await
        .unwrap();
    assert_eq!(again, put);
    assert_eq!(world.item("orders").await, before);
}

#[tokio::test]
async fn the_tables_are_as_a_registry_needs_them_and_others_are_told() {
    let world = World::new().await;
    assert_eq!(world.registry.check().await.unwrap(), Vec::<String>::new());
    let call = world.client.update_table().table_name(&world.table);
    let delete = aws_sdk_dynamodb::types::DeleteGlobalSecondaryIndexAction::builder();
    let update = aws_sdk_dynamodb::types::GlobalSecondaryIndexUpdate::builder()
        .delete(delete.index_name("due").build().unwrap())
        .build();
    call.global_secondary_index_updates(update)
        .send()
        .await
        .unwrap();
    let wrong = world.registry.check().await.unwrap();
    assert!(
        wrong.len() == 1 && wrong[0].contains("no index `due`"),
        "{wrong:?}"
    );
}
