//! Slots around changes of clocks, and what each policy makes of missed ones.

use proptest::prelude::*;

use super::*;
use crate::samples::{at, dataset};

fn slots(schedule: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
    let answer = due(
        &dataset(Some(schedule), zone, CatchUp::All),
        Some(at(from)),
        at(to),
    );
    answer.slots.iter().map(ToString::to_string).collect()
}

#[test]
fn a_daily_slot_in_the_missing_hour_of_berlin_comes_right_after_it() {
    // 2026-03-29: 02:00 CET is 03:00 CEST.
    let found = slots(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-03-28T12:00:00Z",
        "2026-03-30T12:00:00Z",
    );
    assert_eq!(found, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
}

#[test]
fn a_quarter_hourly_schedule_has_no_slots_in_the_missing_hour() {
    let found = slots(
        "*/15 * * * *",
        "Europe/Berlin",
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:15:00Z",
    );
    assert_eq!(
        found,
        [
            "2026-03-29T00:45:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T01:15:00Z"
        ]
    );
}

#[test]
fn a_daily_slot_in_the_repeated_hour_of_berlin_comes_once() {
    // 2026-10-25: 03:00 CEST is 02:00 CET.
    let found = slots(
        "30 2 * * *",
        "Europe/Berlin",
        "2026-10-24T12:00:00Z",
        "2026-10-26T12:00:00Z",
    );
    assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

#[test]
fn an_hourly_schedule_runs_in_both_repeated_hours() {
    let found = slots(
        "15 * * * *",
        "Europe/Berlin",
        "2026-10-24T23:30:00Z",
        "2026-10-25T02:30:00Z",
    );
    assert_eq!(
        found,
        [
            "2026-10-25T00:15:00Z",
            "2026-10-25T01:15:00Z",
            "2026-10-25T02:15:00Z"
        ]
    );
}

#[test]
fn new_york_changes_its_clocks_on_other_days_and_keeps_its_wall_time() {
    // 2026-03-08: 02:00 EST is 03:00 EDT. 2026-11-01: 02:00 EDT is 01:00 EST.
    let zone = "America/New_York";
    let spring = slots(
        "30 2 * * *",
        zone,
        "2026-03-07T12:00:00Z",
        "2026-03-09T12:00:00Z",
    );
    assert_eq!(spring, ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
    let autumn = slots(
        "30 1 * * *",
        zone,
        "2026-10-31T12:00:00Z",
        "2026-11-02T12:00:00Z",
    );
    assert_eq!(autumn, ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
    let half = slots(
        "*/30 * * * *",
        zone,
        "2026-11-01T05:00:00Z",
        "2026-11-01T07:00:00Z",
    );
    assert_eq!(half.len(), 4, "{half:?}");
    let noon = slots(
        "0 12 * * *",
        zone,
        "2026-03-07T00:00:00Z",
        "2026-03-09T00:00:00Z",
    );
    assert_eq!(noon, ["2026-03-07T17:00:00Z", "2026-03-08T16:00:00Z"]);
}

#[test]
fn latest_runs_the_latest_and_names_the_others() {
    let hourly = dataset(Some("0 * * * *"), "UTC", CatchUp::Latest);
    let answer = due(
        &hourly,
        Some(at("2026-11-20T10:00:00Z")),
        at("2026-11-20T13:30:00Z"),
    );
    assert_eq!(answer.slots, [at("2026-11-20T13:00:00Z")]);
    let skipped: Vec<String> = answer.skipped.iter().map(|(t, _)| t.to_string()).collect();
    assert_eq!(skipped, ["2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z"]);
    assert_eq!(answer.next, Some(at("2026-11-20T14:00:00Z")));
    assert_eq!(answer.through, Some(at("2026-11-20T13:30:00Z")));
    assert_eq!(
        answer.reason,
        "its latest slot has come; 2 slots are skipped"
    );
}

#[test]
fn none_runs_a_slot_on_time_and_skips_one_that_was_missed() {
    let hourly = dataset(Some("0 * * * *"), "UTC", CatchUp::None);
    let since = Some(at("2026-11-20T12:30:00Z"));
    let on_time = due(&hourly, since, at("2026-11-20T13:00:20Z"));
    assert_eq!(on_time.slots, [at("2026-11-20T13:00:00Z")]);
    let late = due(&hourly, since, at("2026-11-20T13:40:00Z"));
    assert!(late.slots.is_empty());
    assert_eq!(late.skipped.len(), 1);
    assert_eq!(late.reason, "1 slot is skipped: `catchUp: none`");
}

#[test]
fn all_emits_48_at_a_time_until_it_has_caught_up() {
    let hourly = dataset(Some("0 * * * *"), "UTC", CatchUp::All);
    let now = at("2026-11-20T12:00:00Z");
    let mut through = at("2026-11-15T12:00:00Z");
    let mut emitted = Vec::new();
    for round in 0.. {
        assert!(round < 10, "it ends");
        let answer = due(&hourly, Some(through), now);
        if answer.slots.is_empty() {
            break;
        }
        assert!(answer.slots.len() <= SLOTS_MAX);
        emitted.extend(answer.slots);
        through = answer.through.unwrap();
    }
    assert_eq!(emitted.len(), 5 * 24);
    assert!(emitted.windows(2).all(|w| w[0] < w[1]));
}

#[test]
fn what_never_runs_by_itself_says_why() {
    let now = at("2026-11-20T12:00:00Z");
    let since = Some(at("2026-11-01T00:00:00Z"));
    let mut orders = dataset(Some("0 * * * *"), "UTC", CatchUp::All);
    for (status, word) in [
        (DatasetStatus::Draft, "draft"),
        (DatasetStatus::Retired, "retired"),
    ] {
        orders.status = status;
        let answer = due(&orders, since, now);
        assert!(answer.slots.is_empty() && answer.next.is_none());
        assert!(answer.reason.contains(word), "{}", answer.reason);
    }
    let unscheduled = due(&dataset(None, "UTC", CatchUp::All), since, now);
    assert!(unscheduled.slots.is_empty() && unscheduled.reason.contains("no schedule"));
    let broken = due(&dataset(Some("x"), "UTC", CatchUp::All), since, now);
    assert!(broken.slots.is_empty() && broken.reason.contains("cannot be read"));
    let nowhere = due(
        &dataset(Some("0 * * * *"), "Mars/Base", CatchUp::All),
        since,
        now,
    );
    assert!(nowhere.slots.is_empty() && nowhere.reason.contains("Mars/Base"));
}

#[test]
fn a_new_dataset_has_missed_nothing() {
    let answer = due(
        &dataset(Some("0 * * * *"), "UTC", CatchUp::All),
        None,
        at("2026-11-20T12:00:30Z"),
    );
    assert!(answer.slots.is_empty());
    assert_eq!(answer.next, Some(at("2026-11-20T13:00:00Z")));
    assert_eq!(answer.through, Some(at("2026-11-20T12:00:30Z")));
}

#[test]
fn a_clock_that_went_back_makes_nothing_due_and_keeps_the_watermark() {
    let hourly = dataset(Some("0 * * * *"), "UTC", CatchUp::All);
    let since = at("2026-11-20T12:00:00Z");
    let answer = due(&hourly, Some(since), at("2026-11-20T09:00:00Z"));
    assert!(answer.slots.is_empty());
    assert_eq!(answer.through, Some(since));
}

#[test]
fn years_of_absence_are_answered_at_once_with_the_latest_slot() {
    let minutely = dataset(Some("* * * * *"), "Europe/Berlin", CatchUp::Latest);
    let answer = due(
        &minutely,
        Some(at("2020-01-01T00:00:00Z")),
        at("2026-11-20T12:00:30Z"),
    );
    assert_eq!(answer.slots, [at("2026-11-20T12:00:00Z")]);
    assert!(
        answer.reason.contains("more than 10000"),
        "{}",
        answer.reason
    );
}

proptest! {
    #[test]
    fn asking_in_two_steps_finds_the_slots_of_one(
        start in 1_700_000_000_i64..1_800_000_000,
        a in 0_i64..40_000,
        b in 0_i64..40_000,
        schedule in prop::sample::select(vec!["*/30 * * * *", "30 2 * * *", "15 * * * *", "0 0 1 * *"]),
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    ) {
        let orders = dataset(Some(schedule), zone, CatchUp::All);
        let t = |s: i64| Timestamp::from_second(s).unwrap();
        let (from, mid, to) = (t(start), t(start + a), t(start + a + b));
        let whole = due(&orders, Some(from), to).slots;
        let mut parts = due(&orders, Some(from), mid).slots;
        parts.extend(due(&orders, Some(mid), to).slots);
        prop_assert_eq!(whole, parts);
    }
}
