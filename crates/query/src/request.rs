//! What is asked of a query, what it is allowed, and what it answers.
//!
//! In: a dataset file's SQL with the tables that it may name. Out: values for a check. Everything
//! here travels between processes as JSON; nothing here knows an engine.

use std::time::Duration;

use assay_model::dataset::Dataset;
use assay_model::partition::{ObjectRef, Partition};
use serde::{Deserialize, Serialize};

/// One query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Every table that the text may name.
    pub tables: Vec<Table>,
    /// The table that `{object}` stands for.
    pub object: String,
    /// The column that `{property}` stands for, where the rule is one of a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// The text that `{partition}` stands for.
    pub partition: String,
    /// The SQL, as the owner wrote it; for [`Want::Filter`] a condition.
    pub sql: String,
    /// What is wanted.
    pub want: Want,
    /// Columns, in any table, whose values are not shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<String>,
}

/// A table and where its rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name in the text.
    pub name: String,
    /// Its rows.
    pub rows: Source,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// Exactly these files of a dataset, as a listing showed them.
    Files {
        /// How they are read: place, format, declared types, zone.
        dataset: Box<Dataset>,
        /// The files; paths are relative to the dataset's location.
        objects: Vec<ObjectRef>,
        /// Only the rows of this partition, where the key is a column of the files.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partition: Option<Box<Partition>>,
    },
    /// Rows in the Arrow IPC stream format.
    Ipc(Vec<u8>),
}

/// What is wanted of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Want {
    /// One row with one number.
    Number,
    /// All rows counted, some of them shown.
    Rows {
        /// How many are shown at most.
        cap: u32,
    },
    /// The rows of `{object}` that the condition is true of, as batches (see [`crate::filter`]).
    Filter {
        /// The columns that are needed; empty: all.
        columns: Vec<String>,
        /// Of text files all columns as they are written, and none of a type; the names keep their
        /// [`MARK`](assay_scan::text::written::MARK).
        #[serde(default)]
        written: bool,
    },
}

/// What a query is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of memory that operators may hold (sorts, joins, groups).
    pub memory_bytes: u64,
    /// Longest time.
    pub time: Duration,
    /// Bytes that the answer's sample may take as JSON.
    pub answer_bytes: u64,
}

impl Default for Limits {
    /// 256 MiB, two minutes, an answer of 1 MiB.
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            time: Duration::from_secs(120),
            answer_bytes: 1 << 20,
        }
    }
}

/// What a query answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// To [`Want::Number`].
    Number {
        /// The number; `None` when the query gives NULL (a sum of nothing).
        value: Option<Number>,
        /// What a reader should know of the value.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// To [`Want::Rows`].
    Rows {
        /// How many rows there are, exactly.
        total: u64,
        /// The columns, in order.
        columns: Vec<String>,
        /// The first rows, each with its values in the order of `columns`.
        sample: Vec<Vec<serde_json::Value>>,
        /// What a reader should know of the rows.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        notes: Vec<String>,
    },
    /// To [`Want::Filter`]: how many rows were handed over.
    Filtered {
        /// The rows.
        rows: u64,
    },
}

/// A number of a query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Number {
    /// Exact, in decimal digits.
    Exact(String),
    /// A finite double.
    Double(f64),
}

impl Number {
    /// The nearest double.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        match self {
            Self::Exact(text) => text.parse().unwrap_or(f64::NAN),
            Self::Double(value) => *value,
        }
    }
}
