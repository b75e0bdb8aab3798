//! Charts as SVG, drawn by plain arithmetic.
//!
//! Comes in: points with what was known of them when they were judged. Goes out: an `<svg>` without
//! script, style or identifier, whose colours are classes of the style sheet. It must never draw
//! what was not measured: no line over a gap, no smooth limit between two steps, no green for what
//! did not pass.

pub mod lines;
mod metric;
pub mod reduce;
mod scale;
pub mod small;
pub mod timeline;

pub(crate) use metric::TABLE;
pub use metric::svg;
pub use scale::Scale;

use assay_model::outcome::Outcome;

/// A point of a metric's chart: one partition.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// The partition's key.
    pub label: String,
    /// Its value, where it has a number.
    pub value: Option<f64>,
    /// The value as it is shown, every digit of it.
    pub text: String,
    /// The least value that was accepted; open where `None`.
    pub lower: Option<f64>,
    /// The greatest value that was accepted; open where `None`.
    pub upper: Option<f64>,
    /// How it was judged; `None` where nothing judged it.
    pub outcome: Option<Outcome>,
    /// The version of the definition that it was judged by.
    pub version: Option<String>,
    /// Where the point leads, or empty.
    pub href: String,
    /// Its limits were learned from too few partitions to be steady.
    pub provisional: bool,
}

impl Point {
    /// The value, where it can be drawn.
    #[must_use]
    pub fn drawn(&self) -> Option<f64> {
        self.value.filter(|v| v.is_finite())
    }

    /// Whether any bound applied.
    #[must_use]
    pub const fn has_bounds(&self) -> bool {
        self.lower.is_some() || self.upper.is_some()
    }
}

/// A span of points that is shaded: an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Label of its first point.
    pub first: String,
    /// Label of its last point.
    pub last: String,
    /// What it is, for those who point at it.
    pub title: String,
    /// Where it leads.
    pub href: String,
}

/// A chart of one metric over partitions.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart<'a> {
    /// What it shows, for those who do not see it.
    pub title: &'a str,
    /// The points, oldest first; a partition that has not come is a point without a value.
    pub points: &'a [Point],
    /// Incidents.
    pub windows: &'a [Window],
    /// Where its dashed line lies: the median of the newest points.
    pub median: Option<f64>,
    /// Whether the axis begins at nothing.
    pub from_zero: bool,
    /// How values of its axis are written.
    pub unit: Unit,
}

/// What the numbers of an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// Plain numbers.
    #[default]
    Number,
    /// Parts of a hundred.
    Percent,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// The unit of a metric, by its name.
    #[must_use]
    pub fn of(metric: &str) -> Self {
        let name = metric.split('(').next().unwrap_or(metric);
        match name {
            "byteCount" => Self::Bytes,
            "latency" | "lastModifiedAge" => Self::Seconds,
            name if name.ends_with("Percent") => Self::Percent,
            _ => Self::Number,
        }
    }

    /// What follows a number that is written with every digit.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Number => "",
            Self::Percent => "\u{a0}%",
            Self::Bytes => "\u{a0}B",
            Self::Seconds => "\u{a0}s",
        }
    }

    /// A value of the axis.
    #[must_use]
    pub fn short(self, value: f64) -> String {
        match self {
            Self::Number => crate::words::compact(value),
            Self::Percent => format!("{} %", crate::words::decimal(value)),
            Self::Bytes if value >= 0.0 => crate::words::bytes(value as u64),
            Self::Seconds if (0.0..1e15).contains(&value) => {
                crate::words::duration_ms((value * 1000.0) as u64)
            }
            Self::Bytes | Self::Seconds => crate::words::compact(value),
        }
    }

    /// The marks of an axis: in full where two of them would look the same in short.
    #[must_use]
    pub fn marks(self, marks: &[f64]) -> Vec<String> {
        let short: Vec<String> = marks.iter().map(|mark| self.short(*mark)).collect();
        let differ = short.windows(2).all(|pair| pair[0] != pair[1]);
        if differ {
            return short;
        }
        let full = |mark: &f64| format!("{}{}", crate::words::decimal(*mark), self.suffix());
        marks.iter().map(full).collect()
    }
}

/// The least and the greatest value that is drawn, with as much room again on either side: limits
/// beyond are cut off, so that early ones, which are wide, do not press the values into a line. `None`
/// where every limit is drawn.
fn room(points: &[Point]) -> Option<(f64, f64)> {
    let values = points.iter().filter_map(Point::drawn);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    // Halves, so that the difference of two huge values does not overflow.
    let half = high / 2.0 - low / 2.0;
    (half > 0.0).then_some((low - half - half, high + half + half))
}

/// What the axis of a chart must have room for.
fn on_the_axis(points: &[Point]) -> impl Iterator<Item = f64> {
    let room = room(points);
    let cut = move |bound: f64| room.map_or(bound, |(low, high)| bound.clamp(low, high));
    points
        .iter()
        .flat_map(move |p| [p.drawn(), p.lower.map(cut), p.upper.map(cut)])
        .flatten()
}

/// Whether a limit lies beyond the axis of the chart of `points`.
#[must_use]
pub fn cuts_limits(points: &[Point]) -> bool {
    let beyond = |(low, high): (f64, f64)| {
        let mut bounds = points.iter().flat_map(|p| [p.lower, p.upper]).flatten();
        bounds.any(|bound| bound < low || bound > high)
    };
    room(points).is_some_and(beyond)
}

/// The form of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// Width of the drawing.
    pub width: f64,
    /// Height of the drawing.
    pub height: f64,
    /// Room for the numbers at the left.
    pub left: f64,
    /// Labels under it, at most.
    pub labels: usize,
}

impl Size {
    /// For a page of full width.
    pub const WIDE: Self = Self {
        width: 960.0,
        height: 300.0,
        left: 64.0,
        labels: 8,
    };
    /// For a telephone.
    pub const NARROW: Self = Self {
        width: 340.0,
        height: 230.0,
        left: 52.0,
        labels: 3,
    };
}

/// The median of the newest `last` values that can be drawn.
#[must_use]
pub fn median(points: &[Point], last: usize) -> Option<f64> {
    let mut values: Vec<f64> = points
        .iter()
        .rev()
        .filter_map(Point::drawn)
        .take(last)
        .collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let above = values.get(middle)?;
    if values.len() % 2 == 1 {
        return Some(*above);
    }
    values
        .get(middle - 1)
        .map(|below| below / 2.0 + above / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_newest_values_that_are_numbers() {
        let point = |value| Point {
            value,
            ..Point::default()
        };
        let points: Vec<Point> = [
            Some(100.0),
            Some(1.0),
            None,
            Some(2.0),
            Some(f64::NAN),
            Some(3.0),
        ]
        .into_iter()
        .map(point)
        .collect();
        assert_eq!(median(&points, 3), Some(2.0));
        assert_eq!(median(&points, 4), Some(2.5));
        assert_eq!(median(&[], 4), None);
    }

    #[test]
    fn wide_limits_do_not_press_the_values_into_a_line() {
        let point = |value, lower, upper| Point {
            value: Some(value),
            lower,
            upper,
            ..Point::default()
        };
        let usual = [
            point(10.0, Some(8.0), Some(14.0)),
            point(12.0, Some(8.0), None),
        ];
        assert!(!cuts_limits(&usual));
        let wide = [
            point(10.0, Some(0.0), Some(900.0)),
            point(12.0, Some(9.0), Some(13.0)),
        ];
        assert!(cuts_limits(&wide));
        let axis: Vec<f64> = on_the_axis(&wide).collect();
        assert!(axis.iter().all(|v| (8.0..=14.0).contains(v)), "{axis:?}");
        // Where all values are one, the limits are the only measure of it.
        let same = [point(10.0, Some(0.0), Some(900.0))];
        assert!(!cuts_limits(&same));
    }

    #[test]
    fn units_go_by_the_metric() {
        assert_eq!(Unit::of("nullPercent(email)"), Unit::Percent);
        assert_eq!(Unit::of("rowCount"), Unit::Number);
        assert_eq!(Unit::Percent.short(1.42), "1.42 %");
        assert_eq!(Unit::Bytes.short(2048.0), "2.0 KiB");
        assert_eq!(Unit::Seconds.short(90.0), "1 min 30 s");
        assert_eq!(Unit::Seconds.short(-1.0), "−1");
        let near = [1_234_566.0, 1_234_567.0, 1_234_568.0];
        let told = Unit::Number.marks(&near);
        assert!(told[0] != told[1] && told[1] != told[2], "{told:?}");
        assert_eq!(Unit::Number.marks(&[0.0, 25_000.0]), ["0", "25k"]);
    }
}
