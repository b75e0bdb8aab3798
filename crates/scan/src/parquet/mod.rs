//! The fused scan of Parquet files.
//!
//! In: a dataset's definition and the files or row groups of a batch. Out: one metric state for
//! each partition in it. Rows come from footers, NULLs too where every chunk states them; a column
//! that nothing is asked of is not read. The others are read column by column and page by page,
//! and the pages' bytes go straight into the metric states.
//!
//! Nothing that a file states about itself is believed before it is compared with what is there.

mod batches;
mod chunk;
mod codec;
pub(crate) mod columns;
mod delta;
pub(crate) mod file;
pub(crate) mod footer;
mod generic;
pub(crate) mod groups;
mod header;
mod hybrid;
pub(crate) mod keys;
mod levels;
mod pages;
pub(crate) mod rows;
pub(crate) mod sink;
pub(crate) mod spelled;
mod split;
mod unpack;
mod values;

pub use batches::cut;

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{Dataset, Layout};
use assay_model::partition::{ObjectRef, ObjectSlice, Part, PartitionKey};
use assay_model::task::MeasureSpec;

use crate::context::ScanContext;
use crate::discover::keys::{Key, KeyCutter};
use crate::error::{Place, ScanError};
use crate::object::Objects;

/// Measures the slices of a batch: one state for each partition that it holds rows of.
pub(crate) fn measure(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let objects = Objects::open(&dataset.source, context)?;
    let cutter = cutter(dataset)?;
    let mut scratch = pages::Scratch::kept();
    let mut states = BTreeMap::new();
    for partition in &spec.partitions {
        states.insert(partition.key.clone(), TableState::default());
    }
    for slice in &spec.slices {
        context.check(&slice.object.path)?;
        let mut scan = file::FileScan::open(&objects, slice, dataset, context, scratch)?;
        let parts = match (&cutter, spec.partitions.as_slice()) {
            (Some((column, cutter)), _) => scan.by_column(column, cutter)?,
            (None, [partition]) => BTreeMap::from([(partition.key.clone(), scan.whole()?)]),
            (None, several) => {
                let what = format!("{} partitions were planned in one file", several.len());
                return Err(ScanError::corrupt(&slice.object.path, Place::file(), what));
            }
        };
        for (key, state) in parts {
            states.entry(key).or_default().merge(&state);
        }
        scratch = scan.finish()?;
    }
    scratch.keep();
    Ok(states)
}

/// The keys that a file holds rows of, where partitions are told by a column: only that column is
/// read.
pub(crate) fn keys(
    dataset: &Dataset,
    objects: &Objects,
    object: &ObjectRef,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, Key>, ScanError> {
    let Some((column, cutter)) = cutter(dataset)? else {
        return Ok(BTreeMap::new());
    };
    let slice = ObjectSlice {
        object: object.clone(),
        part: Part::Whole,
    };
    let scratch = pages::Scratch::default();
    let mut scan = file::FileScan::open(objects, &slice, dataset, context, scratch)?;
    let met = scan.keys_met(column, &cutter)?;
    scan.finish()?;
    Ok(met)
}

/// The key column and what tells its values apart, where partitions are told by a column.
pub(crate) fn cutter(dataset: &Dataset) -> Result<Option<(&str, KeyCutter)>, ScanError> {
    match &dataset.partitions.layout {
        Layout::Column {
            column,
            granularity,
        } => {
            let cutter = KeyCutter::new(column, *granularity, &dataset.partitions)?;
            Ok(Some((column, cutter)))
        }
        _ => Ok(None),
    }
}
