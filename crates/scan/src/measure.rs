//! Measuring a batch: which format reads it, and the encoded states that come out.
//!
//! In: a dataset's definition and one batch. Out: for each partition in the batch its rows and its
//! encoded metric state, whole or not at all. Synchronous and on one thread: tasks run side by side
//! above this.

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind};
use assay_model::output::MeasuredPartition;
use assay_model::partition::{Partition, PartitionKey};
use assay_model::task::MeasureSpec;

use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::Objects;
use crate::storage::is_ingested;

/// Measures a batch: where it lies, or its stored copy where the definition says so.
///
/// # Errors
/// See [`ScanError`]: the first thing that keeps the batch from being read to its end.
pub fn measure(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<Vec<MeasuredPartition>, ScanError> {
    let states = match is_ingested(dataset) && !spec.queries {
        true => {
            let reach = context.reach(&dataset.source.location.address())?;
            reach.storage()?.ingest(dataset, spec, context)?
        }
        false => states(dataset, spec, context)?,
    };
    let encode = |(partition, state): (PartitionKey, TableState)| MeasuredPartition {
        partition,
        rows: state.rows,
        state: state.encode(),
    };
    Ok(states.into_iter().map(encode).collect())
}

/// The states of a batch, measured where it lies, before they are encoded.
///
/// # Errors
/// As [`measure`].
pub fn states(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let kind = dataset.source.format.kind;
    if spec.queries {
        // A program of its own asks: nothing is measured, and nothing twice.
        let empty = |p: &Partition| (p.key.clone(), TableState::default());
        return Ok(spec.partitions.iter().map(empty).collect());
    }
    let states = match kind {
        FormatKind::Parquet => crate::parquet::measure(dataset, spec, context)?,
        FormatKind::Csv | FormatKind::Ndjson => texts(dataset, spec, context)?,
        FormatKind::Table => table(dataset, spec, context)?,
        FormatKind::Delta => crate::delta::measure(dataset, spec, context)?,
        FormatKind::Avro | FormatKind::Arrow => crate::columnar::measure(dataset, spec, context)?,
    };
    for key in states.keys() {
        if spec
            .partitions
            .iter()
            .all(|partition| partition.key != *key)
        {
            return Err(ScanError::Definition {
                path: dataset.id.as_str().to_owned(),
                place: Place::file(),
                what: format!("a batch holds rows of the partition {key}, which was not planned"),
                remedy: "list the source again".to_owned(),
            });
        }
    }
    Ok(states)
}

fn table(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let reach = context.reach(&dataset.source.location.address())?;
    reach
        .table(&dataset.source)?
        .measure(dataset, spec, context)
}

fn texts(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let objects = Objects::open(&dataset.source, context)?;
    let mut states = BTreeMap::new();
    for partition in &spec.partitions {
        states.insert(partition.key.clone(), TableState::default());
    }
    for slice in &spec.slices {
        context.check(&slice.object.path)?;
        let reader = objects.reader(&slice.object)?;
        crate::text::measure(
            dataset,
            &spec.partitions,
            &reader,
            slice.part,
            context,
            &mut states,
        )?;
        reader.verify_unchanged()?;
    }
    Ok(states)
}
