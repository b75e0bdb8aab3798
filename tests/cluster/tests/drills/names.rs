//! Two processes under the name of one node: the first is left in peace.

use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan};

use crate::drill;
use crate::usual::{ends_right, slow_commits, texts, uncharged};

drill!(
    a_second_process_under_a_nodes_name_is_told_so_and_ends,
    async |name| {
        let drill = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::USUAL);
        let mut cluster = Cluster::start(&drill, Plan::default()).await;
        cluster.nodes[2].kill();
        let dead = "SELECT 'x' FROM node WHERE id = 'node-3' AND state = 'dead'";
        let limit = Duration::from_secs(30);
        cluster.until("end of node-3", limit, dead).await;
        let run = cluster.submit(&data, "first").await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        cluster.nodes[2].set("ASSAY_NODE_ID", "node-1");
        cluster.start_node(2);
        drill.note("it comes again, as node-1");
        let ends = cluster.nodes[2].ends_within(limit);
        let log = cluster.nodes[2].log();
        assert!(ends, "it goes on\n{log}");
        drill.note("it has ended");
        assert!(
            log.contains("another process is at work as node `node-1`"),
            "{log}"
        );
        let lives = "SELECT incarnation || ' ' || state FROM node WHERE id = 'node-1'";
        assert_eq!(texts(&cluster, lives).await, ["1 live"]);
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);
