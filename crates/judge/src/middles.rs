//! The middle of the values before each position: their median, and the mean of what is left of
//! them without the extremes.
//!
//! In: the values of a series, NaN where there is none. Out: both, for each position and the one
//! after the last. It must never use the value at the position or a later one.

use crate::predict::middle;

/// How many positions back count.
const LONG: usize = 28;
/// How many of them the mean of the middle leaves out at each end.
const BEYOND: usize = beyond(LONG);
/// The two halves of a series go side by side: what one waits for, the other has done.
const LANES: usize = 2;

/// How many of so many values the mean of the middle leaves out at each end: 15 in a hundred.
const fn beyond(taken: usize) -> usize {
    taken * 15 / 100
}

/// The median, and the mean of the middle seven tenths, of up to 28 values before each position.
pub(crate) fn rolling_middles(values: &[f64], medians: &mut Vec<f64>, means: &mut Vec<f64>) {
    let positions = values.len() + 1;
    let half = positions.div_ceil(LANES);
    for made in [&mut *medians, &mut *means] {
        made.clear();
        made.resize(LANES * half, f64::NAN);
    }
    let value = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    let old = |at: usize| at.checked_sub(LONG).map_or(f64::NAN, value);
    let (first, second) = medians.split_at_mut(half);
    let both = first.iter_mut().zip(second);
    let (first, second) = means.split_at_mut(half);
    let both = both.zip(first.iter_mut().zip(second));
    let mut window = Windows::new();
    for at in half.saturating_sub(LONG)..half {
        window.replace([f64::NAN; LANES], [f64::NAN, value(at)]);
    }
    for (at, (median, mean)) in both.enumerate() {
        [*median.0, *median.1] = window.medians();
        [*mean.0, *mean.1] = window.means_of_middle();
        window.replace([old(at), old(half + at)], [value(at), value(half + at)]);
    }
    for made in [medians, means] {
        made.truncate(positions);
    }
}

/// Windows of up to 28 values each, sorted; the places that are not taken are infinite.
struct Windows {
    /// By place, then window; one more, which is never taken.
    sorted: [[f64; LANES]; LONG + 1],
    taken: [usize; LANES],
}

impl Windows {
    const fn new() -> Self {
        Self {
            sorted: [[f64::INFINITY; LANES]; LONG + 1],
            taken: [0; LANES],
        }
    }

    #[inline(always)]
    fn medians(&self) -> [f64; LANES] {
        if self.taken == [LONG; LANES] {
            let (low, high) = (self.sorted[LONG / 2 - 1], self.sorted[LONG / 2]);
            return [middle(low[0], high[0]), middle(low[1], high[1])];
        }
        std::array::from_fn(|lane| {
            let taken = self.taken[lane];
            let high = self.sorted[taken / 2][lane];
            match taken {
                0 => f64::NAN,
                _ if taken % 2 == 1 => high,
                _ => middle(self.sorted[taken / 2 - 1][lane], high),
            }
        })
    }

    #[inline(always)]
    fn means_of_middle(&self) -> [f64; LANES] {
        // The usual number, told apart so that the compiler knows it.
        if self.taken == [LONG; LANES] {
            return means(&self.sorted[BEYOND..LONG - BEYOND]);
        }
        std::array::from_fn(|lane| {
            let taken = self.taken[lane];
            means(&self.sorted[beyond(taken)..taken - beyond(taken)])[lane]
        })
    }

    /// Takes one value out of each window and puts another in; NaN stands for none.
    #[inline(always)]
    fn replace(&mut self, old: [f64; LANES], new: [f64; LANES]) {
        let infinite = |value: f64| if value.is_nan() { f64::INFINITY } else { value };
        for lane in 0..LANES {
            self.taken[lane] += usize::from(!new[lane].is_nan());
            self.taken[lane] -= usize::from(!old[lane].is_nan());
        }
        let (old, new) = (old.map(infinite), new.map(infinite));
        let mut before = [f64::NEG_INFINITY; LANES];
        let mut here = self.sorted[0];
        // The same steps for each place, whatever the values: without the old one, every value
        // from it on is one place earlier; the new one lies where it is between its neighbours.
        for at in 0..LONG {
            let next = self.sorted[at + 1];
            let kept = lanes(|l| if here[l] < old[l] { here[l] } else { next[l] });
            let placed = lanes(|l| if kept[l] < new[l] { kept[l] } else { new[l] });
            self.sorted[at] = lanes(|l| {
                if placed[l] > before[l] {
                    placed[l]
                } else {
                    before[l]
                }
            });
            (before, here) = (kept, next);
        }
    }
}

#[inline(always)]
fn lanes(of: impl Fn(usize) -> f64) -> [f64; LANES] {
    [of(0), of(1)]
}

/// The mean of each window's values.
#[inline(always)]
fn means(values: &[[f64; LANES]]) -> [f64; LANES] {
    // Four sums at a time: one alone would wait for each addition.
    let mut sums = [[0.0; LANES]; 4];
    let fours = values.chunks_exact(4);
    let add = |sums: &mut [[f64; LANES]; 4], values: &[[f64; LANES]]| {
        for (sum, value) in sums.iter_mut().zip(values) {
            for lane in 0..LANES {
                sum[lane] += value[lane];
            }
        }
    };
    add(&mut sums, fours.remainder());
    fours.for_each(|four| add(&mut sums, four));
    #[expect(clippy::cast_precision_loss, reason = "at most 28")]
    let count = values.len() as f64;
    let mean =
        |lane: usize| ((sums[0][lane] + sums[1][lane]) + (sums[2][lane] + sums[3][lane])) / count;
    [mean(0), mean(1)]
}
