//! Processes that are asked to leave, and zones that are lost (rows 34 and 35 of the matrix).

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::Data;
use assay_cluster_tests::{Cluster, Plan};
use rustix::process::Signal;

use crate::drill;
use crate::usual::{busied, ends_right, recovers, texts, uncharged};

/// The time that nodes have to finish in these drills, and some more.
const GRACE: Duration = Duration::from_secs(25);

fn drained(node: &str) -> Facts {
    Facts {
        drained: [node.to_owned()].into(),
        nothing_charged: true,
        ..Facts::default()
    }
}

async fn has_left(cluster: &mut Cluster, node: usize) {
    let ended = assay_cluster_tests::cluster::blocking(|| cluster.nodes[node].ends_within(GRACE));
    assert!(ended, "it has not left\n{}", cluster.tails());
    cluster
        .drill
        .note(format!("{} has left", cluster.nodes[node].name));
    let who = &cluster.nodes[node].name;
    let gone = format!("SELECT 'x' FROM node WHERE id = '{who}' AND state = 'gone'");
    cluster
        .until("word that it has gone", Duration::from_secs(5), &gone)
        .await;
}

/// The node leaves, and the run ends without a charge.
async fn leaves_right(mut cluster: Cluster, data: &Data, run: &str, node: usize) {
    let who = cluster.nodes[node].name.clone();
    has_left(&mut cluster, node).await;
    cluster.wire.heal();
    ends_right(&cluster, data, run, &drained(&who)).await;
}

/// Asks a node that measures to leave.
async fn terminated(name: &str, plan: Plan) {
    let (cluster, data, run, node) = busied(name, plan).await;
    cluster.nodes[node].signal(Signal::TERM);
    let who = &cluster.nodes[node].name;
    cluster.drill.note(format!("SIGTERM to {who}"));
    leaves_right(cluster, &data, &run, node).await;
}

drill!(
    a_node_that_is_drained_finishes_what_it_has_and_leaves,
    async |name| {
        let (cluster, data, run, node) = busied(name, Plan::default()).await;
        let who = &cluster.nodes[node].name;
        cluster
            .client
            .drain(who, Duration::from_secs(10))
            .await
            .unwrap();
        cluster.drill.note(format!("drain of {who}"));
        leaves_right(cluster, &data, &run, node).await;
    }
);

drill!(
    a_node_that_is_terminated_leaves_without_a_charge,
    async |name| terminated(name, Plan::default()).await
);

drill!(
    a_node_with_no_time_to_finish_hands_back_what_it_has,
    async |name| {
        let plan = Plan {
            drain_grace_s: 0,
            ..Plan::default()
        };
        terminated(name, plan).await;
    }
);

drill!(
    a_node_that_is_killed_while_it_drains_costs_at_most_what_it_held,
    async |name| {
        let (mut cluster, data, run, node) = busied(name, Plan::default()).await;
        cluster.nodes[node].signal(Signal::TERM);
        cluster.drill.note("SIGTERM to a node");
        cluster.drill.pause(50, 300).await;
        cluster.nodes[node].kill();
        let killed = cluster.drill.note("kill -9");
        recovers(&cluster, killed, Duration::from_secs(3)).await;
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);

drill!(a_node_can_leave_while_nobody_leads, async |name| {
    let (mut cluster, data, run, node) = busied(name, Plan::default()).await;
    for manager in &mut cluster.managers {
        manager.kill();
    }
    cluster.drill.note("kill -9 of both managers");
    cluster.nodes[node].signal(Signal::TERM);
    cluster
        .drill
        .note(format!("SIGTERM to {}", cluster.nodes[node].name));
    let left = assay_cluster_tests::cluster::blocking(|| cluster.nodes[node].ends_within(GRACE));
    assert!(left, "it has not left\n{}", cluster.tails());
    cluster.wire.heal();
    cluster.start_manager(0);
    cluster.start_manager(1);
    let back = cluster.drill.note("the managers are back");
    recovers(&cluster, back, Duration::from_secs(10)).await;
    ends_right(&cluster, &data, &run, &uncharged()).await;
});

drill!(
    a_leader_that_is_terminated_hands_the_lead_over,
    async |name| {
        let (mut cluster, data, run, _) = busied(name, Plan::default()).await;
        let leader = cluster.leader().await;
        cluster.managers[leader].signal(Signal::TERM);
        let asked = cluster.drill.note("SIGTERM to the leader");
        let minted = format!(
            "SELECT (extract(epoch FROM minted_at - '{asked}'::timestamptz))::text FROM leader_epoch \
         WHERE epoch > 1"
        );
        let took = cluster
            .until("new leader", Duration::from_secs(8), &minted)
            .await;
        cluster
            .drill
            .note(format!("another one leads after {took} s"));
        assert!(took.parse::<f64>().unwrap() < 2.0, "{took}");
        let ended = assay_cluster_tests::cluster::blocking(|| {
            cluster.managers[leader].ends_within(Duration::from_secs(12))
        });
        assert!(ended, "it has not left\n{}", cluster.tails());
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    a_fleet_that_is_drained_whole_is_followed_by_another_one,
    async |name| {
        let (mut cluster, data, run, _) = busied(name, Plan::default()).await;
        for node in 0..3 {
            cluster.nodes[node].signal(Signal::TERM);
        }
        cluster.drill.note("SIGTERM to every node");
        for node in 0..3 {
            has_left(&mut cluster, node).await;
        }
        cluster.wire.heal();
        for node in 0..3 {
            cluster.start_node(node);
        }
        let back = cluster.drill.note("all are started again");
        recovers(&cluster, back, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    a_zone_that_is_lost_with_its_manager_costs_no_attempt,
    async |name| {
        let plan = Plan {
            nodes: 4,
            zones: vec!["a".to_owned(), "b".to_owned()],
            ..Plan::default()
        };
        let (mut cluster, data, run, _) = busied(name, plan).await;
        let leader = cluster.leader().await;
        // Nodes 1 and 3 lie in the zone a.
        cluster.nodes[0].kill();
        cluster.nodes[2].kill();
        cluster.managers[leader].kill();
        let killed = cluster.drill.note("kill -9 of zone a, and of the leader");
        recovers(&cluster, killed, Duration::from_secs(12)).await;
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
        let lost = "SELECT DISTINCT outcome FROM task_attempt WHERE outcome <> 'ok' ORDER BY 1";
        cluster
            .drill
            .note(format!("ended as {:?}", texts(&cluster, lost).await));
    }
);
