//! The past of a dataset as the judge takes it: one point per metric and partition.
//!
//! Comes in: the values that are stored of the partitions before the judged one, and which of them
//! teach. Goes out: for each metric its history, every one ending with the previous partition. It
//! must never hand the judged partition on, or one after it.

use std::borrow::Cow;

use assay_judge::{History, Point};
use assay_model::history::{HistoryPoint, MetricHistory};
use assay_model::metric::{Metric, MetricKey, MetricPoint};
use assay_model::partition::{Partition, PartitionKey};

use crate::numbers::{self, Number, Numbers, OfMetric};
use crate::teaches::{Lesson, Teaches};

/// The partitions of a history, and where the values of each of them lie.
pub struct Line<'a> {
    history: &'a MetricHistory,
    /// In the order of the history's metrics.
    numbers: Cow<'a, [OfMetric]>,
    judged: &'a Partition,
    /// The partitions before the judged one, in their order.
    pub partitions: Vec<&'a Partition>,
    /// By the place of a partition among those that were read: its place among `partitions`.
    places: Vec<Option<usize>>,
    /// By its place among `partitions`: how many rows it has, where that is known.
    rows: Vec<Option<f64>>,
}

impl<'a> Line<'a> {
    /// What lies before `judged`.
    #[must_use]
    pub fn of(history: &'a MetricHistory, judged: &'a Partition) -> Self {
        let mut read: Vec<Option<&Partition>> = Vec::new();
        for point in history.iter().flat_map(|(_, points)| points) {
            if read.len() <= point.at {
                read.resize(point.at + 1, None);
            }
            read[point.at] = Some(&*point.partition);
        }
        let read = read.into_iter().enumerate();
        let read = read.filter_map(|(at, partition)| Some((partition?, at)));
        Self::new(history, Cow::Owned(numbers::of_all(history)), read, judged)
    }

    /// The same, of a history whose numbers are known.
    #[must_use]
    pub fn known(history: &'a MetricHistory, numbers: &'a Numbers, judged: &'a Partition) -> Self {
        let read = numbers.partitions.iter();
        let read = read.map(|(at, partition)| (&**partition, *at));
        Self::new(history, Cow::Borrowed(&numbers.by_metric), read, judged)
    }

    fn new(
        history: &'a MetricHistory,
        numbers: Cow<'a, [OfMetric]>,
        read: impl Iterator<Item = (&'a Partition, usize)>,
        judged: &'a Partition,
    ) -> Self {
        let mut places = Vec::new();
        let is_before = |p: &&Partition| p.order < judged.order && p.key != judged.key;
        let read = read.inspect(|(_, at)| places.resize(places.len().max(at + 1), None));
        let mut before: Vec<(&Partition, usize)> =
            read.filter(|(partition, _)| is_before(partition)).collect();
        before.sort_unstable();
        for (place, (_, at)) in before.iter().enumerate() {
            places[*at] = Some(place);
        }
        let mut line = Self {
            history,
            numbers,
            judged,
            partitions: before.into_iter().map(|(partition, _)| partition).collect(),
            places,
            rows: Vec::new(),
        };
        let row_count = MetricKey::table(Metric::RowCount);
        let counts = history.iter().position(|(key, _)| *key == row_count);
        let counts = counts.and_then(|at| line.numbers.get(at));
        line.rows = match counts {
            Some(counts) => line.laid(counts, |count| count.value).0,
            None => vec![None; line.partitions.len()],
        };
        line
    }

    /// The histories of all metrics.
    #[must_use]
    pub fn histories(&self, teaches: &Teaches<'_>) -> Vec<History> {
        let before = self.partitions.iter();
        let lessons: Vec<Lesson<'_>> = before.map(|p| teaches.of(p, self.judged)).collect();
        let suspect = lessons.iter().enumerate();
        let suspect = suspect.filter(|(_, lesson)| lesson.is_suspect());
        let suspect: Vec<usize> = suspect.map(|(place, _)| place).collect();
        let metrics = self.history.iter().zip(&*self.numbers);
        metrics
            .map(|((key, _), numbers)| self.history_of(key, numbers, &lessons, &suspect))
            .collect()
    }

    /// One point per partition from the metric's first one on, whether or not the metric had a
    /// value there. `suspect` are the places of the lessons of which a check was broken.
    fn history_of(
        &self,
        key: &MetricKey,
        numbers: &OfMetric,
        lessons: &[Lesson<'_>],
        suspect: &[usize],
    ) -> History {
        let (values, first) = self.laid(numbers, |number| number.value.filter(|_| number.computed));
        let points = (first..values.len()).map(|place| Point {
            value: values[place],
            eligible: lessons[place].teaches(key),
            date: self.partitions[place].date,
            rows: self.rows[place],
        });
        History {
            key: key.clone(),
            points: points.collect(),
            held_back: suspect
                .iter()
                .filter(|place| **place >= first)
                .filter_map(|place| lessons[*place].held_back(key))
                .collect(),
        }
    }

    /// What `value` says of each partition that has a number, and the place of the first of them.
    fn laid(
        &self,
        numbers: &OfMetric,
        value: impl Fn(&Number) -> Option<f64>,
    ) -> (Vec<Option<f64>>, usize) {
        let mut values = vec![None; self.partitions.len()];
        let mut first = values.len();
        for number in numbers {
            if let Some(place) = self.places[number.at] {
                values[place] = value(number);
                first = first.min(place);
            }
        }
        (values, first)
    }
}

/// The stored metrics of one partition, without what is to be said of them.
#[must_use]
pub fn points_of(history: &MetricHistory, key: &PartitionKey) -> Vec<MetricPoint> {
    let of = |(metric, points): &(MetricKey, Vec<HistoryPoint>)| {
        let point = points.iter().find(|p| p.partition.key == *key)?;
        Some(MetricPoint {
            key: metric.clone(),
            status: point.status,
            value: point.value.clone(),
            error_bound: point.error_bound,
            note: None,
        })
    };
    history.iter().filter_map(of).collect()
}

/// A place right behind `partition` in its series: what comes before it ends with `partition`.
#[must_use]
pub fn just_after(partition: &Partition) -> Partition {
    let mut after = partition.clone();
    after.key.0.push('\u{1}');
    after
}
