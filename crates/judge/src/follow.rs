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

/// A number drawn in to a bound on either side; NaN where it is NaN. Of a bound that is NaN, since
/// misses overflowed, it makes anything but a panic.
#[inline(always)]
fn bounded(x: f64, bound: f64) -> f64 {
    let x = if -bound > x { -bound } else { x };
    if bound < x { bound } else { x }
}

/// What is known of the misses of one prediction so far.
struct Memory {
    /// Products of misses that follow each other, and squares of the earlier of them.
    kept: f64,
    all: f64,
    /// The mean miss.
    size: f64,
    count: f64,
    last: f64,
}

impl Memory {
    const fn new() -> Self {
        Self {
            kept: 0.0,
            all: 0.0,
            size: 0.0,
            count: 0.0,
            last: f64::NAN,
        }
    }

    /// A prediction, moved by the part of the last miss that is still there.
    #[inline(always)]
    fn moved(&self, predicted: f64) -> f64 {
        let share = self.kept / (self.all + RESERVE * self.size * self.size);
        let follows = (self.count >= EARNED) & (self.size > 0.0) & (share > 0.0);
        let bound = BOUND * self.size;
        let by = share.min(1.0) * bounded(self.last, bound);
        // Nothing is known of a last miss that is NaN. Whether one is followed changes too often
        // to be guessed: there is no branch.
        predicted + if follows & !by.is_nan() { by } else { 0.0 }
    }

    /// Takes note of a miss; NaN stands for none.
    #[inline(always)]
    fn note(&mut self, miss: f64) {
        if !miss.is_nan() {
            let bound = BOUND * self.size;
            let drawn = if self.count >= 4.0 {
                bounded(miss, bound)
            } else {
                miss
            };
            if !self.last.is_nan() && self.size > 0.0 {
                let before = bounded(self.last, bound);
                self.kept = REMAINS * self.kept + before * drawn;
                self.all = REMAINS * self.all + before * before;
            }
            self.count += 1.0;
            self.size += (drawn.abs() - self.size) * (1.0 / self.count).max(FRESH);
            if self.size == 0.0 {
                self.size = FIRST * miss.abs();
            }
        }
        self.last = miss;
    }
}

/// Two predictions of positions `0..=values.len()`, each moved; NaN where it is NaN.
///
/// Both at once: each step waits for the one before, and the processor does the other's meanwhile.
pub(crate) fn follow(values: &[f64], bases: [&[f64]; 2], moved: [&mut Vec<f64>; 2]) {
    let [first, second] = moved;
    for moved in [&mut *first, &mut *second] {
        moved.clear();
        moved.resize(values.len() + 1, f64::NAN);
    }
    let (mut one, mut other) = (Memory::new(), Memory::new());
    let steps = bases[0]
        .iter()
        .zip(bases[1])
        .zip(first.iter_mut().zip(second.iter_mut()));
    let values = values.iter().copied().chain([f64::NAN]);
    for (value, ((a, b), (moved_a, moved_b))) in values.zip(steps) {
        *moved_a = one.moved(*a);
        *moved_b = other.moved(*b);
        one.note(value - a);
        other.note(value - b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(values: &[f64], base: &[f64]) -> Vec<f64> {
        let (mut moved, mut again) = (Vec::new(), Vec::new());
        follow(values, [base, base], [&mut moved, &mut again]);
        assert_eq!(format!("{moved:?}"), format!("{again:?}"));
        moved
    }

    #[test]
    fn misses_that_last_are_followed_and_misses_that_do_not_are_not() {
        let waves: Vec<f64> = (0..60).map(|i| (f64::from(i) / 5.0).sin()).collect();
        let base = vec![0.0; 61];
        let moved = followed(&waves, &base);
        let last = *waves.last().unwrap_or(&0.0);
        assert!((moved[60] - last).abs() < 0.4 * last.abs(), "{}", moved[60]);
        let signs: Vec<f64> = (0..60)
            .map(|i| if i % 2 == 0 { 1.0 } else { -1.0 })
            .collect();
        assert_eq!(followed(&signs, &base), base);
    }

    #[test]
    fn one_outlier_is_not_followed_far() {
        let mut values: Vec<f64> = (0..60).map(|i| (f64::from(i) / 5.0).sin()).collect();
        values[59] = 1e6;
        let moved = followed(&values, &[0.0; 61]);
        assert!(moved[60].abs() < 5.0, "{}", moved[60]);
    }

    #[test]
    fn what_is_not_known_is_not_followed() {
        let moved = followed(&[f64::NAN; 5], &[f64::NAN, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert!(moved[0].is_nan());
        assert_eq!(moved[1..], [1.0; 5]);
    }
}
