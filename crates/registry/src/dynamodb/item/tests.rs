//! Items mutated at random: the definition that was put, or a reason, and never a panic.

use assay_contract::BYTES_MAX;
use proptest::prelude::*;

use super::*;
use crate::conformance::agenda::noon;
use crate::conformance::document;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

/// An item as a put and a mark leave it.
fn good() -> Item {
    let text = document("orders", "note");
    let parsed = parse("orders", &text);
    let dataset = parsed.dataset.expect("it is valid");
    let mut item = contents(&dataset, &text, noon(), Some("ana")).expect("it fits");
    item.extend([revision(3)]);
    item.extend(due_item("orders", noon()));
    item.insert("created_at".to_owned(), s(stamp(noon())));
    item.insert("emitted_through".to_owned(), s(stamp(noon())));
    item.insert("registered".to_owned(), AttributeValue::Bool(true));
    item.insert("note".to_owned(), s("look at this"));
    item.insert("put_token".to_owned(), s("token"));
    item
}

fn value() -> impl Strategy<Value = AttributeValue> {
    prop_oneof![
        any::<String>().prop_map(AttributeValue::S),
        "[0-9TZ:.+-]{0,30}".prop_map(AttributeValue::S),
        "[-0-9.e]{1,40}".prop_map(AttributeValue::N),
        any::<Vec<u8>>().prop_map(|bytes| AttributeValue::B(Blob::new(bytes))),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        Just(AttributeValue::L(vec![AttributeValue::Bool(false)])),
        Just(AttributeValue::M(Item::new())),
        Just(AttributeValue::Ss(vec!["a".to_owned()])),
    ]
}

proptest! {
    #[test]
    fn an_item_is_what_was_put_or_says_what_is_wrong(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(value())), 1..4),
    ) {
        let before = good();
        let mut names: Vec<&String> = before.keys().collect();
        names.sort();
        let mut item = before.clone();
        for (at, change) in changes {
            let name = names[at.index(names.len())];
            match change {
                Some(value) => drop(item.insert(name.clone(), value)),
                None => drop(item.remove(name)),
            }
        }
        let put = read("x", &before).entry.definition.expect("it is good");
        match read("x", &item).entry.definition {
            Ok(definition) => prop_assert_eq!(&definition.text, &put.text),
            Err(file) => prop_assert!(!file.diagnostics.is_empty()),
        }
    }

    #[test]
    fn a_document_with_a_changed_byte_is_never_taken_for_one(at: prop::sample::Index, flip in 1_u8..) {
        let mut item = good();
        let mut bytes = item["document"].as_b().expect("bytes").as_ref().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        item.insert("document".to_owned(), b(bytes));
        let put = read("x", &good()).entry.definition.expect("it is good");
        if let Ok(definition) = read("x", &item).entry.definition {
            // Some bits of a frame mean nothing.
            prop_assert_eq!(definition.text, put.text);
        }
    }
}

#[test]
fn a_frame_that_holds_too_much_is_not_unpacked_to_its_end() {
    let bomb = zstd::encode_all(std::io::repeat(0).take(1 << 30), 1).expect("it packs");
    let why = unpack(&bomb).expect_err("it is too large");
    assert!(why.contains(&BYTES_MAX.to_string()), "{why}");
    let fits = zstd::encode_all(std::io::repeat(b' ').take(BYTES_MAX as u64), 1).expect("it packs");
    assert_eq!(unpack(&fits).map(|text| text.len()), Ok(BYTES_MAX));
}

#[test]
fn texts_of_instants_sort_as_instants_do() {
    let instants = [
        "1969-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "2026-03-01T12:00:00Z",
    ];
    let more = [
        "2026-03-01T12:00:00.000000001Z",
        "2026-03-01T12:00:01Z",
        "9999-01-01T00:00:00Z",
    ];
    let stamps: Vec<String> = instants
        .iter()
        .chain(&more)
        .map(|text| stamp(text.parse().expect("an instant")))
        .collect();
    assert!(stamps.is_sorted());
    assert!(stamps.iter().all(|text| text.len() == 30), "{stamps:?}");
}
