//! The run-length and bit-packed hybrid: levels and dictionary indices.
//!
//! In: encoded bytes, the width of a value in bits, and how many values there are. Out: the values,
//! as repeats and in small blocks, or their count where only that is needed. Bytes that end before
//! the values do are an error; the bytes of a header are never believed beyond what is there.
//!
//! Source of the layout: the Parquet format's Encodings.md, "RLE / Bit-Packing Hybrid".

use super::unpack::unpack_block;

/// What breaks the rules of the encoding.
pub(crate) type Fault = String;

/// Values of a block.
pub(crate) const BLOCK: usize = 1024;

/// Values in the order of the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Values<'a> {
    /// One value so many times.
    Repeat(u32, usize),
    /// At most [`BLOCK`] values.
    Block(&'a [u32]),
}

enum Run<'a> {
    Repeat(u32, usize),
    /// Packed values with all that is behind them, and how many of them count.
    Packed(&'a [u8], usize),
}

/// Splits the encoding into its runs.
struct Runs<'a> {
    bytes: &'a [u8],
    width: u32,
    left: usize,
}

impl<'a> Runs<'a> {
    fn next(&mut self) -> Result<Option<Run<'a>>, Fault> {
        while self.left > 0 {
            let left = self.left;
            let short = || format!("run-length data ends {left} values early");
            let header = self.varint().ok_or_else(short)?;
            let stated = usize::try_from(header >> 1).unwrap_or(usize::MAX);
            if header & 1 == 0 {
                let size = self.width.div_ceil(8) as usize;
                let value = self.bytes.get(..size).ok_or_else(short)?;
                let value = value
                    .iter()
                    .rev()
                    .fold(0u32, |all, byte| all << 8 | u32::from(*byte));
                if self.width < 32 && value >> self.width != 0 {
                    return Err(format!(
                        "a run repeats {value}, which needs over {} bits",
                        self.width
                    ));
                }
                self.bytes = &self.bytes[size..];
                let count = stated.min(self.left);
                self.left -= count;
                if count > 0 {
                    return Ok(Some(Run::Repeat(value, count)));
                }
                continue;
            }
            let count = stated.saturating_mul(8).min(self.left);
            let needed = (count * self.width as usize).div_ceil(8);
            if self.bytes.len() < needed {
                return Err(short());
            }
            // The last group may lack its padding.
            let whole = stated
                .saturating_mul(self.width as usize)
                .min(self.bytes.len());
            let packed = self.bytes;
            self.bytes = &self.bytes[whole..];
            self.left -= count;
            if count > 0 {
                return Ok(Some(Run::Packed(packed, count)));
            }
        }
        Ok(None)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// Gives `count` values of `width` bits to `take`, in order.
pub(crate) fn visit(
    bytes: &[u8],
    width: u32,
    count: usize,
    mut take: impl FnMut(Values<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if width > 32 {
        return Err(format!("values of {width} bits; at most 32 are possible"));
    }
    let mut runs = Runs {
        bytes,
        width,
        left: count,
    };
    let mut block = [0u32; BLOCK];
    while let Some(run) = runs.next()? {
        match run {
            Run::Repeat(value, times) => take(Values::Repeat(value, times))?,
            Run::Packed(packed, mut values) => {
                let stride = BLOCK * width as usize / 8;
                let mut at = 0;
                while values > 0 {
                    let now = values.min(BLOCK);
                    unpack_block(packed.get(at..).unwrap_or(&[]), width, &mut block[..now]);
                    take(Values::Block(&block[..now]))?;
                    values -= now;
                    at += stride;
                }
            }
        }
    }
    Ok(())
}

/// How many of `count` levels of `width` bits are equal to `wanted`.
pub(crate) fn count_equal(
    bytes: &[u8],
    width: u32,
    count: usize,
    wanted: u32,
) -> Result<usize, Fault> {
    if width == 1 && wanted == 1 {
        return count_ones(bytes, count);
    }
    let mut equal = 0;
    visit(bytes, width, count, |values| {
        equal += match values {
            Values::Repeat(value, times) => usize::from(value == wanted) * times,
            Values::Block(block) => block.iter().filter(|value| **value == wanted).count(),
        };
        Ok(())
    })?;
    Ok(equal)
}

fn count_ones(bytes: &[u8], count: usize) -> Result<usize, Fault> {
    let mut runs = Runs {
        bytes,
        width: 1,
        left: count,
    };
    let mut ones = 0;
    while let Some(run) = runs.next()? {
        ones += match run {
            Run::Repeat(value, times) => value as usize * times,
            Run::Packed(packed, values) => set_bits(packed, values),
        };
    }
    Ok(ones)
}

/// Bits that are set among the first `count`, lowest bit of a byte first.
pub(crate) fn set_bits(bytes: &[u8], count: usize) -> usize {
    let (whole, rest) = (count / 8, count % 8);
    let ones: usize = bytes[..whole]
        .iter()
        .map(|byte| byte.count_ones() as usize)
        .sum();
    let last = if rest == 0 {
        0
    } else {
        bytes[whole] & ((1 << rest) - 1)
    };
    ones + last.count_ones() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(values: &[u32], width: u32, repeats: &[bool]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (index, group) in values.chunks(8).enumerate() {
            let same = group.iter().all(|value| *value == group[0]);
            if same && *repeats.get(index).unwrap_or(&false) {
                bytes.push((group.len() as u8) << 1);
                bytes.extend(&group[0].to_le_bytes()[..width.div_ceil(8) as usize]);
            } else {
                bytes.push(3);
                let mut packed = vec![0u8; width as usize];
                for (at, value) in group.iter().enumerate() {
                    for bit in 0..width as usize {
                        let place = at * width as usize + bit;
                        packed[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
                    }
                }
                bytes.extend(packed);
            }
        }
        bytes
    }

    fn decode(bytes: &[u8], width: u32, count: usize) -> Result<Vec<u32>, Fault> {
        let mut all = Vec::new();
        visit(bytes, width, count, |values| {
            match values {
                Values::Repeat(value, times) => all.extend(std::iter::repeat_n(value, times)),
                Values::Block(block) => all.extend_from_slice(block),
            }
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_long_packed_run_without_its_last_padding_is_read() {
        for width in 1..=32u32 {
            let mask = u32::MAX >> (32 - width);
            let values: Vec<u32> = (0..3001u32)
                .map(|v| v.wrapping_mul(0x9e37_79b9) & mask)
                .collect();
            let mut bits = vec![0u8; (values.len() * width as usize).div_ceil(8)];
            for (at, value) in values.iter().enumerate() {
                for bit in 0..width as usize {
                    let place = at * width as usize + bit;
                    bits[place / 8] |= ((value >> bit & 1) as u8) << (place % 8);
                }
            }
            let header = (values.len().div_ceil(8) as u32) << 1 | 1;
            let mut bytes = vec![header as u8 & 0x7f | 0x80, (header >> 7) as u8];
            bytes.extend(&bits);
            assert_eq!(
                decode(&bytes, width, values.len()).unwrap(),
                values,
                "{width}"
            );
            bytes.pop();
            assert!(decode(&bytes, width, values.len()).is_err(), "{width}");
        }
    }

    proptest! {
        #[test]
        fn values_come_back_and_are_counted(
            width in 1u32..=20,
            seeds in prop::collection::vec((0u32.., prop::bool::ANY), 1..80),
        ) {
            let mask = u32::MAX >> (32 - width);
            let values: Vec<u32> = seeds
                .iter()
                .flat_map(|(seed, same)| (0..8).map(move |i| if *same { *seed } else { seed.wrapping_mul(i * 7 + 1) } & mask))
                .collect();
            let repeats: Vec<bool> = seeds.iter().map(|seed| seed.1).collect();
            let bytes = encode(&values, width, &repeats);
            prop_assert_eq!(decode(&bytes, width, values.len()).unwrap(), values.clone());
            let wanted = values[0];
            let expected = values.iter().filter(|v| **v == wanted).count();
            prop_assert_eq!(count_equal(&bytes, width, values.len(), wanted).unwrap(), expected);
            prop_assert!(decode(&bytes, width, values.len() + 8).is_err());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(0u8.., 0..40), width in 0u32..40, count in 0usize..100_000) {
            let _ = visit(&bytes, width, count, |_| Ok(()));
            let _ = count_equal(&bytes, width, count, 1);
        }
    }
}
