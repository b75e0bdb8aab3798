//! The fused scan of Parquet files.
//!
//! In: a dataset's definition and the files or row groups of a batch. Out: one metric state for
//! each partition in it. Rows come from footers, NULLs too where every chunk states them; a column
//! that nothing is asked of is not read. The others are read column by column and page by page,
//! and the pages' bytes go straight into the metric states.
//!
//! Nothing that a file states about itself is believed before it is compared with what is there.

mod chunk;
mod codec;
mod columns;
mod file;
mod footer;
mod generic;
mod header;
mod hybrid;
mod levels;
mod pages;
mod sink;
mod values;

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::Dataset;
use assay_model::partition::PartitionKey;
use assay_model::task::MeasureSpec;

use crate::context::ScanContext;
use crate::error::ScanError;
use crate::object::Objects;

/// Measures the slices of a batch: one state for each partition that it holds rows of.
pub(crate) fn measure(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let objects = Objects::open(&dataset.source.location)?;
    let mut scratch = pages::Scratch::default();
    let mut states = BTreeMap::new();
    for partition in &spec.partitions {
        states.insert(partition.key.clone(), TableState::default());
    }
    for slice in &spec.slices {
        context.check(&slice.object.path)?;
        let mut scan = file::FileScan::open(&objects, slice, dataset, context, scratch)?;
        if let [partition] = spec.partitions.as_slice() {
            let state = scan.whole()?;
            states
                .entry(partition.key.clone())
                .or_default()
                .merge(&state);
        }
        scratch = scan.finish()?;
    }
    Ok(states)
}
