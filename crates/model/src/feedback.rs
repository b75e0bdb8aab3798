//! What people answer back to the judge, and what it would have alerted on.
//!
//! Three answers, with the same names everywhere: *mark as normal*, *train as new normal from here*,
//! *exclude this window*. They change what limits are learned from, and so later verdicts; a verdict
//! that was issued stays as it is.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{CheckId, DatasetId, InvalidId};
use crate::metric::{MetricKey, MetricValue};
use crate::outcome::Outcome;
use crate::partition::PartitionKey;

crate::words! {
    /// What is answered.
    pub enum FeedbackKind {
        /// The alarm on a partition was no fault: its values teach as any others do.
        MarkAsNormal = "mark_as_normal",
        /// From a partition on things are as they shall be: what lies before it teaches nothing
        /// there, and alarms about the change do not keep the new values from teaching.
        TrainAsNewNormal = "train_as_new_normal",
        /// The partitions of a window teach nothing, and a backtest counts them apart.
        ExcludeWindow = "exclude_window",
    }
}

impl FeedbackKind {
    /// The name for people.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::MarkAsNormal => "mark as normal",
            Self::TrainAsNewNormal => "train as new normal from here",
            Self::ExcludeWindow => "exclude this window",
        }
    }
}

/// The id of an answer. Shown as `fb_` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FeedbackId(pub Uuid);

impl fmt::Display for FeedbackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fb_{}", self.0.simple())
    }
}

impl FromStr for FeedbackId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix("fb_")
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(Self)
            .ok_or_else(|| InvalidId {
                kind: "feedback id",
                text: text.to_owned(),
                rule: "a feedback id is `fb_` and 32 hex digits",
            })
    }
}

impl TryFrom<String> for FeedbackId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<FeedbackId> for String {
    fn from(id: FeedbackId) -> Self {
        id.to_string()
    }
}

/// What an answer is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackScope {
    /// Everything that is measured of the dataset.
    Dataset,
    /// Every metric of this column.
    Column(String),
    /// This metric.
    Metric(MetricKey),
}

impl FeedbackScope {
    /// Whether the metric is in the scope.
    #[must_use]
    pub fn covers(&self, key: &MetricKey) -> bool {
        match self {
            Self::Dataset => true,
            // A compound key joins its columns by commas; so may a name.
            Self::Column(column) => {
                key.column == *column || key.column.split(',').any(|part| part == column)
            }
            Self::Metric(metric) => key == metric,
        }
    }
}

impl fmt::Display for FeedbackScope {
    /// `every metric`, `column amount`, `sum(amount)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset => f.write_str("every metric"),
            Self::Column(column) => write!(f, "column {column}"),
            Self::Metric(key) => write!(f, "{key}"),
        }
    }
}

/// That an answer was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    /// Who took it back.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// An answer, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Its id.
    pub id: FeedbackId,
    /// The dataset.
    pub dataset: DatasetId,
    /// What is answered.
    pub kind: FeedbackKind,
    /// What it is about.
    pub scope: FeedbackScope,
    /// The series of the partitions it is about (empty where the dataset is one); absent: all.
    #[serde(default)]
    pub series: Option<String>,
    /// The partition, or the first one: the key of one, or a day.
    pub from: PartitionKey,
    /// The last partition of a window.
    #[serde(default)]
    pub to: Option<PartitionKey>,
    /// Who answered.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// That it was taken back; it is in force until then.
    #[serde(default)]
    pub withdrawn: Option<Withdrawal>,
}

impl Answered {
    /// Whether it counts.
    #[must_use]
    pub const fn in_force(&self) -> bool {
        self.withdrawn.is_none()
    }

    /// When it last changed what is learned.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        self.withdrawn.as_ref().map_or(self.at, |how| how.at)
    }
}

impl fmt::Display for Answered {
    /// `train as new normal from here: sum(amount), from 2026-11-03`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (phrase, scope, from) = (self.kind.phrase(), &self.scope, &self.from);
        match (self.kind, &self.to) {
            (FeedbackKind::MarkAsNormal, _) => write!(f, "{phrase}: {scope} of {from}"),
            (FeedbackKind::TrainAsNewNormal, _) => write!(f, "{phrase}: {scope}, from {from}"),
            (FeedbackKind::ExcludeWindow, Some(to)) => {
                write!(f, "{phrase}: {scope}, {from} to {to}")
            }
            (FeedbackKind::ExcludeWindow, None) => write!(f, "{phrase}: {scope} of {from}"),
        }
    }
}

/// What the judge would have alerted on, before and after an answer: the one typed answer that is
/// shown as text, as JSON and on pages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backtest {
    /// Partitions that were judged over again, each by what lies before it.
    pub partitions: u32,
    /// The first of them, in their order.
    pub first: Option<PartitionKey>,
    /// The last of them.
    pub last: Option<PartitionKey>,
    /// Series of the dataset that were looked at.
    pub series: u32,
    /// Series that the bound left out.
    pub series_left_out: u32,
    /// By the answers that are in force.
    pub before: Alerts,
    /// By those and the one that is asked about.
    pub after: Alerts,
}

/// What would have been alerted on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alerts {
    /// Partitions of which something in the scope could be judged.
    pub judged: u32,
    /// Partitions of which nothing in the scope could be judged, for too little history.
    pub learning: u32,
    /// Partitions that the owner excluded.
    pub excluded: u32,
    /// Partitions with an alert, in their order.
    pub partitions: Vec<PartitionKey>,
    /// The alerts on what is in the scope of the answer, in the order of the partitions.
    pub alerts: Vec<Alert>,
    /// Alerts on other metrics of the same partitions.
    pub elsewhere: u32,
}

/// One check that would have been broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// The partition.
    pub partition: PartitionKey,
    /// The check.
    pub check: CheckId,
    /// What it measures.
    pub metric: MetricKey,
    /// `warn` or `fail`.
    pub outcome: Outcome,
    /// The value.
    pub value: MetricValue,
    /// Least accepted value; absent: unbounded.
    pub lower: Option<f64>,
    /// The value expected.
    pub expected: Option<f64>,
    /// Greatest accepted value; absent: unbounded.
    pub upper: Option<f64>,
    /// Whether the owner marked it as normal: it alerts, and teaches all the same.
    pub marked_as_normal: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Metric;

    #[test]
    fn a_column_covers_its_metrics_and_the_keys_it_is_part_of() {
        let scope = FeedbackScope::Column("id".to_owned());
        assert!(scope.covers(&MetricKey::column(Metric::Sum, "id")));
        assert!(scope.covers(&MetricKey::column(Metric::DuplicateCount, "day,id")));
        assert!(!scope.covers(&MetricKey::column(Metric::Sum, "idle")));
        assert!(!scope.covers(&MetricKey::table(Metric::RowCount)));
    }

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = FeedbackId(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<FeedbackId>().unwrap(), id);
        assert!("run_00".parse::<FeedbackId>().is_err());
        assert!("fb_xyz".parse::<FeedbackId>().is_err());
    }
}
