//! The state of record moves to another server (rows 17 and 18 of the matrix): a standby that holds
//! all that was confirmed, and one that lacks the last seconds.

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{self, Data, Shape};
use assay_cluster_tests::servers::Whose;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_test_servers::postgres::Postgres;

use crate::drill;
use crate::usual::{ends_right, goes_on, is_right, slow_commits, texts, uncharged};

/// A cluster with a standby of its Postgres, and a run that has begun and takes its time.
async fn followed(
    name: &str,
    shape: Shape,
    synchronous: bool,
) -> (Cluster, Postgres, Data, String) {
    let drill = Drill::begin(name).await;
    let data = data::generate(drill.folder(), "orders", shape);
    let plan = Plan {
        postgres: Whose::Own,
        ..Plan::default()
    };
    let cluster = Cluster::start(&drill, plan).await;
    let standby = blocking(|| cluster.servers.postgres().standby(synchronous));
    drill.note("a standby follows");
    slow_commits(&cluster);
    let run = cluster.submit(&data, "first").await;
    (cluster, standby, data, run)
}

/// What was confirmed so far, as it can be compared later.
async fn confirmed(cluster: &Cluster) -> Vec<String> {
    texts(
        cluster,
        "SELECT seq || ' ' || kind || ' ' || coalesce(task_id::text, '') || ' ' || at FROM event \
         ORDER BY seq",
    )
    .await
}

/// Nobody goes on under an epoch that the server before has minted.
async fn leaps(cluster: &Cluster) {
    let leapt = "SELECT epoch::text FROM leader_epoch WHERE epoch > 1000000";
    let limit = Duration::from_secs(20);
    let epoch = cluster.until("epoch of its own", limit, leapt).await;
    cluster.drill.note(format!("epoch {epoch}"));
}

/// A synchronous standby takes over while tasks of `kind` are at work.
async fn a_synchronous_one(name: &str, kind: &str, shape: Shape) {
    let (mut cluster, standby, data, run) = followed(name, shape, true).await;
    cluster.busy(kind).await;
    cluster.drill.pause(100, 900).await;
    let before = confirmed(&cluster).await;
    let promoted = cluster.fail_over(standby);
    cluster.wire.heal();
    goes_on(&cluster, promoted, Duration::from_secs(15)).await;
    let after = confirmed(&cluster).await;
    assert_eq!(
        after.get(..before.len()),
        Some(before.as_slice()),
        "what was confirmed is there"
    );
    ends_right(&cluster, &data, &run, &uncharged()).await;
    leaps(&cluster).await;
}

drill!(
    a_synchronous_standby_takes_over_without_a_loss,
    async |name| a_synchronous_one(name, "measure", Shape::USUAL).await
);

drill!(
    a_synchronous_standby_takes_over_while_verdicts_are_written,
    async |name| a_synchronous_one(name, "evaluate", Shape::SMALL).await
);

drill!(
    what_an_asynchronous_standby_lacks_is_done_again_and_never_twice,
    async |name| {
        let (mut cluster, standby, data, run) = followed(name, Shape::USUAL, false).await;
        cluster.busy("measure").await;
        blocking(|| standby.fall_behind());
        cluster.drill.note("it hears nothing more");
        let done = "SELECT count(*)::text FROM event WHERE kind = 'task_succeeded'";
        let known = blocking(|| standby.sql(&standby.url_of(&database(&cluster)), done));
        let more = format!(
            "SELECT 'x' FROM event WHERE kind = 'task_succeeded' HAVING count(*) >= {known} + 3"
        );
        let limit = Duration::from_secs(30);
        cluster.until("results that it lacks", limit, &more).await;
        cluster.drill.pause(0, 700).await;
        let before = confirmed(&cluster).await;
        let promoted = cluster.fail_over(standby);
        let after = confirmed(&cluster).await;
        assert!(after.len() < before.len(), "the last seconds are lost");
        let lost = before.len() - after.len();
        cluster.drill.note(format!("{lost} events are lost"));
        cluster.wire.heal();
        goes_on(&cluster, promoted, Duration::from_secs(60)).await;
        // What was lost with its results is no fault of anybody's task.
        ends_right(&cluster, &data, &run, &uncharged()).await;
        leaps(&cluster).await;
    }
);

drill!(
    a_run_whose_end_was_lost_is_brought_to_its_end_again,
    async |name| {
        // The leader remembers that all is done: nothing but the server's word can tell it better.
        let (mut cluster, standby, data, run) = followed(name, Shape::SMALL, false).await;
        cluster.busy("evaluate").await;
        blocking(|| standby.fall_behind());
        cluster.drill.note("the standby hears nothing more");
        let state = cluster.ended(&run, Duration::from_secs(60)).await;
        assert_eq!(state, "succeeded");
        cluster.wire.heal();
        // A node that begins another life in the lost seconds, and a run of which nothing is left.
        cluster.nodes[0].kill();
        cluster.start_node(0);
        cluster.ready(Duration::from_secs(30)).await;
        let late = data::generate(cluster.drill.folder(), "late", Shape::SMALL);
        let second = cluster.submit(&late, "second").await;
        cluster.ended(&second, Duration::from_secs(60)).await;
        let promoted = cluster.fail_over(standby);
        goes_on(&cluster, promoted, Duration::from_secs(60)).await;
        leaps(&cluster).await;
        cluster.ended(&run, Duration::from_secs(60)).await;
        let known = "SELECT 'x' FROM run WHERE dataset_id = 'late'";
        assert!(texts(&cluster, known).await.is_empty(), "it was lost");
        // Whoever asked for it asks again.
        let again = cluster.submit(&late, "second").await;
        assert_eq!(again, second, "the same key is the same run");
        let state = cluster.ended(&again, Duration::from_secs(60)).await;
        assert_eq!(state, "succeeded");
        is_right(&cluster, &[&data, &late], &Facts::default()).await;
    }
);

/// The name of the cluster's database.
fn database(cluster: &Cluster) -> String {
    let name = cluster.database.url.rsplit('/').next();
    name.expect("an address has a path").to_owned()
}
