//! Short histories of two kinds: a level that jumped, or a fault among few values.
//!
//! In: the earlier values of a metric. Out: whether they lie in two groups far from each other, in
//! a way that no weekday explains. Limits that embrace both groups accept everything and say
//! nothing. It must never look at the judged value.

use crate::predict::median;
use crate::scale::Scale;
use crate::series::{Point, SeriesKind};

/// From so many values on the learner tells a jump from a fault by itself.
pub(crate) const ENOUGH: usize = 16;
/// The gap between two groups, as a multiple of the range within the wider one.
const APART: f64 = 3.0;
/// Positive amounts of two groups differ by this factor at least.
const FACTOR: f64 = 2.0;
/// Shares of two groups differ by this part of the whole at least.
const SHARE: f64 = 0.1;

/// The middles of the two groups (the lower first) in which the values of a short history lie;
/// `None` when there are [`ENOUGH`] values, or when they are of one kind.
pub(crate) fn two_groups(kind: SeriesKind, points: &[Point]) -> Option<(f64, f64)> {
    let known = points.iter().filter(|p| !p.learnable().is_nan());
    // Most histories are long: no more of one is looked at than tells so.
    let mut known: Vec<&Point> = known.take(ENOUGH).collect();
    if known.len() < 2 || known.len() >= ENOUGH {
        return None;
    }
    known.sort_by(|a, b| a.learnable().total_cmp(&b.learnable()));
    let (least, most) = (known[0].learnable(), known[known.len() - 1].learnable());
    let scale = Scale::choose(kind, least, most);
    let scaled: Vec<f64> = known.iter().map(|p| scale.to(p.learnable())).collect();
    let gap = |at: usize| scaled[at] - scaled[at - 1];
    let cut = (1..scaled.len()).max_by(|a, b| gap(*a).total_cmp(&gap(*b)))?;
    let within = (scaled[cut - 1] - scaled[0]).max(scaled[scaled.len() - 1] - scaled[cut]);
    if gap(cut) <= 0.0 || gap(cut) < APART * within {
        return None;
    }
    let (low, high) = known.split_at(cut);
    let middle = |group: &[&Point]| {
        let mut values: Vec<f64> = group.iter().map(|p| p.learnable()).collect();
        median(&mut values)
    };
    let (below, above) = (middle(low), middle(high));
    (far(kind, below, above) && !of_weekdays(low, high)).then_some((below, above))
}

fn far(kind: SeriesKind, below: f64, above: f64) -> bool {
    match kind {
        SeriesKind::Fraction => above - below >= SHARE,
        SeriesKind::Percent => above - below >= 100.0 * SHARE,
        _ if below > 0.0 => above >= FACTOR * below,
        // Of two signs, or from nothing to something.
        _ => above - below >= 0.5 * below.abs().max(above.abs()),
    }
}

/// Whether the groups are days of the week: each weekday is in one of them, and the smaller has
/// two days at least.
fn of_weekdays(low: &[&Point], high: &[&Point]) -> bool {
    if low.len().min(high.len()) < 2 {
        return false;
    }
    let days = |group: &[&Point]| -> Option<u8> {
        group.iter().try_fold(0_u8, |days, point| {
            Some(days | 1 << point.date?.weekday().to_monday_zero_offset())
        })
    };
    matches!((days(low), days(high)), (Some(low), Some(high)) if low & high == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        values.iter().map(|v| Point::of(*v)).collect()
    }

    #[test]
    fn a_level_that_jumped_is_two_groups_and_noise_is_one() {
        let jumped = points(&[0.0, 0.1, 0.0, 0.0, 97.0, 98.0, 97.0, 97.5]);
        assert_eq!(two_groups(SeriesKind::Percent, &jumped), Some((0.0, 97.25)));
        let amounts = points(&[10.0, 11.0, 10.0, 12.0, 10.0, 1000.0, 1010.0, 990.0]);
        assert!(two_groups(SeriesKind::Number, &amounts).is_some());
        let noise = points(&[100.0, 121.0, 89.0, 103.0, 132.0, 98.0, 115.0, 95.0]);
        assert_eq!(two_groups(SeriesKind::Number, &noise), None);
        let near = points(&[7.0, 7.0, 7.0, 7.0, 8.0, 8.0, 8.0, 8.0]);
        assert_eq!(two_groups(SeriesKind::Number, &near), None);
        assert_eq!(two_groups(SeriesKind::Number, &points(&[5.0; 9])), None);
    }

    #[test]
    fn weekends_are_no_second_kind() {
        let first = jiff::civil::date(2026, 1, 5);
        let days = |weekend: f64| -> Vec<Point> {
            (0..12)
                .map(|i| {
                    let value = if i % 7 >= 5 { weekend } else { 1000.0 };
                    let mut point = Point::of(value + f64::from(i));
                    point.date = Some(first + jiff::Span::new().days(i));
                    point
                })
                .collect()
        };
        assert_eq!(two_groups(SeriesKind::Number, &days(300.0)), None);
        let mut undated = days(300.0);
        undated[0].date = None;
        assert!(two_groups(SeriesKind::Number, &undated).is_some());
    }
}
