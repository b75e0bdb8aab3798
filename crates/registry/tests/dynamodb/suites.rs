//! The suites of both ports.

use assay_registry::conformance::agenda::{Spoil, Subject};
use assay_registry::conformance::{self, agenda};
use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::{Item, World, s};

macro_rules! keeps_definitions {
    ($($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            let world = World::new().await;
            assert_eq!(conformance::$case(&world.registry).await, Ok(()));
        }
    )+};
}

keeps_definitions!(
    what_is_put_can_be_got,
    a_change_of_another_version_is_a_conflict,
    an_invalid_document_is_refused,
    a_list_has_every_definition_in_order,
    a_retired_dataset_keeps_its_definition,
);

struct ByHand<'a>(&'a World);

#[async_trait]
impl Spoil for ByHand<'_> {
    async fn spoil(&self, name: &str) {
        let shard = xxhash_rust::xxh3::xxh3_64(name.as_bytes()) % 8;
        let item = Item::from([
            ("id".to_owned(), s(name)),
            (
                "document".to_owned(),
                AttributeValue::B(Blob::new(b"not zstd".to_vec())),
            ),
            ("due_shard".to_owned(), s(&shard.to_string())),
            ("due_at".to_owned(), s("1970-01-01T00:00:00.000000000Z")),
        ]);
        self.0.keep(item).await;
    }
}

macro_rules! knows_what_is_due {
    ($($case:ident),+ $(,)?) => {$(
        #[tokio::test]
        async fn $case() {
            let world = World::new().await;
            let subject = Subject {
                registry: &world.registry,
                agenda: &world.registry,
                spoil: &ByHand(&world),
            };
            assert_eq!(agenda::$case(&subject).await, Ok(()));
        }
    )+};
}

knows_what_is_due!(
    a_new_definition_is_due_at_once,
    nothing_due_is_an_empty_page,
    pages_meet_every_due_entry_once,
    a_mark_never_moves_the_watermark_back,
    a_mark_that_was_overtaken_changes_nothing,
    a_new_definition_is_not_put_off_by_a_mark_of_the_old,
    a_retired_dataset_is_not_due,
    a_note_is_kept_and_cleared,
    what_nobody_can_read_is_met_and_hides_no_other,
);
