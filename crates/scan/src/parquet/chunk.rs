//! One column chunk into a metric state.
//!
//! In: the pages of a chunk. Out: the values in the sink. Plain pages go to the kernels as slices.
//! Dictionary pages are never turned into values per row where values repeat: the indices are
//! counted, and each entry is fed once with its count at the end of the chunk. Where nearly every
//! value is an entry of its own, the entries are gathered into slices instead.

use parquet::schema::types::ColumnDescPtr;

use super::columns::FileColumn;
use super::generic;
use super::header::PageKind;
use super::hybrid::{self, Fault, Values};
use super::levels;
use super::pages::{ChunkPages, RawPage};
use super::sink::{Decoded, Sink};
use super::values::{Room, decode_into, feed_plain};
use crate::error::ScanError;
use crate::object::ReadAt;

const PLAIN: i32 = 0;
const PLAIN_DICTIONARY: i32 = 2;
const RLE: i32 = 3;
const RLE_DICTIONARY: i32 = 8;

/// Rows per entry from which on counting is cheaper than gathering.
const COUNT_FROM: u64 = 4;

/// The dictionary of a chunk and how its indices are used.
struct Dictionary {
    values: Decoded,
    /// How often each entry was met; `None` where entries are gathered instead.
    counts: Option<Vec<u32>>,
}

/// What is done with the values of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Only NULLs are counted.
    Nulls,
    /// Values are fed.
    Values,
}

/// Feeds a chunk of a column without nesting; the row group has `rows` rows.
pub(crate) fn feed<R: ReadAt>(
    pages: &mut ChunkPages<R>,
    column: &FileColumn,
    descriptor: &ColumnDescPtr,
    rows: u64,
    depth: Depth,
    sink: &mut Sink<'_>,
) -> Result<(), ScanError> {
    let mut dictionary: Option<Dictionary> = None;
    let mut room = pages.take_room();
    let (mut seen, mut found) = (0u64, 0u64);
    while seen < rows {
        let fed = match pages.next_page()? {
            None => break,
            Some(page) if page.header.kind == PageKind::Dictionary => {
                read_dictionary(&page, column, rows, depth, &mut room).map(|read| {
                    dictionary = read;
                    (0, 0)
                })
            }
            Some(page) => feed_page(&page, column, descriptor, depth, dictionary.as_mut(), sink),
        };
        let (values, non_null) = fed.map_err(|what| pages.corrupt(what))?;
        seen = seen.saturating_add(values);
        found = found.saturating_add(non_null);
    }
    if seen != rows {
        let what = format!("its pages hold {seen} values, its row group has {rows} rows");
        return Err(pages.corrupt(what));
    }
    if let Some(Dictionary { values, counts }) = dictionary {
        if let Some(counts) = counts {
            sink.counted(&values, &counts);
            room.counts = counts;
        }
        room.take_back(values);
    }
    pages.keep_room(room);
    sink.rows(rows, rows - found);
    Ok(())
}

/// Counts the rows and NULLs of a nested column by the levels of one of its leaves.
pub(crate) fn feed_nested<R: ReadAt>(
    pages: &mut ChunkPages<R>,
    column: &FileColumn,
    rows: u64,
    values: u64,
    sink: &mut Sink<'_>,
) -> Result<(), ScanError> {
    let (mut seen, mut begun, mut nulls) = (0u64, 0u64, 0u64);
    while seen < values {
        let counted = match pages.next_page()? {
            None => break,
            Some(page) if page.header.kind == PageKind::Dictionary => Ok(0),
            Some(page) => levels::parts(&page, column).and_then(|parts| {
                parts.each_row(begun == 0, |null| {
                    begun += 1;
                    nulls += u64::from(null);
                })?;
                Ok(parts.count as u64)
            }),
        };
        seen = seen.saturating_add(counted.map_err(|what| pages.corrupt(what))?);
    }
    if seen != values || begun != rows {
        let what = format!(
            "its pages hold {begun} rows in {seen} values; {rows} rows in {values} values are stated"
        );
        return Err(pages.corrupt(what));
    }
    sink.rows(rows, if column.nullable { nulls } else { 0 });
    Ok(())
}

fn read_dictionary(
    page: &RawPage<'_>,
    column: &FileColumn,
    rows: u64,
    depth: Depth,
    room: &mut Room,
) -> Result<Option<Dictionary>, Fault> {
    if depth == Depth::Nulls {
        return Ok(None);
    }
    if !matches!(page.header.encoding, PLAIN | PLAIN_DICTIONARY) {
        return Err(format!(
            "a dictionary has the encoding {}; it must be plain",
            page.header.encoding
        ));
    }
    let values = decode_into(column, page.body, page.header.values, room)?;
    let entries = values.len() as u64;
    let is_bytes = matches!(values, Decoded::Bytes(..));
    let counted = (is_bytes || rows / COUNT_FROM >= entries) && rows <= u64::from(u32::MAX);
    let counts = counted.then(|| {
        let mut counts = std::mem::take(&mut room.counts);
        counts.clear();
        counts.resize(values.len(), 0);
        counts
    });
    Ok(Some(Dictionary { values, counts }))
}

/// Feeds a page; gives how many values it has and how many of them are not NULL.
fn feed_page(
    page: &RawPage<'_>,
    column: &FileColumn,
    descriptor: &ColumnDescPtr,
    depth: Depth,
    dictionary: Option<&mut Dictionary>,
    sink: &mut Sink<'_>,
) -> Result<(u64, u64), Fault> {
    let parts = levels::parts(page, column)?;
    let count = parts.non_null()?;
    if page.header.kind == PageKind::DataV2 && page.header.nulls + count != parts.count {
        let stated = page.header.nulls;
        return Err(format!(
            "a page states {stated} NULLs, its levels have {}",
            parts.count - count
        ));
    }
    let counts = (parts.count as u64, count as u64);
    if count == 0 || depth == Depth::Nulls {
        return Ok(counts);
    }
    match page.header.encoding {
        PLAIN => feed_plain(column, parts.values, count, sink)?,
        PLAIN_DICTIONARY | RLE_DICTIONARY => {
            let dictionary = dictionary.ok_or("a page refers to a dictionary that is not there")?;
            feed_indices(parts.values, count, dictionary, sink)?;
        }
        RLE if column.physical == parquet::basic::Type::BOOLEAN => {
            let levels = parts
                .values
                .get(4..)
                .ok_or("a page ends inside its length")?;
            let trues = hybrid::count_equal(levels, 1, count, 1)?;
            sink.bools(trues as u64, (count - trues) as u64);
        }
        _ => generic::feed(column, descriptor, page, count, sink)?,
    }
    Ok(counts)
}

fn beyond(index: u32, entries: usize) -> Fault {
    format!("an index of {index} into a dictionary of {entries} entries")
}

/// Whether every index is below `entries`. The sign of a difference tells it, which is less work
/// than finding the greatest.
#[inline]
fn all_below(block: &[u32], entries: usize) -> bool {
    let Some(last) = entries.checked_sub(1).and_then(|l| i32::try_from(l).ok()) else {
        return block.iter().all(|index| (*index as usize) < entries);
    };
    let signs = block.iter().fold(0i32, |signs, index| {
        let index = *index as i32;
        signs | index | last.wrapping_sub(index)
    });
    signs >= 0
}

fn feed_indices(
    bytes: &[u8],
    count: usize,
    dictionary: &mut Dictionary,
    sink: &mut Sink<'_>,
) -> Result<(), Fault> {
    let (width, bytes) = bytes.split_first().ok_or("a page of indices is empty")?;
    let entries = dictionary.values.len();
    let Dictionary { values, counts } = dictionary;
    let mut room = values.empty();
    hybrid::visit(bytes, u32::from(*width), count, |indices| {
        match (indices, counts.as_mut()) {
            (Values::Repeat(index, times), counts) => {
                let at = index as usize;
                if at >= entries {
                    return Err(beyond(index, entries));
                }
                match counts {
                    Some(counts) => counts[at] = counts[at].saturating_add(times as u32),
                    None => sink.entry(values, at, times as u64),
                }
                Ok(())
            }
            (Values::Block(block), counts) => {
                if !all_below(block, entries) {
                    let greatest = block.iter().copied().max().unwrap_or(0);
                    return Err(beyond(greatest, entries));
                }
                match counts {
                    Some(counts) => block.iter().for_each(|index| counts[*index as usize] += 1),
                    None => gather(values, block, &mut room, sink),
                }
                Ok(())
            }
        }
    })
}

/// Feeds the entries that a block of indices names, each within the dictionary. `room` is of the
/// kind of the dictionary.
fn gather(values: &Decoded, block: &[u32], room: &mut Decoded, sink: &mut Sink<'_>) {
    fn with<'r, T: Copy>(values: &[T], block: &[u32], room: &'r mut Vec<T>) -> &'r [T] {
        room.clear();
        room.extend(block.iter().map(|index| values[*index as usize]));
        room
    }
    match (values, room) {
        (Decoded::Ints(values), Decoded::Ints(room)) => sink.ints(with(values, block, room)),
        (Decoded::Unsigned(values), Decoded::Unsigned(room)) => {
            sink.unsigned(with(values, block, room));
        }
        (Decoded::Floats(values), Decoded::Floats(room)) => {
            sink.floats(with(values, block, room));
        }
        (Decoded::Wide(values), Decoded::Wide(room)) => sink.wide(with(values, block, room)),
        (other, _) => block
            .iter()
            .for_each(|index| sink.entry(other, *index as usize, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_index_beyond_the_dictionary_is_met(
            mut block in prop::collection::vec(0u32..40, 0..70),
            odd in prop_oneof![Just(None), (0usize..70, prop_oneof![30u32..60, (u32::MAX - 50).., (1u32 << 31) - 3..(1 << 31) + 3]).prop_map(Some)],
            entries in prop_oneof![0usize..60, (1usize << 31) - 3..(1 << 31) + 3, Just(usize::MAX)],
        ) {
            if let Some((at, index)) = odd && at < block.len() {
                block[at] = index;
            }
            let slow = block.iter().all(|index| (*index as usize) < entries);
            prop_assert_eq!(all_below(&block, entries), slow);
        }
    }
}
