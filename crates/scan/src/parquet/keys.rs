//! Keys of several columns: their duplicates are counted exactly.
//!
//! In: the key's columns, row by row. Out: the hashes of the keys in the states of the partitions
//! that the rows belong to. A row with a NULL in its key has none, and is counted as such.

use assay_metrics::{KeyBuilder, Uniqueness};

use super::columns::Meaning;
use super::file::FileScan;
use super::footer;
use super::rows::add_to_key;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;

impl FileScan<'_> {
    /// The state of one key over the row groups that are measured; `None` when one of its columns
    /// has no single values.
    pub(crate) fn key(
        &mut self,
        names: &[String],
        limit: u64,
    ) -> Result<Option<Uniqueness>, ScanError> {
        let Some(places) = self.key_places(names) else {
            return Ok(None);
        };
        let mut state = Uniqueness::with_limit(limit);
        for group in self.groups.clone() {
            self.key_rows(&places, group, |_, key| count(&mut state, key))?;
        }
        Ok(Some(state))
    }

    /// The places of the key's columns; `None` when one of them has no single values.
    pub(crate) fn key_places(&self, names: &[String]) -> Option<Vec<usize>> {
        let place = |name: &String| {
            let found = self.columns.iter().position(|column| column.name == *name);
            found.filter(|place| self.columns[*place].meaning != Meaning::Nested)
        };
        names.iter().map(place).collect()
    }

    /// Gives the key of each row of a row group to `take`: `None` where a part of it is NULL.
    pub(crate) fn key_rows(
        &mut self,
        places: &[usize],
        group: usize,
        mut take: impl FnMut(usize, Option<u128>),
    ) -> Result<(), ScanError> {
        let mut readers = Vec::new();
        for place in places {
            let meaning = self.columns[*place].meaning;
            readers.push((self.rows_reader(*place, group)?, meaning));
        }
        let path = self.reader.path().to_owned();
        let rows = usize::try_from(self.rows_of(group)).unwrap_or(usize::MAX);
        footer::guarded(&path, &Place::row_group(group), || {
            let mut key = KeyBuilder::default();
            for row in 0..rows {
                let mut whole = true;
                for (reader, meaning) in &mut readers {
                    match reader.next()? {
                        Some((values, at)) => add_to_key(&mut key, *meaning, values, at),
                        None => whole = false,
                    }
                }
                if whole {
                    take(row, Some(key.finish()));
                } else {
                    key.clear();
                    take(row, None);
                }
            }
            readers.iter().try_for_each(|(reader, _)| reader.finish())
        })
    }
}

/// Counts a row by its key.
pub(crate) fn count(state: &mut Uniqueness, key: Option<u128>) {
    match key {
        Some(key) => state.insert_key(key),
        None => state.add_nulls(1),
    }
}
