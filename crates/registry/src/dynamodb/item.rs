//! Items to entries and back.
//!
//! Comes in: an item of the table. Goes out: the definition in it, or everything that is wrong with
//! it. It must never unpack more than a document may hold, or believe attributes that the document
//! contradicts.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use assay_contract::{Code, Diagnostic, Parsed};
use assay_model::dataset::{Dataset, DatasetStatus};
use jiff::Timestamp;

use super::fields::{Fields, Item, PUT_AGAIN, b, n, s, shard, stamp};
use crate::agenda::{AT_ONCE, Entry};
use crate::port::{Definition, InvalidFile, RegistryError, at_start, digest};

/// What to do about a watermark that cannot be read.
const SET_WATERMARK: &str = "set it to the instant up to which runs were asked for, or remove it: \
                             then it begins with the next slot";

/// The largest window that a frame may ask for, as a power of two: more is not needed for a document.
const WINDOW_LOG_MAX: u32 = 23;

/// An item that was read.
pub(super) struct Row {
    /// What a tick sees of it.
    pub(super) entry: Entry,
    /// Its revision, if it can be read.
    pub(super) revision: Option<u64>,
    /// Who put it, and when, for people.
    pub(super) told: String,
    /// Warnings about its definition.
    pub(super) warnings: Vec<Diagnostic>,
}

/// A document, as it is parsed wherever definitions come from a table: its variables have no values,
/// which would differ from process to process.
pub(super) fn parse(origin: &str, text: &str) -> Parsed {
    assay_contract::parse_with(origin, text, Path::new("/"), &|_| None)
}

/// Reads an item.
pub(super) fn read(origin: &str, item: &Item) -> Row {
    let mut fields = Fields::of(item);
    let key = fields.required_text("id").unwrap_or_default().to_owned();
    let text = document(&mut fields);
    let mark = fields.required_text("digest");
    if let (Some(mark), Some(text)) = (mark, &text)
        && *mark != digest(text)
    {
        fields.problem(
            "its `digest` is not that of its document".to_owned(),
            PUT_AGAIN,
        );
    }
    let parsed = text.as_deref().map(|text| parse(origin, text));
    let since = fields.instant("updated_at", PUT_AGAIN);
    let dataset = parsed.as_ref().and_then(|parsed| parsed.dataset.as_ref());
    if let Some(dataset) = dataset {
        agrees(&mut fields, &key, dataset);
    }
    let revision = fields.required_number("revision");
    let by = fields.text("updated_by");
    let told = told(revision, since, by);
    fields.instant("created_at", PUT_AGAIN);
    fields.texts("subscribers");

    let emitted_through = fields.instant("emitted_through", SET_WATERMARK);
    let registered = fields.flag("registered").unwrap_or(false);
    let note = fields.text("note").map(str::to_owned);
    let due_at = due_at(&mut fields, &key);
    let warnings = parsed
        .as_ref()
        .filter(|parsed| parsed.dataset.is_some())
        .map(|parsed| parsed.diagnostics.clone())
        .unwrap_or_default();
    let definition = definition(origin, text, parsed, since, &fields);
    let entry = Entry {
        key,
        definition,
        emitted_through,
        registered,
        due_at,
        note,
    };
    Row {
        entry,
        revision,
        told,
        warnings,
    }
}

fn told(revision: Option<u64>, since: Option<Timestamp>, by: Option<&str>) -> String {
    let Some(revision) = revision else {
        return "an item that cannot be read".to_owned();
    };
    let since = since.map(|at| format!(" of {at:.0}")).unwrap_or_default();
    let by = by.map(|by| format!(", put by {by}")).unwrap_or_default();
    format!("revision {revision}{since}{by}")
}

/// The document's text.
fn document(fields: &mut Fields<'_>) -> Option<Arc<str>> {
    let bytes = fields.required_bytes("document")?;
    match unpack(bytes) {
        Ok(text) => Some(text.into()),
        Err(why) => {
            fields.problem(format!("its `document` {why}"), PUT_AGAIN);
            None
        }
    }
}

/// The text in a zstd frame of at most as many bytes as a document may have.
pub(super) fn unpack(bytes: &[u8]) -> Result<String, String> {
    let limit = assay_contract::BYTES_MAX;
    let not_zstd = |error: std::io::Error| format!("is not a zstd frame: {error}");
    let mut decoder = zstd::stream::read::Decoder::new(bytes).map_err(not_zstd)?;
    decoder
        .window_log_max(WINDOW_LOG_MAX)
        .map_err(|error| format!("cannot be unpacked: {error}"))?;
    let mut plain = Vec::new();
    let mut bounded = decoder.take(limit as u64 + 1);
    bounded.read_to_end(&mut plain).map_err(not_zstd)?;
    if plain.len() > limit {
        return Err(format!("holds more than {limit} bytes"));
    }
    String::from_utf8(plain).map_err(|error| format!("is not UTF-8: {error}"))
}

/// Whether what the attributes say is what the document says.
fn agrees(fields: &mut Fields<'_>, key: &str, dataset: &Dataset) {
    let says = [
        ("id", Some(key.to_owned()), Some(dataset.id.to_string())),
        (
            "version",
            fields.text("version").map(str::to_owned),
            Some(dataset.version.clone()),
        ),
        (
            "status",
            fields.text("status").map(str::to_owned),
            Some(dataset.status.to_string()),
        ),
        (
            "owner",
            fields.text("owner").map(str::to_owned),
            dataset.owner.clone(),
        ),
    ];
    for (name, attribute, document) in says {
        if attribute != document {
            let (attribute, document) = (shown(attribute), shown(document));
            fields.problem(
                format!("its attribute `{name}` is {attribute}, and its document says {document}"),
                PUT_AGAIN,
            );
        }
    }
}

fn shown(text: Option<String>) -> String {
    text.map_or_else(
        || "nothing".to_owned(),
        |text| format!("`{}`", text.chars().take(128).collect::<String>()),
    )
}

/// Since when it is due. Where that cannot be read, it is looked at at once.
fn due_at(fields: &mut Fields<'_>, key: &str) -> Option<Timestamp> {
    let before = fields.problems.len();
    let part = fields.text("due_shard");
    let at = fields.instant("due_at", PUT_AGAIN);
    let due = if fields.problems.len() > before {
        Err("cannot be read")
    } else {
        match (part, at) {
            (Some(part), Some(at)) if *part == shard(key) => Ok(Some(at)),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err("are in another part of the index than its id"),
            (Some(_), None) | (None, Some(_)) => Err("are not both there"),
        }
    };
    due.unwrap_or_else(|why| {
        let message = format!("its attributes `due_shard` and `due_at` {why}");
        fields.problem(message, PUT_AGAIN);
        Some(AT_ONCE)
    })
}

/// The definition in an item whose attributes have been read.
fn definition(
    origin: &str,
    text: Option<Arc<str>>,
    parsed: Option<Parsed>,
    since: Option<Timestamp>,
    fields: &Fields<'_>,
) -> Result<Definition, InvalidFile> {
    let mut diagnostics: Vec<_> = fields
        .problems
        .iter()
        .map(|(message, hint)| at_start(origin, Code::Unreadable, message.clone(), hint))
        .collect();
    let text = text.unwrap_or_default();
    if let Some(parsed) = parsed {
        if let Some(dataset) = parsed.dataset
            && diagnostics.is_empty()
        {
            return Ok(Definition {
                dataset: Arc::new(dataset),
                digest: digest(&text),
                text,
                origin: origin.to_owned(),
                since: since.unwrap_or(AT_ONCE),
                kept: false,
            });
        }
        diagnostics.extend(parsed.diagnostics);
    }
    Err(InvalidFile {
        origin: origin.to_owned(),
        text,
        diagnostics,
        kept: None,
    })
}

/// What a put keeps of a document: the same in the item and among the versions.
pub(super) fn contents(
    dataset: &Dataset,
    text: &str,
    now: Timestamp,
    by: Option<&str>,
) -> Result<Item, RegistryError> {
    let packed =
        zstd::encode_all(text.as_bytes(), 9).map_err(|error| RegistryError::Unavailable {
            place: format!("the document of `{}`", dataset.id),
            reason: format!("it cannot be packed: {error}"),
            remedy: "try again".to_owned(),
            passing: true,
            unchanged: true,
        })?;
    let mut item = Item::from([
        ("id".to_owned(), s(dataset.id.as_str())),
        ("document".to_owned(), b(packed)),
        ("digest".to_owned(), s(digest(text))),
        ("version".to_owned(), s(dataset.version.clone())),
        ("status".to_owned(), s(dataset.status.as_str())),
        ("updated_at".to_owned(), s(stamp(now))),
    ]);
    let optional = [
        ("owner", dataset.owner.clone()),
        ("updated_by", by.map(str::to_owned)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            item.insert(name.to_owned(), s(value));
        }
    }
    let channels: Vec<_> = dataset
        .subscribers
        .iter()
        .map(|to| s(&to.channel))
        .collect();
    let subscribers = aws_sdk_dynamodb::types::AttributeValue::L(channels);
    item.insert("subscribers".to_owned(), subscribers);
    let bytes = super::fields::size(&item);
    if bytes > super::ITEM_BYTES_MAX {
        return Err(RegistryError::TooLarge {
            id: dataset.id.clone(),
            bytes,
            limit: super::ITEM_BYTES_MAX,
        });
    }
    Ok(item)
}

/// Where a dataset is in the index once it was put; `None`: nowhere, until it changes.
pub(super) fn due_after_put(dataset: &Dataset) -> Option<Item> {
    if dataset.status == DatasetStatus::Retired {
        return None;
    }
    Some(due_item(dataset.id.as_str(), AT_ONCE))
}

/// The place in the index of what is due at `at`.
pub(super) fn due_item(key: &str, at: Timestamp) -> Item {
    Item::from([
        ("due_shard".to_owned(), s(shard(key))),
        ("due_at".to_owned(), s(stamp(at))),
    ])
}

/// The revision attribute of an item.
pub(super) fn revision(number: u64) -> (String, aws_sdk_dynamodb::types::AttributeValue) {
    ("revision".to_owned(), n(number))
}

#[cfg(test)]
mod tests;
