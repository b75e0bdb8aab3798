//! Which predictor missed least on a series' own past.
//!
//! In: what each predictor says of a series, and its values. Out: one predictor with its misses. It
//! must never prefer another one to the median for less than a tenth of the typical miss.

use crate::predict::{Predictions, Predictor};
use crate::width::Miss;

/// Misses needed before a predictor other than the median may be chosen.
const EARNED: usize = 14;
/// What a predictor other than the median must gain in the backtest to be chosen.
const HANDICAP: f64 = 1.1;

/// A predictor's record: its misses on the scale, with their positions.
pub(crate) struct Record {
    pub(crate) predictor: Predictor,
    pub(crate) misses: Vec<Miss>,
    /// What it says of the next value.
    pub(crate) center: f64,
}

/// The predictor whose typical miss from position `first` on is the least: the 0.8 quantile.
pub(crate) fn choose(predictions: &Predictions, values: &[f64], first: usize) -> Option<Record> {
    let possible = values[first..].iter().filter(|v| !v.is_nan()).count();
    let mut best: Option<(Predictor, f64)> = None;
    let mut sizes = Vec::with_capacity(values.len());
    for predictor in predictions.usable() {
        let said = &predictions.of(predictor)[..values.len()];
        let (least, handicap) = match predictor {
            Predictor::Median => (5, 1.0),
            _ => (EARNED, HANDICAP),
        };
        let bar = best.map_or(f64::INFINITY, |(_, score)| score);
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
        sizes.clear();
        let misses = values[first..].iter().zip(&said[first..]);
        sizes.extend(misses.map(|(v, s)| (v - s).abs()).filter(|m| !m.is_nan()));
        let typical = *sizes.select_nth_unstable_by(at, f64::total_cmp).1;
        best = Some((predictor, typical * handicap));
    }
    let (predictor, _) = best?;
    let said = predictions.of(predictor);
    let misses = (first..values.len())
        .map(|at| (at, values[at] - said[at]))
        .filter(|(_, miss)| !miss.is_nan())
        .collect();
    Some(Record {
        predictor,
        misses,
        center: said[values.len()],
    })
}
