//! A node that says what is not so: that it has done its tasks.
//!
//! Comes in: an open cluster and a stranger that registers as a node, takes what it is given and
//! answers at once that it is done. Goes out: a run that is whole and right all the same.

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId};
use assay_model::node::{Load, Node, NodeState};
use assay_proto::convert::{hello_of, load_of};
use assay_proto::link::Door;
use assay_proto::v1;
use assay_proto::v1::manager_message::Kind as Hears;
use assay_proto::v1::node_message::Kind;
use assay_proto::v1::node_service_client::NodeServiceClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::drill;
use crate::usual::{ends_right, texts};

/// How often it lies; each is found out and tried again after the pause of a failure.
const LIES: usize = 3;

/// Registers as `liar` with the leader at `address`, answers assignments with a success, and leaves.
async fn lie(address: String) {
    let node = Node {
        id: NodeId::new("liar"),
        incarnation: Incarnation(0),
        state: NodeState::Registering,
        slots: 4,
        memory_bytes: 1 << 30,
        zone: String::new(),
    };
    let (says, stream) = mpsc::channel(64);
    let say = async |kind| says.send(v1::NodeMessage { kind: Some(kind) }).await;
    let held: [AttemptToken; 0] = [];
    let hello = hello_of(&node, &held, Epoch(0), 0);
    say(Kind::Hello(hello)).await.unwrap();
    let channel = Door::Tcp(address).open().await.unwrap();
    let mut client = NodeServiceClient::new(channel);
    let answer = client.connect(ReceiverStream::new(stream)).await.unwrap();
    let mut hears = answer.into_inner();
    let mut lies = 0;
    let mut beats = tokio::time::interval(Duration::from_millis(500));
    loop {
        let told = tokio::select! {
            message = hears.message() => match message {
                Ok(Some(v1::ManagerMessage { kind: Some(Hears::Assign(assign)), .. })) => {
                    lies += 1;
                    if lies > LIES {
                        return;
                    }
                    say(Kind::Finished(assign.token.unwrap())).await
                }
                Ok(Some(_)) => Ok(()),
                Ok(None) | Err(_) => return,
            },
            _ = beats.tick() => say(Kind::Heartbeat(load_of(&Load::default()))).await,
        };
        if told.is_err() {
            return;
        }
    }
}

drill!(
    a_node_that_says_that_it_is_done_and_has_done_nothing_ends_no_run,
    async |name| {
        let drill = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::SMALL);
        let plan = Plan {
            nodes: 2,
            ..Plan::default()
        };
        let cluster = Cluster::start(&drill, plan).await;
        let leader = cluster.leader().await;
        let liar = tokio::spawn(lie(cluster.client.managers[leader].clone()));
        let live = "SELECT 'x' FROM node WHERE id = 'liar' AND state = 'live'";
        let limit = Duration::from_secs(20);
        cluster.until("liar", limit, live).await;
        let run = cluster.submit(&data, "first").await;
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        let found = "SELECT outcome FROM task_attempt WHERE node = 'liar'";
        let found = texts(&cluster, found).await;
        assert!(found.contains(&"retryable".to_owned()), "{found:?}");
        assert!(!found.contains(&"ok".to_owned()), "{found:?}");
        liar.abort();
    }
);
