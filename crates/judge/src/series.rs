//! The words of the learner: a metric's history as it comes in, its limits as they go out.

use assay_model::metric::Metric;
use jiff::civil::Date;

/// What the values of a series can be; it decides the scale on which deviations are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// A share from 0 to 1.
    Fraction,
    /// A share from 0 to 100.
    Percent,
    /// How much there is of the partition itself: a count of its rows or bytes.
    Volume,
    /// Another number that grows with the rows: a sum.
    Amount,
    /// The least of a partition's values.
    Least,
    /// The greatest of a partition's values.
    Greatest,
    /// Any other number. Its own history tells whether it is a positive amount or a level.
    Number,
}

impl SeriesKind {
    /// The kind that a metric's name suggests (`null_frac`, `nullPercent`, `row_count`, …).
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        if ["frac", "fraction", "ratio01", "share"]
            .iter()
            .any(|end| lower.ends_with(end))
        {
            Self::Fraction
        } else if lower.ends_with("percent") || lower.ends_with("pct") {
            Self::Percent
        } else {
            match lower.as_str() {
                "rowcount" | "row_count" | "bytecount" => Self::Volume,
                "sum" => Self::Amount,
                "min" => Self::Least,
                "max" => Self::Greatest,
                _ => Self::Number,
            }
        }
    }

    /// How wide limits are below and above what is expected, as multiples of what the misses on
    /// that side ask for: wider where a value seldom goes by a fault, narrower where it often does.
    ///
    /// A maximum falls when there are fewer rows, and a minimum rises when values are of another
    /// unit or the small ones are gone. Amounts have room to grow on a log scale, so that rows
    /// twice would pass.
    pub(crate) const fn shares(self) -> (f64, f64) {
        match self {
            Self::Fraction | Self::Percent | Self::Number => (1.0, 1.0),
            Self::Volume | Self::Amount => (1.0, 0.8),
            Self::Least => (1.0, 0.7),
            Self::Greatest => (2.0, 1.0),
        }
    }

    /// Which part of the partition's budget its alarms are paid from.
    pub(crate) const fn part(self) -> Part {
        match self {
            Self::Volume => Part::Volume,
            _ => Part::Content,
        }
    }

    /// How far below its only value so far one is accepted, as a share of it: the greatest value
    /// that there can be is not met in every partition.
    pub(crate) const fn slack_below(self) -> f64 {
        match self {
            Self::Greatest => 0.05,
            _ => 0.0,
        }
    }

    /// The kind of a metric.
    #[must_use]
    pub fn of_metric(metric: Metric) -> Self {
        Self::of_name(metric.as_str())
    }
}

/// A part of a partition's metrics that has a share of its budget and a factor of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// How much there is. Owners look at it first: what a hundred other metrics do in bad days must
    /// not take its limits away.
    Volume,
    /// What the values are.
    Content,
}

/// Something for each part, by its place in [`Part::ALL`].
pub(crate) type OfParts<T> = [T; Part::ALL.len()];

impl Part {
    pub(crate) const ALL: [Self; 2] = [Self::Volume, Self::Content];
}

/// One earlier partition in a metric's history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The value; `None` where it could not be computed. Non-finite values count as `None`.
    pub value: Option<f64>,
    /// Whether limits may be learned from it. A partition that failed, belongs to an open
    /// incident, was excluded or superseded keeps its place in the calendar and teaches nothing.
    pub eligible: bool,
    /// The first day of data time; `None` for partitions that are not times.
    pub date: Option<Date>,
    /// Rows of the partition: the sample size behind a fraction.
    pub rows: Option<f64>,
}

impl Point {
    /// An eligible point without a date.
    #[must_use]
    pub const fn of(value: f64) -> Self {
        Self {
            value: Some(value),
            eligible: true,
            date: None,
            rows: None,
        }
    }

    /// The value to learn from, NaN where there is none.
    pub(crate) fn learnable(&self) -> f64 {
        match self.value {
            Some(value) if self.eligible && value.is_finite() => value,
            _ => f64::NAN,
        }
    }
}

/// The history of one metric: earlier partitions only, oldest first.
///
/// In a call with several series, the last points of all of them belong to the same partition,
/// and so on backwards: a metric that is younger than others simply starts later.
#[derive(Debug, Clone, Copy)]
pub struct SeriesInput<'a> {
    /// What its values can be.
    pub kind: SeriesKind,
    /// The earlier partitions, oldest first. The judged partition is not among them.
    pub points: &'a [Point],
    /// The first day of the judged partition.
    pub date: Option<Date>,
}

/// How careful the learner is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Policy {
    /// Accepted false alarms per clean partition, over all of its metrics together.
    pub budget: f64,
    /// Fewer eligible points than this is `learning`.
    pub min_points: usize,
    /// Fewer eligible points than this gives provisional limits.
    pub steady_points: usize,
    /// How many of the newest points count.
    pub window: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            budget: 0.02,
            min_points: 8,
            steady_points: assay_model::outcome::Limits::STEADY as usize,
            window: 365,
        }
    }
}

/// Limits learned for the next value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Least accepted value; `None` is unbounded.
    pub lower: Option<f64>,
    /// The value expected.
    pub expected: Option<f64>,
    /// Greatest accepted value; `None` is unbounded.
    pub upper: Option<f64>,
    /// The model: predictor and tail, e.g. `weekday-median+t5`.
    pub model: &'static str,
    /// The version of the learner's arithmetic.
    pub model_version: u16,
    /// Positions (in the input's points) of the partitions that it was learned from.
    pub learned_from: Vec<usize>,
    /// Learned from fewer points than steady limits need.
    pub provisional: bool,
    /// How many more eligible points are needed before there are limits.
    pub needs_more: Option<u32>,
}

impl Limits {
    /// Whether `value` is accepted. A relative 1e-9 absorbs the rounding of text formats.
    #[must_use]
    pub fn accepts(&self, value: f64) -> bool {
        let slack = 1e-9 * value.abs();
        !value.is_nan()
            && self.lower.is_none_or(|lower| value >= lower - slack)
            && self.upper.is_none_or(|upper| value <= upper + slack)
    }
}

/// Another name for [`Limits`], to tell them from the limits stored with a result.
pub type Learned = Limits;
