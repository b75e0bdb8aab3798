//! How wide limits are on each side of what is expected, before the partition's factor.
//!
//! In: the misses of a predictor, on the scale. Out: a multiple of the cubic mean of the misses
//! towards each side. It must never let a few faults of the past decide the width.

/// Width of a side in cubic means, for the learner's reference number of series and budget.
const WIDTH: f64 = 5.4;
/// Misses beyond this multiple of the 0.9 quantile of all misses are drawn in to it.
const DRAW_IN: f64 = 5.0;
/// The share of the misses that may be faults of the past.
const FAULTS: f64 = 0.03;
/// What is beyond this multiple of the greatest miss that is not among [`FAULTS`] is drawn in.
const BEYOND: f64 = 2.5;

/// A position and how far the value there was from what was predicted.
pub(crate) type Miss = (usize, f64);

/// Draws misses far outside the bulk in: to [`DRAW_IN`] times the 0.9 quantile of those not zero,
/// and to [`BEYOND`] times the greatest that is left when the share [`FAULTS`] of all is put
/// aside. Where hardly any miss is not zero, the least of them is as much as one counts.
pub(crate) fn draw_in(misses: &mut [Miss]) {
    let mut sizes: Vec<f64> = misses
        .iter()
        .map(|m| m.1.abs())
        .filter(|m| *m > 0.0)
        .collect();
    let moved = sizes.len();
    let mut most = f64::INFINITY;
    if moved >= 10 {
        let at = (moved - 1) * 9 / 10;
        most = DRAW_IN * *sizes.select_nth_unstable_by(at, f64::total_cmp).1;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a window's length"
    )]
    let faults = (FAULTS * misses.len() as f64) as usize;
    if faults > 0 && moved > 0 {
        let least = sizes.iter().copied().fold(f64::INFINITY, f64::min);
        let kept = if moved > faults {
            BEYOND
                * *sizes
                    .select_nth_unstable_by(moved - 1 - faults, f64::total_cmp)
                    .1
        } else {
            0.0
        };
        most = most.min(kept.max(least));
    }
    for miss in misses {
        miss.1 = miss.1.clamp(-most, most);
    }
}

/// A miss so many partitions ago counts half: limits follow a spread that changes.
const HALF_LIFE: f64 = 120.0;

/// The misses towards one side.
pub(crate) struct Side {
    /// Sum of the cubes of the misses as shares of the greatest, which neither overflow nor vanish.
    cubes: f64,
    count: f64,
    greatest_of_both: f64,
    /// The width of the side.
    pub(crate) width: f64,
}

/// Each miss with what it counts, the newest first. A miss at the newest position counts one.
pub(crate) fn weighed(misses: &[Miss], newest: usize) -> impl Iterator<Item = (usize, f64, f64)> {
    let each = (-1.0 / HALF_LIFE).exp2();
    let (mut back, mut weight) = (0_usize, 1.0_f64);
    misses.iter().rev().map(move |&(at, miss)| {
        while back < newest.saturating_sub(at) {
            back += 1;
            weight *= each;
        }
        (at, miss, weight)
    })
}

/// The sides below and above what is expected; a miss of zero counts on both.
pub(crate) fn sides(misses: &[Miss], newest: usize) -> (Side, Side) {
    let greatest_of_both = misses.iter().map(|m| m.1.abs()).fold(0.0, f64::max);
    let unit = if greatest_of_both > 0.0 {
        greatest_of_both
    } else {
        1.0
    };
    let side = || Side {
        cubes: 0.0,
        count: 0.0,
        greatest_of_both,
        width: 0.0,
    };
    let (mut down, mut up) = (side(), side());
    for (_, miss, weight) in weighed(misses, newest) {
        let share = miss.abs() / unit;
        let cube = weight * share * share * share;
        if miss <= 0.0 {
            down.cubes += cube;
            down.count += weight;
        }
        if miss >= 0.0 {
            up.cubes += cube;
            up.count += weight;
        }
    }
    down.width = down.of(down.cubes, down.count);
    up.width = up.of(up.cubes, up.count);
    (down, up)
}

/// While the past is short, a side on which nothing was missed yet is not narrow for that: it
/// borrows from the other one, less with every partition and nothing from `steady` on.
pub(crate) fn lend(down: &mut Side, up: &mut Side, known: usize, steady: usize) {
    let share = 1.0 - known as f64 / steady.max(1) as f64;
    let borrowed = share.max(0.0) * down.width.max(up.width);
    down.width = down.width.max(borrowed);
    up.width = up.width.max(borrowed);
}

impl Side {
    /// The width had a miss of this size and weight not been.
    pub(crate) fn without(&self, miss: f64, weight: f64) -> f64 {
        let share = if self.greatest_of_both > 0.0 {
            miss / self.greatest_of_both
        } else {
            0.0
        };
        let cubes = self.cubes - weight * share.powi(3);
        self.of(cubes.max(0.0), self.count - weight)
    }

    fn of(&self, cubes: f64, count: f64) -> f64 {
        // Too few misses on this side to know it: a little more than the worst seen on either.
        let multiple = if count < 3.0 {
            1.3
        } else {
            WIDTH * (cubes / count).cbrt()
        };
        multiple * self.greatest_of_both
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The width above, of misses of one in a hundred with these sizes and nothing else.
    fn width(rare: &[f64]) -> f64 {
        let mut misses: Vec<Miss> = (0..200).map(|at| (at, 0.0)).collect();
        for (number, size) in rare.iter().enumerate() {
            misses[number * 30].1 = *size;
        }
        draw_in(&mut misses);
        sides(&misses, 199).1.width
    }

    #[test]
    fn a_few_great_faults_do_not_widen_limits_more_than_small_ones() {
        assert_eq!(width(&[1.0]), width(&[1.0, 0.0, 0.0]));
        assert_eq!(width(&[1.0, 2.0, 50.0]), width(&[1.0, 1.0, 1.0]));
    }

    #[test]
    fn what_comes_again_and_again_is_believed() {
        let often = |size: f64| {
            let mut misses: Vec<Miss> = (0..200)
                .map(|at| (at, if at % 10 == 0 { size } else { 0.1 }))
                .collect();
            draw_in(&mut misses);
            sides(&misses, 199).1.width
        };
        assert!(often(0.3) > 1.4 * often(0.1), "{}", often(0.3));
    }
}
