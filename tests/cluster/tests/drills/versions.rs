//! Versions that meet (row 40 of the matrix): neighbours that say more than is known, commands that
//! nobody knows, and processes that are replaced one after another.

use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::newer::{Newer, newer, unknown};
use assay_cluster_tests::process::Process;
use assay_cluster_tests::raw::Raw;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_proto::v1;
use prost::Message;
use rustix::process::Signal;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::drill;
use crate::usual::{begun, busied, ends_right, slow_commits, texts, uncharged};

drill!(
    what_a_newer_version_says_is_ignored_and_breaks_nothing,
    async |name| {
        let drill = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::USUAL);
        let plan = Plan {
            managers: 1,
            ..Plan::default()
        };
        let (relay, ours) = Newer::open().await;
        let relayed = format!("http://127.0.0.1:{ours}");
        let through = |process: &mut Process| {
            if let Some(listen) = process.setting("ASSAY_MANAGER_LISTEN") {
                let port = listen.rsplit(':').next().unwrap().parse().unwrap();
                relay.leads_to(port);
                // Or nodes would be told the way around it.
                process.set("ASSAY_MANAGER_ADVERTISE", &relayed);
            } else {
                process.set("ASSAY_MANAGERS", &relayed);
            }
        };
        let cluster = Cluster::start_with(&drill, plan, through).await;
        let run = cluster.submit(&data, "first").await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        cluster.drill.pause(3_000, 4_000).await;
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
        let said = relay.unknown();
        drill.note(format!("{said} messages were of an unknown kind"));
        assert!(said > 10, "{said}");
        assert_eq!(relay.streams(), 3, "no stream was ended for it");
        let lives = "SELECT max(incarnation)::text FROM node";
        assert_eq!(texts(&cluster, lives).await, ["1"], "no node began anew");
    }
);

/// A connection to the leader that takes calls of any kind.
async fn grpc(cluster: &Cluster) -> Grpc<Channel> {
    let leader = cluster.client.leader(Duration::from_secs(10)).await;
    let mut grpc = Grpc::new(leader.unwrap().0);
    grpc.ready().await.unwrap();
    grpc
}

/// Calls the manager as a client of a newer version; the answer is in bytes.
async fn call(cluster: &Cluster, path: &'static str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let path = PathAndQuery::from_static(path);
    let answer = grpc(cluster)
        .await
        .unary(Request::new(message), path, Raw)
        .await;
    answer.map(tonic::Response::into_inner)
}

drill!(
    an_unknown_command_is_refused_with_a_clear_word,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::SMALL).await;
        // A field that nobody knows is no reason to refuse what is known.
        let asks = v1::GetRunRequest {
            run_id: run.clone(),
        };
        let answer = call(
            &cluster,
            "/assay.v1.RunService/Get",
            newer(asks.encode_to_vec()),
        )
        .await;
        let answer = v1::GetRunResponse::decode(answer.unwrap().as_slice()).unwrap();
        assert!(!answer.tasks.is_empty());
        let refused = call(&cluster, "/assay.v1.ClusterService/Teleport", unknown(None)).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
        // A stream must begin with what its manager understands.
        let says = tokio_stream::iter([unknown(None)]);
        let path = PathAndQuery::from_static("/assay.v1.NodeService/Connect");
        let refused = grpc(&cluster)
            .await
            .streaming(Request::new(says), path, Raw)
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("hello"), "{refused}");
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

fn leaves(process: &mut Process, limit: Duration) {
    process.signal(Signal::TERM);
    assert!(
        process.ends_within(limit),
        "{} does not leave",
        process.name
    );
}

drill!(
    processes_that_are_replaced_one_after_another_cost_no_attempt,
    async |name| {
        let (mut cluster, data, run, _) = busied(name, Plan::default()).await;
        let limit = Duration::from_secs(30);
        for i in 0..cluster.nodes.len() {
            leaves(&mut cluster.nodes[i], limit);
            cluster.start_node(i);
            cluster.ready(limit).await;
        }
        for i in 0..cluster.managers.len() {
            leaves(&mut cluster.managers[i], limit);
            cluster.start_manager(i);
            cluster.ready(limit).await;
        }
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);
