//! More points than a chart can show, as the least and the greatest of each column of it.
//!
//! Comes in: points in order. Goes out: at most as many groups as asked for. It must never lose a
//! point that did not pass: a group shows the gravest outcome in it.

use assay_model::outcome::Outcome;

use super::Point;

/// Charts of more points than this are reduced.
pub const MOST: usize = 400;

/// Points that share a column of the chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Group<'a> {
    /// The points, never empty.
    pub points: &'a [Point],
}

impl Group<'_> {
    /// The least and the greatest value; `None` where no point has one.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        let values = self.points.iter().filter_map(Point::drawn);
        values.fold(None, |range, v| match range {
            None => Some((v, v)),
            Some((low, high)) => Some((v.min(low), v.max(high))),
        })
    }

    /// The point to show: the gravest, the newest of several.
    #[must_use]
    pub fn shown(&self) -> &Point {
        let gravest = self
            .points
            .iter()
            .rev()
            .min_by_key(|p| p.outcome.map_or(9, Outcome::gravity));
        gravest.unwrap_or(&self.points[0])
    }

    /// The widest bounds of its points; `None` where none has any.
    #[must_use]
    pub fn bounds(&self) -> Option<(Option<f64>, Option<f64>)> {
        let mut found: Option<(Option<f64>, Option<f64>)> = None;
        for point in self.points.iter().filter(|p| p.has_bounds()) {
            found = Some(match found {
                None => (point.lower, point.upper),
                Some((low, high)) => (
                    low.zip(point.lower).map(|(a, b)| a.min(b)),
                    high.zip(point.upper).map(|(a, b)| a.max(b)),
                ),
            });
        }
        found
    }
}

/// `points` in at most `columns` groups of neighbours, of sizes that differ by one at most.
#[must_use]
pub fn groups(points: &[Point], columns: usize) -> Vec<Group<'_>> {
    let columns = columns.max(1).min(points.len());
    (0..columns)
        .map(|n| {
            let from = n * points.len() / columns;
            let to = (n + 1) * points.len() / columns;
            Group {
                points: &points[from..to],
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(value: f64, outcome: Outcome) -> Point {
        Point {
            value: Some(value),
            outcome: Some(outcome),
            ..Point::default()
        }
    }

    #[test]
    fn every_point_is_in_one_group_and_extremes_stay() {
        let points: Vec<Point> = (0..1000)
            .map(|n| point(if n == 517 { 9e9 } else { f64::from(n % 7) }, Outcome::Pass))
            .collect();
        let groups = groups(&points, 400);
        assert_eq!(groups.len(), 400);
        assert_eq!(groups.iter().map(|g| g.points.len()).sum::<usize>(), 1000);
        let most = groups
            .iter()
            .filter_map(Group::range)
            .map(|r| r.1)
            .fold(0.0, f64::max);
        assert!((most - 9e9).abs() < 1.0);
    }

    #[test]
    fn one_failure_among_many_is_what_a_group_shows() {
        let mut points: Vec<Point> = (0..10).map(|_| point(1.0, Outcome::Pass)).collect();
        points[3].outcome = Some(Outcome::Fail);
        assert_eq!(groups(&points, 1)[0].shown().outcome, Some(Outcome::Fail));
        assert!(groups(&[], 5).is_empty());
    }

    #[test]
    fn bounds_that_are_open_in_one_point_are_open_in_the_group() {
        let with = |lower, upper| Point {
            lower,
            upper,
            ..point(1.0, Outcome::Pass)
        };
        let points = [with(Some(1.0), Some(5.0)), with(Some(0.5), None)];
        assert_eq!(Group { points: &points }.bounds(), Some((Some(0.5), None)));
    }
}
