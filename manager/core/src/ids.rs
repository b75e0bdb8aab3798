//! Where nonces and jitter come from: passed in, so that a run of the core can be repeated.
//!
//! What comes in: a seed, or the driver's own source. What goes out: unique nonces and jitter.
//! It must never read a clock or the system's entropy.

use uuid::Uuid;

/// A source of nonces and jitter.
pub trait IdSource: Send {
    /// A nonce that no other attempt has ever had. A driver gives random ones.
    fn nonce(&mut self) -> Uuid;

    /// A factor for pauses, in thousandths: uniform in 500 to 1,499.
    fn jitter_permille(&mut self) -> u64;
}

/// A repeatable source (SplitMix64, Steele et al. 2014), for simulation and tests.
///
/// Two sources of one seed give the same nonces: a cluster must not use it, unless the seed itself
/// is unique (64 random bits per core).
#[derive(Debug, Clone)]
pub struct SeededIds(u64);

impl SeededIds {
    /// A source that gives the same sequence for the same `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl IdSource for SeededIds {
    fn nonce(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next_u64(), self.next_u64())
    }

    fn jitter_permille(&mut self) -> u64 {
        500 + self.next_u64() % 1_000
    }
}
