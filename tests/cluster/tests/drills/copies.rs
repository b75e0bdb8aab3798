//! Copies of partitions in storage, while the nodes that make them are killed: what readers see is
//! whole at every moment, and at the end it is all there, once.

use std::collections::BTreeMap;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_model::dataset::StoragePolicy;
use assay_model::source::StorageMode;
use assay_test_servers::postgres::{Options, Postgres};

use crate::drill;
use crate::usual::ends_right;

/// Nodes that are killed, one after the other.
const KILLS: usize = 6;
const SHAPE: Shape = Shape {
    days: 4,
    files: 4,
    rows: 20_000,
};

/// What readers see of each partition: rows, and different rows.
fn seen(server: &Postgres, url: &str) -> BTreeMap<String, (u64, u64)> {
    let there = "SELECT to_regclass('assay_data.orders') IS NOT NULL";
    if server.sql(url, there).trim() != "t" {
        return BTreeMap::new();
    }
    let told = server.sql(
        url,
        "SELECT _assay_partition, count(*), count(DISTINCT id) FROM assay_data.orders GROUP BY 1",
    );
    let partition = |line: &str| {
        let parts: Vec<&str> = line.split('|').collect();
        let number = |at: usize| parts[at].parse().unwrap();
        (parts[0].to_owned(), (number(1), number(2)))
    };
    told.lines().map(partition).collect()
}

/// Every partition that is there at all is whole.
fn is_whole(seen: &BTreeMap<String, (u64, u64)>) {
    for (key, (rows, different)) in seen {
        let day: u64 = key.rsplit('-').next().unwrap().parse().unwrap();
        let wanted = (SHAPE.rows + day) * u64::from(SHAPE.files);
        assert_eq!((*rows, *different), (wanted, wanted), "{key}: {seen:?}");
    }
}

drill!(
    /// A run of an ingested dataset, of whose nodes one after the other is killed and started anew.
    nodes_killed_at_any_moment_of_an_ingest_leave_each_partition_whole_and_once,
    async |name| {
        let drill = Drill::begin(name).await;
        let server = blocking(|| Postgres::start(Options::default()));
        let url = blocking(|| server.create_database());
        let plan = Plan {
            environment: vec![("ASSAY_INGEST_URL".to_owned(), url.clone())],
            ..Plan::default()
        };
        let mut data = data::generate(drill.folder(), "orders", SHAPE);
        data.dataset.storage = StoragePolicy {
            mode: StorageMode::Ingest,
            retention_days: None,
        };
        // The death of a node is charged: one task may be hit by each of them.
        data.dataset.run.retries = 2 * KILLS as u32;
        let mut cluster = Cluster::start(&drill, plan).await;
        let run = cluster.submit(&data, "first").await;
        for _ in 0..KILLS {
            drill.pause(20, 700).await;
            let node = drill.draw(0, cluster.nodes.len() as u64 - 1) as usize;
            cluster.nodes[node].kill();
            drill.note(format!("kill -9 {}", cluster.nodes[node].name));
            is_whole(&blocking(|| seen(&server, &url)));
            drill.pause(20, 200).await;
            cluster.start_node(node);
        }
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        let last = blocking(|| seen(&server, &url));
        is_whole(&last);
        assert_eq!(last.len(), SHAPE.days as usize, "{last:?}");
        // What was cut off has left no table, and no row that tells of one.
        let tables = blocking(|| {
            server.sql(
                &url,
                "SELECT (SELECT count(*) FROM pg_class \
                 WHERE relnamespace = 'assay_ingest'::regnamespace AND relname ~ '^b[0-9]+$'), \
                 (SELECT count(*) FROM assay_ingest.batch), (SELECT count(*) FROM pg_inherits \
                 WHERE inhparent = 'assay_data.orders'::regclass)",
            )
        });
        let counts: Vec<&str> = tables.trim().split('|').collect();
        assert!(counts[0] == counts[1] && counts[1] == counts[2], "{tables}");
        drop(server);
    }
);
