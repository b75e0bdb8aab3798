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
//! Per partition: the widths are multiplied by a factor, one for counts of rows and bytes and one for
//! all other metrics. The counts have a tenth of the budget to themselves, or more where there are
//! few others, so that their limits do not depend on what else is measured. A factor starts from
//! the number of moving series (a t5 tail falls with the fifth power, so that M series need a factor
//! of M^(1/5)) and is corrected by how often the joint past, each partition left out of its own
//! widths, would have left the limits. Correlated metrics alarm together and are counted once.

use crate::fit::{Lesson, Outcome, Room, learn};
use crate::series::{Limits, OfParts, Part, Policy, SeriesInput};

/// The version of the arithmetic in this module; stored with every limit.
pub const MODEL_VERSION: u16 = 4;

/// The number of series and the budget for which a side's width is meant.
const REFERENCE_SERIES: f64 = 30.0;
const REFERENCE_BUDGET: f64 = 0.02;
/// The tail of a Student t with 5 degrees of freedom falls with this power.
const TAIL: f64 = 5.0;
/// How many partitions of the joint past the assumed tail is worth.
const PRIOR_PARTITIONS: f64 = 200.0;
/// The least share of a partition's budget that is for how much there is of it.
const VOLUME_SHARE: f64 = 0.1;
/// A past partition this far outside its limits was a fault, not a false alarm.
const FAULT: f64 = 2.5;
/// Bounds of the partition's factor, as multiples of where it starts.
const FACTOR_RANGE: (f64, f64) = (0.5, 3.0);

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
    let mut room = Room::default();
    let learned: Vec<Lesson> = series.iter().map(|s| learn(s, &mut room, policy)).collect();
    let factors = factors(&learned, series, room.worst, policy);
    learned
        .into_iter()
        .zip(series)
        .map(|(learned, input)| {
            let factor = factors[input.kind.part() as usize];
            limits(learned, input, factor, policy)
        })
        .collect()
}

/// The factor of each part of the metrics, by what its share of the budget is.
fn factors(
    learned: &[Lesson],
    series: &[SeriesInput<'_>],
    worst: OfParts<Vec<f64>>,
    policy: &Policy,
) -> OfParts<f64> {
    let mut moving = [0_u32; Part::ALL.len()];
    for (lesson, input) in learned.iter().zip(series) {
        if matches!(lesson.outcome, Outcome::Fitted(_)) {
            moving[input.kind.part() as usize] += 1;
        }
    }
    let all: u32 = moving.iter().sum();
    let of_volume = moving[Part::Volume as usize];
    let volume = match f64::from(of_volume) / f64::from(all.max(1)) {
        share if share > 0.0 => share.max(VOLUME_SHARE),
        none => none,
    };
    let mut factors = [1.0; Part::ALL.len()];
    for (part, worst) in Part::ALL.into_iter().zip(worst) {
        let share = match part {
            Part::Volume => volume,
            Part::Content => 1.0 - volume,
        };
        let budget = policy.budget * share;
        factors[part as usize] = factor(moving[part as usize], worst, budget);
    }
    factors
}

/// The factor on all widths of a part; see the module's head.
fn factor(moving: u32, mut worst: Vec<f64>, budget: f64) -> f64 {
    if moving == 0 {
        return 1.0;
    }
    let budget = budget.clamp(1e-6, 0.5);
    let start = (f64::from(moving) / REFERENCE_SERIES * REFERENCE_BUDGET / budget)
        .powf(1.0 / TAIL)
        .max(0.2);
    worst.retain(|w| *w >= 0.0 && *w < FAULT);
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

fn limits(learned: Lesson, series: &SeriesInput<'_>, factor: f64, policy: &Policy) -> Limits {
    let known = learned.from.len();
    let mut limits = match learned.outcome {
        Outcome::Learning(more) => empty("learning", Some(more)),
        Outcome::Constant(value) => Limits {
            lower: Some(value - series.kind.slack_below() * value.abs()),
            expected: Some(value),
            upper: Some(value),
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
    limits.learned_from = learned.from;
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
