//! The past of a dataset as the judge takes it: one point per metric and partition.
//!
//! Comes in: the values that are stored of the partitions before the judged one, and which of them
//! teach. Goes out: for each metric its history, every one ending with the previous partition. It
//! must never hand the judged partition on, or one after it.

use assay_judge::{History, Point};
use assay_model::history::{HistoryPoint, MetricHistory};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus};
use assay_model::partition::{Partition, PartitionKey};

use crate::teaches::{Lesson, Teaches};

/// The partitions of a history, and where the values of each of them lie.
pub struct Line<'a> {
    history: &'a MetricHistory,
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
        let is_before = |p: &&Partition| p.order < judged.order && p.key != judged.key;
        let mut before: Vec<(&Partition, usize)> = read
            .iter()
            .enumerate()
            .filter_map(|(at, partition)| Some((partition.filter(is_before)?, at)))
            .collect();
        before.sort_unstable();
        let mut places = vec![None; read.len()];
        for (place, (_, at)) in before.iter().enumerate() {
            places[*at] = Some(place);
        }
        let mut line = Self {
            history,
            judged,
            partitions: before.into_iter().map(|(partition, _)| partition).collect(),
            places,
            rows: Vec::new(),
        };
        let row_count = MetricKey::table(Metric::RowCount);
        let counts = history.iter().find(|(key, _)| *key == row_count);
        let counts = counts.map(|(_, points)| &points[..]).unwrap_or_default();
        line.rows = line.laid(counts, |point| point.value.as_f64()).0;
        line
    }

    /// The histories of all metrics.
    #[must_use]
    pub fn histories(&self, teaches: &Teaches<'_>) -> Vec<History> {
        let before = self.partitions.iter();
        let lessons: Vec<Lesson<'_>> = before.map(|p| teaches.of(p, self.judged)).collect();
        let metrics = self.history.iter();
        metrics
            .map(|(key, points)| self.history_of(key, points, &lessons))
            .collect()
    }

    /// One point per partition from the metric's first one on, whether or not the metric had a
    /// value there.
    fn history_of(&self, key: &MetricKey, points: &[HistoryPoint], lessons: &[Lesson]) -> History {
        let (values, first) = self.laid(points, |point| {
            let computed = point.status == MetricStatus::Computed;
            point.value.as_f64().filter(|_| computed)
        });
        let points = (first..values.len()).map(|place| Point {
            value: values[place],
            eligible: lessons[place].teaches(key),
            date: self.partitions[place].date,
            rows: self.rows[place],
        });
        History {
            key: key.clone(),
            points: points.collect(),
            held_back: lessons[first..]
                .iter()
                .filter_map(|lesson| lesson.held_back(key))
                .collect(),
        }
    }

    /// What `value` says of each partition that has a point, and the place of the first of them.
    fn laid(
        &self,
        points: &[HistoryPoint],
        value: impl Fn(&HistoryPoint) -> Option<f64>,
    ) -> (Vec<Option<f64>>, usize) {
        let mut values = vec![None; self.partitions.len()];
        let mut first = values.len();
        for point in points {
            if let Some(place) = self.places[point.at] {
                values[place] = value(point);
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
