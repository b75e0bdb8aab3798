//! Versions that meet (row 40 of the matrix): neighbours that say more than is known, commands that
//! nobody knows, and processes that are replaced one after another.

use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::newer::{Newer, Raw, newer, unknown};
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_proto::v1;
use prost::Message;
use rustix::process::Signal;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};

use crate::drill;
use crate::usual::{begun, ends_right, slow_commits, texts, uncharged};

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
        let through = |process: &mut assay_cluster_tests::process::Process| {
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

/// Calls the manager as a client of a newer version; the answer is in bytes.
async fn call(cluster: &Cluster, path: &'static str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let (channel, _) = cluster
        .client
        .leader(Duration::from_secs(10))
        .await
        .unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let answer = grpc.unary(Request::new(message), path, Raw).await;
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
        let (channel, _) = cluster
            .client
            .leader(Duration::from_secs(10))
            .await
            .unwrap();
        let mut grpc = tonic::client::Grpc::new(channel);
        grpc.ready().await.unwrap();
        let says = tokio_stream::iter([unknown(None)]);
        let path = PathAndQuery::from_static("/assay.v1.NodeService/Connect");
        let refused = grpc
            .streaming(Request::new(says), path, Raw)
            .await
            .err()
            .unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains("hello"), "{refused}");
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    processes_that_are_replaced_one_after_another_cost_no_attempt,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let limit = Duration::from_secs(30);
        for i in 0..cluster.nodes.len() {
            cluster.nodes[i].signal(Signal::TERM);
            cluster.drill.note(format!("SIGTERM of node-{}", i + 1));
            assert!(cluster.nodes[i].ends_within(limit), "it does not leave");
            cluster.start_node(i);
            cluster.ready(limit).await;
        }
        for i in 0..cluster.managers.len() {
            cluster.managers[i].signal(Signal::TERM);
            cluster.drill.note(format!("SIGTERM of manager-{}", i + 1));
            assert!(cluster.managers[i].ends_within(limit), "it does not leave");
            cluster.start_manager(i);
            cluster.ready(limit).await;
        }
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);
