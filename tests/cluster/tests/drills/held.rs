//! Somebody stands still in the middle of a transaction (row 4 of the matrix): the server ends what
//! holds rows of the cluster, and a process of the cluster never does.

use std::time::Duration;

use assay_cluster_tests::data::Shape;
use assay_cluster_tests::database::Database;
use assay_cluster_tests::{Cluster, Plan};
use rustix::process::Signal;

use crate::drill;
use crate::usual::{busied, ends_right, goes_on, stands, texts, uncharged};

/// A stranger opens a transaction with `statement`, and stands still until the server ends it.
async fn stands_still(cluster: &Cluster, statement: &str) -> Database {
    let other = Database::at(&cluster.database.url);
    let open = format!("BEGIN; SET LOCAL application_name = 'stranger'; {statement}");
    // One message, so that nothing but the stranger's silence follows; what is given back stays open.
    other.hold(&open).await.unwrap();
    let held = cluster.drill.note("a session holds rows, and says nothing");
    let over = "SELECT 'over' WHERE NOT EXISTS (SELECT 1 FROM pg_stat_activity \
                WHERE application_name = 'stranger' AND datname = current_database())";
    let limit = Duration::from_secs(15);
    cluster.until("end of that session", limit, over).await;
    let ended = cluster.drill.note("the server has ended it");
    let took = Duration::try_from(ended.duration_since(held)).unwrap();
    assert!(took < Duration::from_secs(5), "it was there for {took:?}");
    other
}

drill!(
    a_stranger_who_holds_all_tasks_in_an_open_transaction_is_ended,
    async |name| {
        let (cluster, data, run, _) = busied(name, Plan::default()).await;
        cluster.drill.pause(0, 500).await;
        let tasks = "SELECT 1 FROM task FOR UPDATE";
        let stranger = stands_still(&cluster, tasks).await;
        let over = cluster.drill.note("the rows are free");
        cluster.wire.heal();
        goes_on(&cluster, over, Duration::from_secs(5)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
        drop(stranger);
    }
);

drill!(
    a_stranger_who_holds_the_epoch_holds_up_an_election_for_seconds,
    async |name| {
        let (mut cluster, data, run, _) = busied(name, Plan::default()).await;
        let leader = cluster.leader().await;
        // The next leader mints while the row is held.
        cluster.managers[leader].signal(Signal::TERM);
        cluster.drill.note("the leader is asked to leave");
        let epoch = "SELECT 1 FROM leader_epoch FOR UPDATE";
        let stranger = stands_still(&cluster, epoch).await;
        let over = cluster.drill.note("the row is free");
        cluster.wire.heal();
        goes_on(&cluster, over, Duration::from_secs(10)).await;
        cluster.ready(Duration::from_secs(20)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
        drop(stranger);
    }
);

drill!(
    a_node_that_stands_still_while_its_statement_runs_holds_nothing,
    async |name| {
        let (drill, cluster, data) = stands(name, Plan::default(), Shape::USUAL).await;
        let run = cluster.submit(&data, "first").await;
        let node = cluster.busy("measure").await;
        let who = cluster.nodes[node].name.clone();
        // Whatever the node says next waits in the server, where the node cannot reach it.
        let other = Database::at(&cluster.database.url);
        let mine = format!("SELECT 1 FROM task WHERE node = '{who}' FOR UPDATE");
        let lock = format!("BEGIN; {mine}; SELECT pg_sleep(1.5); COMMIT");
        let (held, ()) = tokio::join!(other.execute(&lock), async {
            let waits = "SELECT 'x' FROM pg_stat_activity WHERE application_name = 'assay' \
                         AND datname = current_database() AND wait_event_type = 'Lock'";
            let waiting = async {
                while texts(&cluster, waits).await.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            // A node that had nothing to say is stopped as well.
            let _ = tokio::time::timeout(Duration::from_secs(1), waiting).await;
            cluster.nodes[node].pause();
            drill.note(format!("SIGSTOP of {who} while its statement waits"));
        });
        held.unwrap();
        let freed = drill.note("the rows are free, and the node stands still");
        goes_on(&cluster, freed, Duration::from_secs(12)).await;
        cluster.drill.pause(4_000, 6_000).await;
        let sits = "SELECT 'x' FROM pg_stat_activity WHERE datname = current_database() \
                    AND state LIKE 'idle in transaction%'";
        assert!(
            texts(&cluster, sits).await.is_empty(),
            "somebody holds rows"
        );
        cluster.nodes[node].resume();
        drill.note("SIGCONT");
        // Its node may have been declared dead meanwhile, which is charged.
        let facts = assay_cluster_tests::checker::Facts::default();
        ends_right(&cluster, &data, &run, &facts).await;
        other.close().await;
    }
);
