//! Which earlier partitions limits are learned from, metric by metric.
//!
//! Comes in: the ledger, the checks that failed, the open incidents, and what the owner excluded.
//! Goes out: for one metric of one partition, whether it teaches, and which check holds it back.
//! It must never let a value teach that a broken check makes suspect.

use std::collections::{BTreeMap, BTreeSet};

use assay_judge::makes_suspect;
use assay_judge::schema::changed_columns;
use assay_model::check::{Check, Expectation};
use assay_model::dataset::{Dataset, LimitPolicy};
use assay_model::ids::CheckId;
use assay_model::incident::Incident;
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::HeldBack;
use assay_model::partition::{Partition, PartitionKey};

use jiff::civil::Date;

use super::checks::{FUTURE, UNJUDGED};
use super::evaluate::{BREACHES_MAX, Past};
use super::shape;

/// What a broken check reaches in its partition.
#[derive(Debug, Clone)]
enum Reach {
    /// All that was measured: the partition is an earlier one again, or the check is not known.
    Everything,
    /// These columns and the shape.
    Shape(BTreeSet<String>),
    /// What is suspect beside this metric.
    Beside(MetricKey),
}

impl Reach {
    fn holds(&self, key: &MetricKey) -> bool {
        match self {
            Self::Everything => true,
            Self::Beside(broken) => makes_suspect(broken, key),
            Self::Shape(columns) => {
                matches!(key.metric, Metric::Schema | Metric::ColumnCount)
                    || columns.contains(&key.column)
                    || key.column.split(',').any(|part| columns.contains(part))
            }
        }
    }
}

/// A check that was broken in a partition.
#[derive(Debug, Clone)]
struct Suspicion {
    by: CheckId,
    reach: Reach,
}

/// Whether the partitions of the past teach.
pub(super) struct Teaches<'a> {
    policy: &'a LimitPolicy,
    /// Partitions that were missing, were judged before they were complete, or failed in a way
    /// that is not known.
    barred: BTreeSet<&'a PartitionKey>,
    suspicions: BTreeMap<&'a str, Vec<Suspicion>>,
    order: BTreeMap<&'a str, &'a str>,
}

impl<'a> Teaches<'a> {
    /// What is known before the partitions are asked for. `due` are the checks of the judged one.
    pub(super) fn new(dataset: &'a Dataset, due: &[Check], past: &'a Past) -> Self {
        let order: BTreeMap<&str, &str> = past
            .ledger
            .iter()
            .map(|e| (e.partition.key.as_str(), e.partition.order.as_str()))
            .collect();
        let broken_in: BTreeSet<&PartitionKey> =
            past.breaches.iter().map(|b| &b.partition).collect();
        let cut = past.breaches.len() >= BREACHES_MAX as usize;
        let barred = past
            .verdicts
            .iter()
            .filter(|v| {
                // Which of its warnings are informative is not known of a partition beyond the bound.
                let broken = v.counts.fail > 0 || (cut && v.counts.warn > 0);
                let unknown = broken && !broken_in.contains(&v.partition.key);
                v.counts.missing > 0 || unknown || !v.sealed
            })
            .map(|v| &v.partition.key)
            .collect();
        let mut teaches = Self {
            policy: &dataset.limits,
            barred,
            suspicions: BTreeMap::new(),
            order,
        };
        let checks: BTreeMap<&CheckId, &Check> = due.iter().map(|c| (&c.id, c)).collect();
        teaches.suspect(dataset, &checks, past);
        teaches
    }

    /// Gathers what was broken: by the verdicts, and for as long as an incident is open.
    fn suspect(&mut self, dataset: &Dataset, checks: &BTreeMap<&CheckId, &Check>, past: &'a Past) {
        let mut broken: BTreeMap<&'a str, BTreeMap<CheckId, Option<MetricKey>>> = BTreeMap::new();
        for breach in &past.breaches {
            let of = broken.entry(breach.partition.as_str()).or_default();
            of.insert(breach.check.clone(), Some(breach.metric.clone()));
        }
        let of_values = |i: &&Incident| !matches!(i.check.as_str(), FUTURE | UNJUDGED);
        for incident in past.open.iter().filter(of_values) {
            let place = |key: &PartitionKey| self.order.get(key.as_str()).copied();
            let ends = (
                place(&incident.first_partition),
                place(&incident.last_partition),
            );
            let (Some(first), Some(last)) = ends else {
                continue;
            };
            let within = past
                .ledger
                .iter()
                .map(|entry| &entry.partition)
                .filter(|p| {
                    let between = first <= p.order.as_str() && p.order.as_str() <= last;
                    between && p.series == incident.series
                });
            for partition in within {
                let of = broken.entry(partition.key.as_str()).or_default();
                of.entry(incident.check.clone()).or_insert_with(|| {
                    // A check that is not due any more is known by its column at least.
                    let column = (!incident.column.is_empty())
                        .then(|| MetricKey::column(Metric::InvalidCount, &incident.column));
                    checks
                        .get(&incident.check)
                        .map(|c| c.metric.clone())
                        .or(column)
                });
            }
        }
        let misshapen: BTreeSet<&str> = broken
            .iter()
            .filter(|(_, of)| {
                of.iter()
                    .any(|(id, key)| is_of_shape(checks, id, key.as_ref()))
            })
            .map(|(key, _)| *key)
            .collect();
        for (partition, of) in broken {
            let reach = |id: &CheckId, key: Option<MetricKey>| {
                let check = checks.get(id);
                let whole = check.is_some_and(|c| c.expect == Expectation::NotStale);
                match key {
                    None => Reach::Everything,
                    Some(_) if whole => Reach::Everything,
                    Some(key) if is_of_shape(checks, id, Some(&key)) => {
                        shape_of(dataset, past, partition, &misshapen)
                    }
                    Some(key) => Reach::Beside(key),
                }
            };
            let suspicions = of
                .into_iter()
                .filter(|(by, _)| by.as_str() != FUTURE && !is_restatement(checks, by))
                .map(|(by, key)| Suspicion {
                    reach: reach(&by, key),
                    by,
                })
                .collect();
            self.suspicions.insert(partition, suspicions);
        }
    }

    /// What is to be learned from `partition`.
    pub(super) fn of(&self, partition: &Partition) -> Lesson<'_> {
        let key = partition.key.as_str();
        let suspicions = self.suspicions.get_key_value(key);
        Lesson {
            none: self.barred.contains(&partition.key) || self.excluded(partition),
            suspicions: suspicions.map(|(key, of)| (*key, &of[..])),
        }
    }

    /// Excluded by the owner. A bound that is no known key is a day, whatever the parts of the
    /// key, or else compared as it is written.
    fn excluded(&self, partition: &Partition) -> bool {
        let compare = |key: &str| match (self.order.get(key), partition.date, key.parse::<Date>()) {
            (None, Some(date), Ok(day)) => date.cmp(&day),
            (place, ..) => partition.order.as_str().cmp(place.copied().unwrap_or(key)),
        };
        let windows = &self.policy.exclude;
        let in_window = windows
            .iter()
            .any(|(from, to)| compare(from).is_ge() && compare(to).is_le());
        let too_old = self
            .policy
            .learn_from
            .as_ref()
            .is_some_and(|from| compare(from).is_lt());
        in_window || too_old
    }
}

/// What one partition teaches.
pub(super) struct Lesson<'a> {
    /// Nothing, whatever the metric.
    none: bool,
    /// Its key, and the checks that were broken in it.
    suspicions: Option<(&'a str, &'a [Suspicion])>,
}

impl Lesson<'_> {
    /// Whether the value of `key` teaches.
    pub(super) fn teaches(&self, key: &MetricKey) -> bool {
        !self.none && self.broken(key).is_none()
    }

    /// The first check, by name, that keeps the value of `key` from teaching.
    pub(super) fn held_back(&self, key: &MetricKey) -> Option<HeldBack> {
        let (partition, first) = self.broken(key)?;
        Some(HeldBack {
            partition: partition.to_owned(),
            by: first.by.clone(),
        })
    }

    fn broken(&self, key: &MetricKey) -> Option<(&str, &Suspicion)> {
        let (partition, of) = self.suspicions?;
        let first = of.iter().find(|suspicion| suspicion.reach.holds(key))?;
        Some((partition, first))
    }
}

/// Whether a check tells that values were replaced: the new ones are judged in their own right.
fn is_restatement(checks: &BTreeMap<&CheckId, &Check>, id: &CheckId) -> bool {
    let check = checks.get(id);
    check.is_some_and(|c| c.expect == Expectation::NotRestated)
}

fn is_of_shape(checks: &BTreeMap<&CheckId, &Check>, id: &CheckId, key: Option<&MetricKey>) -> bool {
    let by_rule = checks
        .get(id)
        .is_some_and(|c| c.expect == Expectation::SameSchema);
    by_rule || key.is_some_and(|key| key.metric == Metric::Schema)
}

/// The columns in which a partition differs from the definition and from the last partition before
/// it whose shape was in order.
fn shape_of(dataset: &Dataset, past: &Past, partition: &str, misshapen: &BTreeSet<&str>) -> Reach {
    let key = MetricKey::table(Metric::Schema);
    let points = past.history.iter().find(|(k, _)| *k == key);
    let points = points.map(|(_, points)| &points[..]).unwrap_or_default();
    let Some(at) = points
        .iter()
        .position(|p| p.partition.key.as_str() == partition)
    else {
        return Reach::Everything;
    };
    let Some(actual) = shape::past(&points[at]) else {
        return Reach::Everything;
    };
    let before = points[..at]
        .iter()
        .rev()
        .filter(|p| !misshapen.contains(p.partition.key.as_str()))
        .find_map(shape::past);
    let declared = shape::declared(dataset, &actual);
    if before.is_none() && declared.is_none() {
        return Reach::Everything;
    }
    let against = [before, declared];
    let changed = against
        .iter()
        .flatten()
        .flat_map(|expected| changed_columns(&actual, expected));
    Reach::Shape(changed.collect())
}
