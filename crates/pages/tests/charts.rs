//! Charts against golden files, which `ASSAY_BLESS=1` writes anew: a change of a drawing is a change
//! of a file that somebody looks at.

#![allow(clippy::unwrap_used, reason = "a test that cannot prepare fails")]

use std::path::Path;

use assay_model::outcome::Outcome;
use assay_pages::chart::lines::{self, Line};
use assay_pages::chart::small::{self, Segment};
use assay_pages::chart::timeline::{self, Bar};
use assay_pages::chart::{self, Chart, Point, Size, Unit, Window};

fn golden(name: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    // One element a line, so that a difference is seen.
    let drawn = drawn.replace("><", ">\n<") + "\n";
    if std::env::var_os("ASSAY_BLESS").is_some() {
        std::fs::write(&path, &drawn).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        kept, drawn,
        "{name} is drawn differently: look at it, then ASSAY_BLESS=1"
    );
}

fn point(n: usize, value: Option<f64>, outcome: Outcome) -> Point {
    Point {
        label: format!("2026-10-{:02}", n + 1),
        value,
        text: value.map_or_else(String::new, |v| v.to_string()),
        lower: Some(90.0 + n as f64),
        upper: Some(120.0 + n as f64),
        outcome: Some(outcome),
        version: Some(if n < 12 { "1.0.0" } else { "1.1.0" }.to_owned()),
        href: format!("/runs/{n}"),
        provisional: n < 5,
    }
}

/// Thirty days with one of each: no limits at first, a gap, an error, a warning, an incident, a change
/// of definition, an open bound.
fn month() -> Vec<Point> {
    (0..30)
        .map(|n| {
            let value = 100.0 + n as f64 + [0.0, 4.0, -3.0, 6.0][n % 4];
            match n {
                0..3 => Point {
                    lower: None,
                    upper: None,
                    ..point(n, Some(value), Outcome::Learning)
                },
                9 => Point {
                    lower: None,
                    upper: None,
                    ..point(n, None, Outcome::Missing)
                },
                15 => point(n, None, Outcome::Error),
                18 => point(n, Some(value + 14.0), Outcome::Warn),
                22..25 => point(n, Some(70.0), Outcome::Fail),
                27.. => Point {
                    upper: None,
                    ..point(n, Some(value), Outcome::Pass)
                },
                _ => point(n, Some(value), Outcome::Pass),
            }
        })
        .collect()
}

fn chart<'a>(points: &'a [Point], windows: &'a [Window]) -> Chart<'a> {
    Chart {
        title: "rowCount of orders",
        points,
        windows,
        median: chart::median(points, 30),
        from_zero: false,
        unit: Unit::Number,
    }
}

fn window() -> Window {
    Window {
        first: "2026-10-23".to_owned(),
        last: "2026-10-25".to_owned(),
        title: "incident <open>".to_owned(),
        href: "/incidents/inc_1".to_owned(),
    }
}

#[test]
fn a_month_with_one_of_each_is_drawn() {
    let (points, windows) = (month(), [window()]);
    golden(
        "month-wide.svg",
        &chart::svg(&chart(&points, &windows), Size::WIDE),
    );
    golden(
        "month-narrow.svg",
        &chart::svg(&chart(&points, &windows), Size::NARROW),
    );
    golden(
        "month-small.svg",
        &small::multiple(&chart(&points, &windows)).0,
    );
}

#[test]
fn from_zero_one_point_and_no_point_are_drawn() {
    let points = month();
    golden(
        "month-zero.svg",
        &chart::svg(
            &Chart {
                from_zero: true,
                unit: Unit::Percent,
                ..chart(&points, &[])
            },
            Size::WIDE,
        ),
    );
    golden(
        "one.svg",
        &chart::svg(&chart(&points[5..6], &[]), Size::NARROW),
    );
    golden("none.svg", &chart::svg(&chart(&[], &[]), Size::NARROW));
}

/// The coordinates of a path, by its letters.
fn moves(drawn: &str, class: &str) -> String {
    let at = drawn
        .find(&format!("class=\"{class}\" d=\""))
        .unwrap_or_else(|| panic!("no {class}"));
    drawn[at..].split('"').nth(3).unwrap().to_owned()
}

#[test]
fn limits_are_steps_and_never_slopes() {
    let points = month();
    let drawn = chart::svg(&chart(&points, &[]), Size::WIDE);
    for class in ["band", "bound"] {
        let path = moves(&drawn, class);
        assert!(
            !path.contains(['L', 'l', 'C', 'c', 'Q', 'S']),
            "{class}: {path}"
        );
    }
    // The days without limits begin no band, and the day that has not come parts it in two.
    assert_eq!(drawn.matches("class=\"band\"").count(), 2);
}

#[test]
fn limits_beyond_the_axis_are_said_to_go_on() {
    let drawn = |points: &[Point]| chart::svg(&chart(points, &[]), Size::WIDE);
    let mut points = month();
    assert!(!drawn(&points).contains("beyond the axis"));
    points[4].upper = Some(1e9);
    assert!(drawn(&points).contains("limits go on beyond the axis ↑<"));
    points[5].lower = Some(-1e9);
    assert!(drawn(&points).contains("limits go on beyond the axis ↑ ↓<"));
}

#[test]
fn a_day_without_a_value_breaks_the_line_and_has_its_mark_on_the_axis() {
    let points = month();
    let drawn = chart::svg(&chart(&points, &[]), Size::WIDE);
    assert_eq!(
        moves(&drawn, "line").matches('M').count(),
        3,
        "two days have no value"
    );
    assert_eq!(drawn.matches("class=\"dot o-missing\"").count(), 1);
    assert_eq!(drawn.matches("class=\"dot o-error\"").count(), 1);
    assert_eq!(drawn.matches("class=\"version\"").count(), 1);
    assert_eq!(
        drawn.matches("<a href=\"/runs/").count(),
        30,
        "every point leads somewhere"
    );
}

#[test]
fn a_thousand_points_are_small_and_lose_no_failure() {
    let points: Vec<Point> = (0..1000)
        .map(|n| {
            let failed = n % 97 == 5;
            let value = if failed {
                300.0
            } else {
                100.0 + (n % 13) as f64
            };
            Point {
                label: format!("p{n:04}"),
                ..point(
                    n % 28,
                    Some(value),
                    if failed { Outcome::Fail } else { Outcome::Pass },
                )
            }
        })
        .collect();
    let drawn = chart::svg(&chart(&points, &[]), Size::WIDE);
    assert_eq!(drawn.matches("class=\"dot o-fail\"").count(), 11);
    assert!(!drawn.contains("o-pass"), "what passed is the line");
    assert!(drawn.len() < 60_000, "{} bytes", drawn.len());
}

#[test]
fn sizes_stay_within_what_a_page_can_carry() {
    let sizes: Vec<usize> = [30, 90, 365]
        .into_iter()
        .map(|n| {
            let points: Vec<Point> = (0..n)
                .map(|n| point(n % 28, Some(100.0), Outcome::Pass))
                .collect();
            chart::svg(&chart(&points, &[]), Size::WIDE).len()
        })
        .collect();
    assert!(
        sizes[0] < 12_000 && sizes[1] < 30_000 && sizes[2] < 110_000,
        "{sizes:?}"
    );
}

#[test]
fn hostile_values_and_names_are_drawn_within_the_drawing() {
    let hostile = "<script>\"'&\u{202e}".repeat(50);
    let points: Vec<Point> = [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, -0.0, 1e-320]
        .into_iter()
        .map(|v| Point {
            value: Some(v),
            label: hostile.clone(),
            text: hostile.clone(),
            lower: Some(f64::NEG_INFINITY),
            upper: Some(f64::NAN),
            ..point(1, None, Outcome::Pass)
        })
        .collect();
    let drawn = chart::svg(
        &Chart {
            title: &hostile,
            ..chart(&points, &[])
        },
        Size::WIDE,
    );
    assert!(
        !drawn.contains("NaN\"")
            && !drawn.contains("inf")
            && !drawn.contains("<script>")
            && !drawn.contains('\u{202e}'),
        "{drawn}"
    );
}

#[test]
fn lines_bars_and_timelines_are_drawn() {
    let labels: Vec<String> = (0..10).map(|n| format!("2026-11-{:02}", n + 1)).collect();
    let line = |name: &str, by: f64| Line {
        name: name.to_owned(),
        values: (0..10)
            .map(|n| (n != 4).then_some(f64::from(n) * by))
            .collect(),
    };
    let both = [line("eu", 1.0), line("us", 2.0)];
    golden(
        "lines.svg",
        &lines::svg("by region", &labels, &both, Unit::Number, false, Size::WIDE).0,
    );
    golden(
        "steps.svg",
        &lines::svg("nodes", &labels, &both, Unit::Number, true, Size::NARROW).0,
    );
    let part = |count, name, class| Segment {
        count,
        name,
        class,
        href: "#tasks".to_owned(),
    };
    golden(
        "segments.svg",
        &small::segments(
            &[
                part(7, "done", "g-done"),
                part(2, "running", "g-running"),
                part(0, "failed", "g-failed"),
            ],
            "tasks",
        )
        .0,
    );
    let at = |s| jiff::Timestamp::from_second(1_795_000_000 + s).unwrap();
    let bar = |node: &str, from, to: Option<i64>, state: &str| Bar {
        node: node.to_owned(),
        start: at(from),
        end: to.map(at),
        state: state.to_owned(),
        title: "task".to_owned(),
        href: "/runs/r/tasks/1".to_owned(),
    };
    let bars = [
        bar("node-1", 0, Some(20), "succeeded"),
        bar("node-1", 5, None, "running"),
        bar("node-2", 3, Some(9), "failed"),
    ];
    golden(
        "timeline.svg",
        &timeline::svg(&bars, at(40), 960.0, 130.0).0,
    );
}
