//! A key column in SQL: how rows are grouped by it, and how the rows of one group are asked for.
//!
//! In: the key column and the dataset's way to cut it. Out: expressions of SQL, and keys that are
//! spelt exactly as those of files, by the same [`KeyCutter`]. Grouping and asking use one
//! expression, so that a row can never be in two groups or in none. Instants are brought to the
//! dataset's zone by its own rules, not by the server's, which may have none.

use assay_model::dataset::{Cadence, Dataset, Layout};
use assay_scan::discover::keys::{Key, KeyCutter};
use assay_scan::error::{Place, ScanError};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::session::{literal, name};
use super::shape::Shape;
use super::types::{Column, Reading, expression};
use crate::table::range::KeyIs;

/// A key column.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    cutter: KeyCutter,
    column: Column,
    expression: String,
    address: String,
}

impl KeyColumn {
    /// The key column of a dataset; `None` where no column tells its partitions apart.
    pub(super) fn of(
        dataset: &Dataset,
        shape: &Shape,
        address: &str,
    ) -> Result<Option<Self>, ScanError> {
        let Layout::Column {
            column,
            granularity,
        } = &dataset.partitions.layout
        else {
            return Ok(None);
        };
        let cutter = KeyCutter::new(column, *granularity, &dataset.partitions)?;
        let column = shape.column(column, address)?.clone();
        let unit = granularity.unwrap_or(Cadence::Daily);
        let key = Self {
            expression: grouping(&column, unit, cutter.zone()),
            cutter,
            column,
            address: address.to_owned(),
        };
        match key.column.reading {
            Reading::Float32
            | Reading::Float64
            | Reading::Decimal(..)
            | Reading::Numeric
            | Reading::Json
            | Reading::Binary
            | Reading::Time
            | Reading::Counted => Err(key.wrong(format!(
                "a key cannot be of the type {}",
                key.column.type_text()
            ))),
            _ => Ok(Some(key)),
        }
    }

    fn wrong(&self, what: String) -> ScanError {
        ScanError::Definition {
            path: self.address.clone(),
            place: Place::file().in_column(&self.column.name),
            what,
            remedy: "correct assayPartitions, or the values".to_owned(),
        }
    }

    /// What rows are grouped by: a text, a number, or NULL.
    pub(super) fn expression(&self) -> &str {
        &self.expression
    }

    /// The key of a group.
    pub(super) fn key(&self, group: Option<&str>) -> Result<Key, ScanError> {
        let key = match group {
            None => self.cutter.null(),
            Some(text) if self.column.reading.is_integer() => {
                let number = text
                    .parse()
                    .map_err(|_| format!("{text} is no number of 64 bits with a sign"));
                number.and_then(|number| self.cutter.integer(number))
            }
            Some(text) if is_time(&self.column) => {
                let time: Result<DateTime, _> = text.parse();
                let time = time.map_err(|_| format!("{text} is outside the calendar"));
                time.and_then(|time| self.cutter.civil(time))
            }
            Some(text) => self.cutter.text(text),
        };
        key.map_err(|what| self.wrong(format!("rows have no partition: {what}")))
    }

    /// The rows of a group, as a condition that an index on the column can serve.
    pub(super) fn condition(&self, key: &KeyIs) -> String {
        let column = name(&self.column.name);
        let text = match key {
            KeyIs::Any => return "TRUE".to_owned(),
            KeyIs::Null => return format!("{column} IS NULL"),
            KeyIs::Text(text) => text,
        };
        let exact = format!("{} = {}", self.expression, literal(text));
        let near = match self.column.reading {
            of if of.is_integer() => {
                let is_number = text.parse::<i128>().is_ok();
                return match is_number {
                    true => format!("{} = {text}", self.expression),
                    false => exact,
                };
            }
            Reading::Text => format!("{column} = {}", literal(text)),
            _ if is_time(&self.column) => match around(text) {
                Some((low, high)) => format!("{column} >= '{low}' AND {column} < '{high}'"),
                None => return exact,
            },
            _ => return exact,
        };
        format!("({near} AND {exact})")
    }
}

fn is_time(column: &Column) -> bool {
    use Reading::{Date, Timestamp, TimestampTz};
    matches!(column.reading, Date | Timestamp | TimestampTz)
}

fn grouping(column: &Column, unit: Cadence, zone: &TimeZone) -> String {
    let quoted = name(&column.name);
    let clock = match column.reading {
        Reading::Date | Reading::Timestamp => quoted.clone(),
        Reading::TimestampTz => in_zone(&quoted, zone),
        Reading::Bool => {
            let value = expression(column);
            return format!(
                "CASE WHEN {quoted} IS NULL THEN NULL WHEN {value} THEN 'true' ELSE 'false' END"
            );
        }
        Reading::Text => return format!("CAST(CONVERT({quoted} USING utf8mb4) AS BINARY)"),
        _ => return expression(column),
    };
    let format = |of: &str, parts: &str| format!("DATE_FORMAT({of}, '{parts}')");
    let cut = match unit {
        Cadence::Hourly => format(&clock, "%Y-%m-%d %H:00:00"),
        Cadence::Daily => format(&clock, "%Y-%m-%d 00:00:00"),
        Cadence::Weekly => format(
            &format!("{clock} - INTERVAL WEEKDAY({clock}) DAY"),
            "%Y-%m-%d 00:00:00",
        ),
        Cadence::Monthly => format(&clock, "%Y-%m-01 00:00:00"),
    };
    // What no calendar has (`0000-00-00`) must not become NULL, or the first of a month.
    let as_it_is = format!("CAST({quoted} AS CHAR)");
    format!(
        "CASE WHEN {quoted} IS NULL THEN NULL \
         WHEN MONTH({quoted}) = 0 OR DAYOFMONTH({quoted}) = 0 THEN {as_it_is} \
         ELSE COALESCE({cut}, {as_it_is}) END"
    )
}

/// An instant on the wall clock of a zone, by the zone's changes from 1970 to 2106: no more instants
/// are stored.
fn in_zone(quoted: &str, zone: &TimeZone) -> String {
    let end = Timestamp::from_second(i64::from(u32::MAX)).unwrap_or(Timestamp::MAX);
    let mut cases: Vec<String> = zone
        .following(Timestamp::UNIX_EPOCH)
        .take_while(|change| change.timestamp() <= end)
        .map(|change| {
            let at = TimeZone::UTC.to_datetime(change.timestamp());
            let seconds = change.offset().seconds();
            format!("WHEN {quoted} >= '{}' THEN {seconds}", spelt(at))
        })
        .collect();
    let first = zone.to_offset(Timestamp::UNIX_EPOCH).seconds();
    if cases.is_empty() && first == 0 {
        return quoted.to_owned();
    }
    // The latest first: most rows are of late.
    cases.reverse();
    let shift = match cases.is_empty() {
        true => first.to_string(),
        false => format!("CASE {} ELSE {first} END", cases.join(" ")),
    };
    format!("({quoted} + INTERVAL {shift} SECOND)")
}

fn spelt(time: DateTime) -> String {
    format!("{} {}", time.date(), time.time())
}

/// A stretch of time around the longest unit that begins at `text`, wide enough for every zone.
fn around(text: &str) -> Option<(String, String)> {
    let start: DateTime = text.parse().ok()?;
    let low = start.checked_sub(Span::new().days(2)).ok()?;
    let high = start.checked_add(Span::new().days(33)).ok()?;
    (low.year() > 0).then(|| (spelt(low), spelt(high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_brought_to_a_zone_by_the_zones_own_changes() {
        assert_eq!(in_zone("`c`", &TimeZone::UTC), "`c`");
        let fixed = TimeZone::fixed(jiff::tz::offset(5));
        assert_eq!(in_zone("`c`", &fixed), "(`c` + INTERVAL 18000 SECOND)");
        let berlin = in_zone("`c`", &TimeZone::get("Europe/Berlin").unwrap());
        assert!(
            berlin.contains("WHEN `c` >= '2024-03-31 01:00:00' THEN 7200"),
            "{berlin}"
        );
        assert!(berlin.ends_with("ELSE 3600 END SECOND)"), "{berlin}");
    }
}
