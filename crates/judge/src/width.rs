//! How wide limits are on each side of what is expected, before the partition's factor.
//!
//! In: the misses of a predictor, on the scale. Out: a multiple of the cubic mean of the misses
//! towards each side. It must never let a few faults of the past decide the width.

use crate::choice::keep;

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
///
/// `typical` is a size that no more than nine in ten of all misses are below; `sizes` is room to
/// work in.
pub(crate) fn draw_in(misses: &mut [Miss], typical: f64, sizes: &mut Vec<f64>) {
    let moved = misses.iter().filter(|m| m.1 != 0.0).count();
    let all = misses.iter().map(|m| m.1.abs());
    keep(sizes, all, |size| (size > 0.0) & (size >= typical));
    // Quantiles of all are found among the greatest: so many are less than those.
    let left = moved - sizes.len();
    let mut most = f64::INFINITY;
    if moved >= 10 {
        let at = (moved - 1) * 9 / 10;
        most = DRAW_IN * nth(sizes, left, at);
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most a window's length"
    )]
    let faults = (FAULTS * misses.len() as f64) as usize;
    if faults > 0 && moved > 0 {
        most = most.min(if moved > faults {
            BEYOND * nth(sizes, left, moved - 1 - faults)
        } else {
            nth(sizes, left, 0)
        });
    }
    for miss in misses {
        miss.1 = miss.1.clamp(-most, most);
    }
}

/// The value at a place in the order of all, of which these are the greatest and `left` are not
/// here; the least of these where it is not here.
fn nth(greatest: &mut [f64], left: usize, at: usize) -> f64 {
    let at = at.saturating_sub(left);
    if at >= greatest.len() {
        return 0.0;
    }
    *greatest.select_nth_unstable_by(at, f64::total_cmp).1
}

/// What the width had been is asked of each miss that is not small. Most are less far outside than
/// that of another series of the same partition, and need no root for it.
#[cfg(test)]
mod quick {
    use super::*;

    #[test]
    fn what_is_quickly_told_is_so() {
        for number in 0..200_u32 {
            let sizes =
                (0..40_u32).map(|at| f64::from((at * 7919 + number * 104_729) % 1000) / 999.0);
            let misses: Vec<Miss> = sizes.enumerate().collect();
            let (_, up) = sides(&misses, Weights::default().of(40));
            let mut told = 0;
            for (_, miss) in &misses {
                let without = up.without(*miss, 0.9);
                assert!(!up.wider_without(*miss, 0.9, without));
                told += u32::from(up.wider_without(*miss, 0.9, 0.999 * without));
            }
            assert!(told > 30, "{told}");
        }
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

/// What a miss counts, by how many positions it is from the newest, which counts one.
#[derive(Default)]
pub(crate) struct Weights(Vec<f64>);

impl Weights {
    /// The weights of so many positions.
    pub(crate) fn of(&mut self, positions: usize) -> &[f64] {
        let each = (-1.0 / HALF_LIFE).exp2();
        while self.0.len() < positions {
            self.0
                .push(self.0.last().map_or(1.0, |weight| weight * each));
        }
        &self.0[..positions]
    }
}

/// The sides below and above what is expected; a miss of zero counts on both. `weights` are by
/// how far a position is from the last one that there is a weight for.
pub(crate) fn sides(misses: &[Miss], weights: &[f64]) -> (Side, Side) {
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
    let newest = weights.len().saturating_sub(1);
    for &(at, miss) in misses.iter().rev() {
        let weight = weights[newest - at];
        let share = miss.abs() / unit;
        let cube = weight * share * share * share;
        // Which side it is is anybody's guess, also the processor's: it adds nothing to the other.
        let (below, above) = (miss <= 0.0, miss >= 0.0);
        down.cubes += if below { cube } else { 0.0 };
        down.count += if below { weight } else { 0.0 };
        up.cubes += if above { cube } else { 0.0 };
        up.count += if above { weight } else { 0.0 };
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
    /// Whether the width, had a miss of this size and weight not been, is beyond doubt more than
    /// `width`: a quick answer that spares a root. It may be false where the width is more.
    pub(crate) fn wider_without(&self, miss: f64, weight: f64, width: f64) -> bool {
        let (unit, count) = (self.greatest_of_both, self.count - weight);
        let (share, bar) = (miss / unit, (1.0 + 1e-9) * width / (WIDTH * unit));
        count >= 3.0
            && width > 0.0
            && self.cubes - weight * (share * share * share) > count * (bar * bar * bar)
    }

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
        draw_in(&mut misses, 0.0, &mut Vec::new());
        sides(&misses, Weights::default().of(200)).1.width
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
            draw_in(&mut misses, 0.0, &mut Vec::new());
            sides(&misses, Weights::default().of(200)).1.width
        };
        assert!(often(0.3) > 1.4 * often(0.1), "{}", often(0.3));
    }
}
