//! Evaluation: every check ends in exactly one outcome, and only what was evaluated is green.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use assay_judge::schema::SchemaColumn;
use assay_judge::{Context, History, PartitionJudgement, Point, Policy, evaluate};
use assay_model::check::{Bound, Check, CheckOrigin, Expectation, Severity};
use assay_model::ids::CheckId;
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricStatus, MetricValue};
use assay_model::outcome::{Health, HeldBack, Outcome};
use jiff::Timestamp;

const CONTEXT: Context<'static> = Context {
    now: Timestamp::UNIX_EPOCH,
    date: None,
    arrived: true,
    provisional: false,
    followed: false,
    past_keys: &[],
    schema: None,
    declared: None,
    settled_schema: None,
    earlier_version: None,
};

fn check(name: &str, metric: MetricKey, expect: Expectation) -> Check {
    Check {
        id: CheckId::new(name),
        metric,
        expect,
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        dimension: None,
        description: None,
        line: None,
        tags: Vec::new(),
    }
}

fn rows() -> MetricKey {
    MetricKey::table(Metric::RowCount)
}

fn measured(key: MetricKey, value: i64) -> MetricPoint {
    MetricPoint::computed(key, MetricValue::integer(value))
}

fn history(key: MetricKey, n: usize) -> History {
    let points = (0..n)
        .map(|i| Point::of(1000.0 + (i * 7 % 11) as f64))
        .collect();
    History {
        key,
        points,
        held_back: Vec::new(),
    }
}

fn judge(
    checks: &[Check],
    values: &[MetricPoint],
    histories: &[History],
    context: &Context<'_>,
) -> PartitionJudgement {
    evaluate(checks, values, histories, &Policy::default(), context)
}

fn outcome(expect: Expectation, value: &MetricPoint, past: usize) -> Outcome {
    let checks = [check("c", value.key.clone(), expect)];
    let histories = [history(value.key.clone(), past)];
    judge(&checks, std::slice::from_ref(value), &histories, &CONTEXT).results[0].outcome
}

#[test]
fn a_rule_on_a_large_integer_is_exact() {
    let value = measured(rows(), 9_007_199_254_740_993);
    let is = |text: &str| outcome(Expectation::MustBe(Bound::new(text).unwrap()), &value, 0);
    assert_eq!(is("9007199254740993"), Outcome::Pass);
    assert_eq!(is("9007199254740992"), Outcome::Fail);
}

#[test]
fn a_learned_check_learns_then_passes_then_fails() {
    let of = |value, past| outcome(Expectation::Learned, &measured(rows(), value), past);
    assert_eq!(of(1005, 7), Outcome::Learning);
    assert_eq!(of(1005, 40), Outcome::Pass);
    assert_eq!(of(2, 40), Outcome::Fail);
}

#[test]
fn a_learned_result_keeps_its_limits_and_the_partitions_behind_them() {
    let keys: Vec<String> = (0..40).map(|i| format!("p{i:02}")).collect();
    let mut past = history(rows(), 39);
    past.points[38].eligible = false;
    let context = Context {
        past_keys: &keys,
        ..CONTEXT
    };
    let checks = [check("c", rows(), Expectation::Learned)];
    let judged = judge(&checks, &[measured(rows(), 1005)], &[past], &context);
    let limits = judged.results[0].limits.clone().unwrap();
    // The metric is one partition younger than the dataset; the newest teaches nothing.
    assert_eq!(limits.learned_from.first().unwrap().first, "p01");
    assert_eq!(limits.learned_from.last().unwrap().last, "p38");
    assert!(limits.lower.unwrap() < 1005.0 && limits.upper.unwrap() > 1005.0);
}

#[test]
fn a_metric_that_stops_being_computable_alarms_and_one_that_never_was_is_not_green() {
    let null = MetricPoint::computed(rows(), MetricValue::Null);
    assert_eq!(outcome(Expectation::Learned, &null, 40), Outcome::Fail);
    let checks = [check("c", rows(), Expectation::Learned)];
    let mut past = history(rows(), 40);
    past.points[39].value = None;
    let judged = judge(&checks, std::slice::from_ref(&null), &[past], &CONTEXT);
    assert_eq!(judged.results[0].outcome, Outcome::Skipped);
    assert_eq!(judged.verdict.health(), Health::NotEvaluated);
}

#[test]
fn a_band_needs_its_runs_and_holds_its_width() {
    let band = || Expectation::Band {
        within_stddev: 3.0,
        over_runs: 20,
        min_runs: 10,
    };
    assert_eq!(
        outcome(band(), &measured(rows(), 1005), 9),
        Outcome::Learning
    );
    assert_eq!(outcome(band(), &measured(rows(), 1005), 30), Outcome::Pass);
    assert_eq!(outcome(band(), &measured(rows(), 1100), 30), Outcome::Fail);
}

#[test]
fn severity_decides_between_warn_and_fail() {
    let mut checks = [check("c", rows(), Expectation::MustBe(Bound::from(1)))];
    let value = [measured(rows(), 2)];
    assert_eq!(
        judge(&checks, &value, &[], &CONTEXT).results[0].outcome,
        Outcome::Fail
    );
    checks[0].severity = Severity::Warning;
    assert_eq!(
        judge(&checks, &value, &[], &CONTEXT).results[0].outcome,
        Outcome::Warn
    );
}

#[test]
fn every_outcome_is_counted_once_and_planned_is_their_sum() {
    let zero = || Expectation::MustBe(Bound::from(0));
    let of = |name: &str| MetricKey::column(Metric::Sum, name);
    let checks = [
        check("pass", of("a"), zero()),
        check("fail", of("b"), zero()),
        check("error", of("c"), zero()),
        check("overflow", of("d"), zero()),
        check("unmeasured", of("e"), zero()),
        check("learning", of("a"), Expectation::Learned),
        check(
            "skipped",
            of("a"),
            Expectation::NotRunHere {
                reason: "elsewhere".into(),
            },
        ),
        check("null", of("f"), zero()),
    ];
    let values = [
        measured(of("a"), 0),
        measured(of("b"), 1),
        MetricPoint::failed(of("c"), MetricStatus::Error, "no such file"),
        MetricPoint::failed(of("d"), MetricStatus::Overflow, "38 digits"),
        MetricPoint::computed(of("f"), MetricValue::Null),
    ];
    let judged = judge(&checks, &values, &[], &CONTEXT);
    let v = judged.verdict;
    assert_eq!((v.planned, v.pass, v.fail, v.error), (8, 1, 1, 3));
    assert_eq!((v.overflow, v.learning, v.skipped, v.missing), (1, 1, 1, 0));
    assert_eq!(judged.results[2].reason.as_deref(), Some("no such file"));
    let absent = judge(
        &checks,
        &[],
        &[],
        &Context {
            arrived: false,
            ..CONTEXT
        },
    );
    assert_eq!((absent.verdict.missing, absent.verdict.skipped), (7, 1));
}

#[test]
fn a_partition_that_repeats_the_previous_one_is_named() {
    let keys: Vec<String> = (0..20).map(|i| format!("2026-01-{:02}", i + 1)).collect();
    let key = |k: i64| MetricKey::column(Metric::Sum, format!("c{k}"));
    let at = |k: i64, i: i64| (i * 7919 * (k + 1)) % 10_007;
    let histories: Vec<History> = (0..5)
        .map(|k| History {
            key: key(k),
            points: (0..20).map(|i| Point::of(at(k, i) as f64)).collect(),
            held_back: Vec::new(),
        })
        .collect();
    let checks = [check("stale", rows(), Expectation::NotStale)];
    let context = Context {
        past_keys: &keys,
        ..CONTEXT
    };
    let repeat: Vec<MetricPoint> = (0..5).map(|k| measured(key(k), at(k, 19))).collect();
    let judged = judge(&checks, &repeat, &histories, &context);
    assert_eq!(judged.results[0].outcome, Outcome::Fail);
    assert!(
        judged.results[0]
            .reason
            .as_deref()
            .unwrap()
            .contains("2026-01-20")
    );
    let fresh: Vec<MetricPoint> = (0..5).map(|k| measured(key(k), at(k, 20))).collect();
    assert_eq!(
        judge(&checks, &fresh, &histories, &context).results[0].outcome,
        Outcome::Pass
    );
}

#[test]
fn a_schema_that_cannot_be_seen_is_an_error_and_a_change_a_failure() {
    let column = |name: &str| SchemaColumn {
        name: name.to_owned(),
        data_type: Some("Int64".to_owned()),
        nullable: Some(true),
        in_some_files: false,
    };
    let (one, two) = ([column("a")], [column("a"), column("b")]);
    let checks = [check(
        "schema",
        MetricKey::table(Metric::Schema),
        Expectation::SameSchema,
    )];
    let of = |schema, settled_schema| {
        let context = Context {
            schema,
            settled_schema,
            ..CONTEXT
        };
        judge(&checks, &[], &[], &context).results[0].outcome
    };
    assert_eq!(of(None, Some(&one[..])), Outcome::Error);
    assert_eq!(of(Some(&one[..]), None), Outcome::Learning);
    assert_eq!(of(Some(&one[..]), Some(&one[..])), Outcome::Pass);
    assert_eq!(of(Some(&two[..]), Some(&one[..])), Outcome::Fail);
}

#[test]
fn freshness_is_the_age_at_the_moment_of_judging() {
    let key = MetricKey::column(Metric::Latency, "at");
    let latest = MetricValue::Text("2026-01-01T00:00:00Z".to_owned());
    let value = MetricPoint::computed(key.clone(), latest);
    let checks = [check(
        "fresh",
        key,
        Expectation::MustBeLessOrEqualTo(Bound::from(3600)),
    )];
    let at = |now: &str| {
        let context = Context {
            now: now.parse().unwrap(),
            ..CONTEXT
        };
        judge(&checks, std::slice::from_ref(&value), &[], &context)
            .results
            .remove(0)
    };
    let fresh = at("2026-01-01T01:00:00Z");
    assert_eq!(
        (fresh.outcome, fresh.actual),
        (Outcome::Pass, MetricValue::integer(3600))
    );
    assert_eq!(at("2026-01-01T01:00:01Z").outcome, Outcome::Fail);
}

#[test]
fn a_restated_partition_is_told_with_what_changed() {
    let checks = [check("restated", rows(), Expectation::NotRestated)];
    let (was, is) = ([measured(rows(), 10)], [measured(rows(), 11)]);
    let context = Context {
        earlier_version: Some(&was),
        ..CONTEXT
    };
    let judged = judge(&checks, &is, &[], &context);
    assert_eq!(judged.results[0].outcome, Outcome::Fail);
    assert_eq!(
        judged.results[0].reason.as_deref(),
        Some("rowCount was 10 and is 11")
    );
    assert_eq!(
        judge(&checks, &was, &[], &context).results[0].outcome,
        Outcome::Pass
    );
    assert_eq!(
        judge(&checks, &is, &[], &CONTEXT).results[0].outcome,
        Outcome::Skipped,
        "nothing was compared"
    );
}

#[test]
fn an_estimate_that_moves_by_its_own_error_has_not_moved() {
    let key = MetricKey::quantile("amount", 0.5);
    let check = check("c", key.clone(), Expectation::Learned);
    let history = History {
        key: key.clone(),
        points: vec![Point::of(17.625); 40],
        held_back: Vec::new(),
    };
    let outcome = |value: f64| {
        let mut point = MetricPoint::computed(key.clone(), MetricValue::Float(value));
        point.error_bound = Some(0.004);
        let judged = evaluate(
            std::slice::from_ref(&check),
            &[point],
            std::slice::from_ref(&history),
            &Policy::default(),
            &CONTEXT,
        );
        judged.results[0].outcome
    };
    assert_eq!(outcome(17.75), Outcome::Pass);
    assert_eq!(outcome(19.0), Outcome::Fail);
}

#[test]
fn limits_are_shown_in_figures() {
    let key = MetricKey::table(Metric::RowCount);
    let check = check("c", key.clone(), Expectation::Learned);
    let points = (0..60)
        .map(|i| Point::of(f64::from(1000 + i % 7)))
        .collect();
    let history = History {
        key: key.clone(),
        points,
        held_back: Vec::new(),
    };
    let point = MetricPoint::computed(key, MetricValue::integer(10));
    let judged = evaluate(&[check], &[point], &[history], &Policy::default(), &CONTEXT);
    let result = &judged.results[0];
    assert_eq!(result.outcome, Outcome::Fail);
    assert!(
        result.expected.starts_with("between 9"),
        "{}",
        result.expected
    );
}

#[test]
fn a_metric_that_was_measured_and_cannot_be_any_more_is_broken_and_a_new_one_an_error() {
    let (gone, never) = (MetricKey::column(Metric::Mean, "a"), rows());
    let checks = [
        check("gone", gone.clone(), Expectation::Learned),
        check("never", never, Expectation::Learned),
    ];
    let history = History {
        key: gone,
        points: vec![Point::of(1.0); 3],
        held_back: Vec::new(),
    };
    let judged = judge(&checks, &[], &[history], &CONTEXT);
    let outcomes: Vec<Outcome> = judged.results.iter().map(|r| r.outcome).collect();
    assert_eq!(outcomes, [Outcome::Fail, Outcome::Error]);
}

#[test]
fn a_schema_that_no_row_tells_is_not_judged_and_one_that_cannot_be_read_is_an_error() {
    let key = MetricKey::table(Metric::Schema);
    let schema = check("schema", key.clone(), Expectation::SameSchema);
    let outcome = |points: &[MetricPoint]| {
        let checks = std::slice::from_ref(&schema);
        let judged = evaluate(checks, points, &[], &Policy::default(), &CONTEXT);
        judged.results[0].outcome
    };
    let untold = MetricPoint::computed(key.clone(), MetricValue::Null);
    assert_eq!(outcome(&[untold]), Outcome::Skipped);
    assert_eq!(outcome(&[]), Outcome::Error);
    let failed = MetricPoint::failed(key, MetricStatus::Error, "it is unreadable");
    assert_eq!(outcome(&[failed]), Outcome::Error);
}

#[test]
fn freshness_of_a_partition_that_others_have_followed_is_not_judged() {
    let key = MetricKey::column(Metric::Latency, "at");
    let old = MetricValue::Text("2020-01-01T00:00:00Z".to_owned());
    let value = MetricPoint::computed(key.clone(), old);
    let checks = [check(
        "fresh",
        key,
        Expectation::MustBeLessThan(Bound::from(60)),
    )];
    let outcome = |followed: bool| {
        let context = Context {
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            followed,
            ..CONTEXT
        };
        let values = std::slice::from_ref(&value);
        judge(&checks, values, &[], &context).results[0].outcome
    };
    assert_eq!(outcome(false), Outcome::Fail);
    assert_eq!(outcome(true), Outcome::Skipped);
}

#[test]
fn limits_name_the_partitions_that_a_broken_check_held_back() {
    let mut past = history(rows(), 40);
    past.points[7].eligible = false;
    past.held_back = vec![HeldBack {
        partition: "2026-01-08".to_owned(),
        by: CheckId::new("half"),
    }];
    let check = check("c", rows(), Expectation::Learned);
    let judged = judge(
        &[check],
        &[measured(rows(), 1003)],
        &[past.clone()],
        &CONTEXT,
    );
    let limits = judged.results[0].limits.as_ref().unwrap();
    assert_eq!(limits.held_back, past.held_back);
}

#[test]
fn a_spread_of_one_row_is_not_evaluated() {
    let key = MetricKey::column(Metric::Stddev, "amount");
    let check = check("c", key.clone(), Expectation::Learned);
    let past = history(key.clone(), 40);
    let outcome = |rows_now: i64, nulls: i64| {
        let values = [
            MetricPoint::computed(key.clone(), MetricValue::Null),
            measured(rows(), rows_now),
            measured(MetricKey::column(Metric::NullCount, "amount"), nulls),
        ];
        let checks = std::slice::from_ref(&check);
        let judged = judge(checks, &values, std::slice::from_ref(&past), &CONTEXT);
        judged.results[0].outcome
    };
    assert_eq!(outcome(1, 0), Outcome::Skipped);
    assert_eq!(outcome(500, 499), Outcome::Skipped);
    // Nothing but NULL is another matter.
    assert_eq!(outcome(500, 500), Outcome::Fail);
}

#[test]
fn a_short_history_of_two_kinds_gives_no_limits_yet() {
    let key = MetricKey::column(Metric::Mean, "amount");
    let check = check("c", key.clone(), Expectation::Learned);
    let result = |past: &[f64]| {
        let past = History {
            key: key.clone(),
            points: past.iter().map(|v| Point::of(*v)).collect(),
            held_back: Vec::new(),
        };
        let value = MetricPoint::computed(key.clone(), MetricValue::Float(400_000.0));
        let checks = std::slice::from_ref(&check);
        let judged = judge(checks, &[value], &[past], &CONTEXT);
        judged.results[0].clone()
    };
    // One band around both accepts anything: from nothing to ten thousand millions.
    let mixed = result(&[10.0, 11.0, 10.0, 12.0, 10.0, 1000.0, 1010.0, 990.0, 1003.0]);
    assert_eq!(mixed.outcome, Outcome::Learning);
    assert_eq!(
        mixed.reason.as_deref(),
        Some(
            "7 more partitions are needed: the earlier values lie in two groups, around 10 and \
             around 1001.5"
        )
    );
    let of_one_kind = result(&[10.0, 11.0, 10.0, 12.0, 10.0, 11.0, 12.0, 10.0, 11.0]);
    assert_eq!(of_one_kind.outcome, Outcome::Fail);
}

#[test]
fn a_time_of_the_future_does_not_make_data_fresh() {
    let key = MetricKey::column(Metric::Latency, "at");
    let two_days = Expectation::MustBeLessThan(Bound::from(172_800));
    let of = |age: i64, expect: &Expectation| {
        let checks = [check("fresh", key.clone(), expect.clone())];
        let values = [measured(key.clone(), age)];
        judge(&checks, &values, &[], &CONTEXT).results.remove(0)
    };
    let hidden = of(-5_462_730_513, &two_days);
    assert_eq!(hidden.outcome, Outcome::Fail);
    let reason = hidden.reason.unwrap();
    assert!(reason.contains("lies in the future"), "{reason}");
    // Clocks differ, and so do zones.
    assert_eq!(of(-3_600, &two_days).outcome, Outcome::Pass);
    assert_eq!(of(172_799, &two_days).outcome, Outcome::Pass);
    // A forecast, by a bound that says so.
    let ahead = Expectation::MustBeLessThan(Bound::from(-86_400));
    assert_eq!(of(-200_000, &ahead).outcome, Outcome::Pass);
}
