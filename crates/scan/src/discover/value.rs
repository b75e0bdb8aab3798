//! One part of a partition key: how a raw value is read, spelt and ordered.
//!
//! In: the text found in a path or a column, and the kind it should have. Out: a typed value with
//! one canonical spelling and a spelling that sorts, as bytes, the way the values do. A text that
//! is not of its kind is refused with the form that was expected; it is never guessed at.

use assay_model::dataset::KeyKind;
use jiff::ToSpan;
use jiff::civil::{Date, DateTime, ISOWeekDate, Weekday};

/// How Hive spells the folder of rows whose key is NULL; Assay names their partition so, too.
pub const NULL_KEY: &str = "__HIVE_DEFAULT_PARTITION__";

/// How much data time a dated value covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// An hour of the wall clock.
    Hour,
    /// A day.
    Day,
    /// Seven days.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

impl Unit {
    /// The first instant (wall clock) after the unit that begins at `start`; `None` at the end of
    /// the calendar.
    #[must_use]
    pub fn after(self, start: DateTime) -> Option<DateTime> {
        let step = match self {
            Self::Hour => 1.hour(),
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Year => 1.year(),
        };
        start.checked_add(step).ok()
    }
}

/// A typed value of one part of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// The NULL key.
    Null,
    /// A stretch of data time: its beginning on the wall clock, and its length.
    Time {
        /// Where it begins.
        start: DateTime,
        /// How long it is.
        unit: Unit,
        /// Spelt as an ISO week (`2026-W07`).
        iso_week: bool,
    },
    /// A year.
    Year(i16),
    /// A month of a year.
    Month(i8),
    /// A day of a month.
    Day(i8),
    /// An hour of a day.
    Hour(i8),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl Value {
    /// A stretch of data time in its usual spelling.
    #[must_use]
    pub const fn time(start: DateTime, unit: Unit) -> Self {
        Self::Time {
            start,
            unit,
            iso_week: false,
        }
    }

    /// Reads `raw` as a value of `kind`.
    ///
    /// # Errors
    /// The form that was expected.
    pub fn parse(kind: KeyKind, raw: &str) -> Result<Self, &'static str> {
        if raw == NULL_KEY {
            return Ok(Self::Null);
        }
        let small = |low: i8, high: i8, expected: &'static str| {
            let digits = (1..=2).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_digit());
            let value = raw
                .parse::<i8>()
                .ok()
                .filter(|v| digits && (low..=high).contains(v));
            value.ok_or(expected)
        };
        match kind {
            KeyKind::Date => parse_time(raw).ok_or(
                "a date such as 2026-11-20 or 20261120 (or 2026-11, 2026-W47, 2026-11-20T05)",
            ),
            KeyKind::Year => match raw.parse::<i16>() {
                Ok(year)
                    if raw.len() == 4
                        && raw.bytes().all(|b| b.is_ascii_digit())
                        && (1..=9998).contains(&year) =>
                {
                    Ok(Self::Year(year))
                }
                _ => Err("a year of four digits"),
            },
            KeyKind::Month => small(1, 12, "a month from 1 to 12").map(Self::Month),
            KeyKind::Day => small(1, 31, "a day of the month from 1 to 31").map(Self::Day),
            KeyKind::Hour => small(0, 23, "an hour from 0 to 23").map(Self::Hour),
            KeyKind::Integer => {
                let number = raw
                    .parse()
                    .map_err(|_| "a whole number of at most 64 bits")?;
                Ok(Self::Integer(number))
            }
            KeyKind::Text => Ok(Self::Text(raw.to_owned())),
        }
    }

    /// The one spelling of the value.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Null => NULL_KEY.to_owned(),
            Self::Time {
                start,
                iso_week: true,
                ..
            } => {
                let week = start.date().iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            Self::Time { start, unit, .. } => match unit {
                Unit::Hour => format!("{}T{:02}", start.date(), start.hour()),
                Unit::Day | Unit::Week => start.date().to_string(),
                Unit::Month => format!("{:04}-{:02}", start.year(), start.month()),
                Unit::Year => format!("{:04}", start.year()),
            },
            Self::Year(year) => format!("{year:04}"),
            Self::Month(part) | Self::Day(part) | Self::Hour(part) => format!("{part:02}"),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }

    /// A spelling that sorts as the values do, compared as bytes; NULL comes first.
    #[must_use]
    pub fn order(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Time { start, .. } => format!("{}T{:02}", start.date(), start.hour()),
            // Shifted to start at 0 and padded to the digits of the widest 64-bit number.
            Self::Integer(number) => {
                format!("{:020}", i128::from(*number) - i128::from(i64::MIN))
            }
            // A text that is empty must still come after NULL.
            Self::Text(text) => format!("={text}"),
            other => other.canonical(),
        }
    }
}

/// The dated value that all of `raw` spells, if it spells one.
#[must_use]
pub fn parse_time(raw: &str) -> Option<Value> {
    let b = raw.as_bytes();
    let number = |from: usize, to: usize| -> Option<i16> {
        let part = b.get(from..to)?;
        if !part.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(part.iter().fold(0, |n, d| n * 10 + i16::from(d - b'0')))
    };
    let small = |from, to| number(from, to).and_then(|n| i8::try_from(n).ok());
    let at = |month, day, hour| {
        let date = Date::new(number(0, 4)?, month, day).ok()?;
        (1..=9998).contains(&date.year()).then_some(())?;
        Some(date.at(
            i8::try_from(hour).ok().filter(|h| (0..24).contains(h))?,
            0,
            0,
            0,
        ))
    };
    let separator = |i: usize| matches!(b.get(i), Some(b'-' | b'_'));
    let hour_mark = |i: usize| matches!(b.get(i), Some(b'T' | b' ' | b'-' | b'_'));
    match b.len() {
        6 => Some(Value::time(at(small(4, 6)?, 1, 0)?, Unit::Month)),
        7 if separator(4) => Some(Value::time(at(small(5, 7)?, 1, 0)?, Unit::Month)),
        8 if separator(4) && b[5] == b'W' => {
            let week = ISOWeekDate::new(number(0, 4)?, small(6, 8)?, Weekday::Monday).ok()?;
            let start = week.date().at(0, 0, 0, 0);
            (1..=9998).contains(&start.year()).then_some(())?;
            Some(Value::Time {
                start,
                unit: Unit::Week,
                iso_week: true,
            })
        }
        8 => Some(Value::time(at(small(4, 6)?, small(6, 8)?, 0)?, Unit::Day)),
        10 if separator(4) && b[7] == b[4] => {
            Some(Value::time(at(small(5, 7)?, small(8, 10)?, 0)?, Unit::Day))
        }
        10 => Some(Value::time(
            at(small(4, 6)?, small(6, 8)?, number(8, 10)?)?,
            Unit::Hour,
        )),
        13 if separator(4) && b[7] == b[4] && hour_mark(10) => Some(Value::time(
            at(small(5, 7)?, small(8, 10)?, number(11, 13)?)?,
            Unit::Hour,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_one_spelling_however_it_is_written() {
        for raw in ["2026-11-20", "20261120", "2026_11_20"] {
            assert_eq!(
                Value::parse(KeyKind::Date, raw).unwrap().canonical(),
                "2026-11-20"
            );
        }
        assert_eq!(parse_time("2026-11").unwrap().canonical(), "2026-11");
        assert_eq!(parse_time("2026-W07").unwrap().canonical(), "2026-W07");
        assert_eq!(
            parse_time("2026112005").unwrap().canonical(),
            "2026-11-20T05"
        );
        for bad in [
            "2026-02-30",
            "2026-13",
            "2026-W54",
            "2026112024",
            "x026-11-20",
            "",
            "äää11-20",
        ] {
            assert!(parse_time(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_text_that_is_not_of_its_kind_is_refused_with_the_expected_form() {
        assert_eq!(
            Value::parse(KeyKind::Month, "13"),
            Err("a month from 1 to 12")
        );
        assert!(Value::parse(KeyKind::Integer, "1x").is_err());
        assert!(Value::parse(KeyKind::Year, "+201").is_err());
        assert!(Value::parse(KeyKind::Hour, "+1").is_err());
    }

    proptest::proptest! {
        #[test]
        fn integers_sort_as_bytes_the_way_they_sort_as_numbers(a: i64, b: i64) {
            let (left, right) = (Value::Integer(a), Value::Integer(b));
            assert_eq!(a.cmp(&b), left.order().cmp(&right.order()));
        }

        #[test]
        fn no_text_makes_the_date_reader_panic(raw in "\\PC{0,14}") {
            let _ = parse_time(&raw);
        }
    }
}
