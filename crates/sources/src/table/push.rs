//! What a database has computed itself.
//!
//! In: what the checks and the profile ask of each column, and the cells of an aggregate statement.
//! Out: which columns are computed there and which are copied; the totals read back. A column whose
//! values the cells do not tell (a number that is none, a time outside the calendar) is copied
//! instead. Pure: which SQL gives the cells is the adapter's.

use assay_metrics::{BigInt, ColumnState, Extent, Extreme, Lengths, Pushed, TablePlan, Wants};
use assay_scan::plan::ScanPlan;
use jiff::civil::{Date, DateTime, Time, date};

use super::types::{Column, Reading};

/// How the columns of a table are measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// By the database: the column's place and what is asked.
    pub(crate) pushed: Vec<(usize, Wants)>,
    /// By copying.
    pub(crate) copied: Vec<usize>,
}

/// Tells the columns apart: `pushable` says of which the database computes all that is asked.
pub(crate) fn plan(
    columns: &[Column],
    scan: &ScanPlan,
    pushable: impl Fn(&Column, Wants) -> bool,
) -> Plan {
    let mut plan = Plan::default();
    for (at, column) in columns.iter().enumerate() {
        let wants = column.applicable(scan.wants(&column.name));
        let in_key = scan
            .table
            .keys
            .iter()
            .any(|key| key.columns.contains(&column.name));
        let ruled = !scan.rules(&column.name).is_empty() || in_key;
        let counted = column.reading == Reading::Counted;
        if counted || (!ruled && pushable(column, wants)) {
            plan.pushed.push((at, wants));
        } else {
            plan.copied.push(at);
        }
    }
    plan
}

/// What the columns' totals gave.
pub(crate) struct Totals {
    pub(crate) states: Vec<(String, ColumnState)>,
    /// The columns whose values have to be seen after all, beside those of the plan.
    pub(crate) copied: Vec<usize>,
}

impl Totals {
    /// The states of the columns that were pushed down, from the cells of a row of aggregates; each
    /// column's are at its place in `places`.
    pub(crate) fn read(
        columns: &[Column],
        scan: &ScanPlan,
        plan: &Plan,
        rows: u64,
        cells: &[Option<String>],
        places: &[std::ops::Range<usize>],
    ) -> Self {
        let limits = TablePlan {
            columns: Vec::new(),
            keys: Vec::new(),
            ..scan.table
        };
        let mut totals = Self {
            states: Vec::new(),
            copied: plan.copied.clone(),
        };
        for ((column, wants), place) in plan.pushed.iter().zip(places) {
            let of = &columns[*column];
            let own = cells.get(place.clone()).unwrap_or_default();
            let Some((known, scale)) = read(of, *wants, rows, own) else {
                totals.copied.push(*column);
                continue;
            };
            let mut state = ColumnState::new(wants, &limits);
            if wants.counts_only() {
                state.add_rows(known.rows, known.nulls);
            } else {
                state.add_pushed(of.kind(), scale, &known);
            }
            totals.states.push((of.name.clone(), state));
        }
        totals.copied.sort_unstable();
        totals
    }
}

/// The totals of a column with the scale of its decimals; `None` where they do not tell all that is
/// asked, so that the column has to be copied.
fn read(
    column: &Column,
    wants: Wants,
    rows: u64,
    cells: &[Option<String>],
) -> Option<(Pushed, i8)> {
    let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
    let values: u64 = cell(0)?.parse().ok()?;
    let mut known = Pushed {
        rows,
        nulls: rows.checked_sub(values)?,
        ..Pushed::default()
    };
    if wants.counts_only() || values == 0 {
        return Some((known, 0));
    }
    let mut scale = 0;
    match column.reading {
        of if of.is_integer() => {
            known.sum = Some(cell(1)?.parse().ok()?);
            let next = 2 + usize::from(wants.moments);
            if wants.moments {
                known.squares = Some(cell(2)?.parse().ok()?);
            }
            if wants.range {
                let end = |at| Some(Extreme::Int(cell(at)?.parse().ok()?));
                known.extremes = Some((end(next)?, end(next + 1)?));
            }
        }
        Reading::Decimal(..) | Reading::Numeric => {
            scale = decimals(column, wants, cells, &mut known)?;
        }
        Reading::Float32 | Reading::Float64 => {
            let end = |at| {
                let value: f64 = cell(at)?.parse().ok()?;
                value.is_finite().then_some(Extreme::Float(value))
            };
            known.extremes = Some((end(1)?, end(2)?));
        }
        Reading::Bool => {
            let end = |at| Some(Extreme::Bool(cell(at)? == "true"));
            known.extremes = Some((end(1)?, end(2)?));
        }
        Reading::Text | Reading::Json => texts(wants, values, cells, &mut known)?,
        _ => {
            let end = |at| moment(column.reading, cell(at)?);
            known.extremes = Some((end(1)?, end(2)?));
        }
    }
    Some((known, scale))
}

fn decimals(
    column: &Column,
    wants: Wants,
    cells: &[Option<String>],
    known: &mut Pushed,
) -> Option<i8> {
    let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
    let sum = cell(1)?;
    let scale = match column.reading {
        Reading::Decimal(_, scale) => scale,
        _ => i8::try_from(sum.split_once('.').map_or(0, |(_, part)| part.len())).ok()?,
    };
    known.sum = Some(unscaled(sum, i32::from(scale))?);
    let next = 2 + usize::from(wants.moments);
    if wants.moments {
        known.squares = Some(unscaled(cell(2)?, 2 * i32::from(scale))?);
    }
    if wants.range {
        // One that no type holds is told as in a file, by its value.
        let widest = BigInt::from(10).pow(76);
        let end = |at| {
            let digits = unscaled(cell(at)?, i32::from(scale))?;
            let fits = digits < widest && -&digits < widest;
            fits.then_some(Extreme::Decimal(digits))
        };
        known.extremes = Some((end(next)?, end(next + 1)?));
    }
    Some(scale)
}

fn texts(wants: Wants, values: u64, cells: &[Option<String>], known: &mut Pushed) -> Option<()> {
    let cell = |at: usize| cells.get(at).and_then(Option::as_deref);
    known.empty = cell(1)?.parse().ok()?;
    let mut next = 2;
    if wants.range {
        let end = |at| Some(Extreme::Bytes(cell(at)?.as_bytes().to_vec()));
        known.extremes = Some((end(next)?, end(next + 1)?));
        next += 2;
    }
    if wants.lengths {
        let extent = |at| {
            Some(Extent {
                min: cell(at)?.parse().ok()?,
                max: cell(at + 1)?.parse().ok()?,
                total: cell(at + 2)?.parse().ok()?,
            })
        };
        known.lengths = Some(Lengths::known(values, extent(next)?, extent(next + 3)?));
    }
    Some(())
}

/// A date or a time of the calendar.
fn moment(reading: Reading, text: &str) -> Option<Extreme> {
    let epoch = date(1970, 1, 1);
    let days = |day: Date| i64::from(day.since(epoch).map_or(0, |span| span.get_days()));
    match reading {
        Reading::Date => Some(Extreme::Day(days(text.parse().ok()?))),
        Reading::Time => {
            let time: Time = text.parse().ok()?;
            let since = time.duration_since(Time::midnight()).as_nanos();
            Some(Extreme::TimeOfDay(i64::try_from(since).ok()?))
        }
        Reading::Timestamp | Reading::TimestampTz => {
            let time: DateTime = text.parse().ok()?;
            let since = time.duration_since(epoch.at(0, 0, 0, 0)).as_nanos();
            Some(Extreme::Timestamp(since))
        }
        _ => None,
    }
}

/// The digits of a decimal at a scale; `None` for what is no number, or has more decimals.
pub(crate) fn unscaled(text: &str, scale: i32) -> Option<BigInt> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits: BigInt = format!("{whole}{part}").parse().ok()?;
    let by = scale - i32::try_from(part.len()).ok()?;
    let ten = BigInt::from(10).pow(by.unsigned_abs());
    if by >= 0 {
        return Some(digits * ten);
    }
    let whole = &digits / &ten;
    (&whole * &ten == digits).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_at_a_scale_and_what_is_none_is_not() {
        let read = |text, scale| unscaled(text, scale).map(|digits| digits.to_string());
        assert_eq!(read("-12.50", 2).as_deref(), Some("-1250"));
        assert_eq!(read("12.5", 3).as_deref(), Some("12500"));
        assert_eq!(read("300", -2).as_deref(), Some("3"));
        assert_eq!(read("-0.05", 2).as_deref(), Some("-5"));
        for (text, scale) in [
            ("NaN", 2),
            ("Infinity", 0),
            ("1.25", 1),
            ("310", -2),
            ("", 0),
        ] {
            assert_eq!(read(text, scale), None, "{text}");
        }
    }

    #[test]
    fn times_outside_the_calendar_are_not_guessed_at() {
        assert_eq!(moment(Reading::Date, "1970-01-03"), Some(Extreme::Day(2)));
        assert_eq!(
            moment(Reading::Timestamp, "1969-12-31 23:59:59.5"),
            Some(Extreme::Timestamp(-500_000_000))
        );
        assert_eq!(
            moment(Reading::Time, "00:00:01"),
            Some(Extreme::TimeOfDay(1_000_000_000))
        );
        for text in ["infinity", "-infinity", "0044-03-15 BC", "24:00:00"] {
            assert_eq!(moment(Reading::Date, text), None, "{text}");
            assert_eq!(moment(Reading::Time, text), None, "{text}");
        }
    }
}
