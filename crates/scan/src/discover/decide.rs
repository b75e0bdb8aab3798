//! What a listing means for the ledger: what is new, late, rewritten or unchanged, what is complete
//! enough to judge, and what has to be measured.
//!
//! In: the partitions seen, the ledger, the selection and the time. Out: sightings and the
//! partitions to judge. Pure. A partition whose newest version was not judged is planned again, so
//! that a run that failed is made good by the next.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::beside::Beside;
use assay_model::dataset::{Dataset, Sealing};
use assay_model::ledger::{LedgerEntry, LedgerState, Sighting};
use assay_model::partition::{ObjectRef, Partition, PartitionVersion};
use assay_model::run::Selection;
use assay_model::task::{EvaluateMode, EvaluateSpec};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::keys::Key;

/// A partition as the listing shows it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its key.
    pub key: Key,
    /// The objects that hold rows of it.
    pub objects: Vec<ObjectRef>,
    /// Whether a marker lies beside each of its objects.
    pub marked: bool,
    /// What the source itself tells of the whole partition; absent: what its objects tell.
    pub told: Option<Told>,
}

/// What a source tells of a partition as a whole, where the ranges it is read in are not its own.
#[derive(Debug, Clone)]
pub struct Told {
    /// The version of its content, however it is cut into ranges.
    pub version: PartitionVersion,
    /// When it last changed, where the source knows.
    pub modified: Option<Timestamp>,
}

impl Seen {
    /// The version of its content.
    #[must_use]
    pub fn version(&self) -> PartitionVersion {
        let of_objects = || PartitionVersion::of_objects(&self.objects);
        self.told
            .as_ref()
            .map_or_else(of_objects, |told| told.version.clone())
    }

    /// When it last changed, as far as it is known.
    #[must_use]
    pub fn last_modified(&self) -> Option<Timestamp> {
        match &self.told {
            Some(told) => told.modified,
            None => self.objects.iter().map(|object| object.modified).max(),
        }
    }
}

/// A partition to be measured and judged.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The partition.
    pub partition: Partition,
    /// Its version.
    pub version: PartitionVersion,
    /// Whether it is complete.
    pub sealed: bool,
    /// Its objects.
    pub objects: Vec<ObjectRef>,
    /// When it last changed, as far as it is known.
    pub last_modified: Option<Timestamp>,
}

impl Judge {
    /// The bytes of its objects, as stored.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.iter().map(|object| object.size).sum()
    }
}

/// What follows from a listing.
#[derive(Debug, Clone, Default)]
pub struct Decided {
    /// What the ledger learns.
    pub sightings: Vec<Sighting>,
    /// Partitions that are as they were.
    pub unchanged: u64,
    /// What is to be measured and judged.
    pub judges: Vec<Judge>,
    /// What is judged again by the metrics that are stored of it.
    pub again: Vec<EvaluateSpec>,
}

/// Unchanged partitions whose verdict holds no more, by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redo {
    /// To be judged again by the metrics that are stored of them.
    pub judge: BTreeSet<String>,
    /// To be measured and judged again.
    pub measure: BTreeSet<String>,
    /// To be judged again as soon as a later partition of the series is there: their age is bad,
    /// and that of the later one is what counts then.
    pub when_followed: BTreeSet<String>,
    /// Whether the definition has changed since.
    pub changed: bool,
    /// Whether people have answered back since.
    #[serde(default)]
    pub answered: bool,
    /// What verdicts rest on beside the partition: to be measured again when it is there in another
    /// version.
    #[serde(default)]
    pub beside: BTreeMap<String, BTreeSet<Beside>>,
}

/// What a decision rests on besides the listing.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The definition.
    pub dataset: &'a Dataset,
    /// The ledger of the dataset.
    pub ledger: &'a [LedgerEntry],
    /// Which partitions the run looks at.
    pub selection: &'a Selection,
    /// When the listing was made.
    pub now: Timestamp,
    /// Verdicts that hold no more.
    pub redo: &'a Redo,
}

impl Facts<'_> {
    /// The ledger by key.
    #[must_use]
    pub fn by_key(&self) -> BTreeMap<&str, &LedgerEntry> {
        self.ledger
            .iter()
            .map(|entry| (entry.partition.key.as_str(), entry))
            .collect()
    }

    /// Whether the run looks at `partition`. A window of days has no meaning for a dataset without
    /// dates (`dated` is false): all of its partitions are in it.
    #[must_use]
    pub fn selects(&self, partition: &Partition, dated: bool) -> bool {
        let keys = &self.selection.keys;
        let named = keys.is_empty() || keys.iter().any(|key| key == partition.key.as_str());
        let Some(days) = self.selection.last_days.filter(|_| dated) else {
            return named;
        };
        let window = SignedDuration::from_hours(24 * i64::from(days));
        let since = self.now.checked_sub(window).unwrap_or(Timestamp::MIN);
        named && partition.end.is_some_and(|end| end > since)
    }
}

/// Compares what is seen with the ledger.
#[must_use]
pub fn decide(seen: &[Seen], facts: &Facts<'_>) -> Decided {
    let ledger = facts.by_key();
    let dated = seen.iter().any(|s| s.key.partition.end.is_some());
    let newest = newest_of(seen, facts.now);
    let mut decided = Decided::default();
    for partition in seen {
        let entry = ledger.get(partition.key.partition.key.as_str()).copied();
        let followed = newest
            .get(partition.key.partition.series.as_str())
            .is_some_and(|newest| **newest > partition.key.partition.order);
        decide_one(partition, entry, dated, followed, facts, &mut decided);
    }
    decided
}

/// The order of the newest partition of each series; one of the future is not there yet.
fn newest_of(seen: &[Seen], now: Timestamp) -> BTreeMap<&str, &String> {
    let mut newest: BTreeMap<&str, &String> = BTreeMap::new();
    for partition in seen.iter().map(|s| &s.key.partition) {
        if partition.start.is_none_or(|start| start <= now) {
            let known = newest.entry(&partition.series).or_insert(&partition.order);
            *known = (*known).max(&partition.order);
        }
    }
    newest
}

fn decide_one(
    seen: &Seen,
    entry: Option<&LedgerEntry>,
    dated: bool,
    followed: bool,
    facts: &Facts<'_>,
    decided: &mut Decided,
) {
    let partition = &seen.key.partition;
    let version = seen.version();
    let last_modified = seen.last_modified();
    let sealed = is_sealed(seen, &version, last_modified, entry, facts);
    let same = entry.is_some_and(|e| e.version == version);
    let judged = entry.is_some_and(|e| e.judged.as_ref() == Some(&version));
    let state = match entry {
        // Its verdict stands; a changed quiet time does not take it back.
        Some(e) if same && judged && e.state == LedgerState::Scanned => LedgerState::Scanned,
        Some(e) if e.judged.as_ref().is_some_and(PartitionVersion::is_content) && !judged => {
            LedgerState::Rewritten
        }
        _ if sealed => LedgerState::Sealed,
        _ => LedgerState::Discovered,
    };
    let settled = match state {
        LedgerState::Scanned => true,
        // A provisional verdict on the same bytes is as good as a new one.
        LedgerState::Discovered => {
            same && judged && entry.is_some_and(|e| e.state != LedgerState::Gone)
        }
        _ => false,
    };
    let selected = facts.selects(partition, dated);
    let sighting = Sighting {
        partition: partition.clone(),
        state,
        version: version.clone(),
        objects: seen.objects.len() as u64,
        bytes: seen.objects.iter().map(|object| object.size).sum(),
        last_modified,
    };
    let known = same && entry.is_some_and(|e| e.state == state);
    let key = partition.key.as_str();
    let wanted = facts.selection.rescan || facts.redo.measure.contains(key);
    if (settled && !(wanted && selected)) || (known && !selected) {
        let again_now =
            facts.redo.judge.contains(key) || (followed && facts.redo.when_followed.contains(key));
        if selected && again_now {
            decided.again.push(again(&sighting, state));
        } else {
            decided.unchanged += 1;
        }
        // The same bytes may have another place: the ledger does not know the series of partitions
        // that were seen before there were series, and a definition may name other keys.
        if entry.is_some_and(|e| e.partition != *partition) {
            decided.sightings.push(sighting);
        }
        return;
    }
    decided.sightings.push(sighting);
    if selected {
        let objects = seen.objects.clone();
        decided.judges.push(Judge {
            partition: partition.clone(),
            version,
            sealed,
            objects,
            last_modified,
        });
    }
}

fn again(seen: &Sighting, state: LedgerState) -> EvaluateSpec {
    EvaluateSpec {
        partition: seen.partition.clone(),
        version: seen.version.clone(),
        mode: EvaluateMode::Again,
        sealed: state == LedgerState::Scanned,
        measured_by: Vec::new(),
        objects: seen.objects,
        bytes: seen.bytes,
        last_modified: seen.last_modified,
        reason: None,
        copies: Vec::new(),
    }
}

fn is_sealed(
    seen: &Seen,
    version: &PartitionVersion,
    last_modified: Option<Timestamp>,
    entry: Option<&LedgerEntry>,
    facts: &Facts<'_>,
) -> bool {
    let quiet_s = match &facts.dataset.partitions.sealing {
        Sealing::Immediately => return true,
        Sealing::Marker { .. } => return seen.marked,
        Sealing::Quiet { quiet_s } => *quiet_s,
    };
    let quiet = SignedDuration::from_secs(i64::try_from(quiet_s).unwrap_or(i64::MAX));
    let quiet_since = |at: Option<Timestamp>| match at {
        // A quiet time beyond the calendar never ends.
        Some(at) => at.checked_add(quiet).is_ok_and(|until| until <= facts.now),
        None => true,
    };
    let same_for_so_long =
        || entry.is_some_and(|e| e.version == *version && quiet_since(Some(e.first_seen)));
    if let Some(end) = seen.key.partition.end {
        // Without a quiet time the end of the data time alone decides: a copy that was made a
        // moment ago, or a clock that runs ahead, does not keep an old partition open.
        // Where the source does not tell its age, an earlier listing has to.
        let is_quiet = match last_modified {
            Some(_) => quiet_since(last_modified),
            None => same_for_so_long(),
        };
        return end <= facts.now && (quiet_s == 0 || is_quiet);
    }
    // Undated: an earlier listing must have shown the same, a quiet time ago. With no quiet time
    // one listing is enough.
    quiet_s == 0 || same_for_so_long() && quiet_since(last_modified)
}
