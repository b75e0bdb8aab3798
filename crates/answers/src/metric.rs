//! Metrics: their list, and the points of one over partitions.

use crate::schema::described;
use assay_model::outcome::Outcome;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dataset::Partition;
use crate::incident::IncidentWindow;
use crate::value::{Limits, MetricName, Value};

described! {
/// A metric of a dataset with its newest value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricRow {
    /// Its identity.
    #[serde(flatten)]
    pub key: MetricName,
    /// The series of partitions, or empty: each has a history of its own.
    pub series: String,
    /// Stored values among the last 30 partitions.
    pub points: u64,
    /// Its newest value.
    pub newest: Option<Point>,
    /// The values of the last 30 partitions, oldest first, for a small chart; `null` where there is
    /// no number.
    pub spark: Vec<Option<f64>>,
}
}

described! {
/// One value of a metric, or the lack of one, with what it was held against then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// The partition.
    pub partition: String,
    /// Where it lies in data time: the start of the partition; `null` for keys that are no times.
    pub t: Option<Timestamp>,
    /// The series of the partition, or empty.
    pub series: String,
    /// `computed`, `overflow`, `error` also when nothing of the partition could be measured, or
    /// `missing` when it has not come.
    pub status: String,
    /// The value.
    pub value: Value,
    /// Least accepted value, as it was then; `null` is unbounded.
    pub lower: Option<f64>,
    /// The value that was expected.
    pub expected: Option<f64>,
    /// Greatest accepted value, as it was then; `null` is unbounded.
    pub upper: Option<f64>,
    /// The model of the limits (`fixed`, `weekday-median+t5`), or `null` without limits.
    pub model: Option<String>,
    /// The outcome of the check on it: of several, the gravest.
    pub outcome: Option<Outcome>,
    /// The check of the outcome and the limits.
    pub check: Option<String>,
    /// What other checks on the value expect, in words.
    pub also_expected: Vec<String>,
    /// For an estimate, its error relative to the value.
    pub error_bound: Option<f64>,
    /// The version of the partition.
    pub version: String,
    /// The run that judged it.
    pub run_id: Option<String>,
    /// When.
    pub judged_at: Option<Timestamp>,
    /// The digest of the definition that it was judged by.
    pub definition: Option<String>,
}
}

described! {
/// One value of a metric, or the lack of one, with all that it was held against then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastValue {
    /// The partition.
    pub partition: Partition,
    /// The version of the partition.
    pub version: String,
    /// `computed`, `overflow`, `error` also when nothing of the partition could be measured, or
    /// `missing` when it has not come.
    pub status: String,
    /// The value.
    pub value: Value,
    /// For an estimate, its error relative to the value.
    pub error_bound: Option<f64>,
    /// The outcome of the check on it: of several, the gravest.
    pub outcome: Option<Outcome>,
    /// The limits of that check.
    pub limits: Option<Limits>,
    /// What other checks on the value expect, in words.
    pub also_expected: Vec<String>,
}
}

described! {
/// A metric over partitions: an item of `GET /datasets/{id}/history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricSeries {
    /// Its identity.
    pub key: MetricName,
    /// Its values, oldest first; from the first on, partitions that have none are among them.
    pub points: Vec<PastValue>,
}
}

described! {
/// Where another definition began to judge: a marker of a chart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DefinitionChange {
    /// The first partition that the new definition judged.
    pub partition: String,
    /// The digest of the new definition, as runs and verdicts name it.
    pub definition: String,
    /// The version that its document states, where it is still known.
    pub version: Option<String>,
}
}

described! {
/// `GET /datasets/{id}/metrics/{metric}/points`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Points {
    /// The dataset.
    pub dataset: String,
    /// The metric.
    pub key: MetricName,
    /// The values, oldest first; every partition of the range has one, also those that have not
    /// come.
    pub points: Vec<Point>,
    /// Points of the range before they were reduced to `maxPoints`; more than `points` when they
    /// were: then least and greatest of each stretch are left.
    pub total: u64,
    /// Whether older points than the bound of a read were left out: ask with `from` and `to`.
    pub older: bool,
    /// Where the definition changed.
    pub changes: Vec<DefinitionChange>,
    /// Incidents of checks on this metric.
    pub incidents: Vec<IncidentWindow>,
}
}
