//! Texts and bytes whose lengths are stored as deltas, and which may share their beginnings with the
//! value before.
//!
//! In: the encoded values of a page that is already decompressed, and how many they are. Out: each
//! value, one after another. A few bytes can stand for any number of long values: the bytes of all
//! values are counted first, and refused where they do not fit the budget.
//!
//! Source of the layout: the Parquet format's Encodings.md, "Delta encoding", "Delta-length byte
//! array" and "Delta Strings".

use super::hybrid::Fault;
use super::unpack::unpack_block;

/// The parquet number of lengths as deltas, then the values.
pub(crate) const DELTA_LENGTH: i32 = 6;
/// The parquet number of lengths of shared beginnings, then the rest of each value.
pub(crate) const DELTA_TEXTS: i32 = 7;

/// Values of a page. Each may be stored in less than a bit.
const MOST_VALUES: usize = 1 << 22;

/// Values whose lengths are known.
pub(crate) struct Texts<'a> {
    /// For each value the bytes that it shares with the one before; empty where none shares any.
    shared: Vec<u32>,
    /// For each value its other bytes.
    own: Vec<u32>,
    bytes: &'a [u8],
    /// Bytes of all values together.
    pub(crate) total: u64,
}

impl<'a> Texts<'a> {
    /// Reads the lengths of `count` values that take `budget` bytes at most.
    pub(crate) fn read(
        bytes: &'a [u8],
        encoding: i32,
        count: usize,
        budget: u64,
    ) -> Result<Self, Fault> {
        if count > MOST_VALUES {
            return Err(format!(
                "a page of {count} values; {MOST_VALUES} are read at most in its encoding"
            ));
        }
        let (shared, bytes) = match encoding {
            DELTA_TEXTS => lengths(bytes, count)?,
            _ => (Vec::new(), bytes),
        };
        let (own, bytes) = lengths(bytes, count)?;
        let sum = |lengths: &[u32]| lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
        let stored = sum(&own);
        if stored > bytes.len() as u64 {
            return Err(format!(
                "texts of {stored} bytes where {} are left",
                bytes.len()
            ));
        }
        let total = stored + sum(&shared);
        if total > budget {
            return Err(format!(
                "a page whose values take {total} bytes does not fit the memory of {budget} bytes that a scan may take"
            ));
        }
        Ok(Self {
            shared,
            own,
            bytes,
            total,
        })
    }

    /// Gives each value to `take`.
    pub(crate) fn each(&self, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut rest = self.bytes;
        let mut value = Vec::new();
        for (index, own) in self.own.iter().enumerate() {
            let Some((text, after)) = rest.split_at_checked(*own as usize) else {
                return Err(format!(
                    "a text of {own} bytes where {} are left",
                    rest.len()
                ));
            };
            rest = after;
            let Some(shared) = self.shared.get(index) else {
                take(text);
                continue;
            };
            let shared = *shared as usize;
            if shared > value.len() {
                return Err(format!(
                    "a text shares {shared} bytes with one of {} bytes",
                    value.len()
                ));
            }
            value.truncate(shared);
            value.extend_from_slice(text);
            take(&value);
        }
        Ok(())
    }
}

/// Reads a variable-length integer, seven bits to a byte.
fn varint(bytes: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or("deltas end inside a number")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number of the deltas is longer than 64 bits".to_owned())
}

/// The same, with its sign in the lowest bit.
fn signed(bytes: &mut &[u8]) -> Result<i64, Fault> {
    let value = varint(bytes)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// Reads `count` lengths; gives them with the bytes behind them.
fn lengths(bytes: &[u8], count: usize) -> Result<(Vec<u32>, &[u8]), Fault> {
    let mut rest = bytes;
    let block = varint(&mut rest)?;
    let parts = varint(&mut rest)?;
    let stated = varint(&mut rest)?;
    let first = signed(&mut rest)?;
    if stated != count as u64 {
        return Err(format!(
            "a page has {stated} lengths where its levels tell of {count}"
        ));
    }
    let per_part = block.checked_div(parts).unwrap_or(0);
    // Writers take 128 in 4; a block that is longer than any page is no block.
    let whole = per_part > 0 && per_part % 32 == 0 && per_part * parts == block;
    if !whole || block > 1 << 20 {
        return Err(format!("a block of {block} deltas in {parts} parts"));
    }
    let (per_part, parts) = (per_part as usize, parts as usize);
    let mut found = Vec::new();
    let mut last = first;
    let mut add = |length: i64| match u32::try_from(length) {
        Ok(length) if length <= i32::MAX as u32 => {
            found.push(length);
            Ok(())
        }
        _ => Err(format!("a text of {length} bytes")),
    };
    let mut left = count;
    if left > 0 {
        add(first)?;
        left -= 1;
    }
    let mut unpacked = vec![0u32; per_part];
    while left > 0 {
        let least = signed(&mut rest)?;
        let (widths, after) = rest
            .split_at_checked(parts)
            .ok_or("deltas end inside their widths")?;
        rest = after;
        for width in widths {
            if left == 0 {
                break;
            }
            if *width > 32 {
                return Err(format!("deltas of lengths in {width} bits"));
            }
            let now = left.min(per_part);
            let size = per_part / 8 * usize::from(*width);
            // The last part may lack its padding.
            if rest.len() < (now * usize::from(*width)).div_ceil(8) {
                return Err(format!("deltas end {left} values early"));
            }
            let (packed, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            unpack_block(packed, u32::from(*width), &mut unpacked[..now]);
            for delta in &unpacked[..now] {
                last = last.wrapping_add(least).wrapping_add(i64::from(*delta));
                // Writers of lengths count in 32 bits, and so do their differences.
                last = i64::from(last as i32);
                add(last)?;
            }
            left -= now;
        }
    }
    Ok((found, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths that are all the same, in a few bytes.
    fn same(count: u64, length: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for mut number in [128, 4, count, length << 1] {
            while number > 127 {
                bytes.push(number as u8 | 0x80);
                number >>= 7;
            }
            bytes.push(number as u8);
        }
        for _ in 0..count.saturating_sub(1).div_ceil(128) {
            // The least delta, and the widths of four parts.
            bytes.extend([0, 0, 0, 0, 0]);
        }
        bytes
    }

    #[test]
    fn lengths_come_from_their_deltas() {
        // Lengths 2, 0, 5: deltas -2 and 5, that is 0 and 7 above the least of them, in 3 bits.
        let mut bytes = vec![128, 1, 4, 3, 4, 3, 3, 0, 0, 0, 0b0011_1000];
        bytes.extend([0; 11]);
        bytes.extend(b"abcdefg");
        let texts = Texts::read(&bytes, DELTA_LENGTH, 3, 100).unwrap();
        let mut found: Vec<Vec<u8>> = Vec::new();
        texts.each(|text| found.push(text.to_vec())).unwrap();
        assert_eq!(found, [&b"ab"[..], b"", b"cdefg"]);
        assert_eq!(texts.total, 7);
    }

    #[test]
    fn values_that_a_few_bytes_stand_for_are_refused_beyond_the_budget() {
        let count = 40_000;
        let mut shared = same(count, 65_000);
        shared.extend(same(count, 0));
        let fault = Texts::read(&shared, DELTA_TEXTS, count as usize, 64 << 20).err();
        assert!(fault.unwrap().contains("does not fit the memory"));
        let few = Texts::read(&shared, DELTA_TEXTS, count as usize, u64::MAX).unwrap();
        assert!(few.each(|_| ()).unwrap_err().contains("shares 65000 bytes"));
    }

    #[test]
    fn broken_deltas_are_refused() {
        let good = same(3, 1);
        assert_eq!(lengths(&good, 3).unwrap().0, [1, 1, 1]);
        assert!(lengths(&good, 4).is_err());
        for end in 0..good.len() {
            assert!(lengths(&good[..end], 3).is_err(), "{end}");
        }
        assert!(lengths(&[128, 1, 0, 3, 4], 3).is_err(), "no parts");
        assert!(lengths(&[128, 1, 4, 1, 3], 1).is_err(), "a negative length");
    }
}
