//! Wires that are cut, one way or both, slow, or reset (rows 23, 37 and 41 of the matrix).

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::Shape;
use assay_cluster_tests::{Cluster, Flow, Plan};

use crate::drill;
use crate::usual::{begun, ends_right, recovers, slow_commits, texts, uncharged};

/// After the wire is whole again.
const HEALED: Duration = Duration::from_secs(12);

const CUTS: [Flow; 3] = [Flow::Cut, Flow::Deaf, Flow::Mute];

/// The clients and servers of an edge.
struct Edge {
    clients: Vec<String>,
    servers: Vec<String>,
}

impl Edge {
    fn set(&self, cluster: &Cluster, flow: Flow) {
        for client in &self.clients {
            for server in &self.servers {
                cluster.wire.change(client, server, |rule| rule.flow = flow);
            }
        }
        let (clients, servers) = (self.clients.join(", "), self.servers.join(", "));
        cluster
            .drill
            .note(format!("{clients} to {servers}: {flow:?}"));
    }
}

fn etcd() -> Vec<String> {
    (0..3).map(|i| format!("etcd-{i}")).collect()
}

/// Cuts `edge` for a short time in every way, then for long in one way, while a run is at work.
/// What was at work may be charged once the node's silence has lasted long enough.
async fn cuts(name: &str, edge: impl AsyncFn(&Cluster) -> Edge, facts: &Facts) {
    let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
    slow_commits(&cluster);
    cluster.busy("measure").await;
    let first = usize::try_from(cluster.drill.draw(0, 2)).unwrap_or(0);
    for i in 0..3 {
        let edge = edge(&cluster).await;
        edge.set(&cluster, CUTS[(first + i) % 3]);
        // One of the three lasts for longer than any lease.
        match i {
            0 => cluster.drill.pause(12_000, 14_000).await,
            _ => cluster.drill.pause(2_000, 3_500).await,
        }
        edge.set(&cluster, Flow::Open);
        cluster.drill.pause(300, 1_500).await;
    }
    cluster.wire.heal();
    let healed = cluster.drill.note("all is whole again");
    let open = "SELECT 'x' FROM run WHERE finished_at IS NULL";
    if !texts(&cluster, open).await.is_empty() {
        recovers(&cluster, healed, HEALED).await;
    }
    ends_right(&cluster, &data, &run, facts).await;
}

async fn a_node(cluster: &Cluster) -> String {
    let node = cluster
        .database
        .text("SELECT node FROM task WHERE state = 'running' LIMIT 1")
        .await;
    node.unwrap_or_else(|_| "node-1".to_owned())
}

async fn the_leader(cluster: &Cluster) -> String {
    cluster.managers[cluster.leader().await].name.clone()
}

drill!(
    a_node_that_is_cut_off_from_its_leader_loses_nothing,
    async |name| {
        let edge = async |cluster: &Cluster| Edge {
            clients: vec![a_node(cluster).await],
            servers: vec!["manager-1".to_owned(), "manager-2".to_owned()],
        };
        cuts(name, edge, &Facts::default()).await;
    }
);

drill!(a_node_that_is_cut_off_from_etcd_goes_on, async |name| {
    let edge = async |cluster: &Cluster| Edge {
        clients: vec![a_node(cluster).await],
        servers: etcd(),
    };
    cuts(name, edge, &uncharged()).await;
});

drill!(
    a_node_that_is_cut_off_from_the_store_keeps_its_results,
    async |name| {
        let edge = async |cluster: &Cluster| Edge {
            clients: vec![a_node(cluster).await],
            servers: vec!["postgres".to_owned()],
        };
        cuts(name, edge, &uncharged()).await;
    }
);

drill!(
    a_leader_that_is_cut_off_from_etcd_costs_no_attempt,
    async |name| {
        let edge = async |cluster: &Cluster| Edge {
            clients: vec![the_leader(cluster).await],
            servers: etcd(),
        };
        cuts(name, edge, &uncharged()).await;
    }
);

drill!(
    a_leader_that_is_cut_off_from_the_store_costs_no_attempt,
    async |name| {
        let edge = async |cluster: &Cluster| Edge {
            clients: vec![the_leader(cluster).await],
            servers: vec!["postgres".to_owned()],
        };
        cuts(name, edge, &uncharged()).await;
    }
);

drill!(
    all_nodes_cut_off_from_their_leader_are_not_taken_for_dead_at_once,
    async |name| {
        let edge = async |_: &Cluster| Edge {
            clients: (1..=3).map(|i| format!("node-{i}")).collect(),
            servers: vec!["manager-1".to_owned(), "manager-2".to_owned()],
        };
        cuts(name, edge, &uncharged()).await;
    }
);

/// Every pair of a client and a server.
fn pairs(cluster: &Cluster) -> Vec<(String, String)> {
    let mut servers = etcd();
    servers.push("postgres".to_owned());
    let mut pairs = Vec::new();
    for process in cluster.managers.iter().chain(&cluster.nodes) {
        let ours = servers
            .iter()
            .map(|server| (process.name.clone(), server.clone()));
        pairs.extend(ours);
    }
    for node in &cluster.nodes {
        for manager in &cluster.managers {
            pairs.push((node.name.clone(), manager.name.clone()));
        }
    }
    pairs
}

drill!(
    connections_that_are_reset_again_and_again_cost_no_attempt,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let pairs = pairs(&cluster);
        cluster.drill.note("resets begin");
        for _ in 0..60 {
            let i = cluster.drill.draw(0, pairs.len() as u64 - 1) as usize;
            cluster.wire.reset(&pairs[i].0, &pairs[i].1);
            cluster.drill.pause(20, 250).await;
        }
        cluster.wire.heal();
        cluster.drill.note("resets end");
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(late_and_uneven_packets_make_no_node_dead, async |name| {
    let (cluster, data, run) = begun(name, Plan::default(), Shape::SMALL).await;
    for delay in [50_u64, 200, 800] {
        for (from, to) in pairs(&cluster) {
            cluster.wire.change(&from, &to, |rule| {
                // A thousand milliseconds on each statement would only make the drill longer.
                rule.delay =
                    Duration::from_millis(if to == "postgres" { delay / 8 } else { delay });
                rule.jitter = rule.delay / 2;
            });
        }
        cluster.drill.note(format!("packets are {delay} ms late"));
        cluster.drill.pause(4_000, 5_000).await;
    }
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &uncharged()).await;
    let dead = "SELECT node FROM event WHERE kind = 'node_moved' AND state = 'dead'";
    assert_eq!(texts(&cluster, dead).await, [""; 0]);
    let epoch = texts(&cluster, "SELECT epoch::text FROM leader_epoch").await;
    assert_eq!(epoch, ["1"], "nobody else was elected");
});

drill!(
    wires_cut_one_by_one_and_healed_in_another_order_leave_a_whole_cluster,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let mut pairs = pairs(&cluster);
        for heal in [false, true] {
            for i in (1..pairs.len()).rev() {
                pairs.swap(i, cluster.drill.draw(0, i as u64) as usize);
            }
            for (from, to) in &pairs {
                let cut = CUTS[cluster.drill.draw(0, 2) as usize];
                let flow = if heal { Flow::Open } else { cut };
                cluster.wire.change(from, to, |rule| rule.flow = flow);
                cluster.drill.pause(50, 400).await;
            }
            cluster.drill.note(if heal {
                "all is whole again"
            } else {
                "all is cut"
            });
        }
        cluster.wire.heal();
        let healed = cluster.drill.note("and quick");
        let open = "SELECT 'x' FROM run WHERE finished_at IS NULL";
        if !texts(&cluster, open).await.is_empty() {
            recovers(&cluster, healed, Duration::from_secs(30)).await;
        }
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);
