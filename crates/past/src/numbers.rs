//! The numbers of a history, read from their digits once for all judgements that look at them.
//!
//! Comes in: stored values, in the order of the partitions. Goes out: the same as numbers, and the
//! partitions that they are of. It must never hold another value than the history has.

use std::collections::VecDeque;
use std::sync::Arc;

use assay_model::history::{HistoryPoint, MetricHistory};
use assay_model::metric::MetricStatus;
use assay_model::partition::Partition;

/// A value of the past as a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    /// [`HistoryPoint::at`].
    pub(crate) at: usize,
    /// `None` where it is none.
    pub(crate) value: Option<f64>,
    /// Whether it could be computed.
    pub(crate) computed: bool,
}

impl Number {
    pub(crate) fn of(point: &HistoryPoint) -> Self {
        Self {
            at: point.at,
            value: point.value.as_f64(),
            computed: point.status == MetricStatus::Computed,
        }
    }
}

/// The numbers of one metric, oldest first.
pub(crate) type OfMetric = VecDeque<Number>;

/// The numbers of a history that moves on.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// The partitions that have values, and where their values are.
    pub(crate) partitions: VecDeque<(usize, Arc<Partition>)>,
    /// In the order of the history's metrics.
    pub(crate) by_metric: Vec<OfMetric>,
}

impl Numbers {
    /// Takes a metric in whose place in the history is `place`.
    pub(crate) fn insert(&mut self, place: usize, first: Number) {
        self.by_metric.insert(place, VecDeque::from([first]));
    }

    /// Takes the values up to those at `newest` out, and metrics that have none besides.
    pub(crate) fn forget(&mut self, newest: usize) {
        for numbers in &mut self.by_metric {
            let old = numbers.partition_point(|number| number.at <= newest);
            numbers.drain(..old);
        }
        self.by_metric.retain(|numbers| !numbers.is_empty());
        let old = self.partitions.partition_point(|(at, _)| *at <= newest);
        self.partitions.drain(..old);
    }
}

/// The numbers of a history that stays as it is.
pub(crate) fn of_all(history: &MetricHistory) -> Vec<OfMetric> {
    let metrics = history.iter();
    metrics
        .map(|(_, points)| points.iter().map(Number::of).collect())
        .collect()
}
