//! Metrics: what is measured, how one is identified, and what a measured value may be.
//!
//! A metric's identity is spelt out ([`MetricKey`]), never hashed from a part of itself.

use std::fmt;

use serde::{Deserialize, Serialize};

crate::words! {
    /// What can be measured of a partition.
    pub enum Metric {
        /// Rows of the partition.
        RowCount = "rowCount",
        /// Bytes of the partition's objects, as stored.
        ByteCount = "byteCount",
        /// Objects (files) of the partition.
        FileCount = "fileCount",
        /// Columns of the partition.
        ColumnCount = "columnCount",
        /// Values that are NULL.
        NullCount = "nullCount",
        /// NULL values per hundred rows; NULL for no rows.
        NullPercent = "nullPercent",
        /// NULLs and the placeholders that the check lists.
        MissingCount = "missingCount",
        /// Missing values per hundred rows.
        MissingPercent = "missingPercent",
        /// Values that are not a number (IEEE NaN).
        NanCount = "nanCount",
        /// Values that are plus or minus infinity.
        InfCount = "infCount",
        /// Non-null values that break the check's rule.
        InvalidCount = "invalidCount",
        /// Invalid values per hundred rows.
        InvalidPercent = "invalidPercent",
        /// Non-null fields of a text format that do not parse as the column's numeric type.
        NonNumericCount = "nonNumericCount",
        /// Different non-null values; exact up to a limit, then estimated with its error.
        DistinctCount = "distinctCount",
        /// Rows whose key was met before in the partition; always exact.
        DuplicateCount = "duplicateCount",
        /// Duplicate rows per hundred rows.
        DuplicatePercent = "duplicatePercent",
        /// The exact sum; of floats, of the finite values, correctly rounded.
        Sum = "sum",
        /// The least finite value.
        Min = "min",
        /// The greatest finite value.
        Max = "max",
        /// The mean of the finite values, from the exact sum.
        Mean = "mean",
        /// The sample standard deviation of the finite values.
        Stddev = "stddev",
        /// A quantile (`q` from 0 to 1) of the finite values, with its error.
        Quantile = "quantile",
        /// Characters of the shortest text.
        LengthMin = "lengthMin",
        /// Characters of the longest text.
        LengthMax = "lengthMax",
        /// Mean of the characters of the texts.
        LengthMean = "lengthMean",
        /// Seconds from the latest value of a timestamp column to the moment of judging.
        Latency = "latency",
        /// Seconds from the last change of the partition's objects to the moment of judging.
        LastModifiedAge = "lastModifiedAge",
        /// The columns, types and nullability of the partition.
        Schema = "schema",
        /// The number that the owner's query gives; the query is an argument.
        Query = "query",
        /// The rows that the owner's query gives: those that break its rule.
        FailedRows = "failedRows",
    }
}

impl Metric {
    /// Whether the metric is of a whole partition rather than of one column.
    #[must_use]
    pub const fn is_of_table(self) -> bool {
        matches!(
            self,
            Self::RowCount
                | Self::ByteCount
                | Self::FileCount
                | Self::ColumnCount
                | Self::LastModifiedAge
                | Self::Schema
        )
    }

    /// Whether the metric counts rows whose key was met before.
    #[must_use]
    pub const fn is_of_keys(self) -> bool {
        matches!(self, Self::DuplicateCount | Self::DuplicatePercent)
    }

    /// Whether the metric counts rows, of each of which can be said whether it breaks the rule.
    #[must_use]
    pub const fn is_of_single_rows(self) -> bool {
        matches!(
            self,
            Self::NullCount
                | Self::NullPercent
                | Self::MissingCount
                | Self::MissingPercent
                | Self::InvalidCount
                | Self::InvalidPercent
                | Self::NanCount
                | Self::InfCount
                | Self::NonNumericCount
        ) || self.is_of_keys()
    }

    /// Whether the metric is what a query of the owner gives.
    #[must_use]
    pub const fn is_of_query(self) -> bool {
        matches!(self, Self::Query | Self::FailedRows)
    }
}

/// What rows that break rules are called in a state.
pub const ROWS: &str = "rows";

/// The canonical identity of a metric within a partition of a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MetricKey {
    /// What is measured.
    pub metric: Metric,
    /// The column, or empty for the whole partition; a compound key joins its columns with `,`.
    #[serde(default)]
    pub column: String,
    /// Arguments as canonical JSON (sorted keys, no blanks), or empty.
    #[serde(default)]
    pub args: String,
    /// The row filter, or empty.
    #[serde(default)]
    pub filter: String,
    /// [`crate::SEMANTICS_VERSION`] at the time of measuring.
    pub semantics: u16,
}

impl MetricKey {
    /// A metric of the whole partition.
    #[must_use]
    pub fn table(metric: Metric) -> Self {
        Self::column(metric, "")
    }

    /// A metric of one column, without arguments.
    #[must_use]
    pub fn column(metric: Metric, column: impl Into<String>) -> Self {
        Self {
            metric,
            column: column.into(),
            args: String::new(),
            filter: String::new(),
            semantics: crate::SEMANTICS_VERSION,
        }
    }

    /// The same metric with arguments; `args` is made canonical.
    #[must_use]
    pub fn with_args(mut self, args: &serde_json::Value) -> Self {
        // `serde_json` keeps the keys of its maps sorted, so that printing is canonical.
        self.args = args.to_string();
        self
    }

    /// What a query of the owner gives.
    #[must_use]
    pub fn query(metric: Metric, column: impl Into<String>, sql: &str) -> Self {
        Self::column(metric, column).with_args(&serde_json::json!({ "query": sql }))
    }

    /// The owner's query, of a metric that is one.
    #[must_use]
    pub fn sql(&self) -> Option<String> {
        if !self.metric.is_of_query() {
            return None;
        }
        let args: serde_json::Value = serde_json::from_str(&self.args).ok()?;
        args.get("query")?.as_str().map(str::to_owned)
    }

    /// What the rows that break the rule are called in a state.
    #[must_use]
    pub fn rows(&self) -> String {
        format!("{ROWS} of {self}")
    }

    /// What the answer to the query, to the filter, or for the rows that are shown, is called in a
    /// state.
    #[must_use]
    pub fn asked(&self) -> String {
        if self.metric.is_of_query() {
            self.to_string()
        } else if self.filter.is_empty() {
            ROWS.to_owned()
        } else {
            format!("where {}", self.filter)
        }
    }

    /// What is read beside the partition for the answer, is called so in a state.
    #[must_use]
    pub fn beside(&self) -> String {
        format!("beside {}", self.asked())
    }

    /// The quantile `q` of `column`.
    #[must_use]
    pub fn quantile(column: impl Into<String>, q: f64) -> Self {
        Self::column(Metric::Quantile, column).with_args(&serde_json::json!({ "q": q }))
    }
}

impl fmt::Display for MetricKey {
    /// `rowCount`, `sum(amount)`, `quantile(amount){"q":0.5}`, `nullCount(a) where b > 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.as_str())?;
        if !self.column.is_empty() {
            write!(f, "({})", self.column)?;
        }
        f.write_str(&self.args)?;
        if !self.filter.is_empty() {
            write!(f, " where {}", self.filter)?;
        }
        Ok(())
    }
}

/// A measured value. Exact kinds never pass through a float.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum MetricValue {
    /// There is no value: a sum of nothing, a percentage of no rows.
    Null,
    /// An exact number, as plain decimal digits (`-12`, `0.30`), of any size.
    Exact(String),
    /// A double.
    Float(f64),
    /// A text: the least name, the latest time in RFC 3339.
    Text(String),
}

impl MetricValue {
    /// An exact whole number.
    #[must_use]
    pub fn integer(value: impl Into<i128>) -> Self {
        Self::Exact(value.into().to_string())
    }

    /// The nearest double, where the value is a number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Exact(digits) => digits.parse().ok(),
            Self::Float(value) => Some(*value),
            Self::Null | Self::Text(_) => None,
        }
    }
}

impl fmt::Display for MetricValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.pad("-"),
            Self::Exact(text) | Self::Text(text) => f.pad(text),
            Self::Float(value) => f.pad(&value.to_string()),
        }
    }
}

crate::words! {
    /// Whether a metric could be computed.
    pub enum MetricStatus {
        /// The value stands (it may be NULL).
        Computed = "computed",
        /// It could not be computed; the note says why.
        Error = "error",
        /// Its exact value does not fit; there is no value.
        Overflow = "overflow",
    }
}

/// One metric of one partition version: the identity, the value and how far to trust it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricPoint {
    /// What was measured.
    pub key: MetricKey,
    /// Whether it could be.
    pub status: MetricStatus,
    /// The value; [`MetricValue::Null`] unless computed.
    pub value: MetricValue,
    /// For an estimate, its error relative to the value (0.0081 is 0.81 %): one standard error of
    /// a distinct count, the most that a quantile can be off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_bound: Option<f64>,
    /// What a reader must know: values left out, a truncation, the reason of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl MetricPoint {
    /// A computed value without remark.
    #[must_use]
    pub fn computed(key: MetricKey, value: MetricValue) -> Self {
        Self {
            key,
            status: MetricStatus::Computed,
            value,
            error_bound: None,
            note: None,
        }
    }

    /// A metric that could not be computed, and why.
    #[must_use]
    pub fn failed(key: MetricKey, status: MetricStatus, why: impl Into<String>) -> Self {
        Self {
            key,
            status,
            value: MetricValue::Null,
            error_bound: None,
            note: Some(why.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_of_an_identity_names_all_of_it() {
        assert_eq!(MetricKey::table(Metric::RowCount).to_string(), "rowCount");
        assert_eq!(
            MetricKey::quantile("amount", 0.5).to_string(),
            r#"quantile(amount){"q":0.5}"#
        );
    }

    #[test]
    fn an_exact_value_keeps_every_digit() {
        let value = MetricValue::integer(i128::MAX);
        assert_eq!(value.to_string(), i128::MAX.to_string());
    }
}
