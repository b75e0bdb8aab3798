//! One-step predictors: what the next value of a series would be, from its past alone.
//!
//! In: the values of a series (NaN where there is none to learn from) and the days they belong to.
//! Out: for each position, what each predictor says of it from earlier positions only. It must
//! never use the value at the predicted position or a later one.

use crate::calendar::Calendar;
use crate::follow::follow;

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
const LONG: usize = 28;

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

/// The median of the first `n` of eight values; the rest are infinite, so that they sort last.
///
/// A sorting network (Batcher's odd-even merge): no branch for the processor to guess wrong.
pub(crate) fn median_of_eight(mut v: [f64; 8], n: usize) -> f64 {
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
    if n % 2 == 1 {
        v[n / 2]
    } else {
        f64::midpoint(v[n / 2 - 1], v[n / 2])
    }
}

fn median_of_three(a: f64, b: f64, c: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let least = if c < high { c } else { high };
    if low > least { low } else { least }
}

/// What every predictor says of positions `0..=values.len()`; NaN where it has nothing to say.
pub(crate) struct Predictions {
    by: [Vec<f64>; COUNT],
}

impl Predictions {
    /// Predicts each position of `values` and the one after the last.
    pub(crate) fn new(values: &[f64], calendar: &Calendar) -> Self {
        let n = values.len();
        let mut weekday = vec![f64::NAN; n + 1];
        if calendar.is_daily() {
            for (at, slot) in weekday.iter_mut().enumerate() {
                *slot = calendar.weekday_median(values, at);
            }
        }
        let mut recent = vec![f64::NAN; n + 1];
        let mut drift = vec![f64::NAN; n + 1];
        for at in 0..=n {
            recent[at] = recent_median(&values[at.saturating_sub(3)..at]);
            drift[at] = drifted(&values[at.saturating_sub(8)..at]);
        }
        let (median, middle) = rolling_middles(values);
        let weekday_following = follow(values, &weekday);
        let mean_following = follow(values, &middle);
        Self {
            by: [
                median,
                recent,
                drift,
                weekday,
                weekday_following,
                mean_following,
            ],
        }
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

fn recent_median(last: &[f64]) -> f64 {
    let mut kept = [0.0; 3];
    let mut n = 0;
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

fn drifted(last: &[f64]) -> f64 {
    if last.len() < 8 || last.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    let rise = |k: usize| (last[k + 4] - last[k]) / 4.0;
    // The median of four is the mean of the middle two: the sum without the least and greatest.
    let (a, b, c, d) = (rise(0), rise(1), rise(2), rise(3));
    let slope = f64::midpoint(a.min(b).max(c.min(d)), a.max(b).min(c.max(d)));
    median_of_three(
        last[5] + 3.0 * slope,
        last[6] + 2.0 * slope,
        last[7] + slope,
    )
}

/// The median, and the mean of the middle seven tenths, of up to 28 values before each position.
fn rolling_middles(values: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut window = Window::new();
    let mut medians = Vec::with_capacity(values.len() + 1);
    let mut means = Vec::with_capacity(values.len() + 1);
    for at in 0..=values.len() {
        medians.push(window.median());
        means.push(window.mean_of_middle());
        if let Some(new) = values.get(at) {
            let old = at.checked_sub(LONG).map_or(f64::NAN, |old| values[old]);
            window.replace(old, *new);
        }
    }
    (medians, means)
}

/// Up to 28 values, sorted; the places that are not taken are infinite.
struct Window {
    sorted: [f64; LONG],
    taken: usize,
}

impl Window {
    const fn new() -> Self {
        Self {
            sorted: [f64::INFINITY; LONG],
            taken: 0,
        }
    }

    fn median(&self) -> f64 {
        let (middle, odd) = (self.taken / 2, self.taken % 2 == 1);
        match self.taken {
            0 => f64::NAN,
            _ if odd => self.sorted[middle],
            _ => f64::midpoint(self.sorted[middle - 1], self.sorted[middle]),
        }
    }

    fn mean_of_middle(&self) -> f64 {
        let beyond = self.taken * 15 / 100;
        let middle = &self.sorted[beyond..self.taken - beyond];
        // Four sums at a time: one alone would wait for each addition.
        let mut sums = [0.0; 4];
        let fours = middle.chunks_exact(4);
        for (slot, value) in sums.iter_mut().zip(fours.remainder()) {
            *slot += value;
        }
        for four in fours {
            for (slot, value) in sums.iter_mut().zip(four) {
                *slot += value;
            }
        }
        let sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        #[expect(clippy::cast_precision_loss, reason = "at most 28")]
        let count = middle.len() as f64;
        sum / count
    }

    /// How many values are less. Counting all is quicker than a search whose every step the
    /// processor guesses wrong.
    fn place(&self, x: f64) -> usize {
        let less = self.sorted.iter().map(|w| u32::from(*w < x));
        less.fold(0_u32, u32::wrapping_add) as usize
    }

    /// Takes one value out and puts another in; NaN stands for none.
    fn replace(&mut self, old: f64, new: f64) {
        let none = self.taken;
        let from = if old.is_nan() { none } else { self.place(old) };
        // Where the new value goes among the others, the old one still there.
        let to = if new.is_nan() { none } else { self.place(new) };
        self.taken = none + usize::from(!new.is_nan()) - usize::from(!old.is_nan());
        if from < to {
            self.sorted.copy_within(from + 1..to, from);
            self.sorted[to - 1] = if new.is_nan() { f64::INFINITY } else { new };
        } else if to < none || !new.is_nan() {
            self.sorted.copy_within(to..from, to + 1);
            self.sorted[to] = new;
        }
    }
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
        let all = Predictions::new(&values, &Calendar::new(&days));
        for until in 8..60 {
            let part = Predictions::new(&values[..until], &Calendar::new(&days[..=until]));
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
