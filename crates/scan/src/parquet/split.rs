//! Files whose partitions are told apart by a column of theirs.
//!
//! In: a file and the column that holds the key. Out: one state for each partition met, as if its
//! rows had been in a file of their own. The key is cut by the same rules as keys in paths.

use std::collections::BTreeMap;

use assay_metrics::{ColumnState, TableState, Uniqueness};
use assay_model::partition::PartitionKey;

use super::chunk::Depth;
use super::columns::Meaning;
use super::file::{FileScan, note_stated};
use super::footer::{self, Nulls};
use super::groups::Groups;
use super::header::PageKind;
use super::keys::count;
use super::levels;
use super::pages::Scratch;
use super::rows::Rows;
use super::sink::{Decoded, Sink};
use crate::discover::keys::KeyCutter;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;

/// Values of a partition that are gathered before they are fed, and of all partitions together.
const GATHERED: usize = 1 << 14;
const ALL_GATHERED: usize = 1 << 20;

impl FileScan<'_> {
    /// One state for each partition that the row groups hold rows of.
    pub(crate) fn by_column(
        &mut self,
        key_column: &str,
        cutter: &KeyCutter,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
        let path = self.reader.path().to_owned();
        let place = self.key_place(key_column)?;
        let empty = self.empty_state();
        let mut states = BTreeMap::new();
        for group in self.groups.clone() {
            let groups = self.groups_of(place, group, cutter)?;
            for key in &groups.keys {
                let name = key.partition.key.clone();
                states.entry(name).or_insert_with(|| empty.clone());
            }
            for index in 0..self.columns.len() {
                let at = Place::row_group(group).in_column(&self.columns[index].name);
                footer::guarded(&path, &at, || {
                    self.split_chunk(index, group, &groups, &mut states)
                })?;
            }
            self.split_keys(group, &groups, &mut states)?;
            let mut rows = vec![0u64; groups.keys.len()];
            for number in &groups.of_row {
                rows[*number as usize] += 1;
            }
            for (key, rows) in groups.keys.iter().zip(rows) {
                if let Some(state) = states.get_mut(&key.partition.key) {
                    state.rows += rows;
                }
            }
            self.context.progress.add_rows(groups.of_row.len() as u64);
        }
        // The file and its bytes are told once, with the first of its partitions.
        if let Some(first) = states.values_mut().next() {
            first.files = u64::from(self.groups.start == 0);
            first.bytes = self.stored_bytes();
        }
        Ok(states)
    }

    /// Keys of several columns, counted with the partition of each row.
    fn split_keys(
        &mut self,
        group: usize,
        groups: &Groups,
        states: &mut BTreeMap<PartitionKey, TableState>,
    ) -> Result<(), ScanError> {
        let plan = self.plan.clone();
        for key in &plan.table.keys {
            let Some(places) = self.key_places(&key.columns) else {
                continue;
            };
            let fresh = || Uniqueness::with_limit(plan.table.uniqueness_limit);
            let mut counted: Vec<Uniqueness> = groups
                .keys
                .iter()
                .map(|own| {
                    let state = states.get_mut(&own.partition.key);
                    state
                        .and_then(|state| state.keys.remove(&key.id))
                        .unwrap_or_else(fresh)
                })
                .collect();
            self.key_rows(&places, group, |row, hash| {
                count(&mut counted[groups.of_row[row] as usize], hash);
            })?;
            for (own, counted) in groups.keys.iter().zip(counted) {
                if let Some(state) = states.get_mut(&own.partition.key) {
                    state.keys.insert(key.id.clone(), counted);
                }
            }
        }
        Ok(())
    }

    /// The rows of a column chunk, with buffers of their own: several are read side by side.
    pub(crate) fn rows_reader(
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
                    .get_mut(&key.partition.key)
                    .and_then(|s| s.columns.remove(&column.name))
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut sinks: Vec<Sink<'_>> = parts
            .iter_mut()
            .map(|state| Sink::new(column.meaning, state, rules, plan.zone.as_ref()))
            .collect();
        let nested = column.meaning == Meaning::Nested;
        let mut stated = false;
        match self.nulls_untold(&column, group) {
            Some(Nulls::Never) => split_nulls(&mut sinks, groups, |_| false),
            // Which rows have them has to be told where not all or none of a partition do.
            Some(Nulls::Stated(nulls))
                if nulls == 0 || nulls == self.rows_of(group) || sinks.len() == 1 =>
            {
                stated = true;
                match sinks.as_mut_slice() {
                    [only] => only.rows(self.rows_of(group), nulls),
                    _ => split_nulls(&mut sinks, groups, |_| nulls > 0),
                }
            }
            _ if nested || self.depth(&column) == Depth::Nulls => {
                let nulls = self.row_nulls(index, group)?;
                split_nulls(&mut sinks, groups, |row| {
                    nulls[row] && (!nested || column.nullable)
                });
            }
            _ => self.split_values(index, group, groups, &mut sinks)?,
        }
        sinks.into_iter().for_each(Sink::finish);
        let rows = if stated {
            rows_by_key(groups)
        } else {
            Vec::new()
        };
        for (number, (key, part)) in groups.keys.iter().zip(parts).enumerate() {
            if let Some(state) = states.get_mut(&key.partition.key) {
                state.columns.insert(column.name.clone(), part);
                if let Some(rows) = rows.get(number) {
                    note_stated(state, &column.name, *rows);
                }
            }
        }
        Ok(())
    }

    /// Feeds each value to the sink of its row's partition.
    fn split_values(
        &mut self,
        index: usize,
        group: usize,
        groups: &Groups,
        sinks: &mut [Sink<'_>],
    ) -> Result<(), ScanError> {
        let mut reader = self.rows_reader(index, group)?;
        let most = (ALL_GATHERED / sinks.len().max(1)).clamp(1, GATHERED);
        let mut gathered: Vec<Option<Decoded>> = vec![None; sinks.len()];
        let mut nulls = 0;
        for row in &groups.of_row {
            let row = *row as usize;
            let value = reader.next()?;
            sinks[row].rows(1, u64::from(value.is_none()));
            let Some((values, at)) = value else {
                nulls += 1;
                continue;
            };
            // Texts are fed one by one in any case, and a gathered copy may be of any length.
            if matches!(values, Decoded::Bytes(..)) {
                sinks[row].entry(values, at, 1);
                continue;
            }
            let own = gathered[row].get_or_insert_with(|| values.empty());
            own.push_from(values, at);
            if own.len() >= most {
                sinks[row].all(own);
                gathered[row] = None;
            }
        }
        reader.finish()?;
        for (sink, own) in sinks.iter_mut().zip(&gathered) {
            if let Some(own) = own {
                sink.all(own);
            }
        }
        self.verify_nulls(index, group, nulls)
    }

    /// Compares the NULLs that were counted with those that the footer states.
    fn verify_nulls(&self, index: usize, group: usize, counted: u64) -> Result<(), ScanError> {
        let column = &self.columns[index];
        let chunk = self.metadata.row_group(group).column(column.leaf);
        let place = Place::row_group(group).in_column(&column.name);
        footer::verify_nulls(chunk, counted)
            .map_err(|what| ScanError::corrupt(self.reader.path(), place, what))
    }

    /// For each row whether the column is NULL in it. Values are not decoded.
    fn row_nulls(&mut self, index: usize, group: usize) -> Result<Vec<bool>, ScanError> {
        let column = self.columns[index].clone();
        let nested = column.meaning == Meaning::Nested;
        let values = self.stated_values(index, group)?;
        let rows = self.rows_of(group);
        let (mut seen, mut nulls) = (0u64, Vec::new());
        let mut pages = self.pages(index, group)?;
        while seen < values && nulls.len() as u64 <= rows {
            let counted = match pages.next_page()? {
                None => break,
                Some(page) if page.header.kind == PageKind::Dictionary => Ok(0),
                Some(page) => levels::parts(&page, &column).and_then(|parts| {
                    if nested {
                        parts.each_row(nulls.is_empty(), |null| nulls.push(null))?;
                    } else if nulls.len() as u64 + parts.count as u64 > rows {
                        return Err(format!("its pages hold more than {rows} rows"));
                    } else {
                        parts.each_valid(|valid, times| {
                            nulls.extend(std::iter::repeat_n(!valid, times));
                        })?;
                    }
                    Ok(parts.count as u64)
                }),
            };
            seen = seen.saturating_add(counted.map_err(|what| pages.corrupt(what))?);
        }
        if nulls.len() as u64 != rows {
            return Err(pages.corrupt(format!(
                "its pages hold {} rows instead of {rows}",
                nulls.len()
            )));
        }
        self.keep(pages.into_scratch());
        if !nested {
            let counted = nulls.iter().filter(|null| **null).count();
            self.verify_nulls(index, group, counted as u64)?;
        }
        Ok(nulls)
    }
}

/// Counts each row, and whether it is NULL, with its partition.
fn split_nulls(sinks: &mut [Sink<'_>], groups: &Groups, is_null: impl Fn(usize) -> bool) {
    let mut counts = vec![(0u64, 0u64); sinks.len()];
    for (row, number) in groups.of_row.iter().enumerate() {
        let (rows, nulls) = &mut counts[*number as usize];
        *rows += 1;
        *nulls += u64::from(is_null(row));
    }
    for (sink, (rows, nulls)) in sinks.iter_mut().zip(counts) {
        sink.rows(rows, nulls);
    }
}

/// Rows of each partition, by its number.
fn rows_by_key(groups: &Groups) -> Vec<u64> {
    let mut rows = vec![0; groups.keys.len()];
    for number in &groups.of_row {
        rows[*number as usize] += 1;
    }
    rows
}
