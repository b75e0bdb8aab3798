//! Slow twins of what is quick: each says the same to the last digit.
//!
//! In: any series. Out: nothing; a test fails where the two differ. It must never use what it is
//! the twin of.

use proptest::prelude::*;

use crate::calendar::Calendar;
use crate::choice::choose;
use crate::predict::{Predictions, Predictor, median};
use crate::width::draw_in;

/// The known values of up to `most` positions before `at`, sorted.
fn sorted(values: &[f64], at: usize, most: usize) -> Vec<f64> {
    let last = &values[at.saturating_sub(most)..at];
    let mut known: Vec<f64> = last.iter().copied().filter(|v| !v.is_nan()).collect();
    known.sort_by(f64::total_cmp);
    known
}

fn mean_of_middle(values: &[f64], at: usize) -> f64 {
    let known = sorted(values, at, 28);
    let beyond = known.len() * 15 / 100;
    let middle = &known[beyond..known.len() - beyond];
    let fours = middle.len() / 4 * 4;
    let mut sums = [0.0; 4];
    for (at, value) in middle[fours..].iter().chain(&middle[..fours]).enumerate() {
        let rest = middle.len() - fours;
        sums[if at < rest { at } else { (at - rest) % 4 }] += value;
    }
    ((sums[0] + sums[1]) + (sums[2] + sums[3])) / middle.len() as f64
}

fn recent(values: &[f64], at: usize) -> f64 {
    let mut known = sorted(values, at, 3);
    if known.len() < 2 {
        return f64::NAN;
    }
    median(&mut known)
}

fn drift(values: &[f64], at: usize) -> f64 {
    let last = &values[at.saturating_sub(8)..at];
    if last.len() < 8 || last.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let mut rises: Vec<f64> = (0..4).map(|k| (last[k + 4] - last[k]) / 4.0).collect();
    let slope = median(&mut rises);
    let mut carried = [
        last[5] + 3.0 * slope,
        last[6] + 2.0 * slope,
        last[7] + slope,
    ];
    median(&mut carried)
}

fn weekday(values: &[f64], days: &[i32], at: usize) -> f64 {
    let mut gaps: Vec<i32> = days.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_unstable();
    if gaps.get(gaps.len() / 2) != Some(&1) {
        return f64::NAN;
    }
    let mut same: Vec<f64> = (1..=8)
        .filter_map(|week| days.iter().rposition(|d| *d == days[at] - 7 * week))
        .filter(|found| *found < at && !values[*found].is_nan())
        .map(|found| values[found])
        .collect();
    if same.len() < 3 {
        return f64::NAN;
    }
    median(&mut same)
}

/// One series at a time, with a step left out wherever there is nothing to do.
fn follow(values: &[f64], base: &[f64]) -> Vec<f64> {
    let (mut kept, mut all) = (0.0_f64, 0.0_f64);
    let (mut size, mut count, mut last) = (0.0_f64, 0.0_f64, f64::NAN);
    let mut moved = Vec::new();
    for (at, predicted) in base.iter().enumerate() {
        let bound = 3.0 * size;
        let mut said = *predicted;
        if count >= 8.0 && size > 0.0 && !last.is_nan() {
            let share: f64 = kept / (all + 2.0 * size * size);
            said += share.clamp(0.0, 1.0) * last.clamp(-bound, bound);
        }
        moved.push(said);
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
                kept = 0.98 * kept + before * drawn;
                all = 0.98 * all + before * before;
            }
            count += 1.0;
            size += (drawn.abs() - size) * (1.0 / count).max(0.03);
            if size == 0.0 {
                size = 0.1 * miss.abs();
            }
        }
        last = miss;
    }
    moved
}

/// What each predictor says of each position, the slow way.
fn predictions(values: &[f64], days: &[i32]) -> Vec<(Predictor, Vec<f64>)> {
    let each = |of: &dyn Fn(usize) -> f64| (0..=values.len()).map(of).collect::<Vec<f64>>();
    let weekday = each(&|at| weekday(values, days, at));
    let middle = each(&|at| mean_of_middle(values, at));
    let weekday_following = follow(values, &weekday);
    let mean_following = follow(values, &middle);
    vec![
        (
            Predictor::Median,
            each(&|at| median(&mut sorted(values, at, 28))),
        ),
        (Predictor::Recent, each(&|at| recent(values, at))),
        (Predictor::Drift, each(&|at| drift(values, at))),
        (Predictor::Weekday, weekday),
        (Predictor::WeekdayFollowing, weekday_following),
        (Predictor::MeanFollowing, mean_following),
    ]
}

fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// A series, whole or with holes, of values that come again and values that do not.
fn series() -> impl Strategy<Value = Vec<f64>> {
    let whole = prop_oneof![-1e6..1e6_f64, (0..5_i32).prop_map(f64::from)];
    let holes = prop_oneof![5 => -1e3..1e3_f64, 1 => Just(f64::NAN)];
    prop_oneof![
        3 => proptest::collection::vec(whole, 0..140),
        2 => proptest::collection::vec(holes, 0..140),
    ]
}

/// The days of so many partitions and the one after: each day, or with some left out.
fn days(positions: usize, every: usize) -> Vec<i32> {
    let day = |at: usize| i32::try_from(at + at / every).unwrap_or(i32::MAX);
    (0..=positions).map(day).collect()
}

proptest! {
    #[test]
    fn predictions_are_those_of_the_slow_twin(
        values in series(),
        every in prop_oneof![Just(usize::MAX), Just(10_usize), Just(1_usize)],
    ) {
        let days = days(values.len(), every);
        let known: Vec<Option<i32>> = days.iter().copied().map(Some).collect();
        let mut quick = Predictions::default();
        // What was in its place before has no part in it.
        quick.make(&[1.0, f64::NAN, 3.0], &Calendar::new(&[None; 4]));
        quick.make(&values, &Calendar::new(&known));
        for (predictor, slow) in predictions(&values, &days) {
            let quick = quick.of(predictor);
            prop_assert_eq!(quick.len(), slow.len());
            for (at, (quick, slow)) in quick.iter().zip(&slow).enumerate() {
                prop_assert!(same(*quick, *slow), "{:?} at {}: {} {}", predictor, at, quick, slow);
            }
        }
    }

    #[test]
    fn the_chosen_predictor_and_its_misses_are_those_of_the_slow_twin(values in series()) {
        let days = days(values.len(), usize::MAX);
        let known: Vec<Option<i32>> = days.iter().copied().map(Some).collect();
        let mut quick = Predictions::default();
        quick.make(&values, &Calendar::new(&known));
        let first = 2.min(values.len());
        let possible = values[first..].iter().filter(|v| !v.is_nan()).count();
        let mut best: Option<(f64, Predictor, Vec<f64>)> = None;
        for (predictor, said) in predictions(&values, &days) {
            let misses = values[first..].iter().zip(&said[first..]).map(|(v, s)| v - s);
            let misses: Vec<f64> = misses.filter(|m| !m.is_nan()).collect();
            let plain = predictor == Predictor::Median;
            let (least, handicap) = if plain { (5, 1.0) } else { (14, 1.1) };
            if said[values.len()].is_nan() || misses.len() < least
                || misses.len() * 10 < possible * 6
            {
                continue;
            }
            let mut sizes: Vec<f64> = misses.iter().map(|m| m.abs()).collect();
            sizes.sort_by(f64::total_cmp);
            let score = handicap * sizes[(sizes.len() - 1) * 4 / 5];
            if best.as_ref().is_none_or(|(least, ..)| score < *least) {
                best = Some((score, predictor, misses));
            }
        }
        let mut misses = vec![(7, 7.0)];
        let chosen = choose(&quick, &values, first, &mut vec![5.0], &mut misses);
        prop_assert_eq!(chosen.as_ref().map(|c| c.predictor), best.as_ref().map(|b| b.1));
        if let (Some(chosen), Some((_, _, slow))) = (chosen, best) {
            let mut drawn = misses.clone();
            draw_in(&mut drawn, chosen.typical, &mut Vec::new());
            let drawn: Vec<f64> = drawn.iter().map(|m| m.1).collect();
            prop_assert_eq!(drawn, drawn_in(&slow));
            prop_assert_eq!(misses.iter().map(|m| m.1).collect::<Vec<_>>(), slow);
        }
    }
}

fn drawn_in(misses: &[f64]) -> Vec<f64> {
    let mut sizes: Vec<f64> = misses
        .iter()
        .map(|m| m.abs())
        .filter(|m| *m > 0.0)
        .collect();
    sizes.sort_by(f64::total_cmp);
    let mut most = f64::INFINITY;
    if sizes.len() >= 10 {
        most = 5.0 * sizes[(sizes.len() - 1) * 9 / 10];
    }
    let faults = misses.len() * 3 / 100;
    if faults > 0 && !sizes.is_empty() {
        most = most.min(match sizes.len().checked_sub(1 + faults) {
            Some(kept) => 2.5 * sizes[kept],
            None => sizes[0],
        });
    }
    misses.iter().map(|m| m.clamp(-most, most)).collect()
}
