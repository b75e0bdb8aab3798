//! Which partitions a first definition of a table should have.
//!
//! In: a dataset of one table. Out: its layout, and the plan by it. A table that the database itself
//! divides keeps its parts; another one is cut by the days of the column that most likely says when
//! its rows came, if it has one that is never NULL; else it is one partition.

use assay_metrics::TableState;
use assay_model::dataset::{Cadence, Dataset, Layout};
use assay_model::output::Discovery;
use assay_model::run::Selection;
use jiff::Timestamp;

use crate::context::ScanContext;
use crate::discover::discover;
use crate::error::ScanError;

/// Words in the names of columns that say when a row came, the plainest first.
const WORDS: [&str; 8] = [
    "created", "event", "day", "date", "time", "_at", "_on", "_ts",
];

/// Sets the layout of the dataset; the plan by it.
///
/// # Errors
/// [`ScanError`] when the table cannot be listed or read.
pub(super) fn layout(
    dataset: &mut Dataset,
    now: Timestamp,
    context: &ScanContext,
) -> Result<Discovery, ScanError> {
    let list = |dataset: &Dataset| discover(dataset, &[], &Selection::default(), now, context);
    let whole = list(dataset)?;
    if whole.evaluations.len() != 1 {
        return Ok(whole);
    }
    let Some(first) = whole.measures.first() else {
        return Ok(whole);
    };
    let states = crate::measure::states(dataset, first, context)?;
    let Some(column) = states.values().next().and_then(dated) else {
        dataset.partitions.layout = Layout::Single;
        return Ok(whole);
    };
    dataset.partitions.layout = Layout::Column {
        column,
        granularity: Some(Cadence::Daily),
    };
    list(dataset)
}

/// The column that most likely says when a row came.
fn dated(state: &TableState) -> Option<String> {
    let place = |name: &str| {
        let name = name.to_ascii_lowercase();
        WORDS.iter().position(|word| name.contains(word))
    };
    let columns = state.columns.iter().filter(|(name, column)| {
        let shape = state.schema.columns.get(*name);
        let is_time = shape.is_some_and(|shape| {
            let is_time = |text: &String| text == "date" || text.starts_with("timestamp");
            shape.types.iter().all(is_time)
        });
        is_time && state.rows > 0 && column.counts.nulls == 0
    });
    let best = columns.min_by_key(|(name, _)| {
        let shape = state.schema.columns.get(*name);
        let ordinal = shape.and_then(|shape| shape.ordinals.first().copied());
        (place(name).unwrap_or(WORDS.len()), ordinal)
    });
    best.map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_that_says_when_a_row_came_is_told_by_its_type_and_name() {
        let mut state = TableState {
            rows: 3,
            ..TableState::default()
        };
        let columns = [
            ("id", "int64", 0),
            ("shipped_at", "timestamp(us)", 0),
            ("created", "timestamp(us,utc)", 0),
            ("event_day", "date", 1),
        ];
        for (ordinal, (name, text, nulls)) in (0u32..).zip(columns) {
            state.schema.add_column(name, text, true, ordinal);
            state
                .columns
                .entry(name.to_owned())
                .or_default()
                .add_rows(3, nulls);
        }
        assert_eq!(dated(&state).as_deref(), Some("created"));
        state.columns.remove("created");
        assert_eq!(dated(&state).as_deref(), Some("shipped_at"));
        state.columns.remove("shipped_at");
        assert_eq!(dated(&state), None);
    }
}
