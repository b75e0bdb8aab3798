//! How long one partition takes whose series have 365 points each: `judge_speed [SERIES]`, or 100.

use std::io::Write;

use assay_judge::{Point, Policy, SeriesInput, SeriesKind, judge_partition};
use jiff::ToSpan;
use jiff::civil::date;

#[expect(
    clippy::disallowed_methods,
    reason = "a program that measures time reads the clock"
)]
fn main() -> std::io::Result<()> {
    let start = date(2025, 1, 1);
    let asked = std::env::args().nth(1).and_then(|n| n.parse().ok());
    let number: i32 = asked.unwrap_or(100);
    let all: Vec<Vec<Point>> = (0..number)
        .map(|k| {
            (0..365)
                .map(|i| Point {
                    date: Some(start.saturating_add(i64::from(i).days())),
                    ..Point::of(1e4 + (f64::from(i * 101 + k) * 12.9898).sin() * 5000.0)
                })
                .collect()
        })
        .collect();
    let series: Vec<SeriesInput<'_>> = all
        .iter()
        .map(|points| SeriesInput {
            kind: SeriesKind::Number,
            points,
            date: Some(date(2026, 1, 1)),
        })
        .collect();
    let rounds = 100;
    let begun = std::time::Instant::now();
    for _ in 0..rounds {
        std::hint::black_box(judge_partition(&series, &Policy::default()));
    }
    let each = begun.elapsed() / rounds;
    writeln!(
        std::io::stdout(),
        "{each:?} for a partition of {number} series of 365 points"
    )
}
