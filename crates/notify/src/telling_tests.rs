//! What is told over time, to one who subscribes.

use super::*;
use assay_model::check::Severity;
use assay_model::ids::{CheckId, DatasetId};
use assay_model::notice::{ChannelKind, EVALUATION, Finding, Member, SubscriptionOrigin};
use assay_model::partition::PartitionKey;
use proptest::prelude::*;
use uuid::Uuid;

const HOUR: i64 = 3600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn cause(opened: i64) -> Cause {
    let dataset = DatasetId::new("orders").unwrap();
    Cause {
        id: Cause::id_of(&dataset, "completeness", "amount"),
        dataset,
        dimension: "completeness".to_owned(),
        column: "amount".to_owned(),
        status: IncidentStatus::Open,
        severity: Severity::Warning,
        episode: 1,
        members: vec![Member {
            incident: Uuid::from_u128(1),
            check: CheckId::new("c"),
            severity: Severity::Warning,
            declared: false,
            finding: None,
        }],
        finding: Finding {
            check: CheckId::new("c"),
            metric: String::new(),
            actual: None,
            expected: String::new(),
            partition: PartitionKey("p".to_owned()),
            message: "broken".to_owned(),
        },
        first_partition: PartitionKey("p".to_owned()),
        opened_at: at(opened),
        escalated_at: None,
        updated_at: at(opened),
        resolved_at: None,
        resolved_by: None,
        muted_until: None,
        acknowledged_by: None,
        assignee: None,
        noted: None,
        wake_at: None,
    }
}

fn subscription(since: i64) -> Subscription {
    Subscription {
        id: Uuid::from_u128(7),
        dataset: None,
        origin: SubscriptionOrigin::Person,
        channel: ChannelKind::Webhook,
        target: "https://hooks.example/".to_owned(),
        secret: None,
        operator: false,
        severity: Severity::Warning,
        dimensions: Vec::new(),
        columns: Vec::new(),
        events: Subscription::USUAL.to_vec(),
        paused_by: None,
        created_by: "ada".to_owned(),
        created_at: at(since),
        since: at(since),
        removed_at: None,
    }
}

fn resolve(cause: &mut Cause, second: i64) {
    cause.status = IncidentStatus::Resolved;
    cause.resolved_at = Some(at(second));
    cause.members.clear();
}

fn reopen(cause: &mut Cause, second: i64) {
    let fresh = self::cause(second);
    *cause = Cause {
        episode: cause.episode + 1,
        ..fresh
    };
}

#[test]
fn an_opening_is_told_at_once_and_once() {
    let (cause, to) = (cause(10), subscription(0));
    assert_eq!(
        owed(&cause, &to, None, at(10)),
        Owed::Now(NoticeKind::Opened)
    );
    let told = after(&cause, &to, None, NoticeKind::Opened, at(10));
    let day = at(10 + 24 * HOUR);
    assert_eq!(owed(&cause, &to, Some(&told), at(11)), Owed::At(day));
    assert_eq!(
        owed(&cause, &to, Some(&told), day),
        Owed::Now(NoticeKind::StillOpen)
    );
    let told = after(&cause, &to, Some(&told), NoticeKind::StillOpen, day);
    assert_eq!(
        owed(&cause, &to, Some(&told), at(10 + 99 * HOUR)),
        Owed::Nothing
    );
    assert_eq!(told.messages, 2);
}

#[test]
fn what_follows_within_the_hour_waits_for_it_and_is_not_lost() {
    let (mut cause, to) = (cause(0), subscription(0));
    let told = after(&cause, &to, None, NoticeKind::Opened, at(0));
    cause.severity = Severity::Error;
    cause.escalated_at = Some(at(60));
    assert_eq!(owed(&cause, &to, Some(&told), at(60)), Owed::At(at(HOUR)));
    // By then it is over, and that is what is told.
    resolve(&mut cause, 120);
    assert_eq!(owed(&cause, &to, Some(&told), at(120)), Owed::At(at(HOUR)));
    assert_eq!(
        owed(&cause, &to, Some(&told), at(HOUR)),
        Owed::Now(NoticeKind::Resolved)
    );
    let told = after(&cause, &to, Some(&told), NoticeKind::Resolved, at(HOUR));
    assert_eq!(owed(&cause, &to, Some(&told), at(9 * HOUR)), Owed::Nothing);
    // It comes back, another time.
    reopen(&mut cause, 10 * HOUR);
    assert_eq!(
        owed(&cause, &to, Some(&told), at(10 * HOUR)),
        Owed::Now(NoticeKind::Opened)
    );
}

#[test]
fn what_opened_and_ended_before_anybody_looked_is_told_from_its_beginning() {
    let (mut cause, to) = (cause(10), subscription(0));
    resolve(&mut cause, 11);
    assert_eq!(
        owed(&cause, &to, None, at(12)),
        Owed::Now(NoticeKind::Opened)
    );
    let told = after(&cause, &to, None, NoticeKind::Opened, at(12));
    let hour = 12 + HOUR;
    assert_eq!(owed(&cause, &to, Some(&told), at(12)), Owed::At(at(hour)));
    assert_eq!(
        owed(&cause, &to, Some(&told), at(hour)),
        Owed::Now(NoticeKind::Resolved)
    );
    let told = after(&cause, &to, Some(&told), NoticeKind::Resolved, at(hour));
    assert_eq!(owed(&cause, &to, Some(&told), at(9 * HOUR)), Owed::Nothing);
    // The same again, another time: the end is never the first word of it.
    reopen(&mut cause, 10 * HOUR);
    resolve(&mut cause, 10 * HOUR + 1);
    assert_eq!(
        owed(&cause, &to, Some(&told), at(10 * HOUR + 2)),
        Owed::Now(NoticeKind::Opened)
    );
}

#[test]
fn who_heard_last_that_it_is_open_hears_of_the_end_of_a_later_opening() {
    let (mut cause, to) = (cause(0), subscription(0));
    let told = after(&cause, &to, None, NoticeKind::Opened, at(0));
    resolve(&mut cause, 10);
    reopen(&mut cause, 20);
    resolve(&mut cause, 30);
    assert_eq!(
        owed(&cause, &to, Some(&told), at(HOUR)),
        Owed::Now(NoticeKind::Resolved)
    );
}

#[test]
fn who_comes_later_hears_what_becomes_of_it_and_not_what_was() {
    let (mut cause, to) = (cause(10), subscription(20));
    assert_eq!(
        owed(&cause, &to, None, at(20)),
        Owed::At(at(10 + 24 * HOUR))
    );
    cause.severity = Severity::Error;
    cause.escalated_at = Some(at(30));
    assert_eq!(
        owed(&cause, &to, None, at(30)),
        Owed::Now(NoticeKind::Escalated)
    );
    let mut over = self::cause(10);
    resolve(&mut over, 15);
    assert_eq!(owed(&over, &to, None, at(30)), Owed::Nothing);
}

#[test]
fn a_mute_holds_everything_back_until_it_ends() {
    let (mut cause, to) = (cause(0), subscription(0));
    cause.muted_until = Some(at(7 * 24 * HOUR));
    assert_eq!(owed(&cause, &to, None, at(0)), Owed::At(at(7 * 24 * HOUR)));
    let end = at(7 * 24 * HOUR);
    assert_eq!(owed(&cause, &to, None, end), Owed::Now(NoticeKind::Opened));
}

#[test]
fn nobody_is_reminded_of_what_somebody_looks_at() {
    let (mut cause, to) = (cause(0), subscription(0));
    let told = after(&cause, &to, None, NoticeKind::Opened, at(0));
    cause.status = IncidentStatus::Acknowledged;
    assert_eq!(owed(&cause, &to, Some(&told), at(99 * HOUR)), Owed::Nothing);
}

#[test]
fn filters_leave_out_what_was_not_asked_for() {
    let cause = cause(0);
    let base = subscription(0);
    let of = |id: &str| DatasetId::new(id).ok();
    let list = |one: &str| vec![one.to_owned()];
    type Change<'a> = Box<dyn Fn(&mut Subscription) + 'a>;
    let variants: Vec<(bool, Change<'_>)> = vec![
        (true, Box::new(|s| s.dataset = of("orders"))),
        (false, Box::new(|s| s.dataset = of("other"))),
        (false, Box::new(|s| s.severity = Severity::Error)),
        (true, Box::new(|s| s.dimensions = list("completeness"))),
        (false, Box::new(|s| s.dimensions = list("accuracy"))),
        (true, Box::new(|s| s.columns = list("amount"))),
        (false, Box::new(|s| s.columns = list("id"))),
        (false, Box::new(|s| s.operator = true)),
        (false, Box::new(|s| s.paused_by = Some("ada".to_owned()))),
        (false, Box::new(|s| s.removed_at = Some(at(0)))),
    ];
    for (concerned, change) in variants {
        let mut to = base.clone();
        change(&mut to);
        assert_eq!(concerns(&to, &cause), concerned, "{to:?}");
    }
    let only_ends = Subscription {
        events: vec![NoticeKind::Resolved],
        ..base
    };
    assert_eq!(owed(&cause, &only_ends, None, at(0)), Owed::Nothing);
    let mut over = cause;
    resolve(&mut over, 5);
    assert_eq!(
        owed(&over, &only_ends, None, at(5)),
        Owed::Now(NoticeKind::Resolved)
    );
}

#[test]
fn what_could_not_be_evaluated_is_told_to_operators_alone() {
    let unevaluated = Cause {
        dimension: EVALUATION.to_owned(),
        ..cause(0)
    };
    let operator = Subscription {
        operator: true,
        ..subscription(0)
    };
    assert!(concerns(&operator, &unevaluated));
    assert!(!concerns(&subscription(0), &unevaluated));
    assert!(!concerns(&operator, &cause(0)));
}

/// A step of a story: seconds that pass, and what happens then.
fn step() -> impl Strategy<Value = (i64, u8)> {
    (1_i64..3 * HOUR, 0_u8..6)
}

proptest! {
    /// Whatever happens and whenever it is looked: no two messages within an hour, none that says
    /// what the one before said, and in the end whoever subscribes knows how it stands.
    #[test]
    fn messages_are_apart_and_differ_and_the_last_one_is_the_truth(
        story in prop::collection::vec(step(), 1..40)
    ) {
        let (mut cause, to) = (cause(0), subscription(0));
        let mut told: Option<Told> = None;
        let mut second = 0;
        let mut last: Option<(i64, NoticeKind, u32)> = None;
        let mut look = |cause: &Cause, told: &mut Option<Told>, second: i64| {
            let now = at(second);
            if let Owed::Now(kind) = owed(cause, &to, told.as_ref(), now) {
                if let Some((then, before, episode)) = last {
                    assert!(second - then >= HOUR, "{then} {second}");
                    assert!(before != kind || episode != cause.episode || kind == NoticeKind::Escalated);
                }
                last = Some((second, kind, cause.episode));
                *told = Some(after(cause, &to, told.as_ref(), kind, now));
                let again = owed(cause, &to, told.as_ref(), now);
                assert!(!matches!(again, Owed::Now(_)), "{again:?}");
            }
        };
        look(&cause, &mut told, second);
        for (pause, what) in story {
            second += pause;
            match what {
                0 if cause.is_open() => resolve(&mut cause, second),
                1 if !cause.is_open() => reopen(&mut cause, second),
                2 if cause.is_open() && cause.severity == Severity::Warning => {
                    cause.severity = Severity::Error;
                    cause.escalated_at = Some(at(second));
                }
                3 if cause.is_open() => cause.status = IncidentStatus::Acknowledged,
                4 => cause.muted_until = Some(at(second + HOUR / 2)),
                _ => {}
            }
            look(&cause, &mut told, second);
        }
        // Two days later nothing is owed that was not told, and what was told is how it stands.
        for later in [25, 26, 50, 75] {
            look(&cause, &mut told, second + later * HOUR);
        }
        let told = told.expect("something was told");
        prop_assert_eq!(told.episode, cause.episode);
        prop_assert_eq!(told.open, cause.is_open());
        prop_assert!(!cause.is_open() || told.severity == cause.severity);
    }
}
