//! Who is told of alerts, and when.

use assay_model::ids::RunId;
use assay_model::notice::{ChannelKind, SubscriptionOrigin};
use assay_model::run::{Priority, Selection, Trigger};
use uuid::Uuid;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn orders() -> DatasetId {
    DatasetId::new("orders").unwrap()
}

fn operator(id: u128) -> Subscription {
    Subscription {
        id: Uuid::from_u128(id),
        dataset: None,
        origin: SubscriptionOrigin::Person,
        channel: ChannelKind::Webhook,
        target: "https://hooks.example/".to_owned(),
        secret: None,
        operator: true,
        severity: Severity::Warning,
        dimensions: Vec::new(),
        columns: Vec::new(),
        events: Subscription::usual(true),
        paused_by: None,
        created_by: "ada".to_owned(),
        created_at: at(0),
        since: at(0),
        removed_at: None,
    }
}

fn run(n: u128, state: RunState) -> Run {
    Run {
        id: RunId(Uuid::from_u128(n)),
        dataset: orders(),
        definition: String::new(),
        trigger: Trigger::Schedule,
        slot: None,
        priority: Priority::Live,
        selection: Selection::default(),
        retries: 2,
        task_timeout_ms: 0,
        state,
        reason: Some("CANARY of a row".to_owned()),
        created_at: at(0),
        started_at: None,
        finished_at: None,
        deadline_at: at(900),
        planned_tasks: 0,
    }
}

fn failed(n: u128, second: i64) -> Happened {
    let seq = second.unsigned_abs();
    run_failed(&run(n, RunState::Failed), (1, 0), seq, at(second))
}

fn told(alert: Alert, subscriptions: &[Subscription], second: i64) -> (Alert, Vec<Delivery>) {
    let (origin, datasets) = (Origin::default(), BTreeMap::new());
    let known = Known {
        origin: &origin,
        subscriptions,
        datasets: &datasets,
        now: at(second),
    };
    let mut notices = Notices::default();
    tell(&mut notices, alert, &known);
    (notices.alerts.remove(0), notices.deliveries)
}

#[test]
fn an_operator_is_told_at_once_and_then_at_most_once_an_hour() {
    let to = [operator(1)];
    let first = after(None, failed(1, 10)).unwrap();
    let (alert, sent) = told(first.clone(), &to, 11);
    assert_eq!(sent.len(), 1);
    assert_eq!((alert.waiting, alert.wake_at), (0, None));
    // The same decision, made again by the next leader, is the same message.
    assert_eq!(told(first, &to, 11).1, sent);
    // The same run, heard of again, is nothing new.
    assert_eq!(after(Some(&alert), failed(1, 10)), None);
    let (alert, none) = told(after(Some(&alert), failed(2, 60)).unwrap(), &to, 60);
    assert_eq!((none.len(), alert.wake_at), (0, Some(at(11 + 3600))));
    let (alert, none) = told(after(Some(&alert), failed(3, 120)).unwrap(), &to, 120);
    assert_eq!((none.len(), alert.waiting), (0, 2));
    let (alert, again) = told(alert, &to, 11 + 3600);
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].id, sent[0].id);
    assert_eq!(again[0].event["data"]["occurrences"], 2);
    assert_eq!((alert.waiting, alert.wake_at), (0, None));
}

#[test]
fn what_is_over_is_not_told_when_its_hour_comes() {
    let to = [operator(1)];
    let (alert, _) = told(after(None, failed(1, 10)).unwrap(), &to, 10);
    assert_eq!(over(&alert, 20), None);
    let (alert, _) = told(after(Some(&alert), failed(2, 60)).unwrap(), &to, 60);
    let (alert, none) = told(over(&alert, 70).unwrap(), &to, 70);
    assert_eq!((none.len(), alert.wake_at), (0, None));
    // What it was told before still counts for the hour.
    let (alert, none) = told(after(Some(&alert), failed(3, 80)).unwrap(), &to, 80);
    assert_eq!((none.len(), alert.waiting), (0, 1));
}

#[test]
fn what_a_next_leader_reads_again_is_counted_once_and_takes_nothing_back() {
    let to = [operator(1)];
    let (alert, _) = told(after(None, failed(1, 10)).unwrap(), &to, 10);
    let (alert, _) = told(after(Some(&alert), failed(2, 60)).unwrap(), &to, 60);
    assert_eq!(alert.waiting, 1);
    // That leader could not note how far it had read: between the two a run was good.
    assert_eq!(after(Some(&alert), failed(1, 10)), None);
    assert_eq!(over(&alert, 30), None);
    assert_eq!(after(Some(&alert), failed(2, 60)), None);
    // What an older version kept knows no place.
    let older = Alert { seq: 0, ..alert };
    assert!(after(Some(&older), failed(3, 70)).is_some());
    assert!(over(&older, 70).is_some());
}

#[test]
fn nobody_but_an_operator_who_asked_is_told() {
    let elsewhere = DatasetId::new("elsewhere").unwrap();
    let change = |change: &dyn Fn(&mut Subscription)| {
        let mut one = operator(1);
        change(&mut one);
        one
    };
    let alert = after(None, failed(1, 10)).unwrap();
    let lost = node_lost(&NodeId::new("n1"), Incarnation(3), 10, at(10));
    let lost = after(None, lost).unwrap();
    assert!(concerns(&operator(1), &alert) && concerns(&operator(1), &lost));
    let silent = [
        change(&|s| s.operator = false),
        change(&|s| s.events = vec![NoticeKind::Opened]),
        change(&|s| s.dataset = Some(elsewhere.clone())),
        change(&|s| s.columns = vec!["amount".to_owned()]),
        change(&|s| s.dimensions = vec!["accuracy".to_owned()]),
        change(&|s| s.paused_by = Some("ada".to_owned())),
        change(&|s| s.since = at(11)),
    ];
    for one in silent {
        assert!(!concerns(&one, &alert), "{one:?}");
    }
    assert!(concerns(&change(&|s| s.dataset = Some(orders())), &alert));
    assert!(!concerns(&change(&|s| s.dataset = Some(orders())), &lost));
    let gravest = change(&|s| s.severity = Severity::Error);
    assert!(concerns(&gravest, &alert) && !concerns(&gravest, &lost));
}

#[test]
fn a_message_names_what_happened_and_never_why_in_the_words_of_an_error() {
    let to = [operator(1)];
    let (_, sent) = told(after(None, failed(1, 10)).unwrap(), &to, 10);
    let event = &sent[0].event;
    assert_eq!(event["type"], "assay.run.failed.v1");
    assert_eq!(event["dataset"], "orders");
    assert!(!event.to_string().contains("CANARY"), "{event}");
    let partial = run_failed(&run(1, RunState::Partial), (9, 2), 5, at(5));
    let (_, sent) = told(after(None, partial).unwrap(), &to, 5);
    let said = sent[0].event["data"]["message"].as_str().unwrap();
    assert!(said.contains("2 partitions without a verdict"), "{said}");
}

#[test]
fn a_dataset_is_stale_after_two_pauses_and_the_grace() {
    let day = SignedDuration::from_hours(24);
    let due = at(0).checked_add(SignedDuration::from_hours(50)).unwrap();
    assert_eq!(stale_since(at(0), day, due), None);
    let later = due.checked_add(SignedDuration::from_secs(1)).unwrap();
    assert_eq!(stale_since(at(0), day, later), Some(due));
    assert_eq!(stale_since(at(0), SignedDuration::MAX, later), None);
    // It is told once, until it was fresh in between.
    let first = after(None, dataset_stale(&orders(), Some(at(0)), due, day)).unwrap();
    assert_eq!(
        after(
            Some(&first),
            dataset_stale(&orders(), Some(at(0)), due, day)
        ),
        None
    );
    assert!(
        first
            .message
            .contains("2023-11-14T22:13:20Z, and one is due at least every 24 hours")
    );
    let again = dataset_stale(&orders(), Some(at(9)), due, day);
    assert!(after(Some(&first), again).is_some());
    // Not all runs that ever were are looked at.
    let never = after(None, dataset_stale(&orders(), None, due, day)).unwrap();
    assert!(never.message.contains("no good run of it is known"));
}

#[test]
fn a_run_that_was_skipped_because_it_waited_too_long_is_told_and_one_that_was_stopped_is_not() {
    let skipped = run_failed(&run(1, RunState::SkippedStale), (1, 0), 5, at(5));
    let alert = after(None, skipped).unwrap();
    assert!(
        alert.message.ends_with("and was skipped"),
        "{}",
        alert.message
    );
    let is_told = |state| is_told(state, 0);
    assert!(is_told(RunState::SkippedStale) && is_told(RunState::Failed));
    assert!(!is_told(RunState::Cancelled) && !is_told(RunState::Succeeded));
    assert!(!is_told(RunState::Partial) && super::is_told(RunState::Partial, 1));
}
