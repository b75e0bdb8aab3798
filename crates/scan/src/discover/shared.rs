//! Partitions told by a column inside the files: which objects hold rows of which partitions.
//!
//! In: the objects, the ledger, and a way to read the keys of one object. Out: for each partition
//! the objects that hold it. An object is read only if the ledger cannot tell what it holds: the
//! version of such a partition is that of exactly the objects that hold it, so a ledger whose
//! versions are all made of objects that are still there tells everything about those objects.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::dataset::Layout;
use assay_model::ledger::LedgerState;
use assay_model::partition::{ObjectRef, Partition, PartitionKey, PartitionVersion};

use super::decide::{Facts, Seen};
use super::keys::{Key, KeyCutter};
use super::layout::Assigned;
use crate::error::ScanError;

/// The keys that an object holds rows of.
pub type KeysOf<'a> =
    &'a mut dyn FnMut(&ObjectRef) -> Result<BTreeMap<PartitionKey, Key>, ScanError>;

/// Which objects hold which partitions.
#[derive(Debug, Default)]
pub struct Held {
    partitions: BTreeMap<(String, String), (Key, Vec<ObjectRef>)>,
}

impl Held {
    fn add(&mut self, key: Key, object: &ObjectRef) {
        let place = (key.partition.order.clone(), key.partition.key.0.clone());
        let (_, objects) = self
            .partitions
            .entry(place)
            .or_insert_with(|| (key, Vec::new()));
        if !objects.contains(object) {
            objects.push(object.clone());
        }
    }

    /// The partitions, as seen.
    #[must_use]
    pub fn seen(&self, assigned: &Assigned) -> Vec<Seen> {
        let seen = |(key, objects): &(Key, Vec<ObjectRef>)| Seen {
            key: key.clone(),
            objects: objects.clone(),
            marked: super::is_marked(assigned, objects),
            told: None,
        };
        self.partitions.values().map(seen).collect()
    }

    /// Every partition that each object (by path) holds rows of.
    #[must_use]
    pub fn by_object(&self) -> BTreeMap<String, Vec<Partition>> {
        let mut by_object: BTreeMap<String, Vec<Partition>> = BTreeMap::new();
        for (key, objects) in self.partitions.values() {
            for object in objects {
                by_object
                    .entry(object.path.clone())
                    .or_default()
                    .push(key.partition.clone());
            }
        }
        by_object
    }
}

/// Finds out which of `files` hold which partitions.
///
/// # Errors
/// [`ScanError`] when an object that has to be read cannot be, or holds a row without a valid key.
pub fn hold(facts: &Facts<'_>, files: &[ObjectRef], keys: KeysOf<'_>) -> Result<Held, ScanError> {
    let mut held = Held::default();
    let known = if facts.selection.rescan || !facts.redo.measure.is_empty() {
        None
    } else {
        from_ledger(facts, files)?
    };
    let mut told = BTreeSet::new();
    for (key, objects) in known.into_iter().flatten() {
        for object in objects {
            told.insert(object.path.clone());
            held.add(key.clone(), object);
        }
    }
    for object in files.iter().filter(|object| !told.contains(&object.path)) {
        for key in keys(object)?.into_values() {
            held.add(key, object);
        }
    }
    for (_, objects) in held.partitions.values_mut() {
        objects.sort_unstable();
    }
    Ok(held)
}

type Known<'a> = Vec<(Key, Vec<&'a ObjectRef>)>;

/// The partitions of the ledger with their objects, when each version is made of one object, of two
/// that are neighbours in the listing, or of all; `None` when any is not.
fn from_ledger<'f>(
    facts: &Facts<'_>,
    files: &'f [ObjectRef],
) -> Result<Option<Known<'f>>, ScanError> {
    let Layout::Column {
        column,
        granularity,
    } = &facts.dataset.partitions.layout
    else {
        return Ok(None);
    };
    let cutter = KeyCutter::new(column, *granularity, &facts.dataset.partitions)?;
    let mut versions: BTreeMap<PartitionVersion, &[ObjectRef]> = BTreeMap::new();
    for size in [files.len(), 2, 1] {
        for some in files.windows(size.max(1)) {
            versions.insert(PartitionVersion::of_objects(some), some);
        }
    }
    let mut known = Vec::new();
    for entry in facts.ledger {
        if matches!(entry.state, LedgerState::Gone | LedgerState::Missing) {
            continue;
        }
        let name = entry.partition.key.as_str();
        let key = if name == super::value::NULL_KEY {
            cutter.null()
        } else {
            cutter.text(name)
        };
        match (key, versions.get(&entry.version)) {
            (Ok(key), Some(objects)) if key.partition == entry.partition => {
                known.push((key, objects.iter().collect()));
            }
            _ => return Ok(None),
        }
    }
    Ok(Some(known))
}
