//! The shape that a partition is held against: its columns, those of the definition, and those of
//! the last partition whose shape was in order.
//!
//! Comes in: the schema metrics of the partition and of its past, and the definition. Goes out:
//! columns to compare. A broken shape must never become the measure of the next partition.

use std::collections::BTreeSet;

use assay_judge::schema::{SchemaColumn, read_columns};
use assay_model::dataset::{Column, Dataset, FormatKind};
use assay_model::history::{HistoryPoint, MetricHistory};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_model::partition::Partition;

use crate::types::admits;

/// The columns of the judged partition; `None` when they could not be read.
pub fn measured(points: &[MetricPoint]) -> Option<Vec<SchemaColumn>> {
    let point = points.iter().find(|p| p.key.metric == Metric::Schema)?;
    columns(point.status, &point.value)
}

/// The columns of an earlier partition, by its schema metric; `None` when they could not be read.
pub fn past(point: &HistoryPoint) -> Option<Vec<SchemaColumn>> {
    columns(point.status, &point.value)
}

fn columns(status: MetricStatus, value: &MetricValue) -> Option<Vec<SchemaColumn>> {
    match value {
        MetricValue::Text(text) if status == MetricStatus::Computed => Some(read_columns(text)),
        _ => None,
    }
}

/// The newest schema that could be read, of `partitions` in their order.
pub fn newest<'a>(
    history: &MetricHistory,
    partitions: impl DoubleEndedIterator<Item = &'a &'a Partition>,
) -> Option<Vec<SchemaColumn>> {
    let key = MetricKey::table(Metric::Schema);
    let (_, points) = history.iter().find(|(k, _)| *k == key)?;
    // Both are in the order of the partitions, so that the next one is found right before the last.
    let mut end = points.len();
    partitions.rev().find_map(|partition| {
        let is_it = |point: &HistoryPoint| point.partition.key == partition.key;
        let before = points[..end].iter().rposition(is_it);
        let at = before.or_else(|| points.iter().rposition(is_it))?;
        end = at;
        past(&points[at])
    })
}

/// The declared columns, with those that the data has more: a definition need not name all. Types
/// are compared where the source has types of its own: the physical type as it is called, the
/// logical type by what it stands for. Whether values may be NULL is a check's matter, not the
/// schema's.
pub fn declared(dataset: &Dataset, actual: &[SchemaColumn]) -> Option<Vec<SchemaColumn>> {
    if dataset.columns.is_empty() {
        return None;
    }
    let mut declared: Vec<SchemaColumn> = dataset
        .columns
        .iter()
        .map(|column| SchemaColumn {
            name: column.name.clone(),
            data_type: declared_type(dataset, column, actual),
            nullable: None,
            in_some_files: false,
        })
        .collect();
    for column in actual {
        if declared.iter().all(|d| d.name != column.name) {
            declared.push(column.clone());
        }
    }
    Some(declared)
}

/// The type that a column is held against: the one that it has, where the definition admits it.
fn declared_type(dataset: &Dataset, column: &Column, actual: &[SchemaColumn]) -> Option<String> {
    let is = actual.iter().find(|is| is.name == column.name)?;
    let is = is.data_type.as_ref()?;
    let stated = column.physical_type.as_ref().filter(|_| is_typed(dataset));
    if let Some(stated) = stated.filter(|stated| !stated.eq_ignore_ascii_case(is)) {
        return Some(stated.clone());
    }
    let logical = column.logical_type.filter(|_| has_types(dataset));
    Some(match logical.filter(|logical| !admits(*logical, is)) {
        Some(logical) => logical.to_string(),
        None => is.clone(),
    })
}

/// Whether the source says of which type its columns are; fields of text are of what they read as.
fn has_types(dataset: &Dataset) -> bool {
    !matches!(
        dataset.source.format.kind,
        FormatKind::Csv | FormatKind::Ndjson
    )
}

/// Whether physical types are called as the schema metric calls them.
fn is_typed(dataset: &Dataset) -> bool {
    dataset.source.format.kind == FormatKind::Parquet
}

/// What a partition of the columns `actual` is held against: the columns of the last partition
/// among `before` (oldest first) that `is_in_order`, with the changes that the owner has accepted.
pub fn held_against(
    dataset: &Dataset,
    actual: &[SchemaColumn],
    history: &MetricHistory,
    before: &[&Partition],
    is_in_order: impl Fn(&Partition) -> bool,
) -> Option<Vec<SchemaColumn>> {
    let settled = newest(history, before.iter().filter(|p| is_in_order(p)))?;
    let previous = newest(history, before.iter());
    Some(accepted(dataset, actual, settled, previous.as_deref()))
}

/// The columns of the last partition in order, `settled`, with the changes that the owner has
/// accepted by writing them into the definition: a new column that it names, a type that it
/// states, and, when it names exactly the columns of `actual`, the loss of one that it does not
/// name. That loss, and whether a column may be NULL, which no definition states, is told once:
/// `previous` is the schema of the partition before, in order or not.
fn accepted(
    dataset: &Dataset,
    actual: &[SchemaColumn],
    mut settled: Vec<SchemaColumn>,
    previous: Option<&[SchemaColumn]>,
) -> Vec<SchemaColumn> {
    let named: BTreeSet<&str> = dataset.columns.iter().map(|c| c.name.as_str()).collect();
    let there: BTreeSet<&str> = actual.iter().map(|c| c.name.as_str()).collect();
    let before = |name: &str| previous?.iter().find(|c| c.name == name);
    if named == there {
        settled.retain(|c| named.contains(c.name.as_str()) || before(&c.name).is_some());
    }
    for column in &dataset.columns {
        let Some(is) = actual.iter().find(|c| c.name == column.name) else {
            continue;
        };
        let stated = column.physical_type.as_ref().filter(|_| is_typed(dataset));
        let as_stated = match (stated, &is.data_type) {
            (Some(stated), Some(is)) => is.eq_ignore_ascii_case(stated),
            _ => false,
        };
        match settled.iter_mut().find(|c| c.name == column.name) {
            None => settled.push(is.clone()),
            Some(was) if as_stated => {
                was.data_type.clone_from(&is.data_type);
                if before(&is.name).is_some_and(|b| b.nullable == is.nullable) {
                    was.nullable = is.nullable;
                }
            }
            Some(_) => {}
        }
    }
    settled
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
