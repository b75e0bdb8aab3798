//! Which partition each row of a row group belongs to, where the key is a column of the data.
//!
//! In: the key column's values. Out: the keys met, and for each row which of them it has. The key
//! is cut by the same rules as keys in paths and in text formats. The same value is cut only once;
//! times are told apart by the hour of their wall clock, which no granularity is finer than.

use std::collections::BTreeMap;

use assay_model::partition::PartitionKey;
use jiff::civil::{self, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::columns::Meaning;
use super::file::FileScan;
use super::footer;
use super::sink::Decoded;
use crate::discover::keys::{Key, KeyCutter, MOST_PARTITIONS};
use crate::error::{Place, ScanError};
use crate::object::ReadAt;
use crate::rules::{date_text, timestamp_text};

/// Values whose key is remembered, so that ever new ones do not fill the memory.
const REMEMBERED: usize = 100_000;

/// Bytes that tell the partition of a row.
const ROW_BYTES: u64 = 4;

/// The partitions of the rows of a row group.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The keys met, in the order of their first rows.
    pub(crate) keys: Vec<Key>,
    /// For each row the place of its key.
    pub(crate) of_row: Vec<u32>,
}

/// Tells rows apart by the values of their key column.
pub(crate) struct Grouper<'a> {
    cutter: &'a KeyCutter,
    meaning: Meaning,
    type_text: &'a str,
    pub(crate) keys: Vec<Key>,
    numbers: BTreeMap<PartitionKey, u32>,
    null: Option<u32>,
    integers: BTreeMap<i64, u32>,
    hours: BTreeMap<DateTime, u32>,
    texts: BTreeMap<Vec<u8>, u32>,
}

impl<'a> Grouper<'a> {
    /// For a key column of this meaning, whose type is called so.
    pub(crate) fn new(cutter: &'a KeyCutter, meaning: Meaning, type_text: &'a str) -> Self {
        Self {
            cutter,
            meaning,
            type_text,
            keys: Vec::new(),
            numbers: BTreeMap::new(),
            null: None,
            integers: BTreeMap::new(),
            hours: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    fn enter(&mut self, key: Key) -> Result<u32, String> {
        if let Some(number) = self.numbers.get(&key.partition.key) {
            return Ok(*number);
        }
        let number = self.keys.len();
        if number >= MOST_PARTITIONS {
            return Err(format!(
                "its row group holds more than {MOST_PARTITIONS} partitions"
            ));
        }
        self.numbers
            .insert(key.partition.key.clone(), number as u32);
        self.keys.push(key);
        Ok(number as u32)
    }

    /// The key of a row whose key column is NULL.
    pub(crate) fn null(&mut self) -> Result<u32, String> {
        if let Some(number) = self.null {
            return Ok(number);
        }
        let number = self.enter(self.cutter.null()?)?;
        self.null = Some(number);
        Ok(number)
    }

    /// The key of a value that is not NULL, by its place among the keys met.
    pub(crate) fn value(&mut self, values: &Decoded, at: usize) -> Result<u32, String> {
        match (values, self.meaning) {
            (Decoded::Ints(values), Meaning::Timestamp(nanos) | Meaning::LocalTimestamp(nanos)) => {
                self.time(i128::from(values[at]) * i128::from(nanos))
            }
            (Decoded::Wide(values), Meaning::Int96) => self.time(values[at]),
            (Decoded::Ints(values), Meaning::Date | Meaning::Int | Meaning::Unsigned32) => {
                self.integer(values[at])
            }
            (Decoded::Unsigned(values), _) => match i64::try_from(values[at]) {
                Ok(value) => self.integer(value),
                Err(_) => self.text(values[at].to_string().as_bytes()),
            },
            (Decoded::Bytes(..), Meaning::Text | Meaning::Binary) => self.text(values.bytes_at(at)),
            (Decoded::Bools(values), _) => {
                let text: &[u8] = if values[at] { b"true" } else { b"false" };
                self.text(text)
            }
            _ => Err(format!("a key cannot be of the type {}", self.type_text)),
        }
    }

    /// The key of a whole number or a day.
    fn integer(&mut self, value: i64) -> Result<u32, String> {
        if let Some(number) = self.integers.get(&value) {
            return Ok(*number);
        }
        let key = if self.meaning == Meaning::Date {
            let span = Span::new().try_days(value);
            let date = span.and_then(|span| civil::date(1970, 1, 1).checked_add(span));
            let date = date.map_err(|_| format!("{} is outside the calendar", date_text(value)))?;
            self.cutter.civil(date.at(0, 0, 0, 0))?
        } else {
            self.cutter.integer(value)?
        };
        let number = self.enter(key)?;
        if self.integers.len() < REMEMBERED {
            self.integers.insert(value, number);
        }
        Ok(number)
    }

    /// The key of a time. Times without a zone are on the wall clock of the dataset's zone.
    fn time(&mut self, nanos: i128) -> Result<u32, String> {
        let instant = Timestamp::from_nanosecond(nanos)
            .map_err(|_| format!("{} is outside the calendar", timestamp_text(nanos)))?;
        let clock = match self.meaning {
            Meaning::LocalTimestamp(_) => TimeZone::UTC.to_datetime(instant),
            _ => self.cutter.zone().to_datetime(instant),
        };
        let hour = clock.date().at(clock.hour(), 0, 0, 0);
        if let Some(number) = self.hours.get(&hour) {
            return Ok(*number);
        }
        let number = self.enter(self.cutter.civil(hour)?)?;
        if self.hours.len() < REMEMBERED {
            self.hours.insert(hour, number);
        }
        Ok(number)
    }

    fn text(&mut self, value: &[u8]) -> Result<u32, String> {
        if let Some(number) = self.texts.get(value) {
            return Ok(*number);
        }
        let text = std::str::from_utf8(value).map_err(|_| "its key is not UTF-8".to_owned())?;
        let number = self.enter(self.cutter.text(text)?)?;
        if self.texts.len() < REMEMBERED {
            self.texts.insert(value.to_vec(), number);
        }
        Ok(number)
    }
}

impl FileScan<'_> {
    /// The place of the key column among the file's columns.
    pub(crate) fn key_place(&self, key_column: &str) -> Result<usize, ScanError> {
        let found = self.columns.iter().position(|c| c.name == key_column);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
            ScanError::Definition {
                path: self.reader.path().to_owned(),
                place: Place::file(),
                what: format!(
                    "it has no column `{key_column}`, which tells its partitions apart; it has {}",
                    names.join(", ")
                ),
                remedy: "correct assayPartitions, or the producer of the file".to_owned(),
            }
        })
    }

    /// The partition of each row of a row group, by the column at `place`.
    pub(crate) fn groups_of(
        &mut self,
        place: usize,
        group: usize,
        cutter: &KeyCutter,
    ) -> Result<Groups, ScanError> {
        let path = self.reader.path().to_owned();
        let column = self.columns[place].clone();
        let at = Place::row_group(group).in_column(&column.name);
        let (rows, budget) = (self.rows_of(group), self.context.memory_bytes);
        // Stated rows take no bytes of the file: a run of one key stands for any number of them.
        if rows.saturating_mul(ROW_BYTES) > budget {
            return Err(ScanError::Unsupported {
                path,
                place: at,
                what: format!(
                    "the partitions of {rows} rows do not fit the memory of {budget} bytes that a scan may take"
                ),
                remedy: "write smaller row groups, or give the scan more memory".to_owned(),
            });
        }
        footer::guarded(&path, &at, || {
            let mut reader = self.rows_reader(place, group)?;
            let mut grouper = Grouper::new(cutter, column.meaning, &column.type_text);
            let mut of_row = Vec::new();
            for row in 0..self.rows_of(group) {
                let number = match reader.next()? {
                    None => grouper.null(),
                    Some((values, at)) => grouper.value(values, at),
                };
                of_row.push(number.map_err(|what| ScanError::Definition {
                    path: path.clone(),
                    place: at.clone(),
                    what: format!("row {row} of the row group has no partition: {what}"),
                    remedy: "correct assayPartitions, or the values".to_owned(),
                })?);
            }
            reader.finish()?;
            let keys = grouper.keys;
            Ok(Groups { keys, of_row })
        })
    }

    /// Every key that the row groups hold rows of.
    pub(crate) fn keys_met(
        &mut self,
        key_column: &str,
        cutter: &KeyCutter,
    ) -> Result<BTreeMap<PartitionKey, Key>, ScanError> {
        let place = self.key_place(key_column)?;
        let mut met = BTreeMap::new();
        for group in self.groups.clone() {
            for key in self.groups_of(place, group, cutter)?.keys {
                met.entry(key.partition.key.clone()).or_insert(key);
            }
        }
        Ok(met)
    }
}
