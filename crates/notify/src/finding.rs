//! What a broken check is told as: its dimension, and a sentence without a value of a row.
//!
//! Comes in: the incident of a check, its check in the definition and its result. Goes out: the
//! dimension and the finding. Pure. It must never pass on what may be a value of a row: the least,
//! the greatest and quantiles are such, texts are, and so may be the reasons in words of a result.

use assay_model::check::{Check, CheckOrigin};
use assay_model::incident::Incident;
use assay_model::metric::{Metric, MetricValue};
use assay_model::notice::{EVALUATION, Finding};
use assay_model::outcome::CheckResult;

/// Checks of a partition as such, and what each says of it.
const OF_PARTITION: [(&str, &str, &str); 6] = [
    ("missing", "timeliness", "has not come by its deadline"),
    ("gone", "coverage", "was taken away"),
    ("future", "timeliness", "is of the future"),
    ("stale", "timeliness", "repeats an earlier one"),
    ("restated", "consistency", "was changed after it was judged"),
    ("unjudged", EVALUATION, "could not be evaluated"),
];

/// The dimension of a check: what the definition says, else what its metric is about.
#[must_use]
pub fn dimension(
    incident: &Incident,
    check: Option<&Check>,
    result: Option<&CheckResult>,
) -> String {
    let known = OF_PARTITION
        .iter()
        .find(|(id, ..)| incident.check.as_str() == *id);
    let of_owner = check.is_some_and(|check| check.origin != CheckOrigin::BuiltIn);
    if let Some((_, dimension, _)) = known.filter(|_| !of_owner) {
        return (*dimension).to_owned();
    }
    if let Some(stated) = check.and_then(|check| check.dimension.clone()) {
        return stated;
    }
    let metric = check.map(|check| check.metric.metric);
    let metric = metric.or_else(|| result.map(|result| result.metric.metric));
    metric.map_or("accuracy", of_metric).to_owned()
}

/// Whether the owner wrote the check: as a rule, or as `required`, `unique` and the like.
#[must_use]
pub fn is_declared(check: Option<&Check>, result: Option<&CheckResult>) -> bool {
    let origin = check.map(|check| check.origin);
    let origin = origin.or_else(|| result.map(|result| result.origin));
    matches!(origin, Some(CheckOrigin::Declared | CheckOrigin::Implied))
}

const fn of_metric(metric: Metric) -> &'static str {
    match metric {
        Metric::NullCount | Metric::NullPercent | Metric::MissingCount | Metric::MissingPercent => {
            "completeness"
        }
        Metric::RowCount | Metric::ByteCount | Metric::FileCount => "coverage",
        Metric::InvalidCount
        | Metric::InvalidPercent
        | Metric::NonNumericCount
        | Metric::ColumnCount
        | Metric::Schema
        | Metric::LengthMin
        | Metric::LengthMax
        | Metric::LengthMean => "conformity",
        Metric::DistinctCount | Metric::DuplicateCount | Metric::DuplicatePercent => "uniqueness",
        Metric::Latency | Metric::LastModifiedAge => "timeliness",
        Metric::NanCount
        | Metric::InfCount
        | Metric::Sum
        | Metric::Min
        | Metric::Max
        | Metric::Mean
        | Metric::Stddev
        | Metric::Quantile
        | Metric::Query
        | Metric::FailedRows => "accuracy",
    }
}

/// Whether values of a metric are, or may be, values of rows.
const fn shows_rows(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::Min | Metric::Max | Metric::Quantile | Metric::Schema | Metric::Query
    )
}

/// The measured value, where it says nothing of a single row.
fn actual(result: &CheckResult) -> Option<String> {
    let told = match &result.actual {
        _ if shows_rows(result.metric.metric) => None,
        MetricValue::Text(_) | MetricValue::Null => None,
        MetricValue::Exact(_) | MetricValue::Float(_) => Some(result.actual.to_string()),
    };
    // The sum and the mean of a single row are that row's.
    told.filter(|_| !matches!(result.metric.metric, Metric::Sum | Metric::Mean))
}

/// What was found in the last partition of `incident`.
#[must_use]
pub fn finding(incident: &Incident, result: Option<&CheckResult>) -> Finding {
    let partition = incident.last_partition.clone();
    let place = match incident.column.as_str() {
        "" => incident.dataset.to_string(),
        column => format!("{}.{column}", incident.dataset),
    };
    let check = &incident.check;
    // What is said of a partition as such is said of no metric, although one carries the result.
    let of_owner = result.is_some_and(|result| result.origin != CheckOrigin::BuiltIn);
    let known = OF_PARTITION.iter().find(|(id, ..)| check.as_str() == *id);
    let known = known.filter(|_| !of_owner);
    let Some(result) = result.filter(|_| known.is_none()) else {
        let what = match known {
            Some((.., says)) => format!("{place}: partition {partition} {says}"),
            None => format!("{place}: {check} is broken in partition {partition}"),
        };
        return Finding {
            check: check.clone(),
            metric: String::new(),
            actual: None,
            expected: String::new(),
            partition,
            message: what,
        };
    };
    let (actual, expected) = (actual(result), result.expected.clone());
    let metric = result.metric.metric;
    let message = match &actual {
        Some(actual) => {
            format!("{place}: {metric} is {actual} in partition {partition}, expected {expected}")
        }
        None => format!("{place}: {metric} in partition {partition} is not {expected}"),
    };
    Finding {
        check: check.clone(),
        metric: metric.to_string(),
        actual,
        expected,
        partition,
        message,
    }
}

#[cfg(test)]
#[path = "finding_tests.rs"]
mod tests;
