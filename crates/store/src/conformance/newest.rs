//! What is promised of the newest message to each of several subscriptions.

use std::sync::Arc;

use assay_model::notice::Notices;
use uuid::Uuid;

use super::Store;
use super::fixtures::{Bench, ok};
use super::notices::{delivery, settle, subscription};
use crate::notices::DeliveryFilter;

/// One question finds the newest message to each that is asked for, and none of others; of two of one
/// instant it is the one that the list begins with.
pub async fn the_newest_message_to_each_is_found(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let notices = Notices {
        subscriptions: [1, 2, 3, 4].map(|n| subscription(&bench, n)).to_vec(),
        deliveries: vec![
            delivery(&bench, 11, 1, 10),
            delivery(&bench, 12, 1, 30),
            delivery(&bench, 13, 1, 20),
            delivery(&bench, 22, 2, 15),
            delivery(&bench, 21, 2, 15),
            delivery(&bench, 31, 3, 40),
        ],
        ..Notices::default()
    };
    settle(&bench, notices, 50).await;
    let asked = [1, 2, 4, 99].map(Uuid::from_u128);
    let mut found = ok(bench.store.newest_deliveries(&asked).await);
    found.sort_by_key(|of| of.id);
    let ids: Vec<u128> = found.iter().map(|of| of.id.as_u128()).collect();
    assert_eq!(ids, [12, 21]);
    assert_eq!(found[0], delivery(&bench, 12, 1, 30));
    assert_eq!(ok(bench.store.newest_deliveries(&[]).await), []);
    messages_to_some(&bench).await;
}

/// A list holds the messages to those that are asked for and no others, newest first, up to its bound;
/// to none there is none.
async fn messages_to_some(bench: &Bench) {
    let list = |to: Option<&[u128]>, limit| {
        let filter = DeliveryFilter {
            to: to.map(|to| to.iter().map(|n| Uuid::from_u128(*n)).collect()),
            limit,
            ..DeliveryFilter::default()
        };
        async move {
            let found = ok(bench.store.deliveries(&filter).await);
            found.iter().map(|of| of.id.as_u128()).collect::<Vec<_>>()
        }
    };
    assert_eq!(list(None, 100).await, [31, 12, 13, 21, 22, 11]);
    assert_eq!(list(Some(&[1]), 100).await, [12, 13, 11]);
    assert_eq!(list(Some(&[3, 2, 4, 99]), 100).await, [31, 21, 22]);
    assert_eq!(list(Some(&[1, 2]), 3).await, [12, 13, 21]);
    assert_eq!(list(Some(&[]), 100).await, []);
}
