//! What is stored of the past of a dataset: values, verdicts, and the checks that were broken.
//!
//! Comes in: rows of a store. Goes out: the vocabulary that the judge's past is made of. Nothing
//! here reads anything.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::ids::{CheckId, RunId};
use crate::ledger::LedgerEntry;
use crate::metric::{MetricKey, MetricStatus, MetricValue};
use crate::outcome::{Outcome, OutcomeCounts};
use crate::partition::{Partition, PartitionKey, PartitionVersion};

/// One stored value of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPoint {
    /// The place of its partition among those that were read, from 0: points of several metrics
    /// with the same place are of the same partition.
    pub at: usize,
    /// The partition, shared by the points of all metrics.
    pub partition: Arc<Partition>,
    /// The version that it was measured in.
    pub version: Arc<PartitionVersion>,
    /// Whether it could be computed.
    pub status: MetricStatus,
    /// The value.
    pub value: MetricValue,
    /// For an estimate, its error relative to the value.
    pub error_bound: Option<f64>,
}

/// The values of one metric over partitions, in the order of the partitions.
///
/// A partition that has no values is not in it: [`with_gaps`] puts it there.
pub type MetricHistory = Vec<(MetricKey, Vec<HistoryPoint>)>;

/// The verdict on one partition version.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The run that issued it.
    pub run: RunId,
    /// The digest of the definition that it was issued by.
    pub definition: String,
    /// The partition.
    pub partition: Partition,
    /// The version.
    pub version: PartitionVersion,
    /// Which judged version of the partition, from 1.
    pub revision: u32,
    /// Whether the partition was complete.
    pub sealed: bool,
    /// The counts.
    pub counts: OutcomeCounts,
    /// Whether a later version replaced it.
    pub superseded: bool,
    /// When it was issued.
    pub judged_at: Timestamp,
}

/// A check that was broken in a partition ([`CheckResult::is_breach`](crate::outcome::CheckResult::is_breach)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// The partition.
    pub partition: PartitionKey,
    /// The check.
    pub check: CheckId,
    /// What it measures.
    pub metric: MetricKey,
}

/// What was judged of one series: verdicts and values of the same partitions, as of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judged {
    /// The verdicts in force, in the order of the partitions.
    pub verdicts: Vec<Verdict>,
    /// The values of these partitions; [`HistoryPoint::at`] is the place of the partition among
    /// `verdicts`.
    pub history: MetricHistory,
}

/// What a ledger has of a series behind a place, without what claims to be of the future.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Later {
    /// A partition is known there.
    pub any: bool,
    /// A partition with data is known there: none that is missing, gone or refused.
    pub data: bool,
}

/// A place of a metric over partitions: its value, or why the partition has none at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The value; of a gap, NULL with the status `error`.
    pub point: HistoryPoint,
    /// [`LedgerEntry::gap`] of a partition that has no values.
    pub gap: Option<Outcome>,
}

impl Place {
    /// The word of its status: `missing` where the partition has not come, else that of the value.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self.gap {
            Some(Outcome::Missing) => Outcome::Missing.as_str(),
            _ => self.point.status.as_str(),
        }
    }
}

/// The last places of a metric: its values, and among them, from the first value on, the partitions
/// that have none. At most `last` of each.
#[must_use]
pub fn with_gaps(points: Vec<HistoryPoint>, ledger: &[LedgerEntry], last: usize) -> Vec<Place> {
    let Some(first) = points.first().map(|point| Arc::clone(&point.partition)) else {
        return Vec::new();
    };
    let gaps: Vec<Place> = {
        let valued: HashSet<&PartitionKey> = points.iter().map(|p| &p.partition.key).collect();
        let within = ledger.iter().filter(|e| e.partition.order >= first.order);
        let gaps = within.filter_map(|entry| Some((entry, entry.gap()?)));
        gaps.filter(|(entry, _)| !valued.contains(&entry.partition.key))
            .map(|(entry, gap)| gap_of(entry, gap))
            .collect()
    };
    let values = points.into_iter().map(|point| Place { point, gap: None });
    let mut places: Vec<Place> = values.chain(gaps).collect();
    places.sort_by(|a, b| {
        let (a, b) = (&a.point.partition, &b.point.partition);
        (&a.order, &a.key).cmp(&(&b.order, &b.key))
    });
    places.split_off(places.len().saturating_sub(last))
}

/// The place of a partition without values.
fn gap_of(entry: &LedgerEntry, gap: Outcome) -> Place {
    Place {
        point: HistoryPoint {
            at: 0,
            partition: Arc::new(entry.partition.clone()),
            version: Arc::new(entry.version.clone()),
            status: MetricStatus::Error,
            value: MetricValue::Null,
            error_bound: None,
        },
        gap: Some(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerState;

    fn partition(day: &str) -> Partition {
        Partition {
            key: PartitionKey(day.to_owned()),
            order: day.to_owned(),
            ..Partition::all()
        }
    }

    fn entry(day: &str, state: LedgerState, verdict: Option<(u64, u64)>) -> LedgerEntry {
        LedgerEntry {
            partition: partition(day),
            state,
            version: PartitionVersion("v".to_owned()),
            judged: None,
            revision: 1,
            objects: 1,
            bytes: 1,
            first_seen: Timestamp::UNIX_EPOCH,
            last_modified: None,
            verdict: verdict.map(|(error, pass)| OutcomeCounts {
                planned: error + pass,
                error,
                pass,
                ..OutcomeCounts::default()
            }),
        }
    }

    #[test]
    fn a_partition_that_could_not_be_measured_is_a_gap_and_no_silence() {
        let of = |state, verdict| entry("d", state, verdict).gap();
        let sealed = LedgerState::Sealed;
        assert_eq!(of(sealed, None), None, "nothing is known of it yet");
        assert_eq!(of(sealed, Some((7, 0))), Some(Outcome::Error));
        assert_eq!(of(sealed, Some((1, 6))), None);
        let missing = of(LedgerState::Missing, Some((1, 6)));
        assert_eq!(missing, Some(Outcome::Missing));
    }

    fn value(day: &str) -> HistoryPoint {
        HistoryPoint {
            at: 0,
            partition: Arc::new(partition(day)),
            version: Arc::new(PartitionVersion("v".to_owned())),
            status: MetricStatus::Computed,
            value: MetricValue::integer(1),
            error_bound: None,
        }
    }

    /// The same as [`with_gaps`], looking through all values for each entry.
    fn by_looking(points: &[HistoryPoint], ledger: &[LedgerEntry], last: usize) -> Vec<Place> {
        let mut places: Vec<Place> = Vec::new();
        for point in points {
            let point = point.clone();
            places.push(Place { point, gap: None });
        }
        for entry in ledger {
            let has_value = points
                .iter()
                .any(|point| point.partition.key == entry.partition.key);
            let is_within = points
                .first()
                .is_some_and(|first| entry.partition.order >= first.partition.order);
            if let Some(gap) = entry.gap()
                && is_within
                && !has_value
            {
                places.push(gap_of(entry, gap));
            }
        }
        places.sort_by_key(|place| {
            let of = &place.point.partition;
            (of.order.clone(), of.key.clone())
        });
        places.split_off(places.len().saturating_sub(last))
    }

    #[test]
    fn places_are_those_of_looking_through_all_values() {
        let mut seed = 7_u32;
        let mut dice = move |sides: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % sides
        };
        for round in 0..200 {
            let (mut points, mut ledger) = (Vec::new(), Vec::new());
            for n in 0..dice(40) {
                let day = format!("d{n:03}");
                let missing = dice(3) == 0;
                let state = if missing {
                    LedgerState::Missing
                } else {
                    LedgerState::Scanned
                };
                let verdict = [None, Some((7, 0)), Some((0, 7))][dice(3) as usize];
                let mut entry = entry(&day, state, verdict);
                // Some partitions share a place in the order.
                entry.partition.order = format!("d{:03}", n / (1 + dice(2)));
                if dice(2) == 0 {
                    let mut point = value(&day);
                    point.partition = Arc::new(entry.partition.clone());
                    points.push(point);
                }
                ledger.push(entry);
            }
            let last = dice(45) as usize;
            let seen = with_gaps(points.clone(), &ledger, last);
            assert_eq!(seen, by_looking(&points, &ledger, last), "round {round}");
        }
    }

    #[test]
    fn a_long_history_is_gone_through_once() {
        // Looking through all values for each of these would compare some thousand million keys.
        let days: Vec<String> = (0..60_000).map(|n| format!("d{n:06}")).collect();
        let ledger: Vec<LedgerEntry> = days
            .iter()
            .map(|day| entry(day, LedgerState::Missing, None))
            .collect();
        let points = days.iter().step_by(2).map(|day| value(day)).collect();
        let places = with_gaps(points, &ledger, usize::MAX);
        assert_eq!(places.len(), days.len());
    }

    #[test]
    fn places_without_a_value_are_among_the_values_in_their_order() {
        let missing = |day| entry(day, LedgerState::Missing, None);
        let ledger = [
            missing("d0"),
            entry("d1", LedgerState::Scanned, Some((0, 7))),
            missing("d2"),
            entry("d3", LedgerState::Sealed, Some((7, 0))),
            entry("d4", LedgerState::Scanned, Some((0, 7))),
            missing("d5"),
        ];
        let points = || vec![value("d1"), value("d4")];
        let seen = |last| -> Vec<(String, &str)> {
            let places = with_gaps(points(), &ledger, last);
            let each = places.iter();
            each.map(|p| (p.point.partition.key.to_string(), p.status()))
                .collect()
        };
        let all = [
            ("d1", "computed"),
            ("d2", "missing"),
            ("d3", "error"),
            ("d4", "computed"),
            ("d5", "missing"),
        ]
        .map(|(day, status)| (day.to_owned(), status));
        // Before its first value a metric has no gaps.
        assert_eq!(seen(30), all);
        assert_eq!(seen(2), all[3..]);
        assert!(with_gaps(Vec::new(), &ledger, 30).is_empty());
    }
}
