//! Items that somebody edited by hand.

use std::collections::BTreeMap;
use std::io::Read;

use assay_registry::conformance::agenda::noon;
use assay_registry::conformance::document;
use assay_registry::{Agenda, Entry, Look, Marked, Precondition, Registry, RegistryError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::{World, id, s};

fn n(text: &str) -> AttributeValue {
    AttributeValue::N(text.to_owned())
}

/// For each dataset, the attribute that is edited (to nothing: removed), and a word of what is said.
fn edits() -> Vec<(
    &'static str,
    &'static str,
    Option<AttributeValue>,
    &'static str,
)> {
    let packed = |text: &str| {
        let bytes = zstd::encode_all(text.as_bytes(), 3).unwrap();
        Some(AttributeValue::B(Blob::new(bytes)))
    };
    let other = document("another", "");
    let invalid = document("invalid", "").replace("kind", "knid");
    let bytes = |bytes: &[u8]| Some(AttributeValue::B(Blob::new(bytes.to_vec())));
    let bomb = zstd::encode_all(std::io::repeat(b' ').take(200 << 20), 1).unwrap();
    vec![
        ("no-document", "document", None, "no attribute `document`"),
        (
            "text",
            "document",
            Some(s("id: text")),
            "is S, and has to be B",
        ),
        (
            "not-zstd",
            "document",
            bytes(b"hello"),
            "is not a zstd frame",
        ),
        ("empty", "document", bytes(b""), "document"),
        ("bomb", "document", bytes(&bomb), "holds more than"),
        (
            "other",
            "document",
            packed(&other),
            "is not that of its document",
        ),
        ("invalid", "document", packed(&invalid), "knid"),
        (
            "digest",
            "digest",
            Some(s("0")),
            "is not that of its document",
        ),
        ("no-digest", "digest", None, "no attribute `digest`"),
        ("digest-n", "digest", Some(n("7")), "is N, and has to be S"),
        (
            "revision",
            "revision",
            Some(s("7")),
            "is S, and has to be N",
        ),
        ("fraction", "revision", Some(n("1.5")), "whole number"),
        ("owner", "owner", Some(s("me")), "`owner` is `me`"),
        (
            "status",
            "status",
            Some(s("retired")),
            "`status` is `retired`",
        ),
        (
            "version",
            "version",
            Some(AttributeValue::Null(true)),
            "is NULL",
        ),
        ("updated", "updated_at", Some(s("yesterday")), "`yesterday`"),
        (
            "created",
            "created_at",
            Some(n("1772366400")),
            "`created_at` is N",
        ),
        (
            "by",
            "updated_by",
            Some(AttributeValue::Bool(true)),
            "is BOOL",
        ),
        ("to", "subscribers", Some(s("all")), "`subscribers` is S"),
        (
            "through",
            "emitted_through",
            Some(s("soon")),
            "set it to the instant",
        ),
        (
            "through-n",
            "emitted_through",
            Some(n("0")),
            "`emitted_through` is N",
        ),
        (
            "registered",
            "registered",
            Some(s("yes")),
            "is S, and has to be BOOL",
        ),
        ("note", "note", Some(n("1")), "`note` is N"),
        ("due", "due_at", Some(s("banana")), "`banana`"),
        ("due-none", "due_at", None, "not both there"),
        (
            "shard",
            "due_shard",
            Some(s("99")),
            "another part of the index",
        ),
    ]
}

async fn due(world: &World) -> BTreeMap<String, Entry> {
    let (mut all, mut next) = (BTreeMap::new(), None);
    loop {
        let page = world.registry.due(noon(), next.as_ref(), 7).await.unwrap();
        all.extend(page.entries.into_iter().map(|e| (e.key.clone(), e)));
        next = page.next;
        if next.is_none() {
            return all;
        }
    }
}

async fn edit(world: &World, name: &str, attribute: &str, value: Option<AttributeValue>) {
    let mut item = world.item(name).await.unwrap();
    match value {
        Some(value) => item.insert(attribute.to_owned(), value),
        None => item.remove(attribute),
    };
    world.keep(item).await;
}

#[tokio::test]
async fn nonsense_is_told_where_it_is_met_and_hides_nothing() {
    let world = World::new().await;
    for name in ["a-good-one", "z-good-one"] {
        let text = document(name, "");
        world
            .registry
            .put(&text, Precondition::Absent)
            .await
            .unwrap();
    }
    for (name, attribute, value, _) in edits() {
        let text = document(name, "");
        world
            .registry
            .put(&text, Precondition::Absent)
            .await
            .unwrap();
        edit(&world, name, attribute, value).await;
    }
    world.keep([("id".to_owned(), s("not an id"))].into()).await;

    let listing = world.registry.list().await.unwrap();
    let good: Vec<&str> = listing
        .definitions
        .iter()
        .map(|d| d.dataset.id.as_str())
        .collect();
    assert_eq!(good, ["a-good-one", "z-good-one"]);
    assert_eq!(listing.invalid.len(), edits().len() + 1);
    let met = due(&world).await;
    for (name, _, _, word) in edits() {
        let origin = format!("dynamodb://{}/{name}", world.table);
        let told = listing
            .invalid
            .iter()
            .find(|file| file.origin == origin)
            .unwrap();
        let says: Vec<String> = told.diagnostics.iter().map(ToString::to_string).collect();
        assert!(
            says.iter().any(|line| line.contains(word)),
            "{name}: {says:?}"
        );
        let got = world.registry.get(&id(name)).await;
        assert!(matches!(got, Err(RegistryError::Invalid(_))), "{name}");
        // What is out of the index, or in a part that does not exist, only a listing meets.
        if ["due-none", "shard"].contains(&name) {
            assert!(!met.contains_key(name));
            continue;
        }
        let entry = met.get(name).unwrap_or_else(|| panic!("{name} is not met"));
        assert!(entry.definition.is_err(), "{name}");
        let look = Look {
            next: Some(noon() + jiff::SignedDuration::from_hours(1)),
            note: Some("cannot be read".to_owned()),
            ..Look::default()
        };
        let marked = world.registry.mark(entry, &look).await.unwrap();
        assert_eq!(marked, Marked::Kept, "{name}");
    }
    assert!(met.contains_key("a-good-one") && met.contains_key("z-good-one"));
    let left: Vec<String> = due(&world).await.into_keys().collect();
    assert_eq!(left, ["a-good-one", "z-good-one"]);
}

#[tokio::test]
async fn nonsense_is_mended_by_a_put_but_for_the_watermark() {
    let world = World::new().await;
    for (name, attribute, value, _) in edits() {
        let text = document(name, "");
        world
            .registry
            .put(&text, Precondition::Absent)
            .await
            .unwrap();
        edit(&world, name, attribute, value).await;
        // Who has not seen what is there cannot replace it.
        let absent = world
            .registry
            .put(&text, Precondition::Absent)
            .await
            .unwrap_err();
        let RegistryError::Conflict(conflict) = absent else {
            panic!("{name}: {absent}");
        };
        let found = Precondition::Digest(conflict.found.unwrap());
        let put = world.registry.put(&text, found).await;
        put.unwrap_or_else(|error| panic!("{name}: {error}"));
        let read = world.registry.entry(&id(name)).await.unwrap().unwrap();
        assert_eq!(
            read.definition.is_err(),
            attribute == "emitted_through",
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_mark_of_nonsense_does_not_put_off_what_was_mended_meanwhile() {
    let world = World::new().await;
    let text = document("orders", "");
    world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap();
    edit(&world, "orders", "document", None).await;
    let entry = world.registry.entry(&id("orders")).await.unwrap().unwrap();
    let digest = assay_registry::digest(&text);
    world
        .registry
        .put(&text, Precondition::Digest(digest))
        .await
        .unwrap();
    let marked = world.registry.mark(&entry, &Look::default()).await.unwrap();
    assert_eq!(marked, Marked::Overtaken);
    assert!(due(&world).await.contains_key("orders"));
}

#[tokio::test]
async fn an_instant_spelt_another_way_is_the_same_watermark() {
    let world = World::new().await;
    let text = document("orders", "");
    world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap();
    edit(
        &world,
        "orders",
        "emitted_through",
        Some(s("2026-03-01T12:00:00+00:00")),
    )
    .await;
    let entry = world.registry.entry(&id("orders")).await.unwrap().unwrap();
    assert_eq!(entry.emitted_through, Some(noon()));
    let later = noon() + jiff::SignedDuration::from_hours(1);
    let look = Look {
        through: Some(later),
        ..Look::default()
    };
    assert_eq!(
        world.registry.mark(&entry, &look).await.unwrap(),
        Marked::Kept
    );
    let read = world.registry.entry(&id("orders")).await.unwrap().unwrap();
    assert_eq!(read.emitted_through, Some(later));
}

#[tokio::test]
async fn an_item_that_is_gone_cannot_be_marked() {
    let world = World::new().await;
    let text = document("orders", "");
    world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap();
    let entry = world.registry.entry(&id("orders")).await.unwrap().unwrap();
    let call = world.client.delete_item().table_name(&world.table);
    call.key("id", s("orders")).send().await.unwrap();
    let marked = world.registry.mark(&entry, &Look::default()).await.unwrap();
    assert_eq!(marked, Marked::Overtaken);
    assert!(world.item("orders").await.is_none(), "a mark makes no item");
}

#[tokio::test]
async fn a_note_of_any_length_is_kept_as_far_as_there_is_room() {
    let world = World::new().await;
    let text = document("orders", "");
    world
        .registry
        .put(&text, Precondition::Absent)
        .await
        .unwrap();
    let entry = world.registry.entry(&id("orders")).await.unwrap().unwrap();
    let look = Look {
        note: Some("\u{e9}".repeat(300_000)),
        ..Look::default()
    };
    assert_eq!(
        world.registry.mark(&entry, &look).await.unwrap(),
        Marked::Kept
    );
    let note = world
        .registry
        .entry(&id("orders"))
        .await
        .unwrap()
        .unwrap()
        .note
        .unwrap();
    assert_eq!(note.len(), 4096);
}
