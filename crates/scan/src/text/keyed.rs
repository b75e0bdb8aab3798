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
    known: BTreeMap<Vec<u8>, PartitionKey>,
    null: Option<PartitionKey>,
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
            null: None,
            met: BTreeMap::new(),
        }))
    }

    /// The key of a row with this field.
    ///
    /// # Errors
    /// What is wrong with the field.
    pub fn key(&mut self, field: Option<&[u8]>) -> Result<PartitionKey, String> {
        let known = match field {
            None => self.null.as_ref(),
            Some(text) => self.known.get(self.short(text)),
        };
        if let Some(known) = known {
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
        match field {
            None => self.null = Some(name.clone()),
            // Bounded, so that a key of ever new texts does not fill the memory.
            Some(text) if self.known.len() < 100_000 => {
                let short = self.short(text).to_vec();
                self.known.insert(short, name.clone());
            }
            Some(_) => {}
        }
        if self.met.len() >= MOST_PARTITIONS && !self.met.contains_key(&name) {
            return Err(format!(
                "its file holds more than {MOST_PARTITIONS} partitions"
            ));
        }
        self.met.entry(name.clone()).or_insert(key);
        Ok(name)
    }

    /// The part of a time that decides: its day or hour, when it has no offset. What follows must
    /// be a time of day for certain: a text that is none is an error wherever it stands.
    fn short<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some((day, rest)) = text.split_at_checked(10) else {
            return text;
        };
        let dashed = day.get(4) == Some(&b'-') && day.get(7) == Some(&b'-');
        if !self.cut || !dashed {
            return text;
        }
        match (self.hourly, rest) {
            (false, []) => day,
            (false, [b'T' | b' ', time @ ..]) if is_time_of_day(time) => day,
            (true, [b'T' | b' ', time @ ..]) if is_time_of_day(time) => &text[..13],
            _ => text,
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
        // Rows of one partition mostly follow one another.
        let (mut run, mut last): (Vec<u32>, Option<Option<&[u8]>>) = (Vec::new(), None);
        let mut current = PartitionKey::all();
        for (row, field) in fields.enumerate() {
            let short = field.map(|text| self.short(text));
            if last != Some(short) {
                let key = self.key(field).map_err(|what| fault(row, what))?;
                if key != current {
                    let before = std::mem::replace(&mut current, key);
                    if !run.is_empty() {
                        split.entry(before).or_default().append(&mut run);
                    }
                }
                last = Some(short);
            }
            run.push(row as u32);
        }
        if !run.is_empty() {
            split.entry(current).or_default().append(&mut run);
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

/// Whether a text is `HH:MM`, with or without seconds and up to nine digits of a fraction.
fn is_time_of_day(text: &[u8]) -> bool {
    let below = |pair: &[u8], limit: u8| {
        pair.iter().all(u8::is_ascii_digit) && (pair[0] - b'0') * 10 + pair[1] - b'0' < limit
    };
    let Some((clock, rest)) = text.split_at_checked(5) else {
        return false;
    };
    if clock[2] != b':' || !below(&clock[..2], 24) || !below(&clock[3..], 60) {
        return false;
    }
    match rest {
        [] => true,
        [b':', tens, units] => below(&[*tens, *units], 60),
        [b':', tens, units, b'.', fraction @ ..] => {
            below(&[*tens, *units], 60)
                && (1..=9).contains(&fraction.len())
                && fraction.iter().all(u8::is_ascii_digit)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_model::dataset::Partitioning;
    use jiff::tz::TimeZone;

    fn keyed(granularity: Cadence) -> Keyed {
        let partitions = Partitioning::default();
        Keyed {
            column: "at".to_owned(),
            cutter: KeyCutter::new("at", Some(granularity), &partitions).unwrap(),
            hourly: granularity == Cadence::Hourly,
            cut: true,
            known: BTreeMap::new(),
            null: None,
            met: BTreeMap::new(),
        }
    }

    #[test]
    fn a_malformed_time_is_refused_wherever_it_stands() {
        for granularity in [Cadence::Daily, Cadence::Hourly] {
            for bad in [
                "2024-01-01T10:99:00",
                "2024-01-01T10:5",
                "2024-01-01T99",
                "2024-01-01 10:00:00.",
                "2024-01-01T10:00.5.5",
                "2024-01-01T10:00:00T",
                "2024-01-01T10::00",
                "2024-01-01T10:00:61",
            ] {
                let mut keyed = keyed(granularity);
                keyed.key(Some(b"2024-01-01T10:00:00")).unwrap();
                keyed.key(Some(bad.as_bytes())).unwrap_err();
            }
        }
    }

    #[test]
    fn what_is_told_by_its_day_alone_is_what_reads_as_a_time() {
        for time in ["10:30", "00:00:00", "23:59:59.999999999", "24:00", "10:60"] {
            for separator in ["T", " "] {
                let text = format!("2024-01-01{separator}{time}");
                let reads = crate::discover::keys::parse_datetime(&text, &TimeZone::UTC);
                assert_eq!(is_time_of_day(time.as_bytes()), reads.is_some(), "{text}");
            }
        }
    }
}
