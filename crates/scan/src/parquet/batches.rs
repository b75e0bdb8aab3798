//! How Parquet files are cut into batches.
//!
//! In: objects, and the bytes that a batch should take. Out: row groups of large files and whole
//! small ones, packed in order. A file whose footer cannot be read stays whole: measuring it then
//! tells what is wrong.

use assay_model::partition::{ObjectRef, ObjectSlice, Part};

use super::footer;
use crate::object::{Objects, ReadAt};

/// Bytes that a footer may take while a file is cut.
const FOOTER_BYTES: u64 = 64 << 20;

/// Cuts a file into runs of row groups of about `target_bytes` each, with the bytes of each run.
/// Empty when it cannot be cut.
pub fn cut(reader: &impl ReadAt, target_bytes: u64) -> Vec<(Part, u64)> {
    let Ok(metadata) = footer::read(reader, FOOTER_BYTES) else {
        return Vec::new();
    };
    let mut pieces: Vec<(Part, u64)> = Vec::new();
    for (index, group) in metadata.row_groups().iter().enumerate() {
        let Ok(index) = u32::try_from(index) else {
            return Vec::new();
        };
        let sizes = group
            .columns()
            .iter()
            .map(|column| column.compressed_size().max(0).unsigned_abs());
        let bytes = sizes.fold(0u64, u64::saturating_add);
        match pieces.last_mut() {
            Some((Part::RowGroups { count, .. }, filled))
                if filled.saturating_add(bytes) <= target_bytes =>
            {
                *count += 1;
                *filled += bytes;
            }
            _ => pieces.push((
                Part::RowGroups {
                    first: index,
                    count: 1,
                },
                bytes,
            )),
        }
    }
    // A single run of all row groups is the whole file.
    if pieces.len() < 2 { Vec::new() } else { pieces }
}

/// Packs files into batches of about `target_bytes`: larger files are cut by row groups, smaller
/// ones share a batch.
#[must_use]
pub fn plan_batches(
    objects: &Objects,
    files: &[ObjectRef],
    target_bytes: u64,
) -> Vec<Vec<ObjectSlice>> {
    let mut batches: Vec<Vec<ObjectSlice>> = Vec::new();
    let mut filled = 0u64;
    for object in files {
        let mut pieces = Vec::new();
        if object.size > target_bytes {
            pieces = objects
                .reader(object)
                .map_or_else(|_| Vec::new(), |r| cut(&r, target_bytes));
        }
        if pieces.is_empty() {
            pieces.push((Part::Whole, object.size));
        }
        for (part, bytes) in pieces {
            if batches.is_empty() || filled.saturating_add(bytes) > target_bytes {
                batches.push(Vec::new());
                filled = 0;
            }
            filled = filled.saturating_add(bytes);
            if let Some(batch) = batches.last_mut() {
                batch.push(ObjectSlice {
                    object: object.clone(),
                    part,
                });
            }
        }
    }
    batches
}
