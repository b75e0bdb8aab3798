//! One-step predictors: what the next value of a series would be, from its past alone.
//!
//! In: the values of a series (NaN where there is none to learn from) and the days they belong to.
//! Out: for each position, what each predictor says of it from earlier positions only. It must
//! never use the value at the predicted position or a later one.

use crate::calendar::Calendar;
use crate::follow::follow;
use crate::middles::rolling_middles;

/// How a prediction is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Predictor {
    /// Median of the last 28.
    Median,
    /// Median of the last 3: follows a level that wanders, unmoved by one outlier.
    Recent,
    /// Median of the last 3, each carried forward by the median slope of the last 8.
    Drift,
    /// Median of the same weekday in the last 8 weeks.
    Weekday,
    /// The weekday's median, moved by the part of the last miss that misses of this series keep.
    WeekdayFollowing,
    /// The mean of the middle of the last 28, moved likewise.
    MeanFollowing,
}

impl Predictor {
    /// In the order in which ties are decided: the simplest first.
    pub(crate) const ALL: [Self; COUNT] = [
        Self::Median,
        Self::Recent,
        Self::Drift,
        Self::Weekday,
        Self::WeekdayFollowing,
        Self::MeanFollowing,
    ];

    /// The name of the model that is built on it.
    pub(crate) const fn model(self) -> &'static str {
        match self {
            Self::Median => "median+t5",
            Self::Recent => "recent-median+t5",
            Self::Drift => "drift+t5",
            Self::Weekday => "weekday-median+t5",
            Self::WeekdayFollowing => "weekday-following+t5",
            Self::MeanFollowing => "mean-following+t5",
        }
    }
}

const COUNT: usize = 6;
/// How many values the median of the last ones looks at, and the drift.
const FEW: usize = 3;
const SOME: usize = 8;

/// The median by sorting in place; NaN of nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    if n % 2 == 1 {
        values[n / 2]
    } else {
        f64::midpoint(values[n / 2 - 1], values[n / 2])
    }
}

/// The lesser of two. As the processor has it in one step: of a NaN and a number, the second.
#[inline(always)]
fn least(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// The greater of two; of a NaN and a number, the second.
#[inline(always)]
fn most(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// Eight values in order (Batcher's odd-even merge): no branch for the processor to guess wrong.
#[inline(always)]
fn in_order(mut v: [f64; 8]) -> [f64; 8] {
    // Written out by a macro: a loop over the pairs would keep the values in memory.
    macro_rules! exchange {
        ($($low:literal $high:literal),+) => {$(
            let (a, b) = (v[$low], v[$high]);
            v[$low] = if a < b { a } else { b };
            v[$high] = if a < b { b } else { a };
        )+};
    }
    exchange!(0 1, 2 3, 4 5, 6 7, 0 2, 1 3, 4 6, 5 7, 1 2, 5 6);
    exchange!(0 4, 1 5, 2 6, 3 7, 2 4, 3 5, 1 2, 3 4, 5 6);
    v
}

/// The median of the first `n` of eight values; the rest are infinite, so that they sort last.
pub(crate) fn median_of_eight(v: [f64; 8], n: usize) -> f64 {
    let v = in_order(v);
    if n % 2 == 1 {
        v[n / 2]
    } else {
        middle(v[n / 2 - 1], v[n / 2])
    }
}

/// The mean of two, which overflows for none and has no branch.
#[inline(always)]
pub(crate) fn middle(a: f64, b: f64) -> f64 {
    0.5 * a + 0.5 * b
}

#[inline(always)]
fn median_of_three(a: f64, b: f64, c: f64) -> f64 {
    let (low, high) = (least(a, b), most(b, a));
    most(low, least(c, high))
}

/// What every predictor says of positions `0..=values.len()`; NaN where it has nothing to say.
#[derive(Default)]
pub(crate) struct Predictions {
    by: [Vec<f64>; COUNT],
    middle: Vec<f64>,
}

impl Predictions {
    /// Predicts each position of `values` and the one after the last, in place of what was here.
    pub(crate) fn make(&mut self, values: &[f64], calendar: &Calendar) {
        let whole = values.iter().fold(true, |whole, v| whole & !v.is_nan());
        for predictor in [Predictor::Recent, Predictor::Drift, Predictor::Weekday] {
            let said = &mut self.by[predictor as usize];
            said.clear();
            said.resize(values.len() + 1, f64::NAN);
            match (predictor, whole) {
                (Predictor::Recent, true) => recent_of_whole(values, said),
                (Predictor::Drift, true) => drift_of_whole(values, said),
                (Predictor::Recent, false) => each(said, |at| recent(values, at)),
                (Predictor::Drift, false) => each(said, |at| drifted(values, at)),
                _ if !calendar.is_daily() => {}
                _ => weekdays(values, calendar, whole, said),
            }
        }
        let [median, _, _, weekday, weekday_following, mean_following] = &mut self.by;
        rolling_middles(values, median, &mut self.middle);
        follow(
            values,
            [weekday, &self.middle],
            [weekday_following, mean_following],
        );
    }

    /// The predictions of one predictor.
    pub(crate) fn of(&self, predictor: Predictor) -> &[f64] {
        &self.by[predictor as usize]
    }

    /// The predictors that have something to say of the next value.
    pub(crate) fn usable(&self) -> impl Iterator<Item = Predictor> + '_ {
        Predictor::ALL
            .into_iter()
            .filter(|p| self.of(*p).last().is_some_and(|c| c.is_finite()))
    }
}

fn each(said: &mut [f64], of: impl Fn(usize) -> f64) {
    for (at, slot) in said.iter_mut().enumerate() {
        *slot = of(at);
    }
}

fn recent(values: &[f64], at: usize) -> f64 {
    let mut kept = [0.0; FEW];
    let mut n = 0;
    let last = &values[at.saturating_sub(FEW)..at];
    for x in last.iter().filter(|x| !x.is_nan()) {
        kept[n] = *x;
        n += 1;
    }
    match n {
        3 => median_of_three(kept[0], kept[1], kept[2]),
        2 => f64::midpoint(kept[0], kept[1]),
        _ => f64::NAN,
    }
}

/// [`recent`] of every position, no value being NaN: a loop without branches, which the compiler
/// turns into one over several positions at a time. So are the other loops over whole series.
fn recent_of_whole(values: &[f64], said: &mut [f64]) {
    let early = values.len().min(FEW - 1);
    each(&mut said[..=early], |at| recent(values, at));
    let [a, b, c] = streams::<FEW>(values, 1);
    for (((slot, a), b), c) in said.iter_mut().skip(FEW).zip(a).zip(b).zip(c) {
        *slot = median_of_three(*a, *b, *c);
    }
}

/// So many views of the values, each `step` later than the one before, of equal lengths.
fn streams<const N: usize>(values: &[f64], step: usize) -> [&[f64]; N] {
    let length = (values.len() + 1).saturating_sub(step * (N - 1) + 1);
    std::array::from_fn(|k| {
        values
            .get(k * step..)
            .unwrap_or(&[])
            .get(..length)
            .unwrap_or(&[])
    })
}

fn drifted(values: &[f64], at: usize) -> f64 {
    match values[at.saturating_sub(SOME)..at].first_chunk::<SOME>() {
        Some(last) if !last.iter().any(|x| x.is_nan()) => carried_forward(*last),
        _ => f64::NAN,
    }
}

fn drift_of_whole(values: &[f64], said: &mut [f64]) {
    if let Some(late) = said.get_mut(SOME..) {
        of_eight(streams(values, 1), late, carried_forward);
    }
}

/// What is made of the values of eight streams at each place.
#[inline(always)]
fn of_eight(streams: [&[f64]; 8], made: &mut [f64], make: impl Fn([f64; 8]) -> f64) {
    let n = made.len();
    // One by one: the compiler sees no more than one bound in an array's `map`.
    let [a, b, c, d, e, f, g, h] = streams;
    let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
    let (e, f, g, h) = (&e[..n], &f[..n], &g[..n], &h[..n]);
    for i in 0..n {
        made[i] = make([a[i], b[i], c[i], d[i], e[i], f[i], g[i], h[i]]);
    }
}

/// The median of the last three of eight, each carried forward by the median slope of all.
#[inline(always)]
fn carried_forward(last: [f64; SOME]) -> f64 {
    let rise = |k: usize| (last[k + 4] - last[k]) / 4.0;
    // The median of four is the mean of the middle two: the sum without the least and greatest.
    let (a, b, c, d) = (rise(0), rise(1), rise(2), rise(3));
    let slope = middle(
        most(least(a, b), least(c, d)),
        least(most(a, b), most(c, d)),
    );
    median_of_three(
        last[5] + 3.0 * slope,
        last[6] + 2.0 * slope,
        last[7] + slope,
    )
}

/// The median of the same weekday in the eight weeks before each position.
fn weekdays(values: &[f64], calendar: &Calendar, whole: bool, said: &mut [f64]) {
    const WEEK: usize = 7;
    let from = if whole && calendar.has_every_day() {
        said.len().min(SOME * WEEK)
    } else {
        said.len()
    };
    let (early, late) = said.split_at_mut(from);
    each(early, |at| calendar.weekday_median(values, at));
    of_eight(streams(values, WEEK), late, |weeks| {
        let sorted = in_order(weeks);
        middle(sorted[3], sorted[4])
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_finds_the_median_of_every_order() {
        // Zeros and ones suffice for a sorting network (the 0-1 principle).
        for bits in 0..256_u32 {
            for n in 3..=8 {
                let mut v = [f64::INFINITY; 8];
                for (i, slot) in v[..n].iter_mut().enumerate() {
                    *slot = f64::from(bits >> i & 1);
                }
                assert_eq!(median_of_eight(v, n), median(&mut v[..n].to_vec()), "{v:?}");
            }
        }
    }

    #[test]
    fn a_prediction_looks_at_no_later_value() {
        let values: Vec<f64> = (0..60).map(|i| f64::from(i * 37 % 11)).collect();
        let days: Vec<Option<i32>> = (0..61).map(Some).collect();
        let predict = |until: usize| {
            let mut made = Predictions::default();
            made.make(&values[..until], &Calendar::new(&days[..=until]));
            made
        };
        let all = predict(60);
        for until in 8..60 {
            let part = predict(until);
            for predictor in Predictor::ALL {
                let (a, b) = (part.of(predictor)[until], all.of(predictor)[until]);
                assert!(
                    a == b || (a.is_nan() && b.is_nan()),
                    "{predictor:?} at {until}"
                );
            }
        }
    }
}
