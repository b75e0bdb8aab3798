//! Measured values, what they were held against, and counts of outcomes.
//!
//! Comes in: the model's values. Goes out: their JSON. It must never round an exact number.

use crate::schema::{Book, Described, described};
use assay_model::metric::{self, MetricValue};
use assay_model::outcome::{self, OutcomeCounts};
use serde::{Deserialize, Serialize};

/// A measured value. Exact numbers are plain decimal digits of any length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind", content = "value")]
pub enum Value {
    /// There is no value: a sum of nothing, a percentage of no rows.
    Null,
    /// An exact number (`-12`, `0.30`).
    Exact(String),
    /// A double.
    Float(f64),
    /// A double that JSON has no number for: `NaN`, `inf` or `-inf`.
    Special(String),
    /// A text: the least name, the latest time in RFC 3339.
    Text(String),
}

impl Described for Value {
    fn name() -> Option<String> {
        Some("Value".to_owned())
    }

    fn schema(_: &mut Book) -> serde_json::Value {
        let of = |kind: &str, value: serde_json::Value| {
            serde_json::json!({ "type": "object", "required": ["kind", "value"],
                "properties": { "kind": { "const": kind }, "value": value } })
        };
        let text = serde_json::json!({ "type": "string" });
        serde_json::json!({
            "description": "A measured value. Exact numbers are plain decimal digits of any length.",
            "oneOf": [
                { "type": "object", "required": ["kind"], "properties": { "kind": { "const": "null" } } },
                of("exact", text.clone()),
                of("float", serde_json::json!({ "type": "number" })),
                of("special", text.clone()),
                of("text", text),
            ],
        })
    }
}

impl Value {
    /// The nearest double, where the value is a finite number: the place of a dot in a chart.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        let number: Option<f64> = match self {
            Self::Exact(digits) => digits.parse().ok(),
            Self::Float(number) => Some(*number),
            Self::Null | Self::Special(_) | Self::Text(_) => None,
        };
        number.filter(|n| n.is_finite())
    }
}

impl From<&MetricValue> for Value {
    fn from(value: &MetricValue) -> Self {
        match value {
            MetricValue::Null => Self::Null,
            MetricValue::Exact(digits) => Self::Exact(digits.clone()),
            MetricValue::Float(number) if number.is_finite() => Self::Float(*number),
            MetricValue::Float(number) => Self::Special(number.to_string()),
            MetricValue::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.pad("-"),
            Self::Exact(text) | Self::Special(text) | Self::Text(text) => f.pad(text),
            Self::Float(number) => f.pad(&number.to_string()),
        }
    }
}

described! {
/// The identity of a metric within a dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricName {
    /// What is measured.
    pub metric: metric::Metric,
    /// The column, or empty for the whole partition.
    pub column: String,
    /// Arguments as canonical JSON, or empty.
    pub args: String,
    /// The row filter, or empty.
    pub filter: String,
    /// The whole identity in one text, as pages and logs spell it: `sum(amount)`,
    /// `quantile(amount){"q":0.5}`. The path `/metrics/{metric}` takes it.
    pub name: String,
}
}

impl From<&metric::MetricKey> for MetricName {
    fn from(key: &metric::MetricKey) -> Self {
        Self {
            metric: key.metric,
            column: key.column.clone(),
            args: key.args.clone(),
            filter: key.filter.clone(),
            name: key.to_string(),
        }
    }
}

described! {
/// The limits that a value was held against, and where they came from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Least accepted value; `null` is unbounded.
    pub lower: Option<f64>,
    /// The value expected.
    pub expected: Option<f64>,
    /// Greatest accepted value; `null` is unbounded.
    pub upper: Option<f64>,
    /// The model (`fixed`, `weekday-median+t5`, …).
    pub model: String,
    /// The model's version.
    pub model_version: u16,
    /// The partitions they were learned from, oldest first.
    pub learned_from: Vec<Span>,
    /// Learned from fewer partitions than limits need to be steady.
    pub provisional: bool,
    /// Earlier partitions that limits were not learned from because a check was broken in them.
    pub held_back: Vec<HeldBack>,
}
}

described! {
/// Partitions that follow each other in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Key of the first.
    pub first: String,
    /// Key of the last.
    pub last: String,
    /// How many from the first to the last: all, except perhaps in the oldest span.
    pub partitions: u32,
}
}

described! {
/// A partition that teaches nothing of a metric, for a check that was broken in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldBack {
    /// The partition's key.
    pub partition: String,
    /// The check.
    pub by: String,
}
}

impl From<&outcome::Limits> for Limits {
    fn from(limits: &outcome::Limits) -> Self {
        let finite = |bound: Option<f64>| bound.filter(|b| b.is_finite());
        let span = |span: &outcome::Span| Span {
            first: span.first.clone(),
            last: span.last.clone(),
            partitions: span.partitions,
        };
        let held = |held: &outcome::HeldBack| HeldBack {
            partition: held.partition.clone(),
            by: held.by.to_string(),
        };
        Self {
            lower: finite(limits.lower),
            expected: finite(limits.expected),
            upper: finite(limits.upper),
            model: limits.model.clone(),
            model_version: limits.model_version,
            learned_from: limits.learned_from.iter().map(span).collect(),
            provisional: limits.provisional,
            held_back: limits.held_back.iter().map(held).collect(),
        }
    }
}

described! {
/// How many checks ended how. `planned` equals the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Checks that were due.
    pub planned: u64,
    /// Evaluated, and as expected: the only green one.
    pub pass: u64,
    /// Evaluated, not as expected, of severity `warning` or `info`.
    pub warn: u64,
    /// Evaluated, not as expected, of severity `error`.
    pub fail: u64,
    /// Could not be computed.
    pub error: u64,
    /// The partition was expected and has not come.
    pub missing: u64,
    /// Too little history for a limit.
    pub learning: u64,
    /// Not evaluated, for the reason given with each.
    pub skipped: u64,
    /// The exact value does not fit.
    pub overflow: u64,
}
}

impl From<OutcomeCounts> for Counts {
    fn from(of: OutcomeCounts) -> Self {
        Self {
            planned: of.planned,
            pass: of.pass,
            warn: of.warn,
            fail: of.fail,
            error: of.error,
            missing: of.missing,
            learning: of.learning,
            skipped: of.skipped,
            overflow: of.overflow,
        }
    }
}

impl From<Counts> for OutcomeCounts {
    fn from(of: Counts) -> Self {
        Self {
            planned: of.planned,
            pass: of.pass,
            warn: of.warn,
            fail: of.fail,
            error: of.error,
            missing: of.missing,
            learning: of.learning,
            skipped: of.skipped,
            overflow: of.overflow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_number_keeps_its_digits_and_a_number_without_json_is_told() {
        let digits = "170141183460469231731687303715884105727.25";
        let exact = Value::from(&MetricValue::Exact(digits.to_owned()));
        let text = serde_json::to_string(&exact).unwrap();
        assert!(text.contains(digits), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), exact);
        let nan = Value::from(&MetricValue::Float(f64::NAN));
        assert_eq!(nan, Value::Special("NaN".to_owned()));
        assert_eq!(nan.as_f64(), None);
    }
}
