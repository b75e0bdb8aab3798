//! Values that no type of Arrow has: the batches tell them as NULL.
//!
//! In: how many there are of each sort in a column. Out: the column's state as if they had been fed:
//! they are values, counted apart, and told by the table's flags.

use assay_metrics::{ColumnState, Kind, RuleCount, TableState};
use assay_scan::plan::ScanPlan;
use assay_scan::rules::Cell;

use super::types::Column;

/// Values of one column that no type of Arrow has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Odd {
    pub(crate) wide: u64,
    pub(crate) nan: u64,
    pub(crate) pos_inf: u64,
    pub(crate) neg_inf: u64,
    /// Times that no calendar or no day has: `0000-00-00`, `31:00:00`.
    pub(crate) undated: u64,
}

impl Odd {
    pub(crate) fn count(self) -> u64 {
        self.nan + self.pos_inf + self.neg_inf + self.undated + self.wide
    }
}

/// Counts it in the state of its column, where its row is counted as NULL.
pub(crate) fn count_wide(own: &mut ColumnState, column: &Column, scan: &ScanPlan, digits: &[u8]) {
    own.add_too_wide(digits, 1);
    tally(own, column, scan, &Cell::Number(digits), 1);
}

/// Asks the rules of a column of values whose rows are counted already.
fn tally(own: &mut ColumnState, column: &Column, scan: &ScanPlan, cell: &Cell<'_>, times: u64) {
    for rule in scan.rules(&column.name) {
        let Some(matched) = rule.test(cell) else {
            continue;
        };
        let count = RuleCount {
            tested: times,
            matched: if matched { times } else { 0 },
            ..RuleCount::default()
        };
        own.rules.add(rule.id(), count);
    }
}

/// Counts values apart that no type of Arrow has: the batches told them as NULL.
pub(crate) fn add_odd(state: &mut TableState, column: &Column, scan: &ScanPlan, odd: Odd) {
    let infinite = odd.nan + odd.pos_inf + odd.neg_inf;
    if infinite > 0 {
        let what = format!("infinite values or NaN in {}", column.name);
        state.flag(&what, infinite);
    }
    if odd.undated > 0 {
        let what = format!("values that are no date or time of day in {}", column.name);
        state.flag(&what, odd.undated);
    }
    let Some(own) = state.columns.get_mut(&column.name) else {
        return;
    };
    own.counts.nulls = own.counts.nulls.saturating_sub(odd.count());
    own.add_odd(
        column.kind(),
        odd.nan + odd.undated,
        odd.pos_inf,
        odd.neg_inf,
    );
    for (times, number, text) in [
        (odd.nan, f64::NAN, "NaN"),
        (odd.undated, f64::NAN, "0000-00-00"),
        (odd.pos_inf, f64::INFINITY, "infinity"),
        (odd.neg_inf, f64::NEG_INFINITY, "-infinity"),
    ] {
        // Of numbers it is what it is in a file of doubles; a time that is none has only its text.
        let cell = match column.kind() {
            Kind::Decimal => Cell::Float(number),
            _ => Cell::Text(text.as_bytes()),
        };
        if times > 0 {
            tally(own, column, scan, &cell, times);
        }
    }
}
