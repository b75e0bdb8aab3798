//! The past of one series, for a task that judges its partitions one after another.
//!
//! Comes in: what is stored of a stretch of the series and of the partitions before it, and every
//! judgement that the task makes. Goes out: at each partition exactly what a store would tell of the
//! past if each judgement had been committed before the next one is made. It must never tell a partition of
//! itself or of what comes after it, nor hold more partitions than a judgement looks at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use assay_model::dataset::LimitPolicy;
use assay_model::feedback::Answered;
use assay_model::history::{Breach, HistoryPoint, Judged, Later, Verdict};
use assay_model::ids::RunId;
use assay_model::incident::{Incident, IncidentStatus};
use assay_model::ledger::LedgerEntry;
use assay_model::metric::{MetricKey, MetricPoint};
use assay_model::output::Evaluation;
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use jiff::Timestamp;

use crate::known::{Known, PAST_MAX};
use crate::numbers::{self, Number, Numbers};

/// What is stored of a stretch of one series, from the first to the last partition that a task judges.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The ledger's partitions from the first place of the stretch to the last.
    pub within: Vec<LedgerEntry>,
    /// What the ledger has behind the stretch.
    pub later: Later,
    /// What was judged in the stretch, and of at least [`PAST_MAX`] partitions before it, if there are.
    pub judged: Judged,
    /// The checks that were broken in those partitions.
    pub breaches: Vec<Breach>,
    /// The ledger's entries of the partitions to be judged, and of those that incidents, answers or the
    /// definition name ([`named`]).
    pub named: Vec<LedgerEntry>,
    /// The incidents that are open.
    pub open: Vec<Incident>,
    /// What people answered.
    pub answered: Vec<Answered>,
}

/// The keys of partitions that a judgement in `series` may ask the place of.
#[must_use]
pub fn named(
    policy: &LimitPolicy,
    series: &str,
    open: &[Incident],
    answered: &[Answered],
) -> BTreeSet<PartitionKey> {
    let windows = policy.exclude.iter().flat_map(|(from, to)| [from, to]);
    let by_policy = windows.chain(&policy.learn_from).cloned().map(PartitionKey);
    let of_series = open.iter().filter(|incident| incident.series == series);
    let by_incidents = of_series.flat_map(|i| [&i.first_partition, &i.last_partition]);
    let by_answers = answered.iter().flat_map(|a| [Some(&a.from), a.to.as_ref()]);
    let by_others = by_incidents.chain(by_answers.flatten()).cloned();
    by_policy.chain(by_others).collect()
}

/// The place of a partition in its series.
type Place = (String, PartitionKey);

fn place(partition: &Partition) -> Place {
    (partition.order.clone(), partition.key.clone())
}

/// What was judged of one partition.
#[derive(Debug, Clone)]
struct Leaf {
    partition: Arc<Partition>,
    version: Arc<PartitionVersion>,
    values: Vec<MetricPoint>,
    verdict: Verdict,
    breaches: Vec<Breach>,
}

/// The past as it is at one partition of a series, and what lies ahead of it.
#[derive(Debug, Clone, Default)]
pub struct Book {
    known: Known,
    /// The numbers of what is known.
    numbers: Numbers,
    /// The partitions whose values are known: where their values are, by [`HistoryPoint::at`].
    window: VecDeque<(usize, Arc<Partition>)>,
    next: usize,
    /// What was judged at the present place and behind it.
    ahead: BTreeMap<Place, Leaf>,
    within: Vec<LedgerEntry>,
    later: Later,
    named: BTreeMap<PartitionKey, LedgerEntry>,
    /// Partitions beside the window whose place is asked: those named, and those that incidents name
    /// which the task itself has opened.
    beside: Vec<Arc<Partition>>,
}

impl Book {
    /// A book of what is stored, before the place of `first`: go to one before anything is asked. No
    /// judgement is noted before that place.
    #[must_use]
    pub fn new(stored: Stored, first: &Partition) -> Self {
        let beside = stored.named.iter();
        let beside = beside.map(|e| Arc::new(e.partition.clone())).collect();
        let named = stored.named.into_iter();
        let mut book = Self {
            known: Known {
                open: stored.open,
                answered: stored.answered,
                ..Known::default()
            },
            within: stored.within,
            later: stored.later,
            named: named.map(|e| (e.partition.key.clone(), e)).collect(),
            beside,
            ..Self::default()
        };
        let first = place(first);
        let last = stored.judged.verdicts.last();
        if last.is_some_and(|last| place(&last.partition) < first) {
            book.adopt(stored.judged, stored.breaches);
            return book;
        }
        for leaf in leaves(stored.judged, stored.breaches) {
            book.ahead.insert(place(&leaf.partition), leaf);
        }
        book
    }

    /// Takes a past that ends before the first place as it was read: the same as to turn its leaves
    /// one after another.
    fn adopt(&mut self, judged: Judged, breaches: Vec<Breach>) {
        let partitions = judged.verdicts.iter();
        let partitions = partitions.map(|verdict| Arc::new(verdict.partition.clone()));
        self.window = partitions.enumerate().collect();
        self.next = self.window.len();
        let mut valued = vec![false; self.next];
        for point in judged.history.iter().flat_map(|(_, points)| points) {
            valued[point.at] = true;
        }
        let valued = self.window.iter().filter(|(at, _)| valued[*at]);
        self.numbers = Numbers {
            partitions: valued.cloned().collect(),
            by_metric: numbers::of_all(&judged.history),
        };
        let mut broken = by_partition(breaches);
        let verdicts = judged.verdicts.iter();
        let breaches = verdicts.filter_map(|verdict| broken.remove(&verdict.partition.key));
        self.known.breaches = breaches.flatten().collect();
        self.known.history = judged.history;
        self.known.verdicts = judged.verdicts;
    }

    /// Goes on to the place of `partition`, which is not before the present one.
    pub fn go_to(&mut self, partition: &Partition) {
        let to = place(partition);
        while let Some(first) = self.ahead.first_entry() {
            if *first.key() >= to {
                break;
            }
            let leaf = first.remove();
            self.turn(leaf);
        }
        self.forget(self.window.len().saturating_sub(PAST_MAX as usize));
        let window = self.window.iter().map(|(_, partition)| partition);
        self.known.partitions = window.chain(&self.beside).cloned().collect();
    }

    /// Puts a leaf at the end of what is known.
    fn turn(&mut self, leaf: Leaf) {
        let at = self.next;
        self.next += 1;
        let (history, numbers) = (&mut self.known.history, &mut self.numbers);
        if !leaf.values.is_empty() {
            let partition = Arc::clone(&leaf.partition);
            numbers.partitions.push_back((at, partition));
        }
        // Both are in the order of keys, and most partitions have the same ones.
        let mut expected = 0;
        for value in leaf.values {
            let point = HistoryPoint {
                at,
                partition: Arc::clone(&leaf.partition),
                version: Arc::clone(&leaf.version),
                status: value.status,
                value: value.value,
                error_bound: value.error_bound,
            };
            let found = match history.get(expected) {
                Some((key, _)) if *key == value.key => Ok(expected),
                _ => history.binary_search_by(|(key, _)| key.cmp(&value.key)),
            };
            let number = Number::of(&point);
            match found {
                Ok(place) => {
                    numbers.by_metric[place].push_back(number);
                    history[place].1.push(point);
                }
                Err(new) => {
                    numbers.insert(new, number);
                    history.insert(new, (value.key, vec![point]));
                }
            }
            expected = found.unwrap_or_else(|new| new) + 1;
        }
        self.known.verdicts.push(leaf.verdict);
        self.known.breaches.extend(leaf.breaches);
        self.window.push_back((at, leaf.partition));
    }

    /// Takes so many of the oldest partitions out of what is known.
    fn forget(&mut self, partitions: usize) {
        let Some((newest, _)) = partitions.checked_sub(1).and_then(|n| self.window.get(n)) else {
            return;
        };
        let newest = *newest;
        for (_, points) in &mut self.known.history {
            let old = points.partition_point(|point| point.at <= newest);
            points.drain(..old);
        }
        self.known.history.retain(|(_, points)| !points.is_empty());
        self.numbers.forget(newest);
        self.known.verdicts.drain(..partitions);
        // Breaches are in the order of the partitions, too.
        let breaches = &mut self.known.breaches;
        for (_, partition) in self.window.drain(..partitions) {
            let its = breaches.iter();
            let its = its.take_while(|breach| breach.partition == partition.key);
            breaches.drain(..its.count());
        }
    }

    /// What is known of the past at the present place.
    #[must_use]
    pub const fn known(&self) -> &Known {
        &self.known
    }

    /// The numbers of what is known at the present place.
    #[must_use]
    pub const fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// The ledger's entry of a partition that is to be judged.
    #[must_use]
    pub fn entry(&self, key: &PartitionKey) -> Option<&LedgerEntry> {
        self.named.get(key)
    }

    /// The verdict in force on the partition at the present place.
    #[must_use]
    pub fn verdict(&self, partition: &Partition) -> Option<&Verdict> {
        self.leaf(partition).map(|leaf| &leaf.verdict)
    }

    /// The values that are stored of the partition at the present place, by metric.
    #[must_use]
    pub fn values(&self, partition: &Partition) -> &[MetricPoint] {
        let leaf = self.leaf(partition);
        leaf.map_or(&[], |leaf| &leaf.values)
    }

    fn leaf(&self, partition: &Partition) -> Option<&Leaf> {
        let mut of_key = self.ahead.values();
        of_key.find(|leaf| leaf.partition.key == partition.key)
    }

    /// What the ledger has of the series behind `partition`, of data time that has begun.
    #[must_use]
    pub fn later(&self, partition: &Partition, now: Timestamp) -> Later {
        let mut later = self.later;
        for entry in &self.within {
            let other = &entry.partition;
            if other.order > partition.order && other.start.is_none_or(|start| start <= now) {
                later.any = true;
                later.data |= entry.version.is_content();
            }
        }
        later
    }

    /// Takes a judgement that the task has made, at the present place or behind it, as a store would
    /// keep it.
    pub fn note(&mut self, run: RunId, definition: &str, judged: &Evaluation) {
        let known = self.named.get(&judged.partition.key);
        let partition = known.map_or_else(|| &judged.partition, |entry| &entry.partition);
        let partition = Arc::new(partition.clone());
        let before = self.verdict(&partition);
        let verdict = Verdict {
            run,
            definition: definition.to_owned(),
            partition: (*partition).clone(),
            version: judged.version.clone(),
            revision: before
                .map_or(0, |verdict| verdict.revision)
                .saturating_add(1),
            sealed: judged.sealed,
            counts: judged.counts,
            superseded: false,
            judged_at: stored_at(judged.judged_at),
        };
        let broken = judged.results.iter().filter(|result| result.is_breach());
        let breaches = broken.map(|result| Breach {
            partition: partition.key.clone(),
            check: result.check.clone(),
            metric: result.metric.clone(),
        });
        let mut values = judged.metrics.clone();
        values.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let leaf = Leaf {
            partition: Arc::clone(&partition),
            version: Arc::new(judged.version.clone()),
            values,
            verdict,
            breaches: breaches.collect(),
        };
        self.ahead.insert(place(&partition), leaf);
        for incident in &judged.incidents {
            self.note_incident(incident);
        }
        if !judged.incidents.is_empty() {
            self.beside.push(partition);
        }
    }

    /// One that a person has acknowledged stays so while it is open, and an open one keeps the instant
    /// of its opening.
    fn note_incident(&mut self, told: &Incident) {
        let open = &mut self.known.open;
        let found = open.iter().position(|incident| incident.id == told.id);
        let before = found.map(|at| open.remove(at));
        if told.status == IncidentStatus::Resolved {
            return;
        }
        let mut incident = told.clone();
        incident.opened_at = stored_at(told.opened_at);
        incident.updated_at = stored_at(told.updated_at);
        if let Some(before) = before {
            incident.opened_at = before.opened_at;
            if before.status == IncidentStatus::Acknowledged {
                incident.status = before.status;
            }
        }
        // The newest first, as a store lists them.
        let newer =
            |other: &Incident| (other.opened_at, incident.id) > (incident.opened_at, other.id);
        let at = open.partition_point(newer);
        open.insert(at, incident);
    }
}

/// An instant as stores keep it: whole microseconds, rounded down.
fn stored_at(at: Timestamp) -> Timestamp {
    let micros = i64::try_from(at.as_nanosecond().div_euclid(1000));
    let kept = micros
        .ok()
        .and_then(|m| Timestamp::from_microsecond(m).ok());
    kept.unwrap_or(at)
}

/// What was judged, partition by partition.
fn leaves(judged: Judged, breaches: Vec<Breach>) -> Vec<Leaf> {
    let mut values: Vec<Vec<MetricPoint>> = judged.verdicts.iter().map(|_| Vec::new()).collect();
    let mut versions: Vec<Option<Arc<PartitionVersion>>> = vec![None; judged.verdicts.len()];
    for (key, points) in judged.history {
        for point in points {
            versions[point.at] = Some(Arc::clone(&point.version));
            values[point.at].push(value_of(&key, point));
        }
    }
    let mut broken = by_partition(breaches);
    let parts = judged.verdicts.into_iter().zip(values).zip(versions);
    let leaf = |((verdict, values), version): ((Verdict, _), Option<_>)| Leaf {
        partition: Arc::new(verdict.partition.clone()),
        version: version.unwrap_or_else(|| Arc::new(verdict.version.clone())),
        values,
        breaches: broken.remove(&verdict.partition.key).unwrap_or_default(),
        verdict,
    };
    parts.map(leaf).collect()
}

fn by_partition(breaches: Vec<Breach>) -> BTreeMap<PartitionKey, Vec<Breach>> {
    let mut broken: BTreeMap<PartitionKey, Vec<Breach>> = BTreeMap::new();
    for breach in breaches {
        broken
            .entry(breach.partition.clone())
            .or_default()
            .push(breach);
    }
    broken
}

/// A stored value, without what is to be said of it.
fn value_of(key: &MetricKey, point: HistoryPoint) -> MetricPoint {
    MetricPoint {
        key: key.clone(),
        status: point.status,
        value: point.value,
        error_bound: point.error_bound,
        note: None,
    }
}
