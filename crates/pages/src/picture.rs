//! A chart as a file of its own, to be shown elsewhere.
//!
//! Comes in: the points of a metric. Goes out: an SVG with its colours within, light and dark, that
//! reads nothing from elsewhere and runs nothing. It must never draw other than the page of the metric
//! does: it is that page's chart.

use std::fmt::Write as _;

use assay_answers::metric::Points;

use crate::chart::{self, Chart, Size, TABLE, Unit};
use crate::html::{escaped, shortened};
use crate::reply::STYLES;
use crate::view::curve;

/// Room for the title.
const TITLE: f64 = 34.0;
/// Characters of a title.
const TITLE_MAX: usize = 100;

/// The colours and the rules of charts, of the style sheet of the pages.
fn styles() -> String {
    let colours = STYLES.split("*, *::before").next().unwrap_or_default();
    let mut out = colours.to_owned();
    let of_charts = |line: &&str| {
        let drawn = ["path.", ".tick", ".o-"];
        drawn.iter().any(|begin| line.starts_with(begin))
    };
    for line in STYLES.lines().filter(of_charts) {
        out.push_str(line);
        out.push('\n');
    }
    out.push_str(
        ".ground { fill: var(--surface); } .title { fill: var(--ink); font-size: 15px; font-weight: 600; } text { font-family: system-ui, sans-serif; }",
    );
    out
}

/// The chart of a metric over partitions.
#[must_use]
pub fn chart(points: &Points) -> String {
    let drawn = curve::all_drawn(points, &points.points);
    let windows = curve::windows(points, &drawn);
    let metric = &points.key.name;
    let title = format!("{} · {metric}", points.dataset);
    let of = Chart {
        title: &title,
        points: &drawn,
        windows: &windows,
        median: chart::median(&drawn, 30),
        from_zero: false,
        unit: Unit::of(points.key.metric.as_str()),
    };
    let size = Size::WIDE;
    let (width, height) = (size.width, size.height + TITLE);
    let within = chart::svg(&of, size).replace(TABLE, "");
    // A drawing within a drawing has no size of its own.
    let within = within.replacen(
        "<svg ",
        &format!(
            "<svg y=\"{TITLE}\" width=\"{width}\" height=\"{}\" ",
            size.height
        ),
        1,
    );
    let mut out = String::with_capacity(within.len() + 8192);
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title><style>{1}</style><rect class=\"ground\" width=\"{width}\" height=\"{height}\"/><text class=\"title\" x=\"16\" y=\"24\">{2}</text>{within}</svg>",
        escaped(&title),
        styles().replace('&', "&amp;").replace('<', "&lt;"),
        escaped(&shortened(&title, TITLE_MAX)),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_every_rule_that_its_chart_needs() {
        let styles = styles();
        for rule in [
            "--data:",
            "prefers-color-scheme: dark",
            "path.line {",
            "path.band {",
            "path.bound {",
            "path.incident {",
            "path.version {",
            "path.median {",
            "path.dot {",
            "path.axis {",
            ".tick {",
            ".o-fail {",
        ] {
            assert!(styles.contains(rule), "{rule}");
        }
        assert_eq!(styles.matches('{').count(), styles.matches('}').count());
        assert!(!styles.contains("body {") && !styles.contains("url("));
    }
}
