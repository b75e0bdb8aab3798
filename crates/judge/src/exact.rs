//! Rules for faults that can be known and need no limits.
//!
//! In: the values of a partition and of the partitions before it. Out: whether the partition is an
//! earlier one again, and whether a metric stopped being computable. It must never guess.

use crate::series::Point;

/// How many of the last partitions a stale one may repeat.
pub const STALE_LOOKBACK: usize = 3;
/// The share of moving metrics that must repeat, bit for bit.
pub const STALE_SHARE: f64 = 0.9;
/// How many earlier partitions tell which metrics move: no more of a past is looked at.
pub(crate) const MOVING_WINDOW: usize = 60;
/// A metric moves when it took more different values than this share of the partitions.
const MOVING_SHARE: f64 = 0.3;
/// Fewer moving metrics than this prove nothing.
pub const MOVING_MIN: usize = 3;

/// A partition that repeats an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// How many partitions back the repeated one is: 1 is the previous one.
    pub back: usize,
    /// Moving metrics that are bit-equal to it.
    pub equal: usize,
    /// Metrics that normally move.
    pub moving: usize,
}

/// Whether the partition repeats one of the last three.
///
/// `series` holds, for each metric, its earlier values (oldest first, ending with the previous
/// partition, `None` where not computable) and its value in the judged partition. The nearest
/// repeated partition is named.
#[must_use]
pub fn stale(series: &[(&[Option<f64>], Option<f64>)]) -> Option<Stale> {
    let moving = series.iter().filter(|(past, _)| moves(past));
    repeated(&moving.copied().collect::<Vec<_>>())
}

/// The same, of the metrics that move alone ([`moves`]).
pub(crate) fn repeated(moving: &[(&[Option<f64>], Option<f64>)]) -> Option<Stale> {
    if moving.len() < MOVING_MIN {
        return None;
    }
    (1..=STALE_LOOKBACK).find_map(|back| {
        let equal = moving
            .iter()
            .filter(|(past, value)| {
                let earlier = past.len().checked_sub(back).and_then(|at| past[at]);
                matches!((earlier, value), (Some(a), Some(b)) if a.to_bits() == b.to_bits())
            })
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a number of metrics is small")]
        let enough = equal as f64 >= STALE_SHARE * moving.len() as f64;
        enough.then_some(Stale {
            back,
            equal,
            moving: moving.len(),
        })
    })
}

/// Whether a metric with this past normally moves from partition to partition.
pub(crate) fn moves(past: &[Option<f64>]) -> bool {
    let window = &past[past.len().saturating_sub(MOVING_WINDOW)..];
    let mut different: Vec<u64> = window.iter().flatten().map(|v| v.to_bits()).collect();
    different.sort_unstable();
    different.dedup();
    #[expect(clippy::cast_precision_loss, reason = "at most a window's length")]
    let enough = different.len() as f64 > MOVING_SHARE * window.len() as f64;
    enough && different.len() > 1
}

/// Whether a metric that was computable in the last partition in order is not in this one.
///
/// `past` is oldest first. Only eligible points count: a partition in which the metric had stopped
/// already is a broken one, and does not make the next one right.
#[must_use]
pub fn stopped_being_computable(past: &[Point], value: Option<f64>) -> bool {
    let known = |v: Option<f64>| v.is_some_and(|v| !v.is_nan());
    let in_order = past.iter().rev().find(|point| point.eligible);
    known(in_order.and_then(|point| point.value)) && !known(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wandering(n: usize, step: f64) -> Vec<Option<f64>> {
        (0..n)
            .map(|i| Some((f64::from(u32::try_from(i).unwrap()) * step).sin()))
            .collect()
    }

    #[test]
    fn a_partition_that_repeats_the_last_but_one_is_stale_and_named() {
        let past: Vec<_> = (1..=4).map(|k| wandering(20, f64::from(k))).collect();
        let series: Vec<_> = past.iter().map(|p| (&p[..], p[18])).collect();
        assert_eq!(
            stale(&series),
            Some(Stale {
                back: 2,
                equal: 4,
                moving: 4
            })
        );
        let fresh: Vec<_> = past.iter().map(|p| (&p[..], Some(0.123))).collect();
        assert_eq!(stale(&fresh), None);
    }

    #[test]
    fn metrics_that_never_move_prove_nothing() {
        let flat = vec![Some(7.0); 20];
        assert_eq!(stale(&[(&flat[..], Some(7.0)); 5]), None);
    }

    #[test]
    fn a_metric_that_never_was_computable_has_not_stopped() {
        let never = Point {
            value: None,
            ..Point::of(0.0)
        };
        assert!(stopped_being_computable(&[Point::of(1.0)], None));
        assert!(!stopped_being_computable(&[Point::of(1.0), never], None));
        assert!(!stopped_being_computable(&[], None));
        assert!(!stopped_being_computable(&[Point::of(1.0)], Some(2.0)));
    }

    #[test]
    fn a_metric_that_stopped_stays_so_until_a_partition_is_in_order() {
        let broken = Point {
            value: None,
            eligible: false,
            ..Point::of(0.0)
        };
        let past = [Point::of(1.0), broken, broken];
        assert!(stopped_being_computable(&past, None));
        // What the owner has excluded says nothing.
        assert!(!stopped_being_computable(&[broken], None));
    }
}
