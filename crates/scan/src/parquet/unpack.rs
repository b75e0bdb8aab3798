//! Bit-packed values, lowest bit first, into words of 32 bits.
//!
//! In: packed bytes and the width of a value. Out: the values. Eight values of up to 25 bits are
//! unpacked at once where the processor has the instructions (AVX2); the rest, and everything on
//! other processors, is unpacked one by one to the same values. Bytes that are not there read as
//! zeros; it must never read them from anywhere else.

/// Values that are unpacked together without vectors.
const PACK: usize = 32;

/// Fills `out` from packed values. `packed` may go on behind them; what is missing of it reads as
/// zeros.
pub(crate) fn unpack_block(packed: &[u8], width: u32, out: &mut [u32]) {
    // A multiple of eight values, so that the next one begins with a byte.
    let done = by_eights(packed, width, out);
    let packed = packed.get(done / 8 * width as usize..).unwrap_or(&[]);
    one_by_one(packed, width, &mut out[done..]);
}

/// The same without vectors.
fn one_by_one(packed: &[u8], width: u32, out: &mut [u32]) {
    let size = 4 * width as usize;
    let mut padded = [0u8; 128];
    for (index, out) in out.chunks_mut(PACK).enumerate() {
        let from = packed.get(index * size..).unwrap_or(&[]);
        let source = if let Some(whole) = from.get(..size) {
            whole
        } else {
            padded[..from.len()].copy_from_slice(from);
            padded[from.len()..].fill(0);
            &padded[..size]
        };
        if let Ok(whole) = <&mut [u32; PACK]>::try_from(&mut *out) {
            unpack(source, width, whole);
        } else {
            let mut whole = [0; PACK];
            unpack(source, width, &mut whole);
            out.copy_from_slice(&whole[..out.len()]);
        }
    }
}

macro_rules! by_width {
    ($width:expr, $source:expr, $out:expr; $($bits:literal)+) => {
        match $width {
            $($bits => unpack_const::<$bits>($source, $out),)+
            _ => $out.fill(0),
        }
    };
}

fn unpack(source: &[u8], width: u32, out: &mut [u32; PACK]) {
    by_width!(width, source, out; 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25
        26 27 28 29 30 31 32);
}

/// 32 values of `BITS` bits are `4 * BITS` bytes; each value lies within eight of them.
#[inline]
fn unpack_const<const BITS: usize>(source: &[u8], out: &mut [u32; PACK]) {
    let source = &source[..4 * BITS];
    let mask = u32::MAX >> (32 - BITS);
    for (index, out) in out.iter_mut().enumerate() {
        let bit = index * BITS;
        // The last values are taken from the last eight bytes.
        let from = (bit / 8).min((4 * BITS).saturating_sub(8));
        let word = match source[from..].first_chunk::<8>() {
            Some(word) => u64::from_le_bytes(*word),
            // Values of one bit are four bytes.
            None => source.iter().rev().fold(0, |w, b| w << 8 | u64::from(*b)),
        };
        *out = (word >> (bit - 8 * from)) as u32 & mask;
    }
}

/// Unpacks from the front, eight values at a time, as far as the vectors reach; gives how many.
#[cfg(not(target_arch = "x86_64"))]
fn by_eights(_: &[u8], _: u32, _: &mut [u32]) -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
use vectors::by_eights;

#[cfg(target_arch = "x86_64")]
mod vectors {
    use fearless_simd::Level;
    use fearless_simd::prelude::*;
    use fearless_simd::{u8x16, u8x32, u32x8};

    /// The widest value that lies within four bytes wherever it begins.
    const WIDEST: usize = 25;
    /// Bytes of a load.
    const LOAD: usize = 16;

    /// Where eight values of a width are.
    #[derive(Clone, Copy)]
    struct Eight {
        /// The byte that the load for the last four values begins with; the other begins with 0.
        second: usize,
        /// Which bytes of its load each value is in: four for each.
        bytes: [u8; 32],
        /// Bits of those before the value.
        shifts: [u32; 8],
    }

    const fn eight(width: usize) -> Eight {
        let second = 4 * width / 8;
        let (mut bytes, mut shifts) = ([0; 32], [0; 8]);
        let mut value = 0;
        while value < 8 {
            let from = if value < 4 { 0 } else { 8 * second };
            let bit = value * width - from;
            shifts[value] = (bit % 8) as u32;
            let mut byte = 0;
            while byte < 4 {
                bytes[4 * value + byte] = (bit / 8 + byte) as u8;
                byte += 1;
            }
            value += 1;
        }
        Eight {
            second,
            bytes,
            shifts,
        }
    }

    static EIGHTS: [Eight; WIDEST + 1] = {
        let mut all = [eight(0); WIDEST + 1];
        let mut width = 1;
        while width <= WIDEST {
            all[width] = eight(width);
            width += 1;
        }
        all
    };

    /// Unpacks from the front, eight values at a time, as far as the vectors reach; gives how many.
    pub(super) fn by_eights(packed: &[u8], width: u32, out: &mut [u32]) -> usize {
        match (Level::new().as_avx2(), EIGHTS.get(width as usize)) {
            (Some(avx2), Some(eight)) if width > 0 => {
                with_avx2(avx2, packed, width as usize, eight, out)
            }
            _ => 0,
        }
    }

    fearless_simd::kernel!(
        fn with_avx2(
            avx2: Avx2,
            packed: &[u8],
            width: usize,
            eight: &Eight,
            out: &mut [u32],
        ) -> usize {
            use core::arch::x86_64::{
                __m128i, __m256i, _mm256_and_si256, _mm256_set_m128i, _mm256_set1_epi32,
                _mm256_shuffle_epi8, _mm256_srlv_epi32,
            };
            let bytes: __m256i = u8x32::from_slice(avx2, &eight.bytes).into();
            let shifts: __m256i = u32x8::from_slice(avx2, &eight.shifts).into();
            let mask = _mm256_set1_epi32((1i32 << width) - 1);
            let mut done = 0;
            let mut rest = packed;
            for out in out.as_chunks_mut::<8>().0 {
                let Some(loads) = rest.get(..eight.second + LOAD) else {
                    break;
                };
                let first: __m128i = u8x16::from_slice(avx2, &loads[..LOAD]).into();
                let second: __m128i = u8x16::from_slice(avx2, &loads[eight.second..]).into();
                let apart = _mm256_shuffle_epi8(_mm256_set_m128i(second, first), bytes);
                let values = _mm256_and_si256(_mm256_srlv_epi32(apart, shifts), mask);
                let values: u32x8<_> = values.simd_into(avx2);
                values.store_slice(out);
                // A load is longer than what eight values of any width go forward by.
                rest = rest.get(width..).unwrap_or(&[]);
                done += 8;
            }
            done
        }
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_together_are_values_one_by_one(
            packed in prop::collection::vec(0u8.., 0..400),
            width in 0u32..=32,
            count in 0usize..300,
        ) {
            let (mut fast, mut slow) = (vec![7; count], vec![9; count]);
            unpack_block(&packed, width, &mut fast);
            one_by_one(&packed, width, &mut slow);
            prop_assert_eq!(&fast, &slow);
            // And those are what the bits say, missing ones being zeros.
            let bit = |at: usize| packed.get(at / 8).map_or(0, |byte| u32::from(byte >> (at % 8) & 1));
            for (index, value) in slow.iter().enumerate() {
                let from = index * width as usize;
                let told = (0..width as usize).fold(0, |all, at| all | bit(from + at) << at);
                prop_assert_eq!(*value, told);
            }
        }
    }

    /// Otherwise the test above compares one way with itself.
    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_processor_with_the_instructions_uses_them() {
        let mut out = [0; 64];
        let expected = if std::is_x86_feature_detected!("avx2") {
            64
        } else {
            0
        };
        for width in 1..=25 {
            assert_eq!(
                by_eights(&[0xa5; 400], width, &mut out),
                expected,
                "{width}"
            );
        }
        assert_eq!(by_eights(&[0xa5; 400], 26, &mut out), 0);
        assert_eq!(by_eights(&[0xa5; 10], 3, &mut out), 0);
    }
}
