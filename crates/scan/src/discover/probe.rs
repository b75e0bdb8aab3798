//! The two looks into objects that discovery takes.
//!
//! In: an object. Out: where it can be cut, or the partition keys that it holds. An object that
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
        });
    pieces.unwrap_or_else(|error| {
        tracing::warn!(%error, path = object.path, "not cut into batches");
        vec![(Part::Whole, object.size)]
    })
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
    let reader = objects.reader(object)?;
    let keys = if dataset.source.format.kind == FormatKind::Csv {
        text::csv::keys(dataset, &reader, context)?
    } else {
        text::ndjson::keys(dataset, &reader, context)?
    };
    reader.verify_unchanged()?;
    Ok(keys)
}
