//! Runs that somebody has removed from the store, and ticks that come after that.

use std::time::Duration;

use assay_cluster_tests::{Cluster, Drill, Plan};
use jiff::{SignedDuration, Timestamp};

use crate::world::{World, count, ticked};

/// How long a manager may take to lead.
const READY: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_run_was_removed_is_not_run_again_by_a_late_tick() {
    let drill = Drill::begin("scheduled_pruned").await;
    let plan = Plan {
        managers: 1,
        nodes: 0,
        ..Plan::default()
    };
    let mut cluster = Cluster::start(&drill, plan).await;
    let world = World::new("pruned", drill.folder()).await;
    let end = Timestamp::from_second(Timestamp::now().as_second() / 60 * 60).unwrap();
    let before = |minutes: i64| end - SignedDuration::from_mins(minutes);
    for (id, catch_up) in [("each", "all"), ("newest", "latest")] {
        let run = format!("schedule: '* * * * *', catchUp: {catch_up}");
        world.define(id, drill.folder(), &run).await;
        world.looked_at(id, before(20)).await;
    }
    let sandbox = world.sandbox(&cluster, &[]).await;
    let report = ticked(&sandbox, Some(before(10))).await;
    assert_eq!(count(&report, "/emitted"), 10 + 1, "{report:#}");

    // As somebody would who needs the space: everything of them, while nobody leads.
    cluster.managers[0].kill();
    for table in ["task_spec", "task", "run"] {
        let remove = format!("DELETE FROM {table}");
        cluster.database.execute(&remove).await.unwrap();
    }
    drill.note("all runs are removed");
    cluster.start_manager(0);
    cluster.ready(READY).await;
    // Events that were on their way for a day, repeated, and in no order.
    for minutes in [15, 10, 1440, 19, 10] {
        let report = ticked(&sandbox, Some(before(minutes))).await;
        assert_eq!(report["outcome"], "ok", "{report:#}");
        assert_eq!(count(&report, "/emitted"), 0, "{report:#}");
    }
    // What was never run is, and nothing of what was.
    let report = ticked(&sandbox, Some(end)).await;
    assert_eq!(count(&report, "/emitted"), 10 + 1, "{report:#}");
    let query = "SELECT dataset_id || ' ' || count(*) || ' ' || \
                 (min(slot) > '{since}')::text FROM run GROUP BY dataset_id ORDER BY dataset_id";
    let query = query.replace("{since}", &before(10).to_string());
    let runs = cluster.database.texts(&query).await.unwrap();
    assert_eq!(runs, ["each 10 true", "newest 1 true"]);
}
