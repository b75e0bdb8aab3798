//! Leases of nodes and of leaders, and the cluster's configuration, in a whole cluster.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::sync::atomic::Ordering;
use std::time::Duration;

use assay_coordination::Coordinator;
use assay_manager::{Role, SubmitError};
use assay_model::ids::{Incarnation, NodeId};
use assay_model::run::{RunState, Selection, Trigger};
use cluster::{Cluster, within};
use tokio::time::sleep;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_holds_a_lease_with_its_load_and_gives_it_back_when_it_leaves() {
    let cluster = Cluster::new().await;
    let manager = cluster.manager("m1");
    let node = cluster.node(
        "n1",
        vec![assay_proto::link::Door::Local(manager.doorway())],
    );
    let mut nodes = cluster.coordinator.watch_nodes().await.unwrap();
    let n1 = NodeId::new("n1");
    let leased = nodes.wait_for(|nodes| nodes.get(&n1).is_some_and(|n| n.load.is_some()));
    let seen = within("a lease with a load", leased).await.unwrap()[&n1].clone();
    assert_eq!(seen.advert.slots, 2);
    assert_eq!(
        *node.handle.leased().borrow(),
        Some(seen.advert.incarnation)
    );
    within("the node leaves", node.handle.drain("test")).await;
    assert!(nodes.borrow().is_empty(), "the lease was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lease_is_taken_anew_by_the_same_life() {
    let cluster = Cluster::new().await;
    let manager = cluster.manager("m1");
    let node = cluster.node(
        "n1",
        vec![assay_proto::link::Door::Local(manager.doorway())],
    );
    let mut leased = node.handle.leased();
    let first = within("a lease", leased.wait_for(Option::is_some))
        .await
        .unwrap()
        .unwrap();
    // Somebody takes the lease of the very same life; the node takes it back.
    let taken = assay_coordination::conformance::advert("n1", first.0);
    let mut stolen = cluster.coordinator.register(&taken).await.unwrap();
    within("the node's return", stolen.lost()).await;
    let again = within("a lease again", leased.wait_for(Option::is_some))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_in_doubt_leads_on_while_the_coordinator_is_away() {
    let cluster = Cluster::new().await;
    cluster.write_days(2);
    let manager = cluster.manager("m1");
    let _node = cluster.node(
        "n1",
        vec![assay_proto::link::Door::Local(manager.doorway())],
    );
    within("m1 leads", manager.leads()).await;
    let before = manager.roles().borrow().clone();
    cluster.coordinator.begin_outage();
    // Longer than the lease lasts.
    sleep(Duration::from_secs(3)).await;
    // On a machine that stood still for a moment nobody leads for a while.
    let submitted = loop {
        let (dataset, by_hand) = (cluster.dataset(), Trigger::Manual);
        match manager
            .submit(dataset, by_hand, Selection::default(), None)
            .await
        {
            Ok(submitted) => break submitted,
            Err(SubmitError::NotLeading(_)) => within("m1 leads again", manager.leads()).await,
            Err(error) => panic!("{error}"),
        }
    };
    let run = within("the run", manager.wait(submitted.run))
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Succeeded);
    cluster.assert_right(2).await;
    cluster.coordinator.end_outage();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(*manager.roles().borrow(), before, "the epoch has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_replaced_in_its_doubt_learns_it_from_the_store() {
    let cluster = Cluster::new().await;
    let first = cluster.manager("m1");
    within("m1 leads", first.leads()).await;
    cluster.coordinator.sever("m1");
    let second = cluster.manager("m2");
    within("m2 leads", second.leads()).await;
    // It has nothing to write, and the coordinator does not reach it.
    let mut role = first.roles();
    let down = role.wait_for(|role| !matches!(role, Role::Leading { .. }));
    within("m1 stands down", down).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_applies_without_a_restart_and_a_bad_one_not_at_all() {
    let cluster = Cluster::new().await;
    cluster.write_days(1);
    let manager = cluster.manager("m1");
    let node = cluster.node(
        "n1",
        vec![assay_proto::link::Door::Local(manager.doorway())],
    );
    within("m1 leads", manager.leads()).await;
    within("n1 is live", node.handle.live()).await;
    let mut desired = manager.desired_nodes();
    let bounds = serde_json::json!({ "scale": { "min": 3, "max": 3 } });
    manager.configure(&bounds).await.unwrap();
    within("three nodes are wanted", desired.wait_for(|(n, _)| *n == 3))
        .await
        .unwrap();
    let misspelt = serde_json::json!({ "scale": { "minimum": 1 } });
    assert!(manager.configure(&misspelt).await.is_err());
    // One that somebody wrote past the manager.
    cluster.coordinator.put_config(&misspelt).await.unwrap();
    // On a machine that stood still for a moment nobody leads for a while.
    let submitted = loop {
        let (dataset, by_hand) = (cluster.dataset(), Trigger::Manual);
        match manager
            .submit(dataset, by_hand, Selection::default(), None)
            .await
        {
            Ok(submitted) => break submitted,
            Err(SubmitError::NotLeading(_)) => within("m1 leads again", manager.leads()).await,
            Err(error) => panic!("{error}"),
        }
    };
    let run = within("the run", manager.wait(submitted.run))
        .await
        .unwrap();
    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(desired.borrow().0, 3);
    assert_eq!(cluster.store.unconfirmed_commits.load(Ordering::SeqCst), 0);
    assert_eq!(*node.handle.leased().borrow(), Some(Incarnation(1)));
}
