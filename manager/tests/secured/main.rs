//! The manager's door over TCP: who is let in, as whom, and what becomes of messages that break the
//! contract.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cluster;
mod ended;
mod hostile;
mod limits;
mod pki;
mod rival;

use std::time::Duration;

use assay_proto::link::{Door, EXISTING_RUN_HEADER, PeerRole, leader_of};
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use assay_proto::v1::metric_service_client::MetricServiceClient;
use assay_proto::v1::run_service_client::RunServiceClient;
use tonic::Code;

use cluster::Cluster;
use pki::{Authority, Holds, Vouches as _};

#[tokio::test]
async fn only_a_certificate_of_the_authority_that_holds_today_opens_the_door() {
    let cluster = Cluster::secured().await;
    let (ours, role) = (&cluster.authority, PeerRole::Client);
    let other = Authority::new("an authority");
    for (who, tls) in [
        (
            "expired",
            ours.tls_with(role, "a", Holds::Expired, &ours.ca),
        ),
        ("not yet", ours.tls_with(role, "a", Holds::NotYet, &ours.ca)),
        (
            "another authority",
            other.tls_with(role, "a", Holds::Today, &ours.ca),
        ),
    ] {
        let refused = match Door::Tls(cluster.address.clone(), tls).open().await {
            Err(_) => true,
            // In TLS 1.3 the client learns of it with its first call.
            Ok(channel) => ClusterServiceClient::new(channel)
                .status(v1::StatusRequest {})
                .await
                .is_err(),
        };
        assert!(refused, "{who}");
    }
    let plain = cluster.address.replace("https://", "http://");
    let refused = match Door::Tcp(plain).open().await {
        Err(_) => true,
        Ok(channel) => ClusterServiceClient::new(channel)
            .status(v1::StatusRequest {})
            .await
            .is_err(),
    };
    assert!(refused, "no certificate at all");
    let mut welcome = ClusterServiceClient::new(cluster.open(PeerRole::Client, "a").await);
    welcome.status(v1::StatusRequest {}).await.unwrap();
}

#[tokio::test]
async fn a_client_believes_no_server_that_is_not_a_manager() {
    let cluster = Cluster::secured().await;
    let other = Authority::new("an authority");
    let tls = cluster
        .authority
        .tls_with(PeerRole::Client, "a", Holds::Today, &other.ca);
    let error = Door::Tls(cluster.address.clone(), tls).open().await;
    assert!(error.is_err(), "a server of another authority");
}

#[tokio::test]
async fn a_certificate_acts_in_its_role_and_a_node_under_its_own_id_only() {
    let cluster = Cluster::secured().await;
    let node = cluster.open(PeerRole::Node, "node-a").await;
    let refused = ClusterServiceClient::new(node.clone())
        .status(v1::StatusRequest {})
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
    let as_other = cluster::hello(node.clone(), "node-b").await.unwrap_err();
    assert_eq!(as_other.code(), Code::PermissionDenied, "{as_other}");
    assert!(as_other.message().contains("node-b"), "{as_other}");
    let client = cluster.open(PeerRole::Client, "node-a").await;
    let as_node = cluster::hello(client, "node-a").await.unwrap_err();
    assert_eq!(as_node.code(), Code::PermissionDenied, "{as_node}");
    assert!(cluster.nodes().await.is_empty(), "nothing was registered");
    let _stream = cluster::hello(node, "node-a").await.unwrap();
    assert_eq!(cluster.nodes().await, ["node-a"]);
    let mut asked = ClusterServiceClient::new(cluster.open(PeerRole::Client, "a").await);
    let status = asked
        .status(v1::StatusRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(status.nodes[0].memory_bytes, 1 << 30, "as it said");
}

#[tokio::test]
async fn an_emitter_asks_for_what_is_due_and_may_do_nothing_else() {
    let cluster = Cluster::secured().await;
    let channel = cluster.open(PeerRole::Emitter, "lambda").await;
    let runs = RunServiceClient::new(channel.clone());
    let submit = |trigger: &str, key: &str, slot: Option<i64>| v1::SubmitRequest {
        what: Some(v1::submit_request::What::DefinitionJson(
            hostile::definition("orders", "1"),
        )),
        trigger: trigger.to_owned(),
        selection: None,
        idempotency_key: key.to_owned(),
        slot: slot.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 }),
    };
    for request in [
        submit("schedule", "", Some(1_800_000_000)),
        submit("backfill", "registration", None),
        submit("arrival", "arrival|2026-11-20T12:00:00Z", None),
    ] {
        let trigger = request.trigger.clone();
        for existed in [false, true] {
            let answer = runs.clone().submit(request.clone()).await;
            let answer = answer.unwrap_or_else(|refusal| panic!("{trigger}: {refusal}"));
            assert_eq!(answer.into_inner().existed, existed, "{trigger}");
        }
    }
    let mut asked = runs.clone();
    let known = asked.submit(submit("schedule", "", Some(1_800_000_000)));
    let run_id = known.await.unwrap().into_inner().run_id;
    let clusters = ClusterServiceClient::new(channel.clone());
    let metrics = MetricServiceClient::new(channel.clone());
    macro_rules! refused {
        ($($client:ident.$call:ident($message:expr),)+) => {$(
            let refusal = $client.clone().$call($message).await.err();
            let code = refusal.map(|refusal| refusal.code());
            assert_eq!(code, Some(Code::PermissionDenied), stringify!($call));
        )+};
    }
    refused! {
        runs.submit(submit("manual", "", None)),
        runs.get(v1::GetRunRequest { run_id: run_id.clone() }),
        runs.list(v1::ListRunsRequest::default()),
        runs.watch(v1::WatchRequest { run_id: run_id.clone() }),
        runs.cancel(v1::CancelRequest { run_id: run_id.clone(), reason: String::new() }),
        runs.retry(v1::RetryRequest { run_id }),
        clusters.status(v1::StatusRequest {}),
        clusters.scale(v1::ScaleRequest { min: 1, max: 2 }),
        clusters.drain_node(v1::DrainNodeRequest { node: "n".to_owned(), reason: String::new() }),
        clusters.uncordon_node(v1::UncordonNodeRequest { node: "n".to_owned() }),
        clusters.list_scale_events(v1::ListScaleEventsRequest::default()),
        clusters.list_datasets(v1::ListDatasetsRequest::default()),
        clusters.get_definition(v1::GetDefinitionRequest { dataset: "orders".to_owned() }),
        clusters.submit_definition(v1::SubmitDefinitionRequest {
            definition_json: hostile::definition("orders", "2"),
        }),
        metrics.results(v1::ResultsRequest { dataset: "orders".to_owned(), ..Default::default() }),
        metrics.history(v1::HistoryRequest { dataset: "orders".to_owned(), ..Default::default() }),
    }
    let as_node = cluster::hello(channel, "lambda").await.unwrap_err();
    assert_eq!(as_node.code(), Code::PermissionDenied, "{as_node}");
}

#[tokio::test]
async fn a_key_of_a_run_over_other_partitions_is_refused_and_names_the_run() {
    let cluster = Cluster::secured().await;
    let mut runs = RunServiceClient::new(cluster.open(PeerRole::Emitter, "lambda").await);
    let submit = |days| v1::SubmitRequest {
        what: Some(v1::submit_request::What::DefinitionJson(
            hostile::definition("orders", "1"),
        )),
        trigger: "backfill".to_owned(),
        selection: Some(v1::Selection {
            last_days: days,
            ..v1::Selection::default()
        }),
        idempotency_key: "registration".to_owned(),
        slot: None,
    };
    let first = runs.submit(submit(90)).await.unwrap().into_inner();
    let refusal = runs.submit(submit(30)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::FailedPrecondition);
    let named = refusal.metadata().get(EXISTING_RUN_HEADER).unwrap();
    assert_eq!(named.to_str().unwrap(), first.run_id);
}

#[tokio::test]
async fn new_files_are_taken_up_and_open_streams_go_on() {
    let cluster = Cluster::secured().await;
    let client = cluster.open(PeerRole::Client, "a").await;
    let mut open = ClusterServiceClient::new(client);
    open.status(v1::StatusRequest {}).await.unwrap();
    // Half of a set is not taken up.
    let key = std::fs::read(&cluster.files.key).unwrap();
    std::fs::write(&cluster.files.key, "no key").unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    cluster.open(PeerRole::Client, "b").await;
    std::fs::write(&cluster.files.key, key).unwrap();
    // Another authority, and a certificate of it.
    let next = Authority::new("an authority");
    next.write(&cluster.files, PeerRole::Manager, "manager-1");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let new = next.tls(PeerRole::Client, "a");
    let channel = Door::Tls(cluster.address.clone(), new)
        .open()
        .await
        .unwrap();
    let mut renewed = ClusterServiceClient::new(channel);
    renewed.status(v1::StatusRequest {}).await.unwrap();
    let old = cluster
        .authority
        .tls_with(PeerRole::Client, "a", Holds::Today, &next.ca);
    let refused = match Door::Tls(cluster.address.clone(), old).open().await {
        Err(_) => true,
        Ok(channel) => ClusterServiceClient::new(channel)
            .status(v1::StatusRequest {})
            .await
            .is_err(),
    };
    assert!(refused, "the authority that was taken away");
    open.status(v1::StatusRequest {})
        .await
        .expect("a connection that was open goes on");
}

#[tokio::test]
async fn a_manager_that_does_not_lead_names_the_one_that_does() {
    let (leader, follower) = Cluster::two().await;
    let mut asked = ClusterServiceClient::new(follower.open(PeerRole::Client, "a").await);
    let refused = asked.status(v1::StatusRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(leader_of(&refused), Some(leader.address.clone()));
    let node = follower.open(PeerRole::Node, "n").await;
    let refused = cluster::hello(node, "n").await.unwrap_err();
    assert_eq!(leader_of(&refused), Some(leader.address.clone()));
}

#[tokio::test]
async fn a_new_leader_knows_the_definitions_that_the_one_before_was_given() {
    let (first, second) = Cluster::two().await;
    let mut asked = ClusterServiceClient::new(first.open(PeerRole::Client, "a").await);
    let mut last = String::new();
    for version in ["1", "2", "1"] {
        let taken = asked.submit_definition(v1::SubmitDefinitionRequest {
            definition_json: hostile::definition("orders", version),
        });
        last = taken.await.unwrap().into_inner().digest;
    }
    first.manager.shutdown().await;
    second.manager.leads().await;
    let name = "assay_manager_failover_duration_seconds";
    assert_eq!(second.telemetry.observations(name, &[]), 1);
    let channel = second.open(PeerRole::Client, "a").await;
    let mut asked = ClusterServiceClient::new(channel.clone());
    let known = asked
        .list_datasets(v1::ListDatasetsRequest {})
        .await
        .unwrap();
    let known = known.into_inner().datasets;
    assert_eq!(known.len(), 1);
    assert_eq!(known[0].digest, last, "the one that was put last");
    let mut runs = assay_proto::v1::run_service_client::RunServiceClient::new(channel);
    let started = runs.submit(hostile::run_of("orders")).await.unwrap();
    let run = runs.get(v1::GetRunRequest {
        run_id: started.into_inner().run_id,
    });
    let run = run.await.unwrap().into_inner().run.unwrap();
    assert_eq!(run.definition, last, "and runs are planned with it");
}
