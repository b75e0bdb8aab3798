//! What is promised of alerts: kept as they stand, found when they wake, forgotten when they are old.

use std::sync::Arc;

use assay_model::notice::{Alert, Delivery, NoticeKind, Notices};

use super::Store;
use super::fixtures::{Bench, at, ok};
use super::notices::{ODD, deliveries, delivery, settle, subscription};
use crate::error::StoreError;
use crate::notices::AlertFilter;

/// An alert is kept as it stands last, found by its key and when it wakes, and forgotten once it is
/// old and nothing of it waits; a leader that was replaced keeps none.
pub async fn an_alert_is_kept_until_it_is_old(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    let alert = |subject: &str, second: i64, wake: Option<i64>| Alert {
        kind: NoticeKind::RunFailed,
        subject: subject.to_owned(),
        dataset: Some(bench.id().clone()),
        occurrence: "run_1".to_owned(),
        seq: 7,
        at: at(second),
        message: ODD.to_owned(),
        detail: serde_json::json!({ "run": { "id": ODD } }),
        waiting: 1,
        told_at: None,
        wake_at: wake.map(at),
    };
    let found = async |key: Option<&str>, due: Option<i64>| {
        let filter = AlertFilter {
            key: key.map(str::to_owned),
            due: due.map(at),
            limit: 10,
        };
        ok(store.alerts(&filter).await)
    };
    let (waits, told) = (alert("a", 10, Some(50)), alert("b", 10, None));
    let sent = Delivery {
        kind: NoticeKind::RunFailed,
        ..delivery(&bench, 9, 1, 10)
    };
    let first = Notices {
        subscriptions: vec![subscription(&bench, 1)],
        alerts: vec![alert("a", 9, None), told.clone()],
        deliveries: vec![sent.clone()],
        ..Notices::default()
    };
    settle(&bench, first, 10).await;
    let second = Notices {
        alerts: vec![waits.clone()],
        ..Notices::default()
    };
    settle(&bench, second.clone(), 11).await;
    assert_eq!(found(None, None).await, [waits.clone(), told.clone()]);
    assert_eq!(found(Some(&told.key()), None).await, [told]);
    assert_eq!(found(None, Some(49)).await, []);
    assert_eq!(found(None, Some(50)).await, std::slice::from_ref(&waits));
    assert_eq!(deliveries(&bench).await, [sent]);
    let old = Notices {
        forget_before: Some(at(11)),
        ..Notices::default()
    };
    settle(&bench, old, 60).await;
    assert_eq!(found(None, None).await, [waits]);
    ok(store.mint_epoch("manager-2").await);
    let refused = store.settle(bench.epoch, &second, at(70)).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
}
