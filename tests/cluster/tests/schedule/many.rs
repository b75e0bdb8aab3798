//! A thousand invocations, twice, late, out of order and at once: one run a slot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use assay_cluster_tests::{Cluster, Drill, Plan};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::world::{World, count, ticked_at_last};

/// Datasets, and slots of each.
const DATASETS: usize = 20;
const SLOTS: i64 = 10;
/// Invocations, and sandboxes that they come to.
const INVOCATIONS: usize = 1000;
const SANDBOXES: usize = 4;

/// Whether the manager did not answer in time, on a busy machine: what is left over is asked for by
/// the invocations that follow. Nothing else may have failed beside it.
fn away(report: &Value) -> bool {
    let failed = report["failed"].as_object();
    failed.is_some_and(|all| !all.is_empty() && all.keys().all(|what| what == "away"))
}

#[test]
fn a_report_that_names_another_failure_beside_a_manager_that_is_away_is_not_let_pass() {
    let report = |failed| serde_json::json!({ "outcome": "away", "failed": failed });
    assert!(away(&report(serde_json::json!({ "away": 2 }))));
    assert!(!away(&report(
        serde_json::json!({ "away": 2, "registry": 1 })
    )));
    assert!(!away(&report(serde_json::json!({ "refused": 1 }))));
    assert!(!away(&report(serde_json::json!({}))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_invocations_in_any_order_are_one_run_a_slot() {
    let drill = Drill::begin("scheduled_thousand").await;
    let plan = Plan {
        managers: 1,
        nodes: 0,
        ..Plan::default()
    };
    let cluster = Cluster::start(&drill, plan).await;
    let world = World::new("thousand", drill.folder()).await;
    let now = Timestamp::now().as_second();
    let end = Timestamp::from_second(now / 60 * 60).unwrap();
    let before = |minutes: i64| end - SignedDuration::from_mins(minutes);
    for n in 0..DATASETS {
        let id = format!("d{n:02}");
        let run = "schedule: '* * * * *', catchUp: all";
        world.define(&id, drill.folder(), run).await;
        world.looked_at(&id, before(SLOTS)).await;
    }
    let mut sandboxes = Vec::new();
    for _ in 0..SANDBOXES {
        sandboxes.push(world.sandbox(&cluster, &[]).await);
    }
    // Each instant comes about a hundred times, from the oldest to the newest and back, by leaps.
    let instants: Vec<Timestamp> = (0..INVOCATIONS)
        .map(|n| before((n * 7 % 11) as i64 % SLOTS))
        .collect();
    let (instants, place) = (Arc::new(instants), Arc::new(AtomicUsize::new(0)));
    let workers = sandboxes.into_iter().map(|sandbox| {
        let (instants, place) = (Arc::clone(&instants), Arc::clone(&place));
        tokio::spawn(async move {
            let (mut begun, mut existed, mut overtaken) = (0, 0, 0);
            while let Some(at) = instants.get(place.fetch_add(1, Ordering::Relaxed)) {
                let report = ticked_at_last(&sandbox, *at).await;
                assert!(away(&report) || report["outcome"] == "ok", "{report:#}");
                begun += count(&report, "/emitted");
                existed += count(&report, "/existed");
                overtaken += count(&report, "/overtaken");
            }
            (begun, existed, overtaken)
        })
    });
    let (mut begun, mut existed, mut overtaken) = (0, 0, 0);
    for worker in futures::future::join_all(workers).await {
        let (of_one, were_there, came_second) = worker.unwrap();
        begun += of_one;
        existed += were_there;
        overtaken += came_second;
    }
    let slots = DATASETS as i64 * SLOTS;
    // A call whose answer was lost, or came too late, may have begun a run that its repeat then finds:
    // never one too many, and none that nobody saw.
    assert!(begun <= slots.unsigned_abs(), "{begun} were begun");
    assert!(begun + existed >= slots.unsigned_abs(), "{existed} existed");
    let query = "SELECT dataset_id || ' ' || extract(epoch FROM slot)::bigint FROM run \
                 WHERE trigger_word = 'schedule'";
    let rows = cluster.database.texts(query).await.unwrap();
    assert_eq!(rows.len() as i64, slots, "one row a slot");
    let expected: BTreeSet<String> = (0..DATASETS)
        .flat_map(|n| (0..SLOTS).map(move |m| (n, m)))
        .map(|(n, minute)| format!("d{n:02} {}", before(minute).as_second()))
        .collect();
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), expected);
    eprintln!("{overtaken} looks were overtaken by another sandbox");
}
