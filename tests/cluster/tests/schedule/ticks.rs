//! One function over a table with all that can be wrong with it, and a cluster that comes and goes.

use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_proto::link::PeerRole;
use assay_test_servers::runtime_api::Answer;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::world::{LIMIT, World, asked, count, document, s, ticked};

/// How long a run over little data may take.
const RUN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_ends_in_metrics_and_what_is_wrong_does_not_stop_it() {
    let drill = Drill::begin("scheduled_tick").await;
    let data = data::generate(drill.folder(), "orders", Shape::SMALL);
    let plan = Plan {
        managers: 1,
        nodes: 1,
        secured: true,
        ..Plan::default()
    };
    let cluster = Cluster::start(&drill, plan).await;
    let world = World::new("ticks", drill.folder()).await;
    world.define("orders", &data.folder, "retries: 2").await;
    spoil(&world, &cluster).await;
    let secret = world.secret(&cluster, PeerRole::Emitter, "scheduler").await;
    let sandbox = world
        .sandbox(&cluster, &[("ASSAY_TLS_SECRET", &secret)])
        .await;
    let report = ticked(&sandbox, None).await;
    assert_eq!(count(&report, "/emitted"), 1, "{report:#}");
    assert_eq!(count(&report, "/skipped/not_allowed"), 1, "{report:#}");
    assert_eq!(count(&report, "/skipped/paused"), 1, "{report:#}");
    assert_eq!(count(&report, "/skipped/invalid"), 4, "{report:#}");
    let log = world.log();
    let details = report["details"].to_string();
    for (dataset, word) in [
        ("elsewhere", "/etc"),
        ("held", "audit"),
        ("crooked", "61 * * * *"),
        ("nowhere", "Mars/Olympus"),
        ("nonsense", "zstd"),
        ("copy", "orders"),
    ] {
        assert!(
            details.contains(dataset) && details.contains(word),
            "{dataset}: {report:#}"
        );
        assert!(log.contains(dataset), "{dataset} is not in the log:\n{log}");
    }
    assert!(!log.contains("PRIVATE KEY") && !details.contains("PRIVATE KEY"));
    let run =
        "SELECT run_word(id) FROM run WHERE dataset_id = 'orders' AND trigger_word = 'backfill'";
    let run = cluster.until("run", RUN, run).await;
    assert_eq!(
        cluster.ended(&run, RUN).await,
        "succeeded",
        "{}",
        cluster.tails()
    );
    for truth in &data.truth {
        let (_, _, rows) = &truth.metrics[0];
        let query = format!(
            "SELECT m.value::text FROM verdict v JOIN metric m ON m.verdict_id = v.id \
             JOIN metric_series c ON c.id = m.series_id \
             WHERE v.partition = '{}' AND c.metric = 'rowCount' AND c.filter = ''",
            truth.partition
        );
        assert_eq!(cluster.until("metric", RUN, &query).await, *rows);
    }
    let again = ticked(&sandbox, None).await;
    assert_eq!(
        (count(&again, "/looked"), count(&again, "/emitted")),
        (0, 0),
        "{again:#}"
    );
    asks(&world, &sandbox).await;
    let (started, held) = (
        sandbox.cold_start().unwrap(),
        sandbox.memory_peak().unwrap(),
    );
    eprintln!(
        "the function asked for its first event after {started:?}, and held {} KiB",
        held >> 10
    );
}

/// Puts what is wrong into the table.
async fn spoil(world: &World, cluster: &Cluster) {
    let folder = cluster.drill.folder();
    let hourly = "schedule: '0 * * * *'";
    for id in ["crooked", "nowhere", "nonsense"] {
        world.define(id, folder, hourly).await;
    }
    world.define("elsewhere", "/etc".as_ref(), hourly).await;
    world
        .define("held", folder, "paused: true, pausedReason: audit")
        .await;
    let everybody = [format!("file://{}/", folder.display())];
    let allow = everybody.iter().map(|prefix| s(prefix)).collect();
    let allow = ("allow".to_owned(), AttributeValue::L(allow));
    world
        .put([("id".to_owned(), s("#owner/*")), allow].into())
        .await;
    let text = document("crooked", folder, "schedule: '61 * * * *'");
    world.scribble("crooked", &text).await;
    let zone = "schedule: '0 * * * *', timeZone: Mars/Olympus";
    world
        .scribble("nowhere", &document("nowhere", folder, zone))
        .await;
    let garbage = AttributeValue::B(Blob::new(b"not a document".to_vec()));
    world.edit("nonsense", &[("document", garbage)]).await;
    // Somebody else's definition of a dataset that is there.
    let mut copy = world.item("orders").await;
    copy.insert("id".to_owned(), s("copy"));
    world.put(copy).await;
}

/// What the command line asks, and what nobody should.
async fn asks(world: &World, sandbox: &assay_test_servers::runtime_api::Sandbox) {
    let told = asked(sandbox, &json!({"kind": "explain", "dataset": "held"})).await;
    assert!(
        told["explanation"]["words"].to_string().contains("audit"),
        "{told:#}"
    );
    let told = asked(sandbox, &json!({"kind": "explain", "dataset": "orders"})).await;
    assert_eq!(told["explanation"]["registered"], true, "{told:#}");
    assert_eq!(
        told["explanation"]["coming"].as_array().unwrap().len(),
        3,
        "{told:#}"
    );
    let told = asked(sandbox, &json!({"kind": "explain", "dataset": "nobody"})).await;
    assert_eq!(told["found"], false);
    let told = asked(sandbox, &json!({"kind": "list"})).await;
    assert!(told["datasets"].as_array().unwrap().len() >= 5, "{told:#}");
    for event in ["{}", "{\"kind\":\"dance\"}", "[]", "{\"kind\":\"explain\"}"] {
        match sandbox.invoke(event, LIMIT).await {
            Answer::Error(why) => assert!(why.contains("tick"), "{why}"),
            other => panic!("{event}: {other:?}\n{}", world.log()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_that_was_away_for_ten_ticks_is_caught_up_with_and_five_hundred_are_capped() {
    let drill = Drill::begin("scheduled_away").await;
    let plan = Plan {
        managers: 1,
        nodes: 0,
        ..Plan::default()
    };
    let mut cluster = Cluster::start(&drill, plan).await;
    let world = World::new("away", drill.folder()).await;
    let now = Timestamp::now();
    // Slots lie on whole minutes.
    let end = Timestamp::from_second(now.as_second() / 60 * 60).unwrap();
    let before = |minutes: i64| end - SignedDuration::from_mins(minutes);
    for (id, catch_up, missed) in [
        ("often", "all", 10),
        ("long", "all", 500),
        ("newest", "latest", 500),
    ] {
        let run = format!("schedule: '* * * * *', catchUp: {catch_up}");
        world.define(id, drill.folder(), &run).await;
        world.looked_at(id, before(missed)).await;
    }
    cluster.managers[0].kill();
    let sandbox = world.sandbox(&cluster, &[]).await;
    for minute in (0..10).rev() {
        let report = ticked(&sandbox, Some(before(minute))).await;
        assert_eq!(report["outcome"], "away", "{report:#}");
        assert_eq!(
            (count(&report, "/emitted"), count(&report, "/marked")),
            (0, 0)
        );
        assert!(report["stopped"].to_string().contains("away"), "{report:#}");
    }
    cluster.start_manager(0);
    cluster.ready(RUN).await;
    let first = ticked(&sandbox, Some(end)).await;
    assert_eq!(first["outcome"], "ok", "{first:#}");
    assert_eq!(count(&first, "/emitted"), 10 + 48 + 1, "{first:#}");
    assert_eq!(count(&first, "/skipped/missed"), 499, "{first:#}");
    for _ in 0..10 {
        ticked(&sandbox, Some(end)).await;
    }
    for (id, runs) in [("often", 10), ("long", 500), ("newest", 1)] {
        let query = format!(
            "SELECT count(*) || ' ' || count(DISTINCT slot) FROM run WHERE dataset_id = '{id}' \
             AND trigger_word = 'schedule' AND slot <= '{end}'"
        );
        let found = cluster.database.text(&query).await.unwrap();
        assert_eq!(found, format!("{runs} {runs}"), "{id}");
    }
}
