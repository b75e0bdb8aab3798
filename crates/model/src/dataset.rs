//! A dataset's definition, as everything behind the contract sees it.
//!
//! The contract crate makes one from an ODCS document. Policies have defaults, so that a short
//! document is a whole definition.

use serde::{Deserialize, Serialize};

use crate::check::Check;
use crate::ids::DatasetId;
use crate::metric::Metric;
use crate::source::yes;
pub use crate::source::{
    Bucket, BucketStore, Credential, Database, DatabaseKind, Format, FormatKind, Location, Source,
    StorageMode, StoragePolicy, VersionBy,
};

crate::words! {
    /// Where a definition is in its life.
    pub enum DatasetStatus {
        /// Being written; runs by hand only.
        Draft = "draft",
        /// In force.
        Active = "active",
        /// In force, to be replaced.
        Deprecated = "deprecated",
        /// No longer run; its history stays.
        Retired = "retired",
    }
}

impl DatasetStatus {
    /// Why nothing of a dataset is judged by itself, for its owner; `None` where it is.
    #[must_use]
    pub const fn not_by_itself(self) -> Option<&'static str> {
        match self {
            Self::Draft => {
                Some("a draft: judged only by hand until its file says `status: active`")
            }
            Self::Retired => Some("retired: nothing of it is judged any more; its history stays"),
            Self::Active | Self::Deprecated => None,
        }
    }
}

/// A dataset's definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its stable name.
    pub id: DatasetId,
    /// The version that the document states.
    pub version: String,
    /// Where it is in its life.
    pub status: DatasetStatus,
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// The tenant that it belongs to.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Who is told.
    #[serde(default)]
    pub subscribers: Vec<Subscriber>,
    /// Labels.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Where the data is and how it is written.
    pub source: Source,
    /// Other servers of the document, which checks between datasets read; their names are the
    /// names of tables there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Source>,
    /// Whether it is checked where it lies, or on a copy in our own storage.
    #[serde(default, skip_serializing_if = "StoragePolicy::is_default")]
    pub storage: StoragePolicy,
    /// How it falls into partitions.
    pub partitions: Partitioning,
    /// The columns that the document declares; the data may have more.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// The rules, in the order of the document, with those implied by columns.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What is measured without a rule, and judged by learned limits.
    #[serde(default)]
    pub profile: Profile,
    /// How limits are learned.
    #[serde(default)]
    pub limits: LimitPolicy,
    /// When and how it runs.
    #[serde(default)]
    pub run: RunPolicy,
    /// How it is read.
    #[serde(default)]
    pub scan: ScanPolicy,
}

impl Dataset {
    /// The checks for which the rows themselves are read: the owner's queries, metrics of filtered
    /// rows, and rules of which broken rows are shown.
    pub fn asking(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| {
            let asks = check.metric.metric.is_of_query() || !check.metric.filter.is_empty();
            (asks || self.shows_rows(check))
                && !matches!(check.expect, crate::check::Expectation::NotRunHere { .. })
        })
    }

    /// Whether rows that break this check are shown with it.
    #[must_use]
    pub fn shows_rows(&self, check: &Check) -> bool {
        self.scan.sample_rows > 0 && check.metric.metric.is_of_single_rows()
    }

    /// Whether the values of a column are not shown: names are held against each other as SQL does,
    /// whatever the case of their letters, so that no spelling shows what another one hides.
    #[must_use]
    pub fn is_masked(&self, column: &str) -> bool {
        let name = column.to_lowercase();
        let mut masked = self.columns.iter().filter(|column| column.masked);
        masked.any(|column| column.name.to_lowercase() == name)
    }

    /// A digest of the whole definition: equal digests mean equal definitions.
    #[must_use]
    pub fn digest(&self) -> String {
        hex(self)
    }

    /// A digest of what values are read and measured by: where equal ones agree in a metric's
    /// identity, they agree in its value.
    #[must_use]
    pub fn reading_digest(&self) -> String {
        let columns: Vec<_> = self
            .columns
            .iter()
            .map(|c| (&c.name, c.logical_type, &c.physical_type, c.masked))
            .collect();
        let parts = (
            &self.source.format,
            columns,
            &self.partitions.time_zone,
            &self.profile,
            (self.scan.distinct_limit, self.scan.uniqueness_limit),
        );
        if self.scan.sample_rows > 0 {
            // Which rows are shown, and by which columns.
            let key: Vec<_> = self.columns.iter().map(|c| c.primary_key).collect();
            let shown = (self.scan.sample_rows, key);
            let parts = (parts, shown, &self.others);
            return hex(&parts);
        }
        if self.others.is_empty() {
            return hex(&parts);
        }
        // What queries read beside it.
        hex(&(parts, &self.others))
    }

    /// A digest of all that a verdict rests on besides the data: where it differs, a verdict is not
    /// one by this definition. Names, owners, words about a check and its line have no part in it.
    #[must_use]
    pub fn judging_digest(&self) -> String {
        let checks: Vec<_> = self
            .checks
            .iter()
            .map(|c| (&c.id, &c.metric, &c.expect, c.severity))
            .collect();
        let limits = LimitPolicy {
            backfill_days: None,
            ..self.limits.clone()
        };
        let parts = (self.reading_digest(), checks, limits);
        hex(&parts)
    }
}

fn hex(parts: &impl Serialize) -> String {
    let text = serde_json::to_string(parts)
        .expect("a definition is made of maps with text keys and of plain values, which all print");
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

/// Someone who is told of incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// The channel (`#orders-quality`, an address).
    pub channel: String,
    /// The tool (`slack`, `email`, `webhook`).
    pub tool: String,
    /// Where it is reached, when the channel does not say it.
    #[serde(default)]
    pub url: Option<String>,
}

/// How a dataset falls into partitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partitioning {
    /// Where a partition's key is found.
    pub layout: Layout,
    /// The parts of the key, in order. Empty: taken from the layout's names, typed by their values.
    #[serde(default)]
    pub keys: Vec<KeySpec>,
    /// The zone of the data's time (IANA name).
    #[serde(default = "utc")]
    pub time_zone: String,
    /// When a partition is complete enough to judge.
    #[serde(default)]
    pub sealing: Sealing,
    /// Seconds after the end of a partition's data time until which it must have come; learned
    /// from past arrivals when absent.
    #[serde(default)]
    pub deadline_s: Option<u64>,
    /// How often a partition is expected; learned from the keys when absent.
    #[serde(default)]
    pub cadence: Option<Cadence>,
}

impl Default for Partitioning {
    fn default() -> Self {
        Self {
            layout: Layout::Auto,
            keys: Vec::new(),
            time_zone: utc(),
            sealing: Sealing::default(),
            deadline_s: None,
            cadence: None,
        }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

/// Where a partition's key is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Told by looking: hive folders, else dates in file names, else one partition.
    Auto,
    /// All files together are the one partition `all`.
    Single,
    /// Folders `name=value`.
    Hive,
    /// A path with `{name}` parts, relative to the location (`trips_{year}-{month}.csv`).
    Template(String),
    /// A column inside the files; times are cut to the granularity.
    Column {
        /// The column.
        column: String,
        /// How times are cut; absent: the value itself is the key.
        #[serde(default)]
        granularity: Option<Cadence>,
    },
}

/// One part of a partition key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySpec {
    /// Its name in the layout.
    pub name: String,
    /// What its values are.
    pub kind: KeyKind,
}

crate::words! {
    /// What the values of a partition key's part are.
    pub enum KeyKind {
        /// A day, `2026-11-20` or `20261120`.
        Date = "date",
        /// A year, a part of a time.
        Year = "year",
        /// A month of a year (1 to 12).
        Month = "month",
        /// A day of a month (1 to 31).
        Day = "day",
        /// An hour of a day (0 to 23).
        Hour = "hour",
        /// A whole number.
        Integer = "integer",
        /// A text.
        Text = "text",
    }
}

crate::words! {
    /// How often partitions come, or how times are cut.
    pub enum Cadence {
        /// Each hour.
        Hourly = "hourly",
        /// Each day.
        Daily = "daily",
        /// Each week.
        Weekly = "weekly",
        /// Each month.
        Monthly = "monthly",
    }
}

/// When a partition is complete enough to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sealing {
    /// A dated partition when its data time has ended and it has not changed for `quiet_s`; an
    /// undated one when two listings that far apart agree.
    Quiet {
        /// Seconds without a change.
        quiet_s: u64,
    },
    /// When a file of this name lies beside its objects (`_SUCCESS`).
    Marker {
        /// The file's name.
        name: String,
    },
    /// As soon as it is seen.
    Immediately,
}

impl Default for Sealing {
    fn default() -> Self {
        Self::Quiet { quiet_s: 0 }
    }
}

/// A column that the document declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the data.
    pub name: String,
    /// The ODCS logical type, if stated.
    #[serde(default)]
    pub logical_type: Option<LogicalType>,
    /// The type as the source names it, if stated.
    #[serde(default)]
    pub physical_type: Option<String>,
    /// NULL is forbidden.
    #[serde(default)]
    pub required: bool,
    /// Duplicates are forbidden.
    #[serde(default)]
    pub unique: bool,
    /// Its place in the primary key, from 1.
    #[serde(default)]
    pub primary_key: Option<u32>,
    /// Its values are personal: least, greatest and sample values are never shown.
    #[serde(default)]
    pub masked: bool,
}

crate::words! {
    /// The logical types of ODCS.
    pub enum LogicalType {
        /// Text.
        String = "string",
        /// A day.
        Date = "date",
        /// An instant.
        Timestamp = "timestamp",
        /// A time of day.
        Time = "time",
        /// A number with a fraction.
        Number = "number",
        /// A whole number.
        Integer = "integer",
        /// A structure.
        Object = "object",
        /// A list.
        Array = "array",
        /// True or false.
        Boolean = "boolean",
    }
}

/// What is measured without a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The columns; `None` is all of them.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// The metrics of each column (those that its type has).
    pub metrics: Vec<Metric>,
    /// The quantiles, when [`Metric::Quantile`] is profiled.
    #[serde(default)]
    pub quantiles: Vec<f64>,
    /// Whether profiled metrics are judged by learned limits.
    #[serde(default = "yes")]
    pub judged: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            columns: None,
            metrics: vec![
                Metric::NullPercent,
                Metric::NanCount,
                Metric::DistinctCount,
                Metric::Min,
                Metric::Max,
                Metric::Sum,
                Metric::Mean,
                Metric::Stddev,
                Metric::Quantile,
                Metric::LengthMean,
            ],
            quantiles: vec![0.25, 0.5, 0.75],
            judged: true,
        }
    }
}

/// How limits are learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitPolicy {
    /// Whether limits are learned at all.
    #[serde(default = "yes")]
    pub learned: bool,
    /// Budget of false alarms per clean partition (0.02 is one in fifty).
    pub alarms_per_partition: f64,
    /// Days of the past that registration measures; `None` is all that is there.
    #[serde(default)]
    pub backfill_days: Option<u32>,
    /// Partitions that are never learned from, as closed ranges of keys in their order.
    #[serde(default)]
    pub exclude: Vec<(String, String)>,
    /// Learn from this partition on (*train as new normal from here*).
    #[serde(default)]
    pub learn_from: Option<String>,
}

impl Default for LimitPolicy {
    fn default() -> Self {
        Self {
            learned: true,
            alarms_per_partition: 0.02,
            backfill_days: None,
            exclude: Vec::new(),
            learn_from: None,
        }
    }
}

crate::words! {
    /// What happens to slots that were missed.
    pub enum CatchUp {
        /// They are skipped.
        None = "none",
        /// The latest is run.
        Latest = "latest",
        /// All are run, oldest first.
        All = "all",
    }
}

/// When and how a dataset runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPolicy {
    /// Five-field cron; absent: by hand and when its data is looked at and has changed.
    #[serde(default)]
    pub schedule: Option<String>,
    /// The zone of the schedule (IANA name).
    #[serde(default = "utc")]
    pub time_zone: String,
    /// A task's longest time, in seconds.
    pub timeout_s: u64,
    /// Retries of a task after its first attempt.
    pub retries: u32,
    /// What happens to missed slots.
    pub catch_up: CatchUp,
    /// Without a schedule: seconds between two looks for new or changed data; absent: as usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_s: Option<u64>,
    /// Whether it is held back: nothing is started but by hand.
    #[serde(default, skip_serializing_if = "is_false")]
    pub paused: bool,
    /// Why it is held back, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_reason: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for RunPolicy {
    fn default() -> Self {
        Self {
            schedule: None,
            time_zone: utc(),
            timeout_s: 1200,
            retries: 2,
            catch_up: CatchUp::Latest,
            poll_s: None,
            paused: false,
            paused_reason: None,
        }
    }
}

/// How a dataset is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanPolicy {
    /// Bytes (as stored) above which a partition is cut into batches of about this size.
    pub target_bytes: u64,
    /// Distinct values up to which their count is exact.
    pub distinct_limit: u32,
    /// Keys up to which duplicates can be counted.
    pub uniqueness_limit: u32,
    /// Rows that are shown with a rule on rows which is broken; none without being asked for.
    #[serde(default, skip_serializing_if = "is_none")]
    pub sample_rows: u32,
}

const fn is_none(rows: &u32) -> bool {
    *rows == 0
}

impl Default for ScanPolicy {
    fn default() -> Self {
        Self {
            target_bytes: 128 << 20,
            distinct_limit: 10_000,
            uniqueness_limit: 4_000_000,
            sample_rows: 0,
        }
    }
}
