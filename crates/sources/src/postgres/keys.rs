//! A key column in SQL: how rows are grouped by it, and how the rows of one group are asked for.
//!
//! In: the key column and the dataset's way to cut it. Out: expressions of SQL, and keys that are
//! spelt exactly as those of files, by the same [`KeyCutter`]. Grouping and asking use one
//! expression, so that a row can never be in two groups or in none.

use assay_model::dataset::{Cadence, Dataset, Layout};
use assay_scan::discover::keys::{Key, KeyCutter};
use assay_scan::error::{Place, ScanError};
use jiff::Span;
use jiff::civil::DateTime;

use super::session::{literal, name};
use super::shape::Shape;
use super::types::{Column, Reading};
use crate::table::range::KeyIs;

/// A key column.
#[derive(Debug, Clone)]
pub(super) struct KeyColumn {
    cutter: KeyCutter,
    column: Column,
    unit: Cadence,
    zone: String,
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
        let key = Self {
            cutter,
            column,
            unit: granularity.unwrap_or(Cadence::Daily),
            zone: dataset.partitions.time_zone.clone(),
            address: address.to_owned(),
        };
        match key.column.reading {
            Reading::Int16
            | Reading::Int32
            | Reading::Int64
            | Reading::Bool
            | Reading::Text
            | Reading::Uuid
            | Reading::Date
            | Reading::Timestamp
            | Reading::TimestampTz => Ok(Some(key)),
            _ => Err(key.wrong(format!(
                "a key cannot be of the type {}",
                key.column.type_text()
            ))),
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

    fn is_time(&self) -> bool {
        use Reading::{Date, Timestamp, TimestampTz};
        matches!(self.column.reading, Date | Timestamp | TimestampTz)
    }

    /// What rows are grouped by: a text, or NULL.
    pub(super) fn expression(&self) -> String {
        let column = name(&self.column.name);
        let clock = match self.column.reading {
            Reading::Date => format!("{column}::timestamp"),
            Reading::TimestampTz => format!("({column} AT TIME ZONE {})", literal(&self.zone)),
            Reading::Timestamp => column,
            _ => return format!("({column}::text COLLATE \"C\")"),
        };
        let unit = match self.unit {
            Cadence::Hourly => "hour",
            Cadence::Daily => "day",
            Cadence::Weekly => "week",
            Cadence::Monthly => "month",
        };
        format!("date_trunc('{unit}', {clock})::text")
    }

    /// The key of a group.
    pub(super) fn key(&self, group: Option<&str>) -> Result<Key, ScanError> {
        let key = match (group, self.column.reading) {
            (None, _) => self.cutter.null(),
            (Some(text), Reading::Int16 | Reading::Int32 | Reading::Int64) => {
                let number = text.parse().map_err(|_| format!("{text:?} is no number"));
                number.and_then(|number| self.cutter.integer(number))
            }
            (Some(text), _) if self.is_time() => {
                let time: Result<DateTime, _> = text.parse();
                let time = time.map_err(|_| format!("{text} is outside the calendar"));
                time.and_then(|time| self.cutter.civil(time))
            }
            (Some(text), _) => self.cutter.text(text),
        };
        key.map_err(|what| self.wrong(format!("rows have no partition: {what}")))
    }

    /// The rows of a group, as a condition that an index on the column can serve.
    pub(super) fn condition(&self, key: &KeyIs) -> String {
        let column = name(&self.column.name);
        let text = match key {
            KeyIs::Any => return "true".to_owned(),
            KeyIs::Null => return format!("{column} IS NULL"),
            KeyIs::Text(text) => text,
        };
        let exact = format!("{} = {}", self.expression(), literal(text));
        let near = match self.column.reading {
            Reading::Int16 | Reading::Int32 | Reading::Int64 if text.parse::<i64>().is_ok() => {
                return format!("{column} = {text}");
            }
            Reading::Bool => format!("{column} = {}::bool", literal(text)),
            Reading::Uuid => format!("{column} = {}::uuid", literal(text)),
            Reading::Text
                if !self.column.by_text || self.column.called.starts_with("character") =>
            {
                format!("{column} = {}", literal(text))
            }
            _ if self.is_time() => match around(text) {
                Some((low, high)) => {
                    let utc = if self.column.reading == Reading::TimestampTz {
                        "+00"
                    } else {
                        ""
                    };
                    format!("{column} >= '{low}{utc}' AND {column} < '{high}{utc}'")
                }
                None => return exact,
            },
            _ => return exact,
        };
        format!("({near} AND {exact})")
    }
}

/// A stretch of time around the longest unit that begins at `text`, wide enough for every zone.
fn around(text: &str) -> Option<(String, String)> {
    let start: DateTime = text.parse().ok()?;
    let low = start.checked_sub(Span::new().days(2)).ok()?;
    let high = start.checked_add(Span::new().days(33)).ok()?;
    let spelt = |time: DateTime| format!("{} {}", time.date(), time.time());
    (low.year() > 0).then(|| (spelt(low), spelt(high)))
}
