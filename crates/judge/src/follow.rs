//! What of a miss is still there in the next partition.
//!
//! In: values and what was predicted of each. Out: the same predictions, each moved by the part of
//! the last miss that earlier misses kept on average. It must never use the value at the predicted
//! position or a later one, nor follow one outlier far.

/// What remains of a past pair of misses after each later one: 50 pairs count.
const REMAINS: f64 = 0.98;
/// Misses beyond this multiple of the mean miss count as much as one at it.
const BOUND: f64 = 3.0;
/// As many misses of mean size speak for keeping nothing.
const RESERVE: f64 = 2.0;
/// Misses before anything is followed.
const EARNED: f64 = 8.0;
/// The least weight of a new miss in the mean miss.
const FRESH: f64 = 0.03;
/// The mean miss after a first one that followed none, as a share of it.
const FIRST: f64 = 0.1;

/// Predictions of positions `0..=values.len()`, moved; NaN where `base` is.
pub(crate) fn follow(values: &[f64], base: &[f64]) -> Vec<f64> {
    let (mut kept, mut all) = (0.0_f64, 0.0_f64);
    let (mut size, mut count, mut last) = (0.0_f64, 0.0_f64, f64::NAN);
    let mut moved = Vec::with_capacity(base.len());
    for (at, predicted) in base.iter().enumerate() {
        let bound = BOUND * size;
        let share = if count >= EARNED && size > 0.0 {
            (kept / (all + RESERVE * size * size)).clamp(0.0, 1.0)
        } else {
            0.0
        };
        moved.push(if last.is_nan() || share <= 0.0 {
            *predicted
        } else {
            predicted + share * last.clamp(-bound, bound)
        });
        let Some(value) = values.get(at) else { break };
        let miss = value - predicted;
        if !miss.is_nan() {
            let drawn = if count >= 4.0 {
                miss.clamp(-bound, bound)
            } else {
                miss
            };
            if !last.is_nan() && size > 0.0 {
                let before = last.clamp(-bound, bound);
                kept = REMAINS * kept + before * drawn;
                all = REMAINS * all + before * before;
            }
            count += 1.0;
            size += (drawn.abs() - size) * (1.0 / count).max(FRESH);
            if size == 0.0 {
                size = FIRST * miss.abs();
            }
        }
        last = miss;
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_that_last_are_followed_and_misses_that_do_not_are_not() {
        let waves: Vec<f64> = (0..60).map(|i| (f64::from(i) / 5.0).sin()).collect();
        let base = vec![0.0; 61];
        let moved = follow(&waves, &base);
        let last = *waves.last().unwrap_or(&0.0);
        assert!((moved[60] - last).abs() < 0.4 * last.abs(), "{}", moved[60]);
        let signs: Vec<f64> = (0..60)
            .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        assert_eq!(follow(&signs, &base), base);
    }

    #[test]
    fn one_outlier_is_not_followed_far() {
        let mut values: Vec<f64> = (0..60).map(|i| (f64::from(i) / 5.0).sin()).collect();
        values[59] = 1e6;
        let moved = follow(&values, &[0.0; 61]);
        assert!(moved[60].abs() < 5.0, "{}", moved[60]);
    }

    #[test]
    fn what_is_not_known_is_not_followed() {
        let moved = follow(&[f64::NAN; 5], &[f64::NAN, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert!(moved[0].is_nan());
        assert_eq!(moved[1..], [1.0; 5]);
    }
}
