//! All that can be wrong with a dataset, in one table: each is told by name, and no other suffers.

use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_registry::{Precondition, Registry as _, RegistryError};
use assay_test_servers::runtime_api::Sandbox;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::world::{World, asked, count, document, s, ticked};

/// Datasets that are right.
const RIGHT: [&str; 2] = ["early", "late"];
/// Those that are not: what they count as, and words of the reason.
const WRONG: [(&str, &str, &[&str]); 6] = [
    ("crooked", "invalid", &["61 * * * *"]),
    ("nowhere", "invalid", &["Mars/Olympus"]),
    ("elsewhere", "not_allowed", &["/etc", "allowed"]),
    ("torn", "invalid", &["document", "zstd"]),
    ("copied", "invalid", &["early"]),
    ("grabbed", "invalid", &["growth", "payments"]),
];
/// A slot each minute.
const OFTEN: &str = "schedule: '* * * * *', catchUp: all";

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_dataset_is_told_by_name_and_the_others_run_at_this_tick_and_the_next() {
    let drill = Drill::begin("scheduled_wrong").await;
    let plan = Plan {
        managers: 1,
        nodes: 0,
        ..Plan::default()
    };
    let cluster = Cluster::start(&drill, plan).await;
    let world = World::new("wrong", drill.folder()).await;
    let end = Timestamp::from_second(Timestamp::now().as_second() / 60 * 60).unwrap();
    let before = |minutes: i64| end - SignedDuration::from_mins(minutes);
    for id in RIGHT {
        world.define(id, drill.folder(), OFTEN).await;
        world.looked_at(id, before(40)).await;
    }
    spoil(&world, &cluster).await;
    let sandbox = world.sandbox(&cluster, &[]).await;
    // What is wrong is looked at again after a quarter of an hour.
    for (at, slots) in [(before(20), 20), (end, 40)] {
        let report = ticked(&sandbox, Some(at)).await;
        assert_eq!(report["outcome"], "ok", "{report:#}");
        assert_eq!(count(&report, "/emitted"), 2 * 20, "{report:#}");
        told(&report, &world);
        let query = "SELECT dataset_id || ' ' || count(*) || ' ' || count(DISTINCT slot) \
                     FROM run GROUP BY dataset_id ORDER BY dataset_id";
        let expected = RIGHT.map(|id| format!("{id} {slots} {slots}"));
        let runs = cluster.database.texts(query).await.unwrap();
        assert_eq!(runs, expected, "only what is right has runs");
    }
    mended(&world, &sandbox).await;
}

/// Puts everything of [`WRONG`] into the table.
async fn spoil(world: &World, cluster: &Cluster) {
    let folder = cluster.drill.folder();
    for id in ["crooked", "nowhere", "torn", "grabbed"] {
        let text = document(id, folder, OFTEN) + "team: { name: payments }\n";
        world
            .registry
            .put(&text, Precondition::Absent)
            .await
            .unwrap();
    }
    world.define("elsewhere", "/etc".as_ref(), OFTEN).await;
    let prefix = format!("file://{}/", folder.display());
    let everybody = AttributeValue::L(vec![s(&prefix), s(prefix.trim_end_matches('/'))]);
    let list = [
        ("id".to_owned(), s("#owner/*")),
        ("allow".to_owned(), everybody),
    ];
    world.put(list.into()).await;
    let crooked = document("crooked", folder, "schedule: '61 * * * *'");
    world.scribble("crooked", &crooked).await;
    let nowhere = "schedule: '0 * * * *', timeZone: Mars/Olympus";
    let nowhere = document("nowhere", folder, nowhere);
    world.scribble("nowhere", &nowhere).await;
    let item = world.item("torn").await;
    let whole = item["document"].as_b().unwrap().as_ref();
    let half = AttributeValue::B(Blob::new(&whole[..whole.len() / 2]));
    world.edit("torn", &[("document", half)]).await;
    let mut copy = world.item("early").await;
    copy.insert("id".to_owned(), s("copied"));
    // As an editor that saves once more: it is looked at first of all.
    copy.insert(
        "due_at".to_owned(),
        world.item("torn").await["due_at"].clone(),
    );
    copy.insert("due_shard".to_owned(), s("0"));
    world.put(copy).await;
    world.edit("grabbed", &[("owner", s("growth"))]).await;
}

/// Whether a report, the log and the items say of each what is wrong with it.
fn told(report: &Value, world: &World) {
    for kind in ["invalid", "not_allowed"] {
        let of_kind = WRONG.iter().filter(|(_, known, _)| *known == kind).count() as u64;
        let counted = count(report, &format!("/skipped/{kind}"));
        assert_eq!(counted, of_kind, "{kind}: {report:#}");
    }
    let details = report["details"].as_array().unwrap();
    let log = world.log();
    for (dataset, kind, words) in WRONG {
        let mut of_it = details.iter().filter(|d| d["dataset"] == dataset);
        let one = of_it.next();
        let one = one.unwrap_or_else(|| panic!("{dataset} is not in {report:#}"));
        assert!(of_it.next().is_none(), "{dataset} is told once: {report:#}");
        assert_eq!(one["what"], kind, "{one}");
        let why = one["why"].as_str().unwrap();
        assert!(words.iter().all(|word| why.contains(word)), "{one}");
        let logged = |line: &&str| {
            line.contains(&format!("\"{dataset}\"")) && words.iter().all(|w| line.contains(w))
        };
        assert!(log.lines().any(|l| logged(&l)), "{dataset}: {log}");
    }
}

/// What is put again as it should be runs with the next tick, and the rest stays as it is.
async fn mended(world: &World, sandbox: &Sandbox) {
    let told = asked(sandbox, &json!({"kind": "explain", "dataset": "crooked"})).await;
    let told = told["explanation"].clone();
    assert!(told["note"].to_string().contains("61 * * * *"), "{told:#}");
    assert_eq!(told["would_run"], json!([]), "{told:#}");
    let item = world.item("torn").await;
    let digest = item["digest"].as_s().unwrap().clone();
    let folder = world.folder();
    let text = document("torn", folder, OFTEN) + "team: { name: payments }\n";
    let put = world.registry.put(&text, Precondition::Digest(digest));
    put.await.unwrap();
    let report = ticked(sandbox, None).await;
    let details = report["details"].as_array().unwrap();
    let run = details.iter().find(|d| d["dataset"] == "torn").unwrap();
    assert_eq!(
        (&run["what"], &run["why"]),
        (&json!("emitted"), &json!("backfill"))
    );
    assert_eq!(count(&report, "/skipped/invalid"), 0, "{report:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_owners_that_register_one_id_one_has_it_and_the_other_is_told_whose_it_is() {
    let drill = Drill::begin("scheduled_owners").await;
    let plan = Plan {
        managers: 1,
        nodes: 0,
        ..Plan::default()
    };
    let cluster = Cluster::start(&drill, plan).await;
    let world = World::new("owners", drill.folder()).await;
    world.define("other", drill.folder(), OFTEN).await;
    let text = |owner: &str| {
        document("orders", drill.folder(), OFTEN) + &format!("team: {{ name: {owner} }}\n")
    };
    let (ours, theirs) = (text("payments"), text("growth"));
    let (first, second) = tokio::join!(
        world.registry.put(&ours, Precondition::Absent),
        world.registry.put(&theirs, Precondition::Absent),
    );
    let (owner, refused) = match (first, second) {
        (Ok(_), Err(refused)) => ("payments", refused),
        (Err(refused), Ok(_)) => ("growth", refused),
        both => panic!("one of two has it: {both:?}"),
    };
    assert!(
        matches!(refused, RegistryError::Refused { .. }),
        "{refused}"
    );
    assert!(
        refused.to_string().contains(&format!("`{owner}`")),
        "{refused}"
    );
    let sandbox = world.sandbox(&cluster, &[]).await;
    let report = ticked(&sandbox, None).await;
    assert_eq!(report["outcome"], "ok", "{report:#}");
    assert_eq!(count(&report, "/emitted"), 2, "{report:#}");
    assert_eq!(report["skipped"], json!({}), "{report:#}");
    let told = asked(&sandbox, &json!({"kind": "explain", "dataset": "orders"})).await;
    assert_eq!(told["explanation"]["owner"], owner, "{told:#}");
    let runs = "SELECT dataset_id FROM run ORDER BY dataset_id";
    let runs = cluster.database.texts(runs).await.unwrap();
    assert_eq!(runs, ["orders", "other"]);
}
