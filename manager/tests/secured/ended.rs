//! What a manager tells of the cluster once its term has ended.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::LocalCoordinator;
use assay_coordination::port::LeaseTimes;
use assay_manager::Role;
use assay_proto::link::PeerRole;
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use assay_proto::v1::run_service_client::RunServiceClient;
use assay_store::SqliteStore;
use assay_telemetry::Telemetry;
use tokio::time::timeout;

use crate::cluster::{Cluster, hello};
use crate::hostile;
use crate::pki::Authority;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// What only a leader can tell, and a look at it once a second.
const LEADERS: [(&str, &[(&str, &str)]); 7] = [
    ("assay_nodes", &[("state", "live")]),
    ("assay_nodes_desired", &[]),
    ("assay_tasks_queued", &[]),
    ("assay_tasks_running", &[]),
    ("assay_runs_unfinished", &[]),
    ("assay_store_away", &[]),
    (
        "assay_dataset_run_interval_seconds",
        &[("dataset", "orders")],
    ),
];

fn streams(telemetry: &Telemetry) -> Option<f64> {
    telemetry.value("assay_node_streams", &[])
}

/// Waits until `holds`.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A leader with a node and a dataset, its coordinator, and one that stands by.
async fn led() -> (Cluster, Cluster, Arc<LocalCoordinator>) {
    let store = SqliteStore::in_memory().await.unwrap();
    let times = LeaseTimes {
        leader_ttl: Duration::from_secs(2),
        ..LeaseTimes::default()
    };
    let coordinator = Arc::new(LocalCoordinator::new(times));
    let authority = Arc::new(Authority::new("an authority"));
    let start = |name: &'static str| {
        let (coordinator, authority) = (Arc::clone(&coordinator), Arc::clone(&authority));
        Cluster::start(name, &store, coordinator, authority)
    };
    let first = start("manager-1").await;
    first.manager.leads().await;
    let second = start("manager-2").await;
    let mut runs = RunServiceClient::new(first.open(PeerRole::Client, "a").await);
    let mut known = ClusterServiceClient::new(first.open(PeerRole::Client, "a").await);
    let definition = v1::SubmitDefinitionRequest {
        definition_json: hostile::definition("orders", "1"),
    };
    known.submit_definition(definition).await.unwrap();
    let looked_at = v1::SubmitRequest {
        trigger: "arrival".to_owned(),
        idempotency_key: "arrival|2026-11-20T12:00:00Z".to_owned(),
        ..hostile::run_of("orders")
    };
    runs.submit(looked_at).await.unwrap();
    let node = first.open(PeerRole::Node, "node-a").await;
    let stream = hello(node, "node-a").await.unwrap();
    until("the leader tells of its node", || {
        streams(&first.telemetry) == Some(1.0)
    })
    .await;
    for (series, labels) in LEADERS {
        let told = || first.telemetry.value(series, labels).is_some();
        until(series, told).await;
    }
    drop(stream);
    (first, second, coordinator)
}

/// Whether a manager tells that it holds no stream, and nothing that only a leader can.
async fn is_silent(ended: &Cluster) {
    until("no stream", || streams(&ended.telemetry) == Some(0.0)).await;
    for (series, labels) in LEADERS {
        let told = || ended.telemetry.value(series, labels).is_none();
        until(&format!("{series} is taken back"), told).await;
    }
}

#[tokio::test]
async fn a_leader_that_was_replaced_takes_back_what_only_a_leader_can_tell() {
    let (first, second, coordinator) = led().await;
    coordinator.sever("manager-1");
    timeout(PATIENCE, second.manager.leads()).await.unwrap();
    coordinator.heal("manager-1");
    let mut roles = first.manager.roles();
    let stands_by = roles.wait_for(|role| matches!(role, Role::Standby { .. }));
    timeout(PATIENCE, stands_by).await.unwrap().unwrap();
    is_silent(&first).await;
    // Its heir tells all of it, of the time before its term too.
    let (series, labels) = LEADERS[6];
    let told = || second.telemetry.value(series, labels) == Some(900.0);
    until("the heir knows how often the dataset runs", told).await;
}

#[tokio::test]
async fn a_manager_that_leaves_holds_no_stream_for_whoever_looks_last() {
    let (first, _second, _coordinator) = led().await;
    first.manager.shutdown().await;
    is_silent(&first).await;
}
