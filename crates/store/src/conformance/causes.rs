//! What is promised of causes: those that are open are counted, all of them.

use std::sync::Arc;

use assay_model::check::Severity;
use assay_model::ids::DatasetId;
use assay_model::incident::IncidentStatus;
use assay_model::notice::{Cause, EVALUATION, Notices};

use super::Store;
use super::fixtures::{dataset, ok};
use super::notices::{broken, cause, settle};

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
