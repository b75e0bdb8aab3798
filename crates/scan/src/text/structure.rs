//! Where fields and records end.
//!
//! In: bytes that begin at the beginning of a record. Out: the positions of delimiters and line
//! ends that are not within quotes. Bytes are compared sixteen at a time into masks of 64 bits; a
//! running parity of the quotes tells what lies within them. A doubled quote turns the parity twice
//! and so changes nothing; a quote where none may be is found when its field is looked at.

use wide::u8x16;

/// The bytes that structure a delimited text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
}

/// Finds structure in chunks of 64 bytes.
#[derive(Debug)]
pub struct Finder {
    delimiter: u8x16,
    quote: u8x16,
    newline: u8x16,
    /// All ones while the last byte looked at lies within quotes.
    within: u64,
    /// Whether any quote was met.
    pub quotes: bool,
}

impl Finder {
    /// A finder at the beginning of a record.
    #[must_use]
    pub fn new(marks: Marks) -> Self {
        Self {
            delimiter: u8x16::splat(marks.delimiter),
            quote: u8x16::splat(marks.quote),
            newline: u8x16::splat(b'\n'),
            within: 0,
            quotes: false,
        }
    }

    /// Whether the last byte looked at lies within quotes.
    #[must_use]
    pub const fn is_within(&self) -> bool {
        self.within != 0
    }

    /// The mask of the structural bytes of 64 bytes.
    #[inline]
    fn chunk(&mut self, bytes: &[u8; 64]) -> u64 {
        let (mut structural, mut quotes) = (0u64, 0u64);
        for (i, part) in bytes.as_chunks::<16>().0.iter().enumerate() {
            let part = u8x16::new(*part);
            let ends = part.simd_eq(self.delimiter) | part.simd_eq(self.newline);
            structural |= u64::from(ends.to_bitmask()) << (16 * i);
            quotes |= u64::from(part.simd_eq(self.quote).to_bitmask()) << (16 * i);
        }
        if quotes != 0 {
            self.quotes = true;
            let mut parity = quotes;
            for shift in [1, 2, 4, 8, 16, 32] {
                parity ^= parity << shift;
            }
            parity ^= self.within;
            self.within = if parity >> 63 == 1 { u64::MAX } else { 0 };
            structural & !parity
        } else {
            structural & !self.within
        }
    }

    /// Appends the positions of the structural bytes of `bytes[from..]`.
    pub fn find(&mut self, bytes: &[u8], from: usize, into: &mut Vec<u32>) {
        let mut base = from as u32;
        let (chunks, rest) = bytes[from..].as_chunks::<64>();
        let mut emit = |mut mask: u64, base: u32| {
            while mask != 0 {
                into.push(base + mask.trailing_zeros());
                mask &= mask - 1;
            }
        };
        for chunk in chunks {
            emit(self.chunk(chunk), base);
            base += 64;
        }
        if !rest.is_empty() {
            let mut last = [0u8; 64];
            last[..rest.len()].copy_from_slice(rest);
            let mask = self.chunk(&last) & ((1u64 << rest.len()) - 1);
            emit(mask, base);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(bytes: &[u8], marks: Marks) -> Vec<u32> {
        let (mut within, mut found) = (false, Vec::new());
        for (at, byte) in (0u32..).zip(bytes) {
            if *byte == marks.quote {
                within = !within;
            } else if !within && (*byte == marks.delimiter || *byte == b'\n') {
                found.push(at);
            }
        }
        found
    }

    proptest::proptest! {
        #[test]
        fn masks_find_what_a_walk_over_the_bytes_finds(
            text in "[a-c,\"\n]{0,300}", split in 0usize..300,
        ) {
            let marks = Marks { delimiter: b',', quote: b'"' };
            let (mut finder, mut found) = (Finder::new(marks), Vec::new());
            finder.find(text.as_bytes(), 0, &mut found);
            assert_eq!(found, naive(text.as_bytes(), marks));
            // In two steps of which the first is whole chunks.
            let split = (split / 64 * 64).min(text.len() / 64 * 64);
            let (mut finder, mut found) = (Finder::new(marks), Vec::new());
            finder.find(&text.as_bytes()[..split], 0, &mut found);
            finder.find(text.as_bytes(), split, &mut found);
            assert_eq!(found, naive(text.as_bytes(), marks));
        }
    }
}
