//! Text formats: delimited text and one JSON object a line, straight into metric states.
//!
//! In: a part of an object and the dataset's definition. Out: one [`TableState`] for each partition
//! that the part holds rows of. Bytes are read in blocks of bounded size; of each block the columns
//! are worked one after another. A record that cannot be read ends the scan with an error that
//! names its line; no record is ever passed over.
//!
//! - An empty object is an empty partition, unless delimited text must have a header: then it is an
//!   error, because a writer that was cut off leaves just that.
//! - Blank lines are passed over, except in delimited text of one column, where one is a NULL.
//! - A field with a quote inside but not around it is an error, as RFC 4180 has it.

pub mod csv;
pub mod cut;
pub mod feed;
pub mod keyed;
mod line;
pub mod lines;
mod members;
pub mod ndjson;
pub mod plain;
mod records;
pub mod structure;
mod table;
pub mod values;
pub mod written;

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind};
use assay_model::partition::{Part, Partition, PartitionKey};

use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;

/// Bytes of text that are worked at a time: small enough to stay in the second cache.
pub(crate) const BLOCK_BYTES: usize = 1 << 18;

/// Where a slice's rows go.
pub type States = BTreeMap<PartitionKey, TableState>;

/// Measures a part of a text object into the states of its partitions.
///
/// `partitions` are those whose rows the part may hold: one, unless the key is a column; then a row
/// of any other partition is an error.
///
/// # Errors
/// [`ScanError`] with the line, when the part cannot be read to its end.
pub fn measure(
    dataset: &Dataset,
    partitions: &[Partition],
    reader: &dyn ReadAt,
    part: Part,
    context: &ScanContext,
    into: &mut States,
) -> Result<(), ScanError> {
    let (start, end) = match part {
        Part::Whole => (0, reader.size()),
        Part::Bytes { start, end } if start <= end && end <= reader.size() => (start, end),
        Part::Bytes { start, end } => {
            return Err(ScanError::Changed {
                path: reader.path().to_owned(),
                what: format!(
                    "bytes {start} to {end} were planned, it has {}",
                    reader.size()
                ),
            });
        }
        Part::RowGroups { .. } => {
            return Err(ScanError::Unsupported {
                path: reader.path().to_owned(),
                place: Place::file(),
                what: "row groups of a text file were planned".to_owned(),
                remedy: "list the source again".to_owned(),
            });
        }
    };
    let mut states = match dataset.source.format.kind {
        FormatKind::Csv => csv::measure(dataset, partitions, reader, (start, end), context)?,
        FormatKind::Ndjson => ndjson::measure(dataset, partitions, reader, (start, end), context)?,
        other => {
            return Err(ScanError::Unsupported {
                path: reader.path().to_owned(),
                place: Place::file(),
                what: format!("{other} is not a text format"),
                remedy: "state the format of the files under `servers`".to_owned(),
            });
        }
    };
    let first = partitions.first().and_then(|p| states.get_mut(&p.key));
    if let Some(state) = first {
        // The bytes of a shared object are told once, with the first of its partitions.
        state.bytes = end - start;
    }
    for (key, state) in states {
        into.entry(key).or_default().merge(&state);
    }
    Ok(())
}
