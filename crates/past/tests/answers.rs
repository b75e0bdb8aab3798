//! Answers and what they change in the training set: what was said of one partition, series or
//! metric bears on nothing else, and no partition takes part in its own limits.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod story;

use assay_model::feedback::{FeedbackKind, FeedbackScope};
use assay_model::metric::{Metric, MetricKey};
use assay_past::{Change, backtest, words};
use proptest::prelude::*;
use story::{Story, day};

fn rows() -> MetricKey {
    MetricKey::table(Metric::RowCount)
}

fn sum() -> MetricKey {
    MetricKey::column(Metric::Sum, "amount")
}

#[test]
fn a_marked_alarm_teaches_and_makes_nothing_else_suspect() {
    let mut story = Story::of(60);
    story.breach(50, &rows());
    let judged = day(60);
    // Half of the rows make sums suspect.
    assert!(!story.teaches(50, &judged, &rows()));
    assert!(!story.teaches(50, &judged, &sum()));
    let answer = story.answer(
        FeedbackKind::MarkAsNormal,
        FeedbackScope::Metric(rows()),
        50,
    );
    story.known.answered.push(answer.clone());
    assert!(story.teaches(50, &judged, &rows()));
    assert!(story.teaches(50, &judged, &sum()));
    // A withdrawn answer is none.
    story.withdraw(&answer);
    assert!(!story.teaches(50, &judged, &rows()));
}

#[test]
fn only_an_alarm_that_stays_alone_keeps_from_teaching() {
    let mut story = Story::of(60);
    let judged = day(60);
    story.breach(40, &sum());
    assert!(!story.teaches(40, &judged, &sum()));
    assert!(story.teaches(39, &judged, &sum()));
    // As far as the next day knows, it is alone; the day after sees a level that stays.
    story.breach(41, &sum());
    assert!(!story.teaches(40, &day(41), &sum()));
    for at in [40, 41] {
        assert!(story.teaches(at, &day(42), &sum()), "{at}");
        assert!(story.teaches(at, &judged, &sum()), "{at}");
    }
    // Another metric's alarm on the next day makes it no level.
    story.breach(50, &sum());
    story.breach(51, &rows());
    assert!(!story.teaches(50, &judged, &sum()));
    // A rule that stays broken is broken.
    story.break_rule(20, &rows());
    story.break_rule(21, &rows());
    assert!(!story.teaches(20, &judged, &rows()));
}

#[test]
fn a_mark_is_of_its_partition_its_metric_and_its_series() {
    let mut story = Story::of(60);
    story.breach(50, &rows());
    story.breach(52, &rows());
    story.breach(50, &MetricKey::column(Metric::NullPercent, "city"));
    let answer = story.answer(
        FeedbackKind::MarkAsNormal,
        FeedbackScope::Metric(rows()),
        50,
    );
    story.known.answered.push(answer.clone());
    let judged = day(60);
    assert!(!story.teaches(52, &judged, &rows()));
    assert!(!story.teaches(50, &judged, &MetricKey::column(Metric::Mean, "city")));
    story.known.answered[0].series = Some("region=eu".to_owned());
    assert!(!story.teaches(50, &judged, &rows()));
}

#[test]
fn a_partition_that_repeats_another_is_not_made_good_by_one_metric() {
    let mut story = Story::of(60);
    story.stale(50);
    let of_rows = story.answer(
        FeedbackKind::MarkAsNormal,
        FeedbackScope::Metric(rows()),
        50,
    );
    story.known.answered.push(of_rows);
    let judged = day(60);
    assert!(story.teaches(50, &judged, &rows()), "it was said so");
    assert!(!story.teaches(50, &judged, &sum()));
    let of_all = story.answer(FeedbackKind::MarkAsNormal, FeedbackScope::Dataset, 50);
    story.known.answered.push(of_all);
    assert!(story.teaches(50, &judged, &sum()));
}

#[test]
fn a_new_normal_leaves_the_old_behind_and_lets_the_new_teach() {
    let mut story = Story::of(60);
    // The level jumped on day 40, and every other day since alarms.
    for at in (40..60).step_by(2) {
        story.breach(at, &sum());
    }
    let judged = day(60);
    assert!(!story.teaches(46, &judged, &sum()));
    assert!(story.teaches(30, &judged, &sum()));
    let answer = story.answer(
        FeedbackKind::TrainAsNewNormal,
        FeedbackScope::Metric(sum()),
        40,
    );
    story.known.answered.push(answer);
    assert!(story.teaches(46, &judged, &sum()));
    assert!(!story.teaches(39, &judged, &sum()));
    // Of other metrics the past goes on.
    assert!(story.teaches(39, &judged, &rows()));
    // What comes late is judged by what was normal then.
    assert!(story.teaches(30, &day(35), &sum()));
}

#[test]
fn alarms_about_the_change_on_other_metrics_do_not_keep_the_new_normal_from_teaching() {
    let mut story = Story::of(60);
    let nulls = MetricKey::column(Metric::NullPercent, "city");
    let mean = MetricKey::column(Metric::Mean, "city");
    for at in (41..60).step_by(2) {
        story.breach(at, &nulls);
        story.breach(at, &mean);
    }
    let scope = FeedbackScope::Metric(nulls.clone());
    let answer = story.answer(FeedbackKind::TrainAsNewNormal, scope, 40);
    story.known.answered.push(answer);
    let judged = day(60);
    assert!(story.teaches(45, &judged, &nulls));
    // Of the other metric nothing was said.
    assert!(!story.teaches(45, &judged, &mean));
    story.judged_after_the_answers(45);
    assert!(
        !story.teaches(45, &judged, &nulls),
        "the alarm is a new one"
    );
}

#[test]
fn an_alarm_under_the_new_normal_is_one() {
    let mut story = Story::of(60);
    let answer = story.answer(
        FeedbackKind::TrainAsNewNormal,
        FeedbackScope::Metric(sum()),
        40,
    );
    story.known.answered.push(answer);
    story.breach(55, &sum());
    story.judged_after_the_answers(55);
    assert!(!story.teaches(55, &day(60), &sum()));
    assert!(story.teaches(54, &day(60), &sum()));
}

#[test]
fn a_rule_of_the_owner_that_is_broken_stays_broken_under_a_new_normal() {
    let mut story = Story::of(60);
    story.break_rule(50, &sum());
    let answer = story.answer(FeedbackKind::TrainAsNewNormal, FeedbackScope::Dataset, 40);
    story.known.answered.push(answer);
    assert!(!story.teaches(50, &day(60), &sum()));
}

#[test]
fn an_open_incident_from_before_the_new_normal_holds_nothing_back() {
    let mut story = Story::of(60);
    story.incident(40, 59, &sum());
    // Of learned limits the days between may have kept them: what each broke is on record.
    assert!(story.teaches(50, &day(60), &sum()));
    story.breach(50, &sum());
    assert!(!story.teaches(50, &day(60), &sum()));
    let answer = story.answer(
        FeedbackKind::TrainAsNewNormal,
        FeedbackScope::Metric(sum()),
        40,
    );
    story.known.answered.push(answer);
    assert!(story.teaches(50, &day(60), &sum()));
}

#[test]
fn an_excluded_window_teaches_nothing_and_its_ends_belong_to_it() {
    let mut story = Story::of(60);
    let mut answer = story.answer(FeedbackKind::ExcludeWindow, FeedbackScope::Dataset, 30);
    answer.to = Some(day(33).key);
    story.known.answered.push(answer);
    let judged = day(60);
    for (at, teaches) in [(29, true), (30, false), (33, false), (34, true)] {
        assert_eq!(story.teaches(at, &judged, &sum()), teaches, "{at}");
    }
}

#[test]
fn a_backtest_tells_what_an_answer_changes() {
    let mut story = Story::of(120);
    // The level of the sum jumped on day 100: each day since was an alarm when it was judged. Limits
    // that know of two in a row follow, so that it would be an alarm for some days only.
    story.jump(&sum(), 100);
    for at in 100..120 {
        story.breach(at, &sum());
    }
    let answer = story.answer(
        FeedbackKind::TrainAsNewNormal,
        FeedbackScope::Metric(sum()),
        100,
    );
    let series = std::slice::from_ref(&story.known);
    let told = backtest(&story.dataset, series, Change::Keep(&answer), 90);
    assert_eq!(told.partitions, 90);
    assert_eq!(told.last, Some(day(119).key));
    assert_eq!(told.before.partitions.len(), 12, "{:?}", told.before);
    assert!(told.after.partitions.is_empty(), "{:?}", told.after);
    // The first days of the new normal have too little history; that is no pass.
    assert_eq!(told.after.learning, 8);
    assert_eq!(told.after.judged + told.after.learning, 90);
    let sentence = words::sentence(&told.before, told.partitions);
    assert!(
        sentence.starts_with("This would have alerted on these 12 of the last 90 partitions: "),
        "{sentence}"
    );
    // Withdrawn, things are as they were.
    story.known.answered.push(answer.clone());
    let series = std::slice::from_ref(&story.known);
    let undone = backtest(&story.dataset, series, Change::Withdraw(answer.id), 90);
    assert_eq!((undone.before, undone.after), (told.after, told.before));
}

#[test]
fn an_excluded_window_is_not_counted_among_what_was_judged() {
    let mut story = Story::of(120);
    story.outlier(&sum(), 110);
    story.breach(110, &sum());
    let mut answer = story.answer(FeedbackKind::ExcludeWindow, FeedbackScope::Dataset, 109);
    answer.to = Some(day(111).key);
    let series = std::slice::from_ref(&story.known);
    let told = backtest(&story.dataset, series, Change::Keep(&answer), 30);
    assert_eq!(told.before.partitions, [day(110).key]);
    assert_eq!((told.before.judged, told.before.excluded), (30, 0));
    assert!(told.after.partitions.is_empty());
    assert_eq!((told.after.judged, told.after.excluded), (27, 3));
}

#[test]
fn a_marked_alarm_still_alerts_in_a_backtest_and_says_so() {
    let mut story = Story::of(120);
    story.outlier(&sum(), 110);
    story.breach(110, &sum());
    let answer = story.answer(
        FeedbackKind::MarkAsNormal,
        FeedbackScope::Metric(sum()),
        110,
    );
    let series = std::slice::from_ref(&story.known);
    let told = backtest(&story.dataset, series, Change::Keep(&answer), 30);
    let marked = |alerts: &assay_model::feedback::Alerts| {
        let of = alerts.alerts.iter();
        of.map(|alert| alert.marked_as_normal).collect::<Vec<_>>()
    };
    assert_eq!(marked(&told.before), [false]);
    assert_eq!(marked(&told.after), [true]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is answered, no value of the judged partition or of a later one moves its limits.
    #[test]
    fn no_partition_takes_part_in_its_own_limits(
        at in 10_usize..59,
        wild in -1e9_f64..1e9,
        kind in 0_usize..3,
        from in 0_usize..60,
        whole in any::<bool>(),
    ) {
        let mut story = Story::of(60);
        let scope = if whole { FeedbackScope::Dataset } else { FeedbackScope::Metric(sum()) };
        let mut answer = story.answer(FeedbackKind::ALL[kind], scope, from);
        if answer.kind == FeedbackKind::ExcludeWindow {
            answer.to = Some(day((from + 5).min(59)).key);
        }
        story.known.answered.push(answer);
        let before = story.limits(at, &sum());
        for later in at..60 {
            story.set(&sum(), later, wild);
        }
        prop_assert_eq!(before, story.limits(at, &sum()));
    }
}
