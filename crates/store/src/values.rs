//! How values of the model are spelt in rows, the same in every adapter.
//!
//! Comes in: instants, counts and measured values. Goes out: their stored spelling, and back. It must
//! never lose a digit or a bit, and never guess what it cannot read.

use std::fmt::Display;

use assay_model::metric::MetricValue;
use jiff::Timestamp;

use crate::error::StoreError;

/// An instant as it is stored: whole microseconds, rounded down.
pub(crate) fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond().div_euclid(1000)).unwrap_or(i64::MAX)
}

/// A count as it is stored; what does not fit is the greatest that does.
pub(crate) fn int(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A stored value that cannot be read.
pub(crate) fn corrupt(what: &'static str, detail: impl Display) -> StoreError {
    StoreError::Corrupt {
        what,
        detail: detail.to_string(),
    }
}

/// A value as it is stored: the word of its kind, its digits or text, and its double for charts.
pub(crate) fn value_columns(value: &MetricValue) -> (&'static str, Option<String>, Option<f64>) {
    match value {
        MetricValue::Null => ("null", None, None),
        MetricValue::Exact(digits) => (
            "exact",
            Some(digits.clone()),
            value.as_f64().filter(|n| n.is_finite()),
        ),
        // The debug spelling is the shortest that reads back as the same bits.
        MetricValue::Float(number) => (
            "float",
            Some(format!("{number:?}")),
            number.is_finite().then_some(*number),
        ),
        MetricValue::Text(text) => ("text", Some(text.clone()), None),
    }
}

/// The value of a stored kind and text.
pub(crate) fn value_of(kind: &str, text: Option<&str>) -> Result<MetricValue, StoreError> {
    match (kind, text) {
        ("null", None) => Ok(MetricValue::Null),
        ("exact", Some(digits)) => Ok(MetricValue::Exact(digits.to_owned())),
        ("float", Some(text)) => text
            .parse()
            .map(MetricValue::Float)
            .map_err(|_| corrupt("metric", format!("`{text}` is not a double"))),
        ("text", Some(text)) => Ok(MetricValue::Text(text.to_owned())),
        _ => Err(corrupt(
            "metric",
            format!("a value of kind `{kind}` is {text:?}"),
        )),
    }
}
