//! What is stored of the past of a dataset: values, verdicts, and the checks that were broken.
//!
//! Comes in: rows of a store. Goes out: the vocabulary that the judge's past is made of. Nothing
//! here reads anything.

use std::sync::Arc;

use jiff::Timestamp;

use crate::ids::{CheckId, RunId};
use crate::metric::{MetricKey, MetricStatus, MetricValue};
use crate::outcome::OutcomeCounts;
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
