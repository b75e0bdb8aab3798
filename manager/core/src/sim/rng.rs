//! The simulator's dice: one seed, one sequence.
//!
//! What comes in: a seed. What goes out: draws. It must never be shared with the core under test,
//! which has its own source.

use crate::SeededIds;

/// A repeatable source of draws.
#[derive(Debug, Clone)]
pub struct Dice(SeededIds);

impl Dice {
    /// The dice of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(SeededIds::new(seed ^ 0x005e_edd1_ce00))
    }

    /// A number below `n`; 0 when `n` is 0.
    pub const fn below(&mut self, n: u64) -> u64 {
        match self.0.next_u64().checked_rem(n) {
            Some(value) => value,
            None => 0,
        }
    }

    /// A number from `low` to `high`, both included.
    pub const fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something happens that happens `permille` times in a thousand.
    pub const fn chance(&mut self, permille: u64) -> bool {
        self.below(1_000) < permille
    }
}
