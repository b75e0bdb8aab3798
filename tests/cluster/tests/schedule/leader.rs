//! The leader's own tick, beside the function's: the same runs, and none twice.

use std::time::Duration;

use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::scrape::Page;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_test_servers::ministack;
use jiff::{SignedDuration, Timestamp};

use crate::world::{World, ticked};

/// How long what is due may take to be asked for.
const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_ticks_beside_the_function_and_its_heir_goes_on() {
    let drill = Drill::begin("scheduled_leader").await;
    let world = World::new("leader", drill.folder()).await;
    let mut environment = blocking(|| ministack::shared().environment());
    let own = [
        ("ASSAY_REGISTRY_TABLE", "leader"),
        ("ASSAY_SCHEDULE_EVERY_S", "1"),
    ];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let plan = Plan {
        managers: 2,
        nodes: 0,
        environment,
        ..Plan::default()
    };
    let mut cluster = Cluster::start(&drill, plan).await;
    let now = Timestamp::now().as_second();
    let end = Timestamp::from_second(now / 60 * 60).unwrap();
    let before = |minutes: i64| end - SignedDuration::from_mins(minutes);
    let every_minute = "schedule: '* * * * *', catchUp: all";
    // Made aside, so that the leader does not see it half made.
    let aside = World::new("leader-aside", drill.folder()).await;
    for id in ["first", "second"] {
        aside.define(id, drill.folder(), every_minute).await;
        aside.looked_at(id, before(5)).await;
    }
    world.put(aside.item("first").await).await;
    let of = |id: &str, count: u32| {
        format!(
            "SELECT 'all' FROM run WHERE dataset_id = '{id}' AND slot <= '{end}' \
             HAVING count(*) = {count} AND count(DISTINCT slot) = {count}"
        )
    };
    cluster
        .until("runs of the leader", SOON, &of("first", 5))
        .await;
    let sandbox = world.sandbox(&cluster, &[]).await;
    ticked(&sandbox, None).await;
    let leader = cluster.leader().await;
    let page = |place: usize| blocking(|| Page::of(cluster.managers[place].telemetry));
    let (ticks, _) = page(leader).sum("assay_schedule_ticks_total", &["outcome=\"ok\""]);
    assert!(ticks >= 1.0, "{ticks}");
    let (_, emits) = page(leader).sum("assay_schedule_emitted_total", &[]);
    assert_eq!(emits, 1);
    let (_, others) = page(1 - leader).sum("assay_schedule_ticks_total", &[]);
    assert_eq!(others, 0, "only the leader ticks");
    let (_, status) = cluster.client.leader(SOON).await.unwrap();
    assert_eq!(status.schedule.unwrap().outcome, "ok");
    cluster.managers[leader].kill();
    world.put(aside.item("second").await).await;
    cluster
        .until("runs of its heir", SOON, &of("second", 5))
        .await;
    cluster.until("no run twice", SOON, &of("first", 5)).await;
}
