//! Where a Parquet file can be cut into batches.
//!
//! In: an object, and the bytes that a batch should take. Out: runs of row groups, in order, for
//! discovery to pack. A file whose footer cannot be read stays whole: measuring it then tells what
//! is wrong.

use assay_model::partition::Part;

use super::footer;
use crate::object::ReadAt;

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
