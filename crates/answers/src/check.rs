//! Checks and their results, with the limits that applied.

use crate::schema::described;
use assay_model::check::{CheckOrigin, Severity};
use assay_model::outcome::Outcome;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::value::{Limits, MetricName, Value};

described! {
/// The outcome of a check in one partition: a square of its strip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeSquare {
    /// The partition.
    pub partition: String,
    /// How the check ended.
    pub outcome: Outcome,
}
}

described! {
/// A check of a dataset with its newest result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckRow {
    /// Its name; the key of results and incidents.
    pub id: String,
    /// What is measured.
    pub of: MetricName,
    /// How grave a breach is.
    pub severity: Severity,
    /// Where it comes from.
    pub origin: CheckOrigin,
    /// The rule in words (`>= 1000`, `within learned limits`); of one that was never judged, as the
    /// document states it.
    pub rule: String,
    /// The dimension (`completeness`, …), if stated.
    pub dimension: Option<String>,
    /// What it is for, in the owner's words.
    pub description: Option<String>,
    /// The line of the dataset file that declares it, from 1.
    pub line: Option<u32>,
    /// Labels.
    pub tags: Vec<String>,
    /// Its newest result, of several series the gravest of their newest ones; `null` before the first.
    pub newest: Option<CheckResult>,
    /// Its last 30 outcomes, oldest first.
    pub strip: Vec<OutcomeSquare>,
    /// Whether the definition in force has it; one that it lost keeps its results.
    pub in_force: bool,
}
}

described! {
/// The result of one check on one partition version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// The partition.
    pub partition: String,
    /// The series of the partition, or empty.
    pub series: String,
    /// The version that was judged.
    pub version: String,
    /// The run that issued it.
    pub run_id: String,
    /// When.
    pub judged_at: Timestamp,
    /// The check.
    pub check: String,
    /// What is measured.
    pub of: MetricName,
    /// The metric's name alone.
    pub metric: String,
    /// The column, or empty.
    pub column: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The check's severity at the time.
    pub severity: Severity,
    /// Where the check comes from.
    pub origin: CheckOrigin,
    /// The measured value.
    pub actual: Value,
    /// For an estimate, its error relative to the value.
    pub error_bound: Option<f64>,
    /// What was expected, in words.
    pub expected: String,
    /// The limits that applied, where the check has numeric ones.
    pub limits: Option<Limits>,
    /// Why, for people.
    pub reason: Option<String>,
    /// What a reader must know of the value.
    pub note: Option<String>,
    /// Rows that break the rule, where the owner lets some be shown; without what is masked.
    pub samples: Vec<serde_json::Value>,
}
}
