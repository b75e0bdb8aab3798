//! The metric states of a batch of a Delta table.
//!
//! In: the files of a plan. Out: one state for each partition in it, as that of the same rows in a
//! Parquet file.

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::Dataset;
use assay_model::partition::PartitionKey;
use assay_model::task::MeasureSpec;

use super::Table;
use crate::columnar::{Feed, Rows};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::Objects;

/// Measures the slices of a batch.
pub(crate) fn measure(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let objects = Objects::open(&dataset.source, context)?;
    let [partition] = spec.partitions.as_slice() else {
        let what = format!(
            "{} partitions were planned in one batch",
            spec.partitions.len()
        );
        return Err(ScanError::corrupt(objects.root(), Place::file(), what));
    };
    let table = Table::open(&objects, spec.slices.iter().map(|s| &s.object), context)?;
    let columns: Vec<usize> = (0..table.schema().fields().len()).collect();
    let mut whole = TableState::default();
    for slice in &spec.slices {
        let path = &slice.object.path;
        context.check(path)?;
        let rows = Rows::Of(partition.key.clone());
        let mut feed = Feed::new(dataset, table.schema(), rows, path, context)?;
        let read = table.read_as(
            &slice.object,
            slice.part,
            &columns,
            true,
            context,
            &mut |batch| {
                feed.add(&batch)?;
                Ok(true)
            },
        )?;
        for state in feed.finish(read.bytes, read.first).values() {
            whole.merge(state);
        }
    }
    Ok(BTreeMap::from([(partition.key.clone(), whole)]))
}
