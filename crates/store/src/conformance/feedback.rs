//! What is promised of what people answer back.

use std::sync::Arc;

use assay_model::feedback::{Answered, FeedbackId, FeedbackKind, FeedbackScope, Withdrawal};
use assay_model::ids::{DatasetId, Epoch};
use assay_model::metric::MetricKey;
use assay_model::partition::PartitionKey;
use uuid::Uuid;

use super::Store;
use super::fixtures::{Bench, at, ok};
use crate::error::StoreError;
use crate::feedback::IN_FORCE_MAX;

fn key(text: &str) -> PartitionKey {
    PartitionKey(text.to_owned())
}

/// A window that is excluded, with texts that need care.
fn window(dataset: &DatasetId, id: u128) -> Answered {
    Answered {
        id: FeedbackId(Uuid::from_u128(id)),
        dataset: dataset.clone(),
        kind: FeedbackKind::ExcludeWindow,
        scope: FeedbackScope::Metric(MetricKey::quantile("a \"b\"\u{0}\u{FFFF}", 0.5)),
        series: Some("region=<eu>".to_owned()),
        from: key("2026-11-20"),
        to: Some(key("2026-11-21")),
        by: "ada".to_owned(),
        at: at(100),
        reason: "a holiday: the shop\u{0} was closed; it's \"fine\"".to_owned(),
        withdrawn: None,
    }
}

fn withdrawal(seconds: i64) -> Withdrawal {
    Withdrawal {
        by: "grace".to_owned(),
        at: at(seconds),
        reason: "it was no holiday".to_owned(),
    }
}

/// What is kept but for its instant, which may be the store's own.
fn but_when(answer: &Answered) -> Answered {
    Answered {
        at: at(0),
        ..answer.clone()
    }
}

/// Who, what, why and every sign of it are there when it is read.
pub async fn an_answer_is_kept_with_all_that_was_said(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (store, id) = (&bench.store, bench.id());
    let asked = window(id, 1);
    let kept = ok(store.keep_feedback(bench.epoch, &asked).await);
    assert_eq!(but_when(&kept), but_when(&asked));
    let normal = Answered {
        id: FeedbackId(Uuid::from_u128(2)),
        kind: FeedbackKind::TrainAsNewNormal,
        scope: FeedbackScope::Dataset,
        series: None,
        to: None,
        ..asked.clone()
    };
    let mark = Answered {
        id: FeedbackId(Uuid::from_u128(3)),
        kind: FeedbackKind::MarkAsNormal,
        scope: FeedbackScope::Column("amount".to_owned()),
        series: Some(String::new()),
        to: None,
        ..asked.clone()
    };
    for answer in [&normal, &mark] {
        let kept = ok(store.keep_feedback(bench.epoch, answer).await);
        assert_eq!(but_when(&kept), but_when(answer));
    }
    let mut read = ok(store.feedback(id, 10).await);
    read.sort_by_key(|answer| answer.id);
    let read: Vec<Answered> = read.iter().map(but_when).collect();
    assert_eq!(read, [asked, normal, mark].map(|answer| but_when(&answer)));
}

/// A caller that heard no answer asks again.
pub async fn a_repeated_answer_is_kept_once(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (store, id) = (&bench.store, bench.id());
    let first = ok(store.keep_feedback(bench.epoch, &window(id, 1)).await);
    let later = Answered {
        at: at(900),
        ..window(id, 1)
    };
    assert_eq!(ok(store.keep_feedback(bench.epoch, &later).await), first);
    assert_eq!(ok(store.feedback(id, 10).await), [first]);
}

/// Another answer under the same id replaces nothing, and is not said to be kept.
pub async fn an_id_is_of_one_answer(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (store, id) = (&bench.store, bench.id());
    let first = ok(store.keep_feedback(bench.epoch, &window(id, 1)).await);
    let longer = Answered {
        to: Some(key("2026-11-30")),
        ..window(id, 1)
    };
    let refused = store.keep_feedback(bench.epoch, &longer).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(ok(store.feedback(id, 10).await), [first]);
}

/// Withdrawn, never deleted; who took it back first took it back.
pub async fn an_answer_is_withdrawn_once_and_stays_on_record(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (store, id) = (&bench.store, bench.id());
    let kept = ok(store.keep_feedback(bench.epoch, &window(id, 1)).await);
    let how = withdrawal(200);
    let withdrawn = ok(store
        .withdraw_feedback(bench.epoch, id, kept.id, &how)
        .await);
    let withdrawn = withdrawn.expect("it was kept");
    let told = withdrawn.withdrawn.clone().expect("it was withdrawn");
    assert_eq!((told.by, told.reason), (how.by, how.reason));
    assert!(told.at >= kept.at);
    let other = Withdrawal {
        by: "eve".to_owned(),
        ..withdrawal(300)
    };
    let again = ok(store
        .withdraw_feedback(bench.epoch, id, kept.id, &other)
        .await);
    assert_eq!(again.as_ref(), Some(&withdrawn));
    // Nor is it put back by asking for it again.
    let kept_again = ok(store.keep_feedback(bench.epoch, &window(id, 1)).await);
    assert_eq!(kept_again, withdrawn);
    assert_eq!(ok(store.feedback(id, 10).await), [withdrawn]);
    let nobody = FeedbackId(Uuid::from_u128(9));
    let how = withdrawal(400);
    let none = store.withdraw_feedback(bench.epoch, id, nobody, &how).await;
    assert_eq!(ok(none), None);
}

/// An answer is found and withdrawn by those who know its dataset.
pub async fn answers_of_another_dataset_are_left_alone(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let store = &bench.store;
    let kept = ok(store
        .keep_feedback(bench.epoch, &window(bench.id(), 1))
        .await);
    let other = ok(DatasetId::new("another"));
    assert_eq!(ok(store.feedback(&other, 10).await), []);
    let how = withdrawal(200);
    let none = store
        .withdraw_feedback(bench.epoch, &other, kept.id, &how)
        .await;
    assert_eq!(ok(none), None);
    assert_eq!(ok(store.feedback(bench.id(), 10).await), [kept]);
}

/// A manager that was deposed changes nothing.
pub async fn a_stale_epoch_neither_answers_nor_withdraws(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (store, id) = (&bench.store, bench.id());
    let kept = ok(store.keep_feedback(bench.epoch, &window(id, 1)).await);
    let newer = ok(store.mint_epoch("another").await);
    assert!(newer > bench.epoch);
    let stale: Epoch = bench.epoch;
    let answer = store.keep_feedback(stale, &window(id, 2)).await;
    assert!(
        matches!(answer, Err(StoreError::FencedEpoch { .. })),
        "{answer:?}"
    );
    let withdrawn = store
        .withdraw_feedback(stale, id, kept.id, &withdrawal(200))
        .await;
    assert!(
        matches!(withdrawn, Err(StoreError::FencedEpoch { .. })),
        "{withdrawn:?}"
    );
    assert_eq!(ok(store.feedback(id, 10).await), [kept]);
}

/// What counts is never left out for what counts no more.
pub async fn what_is_in_force_comes_first(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (store, id) = (&bench.store, bench.id());
    for n in 1..=4_i64 {
        let answer = Answered {
            at: at(100 + n),
            ..window(id, n.unsigned_abs().into())
        };
        ok(store.keep_feedback(bench.epoch, &answer).await);
    }
    for n in [3, 4] {
        let of = FeedbackId(Uuid::from_u128(n));
        ok(store
            .withdraw_feedback(bench.epoch, id, of, &withdrawal(200))
            .await);
    }
    let read = ok(store.feedback(id, 3).await);
    let read: Vec<u128> = read.iter().map(|answer| answer.id.0.as_u128()).collect();
    assert_eq!(read, [2, 1, 4]);
}

/// All that is in force is read at every judgement, so that there is a bound.
pub async fn one_answer_too_many_is_refused(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (store, id) = (&bench.store, bench.id());
    for n in 1..=u128::from(IN_FORCE_MAX) {
        ok(store.keep_feedback(bench.epoch, &window(id, n)).await);
    }
    let more = window(id, 5000);
    let refused = store.keep_feedback(bench.epoch, &more).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { .. })),
        "{refused:?}"
    );
    let first = FeedbackId(Uuid::from_u128(1));
    ok(store
        .withdraw_feedback(bench.epoch, id, first, &withdrawal(200))
        .await);
    ok(store.keep_feedback(bench.epoch, &more).await);
}
