//! Datasets: a row of their list, and one in full.

use crate::schema::described;
use assay_model::dataset::DatasetStatus;
use assay_model::ledger::LedgerState;
use assay_model::outcome::Health;
use assay_model::run::{RunState, Trigger};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::check::{CheckResult, CheckRow};
use crate::incident::Incident;
use crate::problem::Diagnostic;
use crate::value::Counts;

described! {
/// A partition: its key, and the data time it covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Partition {
    /// The identity, in canonical spelling.
    pub key: String,
    /// The series that it belongs to (`region=eu`), or empty.
    pub series: String,
    /// The first day of data time covered, for keys that are times.
    pub date: Option<Date>,
    /// The first instant of data time covered.
    pub start: Option<Timestamp>,
    /// The first instant after it.
    pub end: Option<Timestamp>,
}
}

described! {
/// The newest run of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// The run.
    pub id: String,
    /// Where it is.
    pub state: RunState,
    /// What started it.
    pub trigger: Trigger,
    /// The outcomes of its checks.
    pub counts: Counts,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
}

described! {
/// One judged partition, or one that has not come: a square of a dataset's strip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Square {
    /// The partition.
    pub partition: String,
    /// What its outcomes mean in one word.
    pub health: Health,
    /// The outcomes of its checks.
    pub counts: Counts,
    /// The run that judged it.
    pub run_id: String,
    /// When.
    pub judged_at: Timestamp,
}
}

described! {
/// The rows of one partition: a point of a sparkline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// The partition.
    pub partition: String,
    /// Its rows, exactly; `null` where they are not known.
    pub rows: Option<String>,
}
}

described! {
/// A dataset in a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetRow {
    /// Its stable name.
    pub id: String,
    /// A name for people.
    pub name: Option<String>,
    /// The version that its document states.
    pub version: String,
    /// Where its definition is in its life.
    pub status: DatasetStatus,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// Checks that it declares.
    pub checks: u64,
    /// When it runs, as in cron.
    pub schedule: Option<String>,
    /// Its next slot.
    pub next_run: Option<Timestamp>,
    /// Where its document is kept.
    pub file: String,
    /// The digest of its document: its ETag.
    pub digest: String,
    /// The digest of what the document defines, as runs and verdicts name it.
    pub definition: String,
    /// Whether the document has become invalid since, so that this version is kept in force.
    pub kept: bool,
    /// Its health in one word: that of the newest judged partition of each of its series, or of its
    /// gravest open incident where that is worse.
    pub health: Health,
    /// The outcomes of the newest judged partition of each of its series: `pass` of `planned`.
    pub counts: Counts,
    /// Its newest run.
    pub last_run: Option<LastRun>,
    /// Its last 14 judged partitions, oldest first.
    pub strip: Vec<Square>,
    /// The rows of the same partitions.
    pub rows: Vec<Rows>,
    /// Its open incidents.
    pub open_incidents: u64,
}
}

described! {
/// A document of the registry that defines nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvalidDocument {
    /// Where it is kept.
    pub file: String,
    /// Whether the file is valid, and only not run by this version.
    pub valid: bool,
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
}
}

described! {
/// `GET /datasets`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetList {
    /// The datasets.
    pub items: Vec<DatasetRow>,
    /// What to send as `cursor` for those that follow; `null` when these were the last.
    pub next_cursor: Option<String>,
    /// How many datasets the filters leave.
    pub total: Option<u64>,
    /// Documents that define nothing, whatever the filters.
    pub invalid: Vec<InvalidDocument>,
}
}

described! {
/// A column of the definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The type that the document declares, or `null`.
    pub logical_type: Option<String>,
    /// Whether NULL is forbidden.
    pub required: bool,
    /// Whether duplicates are forbidden.
    pub unique: bool,
    /// Whether its values are never shown.
    pub masked: bool,
}
}

described! {
/// Where incidents of a dataset are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// The channel (`#orders-quality`, an address).
    pub channel: String,
    /// The tool (`slack`, `email`, `webhook`).
    pub tool: String,
}
}

described! {
/// A row of the partition ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionRow {
    /// The partition.
    pub partition: Partition,
    /// Where it is in its life.
    pub state: LedgerState,
    /// The newest version seen.
    pub version: String,
    /// The version last judged.
    pub judged: Option<String>,
    /// How many versions were judged, counting from 1.
    pub revision: u32,
    /// Objects of the newest version.
    pub objects: u64,
    /// Their bytes, as stored.
    pub bytes: u64,
    /// When it was first seen, or first found missing.
    pub first_seen: Timestamp,
    /// When its objects last changed.
    pub last_modified: Option<Timestamp>,
    /// The counts of its last verdict.
    pub counts: Option<Counts>,
}
}

described! {
/// `GET /datasets/{id}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatasetDetail {
    /// What the list says of it.
    #[serde(flatten)]
    pub row: DatasetRow,
    /// Its health in a sentence.
    pub words: String,
    /// Where its data is, without a secret.
    pub source: String,
    /// The time zone of its schedule and its data.
    pub time_zone: String,
    /// Channels that its document names.
    pub channels: Vec<Channel>,
    /// Columns that its document declares.
    pub columns: Vec<Column>,
    /// Checks that its document declares and those that were judged, with their newest results:
    /// failing ones first, then by column.
    pub check_rows: Vec<CheckRow>,
    /// Checks that the bound left out of `checkRows`.
    pub checks_left_out: u64,
    /// Results in force that need a look, gravest first, at most 500: of every partition, not only
    /// of the newest.
    pub findings: Vec<CheckResult>,
    /// How many more there are.
    pub findings_left_out: u64,
    /// The newest partition of which rows were seen.
    pub newest_partition: Option<Partition>,
    /// When its newest data last changed where it lies.
    pub data_changed_at: Option<Timestamp>,
    /// Its partitions, by state, in the ledger.
    pub partitions: u64,
    /// Partitions that were expected and have not come.
    pub missing_partitions: u64,
    /// Its open incidents.
    pub incidents: Vec<Incident>,
}
}
