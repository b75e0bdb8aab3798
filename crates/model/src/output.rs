//! What a task gives: committed in one transaction with its completion.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::incident::{Incident, OutboxEntry};
use crate::ledger::{LedgerState, Sighting};
use crate::metric::MetricPoint;
use crate::outcome::{CheckResult, OutcomeCounts};
use crate::partition::{Partition, PartitionKey, PartitionVersion};
use crate::task::{EvaluateSpec, MeasureSpec};

/// The output of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskOutput {
    /// Of a discovery.
    Discovered(Discovery),
    /// Of a measurement.
    Measured(Vec<MeasuredPartition>),
    /// Of an evaluation.
    Evaluated(Box<Evaluation>),
}

/// What a discovery found, and the plan that follows from it.
///
/// Task numbers: the measurements are 1 to m in order, the evaluations m + 1 to m + e in the
/// order of their partitions.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Discovery {
    /// What the ledger learns. Unchanged partitions are left out.
    pub sightings: Vec<Sighting>,
    /// Partitions that are as they were.
    pub unchanged: u64,
    /// The batches to measure.
    pub measures: Vec<MeasureSpec>,
    /// The partitions to judge, in key order.
    pub evaluations: Vec<EvaluateSpec>,
    /// Objects that belong to no partition, with the reason: shown, never silent.
    #[serde(default)]
    pub ignored: Vec<String>,
}

/// A batch's state of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeasuredPartition {
    /// The partition.
    pub partition: PartitionKey,
    /// Rows of it in the batch.
    pub rows: u64,
    /// The encoded metric state.
    pub state: Vec<u8>,
}

/// The verdict on one partition version with all it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The partition.
    pub partition: Partition,
    /// The version that was judged.
    pub version: PartitionVersion,
    /// Whether it was complete.
    pub sealed: bool,
    /// The ledger's state after it.
    pub state: LedgerState,
    /// Its metrics.
    pub metrics: Vec<MetricPoint>,
    /// One result per check.
    pub results: Vec<CheckResult>,
    /// Their counts.
    pub counts: OutcomeCounts,
    /// Incidents as they stand after it: opened, continued, resolved.
    pub incidents: Vec<Incident>,
    /// What is to be told.
    pub outbox: Vec<OutboxEntry>,
    /// When it was judged.
    pub judged_at: Timestamp,
}
