//! Quantiles from a deterministic log-linear histogram of doubles.
//!
//! A bucket is a double rounded to 8 significant bits (sign, exponent, 7 bits of mantissa), as in
//! DDSketch (Masson, Rim, Lee 2019) but with linear steps inside each power of two, which makes
//! the bucket a matter of integer arithmetic on the bits. The representative of a bucket is within
//! 2^-8 of each of its values, relative; integers up to 256 in magnitude are exact. Below the
//! normal doubles (2^-1022) the error is absolute, 2^-1030. Merging adds counts: exact.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};

/// Bound of a quantile's error, relative to the value at that rank.
pub const QUANTILE_ERROR_BOUND: f64 = 1.0 / 256.0;

const DROPPED: u32 = 45;
const PAGE: usize = 128;
const PAGES: usize = 4096;
const SIGN: u32 = 1 << 18;
const ABSENT: u16 = u16::MAX;

/// Counts per bucket of finite doubles. NaN and infinities are passed over.
#[derive(Clone, Default)]
pub struct Quantiles {
    /// Place of each page in `counts`; empty until the first value.
    pages: Vec<u16>,
    counts: Vec<u64>,
}

/// The bucket of a finite double: sign bit above 18 bits of rounded magnitude.
#[inline]
fn bucket(value: f64) -> u32 {
    // Adding half of the last kept place rounds to nearest; a carry moves on to the next exponent.
    let rounded = value.to_bits().wrapping_add(1 << (DROPPED - 1));
    let bucket = (rounded >> DROPPED) as u32;
    // −0.0, and what rounds to it, is zero.
    if bucket == SIGN { 0 } else { bucket }
}

fn representative(bucket: u32) -> f64 {
    let value = f64::from_bits(u64::from(bucket) << DROPPED);
    value.clamp(f64::MIN, f64::MAX)
}

/// Buckets in the order of their values: negative ones from the largest magnitude up.
fn rank_order(bucket: u32) -> i64 {
    let magnitude = i64::from(bucket & (SIGN - 1));
    if bucket & SIGN == 0 {
        magnitude
    } else {
        -magnitude
    }
}

impl Quantiles {
    /// Adds each finite double of a slice.
    pub fn add_slice(&mut self, values: &[f64]) {
        for value in values {
            if value.is_finite() {
                self.count(bucket(*value), 1);
            }
        }
    }

    /// Adds each integer of a slice as its nearest double.
    pub fn add_i64_slice(&mut self, values: &[i64]) {
        for value in values {
            self.count(bucket(*value as f64), 1);
        }
    }

    /// Adds a double `times` times.
    #[inline]
    pub fn add_times(&mut self, value: f64, times: u64) {
        if value.is_finite() && times > 0 {
            self.count(bucket(value), times);
        }
    }

    #[inline]
    fn count(&mut self, bucket: u32, times: u64) {
        let page = bucket as usize / PAGE;
        let place = match self.pages.get(page) {
            Some(place) if *place != ABSENT => usize::from(*place),
            _ => self.add_page(page),
        };
        let count = &mut self.counts[place * PAGE + bucket as usize % PAGE];
        *count = count.saturating_add(times);
    }

    #[cold]
    fn add_page(&mut self, page: usize) -> usize {
        if self.pages.is_empty() {
            self.pages.resize(PAGES, ABSENT);
        }
        let place = self.counts.len() / PAGE;
        self.pages[page] = place as u16;
        self.counts.resize(self.counts.len() + PAGE, 0);
        place
    }

    /// The buckets that hold something, in the order of their values.
    fn filled(&self) -> Vec<(u32, u64)> {
        let mut filled = Vec::new();
        for (page, place) in self
            .pages
            .iter()
            .enumerate()
            .filter(|(_, place)| **place != ABSENT)
        {
            let start = usize::from(*place) * PAGE;
            for (offset, count) in self.counts[start..start + PAGE].iter().enumerate() {
                if *count > 0 {
                    filled.push(((page * PAGE + offset) as u32, *count));
                }
            }
        }
        filled.sort_unstable_by_key(|(bucket, _)| rank_order(*bucket));
        filled
    }

    /// How many finite values were added.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts
            .iter()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The value of nearest rank at `q` (0 to 1): the one at place ⌈q · n⌉ of the sorted values,
    /// within [`QUANTILE_ERROR_BOUND`]. `None` when empty or `q` is no fraction.
    ///
    /// `bounds` are the exact minimum and maximum if they are known: the answer is clamped to them,
    /// and is exact at `q` = 0 and 1.
    #[must_use]
    pub fn quantile(&self, q: f64, bounds: Option<(f64, f64)>) -> Option<f64> {
        let total = self.total();
        if total == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        if let Some((low, high)) = bounds {
            if q == 0.0 {
                return Some(low);
            }
            if q == 1.0 {
                return Some(high);
            }
        }
        // A hair less than q·n, so that 0.55 · 100 is place 55 although 0.55 is no double.
        let place = (q * total as f64 * (1.0 - 2.0f64.powi(-50)))
            .ceil()
            .max(1.0) as u64;
        let mut seen = 0u64;
        let mut answer = 0.0;
        for (bucket, count) in self.filled() {
            seen = seen.saturating_add(count);
            answer = representative(bucket);
            if seen >= place {
                break;
            }
        }
        Some(bounds.map_or(answer, |(low, high)| answer.max(low).min(high)))
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (bucket, count) in other.filled() {
            self.count(bucket, count);
        }
    }
}

impl PartialEq for Quantiles {
    fn eq(&self, other: &Self) -> bool {
        self.filled() == other.filled()
    }
}

impl std::fmt::Debug for Quantiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let filled = self.filled();
        f.debug_map()
            .entries(filled.iter().map(|(b, n)| (representative(*b), n)))
            .finish()
    }
}

impl Codec for Quantiles {
    fn write(&self, to: &mut Writer) {
        let mut filled = self.filled();
        filled.sort_unstable();
        to.u64(filled.len() as u64);
        let mut last = 0;
        for (bucket, count) in filled {
            to.u64(u64::from(bucket - last));
            to.u64(count);
            last = bucket;
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut quantiles = Self::default();
        let mut last = 0u64;
        for place in 0..from.count(2, "quantile buckets")? {
            let step = from.u64("quantile bucket")?;
            let bucket = last.saturating_add(step);
            let count = from.u64("quantile count")?;
            let known = bucket < u64::from(2 * SIGN) && bucket != u64::from(SIGN);
            // Behind the bucket of infinity lie only NaNs.
            let magnitude = bucket % u64::from(SIGN);
            if (step == 0 && place > 0) || !known || magnitude > 2047 << 7 || count == 0 {
                return Err(from.invalid("quantile bucket"));
            }
            quantiles.count(bucket as u32, count);
            last = bucket;
        }
        Ok(quantiles)
    }
}

impl_state!(Quantiles);
