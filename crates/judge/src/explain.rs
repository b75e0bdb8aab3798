//! Why a value alerts, in words that its owner can check.
//!
//! In: a value, what it was held against, and the metric's earlier values. Out: one phrase that goes
//! on after `measured V, expected E`: since when the metric has not been like this, how far outside
//! it is, and its nearest miss, what it would have passed with. It must never name a value as one
//! that passes and would not, nor decide anything.

use assay_model::check::{Bound, Expectation};
use assay_model::metric::MetricValue;

use crate::compare::meets;
use crate::series::{self, Point};
use crate::words::in_figures;

/// Above this a double does not tell whole numbers apart, and differences are not named.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
/// Earlier values needed to say of one that there was none like it.
const ENOUGH_PAST: usize = 3;

/// The side on which a value lies outside.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Below,
    Above,
}

/// The nearest accepted value, and the side on which the judged one lies.
struct Edge {
    side: Side,
    at: f64,
    /// Whether the edge itself is accepted.
    included: bool,
    /// Whether it is a bound as somebody wrote it, and is named as such; learned limits are named to
    /// six digits.
    written: bool,
}

/// Why a value lies outside of learned limits; `None` where it does not.
///
/// `past` is the metric's history, oldest first; the last of `keys` is the partition of its last
/// point.
#[must_use]
pub(crate) fn of_learned(
    actual: &MetricValue,
    limits: &series::Limits,
    past: &[Point],
    keys: &[String],
) -> Option<String> {
    let value = actual.as_f64().filter(|v| v.is_finite())?;
    let below = limits.lower.filter(|lower| value < *lower);
    let above = limits.upper.filter(|upper| value > *upper);
    let (side, at) = below
        .map(|at| (Side::Below, at))
        .or(above.map(|at| (Side::Above, at)))?;
    let edge = Edge {
        side,
        at,
        included: true,
        written: false,
    };
    let mut said = vec![rarity(value, side, past, keys)];
    said.push(limits.expected.and_then(|expected| {
        let times = (value - expected).abs() / (at - expected).abs();
        (times.is_finite() && times >= 1.05).then(|| {
            let times = format!("{times:.1}");
            let expected = in_figures(expected);
            format!("{times} times as far from the expected {expected} as accepted")
        })
    }));
    said.push(miss(actual, value, &edge, |at| limits.accepts(at)));
    joined(said)
}

/// Why a value breaks a fixed rule; `None` where nothing is to be added to the rule.
#[must_use]
pub(crate) fn of_fixed(
    actual: &MetricValue,
    expect: &Expectation,
    past: &[Point],
    keys: &[String],
) -> Option<String> {
    let value = actual.as_f64().filter(|v| v.is_finite())?;
    let edge = edge(value, expect)?;
    let accepts = |at: f64| {
        // A bound that is excluded is named as such, and not as a value that passes.
        !edge.included && at == edge.at || meets(&MetricValue::Float(at), expect) == Some(Ok(true))
    };
    joined(vec![
        rarity(value, edge.side, past, keys),
        miss(actual, value, &edge, accepts),
    ])
}

fn joined(said: Vec<Option<String>>) -> Option<String> {
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Which end of a fixed rule is nearest to a value that breaks it.
fn edge(value: f64, expect: &Expectation) -> Option<Edge> {
    let (low, high, included) = match expect {
        Expectation::MustBe(only) => (Some(only), Some(only), true),
        Expectation::MustBeGreaterThan(low) => (Some(low), None, false),
        Expectation::MustBeGreaterOrEqualTo(low) => (Some(low), None, true),
        Expectation::MustBeLessThan(high) => (None, Some(high), false),
        Expectation::MustBeLessOrEqualTo(high) => (None, Some(high), true),
        Expectation::MustBeBetween(low, high) => (Some(low), Some(high), false),
        _ => return None,
    };
    let (low, high) = (low.map(Bound::as_f64), high.map(Bound::as_f64));
    let (side, at) = low
        .filter(|low| value <= *low && (!included || value < *low))
        .map(|at| (Side::Below, at))
        .or(high.filter(|at| value >= *at).map(|at| (Side::Above, at)))?;
    Some(Edge {
        side,
        at,
        included,
        written: true,
    })
}

/// Since when the metric has not been like this.
fn rarity(value: f64, side: Side, past: &[Point], keys: &[String]) -> Option<String> {
    let known = |point: &Point| point.value.filter(|v| v.is_finite());
    let count = past.iter().filter_map(known).count();
    let (word, worse) = match side {
        Side::Below => ("low", "lower"),
        Side::Above => ("high", "higher"),
    };
    let like = past.iter().rposition(|point| {
        known(point).is_some_and(|was| match side {
            Side::Below => was <= value,
            Side::Above => was >= value,
        })
    });
    let Some(at) = like else {
        return (count >= ENOUGH_PAST)
            .then(|| format!("{worse} than in all {count} earlier partitions"));
    };
    let back = past.len() - at;
    let key = keys.len().checked_sub(back).and_then(|at| keys.get(at))?;
    let between = past[at + 1..].iter().filter_map(known).count();
    let as_it_was = past[at].value == Some(value);
    Some(match between {
        0 if as_it_was => format!("as {word} as in {key} before it"),
        0 => format!("{worse} still in {key} before it"),
        _ => format!("not this {word} since {key}"),
    })
}

/// What it would have passed with; nothing where no value of its kind lies inside.
fn miss(
    actual: &MetricValue,
    value: f64,
    edge: &Edge,
    accepts: impl Fn(f64) -> bool,
) -> Option<String> {
    let whole = matches!(actual, MetricValue::Exact(digits) if !digits.contains('.'));
    if value.abs() >= WHOLE_MAX || edge.at.abs() >= WHOLE_MAX {
        return None;
    }
    let at = match (whole, edge.written) {
        (true, _) => whole_inside(edge),
        (false, true) => edge.at,
        (false, false) => inward(edge),
    };
    if !accepts(at) {
        return None;
    }
    let (from, more) = match (edge.side, edge.included || whole) {
        (Side::Below, true) => ("from", "more"),
        (Side::Below, false) => ("above", "more"),
        (Side::Above, true) => ("up to", "less"),
        (Side::Above, false) => ("below", "less"),
    };
    let shown = |number: f64| {
        if whole {
            format!("{number:.0}")
        } else {
            in_figures(number)
        }
    };
    let named = match edge.written {
        true => at.to_string(),
        false => shown(at),
    };
    let passed = format!("it would have passed {from} {named}");
    let off = (at - value).abs();
    Some(match off > 0.0 {
        true => format!("{passed}, with {} {more}", shown(off)),
        false => passed,
    })
}

/// The nearest whole number that is accepted.
fn whole_inside(edge: &Edge) -> f64 {
    match (edge.side, edge.included) {
        (Side::Below, true) => edge.at.ceil(),
        (Side::Below, false) => edge.at.floor() + 1.0,
        (Side::Above, true) => edge.at.floor(),
        (Side::Above, false) => edge.at.ceil() - 1.0,
    }
}

/// The edge to six digits, rounded to the side that is accepted.
fn inward(edge: &Edge) -> f64 {
    let near: f64 = in_figures(edge.at).parse().unwrap_or(edge.at);
    let inside = match edge.side {
        Side::Below => near >= edge.at,
        Side::Above => near <= edge.at,
    };
    if inside || near == 0.0 {
        return near;
    }
    // One unit of the sixth digit further in.
    let unit = 10_f64.powf(near.abs().log10().floor() - 5.0);
    let moved = match edge.side {
        Side::Below => near + unit,
        Side::Above => near - unit,
    };
    in_figures(moved).parse().unwrap_or(edge.at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "what fails here fails the test")]
mod tests {
    use super::*;

    fn limits(lower: f64, expected: f64, upper: f64) -> series::Limits {
        series::Limits {
            lower: Some(lower),
            expected: Some(expected),
            upper: Some(upper),
            model: "median+t5",
            model_version: 1,
            learned_from: Vec::new(),
            provisional: false,
            needs_more: None,
        }
    }

    fn past(values: &[f64]) -> (Vec<Point>, Vec<String>) {
        let keys = (1..=values.len()).map(|i| format!("p{i}")).collect();
        (values.iter().map(|v| Point::of(*v)).collect(), keys)
    }

    #[test]
    fn an_alarm_says_how_rare_how_far_and_what_would_have_passed() {
        let (points, keys) = past(&[2600.0, 1100.0, 2640.0, 2700.0]);
        let said = of_learned(
            &MetricValue::integer(1204),
            &limits(2309.4, 2645.0, 2980.0),
            &points,
            &keys,
        );
        assert_eq!(
            said.as_deref(),
            Some(
                "not this low since p2; 4.3 times as far from the expected 2645 as accepted; \
                 it would have passed from 2310, with 1106 more"
            )
        );
        let said = of_learned(
            &MetricValue::Float(16.4913),
            &limits(0.952_415, 1.21, 1.531_984_7),
            &points[..0],
            &[],
        );
        assert_eq!(
            said.as_deref(),
            Some(
                "47.5 times as far from the expected 1.21 as accepted; \
                 it would have passed up to 1.53198, with 14.9593 less"
            )
        );
    }

    #[test]
    fn what_never_was_is_told_and_what_was_just_before_too() {
        let (points, keys) = past(&[5.0, 6.0, 7.0]);
        let of = |value: i64| {
            let actual = MetricValue::integer(value);
            of_learned(&actual, &limits(5.5, 6.0, 6.5), &points, &keys).unwrap()
        };
        assert!(of(9).starts_with("higher than in all 3 earlier partitions; "));
        assert!(of(7).starts_with("as high as in p3 before it; "));
        assert!(of(5).starts_with("not this low since p1; "));
        // Like it is what is the same.
        let still = of_learned(
            &MetricValue::Float(6.8),
            &limits(5.5, 6.0, 6.5),
            &points,
            &keys,
        );
        assert!(still.unwrap().starts_with("higher still in p3 before it; "));
        // Two values tell nothing of all.
        let said = of_learned(
            &MetricValue::integer(9),
            &limits(5.5, 6.0, 6.5),
            &points[..2],
            &keys[..2],
        );
        assert!(!said.unwrap().contains("earlier partitions"));
    }

    #[test]
    fn a_fixed_rule_names_the_nearest_value_that_keeps_it() {
        let bound = |text: &str| Bound::new(text).unwrap();
        let of = |value: &MetricValue, expect: &Expectation| of_fixed(value, expect, &[], &[]);
        let whole = MetricValue::integer(412);
        assert_eq!(
            of(&whole, &Expectation::MustBe(bound("0"))).as_deref(),
            Some("it would have passed up to 0, with 412 less")
        );
        let more = Expectation::MustBeGreaterThan(bound("412"));
        assert_eq!(
            of(&whole, &more).as_deref(),
            Some("it would have passed from 413, with 1 more")
        );
        let float = MetricValue::Float(1.5);
        let less = Expectation::MustBeLessThan(bound("1.5"));
        assert_eq!(
            of(&float, &less).as_deref(),
            Some("it would have passed below 1.5")
        );
        // A bound that somebody wrote is named as it was written.
        let off = MetricValue::Exact("1234568.11".to_owned());
        let less = Expectation::MustBeLessThan(bound("1234568"));
        assert_eq!(
            of(&off, &less).as_deref(),
            Some("it would have passed below 1234568, with 0.11 less")
        );
        let between = Expectation::MustBeBetween(bound("500"), bound("600"));
        assert_eq!(
            of(&whole, &between).as_deref(),
            Some("it would have passed from 501, with 89 more")
        );
        assert_eq!(of(&whole, &Expectation::MustNotBe(bound("412"))), None);
        let name = MetricValue::Text("a".to_owned());
        assert_eq!(of(&name, &Expectation::MustBe(bound("0"))), None);
        let none = Expectation::MustBeBetween(bound("5"), bound("6"));
        assert_eq!(of(&whole, &none), None);
        let huge = MetricValue::Exact("18014398509481984".to_owned());
        assert_eq!(of(&huge, &Expectation::MustBe(bound("0"))), None);
    }

    proptest::proptest! {
        #[test]
        fn a_value_that_is_named_would_have_passed(
            lower in -1e7_f64..1e7,
            width in 1e-3_f64..1e5,
            outside in 1e-3_f64..1e6,
            above: bool,
            whole: bool,
        ) {
            let upper = lower + width;
            let limits = limits(lower, lower + width / 2.0, upper);
            let value = if above { upper + outside } else { lower - outside };
            let actual = if whole {
                let away = if above { value.ceil() } else { value.floor() };
                MetricValue::Exact(format!("{away:.0}"))
            } else {
                MetricValue::Float(value)
            };
            let said = of_learned(&actual, &limits, &[], &[]).unwrap_or_default();
            let Some((_, named)) = said.split_once("it would have passed ") else {
                // No whole number, or none of six digits, lies inside.
                let none = if whole { lower.ceil() > upper } else { width < 1e-4 * upper.abs() };
                proptest::prop_assert!(none, "{lower} to {upper}: {said}");
                return Ok(());
            };
            let named = named.split([' ', ',']).find_map(|word| word.parse().ok());
            proptest::prop_assert!(limits.accepts(named.unwrap()), "{lower} to {upper}: {said}");
        }
    }
}
