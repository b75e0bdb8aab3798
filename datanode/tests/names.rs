//! Two processes under one name: the second is told so and ends, and the first is left in peace.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cluster;

use std::time::Duration;

use assay_datanode::{NodeConfig, NodeStatus};
use assay_model::run::{RunState, Selection, Trigger};
use assay_proto::link::Door;
use cluster::{Cable, Cluster, within};

fn config(door: &Door) -> NodeConfig {
    NodeConfig {
        slots: 2,
        heartbeat: Duration::from_millis(200),
        name_patience: Duration::from_millis(500),
        ..NodeConfig::new("n1", vec![door.clone()])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_under_a_nodes_name_is_told_so_and_ends() {
    let cluster = Cluster::new().await;
    cluster.write_days(3);
    let manager = cluster.manager("m1");
    within("leadership", manager.leads()).await;
    let door = Door::Local(manager.doorway());
    let first = cluster.node_with(config(&door));
    within("the first is live", first.handle.live()).await;
    let before = *first.handle.status().borrow();
    first.gate.closed.send_replace(true);
    let run = manager
        .submit(
            cluster.dataset(),
            Trigger::Manual,
            Selection::default(),
            None,
        )
        .await
        .unwrap()
        .run;
    first.is_stuck().await;
    let second = cluster.node_with(config(&door));
    let mut status = second.handle.status();
    let stopped = status.wait_for(|status| *status == NodeStatus::Stopped);
    within("the second's end", stopped).await.unwrap();
    let why = second.handle.refused().unwrap().to_owned();
    assert!(
        why.contains("`n1`") && why.contains("ASSAY_NODE_ID"),
        "{why}"
    );
    // The first has the same life, and its task the same attempt.
    assert_eq!(*first.handle.status().borrow(), before);
    assert_eq!(first.handle.refused(), None);
    first.gate.closed.send_replace(false);
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    let tasks = cluster.metrics.tasks(run).await.unwrap();
    assert!(tasks.iter().all(|(_, attempts)| attempts.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_free_when_its_process_is_gone_or_says_nothing() {
    let cluster = Cluster::new().await;
    let manager = cluster.manager("m1");
    within("leadership", manager.leads()).await;
    let door = Door::Local(manager.doorway());
    let first = cluster.node_with(config(&door));
    within("the first is live", first.handle.live()).await;
    first.handle.kill().await;
    let second = cluster.node_with(config(&door));
    within("the second is live", second.handle.live()).await;
    // One whose wire is cut: its stream is open, and silent.
    let cable = Cable::to(manager.doorway());
    let cut_off = NodeConfig {
        doors: vec![cable.door.clone()],
        ..config(&door)
    };
    second.handle.kill().await;
    let third = cluster.node_with(cut_off);
    within("the third is live", third.handle.live()).await;
    cable.cut.send_replace(true);
    let fourth = cluster.node_with(NodeConfig {
        name_patience: Duration::from_secs(60),
        ..config(&door)
    });
    within("the fourth is live", fourth.handle.live()).await;
}
