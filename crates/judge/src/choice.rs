//! Which predictor missed least on a series' own past.
//!
//! In: what each predictor says of a series, and its values. Out: one predictor and its misses. It
//! must never prefer another one to the median for less than a tenth of the typical miss.

use crate::predict::{Predictions, Predictor};
use crate::width::Miss;

/// Misses needed before a predictor other than the median may be chosen.
const EARNED: usize = 14;
/// What a predictor other than the median must gain in the backtest to be chosen.
const HANDICAP: f64 = 1.1;

/// The chosen predictor.
pub(crate) struct Choice {
    pub(crate) predictor: Predictor,
    /// What it says of the next value.
    pub(crate) center: f64,
    /// The 0.8 quantile of the sizes of its misses.
    pub(crate) typical: f64,
}

/// The predictor whose typical miss from position `first` on is the least: the 0.8 quantile. Its
/// misses on the scale, with their positions, are put into `misses`; `sizes` is room to work in.
pub(crate) fn choose(
    predictions: &Predictions,
    values: &[f64],
    first: usize,
    sizes: &mut Vec<f64>,
    misses: &mut Vec<Miss>,
) -> Option<Choice> {
    let possible = values[first..].iter().filter(|v| !v.is_nan()).count();
    let mut best: Option<(Predictor, f64, f64)> = None;
    for predictor in predictions.usable() {
        let said = &predictions.of(predictor)[..values.len()];
        let (least, handicap) = match predictor {
            Predictor::Median => (5, 1.0),
            _ => (EARNED, HANDICAP),
        };
        let bar = best.map_or(f64::INFINITY, |(_, score, _)| score);
        // A miss that is not known is NaN, and below nothing.
        let (mut known, mut below) = (0_u64, 0_u64);
        for (value, said) in values[first..].iter().zip(&said[first..]) {
            let miss = (value - said).abs();
            // At most a window's length: no need to look for an overflow at each step.
            known = known.wrapping_add(u64::from(!miss.is_nan()));
            below = below.wrapping_add(u64::from(miss * handicap < bar));
        }
        let [known, below] = [known, below].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        if known < least || known * 10 < possible * 6 {
            continue;
        }
        let at = (known - 1) * 4 / 5;
        // So many misses below the bar are needed for a quantile below it: no need to sort.
        if below <= at {
            continue;
        }
        // Most are far less than the bar, and need not be put in order.
        let pairs = || values[first..].iter().zip(&said[first..]);
        let mut low = 0.5 * bar / handicap;
        let mut less = pairs().filter(|(v, s)| (*v - *s).abs() < low).count();
        if less > at {
            (low, less) = (0.0, 0);
        }
        keep(sizes, pairs().map(|(v, s)| (v - s).abs()), |miss| {
            miss >= low
        });
        let typical = *sizes.select_nth_unstable_by(at - less, f64::total_cmp).1;
        best = Some((predictor, typical * handicap, typical));
    }
    let (predictor, _, typical) = best?;
    let said = predictions.of(predictor);
    misses.clear();
    misses.extend(
        (first..values.len())
            .map(|at| (at, values[at] - said[at]))
            .filter(|(_, miss)| !miss.is_nan()),
    );
    Some(Choice {
        predictor,
        center: said[values.len()],
        typical,
    })
}

/// Puts those of some numbers into `kept` that are to be kept. Which ones is anybody's guess, also
/// the processor's: there is no branch.
pub(crate) fn keep(
    kept: &mut Vec<f64>,
    numbers: impl ExactSizeIterator<Item = f64>,
    which: impl Fn(f64) -> bool,
) {
    kept.clear();
    kept.resize(numbers.len(), 0.0);
    let mut count = 0;
    for number in numbers {
        if let Some(slot) = kept.get_mut(count) {
            *slot = number;
        }
        count += usize::from(which(number));
    }
    kept.truncate(count);
}
