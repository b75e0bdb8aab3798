//! What a declared numeric type means where values are written as text.
//!
//! In: the columns and the format. Out: one check per column that every field is such a number. A
//! sum of a text column is the sum of what parses: without this check, a field that does not would
//! be left out of it without a word.

use std::collections::BTreeSet;

use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::dataset::{Column, FormatKind, LogicalType};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey};

/// The checks `<column>.numeric` of the columns declared as numbers; none where the format has
/// types of its own. A rule of the document on the same metric takes the place of the implied one.
pub fn numeric(columns: &[Column], format: FormatKind, declared: &[Check]) -> Vec<Check> {
    if format == FormatKind::Parquet {
        return Vec::new();
    }
    let metrics: BTreeSet<&MetricKey> = declared.iter().map(|check| &check.metric).collect();
    let ids: BTreeSet<&str> = declared.iter().map(|check| check.id.as_str()).collect();
    columns
        .iter()
        .filter(|column| {
            matches!(
                column.logical_type,
                Some(LogicalType::Integer | LogicalType::Number)
            )
        })
        .map(|column| Check {
            id: CheckId::new(format!("{}.numeric", column.name)),
            metric: MetricKey::column(Metric::NonNumericCount, &column.name),
            expect: Expectation::MustBe(Bound::from(0)),
            severity: Severity::Error,
            origin: CheckOrigin::Implied,
            dimension: Some("conformity".to_owned()),
            description: None,
            line: None,
            tags: Vec::new(),
        })
        .filter(|check| !metrics.contains(&check.metric) && !ids.contains(check.id.as_str()))
        .collect()
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
    fn a_number_written_as_text_must_be_one() {
        let columns = [
            column("amount", LogicalType::Number),
            column("name", LogicalType::String),
        ];
        let checks = numeric(&columns, FormatKind::Csv, &[]);
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].id.as_str(), "amount.numeric");
        assert!(numeric(&columns, FormatKind::Parquet, &[]).is_empty());
        assert!(numeric(&columns, FormatKind::Csv, &checks).is_empty());
    }
}
