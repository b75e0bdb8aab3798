//! From stored bytes to values: plain encoding and dictionaries.
//!
//! In: bytes and how many values they hold. Out: values in the representation of their column, fed
//! block by block or kept as a dictionary. Every length is compared with the bytes in hand.

use parquet::basic::Type as Physical;

use super::columns::{FileColumn, Meaning};
use super::hybrid::{BLOCK, Fault, set_bits};
use super::sink::{Decoded, Sink};

/// Days from the Julian day that INT96 counts by to 1970-01-01.
const JULIAN_EPOCH: i64 = 2_440_588;
const NANOS_OF_DAY: i128 = 86_400_000_000_000;

/// Nanoseconds since 1970-01-01 of an INT96: nanoseconds of the day, then the Julian day.
pub(crate) fn int96(bytes: [u8; 12]) -> i128 {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    let nanos = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let day = i64::from(u32::from_le_bytes([i, j, k, l])) - JULIAN_EPOCH;
    i128::from(day) * NANOS_OF_DAY + i128::from(nanos)
}

/// A big-endian two's complement number of at most 16 bytes.
#[inline]
pub(crate) fn narrow_decimal(bytes: &[u8]) -> i128 {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut wide = if negative { [0xff; 16] } else { [0; 16] };
    wide[16 - bytes.len()..].copy_from_slice(bytes);
    i128::from_be_bytes(wide)
}

/// A big-endian two's complement number as 256 bits, little-endian. `None` when it needs more.
pub(crate) fn wide_decimal(bytes: &[u8]) -> Option<[u8; 32]> {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let sign = if negative { 0xff } else { 0 };
    let (extra, kept) = bytes.split_at(bytes.len().saturating_sub(32));
    let sign_holds = kept
        .first()
        .is_none_or(|first| (first & 0x80 != 0) == negative);
    if extra.iter().any(|byte| *byte != sign) || !sign_holds {
        return None;
    }
    let mut wide = [sign; 32];
    for (to, from) in wide.iter_mut().zip(kept.iter().rev()) {
        *to = *from;
    }
    Some(wide)
}

pub(crate) fn half(bytes: [u8; 2]) -> f64 {
    let bits = u16::from_le_bytes(bytes);
    let (sign, exponent, fraction) = (bits >> 15, (bits >> 10) & 0x1f, f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(i32::from(exponent) - 15),
    };
    if sign == 1 { -size } else { size }
}

/// The first `count` values of `N` bytes each.
fn fixed<const N: usize>(bytes: &[u8], count: usize) -> Result<&[[u8; N]], Fault> {
    let needed = count.checked_mul(N).filter(|needed| *needed <= bytes.len());
    let needed = needed.ok_or_else(|| short(bytes.len(), count))?;
    Ok(bytes[..needed].as_chunks::<N>().0)
}

fn short(bytes: usize, count: usize) -> Fault {
    format!("a page has {bytes} bytes, too few for its {count} values")
}

/// Converts in blocks on the stack.
fn blocks<const N: usize, T: Copy + Default>(
    values: &[[u8; N]],
    convert: impl Fn([u8; N]) -> T,
    mut feed: impl FnMut(&[T]),
) {
    let mut block = [T::default(); BLOCK];
    for raw in values.chunks(BLOCK) {
        for (to, from) in block.iter_mut().zip(raw) {
            *to = convert(*from);
        }
        feed(&block[..raw.len()]);
    }
}

/// Walks the texts of a plain page: a length of four bytes, then the text.
fn each_text<'a>(
    bytes: &'a [u8],
    count: usize,
    mut take: impl FnMut(&'a [u8]),
) -> Result<(), Fault> {
    let mut rest = bytes;
    for _ in 0..count {
        let (length, after) = rest
            .split_first_chunk::<4>()
            .ok_or_else(|| short(bytes.len(), count))?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > after.len() {
            return Err(format!(
                "a text of {length} bytes where {} are left",
                after.len()
            ));
        }
        let (text, after) = after.split_at(length);
        take(text);
        rest = after;
    }
    Ok(())
}

fn each_fixed<'a>(
    bytes: &'a [u8],
    size: usize,
    count: usize,
    mut take: impl FnMut(&'a [u8]),
) -> Result<(), Fault> {
    let needed = count
        .checked_mul(size)
        .filter(|needed| *needed <= bytes.len());
    let needed = needed.ok_or_else(|| short(bytes.len(), count))?;
    if size == 0 {
        (0..count).for_each(|_| take(&[]));
    } else {
        bytes[..needed].chunks_exact(size).for_each(take);
    }
    Ok(())
}

/// Feeds the `count` plain values at the front of `bytes`.
pub(crate) fn feed_plain(
    column: &FileColumn,
    bytes: &[u8],
    count: usize,
    sink: &mut Sink<'_>,
) -> Result<(), Fault> {
    match (column.physical, column.meaning) {
        (Physical::BOOLEAN, _) => {
            if bytes.len() < count.div_ceil(8) {
                return Err(short(bytes.len(), count));
            }
            let trues = set_bits(bytes, count);
            sink.bools(trues as u64, (count - trues) as u64);
        }
        (Physical::INT32, Meaning::Decimal(_)) => {
            let wide = |raw| i128::from(i32::from_le_bytes(raw));
            blocks(fixed::<4>(bytes, count)?, wide, |block| sink.wide(block));
        }
        (Physical::INT64, Meaning::Decimal(_)) => {
            let wide = |raw| i128::from(i64::from_le_bytes(raw));
            blocks(fixed::<8>(bytes, count)?, wide, |block| sink.wide(block));
        }
        (Physical::INT32, Meaning::Unsigned32) => {
            let int = |raw| i64::from(u32::from_le_bytes(raw));
            blocks(fixed::<4>(bytes, count)?, int, |block| sink.ints(block));
        }
        (Physical::INT32, _) => {
            let int = |raw| i64::from(i32::from_le_bytes(raw));
            blocks(fixed::<4>(bytes, count)?, int, |block| sink.ints(block));
        }
        (Physical::INT64, Meaning::Unsigned64) => {
            blocks(fixed::<8>(bytes, count)?, u64::from_le_bytes, |block| {
                sink.unsigned(block);
            });
        }
        (Physical::INT64, _) => {
            blocks(fixed::<8>(bytes, count)?, i64::from_le_bytes, |block| {
                sink.ints(block);
            });
        }
        (Physical::INT96, _) => {
            blocks(fixed::<12>(bytes, count)?, int96, |block| sink.wide(block));
        }
        (Physical::FLOAT, _) => {
            let wide = |raw| f64::from(f32::from_le_bytes(raw));
            blocks(fixed::<4>(bytes, count)?, wide, |block| sink.floats(block));
        }
        (Physical::DOUBLE, _) => {
            blocks(fixed::<8>(bytes, count)?, f64::from_le_bytes, |block| {
                sink.floats(block);
            });
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Float) => {
            blocks(fixed::<2>(bytes, count)?, half, |block| sink.floats(block));
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Decimal(_)) if column.fixed == 8 => {
            let wide = |raw| i128::from(i64::from_be_bytes(raw));
            blocks(fixed::<8>(bytes, count)?, wide, |block| sink.wide(block));
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Decimal(_)) if column.fixed == 16 => {
            blocks(fixed::<16>(bytes, count)?, i128::from_be_bytes, |block| {
                sink.wide(block);
            });
        }
        (Physical::FIXED_LEN_BYTE_ARRAY | Physical::BYTE_ARRAY, Meaning::Decimal(_)) => {
            sink.all(&decode_plain(column, bytes, count)?);
        }
        (Physical::FIXED_LEN_BYTE_ARRAY, _) => {
            each_fixed(bytes, column.fixed, count, |value| sink.bytes(value, 1))?;
        }
        (Physical::BYTE_ARRAY, _) => each_text(bytes, count, |value| sink.bytes(value, 1))?,
    }
    Ok(())
}

/// Vectors that dictionaries are decoded into, one after another.
#[derive(Debug, Default)]
pub(crate) struct Room {
    ints: Vec<i64>,
    floats: Vec<f64>,
    wide: Vec<i128>,
    /// How often each entry is met.
    pub(crate) counts: Vec<u32>,
}

impl Room {
    /// Takes the vectors of a dictionary back.
    pub(crate) fn take_back(&mut self, values: Decoded) {
        match values {
            Decoded::Ints(values) => self.ints = values,
            Decoded::Floats(values) => self.floats = values,
            Decoded::Wide(values) => self.wide = values,
            _ => {}
        }
    }

    /// Bytes that it holds.
    pub(crate) fn bytes(&self) -> usize {
        8 * self.ints.capacity()
            + 8 * self.floats.capacity()
            + 16 * self.wide.capacity()
            + 4 * self.counts.capacity()
    }
}

/// Keeps the `count` plain values at the front of `bytes`, for reading by rows.
pub(crate) fn decode_plain(
    column: &FileColumn,
    bytes: &[u8],
    count: usize,
) -> Result<Decoded, Fault> {
    decode_into(column, bytes, count, &mut Room::default())
}

/// The first `count` values of `N` bytes each, in the vector that is given.
fn all<const N: usize, T>(
    into: &mut Vec<T>,
    bytes: &[u8],
    count: usize,
    convert: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Fault> {
    let values = fixed::<N>(bytes, count)?;
    let mut all = std::mem::take(into);
    all.clear();
    all.extend(values.iter().map(|raw| convert(*raw)));
    Ok(all)
}

/// Keeps the `count` plain values at the front of `bytes` in vectors of `room`, if it has some.
pub(crate) fn decode_into(
    column: &FileColumn,
    bytes: &[u8],
    count: usize,
    room: &mut Room,
) -> Result<Decoded, Fault> {
    let Room {
        ints, floats, wide, ..
    } = room;
    Ok(match (column.physical, column.meaning) {
        (Physical::BOOLEAN, _) => {
            if bytes.len() < count.div_ceil(8) {
                return Err(short(bytes.len(), count));
            }
            Decoded::Bools(
                (0..count)
                    .map(|at| bytes[at / 8] >> (at % 8) & 1 == 1)
                    .collect(),
            )
        }
        (Physical::INT32, Meaning::Decimal(_)) => Decoded::Wide(all(wide, bytes, count, |raw| {
            i128::from(i32::from_le_bytes(raw))
        })?),
        (Physical::INT64, Meaning::Decimal(_)) => Decoded::Wide(all(wide, bytes, count, |raw| {
            i128::from(i64::from_le_bytes(raw))
        })?),
        (Physical::INT32, Meaning::Unsigned32) => Decoded::Ints(all(ints, bytes, count, |raw| {
            i64::from(u32::from_le_bytes(raw))
        })?),
        (Physical::INT32, _) => Decoded::Ints(all(ints, bytes, count, |raw| {
            i64::from(i32::from_le_bytes(raw))
        })?),
        (Physical::INT64, Meaning::Unsigned64) => {
            Decoded::Unsigned(all(&mut Vec::new(), bytes, count, u64::from_le_bytes)?)
        }
        (Physical::INT64, _) => Decoded::Ints(all(ints, bytes, count, i64::from_le_bytes)?),
        (Physical::INT96, _) => Decoded::Wide(all(wide, bytes, count, int96)?),
        (Physical::FLOAT, _) => Decoded::Floats(all(floats, bytes, count, |raw| {
            f64::from(f32::from_le_bytes(raw))
        })?),
        (Physical::DOUBLE, _) => Decoded::Floats(all(floats, bytes, count, f64::from_le_bytes)?),
        (Physical::FIXED_LEN_BYTE_ARRAY, Meaning::Float) => {
            Decoded::Floats(all(floats, bytes, count, half)?)
        }
        (Physical::FIXED_LEN_BYTE_ARRAY | Physical::BYTE_ARRAY, Meaning::Decimal(_)) => {
            decode_decimals(column, bytes, count, wide)?
        }
        (Physical::FIXED_LEN_BYTE_ARRAY | Physical::BYTE_ARRAY, _) => {
            decode_bytes(column, bytes, count)?
        }
    })
}

/// Keeps decimals that are stored as bytes.
fn decode_decimals(
    column: &FileColumn,
    bytes: &[u8],
    count: usize,
    wide: &mut Vec<i128>,
) -> Result<Decoded, Fault> {
    if column.physical == Physical::BYTE_ARRAY {
        let mut values = Vec::new();
        each_text(bytes, count, |raw| values.push(wide_decimal(raw)))?;
        return widest(values);
    }
    if column.fixed == 8 {
        let narrow = |raw| i128::from(i64::from_be_bytes(raw));
        return Ok(Decoded::Wide(all(wide, bytes, count, narrow)?));
    }
    if column.fixed <= 16 {
        let mut values = Vec::new();
        each_fixed(bytes, column.fixed, count, |raw| {
            values.push(narrow_decimal(raw));
        })?;
        return Ok(Decoded::Wide(values));
    }
    let mut values = Vec::new();
    each_fixed(bytes, column.fixed, count, |raw| {
        values.push(wide_decimal(raw));
    })?;
    widest(values)
}

/// Keeps texts and bytes.
fn decode_bytes(column: &FileColumn, bytes: &[u8], count: usize) -> Result<Decoded, Fault> {
    let (mut kept, mut ends) = (Vec::new(), Vec::new());
    let keep = |raw: &[u8]| {
        kept.extend_from_slice(raw);
        ends.push(kept.len());
    };
    if column.physical == Physical::BYTE_ARRAY {
        each_text(bytes, count, keep)?;
    } else {
        each_fixed(bytes, column.fixed, count, keep)?;
    }
    Ok(Decoded::Bytes(kept, ends))
}

fn widest(values: Vec<Option<[u8; 32]>>) -> Result<Decoded, Fault> {
    let all: Option<Vec<_>> = values.into_iter().collect();
    all.map(Decoded::Widest)
        .ok_or_else(|| "a decimal needs more than 256 bits".to_owned())
}
