//! Partitions that the ledger knows and the listing does not show any more.
//!
//! In: the partitions seen and the ledger. Out: what the ledger learns, an evaluation for each
//! partition whose loss people must look at, and a sentence about what was cleared away. Pure.
//!
//! Old data is cleared away on purpose everywhere: partitions that lie before everything that is
//! left, fewer of them than are left (or with [`ENOUGH`] left), are a clean-up. It is told once, in
//! a sentence, and what was measured of them stays in the history. Every other loss is a result of
//! its own, of severity `warning`: a hole among what is left, the newest data, most of the data, a
//! partition whose key has no place in time. A run that looks at some partitions only leaves the
//! loss of the others to the next run that looks at all.

use std::collections::BTreeSet;

use assay_model::ledger::{LedgerEntry, LedgerState, Sighting};
use assay_model::partition::{Partition, PartitionVersion};
use assay_model::task::{EvaluateMode, EvaluateSpec};

use super::decide::{Facts, Seen};

/// Partitions that limits need to be steady: where so many are left, any number of older ones may
/// be cleared away.
pub const ENOUGH: usize = 35;

/// What follows from the partitions that are gone.
#[derive(Debug, Clone, Default)]
pub struct Gone {
    /// What the ledger learns.
    pub sightings: Vec<Sighting>,
    /// One for each partition whose loss is a result.
    pub evaluations: Vec<EvaluateSpec>,
    /// What was cleared away at the old end, if anything was.
    pub notice: Option<String>,
}

/// Finds the partitions that are gone. `refused` are keys of objects that are there and whose
/// partition is not told.
#[must_use]
pub fn gone(seen: &[Seen], refused: &BTreeSet<&str>, facts: &Facts<'_>) -> Gone {
    let present: BTreeSet<&str> = seen
        .iter()
        .map(|s| s.key.partition.key.as_str())
        .chain(refused.iter().copied())
        .collect();
    let dated = facts.ledger.iter().any(|e| e.partition.end.is_some());
    let absent: Vec<&LedgerEntry> = facts
        .ledger
        .iter()
        .filter(|entry| !present.contains(entry.partition.key.as_str()))
        .filter(|entry| is_news(entry) && facts.selects(&entry.partition, dated))
        .collect();
    let (renamed, absent): (Vec<_>, Vec<_>) = absent
        .into_iter()
        .partition(|entry| entry.version == PartitionVersion::refused());
    let oldest_left = seen.iter().filter_map(|s| age(&s.key.partition)).min();
    let (cleared, lost): (Vec<_>, Vec<_>) =
        absent
            .into_iter()
            .partition(|entry| match (age(&entry.partition), &oldest_left) {
                (Some(at), Some(oldest)) => at < *oldest && entry.state != LedgerState::Gone,
                _ => false,
            });
    let is_clean_up = cleared.len() < seen.len() || seen.len() >= ENOUGH;
    let (cleared, early) = if is_clean_up {
        (cleared, Vec::new())
    } else {
        (Vec::new(), cleared)
    };
    let mut lost: Vec<&LedgerEntry> = lost.into_iter().chain(early).collect();
    lost.sort_by(|a, b| a.partition.cmp(&b.partition));
    let quiet = renamed.iter().chain(&cleared);
    let mut found = Gone {
        sightings: quiet
            .map(|entry| sighting(entry, entry.version.clone()))
            .collect(),
        evaluations: lost.iter().map(|entry| evaluation(entry)).collect(),
        notice: notice(&cleared),
    };
    let told = lost.iter();
    found
        .sightings
        .extend(told.map(|entry| sighting(entry, entry.version.taken_away())));
    found
}

/// Whether the loss of a partition is still to be told.
fn is_news(entry: &LedgerEntry) -> bool {
    match entry.state {
        LedgerState::Missing => false,
        // Found gone by a run that did not get to tell it.
        LedgerState::Gone => {
            entry.version.is_gone() && entry.judged.as_ref() != Some(&entry.version)
        }
        _ => true,
    }
}

/// Where a partition lies in time, or among numbered ones; `None` for keys without such a place.
fn age(partition: &Partition) -> Option<(i128, i64)> {
    if let Some(start) = partition.start {
        return Some((start.as_nanosecond(), 0));
    }
    let number: i64 = partition.key.as_str().parse().ok()?;
    Some((i128::MIN, number))
}

fn sighting(entry: &LedgerEntry, version: PartitionVersion) -> Sighting {
    Sighting {
        partition: entry.partition.clone(),
        state: LedgerState::Gone,
        version,
        objects: 0,
        bytes: 0,
        last_modified: entry.last_modified,
    }
}

fn evaluation(entry: &LedgerEntry) -> EvaluateSpec {
    let objects = match entry.objects {
        0 => "its files are".to_owned(),
        1 => format!("its file ({} bytes) is", entry.bytes),
        n => format!("its {n} files ({} bytes) are", entry.bytes),
    };
    EvaluateSpec {
        partition: entry.partition.clone(),
        version: entry.version.taken_away(),
        mode: EvaluateMode::Gone,
        sealed: true,
        measured_by: Vec::new(),
        objects: 0,
        bytes: 0,
        last_modified: entry.last_modified,
        reason: Some(format!(
            "{objects} gone since the last look; limits are not learned from it until it is back"
        )),
        copies: Vec::new(),
    }
}

fn notice(cleared: &[&LedgerEntry]) -> Option<String> {
    let first = cleared.iter().min_by_key(|e| age(&e.partition))?;
    let last = cleared.iter().max_by_key(|e| age(&e.partition))?;
    let (first, last) = (&first.partition.key, &last.partition.key);
    let kept = "what was measured stays in the history";
    Some(if cleared.len() == 1 {
        format!("partition {first}, the oldest, was cleared away since the last look; {kept}")
    } else {
        format!(
            "{} partitions at the old end ({first} to {last}) were cleared away since the last \
             look; {kept}",
            cleared.len()
        )
    })
}
