//! Attributes, read with suspicion.
//!
//! Comes in: an item that anybody may have edited. Goes out: values of the right type, and a list of
//! what is wrong. It must never take a value of another type for none.

use std::collections::HashMap;

use assay_model::ids::DatasetId;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

/// An item as DynamoDB gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// What is wrong with an item: each a message and what to do.
pub(super) type Problems = Vec<(String, &'static str)>;

/// What to do about attributes that the registry writes itself.
pub(super) const PUT_AGAIN: &str =
    "put the definition again (assay dataset apply), or correct the item by hand";

/// The types that attributes have.
pub(super) fn kind(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::B(_) => "B",
        AttributeValue::Bool(_) => "BOOL",
        AttributeValue::Bs(_) => "BS",
        AttributeValue::L(_) => "L",
        AttributeValue::M(_) => "M",
        AttributeValue::N(_) => "N",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::S(_) => "S",
        AttributeValue::Ss(_) => "SS",
        _ => "of an unknown type",
    }
}

/// A reader of one item, which remembers what is wrong.
pub(super) struct Fields<'a> {
    item: &'a Item,
    /// What is wrong so far.
    pub(super) problems: Problems,
}

impl<'a> Fields<'a> {
    pub(super) fn of(item: &'a Item) -> Self {
        Self {
            item,
            problems: Problems::new(),
        }
    }

    pub(super) fn problem(&mut self, message: String, remedy: &'static str) {
        if !self.problems.iter().any(|(known, _)| *known == message) {
            self.problems.push((message, remedy));
        }
    }

    fn typed<T>(
        &mut self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'a AttributeValue) -> Option<T>,
    ) -> Option<T> {
        let value = self.item.get(name)?;
        let found = read(value);
        if found.is_none() {
            let is = kind(value);
            self.problem(
                format!("its attribute `{name}` is {is}, and has to be {wanted}"),
                PUT_AGAIN,
            );
        }
        found
    }

    fn required<T>(&mut self, name: &str, found: Option<T>) -> Option<T> {
        if found.is_none() && !self.item.contains_key(name) {
            self.problem(format!("it has no attribute `{name}`"), PUT_AGAIN);
        }
        found
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.typed(name, "S", |value| value.as_s().ok().map(String::as_str))
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, name: &str) -> Option<&'a str> {
        let found = self.text(name);
        self.required(name, found)
    }

    /// Bytes that must be there.
    pub(super) fn required_bytes(&mut self, name: &str) -> Option<&'a [u8]> {
        let found = self.typed(name, "B", |value| value.as_b().ok().map(AsRef::as_ref));
        self.required(name, found)
    }

    /// A truth value.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "BOOL", |value| value.as_bool().ok().copied())
    }

    /// A whole number that must be there.
    pub(super) fn required_number(&mut self, name: &str) -> Option<u64> {
        let text = self.typed(name, "N", |value| value.as_n().ok());
        let text = self.required(name, text)?;
        let number = text.parse().ok();
        if number.is_none() {
            let message = format!("its attribute `{name}` is {text}, and has to be a whole number");
            self.problem(message, PUT_AGAIN);
        }
        number
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let list = self.typed(name, "L", |value| value.as_l().ok())?;
        let texts: Option<Vec<String>> = list.iter().map(|v| v.as_s().ok().cloned()).collect();
        if texts.is_none() {
            let message = format!("its attribute `{name}` holds something that is not S");
            self.problem(message, PUT_AGAIN);
        }
        texts
    }

    /// An instant.
    pub(super) fn instant(&mut self, name: &str, remedy: &'static str) -> Option<Timestamp> {
        let value = self.item.get(name)?;
        let found = value.as_s().ok().and_then(|text| text.parse().ok());
        if found.is_none() {
            let is = match value.as_s() {
                Ok(text) => format!("`{}`", text.chars().take(64).collect::<String>()),
                Err(other) => kind(other).to_owned(),
            };
            let message = format!(
                "its attribute `{name}` is {is}, and has to be an instant such as \
                 2026-03-01T12:00:00Z"
            );
            self.problem(message, remedy);
        }
        found
    }
}

/// The text of an instant in the index, as wide as any other, so that texts sort as instants do.
pub(super) fn stamp(instant: Timestamp) -> String {
    // Nothing is due before the epoch, whose year has four digits.
    format!("{:.9}", instant.max(Timestamp::UNIX_EPOCH))
}

/// The part of the index in which a dataset is: its id's XXH3 (64 bits), modulo the parts.
#[must_use]
pub(super) fn shard(key: &str) -> String {
    (xxhash_rust::xxh3::xxh3_64(key.as_bytes()) % super::SHARDS).to_string()
}

/// A text as an attribute.
pub(super) fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A whole number as an attribute.
pub(super) fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Bytes as an attribute.
pub(super) fn b(bytes: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// The key of a dataset's item.
pub(super) fn key(id: &DatasetId) -> Item {
    Item::from([("id".to_owned(), s(id.as_str()))])
}

/// Bytes that a value takes, as DynamoDB counts them (about: numbers count at most their digits).
fn bytes_of(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.len(),
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::L(list) => 3 + list.iter().map(|v| 1 + bytes_of(v)).sum::<usize>(),
        _ => 1,
    }
}

/// Bytes that an item takes.
pub(super) fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + bytes_of(value))
        .sum()
}
