//! The chart of a metric: values, the limits as they were at each point, and what happened.

use std::fmt::Write;

use assay_model::outcome::Outcome;

use super::reduce::{self, Group};
use super::{Chart, Point, Scale, Size, Window};
use crate::html::{escaped, shortened};
use crate::mark::{self, round};

/// What is said on a page, where there is a table.
pub(crate) const TABLE: &str = " The same points are in the table below.";

const TOP: f64 = 14.0;
const BELOW: f64 = 34.0;
const RIGHT: f64 = 12.0;

struct Plot<'a> {
    chart: &'a Chart<'a>,
    size: Size,
    groups: Vec<Group<'a>>,
    scale: Scale,
    /// Half the room of a point.
    half: f64,
}

/// The chart as an `<svg>`.
#[must_use]
pub fn svg(chart: &Chart<'_>, size: Size) -> String {
    let columns = if chart.points.len() > reduce::MOST {
        reduce::MOST.min((size.width - size.left - RIGHT) as usize)
    } else {
        chart.points.len()
    };
    let bottom = size.height - BELOW;
    let values = super::on_the_axis(chart.points);
    let plot = Plot {
        groups: reduce::groups(chart.points, columns),
        scale: Scale::of(values, chart.from_zero, TOP, bottom, 5),
        half: (size.width - size.left - RIGHT) / (2.0 * columns.max(1) as f64),
        chart,
        size,
    };
    let mut out = String::with_capacity(2048 + columns * 120);
    let _ = write!(
        out,
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        size.width,
        size.height,
        escaped(&plot.summary())
    );
    plot.axis(&mut out);
    plot.windows(&mut out);
    plot.band(&mut out);
    plot.versions(&mut out);
    plot.median(&mut out);
    plot.line(&mut out);
    plot.marks(&mut out);
    plot.labels(&mut out);
    plot.cuts(&mut out);
    out.push_str("</svg>");
    out
}

impl Plot<'_> {
    fn x(&self, place: usize) -> f64 {
        self.size.left + self.half * (2.0 * place as f64 + 1.0)
    }

    fn bottom(&self) -> f64 {
        self.size.height - BELOW
    }

    /// The chart in a sentence.
    fn summary(&self) -> String {
        let points = self.chart.points;
        let bad = points
            .iter()
            .filter(|p| p.outcome.is_some_and(Outcome::needs_a_look))
            .count();
        let Some(last) = points.last() else {
            return format!("{}: no partition yet", self.chart.title);
        };
        format!(
            "{}: {} from {} to {}, {bad} of them need a look; newest value {}.{TABLE}",
            self.chart.title,
            crate::words::counted(points.len() as u64, "partition", "partitions"),
            shortened(&points[0].label, 40),
            shortened(&last.label, 40),
            if last.text.is_empty() {
                "none"
            } else {
                &last.text
            },
        )
    }

    fn axis(&self, out: &mut String) {
        let told = self.chart.unit.marks(&self.scale.marks);
        for (mark, told) in self.scale.marks.iter().zip(told) {
            let y = round(self.scale.place(*mark));
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{} {y}H{}\"/><text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                self.size.left,
                self.size.width - RIGHT,
                self.size.left - 8.0,
                round(y + 4.0),
                escaped(&told),
            );
        }
        let _ = write!(
            out,
            "<path class=\"axis\" d=\"M{} {b}H{}\"/>",
            self.size.left,
            self.size.width - RIGHT,
            b = self.bottom(),
        );
    }

    /// The groups from that of the label `first` to that of `last`.
    fn span(&self, window: &Window) -> Option<(usize, usize)> {
        let has = |label: &str| {
            self.groups
                .iter()
                .position(|g| g.points.iter().any(|p| p.label == label))
        };
        match (has(&window.first), has(&window.last)) {
            // It began before the chart does.
            (None, Some(last)) => Some((0, last)),
            (Some(first), Some(last)) => Some((first, last.max(first))),
            (Some(first), None) => Some((first, self.groups.len() - 1)),
            (None, None) => None,
        }
    }

    fn windows(&self, out: &mut String) {
        for window in self.chart.windows {
            if let Some((first, last)) = self.span(window) {
                let left = self.x(first) - self.half;
                let _ = write!(
                    out,
                    "<a href=\"{}\" tabindex=\"-1\"><path class=\"incident\" d=\"M{} {TOP}H{}V{}H{}z\"><title>{}</title></path></a>",
                    escaped(&window.href),
                    round(left),
                    round(self.x(last) + self.half),
                    self.bottom(),
                    round(left),
                    escaped(&window.title),
                );
            }
        }
    }

    /// The accepted values as steps: each point's bounds hold for its own room, and for no more.
    fn band(&self, out: &mut String) {
        let bounds: Vec<_> = self.groups.iter().map(Group::bounds).collect();
        let mut from = 0;
        while from < bounds.len() {
            let here = bounds[from].is_some();
            let to = (from..bounds.len())
                .find(|n| bounds[*n].is_some() != here)
                .unwrap_or(bounds.len());
            if here {
                self.steps(out, from, &bounds[from..to]);
            }
            from = to;
        }
    }

    fn steps(&self, out: &mut String, from: usize, bounds: &[Option<(Option<f64>, Option<f64>)>]) {
        let high = |n: usize| {
            bounds[n]
                .and_then(|b| b.1)
                .map_or(TOP, |v| self.scale.place(v))
        };
        let low = |n: usize| {
            bounds[n]
                .and_then(|b| b.0)
                .map_or(self.bottom(), |v| self.scale.place(v))
        };
        let left = |n: usize| round(self.x(from + n) - self.half);
        let right = |n: usize| round(self.x(from + n) + self.half);
        let count = bounds.len();
        let mut path = format!("M{} {}", left(0), round(low(0)));
        for n in 0..count {
            let _ = write!(path, "V{}H{}", round(high(n)), right(n));
        }
        for n in (0..count).rev() {
            let _ = write!(path, "V{}H{}", round(low(n)), left(n));
        }
        let _ = write!(out, "<path class=\"band\" d=\"{path}z\"/>");
        // An edge is drawn only where there is a bound: an open side has none.
        for (is_high, place) in [(true, &high as &dyn Fn(usize) -> f64), (false, &low)] {
            let mut edge = String::new();
            let mut pen = false;
            for (n, bounds) in bounds.iter().enumerate().take(count) {
                let bound = bounds.and_then(|b| if is_high { b.1 } else { b.0 });
                // One beyond the axis would be drawn where it is not.
                let bound = bound.filter(|v| (self.scale.low..=self.scale.high).contains(v));
                if bound.is_some() {
                    let y = round(place(n));
                    let step = if pen {
                        format!("V{y}")
                    } else {
                        format!("M{} {y}", left(n))
                    };
                    let _ = write!(edge, "{step}H{}", right(n));
                }
                pen = bound.is_some();
            }
            if !edge.is_empty() {
                let _ = write!(out, "<path class=\"bound\" d=\"{edge}\"/>");
            }
        }
    }

    /// A word where limits reach beyond the axis: a band that ends at its edge looks as if it ended.
    fn cuts(&self, out: &mut String) {
        let bounds: Vec<_> = self.groups.iter().filter_map(Group::bounds).collect();
        let above = bounds
            .iter()
            .any(|b| b.1.is_some_and(|v| v > self.scale.high));
        let below = bounds
            .iter()
            .any(|b| b.0.is_some_and(|v| v < self.scale.low));
        let arrows = match (above, below) {
            (false, false) => return,
            (true, false) => "↑",
            (false, true) => "↓",
            (true, true) => "↑ ↓",
        };
        let _ = write!(
            out,
            "<text class=\"tick cut\" x=\"{}\" y=\"{}\" text-anchor=\"end\">limits go on beyond the axis {arrows}</text>",
            self.size.width - RIGHT,
            TOP - 3.0,
        );
    }

    /// A line where the definition's version changed.
    fn versions(&self, out: &mut String) {
        let mut before: Option<&String> = None;
        for (place, group) in self.groups.iter().enumerate() {
            for point in group.points {
                if let Some(version) = &point.version {
                    if before.is_some_and(|b| b != version) {
                        let x = round(self.x(place) - self.half);
                        let _ = write!(
                            out,
                            "<path class=\"version\" d=\"M{x} {TOP}V{}\"><title>{}</title></path>",
                            self.bottom(),
                            escaped(&format!(
                                "from {} on: definition {version}",
                                shortened(&point.label, 60)
                            )),
                        );
                    }
                    before = Some(version);
                }
            }
        }
    }

    fn median(&self, out: &mut String) {
        if let Some(median) = self.chart.median {
            let _ = write!(
                out,
                "<path class=\"median\" d=\"M{} {y}H{}\"><title>median {}</title></path>",
                self.size.left,
                self.size.width - RIGHT,
                escaped(&self.chart.unit.short(median)),
                y = round(self.scale.place(median)),
            );
        }
    }

    /// The values: a line between neighbours that both have one.
    fn line(&self, out: &mut String) {
        let mut path = String::new();
        let mut pen = false;
        for (place, group) in self.groups.iter().enumerate() {
            let x = round(self.x(place));
            match group.range() {
                None => pen = false,
                Some((low, high)) => {
                    let y = round(self.scale.place(high));
                    let _ = write!(path, "{}{x} {y}", if pen { 'L' } else { 'M' });
                    if group.points.len() > 1 {
                        let _ = write!(path, "V{}", round(self.scale.place(low)));
                    }
                    // A point that lacks its value ends the line although its neighbours have one.
                    pen = group.points.iter().all(|p| p.drawn().is_some());
                }
            }
        }
        if !path.is_empty() {
            let _ = write!(out, "<path class=\"line\" d=\"{path}\"/>");
        }
    }

    fn marks(&self, out: &mut String) {
        let reduced = self.chart.points.len() > self.groups.len();
        let radius = (self.half * 0.9).clamp(1.6, 4.0);
        for (place, group) in self.groups.iter().enumerate() {
            let point = group.shown();
            let outcome = point.outcome;
            if reduced && outcome.is_none_or(|o| o == Outcome::Pass) {
                continue;
            }
            // What has no value is marked on the axis.
            let y = point.drawn().map_or(self.bottom(), |v| self.scale.place(v));
            let class = outcome.map_or("o-none", mark::class);
            let shape = mark::shape(
                outcome.unwrap_or(Outcome::Learning),
                self.x(place),
                y,
                radius,
            );
            let drawn = format!(
                "<path class=\"dot {class}\" d=\"{shape}\"><title>{}</title></path>",
                escaped(&told(point))
            );
            if point.href.is_empty() {
                out.push_str(&drawn);
            } else {
                let _ = write!(
                    out,
                    "<a href=\"{}\" tabindex=\"-1\">{drawn}</a>",
                    escaped(&point.href)
                );
            }
        }
    }

    fn labels(&self, out: &mut String) {
        let count = self.groups.len();
        if count == 0 {
            return;
        }
        let shown = self.size.labels.min(count);
        for n in 0..shown {
            let place = if shown == 1 {
                count / 2
            } else {
                n * (count - 1) / (shown - 1)
            };
            let anchor = match n {
                0 if shown > 1 => "start",
                n if n + 1 == shown && shown > 1 => "end",
                _ => "middle",
            };
            let x = match anchor {
                "start" => self.x(place) - self.half.min(8.0),
                "end" => self.x(place) + self.half.min(8.0),
                _ => self.x(place),
            };
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
                round(x),
                self.size.height - 12.0,
                escaped(&shortened(&self.groups[place].points[0].label, 14)),
            );
        }
    }
}

/// A point in words.
fn told(point: &Point) -> String {
    let value = if point.text.is_empty() {
        "no value"
    } else {
        &point.text
    };
    let mut text = format!("{}: {value}", shortened(&point.label, 80));
    if let Some(outcome) = point.outcome {
        let _ = write!(text, ", {outcome}");
    }
    let number = crate::words::decimal;
    let _ = match (point.lower, point.upper) {
        (Some(low), Some(high)) if low == high => write!(text, "; limit {}", number(low)),
        (Some(low), Some(high)) => write!(text, "; limits {} and {}", number(low), number(high)),
        (Some(low), None) => write!(text, "; lower limit {}", number(low)),
        (None, Some(high)) => write!(text, "; upper limit {}", number(high)),
        (None, None) => Ok(()),
    };
    if point.provisional {
        text.push_str(" (provisional)");
    }
    text
}
