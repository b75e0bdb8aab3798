//! Levels: which values of a page are NULL, and where its rows begin.
//!
//! In: a page and the deepest levels of its column. Out: the bytes of its values with how many they
//! are, or the rows and NULLs of a nested column. Stated counts and lengths are compared with the
//! bytes that hold the levels.

use super::columns::FileColumn;
use super::header::PageKind;
use super::hybrid::{self, Fault, Values};
use super::pages::RawPage;

/// The parquet number of the run-length hybrid as an encoding.
const RLE: i32 = 3;
/// The parquet number of the old bit packing, highest bit first.
const BIT_PACKED: i32 = 4;

/// Values of a nested page whose levels are held in memory, a byte each.
const MOST_NESTED: usize = 1 << 25;

/// Levels as stored.
#[derive(Debug, Clone, Copy)]
struct Stored<'a> {
    bytes: &'a [u8],
    width: u32,
    packed: bool,
}

/// A data page in its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    repetition: Option<Stored<'a>>,
    definition: Option<Stored<'a>>,
    /// The encoded values that are not NULL.
    pub(crate) values: &'a [u8],
    /// Values with NULLs, as stated.
    pub(crate) count: usize,
    max_definition: u32,
}

fn bits(max: i16) -> u32 {
    (u32::from(max.unsigned_abs()) + 1)
        .next_power_of_two()
        .trailing_zeros()
}

/// Splits a data page.
pub(crate) fn parts<'a>(page: &RawPage<'a>, column: &FileColumn) -> Result<Parts<'a>, Fault> {
    let header = &page.header;
    let mut rest = page.body;
    let (mut repetition, mut definition) = (None, None);
    if header.kind == PageKind::DataV2 {
        let levels = header.repetition_bytes.checked_add(header.definition_bytes);
        if levels.is_none_or(|levels| levels > rest.len()) {
            return Err("the levels of a page are longer than the page".to_owned());
        }
        let (first, after) = rest.split_at(header.repetition_bytes);
        let (second, after) = after.split_at(header.definition_bytes);
        let stored = |bytes, max| Stored {
            bytes,
            width: bits(max),
            packed: false,
        };
        repetition = (column.max_repetition > 0).then(|| stored(first, column.max_repetition));
        definition = (column.max_definition > 0).then(|| stored(second, column.max_definition));
        rest = after;
    } else {
        if column.max_repetition > 0 {
            let encoding = header.repetition_encoding;
            (repetition, rest) = take(rest, column.max_repetition, encoding, header.values)?;
        }
        if column.max_definition > 0 {
            let encoding = header.definition_encoding;
            (definition, rest) = take(rest, column.max_definition, encoding, header.values)?;
        }
    }
    Ok(Parts {
        repetition,
        definition,
        values: rest,
        count: header.values,
        max_definition: u32::from(column.max_definition.unsigned_abs()),
    })
}

type Taken<'a> = (Option<Stored<'a>>, &'a [u8]);

fn take(bytes: &[u8], max: i16, encoding: i32, count: usize) -> Result<Taken<'_>, Fault> {
    let width = bits(max);
    let (length, rest, packed) = match encoding {
        RLE => {
            let (length, rest) = bytes
                .split_first_chunk::<4>()
                .ok_or("a page ends inside the length of its levels")?;
            (u32::from_le_bytes(*length) as usize, rest, false)
        }
        BIT_PACKED => ((count * width as usize).div_ceil(8), bytes, true),
        other => {
            return Err(format!(
                "levels have the encoding {other}, which does not exist for levels"
            ));
        }
    };
    if length > rest.len() {
        return Err(format!(
            "levels of {length} bytes in a page that has {} left",
            rest.len()
        ));
    }
    let (levels, rest) = rest.split_at(length);
    Ok((
        Some(Stored {
            bytes: levels,
            width,
            packed,
        }),
        rest,
    ))
}

impl Stored<'_> {
    fn count_equal(&self, count: usize, wanted: u32) -> Result<usize, Fault> {
        if self.packed {
            let levels = (0..count).map(|index| self.packed_at(index));
            return Ok(levels.filter(|level| *level == wanted).count());
        }
        hybrid::count_equal(self.bytes, self.width, count, wanted)
    }

    fn visit(
        &self,
        count: usize,
        mut take: impl FnMut(Values<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.packed {
            return (0..count).try_for_each(|index| take(Values::Repeat(self.packed_at(index), 1)));
        }
        hybrid::visit(self.bytes, self.width, count, take)
    }

    fn packed_at(&self, index: usize) -> u32 {
        let width = self.width as usize;
        (index * width..(index + 1) * width).fold(0, |level, bit| {
            let byte = self.bytes.get(bit / 8).copied().unwrap_or(0);
            level << 1 | u32::from(byte >> (7 - bit % 8) & 1)
        })
    }
}

impl Parts<'_> {
    /// Values that are not NULL.
    pub(crate) fn non_null(&self) -> Result<usize, Fault> {
        match &self.definition {
            None => Ok(self.count),
            Some(levels) => levels.count_equal(self.count, self.max_definition),
        }
    }

    /// Whether each value is there, for a column without repetition.
    pub(crate) fn each_valid(&self, mut take: impl FnMut(bool, usize)) -> Result<(), Fault> {
        let Some(levels) = &self.definition else {
            take(true, self.count);
            return Ok(());
        };
        levels.visit(self.count, |values| {
            match values {
                Values::Repeat(level, times) => take(level == self.max_definition, times),
                Values::Block(block) => {
                    block
                        .iter()
                        .for_each(|level| take(*level == self.max_definition, 1));
                }
            }
            Ok(())
        })
    }

    /// Calls `take` for each row of a nested column with whether the field as a whole is NULL.
    /// `first` says that no row has begun before in the column chunk.
    pub(crate) fn each_row(&self, first: bool, mut take: impl FnMut(bool)) -> Result<(), Fault> {
        if self.count > MOST_NESTED {
            return Err(format!(
                "a page of {} nested values; {MOST_NESTED} are read at most",
                self.count
            ));
        }
        let mut starts = Vec::new();
        if let Some(levels) = &self.repetition {
            levels.visit(self.count, |values| {
                match values {
                    Values::Repeat(level, times) => {
                        starts.extend(std::iter::repeat_n(level == 0, times));
                    }
                    Values::Block(block) => starts.extend(block.iter().map(|level| *level == 0)),
                }
                Ok(())
            })?;
            if first && starts.first().is_some_and(|start| !start) {
                return Err(
                    "the first value of a column repeats a row that has not begun".to_owned(),
                );
            }
        }
        let mut index = 0;
        let mut one = |level: u32| {
            if starts.is_empty() || starts[index] {
                take(level == 0);
            }
            index += 1;
        };
        let Some(levels) = &self.definition else {
            (0..self.count).for_each(|_| one(1));
            return Ok(());
        };
        levels.visit(self.count, |values| {
            match values {
                Values::Repeat(level, times) => (0..times).for_each(|_| one(level)),
                Values::Block(block) => block.iter().for_each(|level| one(*level)),
            }
            Ok(())
        })
    }
}
