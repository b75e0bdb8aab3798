//! What people answered, as it bears on the values of a partition.
//!
//! Comes in: the answers in force and the order of the partitions. Goes out: for one metric of one
//! partition, whether it was marked as normal, excluded, or left behind by a new normal, and which
//! alarms are settled by that. It must never take an answer about one series for one about another.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use assay_model::feedback::{Answered, FeedbackKind, FeedbackScope};
use assay_model::metric::MetricKey;
use assay_model::partition::Partition;
use jiff::Timestamp;
use jiff::civil::Date;

/// Places of partitions in their order, by key.
#[derive(Debug, Clone)]
pub struct Places<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Places<'a> {
    /// The places of the partitions of a ledger, as [`crate::Known::order`] gives them.
    #[must_use]
    pub const fn new(order: BTreeMap<&'a str, &'a str>) -> Self {
        Self(order)
    }

    /// Where `partition` lies as seen from `bound`. A bound that is no known key is a day, whatever
    /// the parts of the key, or else compared as it is written.
    #[must_use]
    pub fn compare(&self, partition: &Partition, bound: &str) -> Ordering {
        match (self.0.get(bound), partition.date, bound.parse::<Date>()) {
            (None, Some(date), Ok(day)) => date.cmp(&day),
            (place, ..) => partition
                .order
                .as_str()
                .cmp(place.copied().unwrap_or(bound)),
        }
    }

    /// The place of a partition by its key.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }
}

/// An alarm on record.
#[derive(Debug, Clone, Copy)]
pub struct Alarm<'a> {
    /// What the broken check measures; absent where the check is not known any more.
    pub metric: Option<&'a MetricKey>,
    /// Whether the check holds values against the past: against limits learned from it, or its shape.
    pub by_past: bool,
    /// Whether the check is about the partition as a whole, whatever its metric.
    pub whole: bool,
    /// When it was raised; absent where that is not known.
    pub at: Option<Timestamp>,
}

/// The answers in force.
#[derive(Debug, Clone)]
pub struct Answers<'a> {
    of: Vec<&'a Answered>,
    places: Places<'a>,
}

impl<'a> Answers<'a> {
    /// Those of `answered` that are in force.
    #[must_use]
    pub fn new(answered: impl IntoIterator<Item = &'a Answered>, places: Places<'a>) -> Self {
        let in_force = answered.into_iter().filter(|answer| answer.in_force());
        Self {
            of: in_force.collect(),
            places,
        }
    }

    /// The places of partitions.
    #[must_use]
    pub const fn places(&self) -> &Places<'a> {
        &self.places
    }

    /// The answers of a kind that are about this partition's series.
    fn about<'s>(
        &'s self,
        kind: FeedbackKind,
        partition: &'s Partition,
    ) -> impl Iterator<Item = &'a Answered> + 's {
        let of = self.of.iter().copied();
        of.filter(move |answer| {
            let series = answer.series.as_ref();
            answer.kind == kind && series.is_none_or(|series| *series == partition.series)
        })
    }

    fn marks<'s>(&'s self, partition: &'s Partition) -> impl Iterator<Item = &'a Answered> + 's {
        self.about(FeedbackKind::MarkAsNormal, partition)
            .filter(|answer| answer.from == partition.key)
    }

    /// What was marked as normal in `partition`.
    #[must_use]
    pub fn normal(&self, partition: &Partition) -> Vec<&'a FeedbackScope> {
        self.marks(partition).map(|answer| &answer.scope).collect()
    }

    /// What was excluded of `partition`.
    #[must_use]
    pub fn excluded(&self, partition: &Partition) -> Vec<&'a FeedbackScope> {
        let windows = self.about(FeedbackKind::ExcludeWindow, partition);
        let around = windows.filter(|answer| {
            let to = answer.to.as_ref().unwrap_or(&answer.from);
            self.places.compare(partition, answer.from.as_str()).is_ge()
                && self.places.compare(partition, to.as_str()).is_le()
        });
        around.map(|answer| &answer.scope).collect()
    }

    /// What of `partition` is left behind by a new normal when `judged` is judged: the normal begins
    /// after the one, and not after the other.
    #[must_use]
    pub fn left_behind(&self, partition: &Partition, judged: &Partition) -> Vec<&'a FeedbackScope> {
        let normals = self.about(FeedbackKind::TrainAsNewNormal, partition);
        let between = normals.filter(|answer| {
            let from = answer.from.as_str();
            self.places.compare(partition, from).is_lt()
                && self.places.compare(judged, from).is_ge()
        });
        between.map(|answer| &answer.scope).collect()
    }

    /// What is a new normal in `partition`, and since when that is told: alarms from before that, about
    /// the change, keep none of it from teaching.
    #[must_use]
    pub fn renewed(&self, partition: &Partition) -> Vec<(&'a FeedbackScope, Timestamp)> {
        let normals = self.about(FeedbackKind::TrainAsNewNormal, partition);
        let begun =
            normals.filter(|answer| self.places.compare(partition, answer.from.as_str()).is_ge());
        begun.map(|answer| (&answer.scope, answer.at)).collect()
    }

    /// Whether an alarm in `partition` keeps nothing from teaching any more: it was marked as
    /// normal, or a new normal begins there or before and was told after the alarm. An alarm that is
    /// raised under the new normal is one.
    #[must_use]
    pub fn settles(&self, partition: &Partition, alarm: Alarm<'_>) -> bool {
        let covers = |scope: &FeedbackScope| match (scope, alarm.metric) {
            (FeedbackScope::Dataset, _) => true,
            (scope, Some(key)) if !alarm.whole => scope.covers(key),
            _ => false,
        };
        let marked = self.marks(partition).any(|answer| covers(&answer.scope));
        let renewed = || {
            let normals = self.renewed(partition);
            let told_after = |at: &Timestamp| alarm.at.is_some_and(|raised| raised <= *at);
            normals
                .iter()
                .any(|(scope, at)| covers(scope) && told_after(at))
        };
        marked || (alarm.by_past && renewed())
    }
}

/// Whether the verdict on `judged` rests on what this answer says: it may be another one when it is
/// kept or withdrawn.
#[must_use]
pub fn bears_on(answer: &Answered, judged: &Partition, places: &Places<'_>) -> bool {
    let of_series = answer.series.as_ref();
    let from = places.compare(judged, answer.from.as_str());
    of_series.is_none_or(|series| *series == judged.series)
        && match answer.kind {
            // A partition is never in its own training set.
            FeedbackKind::MarkAsNormal | FeedbackKind::ExcludeWindow => from.is_gt(),
            FeedbackKind::TrainAsNewNormal => from.is_ge(),
        }
}
