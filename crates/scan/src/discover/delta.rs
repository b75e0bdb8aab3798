//! Discovery of a Delta table.
//!
//! In: the newest version of the table, by its log. Out: the plan of a run, made of its partitions
//! by the same rules as for files. A partition's version is made of its files, so that a commit
//! changes the partitions that it writes to, and no other. Nothing in the folder is a file of the
//! table but what the log names; what the log does not name any more is gone, and not mislaid.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::dataset::{Dataset, KeySpec, Layout, Sealing};
use assay_model::output::Discovery;
use assay_model::partition::{ObjectRef, Part, PartitionVersion};

use super::decide::{Facts, Seen, Told};
use super::keys::{Key, KeyMaker, zone};
use super::layout::{Assigned, kinds, parse_key};
use super::value::NULL_KEY;
use super::{batches, plan};
use crate::context::ScanContext;
use crate::delta::{Listed, list};
use crate::error::{Place, ScanError};
use crate::object::Objects;

/// A partition: its key, and its files with what their rows are.
type Group = (Key, Vec<(ObjectRef, String)>);

/// A table, told apart.
struct Apart {
    assigned: Assigned,
    groups: BTreeMap<(String, String), Group>,
}

/// Reads the log and plans the run.
///
/// # Errors
/// [`ScanError`] when the table cannot be read whole, or the layout is none that it has.
pub(super) fn discover(facts: &Facts<'_>, context: &ScanContext) -> Result<Discovery, ScanError> {
    let dataset = facts.dataset;
    let objects = Objects::open(&dataset.source, context)?;
    verify_layout(dataset, &objects)?;
    let listed = list(&objects, context)?;
    let Apart { assigned, groups } = apart(dataset, &listed)?;
    let mapping = listed.mapping_mark();
    let mut seen: Vec<Seen> = groups
        .into_values()
        .map(|(key, files)| of_group(key, files, &mapping))
        .collect();
    let is_empty = seen.is_empty() && assigned.refused.is_empty();
    let mut notices = Vec::new();
    if is_empty && assigned.keys.is_empty() {
        seen.push(without_rows(&listed, &assigned.maker, &mapping)?);
    } else if is_empty {
        notices.push("the table has no files: it has no partition at this version".to_owned());
    }
    let mut cut = |object: &ObjectRef, target: u64| {
        let reader = Listed::stored(object).and_then(|stored| objects.reader(&stored));
        let pieces = reader.map(|reader| crate::parquet::cut(&reader, target));
        pieces.unwrap_or_else(|error| {
            tracing::warn!(%error, path = object.path, "not cut into batches");
            vec![(Part::Whole, object.size)]
        })
    };
    let mut discovery = plan(facts, assigned, &seen, |judges, discovery| {
        batches::plan_apart(judges, dataset.scan.target_bytes, &mut cut, discovery);
    })?;
    if is_empty {
        // What stands for the table without files is none of its files.
        for evaluation in &mut discovery.evaluations {
            (evaluation.objects, evaluation.bytes) = (0, 0);
        }
        for sighting in &mut discovery.sightings {
            (sighting.objects, sighting.bytes) = (0, 0);
        }
    }
    discovery.notices.extend(notices);
    Ok(discovery)
}

/// The layout and the parts of the key, for a first definition.
pub(super) fn shape(
    dataset: &Dataset,
    context: &ScanContext,
) -> Result<(Layout, Vec<KeySpec>), ScanError> {
    let objects = Objects::open(&dataset.source, context)?;
    let keys = apart(dataset, &list(&objects, context)?)?.assigned.keys;
    let layout = match keys.is_empty() {
        true => Layout::Single,
        false => Layout::Auto,
    };
    Ok((layout, keys))
}

fn verify_layout(dataset: &Dataset, objects: &Objects) -> Result<(), ScanError> {
    let refuse = |what: &str, remedy: &str| {
        Err(ScanError::Definition {
            path: objects.root(),
            place: Place::file(),
            what: what.to_owned(),
            remedy: remedy.to_owned(),
        })
    };
    if let Sealing::Marker { .. } = dataset.partitions.sealing {
        return refuse(
            "a Delta table has no marker files that say when a partition is complete",
            "under assayPartitions, write `sealing: quiet` or `sealing: immediately`",
        );
    }
    match &dataset.partitions.layout {
        Layout::Auto | Layout::Hive | Layout::Single => Ok(()),
        Layout::Template(_) => refuse(
            "the partitions of a Delta table are told by its log, not by names of files",
            "under assayPartitions, leave `template` out, or write `layout: single`",
        ),
        Layout::Column { .. } => refuse(
            "a Delta table is told apart by its own partition columns only",
            "under assayPartitions, leave `column` out, or write `layout: single`",
        ),
    }
}

/// The files by the values of the partition columns.
fn apart(dataset: &Dataset, listed: &Listed) -> Result<Apart, ScanError> {
    let zone = zone(&dataset.partitions)?;
    let names = match dataset.partitions.layout {
        Layout::Single => Vec::new(),
        _ => listed.names(),
    };
    let placed = listed.placed(&zone)?;
    let raw: Vec<(&ObjectRef, Vec<String>)> = placed
        .iter()
        .map(|file| {
            let values = file.values.iter().take(names.len());
            let value = |value: &Option<String>| value.as_deref().unwrap_or(NULL_KEY).to_owned();
            (file.object, values.map(value).collect())
        })
        .collect();
    let kinds = kinds(dataset, &names, &raw);
    let spec = |(name, kind): (&String, &_)| KeySpec {
        name: name.clone(),
        kind: *kind,
    };
    let maker = KeyMaker::new(names.clone(), zone, dataset.partitions.cadence);
    let mut assigned = Assigned {
        groups: BTreeMap::new(),
        files: Vec::new(),
        markers: BTreeSet::new(),
        ignored: Vec::new(),
        refused: BTreeMap::new(),
        keys: names.iter().zip(&kinds).map(spec).collect(),
        maker: maker.with_kinds(&kinds),
    };
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    for ((object, values), file) in raw.iter().zip(&placed) {
        match parse_key(&assigned.maker, &names, &kinds, values) {
            Ok(key) => {
                let place = (key.partition.order.clone(), key.partition.key.0.clone());
                let (_, files) = groups.entry(place).or_insert_with(|| (key, Vec::new()));
                files.push(((*object).clone(), file.mark.clone()));
            }
            Err(what) => assigned.refuse(values, &what, object),
        }
    }
    Ok(Apart { assigned, groups })
}

fn of_group(key: Key, files: Vec<(ObjectRef, String)>, mapping: &str) -> Seen {
    let modified = files.iter().map(|(object, _)| object.modified).max();
    let mut text = String::from(mapping);
    // Files come in the order of their paths.
    files.iter().for_each(|(_, mark)| text.push_str(mark));
    Seen {
        key,
        objects: files.into_iter().map(|(object, _)| object).collect(),
        marked: false,
        told: Some(Told {
            version: PartitionVersion::of_mark(&text),
            modified,
        }),
    }
}

/// A table without partition columns and files: one partition without rows.
fn without_rows(listed: &Listed, maker: &KeyMaker, mapping: &str) -> Result<Seen, ScanError> {
    let key = maker
        .key(Vec::new())
        .map_err(|what| ScanError::Definition {
            path: "the table".to_owned(),
            place: Place::file(),
            what,
            remedy: "correct assayPartitions".to_owned(),
        })?;
    Ok(Seen {
        key,
        objects: vec![listed.nothing()],
        marked: false,
        told: Some(Told {
            version: PartitionVersion::of_mark(mapping),
            modified: None,
        }),
    })
}
