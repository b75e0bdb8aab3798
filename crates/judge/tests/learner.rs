//! The laws of the learner: what every limit must obey, whatever the history.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use assay_judge::series_file::judge_file;
use assay_judge::{
    Limits, Point, Policy, SeriesInput, SeriesKind, backtest, judge_partition, judge_series,
};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use proptest::prelude::*;

const START: Date = date(2026, 1, 1);

/// Deterministic noise from -1 to 1.
fn noise(i: usize) -> f64 {
    let x = (i as f64 * 12.9898).sin() * 43_758.545_3;
    2.0 * (x - x.floor()) - 1.0
}

fn daily(values: impl IntoIterator<Item = f64>) -> Vec<Point> {
    values
        .into_iter()
        .enumerate()
        .map(|(i, value)| Point {
            date: Some(START.saturating_add((i as i64).days())),
            ..Point::of(value)
        })
        .collect()
}

fn learn(kind: SeriesKind, points: &[Point]) -> Limits {
    let date = points
        .last()
        .and_then(|p| p.date)
        .map(|d| d.saturating_add(1.day()));
    judge_series(&SeriesInput { kind, points, date }, &Policy::default())
}

fn number(points: &[Point]) -> Limits {
    learn(SeriesKind::Number, points)
}

#[test]
fn fewer_than_eight_eligible_points_are_learning_and_say_how_many_more() {
    let mut points = daily((0..9).map(|i| 100.0 + noise(i)));
    points[2].eligible = false;
    points[4].value = None;
    let limits = number(&points);
    assert_eq!(
        (limits.needs_more, limits.lower, limits.upper),
        (Some(1), None, None)
    );
    assert_eq!(limits.learned_from, [0, 1, 3, 5, 6, 7, 8]);
    let none = number(&[]);
    assert_eq!(none.needs_more, Some(8));
}

#[test]
fn limits_are_provisional_until_thirty_five_points() {
    let points = daily((0..35).map(|i| 100.0 + noise(i)));
    let (young, steady) = (number(&points[..34]), number(&points));
    assert!(young.provisional && young.lower.is_some());
    assert!(!steady.provisional);
}

#[test]
fn a_flat_history_accepts_its_value_and_nothing_else() {
    let limits = number(&daily([72.0; 40]));
    assert!(limits.accepts(72.0));
    assert!(!limits.accepts(71.0) && !limits.accepts(73.0) && !limits.accepts(f64::NAN));
    assert_eq!(limits.model, "constant");
}

#[test]
fn limits_scale_with_the_values() {
    let values: Vec<f64> = (0..90)
        .map(|i| 1000.0 + 90.0 * noise(i) + 8.0 * noise(7 * i))
        .collect();
    let one = number(&daily(values.iter().copied()));
    let thousand = number(&daily(values.iter().map(|v| v * 1000.0)));
    let pairs = [
        (one.lower, thousand.lower),
        (one.upper, thousand.upper),
        (one.expected, thousand.expected),
    ];
    for (a, b) in pairs {
        let (a, b) = (a.unwrap() * 1000.0, b.unwrap());
        assert!((a - b).abs() < 1e-6 * b.abs(), "{a} is not {b}");
    }
}

#[test]
fn one_past_outage_does_not_blind_the_rule_to_the_next() {
    let mut values: Vec<f64> = (0..120).map(|i| 10_000.0 + 300.0 * noise(i)).collect();
    let before = number(&daily(values.iter().copied()));
    assert!(!before.accepts(4000.0));
    values[80] = 10.0;
    let after = number(&daily(values.iter().copied()));
    assert!(!after.accepts(4000.0), "{after:?}");
    assert!(after.accepts(10_000.0));
}

#[test]
fn an_excluded_partition_teaches_nothing_and_keeps_its_place() {
    let mut points = daily((0..60).map(|i| 500.0 + 20.0 * noise(i)));
    points[40].eligible = false;
    let without = number(&points);
    points[40].value = Some(1e9);
    assert_eq!(number(&points), without);
    assert!(!without.learned_from.contains(&40) && without.learned_from.contains(&41));
}

#[test]
fn the_weekday_is_used_only_when_the_past_prefers_it() {
    let week = [900.0, 910.0, 905.0, 915.0, 920.0, 300.0, 250.0];
    let seasonal = daily((0..120).map(|i| week[i % 7] + 5.0 * noise(i)));
    let limits = number(&seasonal);
    assert!(limits.model.starts_with("weekday"), "{}", limits.model);
    // The 121st day is the second of its week.
    assert!(
        limits.accepts(910.0) && !limits.accepts(300.0),
        "{limits:?}"
    );
    let plain = number(&daily((0..120).map(|i| 900.0 + 50.0 * noise(i))));
    assert!(!plain.model.starts_with("weekday"), "{}", plain.model);
    // Without dates there is no weekday.
    let undated: Vec<Point> = seasonal
        .iter()
        .map(|p| Point { date: None, ..*p })
        .collect();
    assert!(!number(&undated).model.starts_with("weekday"));
}

#[test]
fn a_share_stays_between_nothing_and_all() {
    let points = daily((0..60).map(|i| 2.0 + noise(i)));
    let limits = learn(SeriesKind::Percent, &points);
    assert!(limits.lower.unwrap() >= 0.0 && limits.upper.unwrap() <= 100.0);
    assert!(!limits.accepts(30.0), "{limits:?}");
}

#[test]
fn more_metrics_or_a_smaller_budget_make_each_limit_wider() {
    let all: Vec<Vec<Point>> = (0..60)
        .map(|k| daily((0..60).map(|i| 1e4 + 100.0 * noise(i * 61 + k))))
        .collect();
    let inputs: Vec<SeriesInput<'_>> = all
        .iter()
        .map(|points| SeriesInput {
            kind: SeriesKind::Number,
            points,
            date: None,
        })
        .collect();
    let width = |l: &Limits| l.upper.unwrap() - l.lower.unwrap();
    let alone = width(&judge_partition(&inputs[..1], &Policy::default())[0]);
    let among = width(&judge_partition(&inputs, &Policy::default())[0]);
    let strict = Policy {
        budget: 0.002,
        ..Policy::default()
    };
    let careful = width(&judge_partition(&inputs, &strict)[0]);
    assert!(
        alone < among && among < careful,
        "{alone} {among} {careful}"
    );
}

#[test]
fn what_other_metrics_do_on_bad_days_does_not_take_the_limits_of_rows_away() {
    let rows = daily((0..60).map(|i| 1e3 + 40.0 * noise(i)));
    // Every ninth day is a bad one for all other metrics at once.
    let wild: Vec<Vec<Point>> = (0..80)
        .map(|k| {
            let usual = move |i: usize| 1e4 + 100.0 * noise(i * 61 + k);
            daily((0..60).map(move |i| usual(i) + if i % 9 == 0 { 4e2 } else { 0.0 }))
        })
        .collect();
    let inputs: Vec<SeriesInput<'_>> = std::iter::once((SeriesKind::Volume, &rows))
        .chain(wild.iter().map(|points| (SeriesKind::Number, points)))
        .map(|(kind, points)| SeriesInput {
            kind,
            points,
            date: None,
        })
        .collect();
    let policy = Policy::default();
    let among_ten = &judge_partition(&inputs[..10], &policy)[0];
    let among_all = &judge_partition(&inputs, &policy)[0];
    assert_eq!(among_all, among_ten);
    assert!(among_all.accepts(960.0), "{among_all:?}");
    assert!(!among_all.accepts(700.0), "{among_all:?}");
    assert!(!among_all.accepts(1_300.0), "{among_all:?}");
}

#[test]
fn a_backtest_names_the_outages_of_the_past_and_no_quiet_day() {
    let mut values: Vec<f64> = (0..100).map(|i| 10_000.0 + 300.0 * noise(i)).collect();
    values[70] = 12.0;
    values[95] = 90_000.0;
    let points = daily(values);
    let input = SeriesInput {
        kind: SeriesKind::Number,
        points: &points,
        date: None,
    };
    let alerts = backtest(&[input], 60, &Policy::default());
    let found: Vec<usize> = alerts.iter().map(|a| 100 - a.back).collect();
    assert_eq!(found, [70, 95]);
    assert_eq!(alerts[0].date, points[70].date);
}

#[test]
fn values_whose_differences_overflow_are_judged() {
    // Misses are infinite, and the difference of two such is none: no bound may rest on it.
    let points = daily((0..60).map(|i| {
        let sign = if i % 3 == 0 { -1.0 } else { 1.0 };
        sign * f64::MAX * (1.0 - 0.01 * f64::from(i % 7))
    }));
    let limits = number(&points);
    assert!(limits.expected.is_none_or(f64::is_finite), "{limits:?}");
}

fn any_value() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        1 => Just(None),
        1 => Just(Some(0.0)),
        6 => (-1e3..1e6_f64).prop_map(Some),
        1 => proptest::num::f64::ANY.prop_map(Some),
    ]
}

/// So many cases, unless `PROPTEST_CASES` says otherwise.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|n| n.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

proptest! {
    #![proptest_config(cases(60))]

    /// The judged value and all later ones have no part in the limits at its position.
    #[test]
    fn no_value_touches_its_own_limits_or_earlier_ones(
        values in proptest::collection::vec(any_value(), 12..50),
        at in 8_usize..50,
        other in any_value(),
    ) {
        let at = at.min(values.len() - 1);
        let mut changed = values.clone();
        for value in &mut changed[at..] {
            *value = other;
        }
        let limits_until = |values: &[Option<f64>]| {
            let mut text = String::from("dataset,column,metric,partition,idx,value\n");
            for (i, value) in values.iter().enumerate() {
                let day = START.saturating_add(i64::try_from(i).unwrap().days());
                let value = value.filter(|v| v.is_finite()).map(|v| v.to_string());
                text.push_str(&format!("d,,row_count,{day},{i},{}\n", value.unwrap_or_default()));
                text.push_str(&format!("d,a,null_frac,{day},{i},{}\n", 0.01 * (i % 5) as f64));
            }
            let mut out = Vec::new();
            judge_file(text.as_bytes(), &mut out, &Policy::default()).unwrap();
            let out = String::from_utf8(out).unwrap();
            out.lines().take(1 + 2 * (at + 1 - 8)).map(str::to_owned).collect::<Vec<_>>()
        };
        prop_assert_eq!(limits_until(&values), limits_until(&changed));
    }

    /// Whatever the history, limits are numbers in order around the expected value.
    #[test]
    fn limits_are_in_order_and_finite(
        values in proptest::collection::vec(any_value(), 0..80),
        percent in any::<bool>(),
    ) {
        let points: Vec<Point> = values
            .iter()
            .map(|value| Point { value: *value, ..Point::of(0.0) })
            .collect();
        let kind = if percent { SeriesKind::Percent } else { SeriesKind::Number };
        let limits = learn(kind, &points);
        for limit in [limits.lower, limits.expected, limits.upper].into_iter().flatten() {
            prop_assert!(limit.is_finite());
        }
        if let (Some(lower), Some(expected)) = (limits.lower, limits.expected) {
            prop_assert!(lower <= expected);
        }
        if let (Some(expected), Some(upper)) = (limits.expected, limits.upper) {
            prop_assert!(expected <= upper);
        }
        prop_assert_eq!(limits.needs_more.is_some(), limits.expected.is_none());
    }
}
