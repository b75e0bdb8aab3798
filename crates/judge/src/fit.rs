//! What is learned of one series: a scale, a predictor, and a width on each side.
//!
//! In: the earlier values of one metric. Out: what its limits are made of once the partition's
//! factor is known, and how far each partition of the past was outside limits made without it. It
//! must never see the value that is to be judged.

use crate::calendar::{Calendar, Days};
use crate::choice::choose;
use crate::predict::{Predictions, median};
use crate::scale::Scale;
use crate::series::{OfParts, Point, Policy, SeriesInput};
use crate::width::{Miss, Side, Weights, draw_in, lend, sides};

/// What was learned of one series, before the partition's factor is known.
pub(crate) struct Fit {
    pub(crate) model: &'static str,
    pub(crate) scale: Scale,
    pub(crate) center: f64,
    pub(crate) down: f64,
    pub(crate) up: f64,
}

pub(crate) enum Outcome {
    Learning(u32),
    Constant(f64),
    Fitted(Fit),
}

/// What stands for a partition that no series tells anything of.
const UNTOLD: f64 = -1.0;

/// What is learned of a series, and the positions of the points that it was learned from.
pub(crate) struct Lesson {
    pub(crate) outcome: Outcome,
    pub(crate) from: Vec<usize>,
}

/// What the series of a partition share while they are learned, so that nothing is made twice.
#[derive(Default)]
pub(crate) struct Room {
    /// For each part of the metrics: how far each past partition lay outside limits made without it
    /// (1 is on the limit), by the series of the part that was farthest outside. The newest is the
    /// first; below zero where no series tells.
    pub(crate) worst: OfParts<Vec<f64>>,
    days: Days,
    weights: Weights,
    predictions: Predictions,
    values: Vec<f64>,
    sizes: Vec<f64>,
    misses: Vec<Miss>,
}

fn recent<'a>(series: &SeriesInput<'a>, policy: &Policy) -> &'a [Point] {
    // A little more than the window, so that its first points have a past to be predicted from.
    let keep = policy.window.saturating_add(28);
    &series.points[series.points.len().saturating_sub(keep)..]
}

/// Learns one series.
pub(crate) fn learn(series: &SeriesInput<'_>, room: &mut Room, policy: &Policy) -> Lesson {
    let points = recent(series, policy);
    room.values.clear();
    room.values.extend(points.iter().map(Point::learnable));
    let offset = series.points.len() - points.len();
    let mut from: Vec<usize> = (offset..series.points.len()).collect();
    if room.values.iter().any(|v| v.is_nan()) {
        from.retain(|at| !room.values[at - offset].is_nan());
    }
    let (min, max) = range(&room.values);
    let outcome = if from.len() < policy.min_points.max(1) {
        let more = policy.min_points.max(1) - from.len();
        Outcome::Learning(u32::try_from(more).unwrap_or(u32::MAX))
    } else if min >= max {
        Outcome::Constant(min)
    } else {
        let scale = Scale::choose(series.kind, min, max);
        fit(series, points, scale, room, policy).map_or(Outcome::Learning(1), Outcome::Fitted)
    };
    Lesson { outcome, from }
}

/// The least and the greatest of values that are not NaN.
fn range(values: &[f64]) -> (f64, f64) {
    // Four at a time: one alone would wait for each comparison.
    let (mut min, mut max) = ([f64::INFINITY; 4], [f64::NEG_INFINITY; 4]);
    for four in values.chunks(4) {
        for (at, value) in four.iter().enumerate() {
            min[at] = if *value < min[at] { *value } else { min[at] };
            max[at] = if *value > max[at] { *value } else { max[at] };
        }
    }
    let (min, max) = (min.into_iter(), max.into_iter());
    (
        min.fold(f64::INFINITY, f64::min),
        max.fold(f64::NEG_INFINITY, f64::max),
    )
}

fn fit(
    series: &SeriesInput<'_>,
    points: &[Point],
    scale: Scale,
    room: &mut Room,
    policy: &Policy,
) -> Option<Fit> {
    let Room {
        values,
        sizes,
        misses,
        ..
    } = room;
    let first = values.len().saturating_sub(policy.window).max(2);
    for value in values.iter_mut().filter(|v| !v.is_nan()) {
        *value = scale.to(*value);
    }
    let calendar: &Calendar = room.days.of(points, series.date);
    room.predictions.make(values, calendar);
    let best = choose(&room.predictions, values, first, sizes, misses)?;
    draw_in(misses, best.typical, sizes);
    let weights = room.weights.of(values.len());
    let (mut down, mut up) = sides(misses, weights);
    lend(&mut down, &mut up, misses.len(), policy.steady_points);
    let level = scale.back(best.center);
    let floor = scale.floor(series.kind, level, || sample_size(points));
    let (below, above) = series.kind.shares();
    let worst_of_part = &mut room.worst[series.kind.part() as usize];
    if worst_of_part.len() < values.len() {
        worst_of_part.resize(values.len(), UNTOLD);
    }
    for &(at, miss) in misses.iter() {
        let back = values.len() - 1 - at;
        let (side, share) = if miss < 0.0 {
            (&down, below)
        } else {
            (&up, above)
        };
        let worst = &mut worst_of_part[back];
        *worst = exceeded(side, share, (miss.abs(), weights[back]), floor, *worst);
    }
    Some(Fit {
        model: best.predictor.model(),
        scale,
        center: best.center,
        down: below * down.width.max(floor),
        up: above * up.width.max(floor),
    })
}

/// How far a miss of this size and weight is outside of the side's width, had it not been; or
/// `worst`, if that is more.
fn exceeded(side: &Side, share: f64, miss: (f64, f64), floor: f64, worst: f64) -> f64 {
    let (size, weight) = miss;
    let with = side.width.max(floor);
    // A small miss hardly moves the width that it is part of.
    let width = if size < 0.25 * with {
        with
    } else if side.wider_without(size, weight, size / (share * worst)) {
        return worst;
    } else {
        side.without(size, weight).max(floor)
    };
    let width = width * share;
    let exceeded = if width > 0.0 { size / width } else { 0.0 };
    if exceeded > worst { exceeded } else { worst }
}

/// The usual number of rows of the last partitions.
fn sample_size(points: &[Point]) -> Option<f64> {
    let mut rows: Vec<f64> = points[points.len().saturating_sub(28)..]
        .iter()
        .filter_map(|p| p.rows)
        .filter(|n| n.is_finite())
        .collect();
    (!rows.is_empty()).then(|| median(&mut rows))
}
