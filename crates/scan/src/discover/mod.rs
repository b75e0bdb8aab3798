//! Discovery: which partitions a dataset has, which of them must be measured, and in what batches.
//!
//! In: the definition, a listing of its location, the ledger and the time. Out: a [`Discovery`].
//! The steps are pure but for the listing and two kinds of look into the objects: where a large
//! object can be cut, and which keys an object holds whose partitions are told by a column.
//!
//! It must never plan on half a listing: a folder that cannot be read ends the discovery, because
//! partitions would seem gone that are not. A location without any data object is an error, too.
//! What it passes over, and what was there and is gone, it tells ([`gone`], [`refused`]).

pub mod auto;
pub mod batches;
pub mod beside;
pub mod cadence;
pub mod decide;
mod delta;
pub mod gone;
pub mod keys;
pub mod layout;
pub mod missing;
pub mod pattern;
pub mod probe;
pub mod refused;
pub mod shared;
mod table;
pub mod value;

use std::collections::BTreeSet;

use assay_model::dataset::{Dataset, FormatKind, KeySpec, Layout, Location};
use assay_model::ledger::{LedgerEntry, LedgerState};
use assay_model::output::Discovery;
use assay_model::partition::{ObjectRef, Partition};
use assay_model::run::Selection;
use jiff::Timestamp;

use self::decide::{Decided, Facts, Redo, Seen, decide};
use self::layout::{Assigned, Where, assign};
use self::missing::missing;
use crate::context::ScanContext;
use crate::delta::log::is_of_log;
use crate::error::{Place, ScanError};
use crate::object::Objects;
use crate::storage;

/// Lists the dataset's location, compares it with the ledger and plans the run.
///
/// # Errors
/// [`ScanError`] when the location cannot be listed whole, holds no data, has no key that parses,
/// or does not have a partition that was asked for by name.
pub fn discover(
    dataset: &Dataset,
    ledger: &[LedgerEntry],
    selection: &Selection,
    now: Timestamp,
    context: &ScanContext,
) -> Result<Discovery, ScanError> {
    discover_again(dataset, ledger, selection, now, context, &Redo::default())
}

/// The same; unchanged partitions whose verdict holds no more are judged again, too.
///
/// # Errors
/// As [`discover`].
pub fn discover_again(
    dataset: &Dataset,
    ledger: &[LedgerEntry],
    selection: &Selection,
    now: Timestamp,
    context: &ScanContext,
    redo: &Redo,
) -> Result<Discovery, ScanError> {
    let (moved, notices) = beside::moved(dataset, redo, context);
    let mut redo = redo.clone();
    redo.measure.extend(moved);
    let facts = Facts {
        dataset,
        ledger,
        selection,
        now,
        redo: &redo,
    };
    let mut discovery = discovered(&facts, context)?;
    discovery.notices.extend(notices);
    if storage::is_ingested(dataset) {
        if selection.rescan {
            storage::read_again(&mut discovery, now);
        }
        storage::name_copies(dataset, &mut discovery);
    }
    Ok(discovery)
}

fn discovered(facts: &Facts<'_>, context: &ScanContext) -> Result<Discovery, ScanError> {
    let (dataset, ledger) = (facts.dataset, facts.ledger);
    if matches!(dataset.source.location, Location::Database(_)) {
        return table::discover(facts, context);
    }
    if dataset.source.format.kind == FormatKind::Delta {
        return delta::discover(facts, context);
    }
    let objects = Objects::open(&dataset.source, context)?;
    let (listing, refused) = list(&objects, context)?;
    let log = listing.iter().find(|object| is_of_log(&object.path));
    let log = log.map(|object| {
        format!(
            "{} is of the log of a Delta table, which says which of these files count: files that \
             the table has no more are measured too; write `format: delta`",
            object.path
        )
    });
    let from = Where {
        pattern: objects.pattern(),
        single: objects.single().is_some(),
    };
    let mut assigned = assign(dataset, from, &listing)?;
    assigned.ignored.extend(refused);
    let root = objects.root();
    if assigned.groups.is_empty() && assigned.files.is_empty() {
        return Err(nothing(dataset, &root, ledger, &assigned));
    }
    let mut cut =
        |object: &ObjectRef, target: u64| probe::cut(dataset, &objects, object, target, context);
    if matches!(dataset.partitions.layout, Layout::Column { .. }) {
        let mut keys = |object: &ObjectRef| probe::keys(dataset, &objects, object, context);
        let held = shared::hold(facts, &assigned.files, &mut keys)?;
        let seen = held.seen(&assigned);
        let mut discovery = plan(facts, assigned, &seen, |judges, discovery| {
            let target = dataset.scan.target_bytes;
            batches::plan_shared(judges, &held.by_object(), target, &mut cut, discovery);
        })?;
        discovery.notices.extend(log);
        return Ok(discovery);
    }
    let seen = apart(&assigned);
    let mut discovery = plan(facts, assigned, &seen, |judges, discovery| {
        batches::plan_apart(judges, dataset.scan.target_bytes, &mut cut, discovery);
    })?;
    // One look at the newest of what is read anyway.
    let newest = discovery.measures.last().and_then(|m| m.slices.last());
    let hint = newest.and_then(|s| probe::delimiter_hint(dataset, &objects, &s.object));
    discovery.notices.extend(log.into_iter().chain(hint));
    Ok(discovery)
}

/// The layout and the parts of the key that the listing shows, for a first definition.
///
/// # Errors
/// As [`discover`].
pub fn shape(
    dataset: &Dataset,
    context: &ScanContext,
) -> Result<(Layout, Vec<KeySpec>), ScanError> {
    if dataset.source.format.kind == FormatKind::Delta {
        return delta::shape(dataset, context);
    }
    let objects = Objects::open(&dataset.source, context)?;
    let (listing, _) = list(&objects, context)?;
    let from = Where {
        pattern: objects.pattern(),
        single: objects.single().is_some(),
    };
    let assigned = assign(dataset, from, &listing)?;
    let layout = match &dataset.partitions.layout {
        Layout::Auto if assigned.keys.is_empty() => Layout::Single,
        other => other.clone(),
    };
    Ok((layout, assigned.keys))
}

/// The pure part: from the partitions seen to the plan; `batch` adds the measurements.
fn plan(
    facts: &Facts<'_>,
    assigned: Assigned,
    seen: &[Seen],
    batch: impl FnOnce(Vec<decide::Judge>, &mut Discovery),
) -> Result<Discovery, ScanError> {
    let absent = missing(seen, &assigned.maker, facts);
    let refused: BTreeSet<&str> = assigned.refused.keys().map(String::as_str).collect();
    check_selected(facts, seen, &refused, &absent)?;
    let gone = gone::gone(seen, &refused, facts);
    let Decided {
        sightings,
        unchanged,
        judges,
        again,
    } = decide(seen, facts);
    let absent_now: Vec<&str> = absent.iter().map(|p| p.key.as_str()).collect();
    // A partition that is gone before it was judged, and expected, is missing.
    let expected = |partition: &Partition| absent_now.contains(&partition.key.as_str());
    let gaps = missing::unjudged_gaps(seen, facts);
    let ended = missing::taken_for_archives(seen, &assigned.maker, facts);
    let changed = changed(facts, &judges, again.len());
    let mut discovery = Discovery {
        sightings: sightings
            .into_iter()
            .chain(gone.sightings)
            .filter(|s| !expected(&s.partition))
            .collect(),
        unchanged,
        ignored: assigned.ignored,
        notices: [gone.notice, gaps, ended, changed]
            .into_iter()
            .flatten()
            .collect(),
        ..Discovery::default()
    };
    let asked = match facts.dataset.asking().next() {
        Some(_) => judges.clone(),
        None => Vec::new(),
    };
    batch(judges, &mut discovery);
    batches::plan_queries(&asked, &mut discovery);
    discovery.evaluations.extend(again);
    let lost = gone.evaluations.into_iter();
    discovery
        .evaluations
        .extend(lost.filter(|e| !expected(&e.partition)));
    let keys = &facts.selection.keys;
    for refused in assigned.refused.values() {
        if keys.is_empty() || keys.contains(&refused.partition.key.0) {
            discovery.sightings.push(refused.sighting());
            discovery.evaluations.push(refused.evaluation());
        }
    }
    discovery
        .sightings
        .extend(absent.iter().map(missing::sighting));
    discovery
        .evaluations
        .extend(absent.into_iter().map(missing::evaluation));
    discovery
        .sightings
        .sort_by(|a, b| a.partition.cmp(&b.partition));
    discovery
        .evaluations
        .sort_by(|a, b| a.partition.cmp(&b.partition));
    Ok(discovery)
}

/// What a changed definition, or an answer to the judge, means for partitions that are as they were.
fn changed(facts: &Facts<'_>, judges: &[decide::Judge], again: usize) -> Option<String> {
    let measure = &facts.redo.measure;
    let is_measured = |judge: &&decide::Judge| measure.contains(judge.partition.key.as_str());
    let measured = judges.iter().filter(is_measured).count();
    let why = match (facts.redo.changed, facts.redo.answered) {
        (true, _) => "the definition has changed: unchanged partitions are judged again by it",
        (false, true) => {
            "limits are learned from other partitions since somebody answered back: the newest \
             partitions are judged again"
        }
        (false, false) => return None,
    };
    (again + measured > 0).then(|| {
        format!("{why}, {again} by their stored metrics and {measured} by measuring them again")
    })
}

/// The whole listing, and the objects that may not be read, with the reason.
fn list(
    objects: &Objects,
    context: &ScanContext,
) -> Result<(Vec<ObjectRef>, Vec<String>), ScanError> {
    let (mut listing, mut refused) = (Vec::new(), Vec::new());
    for item in objects.walk("") {
        context.check(&objects.root())?;
        match item {
            Ok(object) => listing.push(object),
            Err(ScanError::Refused { path, why }) => refused.push(format!("{path}: {why}")),
            Err(error) => return Err(error),
        }
    }
    listing.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok((listing, refused))
}

fn apart(assigned: &Assigned) -> Vec<Seen> {
    let seen = |group: &layout::Group| Seen {
        key: group.key.clone(),
        marked: is_marked(assigned, &group.objects),
        objects: group.objects.clone(),
        told: None,
    };
    assigned.groups.values().map(seen).collect()
}

/// Whether a marker lies in the folder of each object or in a folder above it, below the root.
fn is_marked(assigned: &Assigned, objects: &[ObjectRef]) -> bool {
    objects.iter().all(|object| {
        let mut folder = object
            .path
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        loop {
            if assigned.markers.contains(folder) {
                return true;
            }
            match folder.rsplit_once('/') {
                Some((above, _)) => folder = above,
                None => return false,
            }
        }
    })
}

fn nothing(
    dataset: &Dataset,
    root: &str,
    ledger: &[LedgerEntry],
    assigned: &Assigned,
) -> ScanError {
    let known = ledger
        .iter()
        .filter(|e| !matches!(e.state, LedgerState::Gone | LedgerState::Missing));
    let known = match known.count() {
        0 => String::new(),
        count => format!("; the ledger knows {count} partitions, which are not taken for gone"),
    };
    if let Some(refused) = assigned.refused.values().next() {
        return ScanError::Definition {
            path: root.to_owned(),
            place: Place::file(),
            what: format!(
                "no file's name tells its partition{known}: {}",
                refused.what
            ),
            remedy: "correct the names or the definition".to_owned(),
        };
    }
    let left = match assigned.ignored.first() {
        Some(first) => format!("; passed over {}, first {first}", assigned.ignored.len()),
        None => String::new(),
    };
    ScanError::Definition {
        path: root.to_owned(),
        place: Place::file(),
        what: format!(
            "no {} file was found{known}{left}",
            dataset.source.format.kind
        ),
        remedy: "see that the storage is mounted, or correct the path under `servers`".to_owned(),
    }
}

/// A partition that was asked for by name must be there, or known, or missing.
fn check_selected(
    facts: &Facts<'_>,
    seen: &[Seen],
    refused: &BTreeSet<&str>,
    absent: &[Partition],
) -> Result<(), ScanError> {
    let ledger = facts.by_key();
    let known = |key: &String| {
        seen.iter().any(|s| s.key.partition.key.as_str() == key)
            || refused.contains(key.as_str())
            || absent.iter().any(|p| p.key.as_str() == key)
            || ledger.contains_key(key.as_str())
    };
    match facts.selection.keys.iter().find(|key| !known(key)) {
        None => Ok(()),
        Some(key) => {
            let example = seen.last().map_or("all", |s| s.key.partition.key.as_str());
            Err(ScanError::Definition {
                path: facts.dataset.id.as_str().to_owned(),
                place: Place::file(),
                what: format!("there is no partition {key:?}"),
                remedy: format!("name one as it is listed, such as {example:?}"),
            })
        }
    }
}
