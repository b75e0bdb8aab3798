//! Checks: a rule about one metric, and what the rule expects.

use serde::{Deserialize, Serialize};

use crate::dataset::LogicalType;
use crate::ids::CheckId;
use crate::metric::MetricKey;

crate::words! {
    /// How grave a broken check is.
    pub enum Severity {
        /// Told, never alarming.
        Info = "info",
        /// A broken check is a warning.
        Warning = "warning",
        /// A broken check fails the partition.
        Error = "error",
    }
}

crate::words! {
    /// Where a check comes from.
    pub enum CheckOrigin {
        /// A `quality` rule of the dataset file.
        Declared = "declared",
        /// `required`, `unique` or `primaryKey` of a column.
        Implied = "implied",
        /// Learned limits on a profiled metric.
        Profiled = "profiled",
        /// A rule that needs no limits: stale, missing, no longer computable, schema.
        BuiltIn = "built_in",
    }
}

/// The bound of a comparison: exact digits as written, so that an exact metric is compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bound(String);

impl Bound {
    /// Takes a number as it is written in decimal (`1000`, `-0.5`, `1e3`).
    ///
    /// # Errors
    /// The text itself when it is not a finite decimal number.
    pub fn new(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Self(text)),
            _ => Err(text),
        }
    }

    /// The number as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest double.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl From<i64> for Bound {
    fn from(value: i64) -> Self {
        Self(value.to_string())
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// What a check expects of its metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Expectation {
    /// Equal.
    MustBe(Bound),
    /// Not equal.
    MustNotBe(Bound),
    /// Greater.
    MustBeGreaterThan(Bound),
    /// Greater or equal.
    MustBeGreaterOrEqualTo(Bound),
    /// Less.
    MustBeLessThan(Bound),
    /// Less or equal.
    MustBeLessOrEqualTo(Bound),
    /// Between, both ends excluded (as the standard defines it).
    MustBeBetween(Bound, Bound),
    /// Not strictly between.
    MustNotBeBetween(Bound, Bound),
    /// Within limits learned from the partition's past.
    Learned,
    /// Within `within_stddev` standard deviations of the mean of the last `over_runs` partitions.
    Band {
        /// Half the width, in standard deviations.
        within_stddev: f64,
        /// How many earlier partitions count.
        over_runs: u32,
        /// Fewer than this many is `learning`.
        min_runs: u32,
    },
    /// The columns and types of the definition and of the last partition in order.
    SameSchema,
    /// Not (nearly) bit-equal to one of the last three partitions.
    NotStale,
    /// Not changed after it was judged: the partition's earlier version had the same metrics.
    NotRestated,
    /// Cannot be run here; the reason is shown (`skipped`).
    NotRunHere {
        /// Why, for people.
        reason: String,
    },
}

/// A rule about one metric of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name; the key of results and incidents.
    pub id: CheckId,
    /// What is measured.
    pub metric: MetricKey,
    /// What is expected of it.
    pub expect: Expectation,
    /// How grave a breach is.
    pub severity: Severity,
    /// Where it comes from.
    pub origin: CheckOrigin,
    /// The ODCS dimension (`completeness`, …), if stated.
    #[serde(default)]
    pub dimension: Option<String>,
    /// What it is for, in the owner's words.
    #[serde(default)]
    pub description: Option<String>,
    /// The line of the dataset file that declares it, from 1.
    #[serde(default)]
    pub line: Option<u32>,
    /// Labels to select checks by.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A rule on the values of a column that the scan counts: what `missing` and `invalid` mean.
///
/// It is the decoded form of a [`MetricKey`]'s `args` for the metrics `missing*` and `invalid*`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValueRule {
    /// Placeholders that count as missing besides NULL.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_values: Vec<String>,
    /// The only allowed values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_values: Option<Vec<String>>,
    /// A regular expression that a valid value matches somewhere (anchor it to match all of it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The type that a valid value is of, where fields are text and the column is declared so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logical_type: Option<LogicalType>,
    /// Fewest characters of a valid value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// Most characters of a valid value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// Least valid number, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<String>,
    /// Greatest valid number, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
    /// A number that every valid one is greater than, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_min: Option<String>,
    /// A number that every valid one is less than, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclusive_max: Option<String>,
}
