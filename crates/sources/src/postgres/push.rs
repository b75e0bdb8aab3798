//! What the database computes itself: one aggregate statement for the rows of a range.
//!
//! In: what the checks and the profile ask of each column. Out: aggregates of SQL for every column
//! of which they give all that is asked, exactly; and the totals read back. A column whose values
//! the aggregates cannot tell (doubles to be summed, distinct values, quantiles, rules, keys; a
//! number that is none, a time outside the calendar) is copied instead.

use assay_metrics::{BigInt, Extent, Extreme, Lengths, Pushed, Wants};
use assay_scan::plan::ScanPlan;
use jiff::civil::{Date, DateTime, Time, date};

use super::types::{Column, Reading};

/// How the columns of a table are measured.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// By the database: the column's place and what is asked.
    pub(super) pushed: Vec<(usize, Wants)>,
    /// By copying.
    pub(super) copied: Vec<usize>,
}

/// Tells the columns apart. `utf8` says that the server's texts are ordered by their bytes.
pub(super) fn plan(columns: &[Column], scan: &ScanPlan, utf8: bool) -> Plan {
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
        if counted || (!ruled && is_pushable(column, wants, utf8)) {
            plan.pushed.push((at, wants));
        } else {
            plan.copied.push(at);
        }
    }
    plan
}

fn is_pushable(column: &Column, wants: Wants, utf8: bool) -> bool {
    if wants.counts_only() {
        return true;
    }
    if wants.distinct || wants.quantiles || wants.uniqueness {
        return false;
    }
    match column.reading {
        Reading::Float32 | Reading::Float64 => !wants.sum && !wants.moments,
        // Elsewhere characters are counted, and texts ordered, in another way.
        Reading::Text | Reading::Json => utf8 || !(wants.range || wants.lengths),
        Reading::Binary | Reading::Uuid | Reading::Counted => false,
        _ => true,
    }
}

/// The aggregates of a column, after the count of its values.
pub(super) fn aggregates(column: &Column, wants: Wants) -> Vec<String> {
    let value = column.expression();
    let mut all = vec![format!("count({value})")];
    if wants.counts_only() {
        return all;
    }
    let ends = |of: &str| [format!("min({of})::text"), format!("max({of})::text")];
    match column.reading {
        Reading::Int16
        | Reading::Int32
        | Reading::Int64
        | Reading::Decimal(..)
        | Reading::Numeric => {
            let square = match column.reading {
                Reading::Int16 | Reading::Int32 => format!("{value}::int8 * {value}::int8"),
                Reading::Int64 => format!("{value}::numeric * {value}::numeric"),
                _ => format!("{value} * {value}"),
            };
            // The sum of decimals tells the scale, and whether one of them is no number.
            all.push(format!("sum({value})::text"));
            if wants.moments {
                all.push(format!("sum({square})::text"));
            }
            if wants.range {
                all.extend(ends(&value));
            }
        }
        // The extremes tell whether there are NaN and infinities.
        Reading::Float32 | Reading::Float64 => all.extend(ends(&format!("{value}::float8"))),
        Reading::Bool => {
            all.push(format!("bool_and({value})::text"));
            all.push(format!("bool_or({value})::text"));
        }
        Reading::Text | Reading::Json => {
            let text = format!("({value})::text");
            // By its bytes: a collation may take other texts for equal to the empty one.
            all.push(format!("count(*) FILTER (WHERE octet_length({text}) = 0)"));
            if wants.range {
                all.extend(ends(&format!("{text} COLLATE \"C\"")));
            }
            if wants.lengths {
                for of in ["char_length", "octet_length"] {
                    all.push(format!("min({of}({text}))"));
                    all.push(format!("max({of}({text}))"));
                    all.push(format!("sum({of}({text})::int8)::text"));
                }
            }
        }
        Reading::TimestampTz => all.extend(ends(&format!("({value} AT TIME ZONE 'UTC')"))),
        _ => all.extend(ends(&value)),
    }
    all
}

/// The totals of a column with the scale of its decimals; `None` where they do not tell all that is
/// asked, so that the column has to be copied.
pub(super) fn read(
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
        Reading::Int16 | Reading::Int32 | Reading::Int64 => {
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
pub(super) fn unscaled(text: &str, scale: i32) -> Option<BigInt> {
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
