//! What is promised of causes: those that are open are counted, all of them, and what is told of one
//! comes in its order.

use std::sync::Arc;

use assay_model::check::Severity;
use assay_model::ids::DatasetId;
use assay_model::incident::IncidentStatus;
use assay_model::notice::{Cause, Delivery, DeliveryState, EVALUATION, Notices};

use super::Store;
use super::fixtures::{dataset, ok};
use super::notices::{broken, cause, claimed, delivery, report, settle, subscription};

/// Causes are counted by their dataset, by how bad they are and by who is told of them, unless they
/// are resolved.
pub async fn open_causes_are_counted(store: Arc<dyn Store>) {
    use IncidentStatus::{Acknowledged, Open, Resolved};
    let (bench, incident) = broken(Arc::clone(&store)).await;
    assert_eq!(ok(store.open_causes().await), []);
    let other = dataset("another").id;
    let of = |dataset: &DatasetId, dimension: &str, column: &str, severity, status| Cause {
        id: Cause::id_of(dataset, dimension, column),
        dataset: dataset.clone(),
        dimension: dimension.to_owned(),
        column: column.to_owned(),
        severity,
        status,
        members: Vec::new(),
        ..cause(&bench, &incident)
    };
    let orders = bench.id();
    let causes = vec![
        of(orders, "completeness", "a", Severity::Error, Open),
        of(orders, "completeness", "b", Severity::Error, Acknowledged),
        of(orders, "completeness", "c", Severity::Error, Resolved),
        of(orders, "validity", "a", Severity::Warning, Open),
        of(orders, EVALUATION, "", Severity::Error, Open),
        of(&other, "validity", "a", Severity::Info, Open),
    ];
    let notices = Notices {
        causes,
        ..Notices::default()
    };
    settle(&bench, notices, 10).await;
    let found = ok(store.open_causes().await);
    let mut counted: Vec<(&str, &str, bool, u64)> = found
        .iter()
        .map(|of| {
            let dataset = of.dataset.as_str();
            (dataset, of.severity.as_str(), of.of_operators, of.count)
        })
        .collect();
    counted.sort_unstable();
    let mut expected = [
        (orders.as_str(), "error", false, 2),
        (orders.as_str(), "error", true, 1),
        (orders.as_str(), "warning", false, 1),
        (other.as_str(), "info", false, 1),
    ];
    expected.sort_unstable();
    assert_eq!(counted, expected);
}

/// A message that waits for another attempt holds up the later ones of its cause to its subscription,
/// and no others: nobody hears that something is over before they hear that it began.
pub async fn what_is_told_of_a_cause_comes_in_its_order(store: Arc<dyn Store>) {
    let (bench, incident) = broken(store).await;
    let cause = cause(&bench, &incident);
    let id = cause.id;
    let of = |n, to, second| Delivery {
        cause: Some(id),
        ..delivery(&bench, n, to, second)
    };
    let notices = Notices {
        causes: vec![cause],
        subscriptions: vec![subscription(&bench, 1), subscription(&bench, 2)],
        deliveries: vec![
            of(10, 1, 10),
            of(11, 1, 20),
            delivery(&bench, 12, 1, 30),
            of(20, 2, 20),
        ],
        ..Notices::default()
    };
    settle(&bench, notices, 5).await;
    assert_eq!(claimed(&bench, 40, 10).await, [(10, 1), (20, 1)]);
    let reported = |reports| Notices {
        reports,
        ..Notices::default()
    };
    let first = vec![
        report(10, 1, DeliveryState::Pending, Some(500)),
        report(20, 1, DeliveryState::Delivered, None),
    ];
    settle(&bench, reported(first), 41).await;
    // What is of no cause goes by.
    assert_eq!(claimed(&bench, 42, 10).await, [(12, 1)]);
    let other = vec![report(12, 1, DeliveryState::Delivered, None)];
    settle(&bench, reported(other), 43).await;
    assert_eq!(claimed(&bench, 44, 10).await, []);
    assert_eq!(claimed(&bench, 501, 10).await, [(10, 2)]);
    // What was given up holds up nothing.
    let given_up = vec![report(10, 2, DeliveryState::Dead, None)];
    settle(&bench, reported(given_up), 502).await;
    assert_eq!(claimed(&bench, 503, 10).await, [(11, 1)]);
}
