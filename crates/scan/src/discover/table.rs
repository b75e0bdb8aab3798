//! Discovery of a database's table.
//!
//! In: the partitions that the table tells, each with the ranges of rows that it is measured in.
//! Out: the plan of the run, by the same rules as for files. It must never take an empty answer for
//! partitions that are gone.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::dataset::{Dataset, KeyKind, Layout, Location, Sealing, VersionBy};
use assay_model::output::Discovery;

use super::decide::{Facts, Seen};
use super::keys::{KeyMaker, zone};
use super::layout::Assigned;
use super::value::Value;
use super::{batches, nothing, plan};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};

/// Lists a table and plans the run.
///
/// # Errors
/// [`ScanError`] when the table cannot be looked at whole.
pub(super) fn discover(facts: &Facts<'_>, context: &ScanContext) -> Result<Discovery, ScanError> {
    let dataset = facts.dataset;
    let address = dataset.source.location.address();
    if let Sealing::Marker { .. } = dataset.partitions.sealing {
        return Err(ScanError::Definition {
            path: address,
            place: Place::file(),
            what: "a table has no marker files that say when a partition is complete".to_owned(),
            remedy: "under assayPartitions, write `sealing: quiet` or `sealing: immediately`"
                .to_owned(),
        });
    }
    let reach = context.reach(&address)?;
    let table = reach.table(&dataset.source)?;
    let seen = table.partitions(dataset, facts.now, context)?;
    let assigned = Assigned {
        groups: BTreeMap::new(),
        files: Vec::new(),
        markers: BTreeSet::new(),
        ignored: Vec::new(),
        refused: BTreeMap::new(),
        keys: Vec::new(),
        maker: maker(dataset, &seen)?,
    };
    if seen.is_empty() {
        return Err(nothing(dataset, &address, facts.ledger, &assigned));
    }
    let mut discovery = plan(facts, assigned, &seen, |judges, discovery| {
        // The ranges are as large as wanted already.
        let mut whole = |_: &_, _| Vec::new();
        batches::plan_apart(judges, dataset.scan.target_bytes, &mut whole, discovery);
    })?;
    discovery.notices.extend(unverifiable(dataset));
    Ok(discovery)
}

/// What is told where an update may go unnoticed.
fn unverifiable(dataset: &Dataset) -> Option<String> {
    match &dataset.source.location {
        Location::Database(database) => match &database.version {
            VersionBy::Watermark(column) => Some(format!(
                "version unverifiable: it is told by the count of rows and the greatest `{column}`, \
                 so that an update which leaves both is not noticed; write `version: checksum` to \
                 notice every change"
            )),
            VersionBy::Rows | VersionBy::Checksum => None,
        },
        _ => None,
    }
}

/// What makes further keys like those seen: the names stand in the keys of several parts.
fn maker(dataset: &Dataset, seen: &[Seen]) -> Result<KeyMaker, ScanError> {
    let partitions = &dataset.partitions;
    let first = seen.first().map(|s| &s.key);
    let names: Vec<String> = match (&partitions.layout, first) {
        (Layout::Column { column, .. }, _) => vec![column.clone()],
        (_, Some(key)) if key.values.len() > 1 => {
            let parts = key.partition.key.as_str().split('/');
            parts
                .map(|part| part.split('=').next().unwrap_or(part).to_owned())
                .collect()
        }
        (_, Some(key)) => key.values.iter().map(|_| String::new()).collect(),
        (_, None) => Vec::new(),
    };
    let kind = |at: usize| {
        let mut values = seen.iter().filter_map(|s| s.key.values.get(at));
        let is_time =
            |value: &Value| !matches!(value, Value::Null | Value::Integer(_) | Value::Text(_));
        if values.clone().any(is_time) {
            KeyKind::Date
        } else if values.any(|value| matches!(value, Value::Integer(_))) {
            KeyKind::Integer
        } else {
            KeyKind::Text
        }
    };
    let kinds: Vec<KeyKind> = (0..names.len()).map(kind).collect();
    let maker = KeyMaker::new(names, zone(partitions)?, partitions.cadence);
    Ok(maker.with_kinds(&kinds))
}
