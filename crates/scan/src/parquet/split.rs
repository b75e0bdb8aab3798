//! Files whose partitions are told apart by a column of theirs.
//!
//! In: a file and the column that holds the key. Out: one state for each partition met, as if its
//! rows had been in a file of their own. The key is cut by the same rules as keys in paths.

use std::collections::BTreeMap;

use assay_metrics::{ColumnState, TableState};
use assay_model::partition::PartitionKey;
use jiff::{Timestamp, civil};

use super::columns::{FileColumn, Meaning};
use super::file::FileScan;
use super::footer;
use super::header::PageKind;
use super::levels;
use super::pages::Scratch;
use super::rows::Rows;
use super::sink::{Decoded, Sink};
use crate::discover::keys::{Key, KeyCutter};
use crate::error::{Place, ScanError};
use crate::object::ReadAt;
use crate::rules::{date_text, timestamp_text};

/// Values that are gathered before they are fed.
const GATHERED: usize = 1 << 14;

/// The partitions of the rows of a row group.
struct Groups {
    keys: Vec<PartitionKey>,
    of_row: Vec<u32>,
}

impl FileScan<'_> {
    /// One state for each partition that the row groups hold rows of.
    pub(crate) fn by_column(
        &mut self,
        key_column: &str,
        cutter: &KeyCutter,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
        let path = self.reader.path().to_owned();
        let Some(place) = self
            .columns
            .iter()
            .position(|column| column.name == key_column)
        else {
            return Err(ScanError::Definition {
                path,
                place: Place::file(),
                what: format!("it has no column `{key_column}`, which tells its partitions apart"),
                remedy: "correct assayPartitions, or the producer of the file".to_owned(),
            });
        };
        let mut states = BTreeMap::new();
        for group in self.groups.clone() {
            let at = Place::row_group(group).in_column(key_column);
            let groups = footer::guarded(&path, &at, || self.groups_of(place, group, cutter))?;
            let empty = self.empty_state();
            for key in &groups.keys {
                states.entry(key.clone()).or_insert_with(|| empty.clone());
            }
            for index in 0..self.columns.len() {
                let at = Place::row_group(group).in_column(&self.columns[index].name);
                footer::guarded(&path, &at, || {
                    self.split_chunk(index, group, &groups, &mut states)
                })?;
            }
            for row in &groups.of_row {
                if let Some(state) = states.get_mut(&groups.keys[*row as usize]) {
                    state.rows += 1;
                }
            }
            self.context.progress.add_rows(groups.of_row.len() as u64);
        }
        // The file and its bytes are told once, with the first of its partitions.
        if let Some(first) = states.values_mut().next() {
            first.files = u64::from(self.groups.start == 0);
            first.bytes = self.reader.size();
        }
        Ok(states)
    }

    fn rows_reader(
        &mut self,
        index: usize,
        group: usize,
    ) -> Result<Rows<crate::object::ObjectReader>, ScanError> {
        self.stated_values(index, group)?;
        self.keep(Scratch::default());
        let column = self.columns[index].clone();
        let descriptor = self
            .metadata
            .file_metadata()
            .schema_descr()
            .column(column.leaf);
        Ok(Rows::new(self.pages(index, group)?, column, descriptor))
    }

    fn groups_of(
        &mut self,
        place: usize,
        group: usize,
        cutter: &KeyCutter,
    ) -> Result<Groups, ScanError> {
        let column = self.columns[place].clone();
        let mut reader = self.rows_reader(place, group)?;
        let mut groups = Groups {
            keys: Vec::new(),
            of_row: Vec::new(),
        };
        for row in 0..self.rows_of(group) {
            let key = match reader.next()? {
                None => cutter.null(),
                Some((values, at)) => cut(cutter, &column, values, at),
            };
            let key = key.map_err(|what| ScanError::Definition {
                path: self.reader.path().to_owned(),
                place: Place::row_group(group).in_column(&column.name),
                what: format!("row {row} of the row group has no partition: {what}"),
                remedy: "correct assayPartitions, or the values".to_owned(),
            })?;
            let key = key.partition.key;
            // Rows of a partition mostly follow one another.
            let known = groups.keys.iter().rposition(|known| *known == key);
            let number = known.unwrap_or_else(|| {
                groups.keys.push(key);
                groups.keys.len() - 1
            });
            groups.of_row.push(number as u32);
        }
        Ok(groups)
    }

    fn split_chunk(
        &mut self,
        index: usize,
        group: usize,
        groups: &Groups,
        states: &mut BTreeMap<PartitionKey, TableState>,
    ) -> Result<(), ScanError> {
        let column = self.columns[index].clone();
        let plan = self.plan.clone();
        let rules = plan.rules(&column.name);
        let mut parts: Vec<ColumnState> = groups
            .keys
            .iter()
            .map(|key| {
                states
                    .get_mut(key)
                    .and_then(|s| s.columns.remove(&column.name))
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut sinks: Vec<Sink<'_>> = parts
            .iter_mut()
            .map(|state| Sink::new(column.meaning, state, rules))
            .collect();
        if column.meaning == Meaning::Nested {
            for (row, null) in groups.of_row.iter().zip(self.nested_nulls(index, group)?) {
                sinks[*row as usize].rows(1, u64::from(null && column.nullable));
            }
        } else {
            let mut reader = self.rows_reader(index, group)?;
            let mut gathered: Vec<Option<Decoded>> = vec![None; sinks.len()];
            for row in &groups.of_row {
                let row = *row as usize;
                let value = reader.next()?;
                sinks[row].rows(1, u64::from(value.is_none()));
                let Some((values, at)) = value else { continue };
                let own = gathered[row].get_or_insert_with(|| values.empty());
                own.push_from(values, at);
                if own.len() >= GATHERED {
                    sinks[row].all(own);
                    gathered[row] = None;
                }
            }
            for (row, own) in gathered.iter().enumerate() {
                if let Some(own) = own {
                    sinks[row].all(own);
                }
            }
        }
        sinks.into_iter().for_each(Sink::finish);
        for (key, part) in groups.keys.iter().zip(parts) {
            if let Some(state) = states.get_mut(key) {
                state.columns.insert(column.name.clone(), part);
            }
        }
        Ok(())
    }

    /// For each row whether a nested column is NULL in it.
    fn nested_nulls(&mut self, index: usize, group: usize) -> Result<Vec<bool>, ScanError> {
        let column = self.columns[index].clone();
        let values = self.stated_values(index, group)?;
        let rows = self.rows_of(group);
        let (mut seen, mut nulls) = (0u64, Vec::new());
        let mut pages = self.pages(index, group)?;
        while seen < values {
            let counted = match pages.next_page()? {
                None => break,
                Some(page) if page.header.kind == PageKind::Dictionary => Ok(0),
                Some(page) => levels::parts(&page, &column).and_then(|parts| {
                    parts.each_row(nulls.is_empty(), |null| nulls.push(null))?;
                    Ok(parts.count as u64)
                }),
            };
            seen += counted.map_err(|what| pages.corrupt(what))?;
        }
        if nulls.len() as u64 != rows {
            return Err(pages.corrupt(format!(
                "its pages hold {} rows instead of {rows}",
                nulls.len()
            )));
        }
        self.keep(pages.into_scratch());
        Ok(nulls)
    }
}

/// The key of a value. Times without a zone are on the wall clock of the dataset's zone.
fn cut(
    cutter: &KeyCutter,
    column: &FileColumn,
    values: &Decoded,
    at: usize,
) -> Result<Key, String> {
    let instant = |nanos: i128| match Timestamp::from_nanosecond(nanos) {
        Ok(time) if column.type_text.ends_with(",utc)") || column.meaning == Meaning::Int96 => {
            cutter.instant(time)
        }
        Ok(time) => cutter.civil(time.to_zoned(jiff::tz::TimeZone::UTC).datetime()),
        Err(_) => Err(format!("{} is outside the calendar", timestamp_text(nanos))),
    };
    match (values, column.meaning) {
        (Decoded::Ints(values), Meaning::Date) => {
            match date_text(values[at]).parse::<civil::Date>() {
                Ok(date) => cutter.civil(date.at(0, 0, 0, 0)),
                Err(_) => Err(format!("{} is outside the calendar", date_text(values[at]))),
            }
        }
        (Decoded::Ints(values), Meaning::Timestamp(nanos)) => {
            instant(i128::from(values[at]) * i128::from(nanos))
        }
        (Decoded::Wide(values), Meaning::Int96) => instant(values[at]),
        (Decoded::Ints(values), Meaning::Int | Meaning::Unsigned32) => cutter.integer(values[at]),
        (Decoded::Bytes(..), Meaning::Text | Meaning::Binary) => {
            match std::str::from_utf8(values.bytes_at(at)) {
                Ok(text) => cutter.text(text),
                Err(_) => Err("its key is not UTF-8".to_owned()),
            }
        }
        (Decoded::Bools(values), _) => cutter.text(if values[at] { "true" } else { "false" }),
        _ => Err(format!("a key cannot be of the type {}", column.type_text)),
    }
}
