//! Rows of a batch told apart by the dataset's key column.
//!
//! In: a batch. Out: for each partition a batch of its rows, in their order. The key is cut by the
//! same rules as keys in paths and in other formats.

use arrow_array::{RecordBatch, UInt32Array};
use arrow_schema::Schema;
use assay_model::dataset::Dataset;
use assay_model::partition::PartitionKey;

use super::Column;
use super::cells::Cells;
use crate::discover::keys::{Key, KeyCutter};
use crate::error::{Place, ScanError};
use crate::parquet::columns::Meaning;
use crate::parquet::cutter;
use crate::parquet::groups::Grouper;

/// What tells the rows apart.
pub(super) struct Splitter {
    at: usize,
    name: String,
    meaning: Meaning,
    type_text: String,
    cutter: KeyCutter,
}

impl Splitter {
    /// For the key column of the dataset; `None` where no column tells its partitions.
    pub(super) fn new(
        dataset: &Dataset,
        columns: &[Column],
        path: &str,
    ) -> Result<Option<Self>, ScanError> {
        let Some((name, cutter)) = cutter(dataset)? else {
            return Ok(None);
        };
        let Some(at) = columns.iter().position(|column| column.name == name) else {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            return Err(ScanError::Definition {
                path: path.to_owned(),
                place: Place::file(),
                what: format!(
                    "it has no column `{name}`, which tells its partitions apart; it has {}",
                    names.join(", ")
                ),
                remedy: "correct assayPartitions, or the producer of the file".to_owned(),
            });
        };
        Ok(Some(Self {
            at,
            name: name.to_owned(),
            meaning: columns[at].meaning,
            type_text: columns[at].type_text.clone(),
            cutter,
        }))
    }

    /// The keys of a batch's rows, and for each row the place of its key. `before` rows of the
    /// object went before.
    fn groups(
        &self,
        batch: &RecordBatch,
        before: u64,
        path: &str,
    ) -> Result<(Vec<Key>, Vec<u32>), ScanError> {
        let place = Place::file().in_column(&self.name);
        let cells = Cells::of(batch.column(self.at))
            .map_err(|what| ScanError::corrupt(path, place.clone(), what))?;
        let mut grouper = Grouper::new(&self.cutter, self.meaning, &self.type_text);
        let mut of_row = Vec::with_capacity(batch.num_rows());
        let mut at = 0;
        for row in 0..batch.num_rows() {
            let number = if cells.is_valid(row) {
                at += 1;
                grouper.value(&cells.values, at - 1)
            } else {
                grouper.null()
            };
            of_row.push(number.map_err(|what| ScanError::Definition {
                path: path.to_owned(),
                place: place.clone(),
                what: format!("row {} has no partition: {what}", before + row as u64),
                remedy: "correct assayPartitions, or the values".to_owned(),
            })?);
        }
        Ok((grouper.keys, of_row))
    }

    /// The keys that a batch's rows have.
    pub(super) fn keys(
        &self,
        batch: &RecordBatch,
        before: u64,
        path: &str,
    ) -> Result<Vec<Key>, ScanError> {
        Ok(self.groups(batch, before, path)?.0)
    }

    /// A batch for each partition that rows belong to.
    pub(super) fn split(
        &self,
        batch: &RecordBatch,
        before: u64,
        path: &str,
    ) -> Result<Vec<(PartitionKey, RecordBatch)>, ScanError> {
        let (keys, of_row) = self.groups(batch, before, path)?;
        if let [only] = keys.as_slice() {
            return Ok(vec![(only.partition.key.clone(), batch.clone())]);
        }
        let mut rows: Vec<Vec<u32>> = vec![Vec::new(); keys.len()];
        for (row, number) in (0u32..).zip(&of_row) {
            rows[*number as usize].push(row);
        }
        let part = |(key, rows): (&Key, Vec<u32>)| {
            let rows = UInt32Array::from(rows);
            let part = arrow_select::take::take_record_batch(batch, &rows);
            let part =
                part.map_err(|error| ScanError::corrupt(path, Place::file(), error.to_string()))?;
            Ok((key.partition.key.clone(), part))
        };
        keys.iter().zip(rows).map(part).collect()
    }
}

/// Keeps the rows of one partition, where a column of the rows tells the partitions apart.
pub struct Picker(Splitter);

impl Picker {
    /// For batches of this schema, which has the key column; `None` where no column tells the
    /// dataset's partitions. `path` is what errors call their place.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when the key column is not among them.
    pub fn new(dataset: &Dataset, schema: &Schema, path: &str) -> Result<Option<Self>, ScanError> {
        let splitter = Splitter::new(dataset, &super::described(schema), path)?;
        Ok(splitter.map(Self))
    }

    /// The rows of `key` in a batch, in their order; `before` rows went before.
    ///
    /// # Errors
    /// [`ScanError::Definition`] for a row whose key is none.
    pub fn pick(
        &self,
        batch: &RecordBatch,
        before: u64,
        path: &str,
        key: &PartitionKey,
    ) -> Result<Option<RecordBatch>, ScanError> {
        let parts = self.0.split(batch, before, path)?;
        let own = parts.into_iter().find(|(of, _)| of == key);
        Ok(own.map(|(_, rows)| rows))
    }
}
