//! Files of rows that are read as Arrow record batches: Avro, and Arrow's own.
//!
//! In: a dataset's definition and the files of a batch. Out: one metric state for each partition in
//! it. A file is always one piece. Readers of the formats are libraries that may panic on broken
//! bytes: a panic is an error of the file.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind};
use assay_model::partition::{ObjectRef, Part, PartitionKey};
use assay_model::task::MeasureSpec;

use super::split::Splitter;
use super::{Feed, Rows, avro, described, ipc};
use crate::context::ScanContext;
use crate::discover::keys::Key;
use crate::error::{Place, ScanError};
use crate::object::{ObjectReader, Objects, ReadAt};
use crate::parquet::{cutter, footer};

/// Rows that a batch may have: none that a library makes has more, but a file may state any number.
const ROWS_MAX: usize = 1 << 24;

/// The batches of a file, one after another.
pub(super) trait Batches {
    /// The schema of all batches.
    fn schema(&self) -> SchemaRef;

    /// The next batch; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<RecordBatch>, ScanError>;
}

fn open<'a>(
    kind: FormatKind,
    reader: &'a ObjectReader,
    context: &ScanContext,
) -> Result<Box<dyn Batches + 'a>, ScanError> {
    let budget = context.memory_bytes;
    footer::guarded(reader.path(), &Place::file(), || {
        Ok(match kind {
            FormatKind::Avro => Box::new(avro::Avro::open(reader, budget)?) as Box<dyn Batches>,
            _ => Box::new(ipc::Ipc::open(reader, budget)?),
        })
    })
}

fn sized(batch: &RecordBatch, path: &str) -> Result<(), ScanError> {
    if batch.num_rows() <= ROWS_MAX {
        return Ok(());
    }
    Err(ScanError::Unsupported {
        path: path.to_owned(),
        place: Place::file(),
        what: format!(
            "a batch states {} rows; {ROWS_MAX} are read at a time",
            batch.num_rows()
        ),
        remedy: "write smaller batches".to_owned(),
    })
}

/// Gives every batch of a file to `take`, with the rows before it.
fn each(
    batches: &mut dyn Batches,
    path: &str,
    context: &ScanContext,
    mut take: impl FnMut(&RecordBatch, u64) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let mut rows = 0;
    loop {
        context.check(path)?;
        let Some(batch) = footer::guarded(path, &Place::file(), || batches.next())? else {
            return Ok(());
        };
        sized(&batch, path)?;
        footer::guarded(path, &Place::file(), || take(&batch, rows))?;
        rows += batch.num_rows() as u64;
    }
}

/// Reads the batches of an Avro or Arrow file; `take` says whether more are wanted. Gives the
/// schema of all batches.
///
/// # Errors
/// [`ScanError`] when the file cannot be read to its end, or that of `take`.
pub fn read(
    kind: FormatKind,
    reader: &ObjectReader,
    context: &ScanContext,
    take: &mut dyn FnMut(&RecordBatch) -> Result<bool, ScanError>,
) -> Result<SchemaRef, ScanError> {
    let mut batches = open(kind, reader, context)?;
    let schema = batches.schema();
    let mut wanted = true;
    while wanted {
        context.check(reader.path())?;
        let next = footer::guarded(reader.path(), &Place::file(), || batches.next())?;
        let Some(batch) = next else {
            break;
        };
        sized(&batch, reader.path())?;
        wanted = take(&batch)?;
    }
    Ok(schema)
}

/// The schema of an Avro or Arrow file.
pub(crate) fn schema(
    kind: FormatKind,
    reader: &ObjectReader,
    context: &ScanContext,
) -> Result<SchemaRef, ScanError> {
    Ok(open(kind, reader, context)?.schema())
}

/// Gives every batch of an Avro or Arrow file to `take`.
pub(crate) fn each_batch(
    kind: FormatKind,
    reader: &ObjectReader,
    context: &ScanContext,
    take: &mut dyn FnMut(&RecordBatch) -> Result<(), ScanError>,
) -> Result<(), ScanError> {
    let mut batches = open(kind, reader, context)?;
    each(batches.as_mut(), reader.path(), context, |batch, _| {
        take(batch)
    })
}

/// Measures the files of a batch: one state for each partition that it holds rows of.
pub(crate) fn measure(
    dataset: &Dataset,
    spec: &MeasureSpec,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let objects = Objects::open(&dataset.source, context)?;
    let by_column = cutter(dataset)?.is_some();
    let mut states: BTreeMap<PartitionKey, TableState> = BTreeMap::new();
    for partition in &spec.partitions {
        states.insert(partition.key.clone(), TableState::default());
    }
    for slice in &spec.slices {
        let path = &slice.object.path;
        context.check(path)?;
        if slice.part != Part::Whole {
            let what = "a part of a file that is always one piece was planned";
            return Err(ScanError::corrupt(path, Place::file(), what));
        }
        let reader = objects.reader(&slice.object)?;
        let rows = match (by_column, spec.partitions.as_slice()) {
            (true, _) => Rows::ByColumn,
            (false, [partition]) => Rows::Of(partition.key.clone()),
            (false, several) => {
                let what = format!("{} partitions were planned in one file", several.len());
                return Err(ScanError::corrupt(path, Place::file(), what));
            }
        };
        let mut batches = open(dataset.source.format.kind, &reader, context)?;
        let schema = batches.schema();
        let mut feed = Feed::new(dataset, &schema, rows, reader.path(), context)?;
        each(batches.as_mut(), reader.path(), context, |batch, _| {
            feed.add(batch)
        })?;
        for (key, state) in feed.finish(reader.size(), true) {
            states.entry(key).or_default().merge(&state);
        }
        context.progress.add_bytes(reader.size());
        reader.verify_unchanged()?;
    }
    Ok(states)
}

/// The keys that a file holds rows of, where partitions are told by a column.
pub(crate) fn keys(
    dataset: &Dataset,
    objects: &Objects,
    object: &ObjectRef,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, Key>, ScanError> {
    let reader = objects.reader(object)?;
    let mut batches = open(dataset.source.format.kind, &reader, context)?;
    let columns = described(&batches.schema());
    let mut met = BTreeMap::new();
    if let Some(splitter) = Splitter::new(dataset, &columns, reader.path())? {
        each(batches.as_mut(), reader.path(), context, |batch, before| {
            for key in splitter.keys(batch, before, reader.path())? {
                met.entry(key.partition.key.clone()).or_insert(key);
            }
            Ok(())
        })?;
    }
    reader.verify_unchanged()?;
    Ok(met)
}
