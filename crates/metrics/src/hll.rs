//! HyperLogLog with 2^14 registers (Flajolet et al. 2007), 64-bit hashes, and the improved raw
//! estimator of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017,
//! arXiv:1702.01284, algorithm 6), which needs no bias table and no switch of method.
//!
//! The registers are a function of the set of hashes alone, so order and repetition cannot matter.

use crate::codec::{DecodeError, Reader, Writer};

const PRECISION: u32 = 14;
const REGISTERS: usize = 1 << PRECISION;
/// Bits of a hash behind the register's number.
const TAIL: u32 = 64 - PRECISION;

/// Standard error of the estimate relative to the true count: 1.04 / √2^14.
pub const HLL_STANDARD_ERROR: f64 = 0.008_125;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hll {
    registers: Box<[u8; REGISTERS]>,
}

impl Default for Hll {
    fn default() -> Self {
        Self {
            registers: Box::new([0; REGISTERS]),
        }
    }
}

impl Hll {
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64) {
        let index = (hash >> TAIL) as usize;
        // The bit set behind the tail bounds the run of zeros.
        let rank = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() as u8 + 1;
        let register = &mut self.registers[index];
        *register = (*register).max(rank);
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (own, other) in self.registers.iter_mut().zip(other.registers.iter()) {
            *own = (*own).max(*other);
        }
    }

    pub(crate) fn estimate(&self) -> f64 {
        let mut histogram = [0u32; TAIL as usize + 2];
        for register in self.registers.iter() {
            histogram[usize::from(*register)] += 1;
        }
        let m = REGISTERS as f64;
        let top = f64::from(histogram[TAIL as usize + 1]);
        let mut z = m * tau((m - top) / m);
        for k in (1..=TAIL as usize).rev() {
            z = 0.5 * (z + f64::from(histogram[k]));
        }
        z += m * sigma(f64::from(histogram[0]) / m);
        m / (2.0 * std::f64::consts::LN_2) * m / z
    }

    /// Four registers of six bits in three bytes.
    pub(crate) fn write(&self, to: &mut Writer) {
        for four in self.registers.chunks_exact(4) {
            let word = four
                .iter()
                .fold(0u32, |word, register| word << 6 | u32::from(*register));
            to.raw(&word.to_be_bytes()[1..]);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut hll = Self::default();
        for four in hll.registers.chunks_exact_mut(4) {
            let [a, b, c] = from.array("distinct registers")?;
            let word = u32::from_be_bytes([0, a, b, c]);
            for (place, register) in four.iter_mut().enumerate() {
                *register = (word >> (18 - 6 * place)) as u8 & 0x3f;
                if u32::from(*register) > TAIL + 1 {
                    return Err(from.invalid("distinct register"));
                }
            }
        }
        Ok(hll)
    }
}

/// σ(x) = x + Σ x^(2^k) 2^(k−1); infinite at 1 (every register empty).
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// τ(x) = (1 − x − Σ (1 − x^(2^−k))² 2^−k) / 3.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
