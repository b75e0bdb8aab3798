//! Which partition each row of a block belongs to, where the key is a column of the data.
//!
//! In: the key column's fields. Out: the rows of the block by partition. The same text is cut only
//! once: a time without an offset is told apart by its day or hour alone.

use std::collections::BTreeMap;

use assay_model::dataset::{Cadence, Dataset, Layout};
use assay_model::partition::{Partition, PartitionKey};

use crate::discover::keys::{Key, KeyCutter, MOST_PARTITIONS};
use crate::error::{Place, ScanError};

/// Tells rows apart by the key column.
#[derive(Debug)]
pub struct Keyed {
    /// The key column.
    pub column: String,
    cutter: KeyCutter,
    hourly: bool,
    cut: bool,
    known: BTreeMap<Option<Vec<u8>>, PartitionKey>,
    /// Every key met, with its partition.
    pub met: BTreeMap<PartitionKey, Key>,
}

impl Keyed {
    /// The way to tell rows apart, when the dataset is partitioned by a column.
    ///
    /// # Errors
    /// [`ScanError::Definition`] for an unknown zone.
    pub fn of(dataset: &Dataset) -> Result<Option<Self>, ScanError> {
        let Layout::Column {
            column,
            granularity,
        } = &dataset.partitions.layout
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            column: column.clone(),
            cutter: KeyCutter::new(column, *granularity, &dataset.partitions)?,
            hourly: *granularity == Some(Cadence::Hourly),
            cut: granularity.is_some(),
            known: BTreeMap::new(),
            met: BTreeMap::new(),
        }))
    }

    /// The key of a row with this field.
    ///
    /// # Errors
    /// What is wrong with the field.
    pub fn key(&mut self, field: Option<&[u8]>) -> Result<PartitionKey, String> {
        let short = field.map(|text| self.short(text));
        if let Some(known) = self.known.get(&short.map(<[u8]>::to_vec)) {
            return Ok(known.clone());
        }
        let key = match field {
            None => self.cutter.null()?,
            Some(text) => {
                let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
                self.cutter.text(text)?
            }
        };
        let name = key.partition.key.clone();
        // Bounded, so that a key of ever new texts does not fill the memory.
        if self.known.len() < 100_000 {
            self.known.insert(short.map(<[u8]>::to_vec), name.clone());
        }
        if self.met.len() >= MOST_PARTITIONS && !self.met.contains_key(&name) {
            return Err(format!(
                "its file holds more than {MOST_PARTITIONS} partitions"
            ));
        }
        self.met.entry(name.clone()).or_insert(key);
        Ok(name)
    }

    /// The part of a time that decides: its day or hour, when it has no offset.
    fn short<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let length = if self.hourly { 13 } else { 10 };
        let (Some(head), Some(rest)) = (text.get(..length), text.get(length..)) else {
            return text;
        };
        let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b':' | b'.' | b' ' | b'T');
        let dashed = head.get(4) == Some(&b'-') && head.get(7) == Some(&b'-');
        let minute = |rest: &[u8]| rest.is_empty() || matches!(rest[0], b'T' | b' ' | b':');
        // All of the text must be well-formed digits; its minutes are read with the first of a day.
        if self.cut && dashed && minute(rest) && rest.iter().all(plain) && rest.len() <= 16 {
            head
        } else {
            text
        }
    }

    /// The rows of a block by partition.
    ///
    /// # Errors
    /// [`ScanError`] for a field that is no key, with its row; or for a partition that the plan
    /// does not have.
    pub fn split<'f>(
        &mut self,
        fields: impl Iterator<Item = Option<&'f [u8]>>,
        planned: Option<&[Partition]>,
        fault: impl Fn(usize, String) -> ScanError,
    ) -> Result<BTreeMap<PartitionKey, Vec<u32>>, ScanError> {
        let mut split: BTreeMap<PartitionKey, Vec<u32>> = BTreeMap::new();
        let mut last: Option<(Option<Vec<u8>>, PartitionKey)> = None;
        for (row, field) in fields.enumerate() {
            let short = field.map(|text| self.short(text));
            let key = match &last {
                Some((text, key)) if text.as_deref() == short => key.clone(),
                _ => {
                    let key = self.key(field).map_err(|what| fault(row, what))?;
                    last = Some((short.map(<[u8]>::to_vec), key.clone()));
                    key
                }
            };
            split.entry(key).or_default().push(row as u32);
        }
        if let Some(planned) = planned {
            let stray = split
                .keys()
                .find(|key| planned.iter().all(|p| p.key != **key));
            if let Some(stray) = stray {
                let row = split[stray].first().map_or(0, |row| *row as usize);
                let what =
                    format!("a row of the partition {stray}, which was not there at discovery");
                return match fault(row, what) {
                    ScanError::Corrupt { path, what, .. } => Err(ScanError::Changed { path, what }),
                    other => Err(other),
                };
            }
        }
        Ok(split)
    }

    /// The error of a dataset whose files lack the key column.
    #[must_use]
    pub fn lacking(&self, path: &str, columns: &[String]) -> ScanError {
        ScanError::Definition {
            path: path.to_owned(),
            place: Place::file().in_column(self.column.clone()),
            what: format!(
                "the file lacks the key column; it has {}",
                columns.join(", ")
            ),
            remedy: "correct the column under assayPartitions".to_owned(),
        }
    }
}
