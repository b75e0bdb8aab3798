//! The looks into objects that discovery takes.
//!
//! In: an object. Out: where it can be cut, the partition keys that it holds, or a hint that its
//! fields are apart by another mark than the definition says. An object that
//! cannot be looked into for a cut stays whole: its measurement tells what is wrong with it, and
//! the other partitions of the run are not held up.

use std::collections::BTreeMap;

use assay_model::dataset::{Dataset, FormatKind};
use assay_model::partition::{ObjectRef, Part, PartitionKey};

use super::batches::Piece;
use super::keys::Key;
use crate::context::ScanContext;
use crate::error::ScanError;
use crate::object::Objects;
use crate::text;

/// Cuts an object into pieces of about `target` bytes.
#[must_use]
pub fn cut(
    dataset: &Dataset,
    objects: &Objects,
    object: &ObjectRef,
    target: u64,
    context: &ScanContext,
) -> Vec<Piece> {
    let pieces = objects
        .reader(object)
        .and_then(|reader| match dataset.source.format.kind {
            FormatKind::Parquet => Ok(crate::parquet::cut(&reader, target)),
            FormatKind::Csv | FormatKind::Ndjson => {
                text::cut::cut(dataset, &reader, target, context)
            }
            FormatKind::Avro | FormatKind::Arrow | FormatKind::Delta | FormatKind::Table => {
                Ok(vec![(Part::Whole, object.size)])
            }
        });
    pieces.unwrap_or_else(|error| {
        tracing::warn!(%error, path = object.path, "not cut into batches");
        vec![(Part::Whole, object.size)]
    })
}

/// A sentence when the first line of a CSV file is a single field that holds what usually is a
/// delimiter. A file that cannot be read gives none: its measurement tells what is wrong with it.
#[must_use]
pub fn delimiter_hint(dataset: &Dataset, objects: &Objects, object: &ObjectRef) -> Option<String> {
    let format = &dataset.source.format;
    if format.kind != FormatKind::Csv {
        return None;
    }
    let head = crate::introspect::head(objects, object).ok()?;
    let text = String::from_utf8_lossy(&head);
    let line = text.lines().next()?;
    if line.contains(format.delimiter) || line.contains(format.quote) {
        return None;
    }
    let found = |mark: &char| *mark != format.delimiter && line.contains(*mark);
    let mark = [';', '\t', '|', ','].into_iter().find(found)?;
    let spelt = mark.escape_default();
    Some(format!(
        "the first line of {} is one field for the delimiter `{}` and holds `{spelt}`: if that is \
         what keeps the fields apart, set assayFormat.delimiter to \"{spelt}\"",
        object.path,
        format.delimiter.escape_default()
    ))
}

/// The partition keys of the rows of an object.
///
/// # Errors
/// [`ScanError`] when it cannot be read, or holds a row without a valid key.
pub fn keys(
    dataset: &Dataset,
    objects: &Objects,
    object: &ObjectRef,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, Key>, ScanError> {
    if dataset.source.format.kind == FormatKind::Parquet {
        return crate::parquet::keys(dataset, objects, object, context);
    }
    if matches!(
        dataset.source.format.kind,
        FormatKind::Avro | FormatKind::Arrow
    ) {
        return crate::columnar::keys(dataset, objects, object, context);
    }
    let reader = objects.reader(object)?;
    let keys = if dataset.source.format.kind == FormatKind::Csv {
        text::csv::keys(dataset, &reader, context)?
    } else {
        text::ndjson::keys(dataset, &reader, context)?
    };
    reader.verify_unchanged()?;
    Ok(keys)
}
