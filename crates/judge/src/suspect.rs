//! What a broken check says of the other metrics of its partition.
//!
//! In: the metric of a check that was broken, and another metric. Out: whether the other one's
//! value may be wrong for the same cause, so that limits must not be learned from it. It must
//! never clear the broken metric itself.

use assay_model::metric::{Metric, MetricKey};

/// Whether `other` may be wrong in a partition in which a check on `broken` failed.
///
/// | broken | also suspect |
/// |---|---|
/// | an age (`latency`, `lastModifiedAge`) | nothing: old data are right data |
/// | the volume (`rowCount`, `byteCount`, `fileCount`) | whatever grows with it: counts and sums |
/// | the shape (`schema`, `columnCount`) | the shape; its columns are the caller's to tell |
/// | a key (`duplicateCount`, …) | its columns, and counts and sums: rows counted twice |
/// | any other metric of a column | every metric of that column |
#[must_use]
pub fn makes_suspect(broken: &MetricKey, other: &MetricKey) -> bool {
    if broken == other {
        return true;
    }
    // What some rows or a query of the owner tell is no fault of all rows.
    if broken.metric.is_of_query() || !broken.filter.is_empty() {
        return false;
    }
    match broken.metric {
        Metric::Latency | Metric::LastModifiedAge => false,
        Metric::RowCount | Metric::ByteCount | Metric::FileCount => grows(other.metric),
        Metric::Schema | Metric::ColumnCount => {
            matches!(other.metric, Metric::Schema | Metric::ColumnCount)
        }
        Metric::DuplicateCount | Metric::DuplicatePercent => {
            share_a_column(broken, other) || grows(other.metric)
        }
        _ => share_a_column(broken, other),
    }
}

/// Whether a metric grows with the number of rows.
const fn grows(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::RowCount
            | Metric::ByteCount
            | Metric::FileCount
            | Metric::NullCount
            | Metric::MissingCount
            | Metric::NanCount
            | Metric::InfCount
            | Metric::InvalidCount
            | Metric::NonNumericCount
            | Metric::DistinctCount
            | Metric::DuplicateCount
            | Metric::Sum
    )
}

fn share_a_column(a: &MetricKey, b: &MetricKey) -> bool {
    if a.column.is_empty() || b.column.is_empty() {
        return false;
    }
    // A compound key joins its columns by commas; so may a name: then it is equal as a whole.
    a.column == b.column
        || a.column
            .split(',')
            .any(|part| b.column.split(',').any(|other| part == other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(metric: Metric, column: &str) -> MetricKey {
        MetricKey::column(metric, column)
    }

    #[test]
    fn old_data_are_right_data() {
        let late = of(Metric::Latency, "ts");
        assert!(makes_suspect(&late, &late));
        assert!(!makes_suspect(&late, &of(Metric::Mean, "amount")));
        assert!(!makes_suspect(&late, &of(Metric::Max, "ts")));
    }

    #[test]
    fn half_of_the_rows_make_counts_and_sums_suspect_and_no_mean() {
        let rows = MetricKey::table(Metric::RowCount);
        for counted in [Metric::NullCount, Metric::Sum, Metric::DistinctCount] {
            assert!(makes_suspect(&rows, &of(counted, "amount")), "{counted}");
        }
        assert!(makes_suspect(&rows, &MetricKey::table(Metric::ByteCount)));
        for level in [Metric::Mean, Metric::NullPercent, Metric::Quantile] {
            assert!(!makes_suspect(&rows, &of(level, "amount")), "{level}");
        }
    }

    #[test]
    fn a_broken_column_makes_itself_suspect_and_no_other() {
        let nulls = of(Metric::NullCount, "amount");
        assert!(makes_suspect(&nulls, &of(Metric::Mean, "amount")));
        assert!(!makes_suspect(&nulls, &of(Metric::Mean, "price")));
        assert!(!makes_suspect(&nulls, &MetricKey::table(Metric::RowCount)));
    }

    #[test]
    fn a_key_met_twice_makes_its_columns_and_all_counts_suspect() {
        let key = of(Metric::DuplicateCount, "day,id");
        assert!(makes_suspect(&key, &of(Metric::Min, "id")));
        assert!(makes_suspect(&key, &of(Metric::Sum, "amount")));
        assert!(!makes_suspect(&key, &of(Metric::Mean, "amount")));
    }
}
