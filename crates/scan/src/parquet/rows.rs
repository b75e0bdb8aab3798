//! Columns row by row: what keys of several columns need, and partitions told apart by a column.
//!
//! In: a column chunk. Out: for each row whether it has a value, and the value. Slower than the
//! other paths, and taken only where values of different columns have to meet. One page of each
//! column is held at a time.

use assay_metrics::KeyBuilder;
use parquet::schema::types::ColumnDescPtr;

use super::columns::{FileColumn, Meaning};
use super::generic;
use super::header::PageKind;
use super::hybrid::{self, Fault, Values};
use super::levels;
use super::pages::{ChunkPages, RawPage};
use super::sink::Decoded;
use super::values::decode_plain;
use crate::error::ScanError;
use crate::object::ReadAt;

/// Bytes that a row takes besides its value: whether it has one, and the dictionary's index of it.
const ROW_BYTES: u64 = 5;

/// A page's values with the rows that have them.
struct RowPage {
    valid: Vec<bool>,
    values: Decoded,
    /// For values of a dictionary, the entry of each.
    indices: Option<Vec<u32>>,
}

/// The rows of a column chunk, one after another.
pub(crate) struct Rows<R> {
    pages: ChunkPages<R>,
    column: FileColumn,
    descriptor: ColumnDescPtr,
    dictionary: Option<Decoded>,
    page: Option<RowPage>,
    row: usize,
    value: usize,
}

impl<R: ReadAt> Rows<R> {
    pub(crate) fn new(pages: ChunkPages<R>, column: FileColumn, descriptor: ColumnDescPtr) -> Self {
        Self {
            pages,
            column,
            descriptor,
            dictionary: None,
            page: None,
            row: 0,
            value: 0,
        }
    }

    /// The next row: its value, as a place in decoded values, or `None` for NULL.
    pub(crate) fn next(&mut self) -> Result<Option<(&Decoded, usize)>, ScanError> {
        while self
            .page
            .as_ref()
            .is_none_or(|page| self.row >= page.valid.len())
        {
            self.next_page()?;
        }
        let Some(page) = &self.page else {
            return Ok(None);
        };
        let valid = page.valid[self.row];
        self.row += 1;
        if !valid {
            return Ok(None);
        }
        let at = self.value;
        self.value += 1;
        match (&page.indices, &self.dictionary) {
            (Some(indices), Some(dictionary)) => Ok(Some((dictionary, indices[at] as usize))),
            _ => Ok(Some((&page.values, at))),
        }
    }

    /// Called after the last row of the row group.
    ///
    /// # Errors
    /// When the page at hand has rows that the row group does not.
    pub(crate) fn finish(&self) -> Result<(), ScanError> {
        let left = self
            .page
            .as_ref()
            .map_or(0, |page| page.valid.len().saturating_sub(self.row));
        if left == 0 {
            return Ok(());
        }
        let what = format!("its pages hold {left} values more than its row group has rows");
        Err(self.pages.corrupt(what))
    }

    fn next_page(&mut self) -> Result<(), ScanError> {
        let read = match self.pages.next_page()? {
            None => Err("its pages hold fewer values than its row group has rows".to_owned()),
            Some(page) if page.header.kind == PageKind::Dictionary => {
                decode_plain(&self.column, page.body, page.header.values).map(|dictionary| {
                    self.dictionary = Some(dictionary);
                    None
                })
            }
            Some(page) => read_page(
                &page,
                &self.column,
                &self.descriptor,
                self.dictionary.as_ref(),
            )
            .map(Some),
        };
        self.page = read.map_err(|what| self.pages.corrupt(what))?;
        (self.row, self.value) = (0, 0);
        Ok(())
    }
}

fn read_page(
    page: &RawPage<'_>,
    column: &FileColumn,
    descriptor: &ColumnDescPtr,
    dictionary: Option<&Decoded>,
) -> Result<RowPage, Fault> {
    let parts = levels::parts(page, column)?;
    if parts.count as u64 * ROW_BYTES > page.budget {
        return Err(format!(
            "a page of {} rows does not fit the memory of {} bytes that a scan may take",
            parts.count, page.budget
        ));
    }
    let mut valid = Vec::new();
    parts.each_valid(|is_valid, times| valid.extend(std::iter::repeat_n(is_valid, times)))?;
    let count = valid.iter().filter(|is_valid| **is_valid).count();
    let mut indices = None;
    let values = match page.header.encoding {
        _ if count == 0 => Decoded::Ints(Vec::new()),
        0 => decode_plain(column, parts.values, count)?,
        2 | 8 => {
            let entries = dictionary
                .ok_or("a page refers to a dictionary that is not there")?
                .len();
            indices = Some(read_indices(parts.values, count, entries)?);
            Decoded::Ints(Vec::new())
        }
        _ => generic::decode(column, descriptor, page, count)?,
    };
    Ok(RowPage {
        valid,
        values,
        indices,
    })
}

fn read_indices(bytes: &[u8], count: usize, entries: usize) -> Result<Vec<u32>, Fault> {
    let (width, bytes) = bytes.split_first().ok_or("a page of indices is empty")?;
    let mut indices = Vec::new();
    hybrid::visit(bytes, u32::from(*width), count, |values| {
        match values {
            Values::Repeat(index, times) => indices.extend(std::iter::repeat_n(index, times)),
            Values::Block(block) => indices.extend_from_slice(block),
        }
        Ok(())
    })?;
    match indices.iter().find(|index| **index as usize >= entries) {
        Some(index) => Err(format!(
            "an index of {index} into a dictionary of {entries} entries"
        )),
        None => Ok(indices),
    }
}

/// Adds a value to a key, by the meaning of its column.
pub(crate) fn add_to_key(key: &mut KeyBuilder, meaning: Meaning, values: &Decoded, at: usize) {
    match (values, meaning) {
        (Decoded::Ints(values), Meaning::Date) => key.date(values[at]),
        (Decoded::Ints(values), Meaning::Timestamp(nanos) | Meaning::LocalTimestamp(nanos)) => {
            key.timestamp(i128::from(values[at]) * i128::from(nanos))
        }
        (Decoded::Ints(values), Meaning::Time(nanos)) => {
            key.int(i128::from(values[at]) * i128::from(nanos))
        }
        (Decoded::Ints(values), _) => key.int(i128::from(values[at])),
        (Decoded::Unsigned(values), _) => key.int(i128::from(values[at])),
        (Decoded::Floats(values), _) => key.float(values[at]),
        (Decoded::Wide(values), Meaning::Decimal(scale)) => key.decimal(values[at], scale),
        (Decoded::Wide(values), _) => key.timestamp(values[at]),
        (Decoded::Widest(values), _) => widest_to_key(key, meaning, &values[at]),
        (Decoded::Bytes(..), _) => key.text(values.bytes_at(at)),
        (Decoded::Bools(values), _) => key.boolean(values[at]),
    };
}

/// A decimal that fits 128 bits is the same key however it is stored.
fn widest_to_key<'a>(
    key: &'a mut KeyBuilder,
    meaning: Meaning,
    value: &[u8; 32],
) -> &'a mut KeyBuilder {
    let (low, high) = value.split_at(16);
    let mut narrow = [0; 16];
    narrow.copy_from_slice(low);
    let narrow = i128::from_le_bytes(narrow);
    let sign = if narrow < 0 { 0xff } else { 0 };
    match meaning {
        Meaning::Decimal(scale) if high.iter().all(|byte| *byte == sign) => {
            key.decimal(narrow, scale)
        }
        _ => key.text(value),
    }
}
