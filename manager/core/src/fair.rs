//! Whose turn it is: present before past, then the dataset that was served least.
//!
//! What comes in: the datasets that have work, with the cost served to each. What goes out: an
//! order that is fair by cost, as in start-time fair queueing (Goyal, Vin, Cheng 1996): each pick
//! adds its cost to its dataset, and the smallest sum is next. It must never let a dataset save up
//! its turns while it is idle.

use std::collections::BTreeSet;

use assay_model::run::Priority;

/// The turns of one round.
#[derive(Debug, Default)]
pub struct Turns<K: Ord> {
    queue: BTreeSet<(Priority, u64, K)>,
}

impl<K: Ord> Turns<K> {
    /// A round without anyone.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            queue: BTreeSet::new(),
        }
    }

    /// Adds someone whose served cost is `served`, or `floor` if that is more: an idle time is not
    /// a credit.
    pub fn join(&mut self, who: K, priority: Priority, served: u64, floor: u64) {
        self.queue.insert((priority, served.max(floor), who));
    }

    /// Whose turn it is, with the served cost so far.
    pub fn take(&mut self) -> Option<(Priority, u64, K)> {
        self.queue.pop_first()
    }

    /// Puts someone back after a pick of `cost`.
    pub fn put_back(&mut self, who: K, priority: Priority, served: u64, cost: u64) {
        self.queue
            .insert((priority, served.saturating_add(cost), who));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_present_goes_before_the_past() {
        let mut turns = Turns::new();
        turns.join("past", Priority::Backfill, 0, 0);
        turns.join("present", Priority::Live, 1_000, 0);
        assert_eq!(turns.take().map(|t| t.2), Some("present"));
        assert_eq!(turns.take().map(|t| t.2), Some("past"));
    }

    proptest! {
        #[test]
        fn nobody_is_ahead_by_more_than_the_dearest_task(
            costs in prop::collection::vec(1_u64..100, 2..6),
            rounds in 50_usize..200,
        ) {
            let mut turns = Turns::new();
            for who in 0..costs.len() {
                turns.join(who, Priority::Live, 0, 0);
            }
            let mut served: BTreeMap<usize, u64> = BTreeMap::new();
            for _ in 0..rounds {
                let (priority, so_far, who) = turns.take().unwrap();
                *served.entry(who).or_default() += costs[who];
                turns.put_back(who, priority, so_far, costs[who]);
            }
            let most = served.values().max().copied().unwrap_or(0);
            let least = (0..costs.len()).map(|w| served.get(&w).copied().unwrap_or(0)).min();
            let dearest = costs.iter().max().copied().unwrap_or(0);
            prop_assert!(most - least.unwrap_or(0) <= dearest);
        }
    }
}
