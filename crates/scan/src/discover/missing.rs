//! Partitions that should have come and have not.
//!
//! In: the partitions seen, the ledger and the time. Out: one evaluation and one sighting for each
//! missing partition that is not yet reported. Pure.
//!
//! A partition is expected when the declared or learned rhythm of its series has it between the
//! first partition seen and the present. It is missing once its deadline has passed: the declared
//! one; else half again the longest delay of past live arrivals and an hour; else, while fewer than
//! five live arrivals are known, a day after the end of its data time. Holes between partitions are
//! always expected. After the newest partition a learned rhythm expects more only of a live feed:
//! one whose newest partition came within eight periods and two days of its data time. An archive
//! copied years later has ended; a declared cadence never ends.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::ledger::{LedgerEntry, LedgerState, Sighting};
use assay_model::partition::{Partition, PartitionVersion};
use assay_model::task::{EvaluateMode, EvaluateSpec};
use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};

use super::cadence::{Rhythm, runs};
use super::decide::{Facts, Seen};
use super::keys::KeyMaker;
use super::value::Unit;

/// Live arrivals that a deadline is learned from, at least.
const ARRIVALS: usize = 5;

/// The partitions that are missing and not yet reported.
#[must_use]
pub fn missing(seen: &[Seen], maker: &KeyMaker, facts: &Facts<'_>) -> Vec<Partition> {
    let series = by_series(seen);
    let allowed = allowed_delay(facts);
    let mut found: Vec<Partition> = series
        .values()
        .flat_map(|members| missing_of_series(members, maker, facts, allowed))
        .collect();
    found.sort_unstable();
    found
}

/// The partitions of each series whose data time is known.
type Members<'a> = Vec<(&'a Seen, DateTime, Unit)>;

fn by_series(seen: &[Seen]) -> BTreeMap<String, Members<'_>> {
    let mut series: BTreeMap<String, Members<'_>> = BTreeMap::new();
    for partition in seen {
        if let Some((start, unit)) = partition.key.span {
            let members = series
                .entry(partition.key.partition.series.clone())
                .or_default();
            members.push((partition, start, unit));
        }
    }
    series
}

/// A sentence when partitions would be missing after the newest one if it were not taken for the end
/// of an archive: a feed that stopped and was copied since looks like one.
#[must_use]
pub fn taken_for_archives(seen: &[Seen], maker: &KeyMaker, facts: &Facts<'_>) -> Option<String> {
    if facts.dataset.partitions.cadence.is_some() {
        return None;
    }
    let allowed = allowed_delay(facts);
    let ended = by_series(seen).into_values().filter_map(|members| {
        let line = Line::of(&members, facts)?;
        let newest = &line.newest.key;
        let here = maker.zone().to_datetime(facts.now);
        let end = line.end();
        let next = line.rhythm.expected(end, here).find(|at| *at > end)?;
        let next = maker.sibling(newest, next)?.partition;
        let due = is_due(&next, allowed, facts.now);
        (due && !line.is_open(facts.now)).then(|| newest.partition.key.clone())
    });
    let newest = ended.max()?;
    Some(format!(
        "nothing is reported as missing after {newest}: its files came so long after its data time \
         that they are taken for an archive that has ended; declare `cadence` under assayPartitions \
         to have later partitions reported"
    ))
}

/// A sentence when there are holes between partitions and no rhythm is known to judge them by: none
/// is declared, and too little has come to learn one. Partitions that come now and then (nowhere
/// half of the possible ones in a run) have no holes.
#[must_use]
pub fn unjudged_gaps(seen: &[Seen], facts: &Facts<'_>) -> Option<String> {
    if facts.dataset.partitions.cadence.is_some() {
        return None;
    }
    let mut series: BTreeMap<String, (Unit, BTreeSet<DateTime>)> = BTreeMap::new();
    for partition in seen {
        if let Some((start, unit)) = partition.key.span {
            let of = series.entry(partition.key.partition.series.clone());
            of.or_insert_with(|| (unit, BTreeSet::new()))
                .1
                .insert(start);
        }
    }
    series.values().find_map(|(unit, starts)| {
        let starts: Vec<DateTime> = starts.iter().copied().collect();
        let (first, last) = (*starts.first()?, *starts.last()?);
        let could = |first, last| Rhythm::every(*unit).expected(first, last).count();
        let possible = could(first, last);
        let dense = |run: &[DateTime]| match run {
            [first, .., last] => run.len() * 2 >= could(*first, *last),
            _ => false,
        };
        let holes = starts.len() < possible && runs(&starts).into_iter().any(dense);
        (holes && Rhythm::learned(&starts, *unit).is_none()).then(|| {
            format!(
                "gaps between partitions are not judged: {} of {possible} from {} to {} are there, \
                 too few or too irregular to learn how often they come; declare `cadence` under \
                 assayPartitions to have gaps reported as missing",
                starts.len(),
                first.date(),
                last.date()
            )
        })
    })
}

/// The partitions of a series as a line in time.
struct Line<'a> {
    starts: Vec<DateTime>,
    rhythm: Rhythm,
    is_declared: bool,
    newest: &'a Seen,
}

impl<'a> Line<'a> {
    /// `None` where no rhythm is known.
    fn of(members: &[(&'a Seen, DateTime, Unit)], facts: &Facts<'_>) -> Option<Self> {
        let (like, _, unit) = members[0];
        let mut starts: Vec<DateTime> = members.iter().map(|(_, start, _)| *start).collect();
        starts.sort_unstable();
        starts.dedup();
        let declared = facts
            .dataset
            .partitions
            .cadence
            .map(|cadence| Rhythm::declared(cadence, unit));
        let rhythm = declared.or_else(|| Rhythm::learned(&starts, unit))?;
        let newest = members.iter().max_by_key(|(_, start, _)| *start);
        Some(Self {
            starts,
            rhythm,
            is_declared: declared.is_some(),
            newest: newest.map_or(like, |(seen, ..)| *seen),
        })
    }

    /// The begin of the newest.
    fn end(&self) -> DateTime {
        self.starts[self.starts.len() - 1]
    }

    /// Whether more are expected after the newest.
    fn is_open(&self, now: Timestamp) -> bool {
        self.is_declared || is_live(self.newest, self.rhythm, now)
    }
}

/// Whether the deadline of a partition has passed.
fn is_due(partition: &Partition, allowed: SignedDuration, now: Timestamp) -> bool {
    let deadline = partition.end.and_then(|end| end.checked_add(allowed).ok());
    deadline.is_some_and(|at| at <= now)
}

fn missing_of_series(
    members: &[(&Seen, DateTime, Unit)],
    maker: &KeyMaker,
    facts: &Facts<'_>,
    allowed: SignedDuration,
) -> Vec<Partition> {
    let Some(line) = Line::of(members, facts) else {
        return Vec::new();
    };
    let like = members[0].0;
    let here = maker.zone().to_datetime(facts.now);
    let last = if line.is_open(facts.now) {
        here
    } else {
        line.end()
    };
    let starts = &line.starts;
    let present: BTreeSet<&DateTime> = starts.iter().collect();
    let ledger = facts.by_key();
    line.rhythm
        .expected(starts[0], last)
        .filter(|start| !present.contains(start))
        .filter_map(|start| maker.sibling(&like.key, start))
        .map(|key| key.partition)
        .filter(|partition| is_due(partition, allowed, facts.now))
        .filter(|partition| {
            is_news(
                ledger.get(partition.key.as_str()).copied(),
                partition,
                facts,
            )
        })
        .collect()
}

/// A partition that is not yet reported: unknown, missing without a verdict, or gone before anyone
/// judged it. One that was judged and then taken away is gone, not missing.
fn is_news(entry: Option<&LedgerEntry>, partition: &Partition, facts: &Facts<'_>) -> bool {
    let selected = facts.selects(partition, true);
    let again = facts.selection.rescan;
    selected
        && entry.is_none_or(|e| match e.state {
            LedgerState::Missing => again || (e.judged.is_none() && e.verdict.is_none()),
            _ => e.judged.is_none(),
        })
}

fn is_live(newest: &Seen, rhythm: Rhythm, now: Timestamp) -> bool {
    let came = newest.last_modified().unwrap_or(now).min(now);
    let Some(end) = newest.key.partition.end else {
        return false;
    };
    came.duration_since(end).as_secs() <= 8 * rhythm.period_s() + 2 * 86_400
}

/// How long after the end of its data time a partition may come.
fn allowed_delay(facts: &Facts<'_>) -> SignedDuration {
    if let Some(declared) = facts.dataset.partitions.deadline_s {
        return SignedDuration::from_secs(i64::try_from(declared).unwrap_or(i64::MAX));
    }
    // Partitions first seen together came with a backfill: they tell nothing of arrival times.
    let mut together: BTreeMap<Timestamp, usize> = BTreeMap::new();
    for entry in facts.ledger {
        *together.entry(entry.first_seen).or_default() += 1;
    }
    let live = |e: &&LedgerEntry| together.get(&e.first_seen).is_some_and(|n| *n <= 2);
    let arrived = |e: &&LedgerEntry| e.state != LedgerState::Missing;
    let mut delays: Vec<(Timestamp, i64)> = facts
        .ledger
        .iter()
        .filter(live)
        .filter(arrived)
        .filter_map(|e| {
            let end = e.partition.end?;
            Some((end, e.first_seen.duration_since(end).as_secs().max(0)))
        })
        .collect();
    delays.sort_unstable();
    let recent = &delays[delays.len().saturating_sub(30)..];
    match recent.iter().map(|(_, delay)| *delay).max() {
        Some(longest) if recent.len() >= ARRIVALS => {
            SignedDuration::from_secs(longest + longest / 2 + 3600)
        }
        _ => SignedDuration::from_hours(24),
    }
}

/// What the ledger learns of a missing partition.
#[must_use]
pub fn sighting(partition: &Partition) -> Sighting {
    Sighting {
        partition: partition.clone(),
        state: LedgerState::Missing,
        version: PartitionVersion::missing(),
        objects: 0,
        bytes: 0,
        last_modified: None,
    }
}

/// The evaluation of a missing partition.
#[must_use]
pub fn evaluation(partition: Partition) -> EvaluateSpec {
    EvaluateSpec {
        partition,
        version: PartitionVersion::missing(),
        mode: EvaluateMode::Missing,
        sealed: true,
        measured_by: Vec::new(),
        objects: 0,
        bytes: 0,
        last_modified: None,
        reason: None,
        copies: Vec::new(),
    }
}
