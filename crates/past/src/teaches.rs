//! Which earlier partitions limits are learned from, metric by metric.
//!
//! Comes in: the ledger, the checks that failed, the open incidents, and what the owner excluded in
//! the definition or answered since. Goes out: for one metric of one partition, whether it teaches
//! when another is judged, and which check holds it back. It must never let a value teach that a
//! broken check makes suspect, unless the owner has answered that it was no fault, or the alarm is of
//! learned limits and not the only one in a row.

use std::collections::{BTreeMap, BTreeSet};

use assay_judge::makes_suspect;
use assay_judge::schema::changed_columns;
use assay_model::check::{Check, Expectation};
use assay_model::dataset::{Dataset, LimitPolicy};
use assay_model::feedback::{Answered, FeedbackScope};
use assay_model::ids::CheckId;
use assay_model::incident::Incident;
use assay_model::metric::{Metric, MetricKey};
use assay_model::outcome::HeldBack;
use assay_model::partition::{Partition, PartitionKey};

use jiff::Timestamp;

use crate::answers::{Alarm, Answers, Places};
use crate::checks::{FUTURE, UNJUDGED};
use crate::known::{BREACHES_MAX, Known};
use crate::shape;

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
struct Suspicion<'a> {
    by: CheckId,
    reach: Reach,
    /// When the alarm was raised, of a check that holds values against the past.
    against_past: Option<Timestamp>,
    /// The place of the next partition, where that left the same learned limits: whoever is judged
    /// behind it sees a new level.
    until: Option<&'a str>,
}

/// What is on record of a broken check in a partition.
#[derive(Debug, Clone)]
struct Record {
    metric: Option<MetricKey>,
    /// When the alarm was raised, where that is known.
    at: Option<Timestamp>,
}

/// The broken checks of partitions, by key.
type Broken<'a> = BTreeMap<&'a str, BTreeMap<CheckId, Record>>;

/// Whether the partitions of the past teach.
pub struct Teaches<'a> {
    policy: &'a LimitPolicy,
    /// Partitions that were missing, were judged before they were complete, or failed in a way
    /// that is not known.
    barred: BTreeSet<&'a PartitionKey>,
    suspicions: BTreeMap<&'a str, Vec<Suspicion<'a>>>,
    answers: Answers<'a>,
}

impl<'a> Teaches<'a> {
    /// What is known before the partitions are asked for. `due` are the checks of the judged one.
    #[must_use]
    pub fn new(dataset: &'a Dataset, due: &[Check], known: &'a Known) -> Self {
        Self::answered(dataset, due, known, &known.answered)
    }

    /// The same, as if people had answered `answered` and nothing else.
    #[must_use]
    pub fn answered(
        dataset: &'a Dataset,
        due: &[Check],
        known: &'a Known,
        answered: impl IntoIterator<Item = &'a Answered>,
    ) -> Self {
        let broken_in: BTreeSet<&PartitionKey> =
            known.breaches.iter().map(|b| &b.partition).collect();
        let cut = known.breaches.len() >= BREACHES_MAX as usize;
        let barred = known
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
        let places = Places::new(known.order());
        let mut teaches = Self {
            policy: &dataset.limits,
            barred,
            suspicions: BTreeMap::new(),
            answers: Answers::new(answered, places),
        };
        let checks: BTreeMap<&CheckId, &Check> = due.iter().map(|c| (&c.id, c)).collect();
        teaches.suspect(dataset, &checks, known);
        teaches
    }

    /// Gathers what was broken: by the verdicts, and for as long as an incident is open.
    fn suspect(
        &mut self,
        dataset: &Dataset,
        checks: &BTreeMap<&CheckId, &Check>,
        known: &'a Known,
    ) {
        let mut broken = self.broken(checks, known);
        if broken.is_empty() {
            return;
        }
        let partitions: BTreeMap<&str, &Partition> = known
            .partitions
            .iter()
            .map(|p| (p.key.as_str(), &**p))
            .collect();
        // What the owner has answered for is no longer suspect, and makes nothing else so.
        for (key, of) in &mut broken {
            let Some(partition) = partitions.get(key) else {
                continue;
            };
            of.retain(|id, record| {
                let expect = checks.get(id).map(|c| &c.expect);
                let alarm = Alarm {
                    metric: record.metric.as_ref(),
                    by_past: expect.is_some_and(is_against_past),
                    whole: expect == Some(&Expectation::NotStale),
                    at: record.at,
                };
                !self.answers.settles(partition, alarm)
            });
        }
        let misshapen: BTreeSet<&str> = broken
            .iter()
            .filter(|(_, of)| {
                of.iter()
                    .any(|(id, record)| is_of_shape(checks, id, record.metric.as_ref()))
            })
            .map(|(key, _)| *key)
            .collect();
        let line = Neighbours::of(known);
        for (&partition, of) in &broken {
            let reach = |id: &CheckId, key: Option<MetricKey>| {
                let check = checks.get(id);
                let whole = check.is_some_and(|c| c.expect == Expectation::NotStale);
                match key {
                    None => Reach::Everything,
                    Some(_) if whole => Reach::Everything,
                    Some(key) if is_of_shape(checks, id, Some(&key)) => {
                        shape_of(dataset, known, partition, &misshapen)
                    }
                    Some(key) => Reach::Beside(key),
                }
            };
            let suspicions = of
                .iter()
                .filter(|(by, _)| by.as_str() != FUTURE && !is_restatement(checks, by))
                .filter(|(by, _)| !is_learned(checks, by) || !line.follows(partition, by, &broken))
                .map(|(by, record)| Suspicion {
                    against_past: record.at.filter(|_| {
                        let check = checks.get(by);
                        check.is_some_and(|check| is_against_past(&check.expect))
                    }),
                    until: line
                        .next_with(partition, by, &broken)
                        .filter(|_| is_learned(checks, by)),
                    reach: reach(by, record.metric.clone()),
                    by: by.clone(),
                })
                .collect();
            self.suspicions.insert(partition, suspicions);
        }
    }

    /// The broken checks of each partition: by its verdict, and by an incident that spans it.
    fn broken(&self, checks: &BTreeMap<&CheckId, &Check>, known: &'a Known) -> Broken<'a> {
        let judged: BTreeMap<&str, Timestamp> = known
            .verdicts
            .iter()
            .map(|v| (v.partition.key.as_str(), v.judged_at))
            .collect();
        let mut broken: Broken<'a> = BTreeMap::new();
        for breach in &known.breaches {
            let of = broken.entry(breach.partition.as_str()).or_default();
            let record = Record {
                metric: Some(breach.metric.clone()),
                at: judged.get(breach.partition.as_str()).copied(),
            };
            of.insert(breach.check.clone(), record);
        }
        // Of learned limits each partition's own breach speaks: those between may have kept them.
        let of_values = |i: &&Incident| {
            !matches!(i.check.as_str(), FUTURE | UNJUDGED) && !is_learned(checks, &i.check)
        };
        for incident in known.open.iter().filter(of_values) {
            let place = |key: &PartitionKey| self.answers.places().of(key.as_str());
            let ends = (
                place(&incident.first_partition),
                place(&incident.last_partition),
            );
            let (Some(first), Some(last)) = ends else {
                continue;
            };
            let within = known.partitions.iter().filter(|p| {
                let between = first <= p.order.as_str() && p.order.as_str() <= last;
                between && p.series == incident.series
            });
            for partition in within {
                let of = broken.entry(partition.key.as_str()).or_default();
                of.entry(incident.check.clone()).or_insert_with(|| {
                    // A check that is not due any more is known by its column at least.
                    let column = (!incident.column.is_empty())
                        .then(|| MetricKey::column(Metric::InvalidCount, &incident.column));
                    Record {
                        metric: checks
                            .get(&incident.check)
                            .map(|c| c.metric.clone())
                            .or(column),
                        at: Some(incident.opened_at),
                    }
                });
            }
        }
        broken
    }

    /// What is to be learned from `partition` when `judged` is judged.
    #[must_use]
    pub fn of<'b>(&'b self, partition: &Partition, judged: &'b Partition) -> Lesson<'b> {
        let key = partition.key.as_str();
        let suspicions = self.suspicions.get_key_value(key);
        Lesson {
            normal: self.answers.normal(partition),
            renewed: self.answers.renewed(partition),
            out: [
                self.answers.excluded(partition),
                self.answers.left_behind(partition, judged),
            ]
            .concat(),
            none: self.barred.contains(&partition.key) || self.excluded(partition),
            judged: judged.order.as_str(),
            suspicions: suspicions.map(|(key, of)| (*key, &of[..])),
        }
    }

    /// What people answered.
    #[must_use]
    pub const fn answers(&self) -> &Answers<'a> {
        &self.answers
    }

    /// Excluded by the owner in the definition.
    fn excluded(&self, partition: &Partition) -> bool {
        let compare = |key: &str| self.answers.places().compare(partition, key);
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

/// What one partition teaches when another is judged.
pub struct Lesson<'a> {
    /// What was marked as normal.
    normal: Vec<&'a FeedbackScope>,
    /// What is a new normal, and since when that is told.
    renewed: Vec<(&'a FeedbackScope, Timestamp)>,
    /// What was excluded, or is left behind by a new normal.
    out: Vec<&'a FeedbackScope>,
    /// Nothing, whatever the metric.
    none: bool,
    /// The place of the partition that is judged.
    judged: &'a str,
    /// Its key, and the checks that were broken in it.
    suspicions: Option<(&'a str, &'a [Suspicion<'a>])>,
}

impl Lesson<'_> {
    /// Whether a check was broken in the partition.
    #[must_use]
    pub const fn is_suspect(&self) -> bool {
        self.suspicions.is_some()
    }

    /// Whether the value of `key` teaches.
    #[must_use]
    pub fn teaches(&self, key: &MetricKey) -> bool {
        !self.none && !covered(&self.out, key) && self.broken(key).is_none()
    }

    /// The first check, by name, that keeps the value of `key` from teaching.
    #[must_use]
    pub fn held_back(&self, key: &MetricKey) -> Option<HeldBack> {
        let (partition, first) = self.broken(key)?;
        Some(HeldBack {
            partition: partition.to_owned(),
            by: first.by.clone(),
        })
    }

    fn broken(&self, key: &MetricKey) -> Option<(&str, &Suspicion<'_>)> {
        let (partition, of) = self.suspicions?;
        if covered(&self.normal, key) {
            return None;
        }
        // An alarm about the change says nothing of what is normal since, whatever its metric.
        let of_change = |suspicion: &Suspicion<'_>| {
            let mut renewed = self.renewed.iter();
            suspicion.against_past.is_some_and(|raised| {
                renewed.any(|(scope, told)| raised <= *told && scope.covers(key))
            })
        };
        let of_level = |s: &Suspicion<'_>| s.until.is_some_and(|next| next < self.judged);
        let holds = |s: &&Suspicion<'_>| s.reach.holds(key) && !of_change(s) && !of_level(s);
        let first = of.iter().find(holds)?;
        Some((partition, first))
    }
}

fn covered(scopes: &[&FeedbackScope], key: &MetricKey) -> bool {
    scopes.iter().any(|scope| scope.covers(key))
}

/// Whether a check holds values against the past: against limits learned from it, or its shape.
const fn is_against_past(expect: &Expectation) -> bool {
    matches!(
        expect,
        Expectation::Learned | Expectation::Band { .. } | Expectation::SameSchema
    )
}

/// Whether a check holds values against limits that were learned from other values.
///
/// One value that leaves them is a fault until somebody says otherwise. Two in a row are more often
/// the world that moved: were they kept from teaching, every later value would be alarmed as well (21
/// alarms in a hundred clean partitions for 2.5).
fn is_learned(checks: &BTreeMap<&CheckId, &Check>, id: &CheckId) -> bool {
    checks
        .get(id)
        .is_some_and(|c| matches!(c.expect, Expectation::Learned | Expectation::Band { .. }))
}

/// The judged partitions in their order, by key.
struct Neighbours<'a> {
    line: Vec<(&'a str, &'a str)>,
    at: BTreeMap<&'a str, usize>,
}

impl<'a> Neighbours<'a> {
    fn of(known: &'a Known) -> Self {
        let verdicts = known.verdicts.iter().map(|v| &v.partition);
        let mut line: Vec<(&str, &str)> = verdicts
            .map(|p| (p.order.as_str(), p.key.as_str()))
            .collect();
        line.sort_unstable();
        let places = line.iter().enumerate();
        let at = places.map(|(at, (_, key))| (*key, at)).collect();
        Self { line, at }
    }

    /// Whether `check` was broken in the partition before, too.
    fn follows(&self, key: &str, check: &CheckId, broken: &Broken<'_>) -> bool {
        let before = self.at.get(key).and_then(|at| at.checked_sub(1));
        before.is_some_and(|at| has(broken, self.line[at].1, check))
    }

    /// The place of the partition after, where `check` was broken there, too.
    fn next_with(&self, key: &str, check: &CheckId, broken: &Broken<'_>) -> Option<&'a str> {
        let next = self.line.get(self.at.get(key)? + 1)?;
        has(broken, next.1, check).then_some(next.0)
    }
}

fn has(broken: &Broken<'_>, key: &str, check: &CheckId) -> bool {
    broken.get(key).is_some_and(|of| of.contains_key(check))
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
fn shape_of(
    dataset: &Dataset,
    known: &Known,
    partition: &str,
    misshapen: &BTreeSet<&str>,
) -> Reach {
    let key = MetricKey::table(Metric::Schema);
    let points = known.history.iter().find(|(k, _)| *k == key);
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
