//! Small drawings for tables and cards: a strip of outcomes, a spark of values, a bar in parts.

use std::fmt::Write;

use askama::filters::Safe;
use assay_model::outcome::Outcome;

use super::{Chart, Scale};
use crate::html::{Markup, escaped, shortened};
use crate::mark::{self, round};

/// A square of a strip.
#[derive(Debug, Clone, PartialEq)]
pub struct Square {
    /// Its outcome; `None` for what is still going on.
    pub outcome: Option<Outcome>,
    /// What it is.
    pub title: String,
    /// Where it leads.
    pub href: String,
}

/// Outcomes side by side, oldest first, each with its own shape and link.
#[must_use]
pub fn strip(squares: &[Square]) -> Markup {
    let mut out = String::with_capacity(40 + squares.len() * 160);
    out.push_str("<span class=\"strip\">");
    for square in squares {
        let drawn = match square.outcome {
            Some(outcome) => mark::icon(outcome),
            None => "<svg class=\"mk s-busy\" viewBox=\"0 0 12 12\" aria-hidden=\"true\" focusable=\"false\"><path d=\"M3 1.5l7 4.5l-7 4.5z\"/></svg>".to_owned(),
        };
        let title = escaped(&shortened(&square.title, 120));
        let _ = write!(
            out,
            "<a href=\"{}\" title=\"{title}\" aria-label=\"{title}\">{drawn}</a>",
            escaped(&square.href),
        );
    }
    out.push_str("</span>");
    Safe(out)
}

/// Values as a line of 120 by 28 with the newest marked; a gap where there is none.
#[must_use]
pub fn spark(values: &[Option<f64>], title: &str) -> Markup {
    let (width, height) = (120.0, 28.0);
    let finite = |v: &Option<f64>| v.filter(|v| v.is_finite());
    if values.iter().filter_map(finite).next().is_none() {
        return Safe("<span class=\"faint\">–</span>".to_owned());
    }
    let scale = Scale::of(
        values.iter().filter_map(finite),
        false,
        4.0,
        height - 4.0,
        2,
    );
    let step = (width - 8.0) / (values.len().max(2) - 1) as f64;
    let mut path = String::new();
    let mut last = None;
    let mut pen = false;
    for (n, value) in values.iter().enumerate() {
        match finite(value) {
            None => pen = false,
            Some(value) => {
                let (x, y) = (round(4.0 + step * n as f64), round(scale.place(value)));
                let _ = write!(path, "{}{x} {y}", if pen { 'L' } else { 'M' });
                pen = true;
                last = Some((x, y));
            }
        }
    }
    let dot = last.map_or_else(String::new, |(x, y)| {
        format!(
            "<path class=\"spark-end\" d=\"{}\"/>",
            mark::shape(Outcome::Pass, x, y, 2.0)
        )
    });
    Safe(format!(
        "<svg class=\"spark\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"><path class=\"line\" d=\"{path}\"/>{dot}</svg>",
        escaped(title)
    ))
}

/// The chart of a metric in 220 by 60: limits, values, and what did not pass.
#[must_use]
pub fn multiple(chart: &Chart<'_>) -> Markup {
    let (width, height) = (220.0, 60.0);
    let points = chart.points;
    let values = super::on_the_axis(points);
    let scale = Scale::of(values, false, 5.0, height - 5.0, 2);
    let half = (width - 8.0) / (2.0 * points.len().max(1) as f64);
    let x = |n: usize| 4.0 + half * (2.0 * n as f64 + 1.0);
    let mut out = format!(
        "<svg class=\"multiple\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escaped(chart.title)
    );
    for (n, point) in points.iter().enumerate().filter(|(_, p)| p.has_bounds()) {
        let high = point.upper.map_or(2.0, |v| scale.place(v));
        let low = point.lower.map_or(height - 2.0, |v| scale.place(v));
        let _ = write!(
            out,
            "<path class=\"band\" d=\"M{} {}H{}V{}H{}z\"/>",
            round(x(n) - half),
            round(high),
            round(x(n) + half),
            round(low),
            round(x(n) - half)
        );
    }
    let mut path = String::new();
    let mut pen = false;
    for (n, point) in points.iter().enumerate() {
        if let Some(value) = point.drawn() {
            let _ = write!(
                path,
                "{}{} {}",
                if pen { 'L' } else { 'M' },
                round(x(n)),
                round(scale.place(value))
            );
            pen = true;
        } else {
            pen = false;
        }
    }
    let _ = write!(out, "<path class=\"line\" d=\"{path}\"/>");
    let has = |n: Option<usize>| {
        n.and_then(|n| points.get(n))
            .is_some_and(|p| p.drawn().is_some())
    };
    for (n, point) in points.iter().enumerate() {
        // A value without a neighbour has no line.
        let alone = !has(n.checked_sub(1)) && !has(Some(n + 1));
        if let Some(value) = point.drawn().filter(|_| alone) {
            let dot = mark::shape(Outcome::Pass, x(n), scale.place(value), 2.2);
            let _ = write!(out, "<path class=\"spark-end\" d=\"{dot}\"/>");
        }
    }
    for (n, point) in points.iter().enumerate() {
        if let Some(outcome) = point.outcome.filter(|o| o.needs_a_look()) {
            let y = point.drawn().map_or(height - 5.0, |v| scale.place(v));
            let _ = write!(
                out,
                "<path class=\"dot {}\" d=\"{}\"/>",
                mark::class(outcome),
                mark::shape(outcome, x(n), y, 3.0)
            );
        }
    }
    out.push_str("</svg>");
    Safe(out)
}

/// A part of a bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// How many.
    pub count: u64,
    /// What they are.
    pub name: &'static str,
    /// The class that carries the colour.
    pub class: &'static str,
    /// Where they are listed.
    pub href: String,
}

/// A bar in parts with its legend: what is nothing is in the legend, and not in the bar.
#[must_use]
pub fn segments(parts: &[Segment], title: &str) -> Markup {
    let total: u64 = parts.iter().map(|p| p.count).sum();
    let mut out = format!(
        "<svg class=\"bar\" viewBox=\"0 0 1000 12\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\"><path class=\"bar-bed\" d=\"M0 0h1000v12h-1000z\"/>",
        escaped(title)
    );
    let mut before = 0;
    for part in parts.iter().filter(|p| p.count > 0) {
        let place = |n: u64| round(1000.0 * n as f64 / total.max(1) as f64);
        let (from, to) = (place(before), place(before + part.count));
        let _ = write!(
            out,
            "<path class=\"{}\" d=\"M{from} 0H{to}V12H{from}z\"><title>{} {}</title></path>",
            part.class,
            crate::words::count(part.count),
            escaped(part.name),
        );
        before += part.count;
    }
    out.push_str("</svg><ul class=\"legend\">");
    for part in parts {
        let _ = write!(
            out,
            "<li class=\"{}\"><svg class=\"key\" viewBox=\"0 0 10 10\" aria-hidden=\"true\" focusable=\"false\"><path class=\"{}\" d=\"M0 0h10v10h-10z\"/></svg><a href=\"{}\"><b>{}</b> {}</a></li>",
            if part.count == 0 { "none" } else { "some" },
            part.class,
            escaped(&part.href),
            crate::words::count(part.count),
            escaped(part.name),
        );
    }
    out.push_str("</ul>");
    Safe(out)
}

/// How much of something is in use, 0 to 1, as a bar with its words beside it.
#[must_use]
pub fn gauge(part: f64, name: &str, words: &str) -> Markup {
    let part = if part.is_finite() {
        part.clamp(0.0, 1.0)
    } else {
        0.0
    };
    let class = match part {
        p if p >= 0.95 => "g-high",
        p if p >= 0.8 => "g-mid",
        _ => "g-low",
    };
    Safe(format!(
        "<div class=\"gauge\"><span>{name}</span><svg viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\"><path class=\"bar-bed\" d=\"M0 0h100v8h-100z\"/><path class=\"{class}\" d=\"M0 0h{}v8H0z\"/></svg><span class=\"num\">{words}</span></div>",
        round(part * 100.0),
        name = escaped(name),
        words = escaped(words),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_has_a_name_and_a_link_for_each_square() {
        let made = strip(&[
            Square {
                outcome: Some(Outcome::Fail),
                title: "<b>".to_owned(),
                href: "/runs/1".to_owned(),
            },
            Square {
                outcome: None,
                title: "running".to_owned(),
                href: "/runs/2".to_owned(),
            },
        ]);
        assert_eq!(made.0.matches("<a href=\"/runs/").count(), 2);
        assert!(made.0.contains("&lt;b&gt;") && made.0.contains("o-fail"));
    }

    #[test]
    fn a_spark_has_a_gap_where_there_is_no_value() {
        let made = spark(&[Some(1.0), None, Some(2.0), Some(3.0)], "rows").0;
        let line = made.split("class=\"line\" d=\"").nth(1).unwrap();
        let line = line.split('"').next().unwrap();
        assert_eq!(line.matches('M').count(), 2, "{line}");
        assert!(spark(&[None, Some(f64::NAN)], "rows").0.contains('–'));
    }

    #[test]
    fn a_bar_shows_what_there_is_and_its_legend_all() {
        let part = |count, name, class| Segment {
            count,
            name,
            class,
            href: "#tasks".to_owned(),
        };
        let made = segments(
            &[part(3, "done", "g-done"), part(0, "failed", "g-failed")],
            "tasks",
        )
        .0;
        assert_eq!(made.matches("<li").count(), 2);
        assert_eq!(made.matches("g-failed").count(), 1, "only in the legend");
        assert!(segments(&[], "nothing").0.contains("bar-bed"));
    }

    #[test]
    fn a_gauge_stays_in_its_bed() {
        for part in [-1.0, 0.5, 7.0, f64::NAN, f64::INFINITY] {
            assert!(gauge(part, "cpu", "?").0.contains("viewBox"));
        }
        assert!(gauge(7.0, "cpu", "?").0.contains("M0 0h100v8"));
    }
}
