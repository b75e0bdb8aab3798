//! Columns of delimited text whose numbers are decimals as they are written.
//!
//! In: columns that hold numbers, and the batches of the sample. Out: the type that keeps their
//! digits, for a column that has one. Without it `0.1` and `0.2` are doubles, and their sum is not
//! `0.3`.

use std::collections::BTreeMap;

use assay_metrics::{ColumnState, SumValue};
use assay_model::dataset::{Column, Dataset, FormatKind, LogicalType, Profile};
use assay_model::metric::Metric;
use assay_model::task::MeasureSpec;

use crate::context::ScanContext;

/// Digits behind the point, at most: sums of money and quantities have few, measurements many.
const MOST: i8 = 6;
/// Digits of the usual type, and of the widest.
const USUAL: usize = 18;
const WIDEST: usize = 38;

/// The physical type of each of `columns` whose sampled values are all such decimals.
pub(super) fn of_sample(
    dataset: &Dataset,
    columns: &[String],
    sampled: &[MeasureSpec],
    context: &ScanContext,
) -> BTreeMap<String, String> {
    if dataset.source.format.kind != FormatKind::Csv || columns.is_empty() {
        return BTreeMap::new();
    }
    let column = |name: &String| Column {
        name: name.clone(),
        logical_type: Some(LogicalType::Number),
        physical_type: Some("decimal".to_owned()),
        required: false,
        unique: false,
        primary_key: None,
        masked: false,
    };
    let asked = Dataset {
        columns: columns.iter().map(column).collect(),
        profile: Profile {
            metrics: vec![Metric::Sum],
            columns: Some(columns.to_vec()),
            ..Profile::default()
        },
        ..dataset.clone()
    };
    let mut found: BTreeMap<&String, Option<(i8, usize)>> = BTreeMap::new();
    for spec in sampled {
        // What could be read once and cannot be read again has no type to suggest.
        let Ok(states) = crate::measure::states(&asked, spec, context) else {
            return BTreeMap::new();
        };
        for state in states.values() {
            for name in columns {
                let Some(column) = state.columns.get(name) else {
                    continue;
                };
                if column.counts.non_null() == 0 {
                    continue;
                }
                let of = scale_and_digits(column);
                let known = found.entry(name).or_insert(of);
                *known = known
                    .zip(of)
                    .map(|(one, other)| (one.0.max(other.0), one.1.max(other.1)));
            }
        }
    }
    let text = |(name, of): (&String, Option<(i8, usize)>)| {
        let (scale, digits) = of?;
        let digits = if digits <= USUAL { USUAL } else { WIDEST };
        Some((name.clone(), format!("decimal({digits},{scale})")))
    };
    found.into_iter().filter_map(text).collect()
}

/// Digits behind the point, and of the sum at least; `None` where a value is no such decimal.
fn scale_and_digits(column: &ColumnState) -> Option<(i8, usize)> {
    let sums = column.sums.get()?;
    let scale = sums.decimals.scale().filter(|s| (1..=MOST).contains(s))?;
    let plain = column.counts.nonnumeric == 0 && sums.floats.count() == 0;
    let sum = column.sum().ok().flatten().filter(|_| plain)?;
    match sum.value {
        SumValue::Decimal(text) if sum.left_out == 0 => {
            Some((scale, text.bytes().filter(u8::is_ascii_digit).count()))
        }
        _ => None,
    }
}
