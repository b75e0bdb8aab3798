//! What is promised of what people are told: decisions kept whole, attempts counted, nothing twice.

use std::sync::Arc;

use assay_model::check::Severity;
use assay_model::ids::CheckId;
use assay_model::incident::{Incident, IncidentStatus, OutboxEntry};
use assay_model::notice::{
    Cause, CauseEvent, ChannelKind, Delivery, DeliveryState, Finding, Member, NoticeKind, Notices,
    Report, Subscription, SubscriptionOrigin, Told,
};
use assay_model::outcome::Outcome;
use assay_model::partition::PartitionKey;
use uuid::Uuid;

use super::Store;
use super::fixtures::{Bench, at, evaluation, ok};
use crate::error::StoreError;
use crate::notices::{Adrift, CauseFilter, DeliveryFilter, FINISHED};

const DAY: &str = "2026-11-20";

/// A text as data may hold it.
pub(super) const ODD: &str = "a\u{0}b\u{FFFF}\"'<é";

fn incident(bench: &Bench, check: &str) -> Incident {
    let (check, key) = (CheckId::new(check), PartitionKey(DAY.to_owned()));
    Incident {
        id: Incident::id_of(bench.id(), &check, &key),
        dataset: bench.id().clone(),
        check,
        column: "amount".to_owned(),
        severity: Severity::Error,
        status: IncidentStatus::Open,
        series: String::new(),
        first_partition: key.clone(),
        last_partition: key,
        partitions: 1,
        message: "broken".to_owned(),
        opened_at: at(7),
        updated_at: at(7),
        resolved_at: None,
    }
}

fn opened(incident: &Incident) -> OutboxEntry {
    let micros = incident.opened_at.as_microsecond();
    OutboxEntry {
        key: format!("{}:incident.opened:{micros}", incident.id),
        event: "incident.opened".to_owned(),
        dataset: incident.dataset.clone(),
        body: serde_json::json!({ "incident": incident }),
        after: None,
    }
}

/// A store in which a check is broken, and the message of it.
pub(super) async fn broken(store: Arc<dyn Store>) -> (Bench, Incident) {
    let bench = Bench::new(store).await;
    let incident = incident(&bench, "c");
    let mut verdict = evaluation(DAY, "v1", 0, Outcome::Fail);
    verdict.incidents = vec![incident.clone()];
    verdict.outbox = vec![opened(&incident)];
    bench.judged("a", verdict).await;
    (bench, incident)
}

pub(super) fn cause(bench: &Bench, incident: &Incident) -> Cause {
    Cause {
        id: Cause::id_of(bench.id(), "completeness", "amount"),
        dataset: bench.id().clone(),
        dimension: "completeness".to_owned(),
        column: "amount".to_owned(),
        status: IncidentStatus::Open,
        severity: Severity::Error,
        episode: 1,
        members: vec![Member {
            incident: incident.id,
            check: incident.check.clone(),
            severity: Severity::Error,
            declared: false,
            finding: None,
        }],
        finding: Finding {
            check: incident.check.clone(),
            metric: "nullCount".to_owned(),
            actual: None,
            expected: "= 0".to_owned(),
            partition: incident.last_partition.clone(),
            message: ODD.to_owned(),
        },
        first_partition: incident.first_partition.clone(),
        opened_at: at(10),
        escalated_at: None,
        updated_at: at(10),
        resolved_at: None,
        resolved_by: None,
        muted_until: None,
        acknowledged_by: None,
        assignee: None,
        noted: None,
        wake_at: Some(at(50)),
    }
}

pub(super) fn subscription(bench: &Bench, n: u128) -> Subscription {
    Subscription {
        id: Uuid::from_u128(n),
        dataset: Some(bench.id().clone()),
        origin: SubscriptionOrigin::Person,
        channel: ChannelKind::Webhook,
        target: format!("https://hooks.example/{ODD}"),
        secret: Some(
            "env:HOOK"
                .parse()
                .unwrap_or(assay_model::dataset::Credential::Anonymous),
        ),
        operator: false,
        severity: Severity::Warning,
        dimensions: Vec::new(),
        columns: Vec::new(),
        events: Subscription::USUAL.to_vec(),
        paused_by: None,
        created_by: "ada".to_owned(),
        created_at: at(5),
        since: at(5),
        removed_at: None,
    }
}

pub(super) fn delivery(bench: &Bench, n: u128, to: u128, second: i64) -> Delivery {
    Delivery {
        id: Uuid::from_u128(n),
        subscription: Uuid::from_u128(to),
        kind: NoticeKind::Test,
        dataset: Some(bench.id().clone()),
        cause: None,
        event: serde_json::json!({ "id": n.to_string(), "data": { "message": ODD } }),
        created_at: at(second),
        state: DeliveryState::Pending,
        attempts: 0,
        next_at: Some(at(second)),
        ended_at: None,
        error: None,
    }
}

pub(super) fn report(n: u128, attempt: u32, state: DeliveryState, next: Option<i64>) -> Report {
    Report {
        delivery: Uuid::from_u128(n),
        attempt,
        state,
        next_at: next.map(at),
        error: (state != DeliveryState::Delivered).then(|| "it hangs".to_owned()),
    }
}

pub(super) async fn settle(bench: &Bench, notices: Notices, second: i64) {
    ok(bench.store.settle(bench.epoch, &notices, at(second)).await);
}

/// The numbers and attempts of what is claimed.
pub(super) async fn claimed(bench: &Bench, second: i64, limit: u32) -> Vec<(u128, u32)> {
    let until = at(second + 100);
    let taken = bench.store.claim(bench.epoch, at(second), until, limit);
    let mut taken: Vec<(u128, u32)> = ok(taken.await)
        .iter()
        .map(|d| (d.id.as_u128(), d.attempts))
        .collect();
    taken.sort_unstable();
    taken
}

pub(super) async fn deliveries(bench: &Bench) -> Vec<Delivery> {
    let filter = DeliveryFilter {
        limit: 100,
        ..DeliveryFilter::default()
    };
    ok(bench.store.deliveries(&filter).await)
}

/// Tells one subscription of the incident that is open: one cause, one message that waits.
pub async fn one_told(bench: &Bench) {
    let open = ok(bench.store.incidents(None, true, 1).await);
    let Some(incident) = open.first() else {
        panic!("no incident is open");
    };
    let id = Uuid::from_u128(77);
    let notices = Notices {
        causes: vec![cause(bench, incident)],
        subscriptions: vec![subscription(bench, 1)],
        deliveries: vec![Delivery {
            event: serde_json::json!({ "id": id.simple().to_string() }),
            ..delivery(bench, 77, 1, 10)
        }],
        ..Notices::default()
    };
    settle(bench, notices, 10).await;
}

/// A decision is kept whole, every text of it as it was, and its message is handled.
pub async fn a_decision_is_kept_whole(store: Arc<dyn Store>) {
    let (bench, incident) = broken(store).await;
    let cause = cause(&bench, &incident);
    let event = CauseEvent {
        cause: cause.id,
        at: at(10),
        kind: "opened".to_owned(),
        by: String::new(),
        detail: ODD.to_owned(),
    };
    let told = Told {
        cause: cause.id,
        subscription: Uuid::from_u128(1),
        episode: 1,
        open: true,
        severity: Severity::Error,
        reminded: false,
        messages: 1,
        at: at(10),
    };
    let sent = Delivery {
        cause: Some(cause.id),
        ..delivery(&bench, 9, 1, 10)
    };
    let notices = Notices {
        causes: vec![cause.clone()],
        events: vec![event.clone()],
        subscriptions: vec![subscription(&bench, 1)],
        told: vec![told.clone()],
        deliveries: vec![sent.clone()],
        handled: vec![opened(&incident).key],
        ..Notices::default()
    };
    settle(&bench, notices.clone(), 10).await;
    let store = &bench.store;
    let all = CauseFilter {
        limit: 10,
        ..CauseFilter::default()
    };
    assert_eq!(ok(store.causes(&all).await), std::slice::from_ref(&cause));
    assert_eq!(ok(store.cause_events(cause.id, 10).await), [event]);
    assert_eq!(ok(store.subscriptions(None).await), notices.subscriptions);
    assert_eq!(ok(store.told(&[cause.id]).await), [told]);
    assert_eq!(deliveries(&bench).await, [sent]);
    assert_eq!(ok(store.outbox(10).await), []);
    // Which are asked for, and which wake.
    let none = CauseFilter {
        due: Some(at(49)),
        ..all.clone()
    };
    assert_eq!(ok(store.causes(&none).await), []);
    let due = CauseFilter {
        due: Some(at(50)),
        id: Some(cause.id),
        dataset: Some(bench.id().clone()),
        open: true,
        ..all
    };
    assert_eq!(ok(store.causes(&due).await), [cause]);
}

/// A leader that was replaced decides nothing and sends nothing.
pub async fn a_stale_epoch_tells_nobody(store: Arc<dyn Store>) {
    let (bench, incident) = broken(Arc::clone(&store)).await;
    let first = Notices {
        subscriptions: vec![subscription(&bench, 1)],
        deliveries: vec![delivery(&bench, 9, 1, 10)],
        ..Notices::default()
    };
    settle(&bench, first, 10).await;
    ok(store.mint_epoch("manager-2").await);
    let decision = Notices {
        causes: vec![cause(&bench, &incident)],
        handled: vec![opened(&incident).key],
        ..Notices::default()
    };
    let refused = store.settle(bench.epoch, &decision, at(20)).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
    let refused = store.claim(bench.epoch, at(20), at(30), 10).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
    assert_eq!(ok(store.outbox(10).await).len(), 1);
    assert_eq!(deliveries(&bench).await[0].attempts, 0);
}

/// A message that is there already is the same message.
pub async fn a_repeated_delivery_is_the_same(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let notices = Notices {
        subscriptions: vec![subscription(&bench, 1)],
        deliveries: vec![delivery(&bench, 9, 1, 10)],
        ..Notices::default()
    };
    settle(&bench, notices.clone(), 10).await;
    assert_eq!(claimed(&bench, 11, 10).await, [(9, 1)]);
    settle(&bench, notices, 12).await;
    let all = deliveries(&bench).await;
    assert_eq!((all.len(), all[0].attempts), (1, 1));
}

/// An attempt is counted before it is made, and one subscription has one at a time, oldest first.
pub async fn one_attempt_of_each_subscription_at_a_time(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let notices = Notices {
        subscriptions: vec![subscription(&bench, 1), subscription(&bench, 2)],
        deliveries: vec![
            delivery(&bench, 10, 1, 10),
            delivery(&bench, 11, 1, 11),
            delivery(&bench, 20, 2, 12),
            delivery(&bench, 21, 2, 90),
        ],
        ..Notices::default()
    };
    settle(&bench, notices, 5).await;
    assert_eq!(claimed(&bench, 9, 10).await, []);
    assert_eq!(claimed(&bench, 20, 10).await, [(10, 1), (20, 1)]);
    assert_eq!(claimed(&bench, 21, 10).await, []);
    let reports = Notices {
        reports: vec![
            report(10, 1, DeliveryState::Delivered, None),
            report(20, 1, DeliveryState::Pending, Some(60)),
        ],
        ..Notices::default()
    };
    settle(&bench, reports, 22).await;
    assert_eq!(claimed(&bench, 23, 10).await, [(11, 1)]);
    assert_eq!(claimed(&bench, 61, 10).await, [(20, 2)]);
    let all = deliveries(&bench).await;
    let of = |n: u128| all.iter().find(|d| d.id.as_u128() == n).cloned();
    let done = of(10).unwrap_or_else(|| panic!("10 is not there"));
    assert_eq!(
        (done.state, done.ended_at),
        (DeliveryState::Delivered, Some(at(22)))
    );
    let waits = of(20).unwrap_or_else(|| panic!("20 is not there"));
    assert_eq!(waits.error.as_deref(), Some("it hangs"));
}

/// A bound takes the oldest.
pub async fn a_claim_is_bounded(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let notices = Notices {
        subscriptions: (1..=3).map(|n| subscription(&bench, n)).collect(),
        deliveries: vec![
            delivery(&bench, 1, 1, 12),
            delivery(&bench, 2, 2, 10),
            delivery(&bench, 3, 3, 11),
        ],
        ..Notices::default()
    };
    settle(&bench, notices, 5).await;
    assert_eq!(claimed(&bench, 20, 2).await, [(2, 1), (3, 1)]);
    assert_eq!(claimed(&bench, 20, 2).await, [(1, 1)]);
}

/// The next leader goes on with what the one before had in its hands; so does the same one when the
/// time of the claim is over. A report of an attempt that is not the last one changes nothing.
pub async fn what_a_leader_left_is_taken_up(store: Arc<dyn Store>) {
    let mut bench = Bench::new(Arc::clone(&store)).await;
    let notices = Notices {
        subscriptions: vec![subscription(&bench, 1)],
        deliveries: vec![delivery(&bench, 9, 1, 10)],
        ..Notices::default()
    };
    settle(&bench, notices, 5).await;
    assert_eq!(claimed(&bench, 11, 10).await, [(9, 1)]);
    bench.epoch = ok(store.mint_epoch("manager-2").await);
    assert_eq!(claimed(&bench, 12, 10).await, [(9, 2)]);
    assert_eq!(claimed(&bench, 111, 10).await, []);
    assert_eq!(claimed(&bench, 112, 10).await, [(9, 3)]);
    let stale = Notices {
        reports: vec![report(9, 2, DeliveryState::Dead, None)],
        ..Notices::default()
    };
    settle(&bench, stale, 113).await;
    assert_eq!(deliveries(&bench).await[0].state, DeliveryState::Pending);
}

/// Who paused is sent nothing until they go on; what is left to who was removed is dead.
pub async fn a_paused_subscription_waits_and_a_removed_one_ends(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut one = subscription(&bench, 1);
    one.paused_by = Some("ada".to_owned());
    let notices = |subscription: &Subscription| Notices {
        subscriptions: vec![subscription.clone()],
        deliveries: vec![delivery(&bench, 9, 1, 10)],
        ..Notices::default()
    };
    settle(&bench, notices(&one), 5).await;
    assert_eq!(claimed(&bench, 11, 10).await, []);
    one.paused_by = None;
    settle(&bench, notices(&one), 12).await;
    assert_eq!(claimed(&bench, 13, 10).await, [(9, 1)]);
    one.removed_at = Some(at(14));
    let removed = Notices {
        subscriptions: vec![one],
        ..Notices::default()
    };
    settle(&bench, removed, 14).await;
    let left = deliveries(&bench).await.remove(0);
    assert_eq!(left.state, DeliveryState::Dead);
    assert_eq!(left.error.as_deref(), Some("the subscription was removed"));
}

/// What is dead is sent again from the beginning when somebody wants it; what has ended long ago is
/// forgotten, what waits never.
pub async fn the_dead_are_sent_again_and_the_old_forgotten(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let notices = Notices {
        subscriptions: vec![subscription(&bench, 1), subscription(&bench, 2)],
        deliveries: vec![delivery(&bench, 9, 1, 10), delivery(&bench, 8, 2, 10)],
        ..Notices::default()
    };
    settle(&bench, notices, 5).await;
    claimed(&bench, 11, 10).await;
    let reports = Notices {
        reports: vec![
            report(9, 1, DeliveryState::Dead, None),
            report(8, 1, DeliveryState::Pending, Some(500)),
        ],
        ..Notices::default()
    };
    settle(&bench, reports, 12).await;
    assert_eq!(claimed(&bench, 400, 10).await, []);
    let again = Notices {
        again: vec![Uuid::from_u128(9)],
        ..Notices::default()
    };
    settle(&bench, again, 401).await;
    assert_eq!(claimed(&bench, 402, 10).await, [(9, 1)]);
    let ended = Notices {
        reports: vec![report(9, 1, DeliveryState::Delivered, None)],
        ..Notices::default()
    };
    settle(&bench, ended, 403).await;
    let forget = |second: i64| Notices {
        forget_before: Some(at(second)),
        ..Notices::default()
    };
    settle(&bench, forget(403), 404).await;
    assert_eq!(deliveries(&bench).await.len(), 2);
    settle(&bench, forget(404), 405).await;
    let left: Vec<u128> = deliveries(&bench)
        .await
        .iter()
        .map(|d| d.id.as_u128())
        .collect();
    assert_eq!(left, [8]);
}

/// What the causes do not agree with is found, though no message tells of it any more.
pub async fn strays_and_ghosts_are_found(store: Arc<dyn Store>) {
    let (bench, incident) = broken(store).await;
    let store = &bench.store;
    // Its message still waits.
    assert_eq!(ok(store.adrift(10).await), Adrift::default());
    let handled = Notices {
        handled: vec![opened(&incident).key],
        ..Notices::default()
    };
    settle(&bench, handled, 10).await;
    let found = ok(store.adrift(10).await);
    assert_eq!((found.strays.len(), found.ghosts.len()), (1, 0));
    assert_eq!(found.strays[0].id, incident.id);
    let cause = cause(&bench, &incident);
    let taken = Notices {
        causes: vec![cause.clone()],
        ..Notices::default()
    };
    settle(&bench, taken, 11).await;
    assert_eq!(ok(store.adrift(10).await), Adrift::default());
    // Its end is told by nobody.
    let mut verdict = evaluation(DAY, "v2", 9, Outcome::Pass);
    verdict.incidents = vec![Incident {
        status: IncidentStatus::Resolved,
        resolved_at: Some(at(20)),
        ..incident.clone()
    }];
    bench.judged("b", verdict).await;
    let found = ok(store.adrift(10).await);
    assert_eq!((found.strays.len(), found.ghosts), (0, vec![incident.id]));
    let ended = Cause {
        members: Vec::new(),
        status: IncidentStatus::Resolved,
        resolved_at: Some(at(21)),
        ..cause
    };
    let over = Notices {
        causes: vec![ended],
        ..Notices::default()
    };
    settle(&bench, over, 21).await;
    assert_eq!(ok(store.adrift(10).await), Adrift::default());
}

/// What a person acknowledges and resolves is so for the checks, too.
pub async fn a_persons_word_holds_for_the_checks(store: Arc<dyn Store>) {
    let (bench, incident) = broken(store).await;
    let acknowledged = Notices {
        acknowledged: vec![incident.id],
        ..Notices::default()
    };
    settle(&bench, acknowledged, 10).await;
    let read = async || ok(bench.store.incidents(None, false, 10).await).remove(0);
    assert_eq!(read().await.status, IncidentStatus::Acknowledged);
    let resolved = Notices {
        resolved: vec![incident.id],
        ..Notices::default()
    };
    settle(&bench, resolved.clone(), 11).await;
    settle(&bench, resolved, 12).await;
    let after = read().await;
    assert_eq!(after.status, IncidentStatus::Resolved);
    assert_eq!(after.resolved_at, Some(at(11)));
}

/// That a partition was judged is forgotten once it is handled.
pub async fn a_finished_partition_is_not_kept(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut verdict = evaluation(DAY, "v1", 5, Outcome::Pass);
    verdict.outbox = vec![OutboxEntry {
        key: "done".to_owned(),
        event: FINISHED.to_owned(),
        dataset: bench.id().clone(),
        body: serde_json::json!({}),
        after: None,
    }];
    bench.judged("a", verdict).await;
    let handled = Notices {
        handled: vec!["done".to_owned()],
        ..Notices::default()
    };
    settle(&bench, handled, 10).await;
    assert_eq!(ok(bench.store.outbox(10).await), []);
    assert_eq!(
        ok(bench
            .store
            .sent(bench.epoch, &["done".to_owned()], at(11))
            .await),
        0
    );
}

/// Subscriptions of a dataset come with those for all, and with no other's.
pub async fn subscriptions_are_those_of_the_dataset_and_of_all(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let all = Subscription {
        dataset: None,
        ..subscription(&bench, 2)
    };
    let other = Subscription {
        dataset: assay_model::ids::DatasetId::new("other").ok(),
        ..subscription(&bench, 3)
    };
    let notices = Notices {
        subscriptions: vec![subscription(&bench, 1), all, other],
        ..Notices::default()
    };
    settle(&bench, notices, 10).await;
    let ids =
        |list: Vec<Subscription>| -> Vec<u128> { list.iter().map(|s| s.id.as_u128()).collect() };
    let of = ok(bench.store.subscriptions(Some(bench.id())).await);
    assert_eq!(ids(of), [1, 2]);
    assert_eq!(ids(ok(bench.store.subscriptions(None).await)), [1, 2, 3]);
}
