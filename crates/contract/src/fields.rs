//! What a declared type means where values are written as text.
//!
//! In: the columns and the format. Out: one check per column that every field is of its type: a
//! number, a date, a time, a truth value. A sum of a text column is the sum of what parses, and its
//! latest time the latest of what reads as one: without these checks, a field that does not would
//! be left out without a word.

use std::collections::BTreeSet;

use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity, ValueRule};
use assay_model::dataset::{Column, FormatKind, LogicalType};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};

use crate::rules::with_rule;

/// The checks `<column>.numeric` of the columns declared as numbers and `<column>.typed` of those
/// declared as whole numbers, dates, times, timestamps or booleans; none where the format has types
/// of its own. A rule of the document on the same metric takes the place of the implied one.
pub fn of_types(columns: &[Column], format: FormatKind, declared: &[Check]) -> Vec<Check> {
    if format == FormatKind::Parquet {
        return Vec::new();
    }
    let metrics: BTreeSet<&MetricKey> = declared.iter().map(|check| &check.metric).collect();
    let ids: BTreeSet<&str> = declared.iter().map(|check| check.id.as_str()).collect();
    columns
        .iter()
        .filter_map(|column| {
            let (word, metric) = metric_of(column, format)?;
            Some(Check {
                id: CheckId::new(format!("{}.{word}", column.name)),
                metric,
                expect: Expectation::MustBe(Bound::from(0)),
                severity: Severity::Error,
                origin: CheckOrigin::Implied,
                dimension: Some("conformity".to_owned()),
                description: None,
                line: None,
                tags: Vec::new(),
            })
        })
        .filter(|check| !metrics.contains(&check.metric) && !ids.contains(check.id.as_str()))
        .collect()
}

/// The metric that counts the fields of a column that are not of its type, and what its check is
/// called.
fn metric_of(column: &Column, format: FormatKind) -> Option<(&'static str, MetricKey)> {
    let kind = column.logical_type?;
    let key = |metric| MetricKey::column(metric, &column.name);
    match kind {
        LogicalType::Number => Some(("numeric", key(Metric::NonNumericCount))),
        // Whether a column with a type of its own holds whole numbers is asked of its schema.
        LogicalType::Integer if !matches!(format, FormatKind::Csv | FormatKind::Ndjson) => {
            Some(("numeric", key(Metric::NonNumericCount)))
        }
        LogicalType::Integer
        | LogicalType::Boolean
        | LogicalType::Date
        | LogicalType::Time
        | LogicalType::Timestamp => {
            let rule = ValueRule {
                logical_type: Some(kind),
                ..ValueRule::default()
            };
            let metric = with_rule(key(Metric::InvalidCount), &rule)?;
            Some(("typed", metric))
        }
        LogicalType::String | LogicalType::Object | LogicalType::Array => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, logical_type: LogicalType) -> Column {
        Column {
            name: name.to_owned(),
            logical_type: Some(logical_type),
            physical_type: None,
            required: false,
            unique: false,
            primary_key: None,
            masked: false,
        }
    }

    #[test]
    fn a_number_and_a_time_written_as_text_must_be_one() {
        let columns = [
            column("amount", LogicalType::Number),
            column("name", LogicalType::String),
            column("seen", LogicalType::Timestamp),
            column("id", LogicalType::Integer),
        ];
        let checks = of_types(&columns, FormatKind::Csv, &[]);
        assert_eq!(checks.len(), 3);
        assert_eq!(checks[0].id.as_str(), "amount.numeric");
        assert_eq!(checks[1].id.as_str(), "seen.typed");
        assert_eq!(checks[1].metric.args, r#"{"logicalType":"timestamp"}"#);
        assert_eq!(checks[2].id.as_str(), "id.typed");
        assert_eq!(checks[2].metric.args, r#"{"logicalType":"integer"}"#);
        let of_table = of_types(&columns, FormatKind::Table, &[]);
        assert_eq!(of_table[2].id.as_str(), "id.numeric");
        assert!(of_types(&columns, FormatKind::Parquet, &[]).is_empty());
        assert!(of_types(&columns, FormatKind::Csv, &checks).is_empty());
    }
}
