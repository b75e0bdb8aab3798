//! The learner: limits for the next value of every metric of a partition.
//!
//! In: each metric's earlier values. Out: limits whose expected false alarms, over all metrics of
//! the partition together, meet the budget. It must never see the value that is to be judged.
//!
//! Per series: a scale, then the predictor that missed least in a backtest on the series' own past,
//! then for each side a width from the misses towards that side: a multiple of their cubic mean,
//! which weighs the tail more than a standard deviation does and stays finite for the Student t
//! with 5 degrees of freedom that is assumed of them. Late misses count more than early ones.
//! Misses of zero count on both sides, so that a series that seldom moves has narrow limits.
//! Misses far outside the bulk are drawn in first: an unnoticed fault of the past must not hide
//! the next one. What is measured says which side may be wider or narrower (`SeriesKind::shares`).
//!
//! Per partition: the widths are multiplied by one factor. It starts from the number of moving
//! series (a t5 tail falls with the fifth power, so that M series need a factor of M^(1/5)) and is
//! corrected by how often the joint past, each partition left out of its own widths, would have
//! left the limits. Correlated metrics alarm together and are counted once.

use crate::calendar::{Calendar, Days};
use crate::choice::choose;
use crate::predict::{Predictions, median};
use crate::scale::Scale;
use crate::series::{Limits, Point, Policy, SeriesInput};
use crate::width::{draw_in, lend, sides, weighed};

/// The version of the arithmetic in this module; stored with every limit.
pub const MODEL_VERSION: u16 = 3;

/// The number of series and the budget for which a side's width is meant.
const REFERENCE_SERIES: f64 = 30.0;
const REFERENCE_BUDGET: f64 = 0.02;
/// The tail of a Student t with 5 degrees of freedom falls with this power.
const TAIL: f64 = 5.0;
/// How many partitions of the joint past the assumed tail is worth.
const PRIOR_PARTITIONS: f64 = 200.0;
/// A past partition this far outside its limits was a fault, not a false alarm.
const FAULT: f64 = 2.5;
/// Bounds of the partition's factor, as multiples of where it starts.
const FACTOR_RANGE: (f64, f64) = (0.5, 3.0);

/// What was learned of one series, before the partition's factor is known.
struct Fit {
    model: &'static str,
    scale: Scale,
    center: f64,
    down: f64,
    up: f64,
    /// How far each past point lay outside limits made without it (1 is on the limit), with its
    /// distance from the newest point.
    exceeded: Vec<(usize, f64)>,
}

enum Outcome {
    Learning(u32),
    Constant(f64),
    Fitted(Box<Fit>),
}

/// Limits for one series on its own, with the whole budget for it.
#[must_use]
pub fn judge_series(series: &SeriesInput<'_>, policy: &Policy) -> Limits {
    judge_partition(std::slice::from_ref(series), policy)
        .pop()
        .unwrap_or_else(|| empty("learning", Some(1)))
}

/// Limits for the next value of each series of a partition, in the order given.
#[must_use]
pub fn judge_partition(series: &[SeriesInput<'_>], policy: &Policy) -> Vec<Limits> {
    let mut days = Days::default();
    let outcomes: Vec<Outcome> = series.iter().map(|s| learn(s, &mut days, policy)).collect();
    let factor = factor(&outcomes, policy);
    outcomes
        .iter()
        .zip(series)
        .map(|(outcome, input)| limits(outcome, input, factor, policy))
        .collect()
}

fn recent<'a>(series: &SeriesInput<'a>, policy: &Policy) -> &'a [Point] {
    // A little more than the window, so that its first points have a past to be predicted from.
    let keep = policy.window.saturating_add(28);
    &series.points[series.points.len().saturating_sub(keep)..]
}

fn learn(series: &SeriesInput<'_>, days: &mut Days, policy: &Policy) -> Outcome {
    let points = recent(series, policy);
    let values: Vec<f64> = points.iter().map(Point::learnable).collect();
    let known = values.iter().filter(|v| !v.is_nan()).count();
    if known < policy.min_points.max(1) {
        let more = policy.min_points.max(1) - known;
        return Outcome::Learning(u32::try_from(more).unwrap_or(u32::MAX));
    }
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for v in values.iter().filter(|v| !v.is_nan()) {
        (min, max) = (min.min(*v), max.max(*v));
    }
    if min >= max {
        return Outcome::Constant(min);
    }
    let scale = Scale::choose(series.kind, min, max);
    let calendar = days.of(points, series.date);
    match fit(series, points, &values, scale, calendar, policy) {
        Some(fit) => Outcome::Fitted(Box::new(fit)),
        None => Outcome::Learning(1),
    }
}

fn fit(
    series: &SeriesInput<'_>,
    points: &[Point],
    values: &[f64],
    scale: Scale,
    calendar: &Calendar,
    policy: &Policy,
) -> Option<Fit> {
    let first = values.len().saturating_sub(policy.window).max(2);
    let scaled: Vec<f64> = values
        .iter()
        .map(|v| if v.is_nan() { *v } else { scale.to(*v) })
        .collect();
    let predictions = Predictions::new(&scaled, calendar);
    let mut best = choose(&predictions, &scaled, first)?;
    draw_in(&mut best.misses);
    let rows = sample_size(points);
    let level = scale.back(best.center);
    let floor = scale.floor(level, rows);
    let newest = values.len().saturating_sub(1);
    let (mut down, mut up) = sides(&best.misses, newest);
    lend(&mut down, &mut up, best.misses.len(), policy.steady_points);
    let (below, above) = series.kind.shares();
    let last = values.len();
    let exceeded = weighed(&best.misses, newest)
        .map(|(at, miss, weight)| {
            let side = if miss < 0.0 { &down } else { &up };
            let size = miss.abs();
            let with = side.width.max(floor);
            // A small miss hardly moves the width that it is part of.
            let width = if size < 0.25 * with {
                with
            } else {
                side.without(size, weight).max(floor)
            };
            let width = width * if miss < 0.0 { below } else { above };
            (last - at, if width > 0.0 { size / width } else { 0.0 })
        })
        .collect();
    Some(Fit {
        model: best.predictor.model(),
        scale,
        center: best.center,
        down: below * down.width.max(floor),
        up: above * up.width.max(floor),
        exceeded,
    })
}

/// The partition's factor on all widths; see the module's head.
fn factor(outcomes: &[Outcome], policy: &Policy) -> f64 {
    let fits = || {
        outcomes.iter().filter_map(|o| {
            if let Outcome::Fitted(fit) = o {
                Some(fit)
            } else {
                None
            }
        })
    };
    let moving = fits().count();
    if moving == 0 {
        return 1.0;
    }
    let budget = policy.budget.clamp(1e-6, 0.5);
    #[expect(clippy::cast_precision_loss, reason = "a number of metrics is small")]
    let start = (moving as f64 / REFERENCE_SERIES * REFERENCE_BUDGET / budget)
        .powf(1.0 / TAIL)
        .max(0.2);
    let mut worst: Vec<f64> = Vec::new();
    for fit in fits() {
        for &(back, exceeded) in &fit.exceeded {
            if worst.len() < back {
                worst.resize(back, f64::NAN);
            }
            // `max` takes the other side of a NaN: a partition that no series covers stays NaN.
            worst[back - 1] = worst[back - 1].max(exceeded);
        }
    }
    worst.retain(|w| !w.is_nan() && *w < FAULT);
    worst.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a number of partitions is small"
    )]
    let past = worst.len() as f64;
    let (least, most) = (FACTOR_RANGE.0 * start, FACTOR_RANGE.1 * start);
    let mut factor = least;
    while factor < most {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a number of partitions is small"
        )]
        let outside = (worst.len() - worst.partition_point(|w| *w <= factor)) as f64;
        let assumed = PRIOR_PARTITIONS * budget * (start / factor).powf(TAIL);
        if outside + assumed <= budget * (past + PRIOR_PARTITIONS) {
            return factor;
        }
        factor *= 1.02;
    }
    most
}

fn limits(outcome: &Outcome, series: &SeriesInput<'_>, factor: f64, policy: &Policy) -> Limits {
    let offset = series.points.len() - recent(series, policy).len();
    let learned_from: Vec<usize> = (offset..series.points.len())
        .filter(|i| !series.points[*i].learnable().is_nan())
        .collect();
    let known = learned_from.len();
    let mut limits = match outcome {
        Outcome::Learning(more) => empty("learning", Some(*more)),
        Outcome::Constant(value) => Limits {
            lower: Some(value - series.kind.slack_below() * value.abs()),
            expected: Some(*value),
            upper: Some(*value),
            ..empty("constant", None)
        },
        Outcome::Fitted(fit) => {
            // Few points know little of the tail: a quarter of the limits' width more at 16.
            #[expect(clippy::cast_precision_loss, reason = "at most a window's length")]
            let factor = factor * (1.0 + (8.0 / known as f64).powi(2));
            let expected = fit.scale.back(fit.center);
            let lower = fit.scale.limit(fit.center - factor * fit.down);
            let upper = fit.scale.limit(fit.center + factor * fit.up);
            Limits {
                lower: lower.map(|lower| lower.min(expected)),
                expected: Some(expected),
                upper: upper.map(|upper| upper.max(expected)),
                ..empty(fit.model, None)
            }
        }
    };
    limits.provisional = known < policy.steady_points;
    limits.learned_from = learned_from;
    limits
}

const fn empty(model: &'static str, needs_more: Option<u32>) -> Limits {
    Limits {
        lower: None,
        expected: None,
        upper: None,
        model,
        model_version: MODEL_VERSION,
        learned_from: Vec::new(),
        provisional: true,
        needs_more,
    }
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
