//! Several series over time, or over partitions: group-by lines, nodes wanted and ready.

use std::fmt::Write;

use super::{Scale, Size, Unit};
use crate::html::{Markup, escaped, shortened};
use crate::mark::round;
use askama::filters::Safe;

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its values, each at the place of its number; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

/// Lines that are drawn at most; those after them are named as left out.
pub const MOST: usize = 8;

/// Lines over shared places. `labels` names each place; a step holds its value to the next.
#[must_use]
pub fn svg(
    title: &str,
    labels: &[String],
    lines: &[Line],
    unit: Unit,
    steps: bool,
    size: Size,
) -> Markup {
    let (top, bottom, right) = (12.0, size.height - 34.0, 12.0);
    let drawn = &lines[..lines.len().min(MOST)];
    let values = drawn
        .iter()
        .flat_map(|l| l.values.iter().flatten().copied());
    let scale = Scale::of(values, steps, top, bottom, 4);
    let places = labels.len().max(1);
    let step = (size.width - size.left - right) / places as f64;
    let x = |n: usize| round(size.left + step * (n as f64 + 0.5));
    let mut out = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
        size.width,
        size.height,
        escaped(title)
    );
    for (mark, told) in scale.marks.iter().zip(unit.marks(&scale.marks)) {
        let y = round(scale.place(*mark));
        let _ = write!(
            out,
            "<path class=\"grid\" d=\"M{} {y}H{}\"/><text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            size.left,
            size.width - right,
            size.left - 8.0,
            round(y + 4.0),
            escaped(&told)
        );
    }
    for (n, line) in drawn.iter().enumerate() {
        let values = line.values.iter().take(places);
        let path = run_of(values, steps, x, |value| round(scale.place(value)));
        let _ = write!(
            out,
            "<path class=\"series c{n}\" d=\"{path}\"><title>{}</title></path>",
            escaped(&shortened(&line.name, 80))
        );
    }
    let shown = size.labels.min(labels.len());
    for n in 0..shown {
        let place = n * (labels.len() - 1) / (shown - 1).max(1);
        let anchor = match n {
            0 => "start",
            n if n + 1 == shown => "end",
            _ => "middle",
        };
        let _ = write!(
            out,
            "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
            x(place),
            size.height - 12.0,
            escaped(&shortened(&labels[place], 16))
        );
    }
    out.push_str("</svg>");
    Safe(out)
}

/// The path of one line: broken where there is no value.
fn run_of<'a>(
    values: impl Iterator<Item = &'a Option<f64>>,
    steps: bool,
    x: impl Fn(usize) -> f64,
    y: impl Fn(f64) -> f64,
) -> String {
    let mut path = String::new();
    let mut pen = false;
    for (place, value) in values.enumerate() {
        let Some(value) = value.filter(|v| v.is_finite()) else {
            pen = false;
            continue;
        };
        let (x, y) = (x(place), y(value));
        let _ = match (pen, steps) {
            (true, true) => write!(path, "H{x}V{y}"),
            (true, false) => write!(path, "L{x} {y}"),
            // One value alone is seen as a dash.
            (false, _) => write!(path, "M{} {y}H{x}", round(x - 3.0)),
        };
        pen = true;
    }
    path
}

/// What each line is.
#[must_use]
pub fn legend(lines: &[Line]) -> Markup {
    let mut out = String::from("<ul class=\"legend\">");
    for (n, line) in lines.iter().take(MOST).enumerate() {
        let _ = write!(
            out,
            "<li><svg class=\"key\" viewBox=\"0 0 14 10\" aria-hidden=\"true\" focusable=\"false\"><path class=\"series c{n}\" d=\"M0 5h14\"/></svg>{}</li>",
            escaped(&shortened(&line.name, 60))
        );
    }
    if lines.len() > MOST {
        let _ = write!(out, "<li>showing {MOST} of {}</li>", lines.len());
    }
    out.push_str("</ul>");
    Safe(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_ends_a_line_and_a_step_holds_its_value() {
        let labels: Vec<String> = (0..4).map(|n| n.to_string()).collect();
        let line = Line {
            name: "eu".to_owned(),
            values: vec![Some(1.0), Some(2.0), None, Some(3.0)],
        };
        let made = |steps| {
            svg(
                "t",
                &labels,
                std::slice::from_ref(&line),
                Unit::Number,
                steps,
                Size::WIDE,
            )
            .0
        };
        let series = |made: &str| {
            made.split("class=\"series c0\" d=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        };
        assert_eq!(series(&made(false)).matches('M').count(), 2);
        assert!(series(&made(true)).contains('V'));
    }

    #[test]
    fn lines_beyond_the_most_are_named_as_left_out() {
        let lines: Vec<Line> = (0..11)
            .map(|n| Line {
                name: format!("<{n}>"),
                values: vec![Some(1.0)],
            })
            .collect();
        let legend = legend(&lines).0;
        assert!(legend.contains("showing 8 of 11") && legend.contains("&lt;0&gt;"));
        let drawn = svg(
            "t",
            &["a".to_owned()],
            &lines,
            Unit::Number,
            false,
            Size::NARROW,
        )
        .0;
        assert_eq!(drawn.matches("class=\"series").count(), 8);
    }
}
