//! The points of the API as a chart, its range, and the table of the same points.

use askama::filters::Safe;
use assay_answers::metric::{Point as Told, Points};
use jiff::Timestamp;

use super::{Choice, with_query};
use crate::chart::{self, Chart, Point, Size, Unit, Window};
use crate::frame::Cx;
use crate::html::{Markup, part, shortened};
use crate::show;

/// Partitions that a chart shows when nothing else is asked.
const USUAL: usize = 90;

/// Which part of a history is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The newest so many; all where `None`.
    pub last: Option<usize>,
    /// From this partition on.
    pub from: Option<String>,
    /// Up to this partition.
    pub to: Option<String>,
    /// Whether the axis begins at nothing.
    pub zero: bool,
}

impl Range {
    /// What a request asks for.
    #[must_use]
    pub fn of(cx: &Cx<'_>) -> Self {
        let text = |name: &str| cx.asked.q(name).map(str::to_owned);
        let (from, to) = (text("from"), text("to"));
        let last = match cx.asked.q("last") {
            Some("all") => None,
            Some(number) => number.parse().ok().filter(|n| *n > 0).or(Some(USUAL)),
            None if from.is_some() || to.is_some() => None,
            None => Some(USUAL),
        };
        Self {
            last,
            from,
            to,
            zero: cx.asked.q("zero") == Some("1"),
        }
    }

    /// The ranges to choose from, and the switch of the axis, for a page on `path`.
    #[must_use]
    pub fn choices(&self, path: &str, more: &[(&str, Option<&str>)]) -> Vec<Choice> {
        let zero = self.zero.then_some("1");
        let link = |last: &str, zero| {
            let mut values = more.to_vec();
            values.extend([("last", Some(last)), ("zero", zero)]);
            with_query(path, &values)
        };
        let mut all: Vec<Choice> = [14, 30, 90, 365]
            .into_iter()
            .map(|n: usize| Choice {
                name: format!("{n}"),
                href: link(&n.to_string(), zero),
                chosen: self.last == Some(n),
            })
            .collect();
        let whole = self.last.is_none() && self.from.is_none() && self.to.is_none();
        all.push(Choice {
            name: "all".to_owned(),
            href: link("all", zero),
            chosen: whole,
        });
        let now = self
            .last
            .map_or_else(|| "all".to_owned(), |n| n.to_string());
        let mut values = more.to_vec();
        let turned = if self.zero { None } else { Some("1") };
        values.extend([
            ("last", Some(now.as_str())),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("zero", turned),
        ]);
        all.push(Choice {
            name: "from zero".to_owned(),
            href: with_query(path, &values),
            chosen: self.zero,
        });
        all
    }
}

/// A row of the table below a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The point.
    pub of: Told,
    /// Its version of the definition, in words.
    pub definition: String,
}

/// A chart and the table of its points.
pub struct Curve {
    /// The chart, wide and narrow.
    pub chart: Markup,
    /// Its points, newest first.
    pub rows: Vec<Row>,
    /// What is left out, in words; empty when nothing is.
    pub left_out: String,
    /// Whether any point could be drawn.
    pub drawn: bool,
    /// Whether any point had limits.
    pub has_band: bool,
    /// Whether an incident lies in the range.
    pub has_incident: bool,
    /// Whether the definition changed in the range.
    pub has_change: bool,
}

/// A point of the chart of a point of the API.
fn drawn(of: &Told, dataset: &str, changes: &[(String, String)]) -> Point {
    let href = of.run_id.as_ref().map(|run| format!("/runs/{}", part(run)));
    Point {
        label: of.partition.clone(),
        value: of.value.as_f64(),
        text: match of.status.as_str() {
            "computed" => show::value(&of.value),
            other => other.to_owned(),
        },
        lower: of.lower,
        upper: of.upper,
        outcome: of.outcome,
        version: of.definition.as_ref().map(|digest| spelt(digest, changes)),
        href: href.unwrap_or_else(|| format!("/datasets/{}/partitions", part(dataset))),
        provisional: false,
    }
}

/// A definition by its version where that is known, else by the beginning of its digest.
fn spelt(digest: &str, changes: &[(String, String)]) -> String {
    let known = changes.iter().find(|(known, _)| known == digest);
    known.map_or_else(|| shortened(digest, 12), |(_, version)| version.clone())
}

/// The newest of `points` that `range` leaves, and how many it leaves out.
fn of_range<'a>(points: &'a [Told], range: &Range) -> (&'a [Told], usize) {
    let keep = range.last.unwrap_or(points.len()).min(points.len());
    (&points[points.len() - keep..], points.len() - keep)
}

/// The chart in both its forms, inside what the script looks for.
#[must_use]
pub fn both(chart: &Chart<'_>) -> Markup {
    Safe(format!(
        "<div class=\"chart-wide\" data-chart>{}</div><div class=\"chart-narrow\" data-chart>{}</div>",
        chart::svg(chart, Size::WIDE),
        chart::svg(chart, Size::NARROW)
    ))
}

/// The windows of incidents of which something is drawn.
#[must_use]
pub fn windows(points: &Points, drawn: &[Point]) -> Vec<Window> {
    points
        .incidents
        .iter()
        .map(|i| Window {
            first: i.first_partition.clone(),
            last: i.last_partition.clone(),
            title: format!(
                "incident, {}: {} to {}",
                i.status,
                shortened(&i.first_partition, 40),
                shortened(&i.last_partition, 40)
            ),
            href: format!("/incidents/{}", part(&i.id)),
        })
        .filter(|w| {
            drawn
                .iter()
                .any(|p| p.label == w.first || p.label == w.last)
        })
        .collect()
}

/// What is left out of `drawn` points, in words; `before` lie before the range, and `is_cut` says
/// whether limits lie beyond the axis.
fn left_out(points: &Points, before: usize, drawn: usize, is_cut: bool) -> String {
    let mut left_out = Vec::new();
    if before > 0 {
        left_out.push(format!(
            "{} are not shown",
            crate::words::counted(before as u64, "earlier partition", "earlier partitions")
        ));
    }
    if points.total > points.points.len() as u64 {
        left_out.push(format!(
            "{} points were reduced to {}: the least and the greatest of each stretch",
            crate::words::count(points.total),
            crate::words::count(points.points.len() as u64)
        ));
    }
    if points.older {
        left_out.push(
            "there are older points than one read gives: choose a range by its partitions"
                .to_owned(),
        );
    }
    if drawn > chart::reduce::MOST {
        left_out.push("the chart shows the least and the greatest of each column, and every point that did not pass".to_owned());
    }
    if is_cut {
        left_out.push("limits far beyond the values are cut off; the table has them".to_owned());
    }
    left_out.join("; ")
}

/// The versions of the definitions that judged points, by digest.
fn changes(points: &Points) -> Vec<(String, String)> {
    let known = points.changes.iter();
    known
        .filter_map(|c| Some((c.definition.clone(), c.version.clone()?)))
        .collect()
}

/// The points of the chart of `shown` ones of `points`.
#[must_use]
pub fn all_drawn(points: &Points, shown: &[Told]) -> Vec<Point> {
    let changes = changes(points);
    shown
        .iter()
        .map(|p| drawn(p, &points.dataset, &changes))
        .collect()
}

/// The chart of points and the table of them.
#[must_use]
pub fn of(points: &Points, range: &Range, title: &str) -> Curve {
    let (shown, before) = of_range(&points.points, range);
    let changes = changes(points);
    let drawn_points = all_drawn(points, shown);
    let windows = windows(points, &drawn_points);
    let chart = Chart {
        title,
        points: &drawn_points,
        windows: &windows,
        median: chart::median(&drawn_points, 30),
        from_zero: range.zero,
        unit: Unit::of(points.key.metric.as_str()),
    };
    let left_out = left_out(
        points,
        before,
        drawn_points.len(),
        chart::cuts_limits(&drawn_points),
    );
    let mut versions: Vec<&String> = drawn_points
        .iter()
        .filter_map(|p| p.version.as_ref())
        .collect();
    versions.dedup();
    Curve {
        chart: both(&chart),
        rows: shown
            .iter()
            .rev()
            .map(|p| Row {
                of: p.clone(),
                definition: p
                    .definition
                    .as_ref()
                    .map_or_else(|| "–".to_owned(), |d| spelt(d, &changes)),
            })
            .collect(),
        left_out,
        drawn: drawn_points.iter().any(|p| p.drawn().is_some()),
        has_band: drawn_points.iter().any(Point::has_bounds),
        has_incident: !windows.is_empty(),
        has_change: versions.len() > 1,
    }
}

/// The points as CSV; a text that a table program would take for a formula is told from one.
#[must_use]
pub fn csv(points: &Points) -> String {
    let mut out =
        String::from("partition,series,time,status,value,lower,expected,upper,outcome,check,run\n");
    let number = |n: Option<f64>| n.map_or_else(String::new, |n| n.to_string());
    let time = |t: Option<Timestamp>| t.map_or_else(String::new, |t| t.to_string());
    for p in &points.points {
        let value = match &p.value {
            assay_answers::value::Value::Null => String::new(),
            assay_answers::value::Value::Exact(digits) => digits.clone(),
            other => cell(&other.to_string()),
        };
        let cells = [
            cell(&p.partition),
            cell(&p.series),
            time(p.t),
            cell(&p.status),
            value,
            number(p.lower),
            number(p.expected),
            number(p.upper),
            p.outcome.map_or("", |o| o.as_str()).to_owned(),
            cell(p.check.as_deref().unwrap_or_default()),
            cell(p.run_id.as_deref().unwrap_or_default()),
        ];
        out.push_str(&cells.join(","));
        out.push('\n');
    }
    out
}

fn cell(text: &str) -> String {
    let formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    let text = if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_two() {
        assert_eq!(cell("=1+1"), "'=1+1");
        assert_eq!(cell("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(cell("-12.5"), "-12.5");
        assert_eq!(cell("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }

    #[test]
    fn a_range_keeps_its_choice_in_its_links() {
        let range = Range {
            last: Some(30),
            from: None,
            to: None,
            zero: true,
        };
        let choices = range.choices("/x", &[("column", Some("a b"))]);
        assert!(
            choices
                .iter()
                .any(|c| c.chosen && c.href == "/x?column=a%20b&last=30&zero=1")
        );
        let zero = choices.last().unwrap();
        assert!(zero.chosen && !zero.href.contains("zero"));
    }
}
