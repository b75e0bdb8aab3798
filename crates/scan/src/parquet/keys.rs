//! Keys of several columns: their duplicates are counted exactly.
//!
//! In: the key's columns, row by row. Out: the hashes of the keys in the table's state. A row with
//! a NULL in its key has none, and is counted as such.

use assay_metrics::{KeyBuilder, Uniqueness};

use super::columns::Meaning;
use super::file::FileScan;
use super::footer;
use super::pages::Scratch;
use super::rows::{Rows, add_to_key};
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
        let mut places = Vec::new();
        for name in names {
            match self.columns.iter().position(|column| column.name == *name) {
                Some(place) if self.columns[place].meaning != Meaning::Nested => places.push(place),
                _ => return Ok(None),
            }
        }
        let mut state = Uniqueness::with_limit(limit);
        for group in self.groups.clone() {
            let rows = self.rows_of(group);
            let mut readers = Vec::new();
            for place in &places {
                self.stated_values(*place, group)?;
                self.keep(Scratch::default());
                let column = self.columns[*place].clone();
                let descriptor = self
                    .metadata
                    .file_metadata()
                    .schema_descr()
                    .column(column.leaf);
                let meaning = column.meaning;
                readers.push((
                    Rows::new(self.pages(*place, group)?, column, descriptor),
                    meaning,
                ));
            }
            let path = self.reader.path().to_owned();
            footer::guarded(&path, &Place::row_group(group), || {
                let mut key = KeyBuilder::default();
                for _ in 0..rows {
                    let mut whole = true;
                    for (reader, meaning) in &mut readers {
                        match reader.next()? {
                            Some((values, at)) => add_to_key(&mut key, *meaning, values, at),
                            None => whole = false,
                        }
                    }
                    if whole {
                        state.insert_key(key.finish());
                    } else {
                        key.clear();
                        state.add_nulls(1);
                    }
                }
                Ok(())
            })?;
        }
        Ok(Some(state))
    }
}
