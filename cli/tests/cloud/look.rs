//! What `assay schedule` and `assay doctor` say of a table that a cluster shares.

use std::time::{Duration, Instant};

use assay_registry::dynamodb::sdk::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use assay_test_servers::{ministack, port};
use serde_json::Value;

use crate::World;
use crate::common::{Running, Said};

/// How long a cluster of one process may take to answer.
const SOON: Duration = Duration::from_secs(60);

impl World {
    /// Runs `assay schedule` with the table in its settings.
    fn schedule(&self, args: &[&str]) -> Said {
        let args = [["schedule"].as_slice(), args].concat();
        self.any(&args, &ministack::shared().environment())
    }

    /// What `assay doctor` finds of `what`, in the surroundings of `environment`.
    fn doctor(&self, what: &str, environment: &[(String, String)]) -> Value {
        let said = self.any(&["doctor", "-o", "json"], environment);
        let found = said.json()["items"].as_array().unwrap().clone();
        let mut of_it = found.iter().filter(|one| one["what"] == what);
        let one = of_it.next();
        let one = one.unwrap_or_else(|| panic!("{what}: {}", said.all()));
        let failed = found.iter().any(|one| one["state"] == "failed");
        assert_eq!(said.code, if failed { 4 } else { 0 }, "{}", said.all());
        one.clone()
    }

    fn put_daily(&self, id: &str) {
        let data = self.place.path("data");
        self.place.write("data/day=2026-01-01.csv", "id\n1\n");
        let text = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: {id}\nversion: 1.0.0\nstatus: active\n\
             servers:\n  - {{ server: here, type: local, path: {}, format: csv }}\n\
             customProperties:\n  - property: assayRun\n    value: {{ schedule: '0 3 * * *' }}\n",
            data.display()
        );
        self.place.write(&format!("{id}.yaml"), text);
        let file = format!("{id}.yaml");
        self.assay(&["apply", "-f", &file]).ended(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_function_the_schedule_of_the_table_is_told_and_ticked() {
    let world = World::new("looked-at").await;
    world.put_daily("orders");
    let broken = [
        ("id", AttributeValue::S("torn".to_owned())),
        ("document", AttributeValue::S("by hand".to_owned())),
    ];
    world.keep(&broken).await;
    let said = world.schedule(&["list", "-o", "json"]).ended(0).json();
    let listed = said["items"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "an item without a time is in no index");
    assert_eq!(listed[0]["schedule"], "0 3 * * *");
    for wanted in ["orders", "ord"] {
        let said = world.schedule(&["explain", wanted]).ended(0);
        assert!(said.out.contains("not asked for yet"), "{}", said.out);
    }
    let said = world.schedule(&["explain", "torn"]).ended(0);
    assert!(said.out.contains("has to be B"), "{}", said.out);
    world.schedule(&["explain", "nobody"]).ended(2);
    // There is no manager to ask, and none is made up.
    world.schedule(&["tick"]).ended(5);

    let dev = ["dev", "--dir", "none", "--grpc-port", "0", "--nodes", "1"];
    let log = world.place.path("log");
    let running = Running::start(world.place.command(&dev), &log);
    let until = Instant::now() + SOON;
    let told = loop {
        let said = world.schedule(&["tick", "-o", "json"]);
        if said.code != 5 {
            break said;
        }
        let log = std::fs::read_to_string(&log).unwrap();
        assert!(Instant::now() < until, "{}\n{log}", said.all());
        std::thread::sleep(Duration::from_millis(50));
    };
    let report = told.ended(0).json()["items"][0].clone();
    assert_eq!(report["emitted"], 1, "{report:#}");
    assert_eq!(report["details"][0]["why"], "backfill", "{report:#}");
    let said = world.schedule(&["explain", "orders"]).ended(0);
    assert!(!said.out.contains("not asked for yet"), "{}", said.out);
    assert_eq!(world.place.runs().await.len(), 1);
    running.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_asks_who_one_is_and_whether_the_tables_are_whole() {
    let world = World::new("healthy").await;
    let here = ministack::shared().environment();
    let who = world.doctor("AWS identity", &here);
    assert_eq!(who["state"], "ok", "{who}");
    assert!(who["detail"].to_string().contains("arn:aws:"), "{who}");
    let table = world.doctor("registry", &here);
    assert_eq!(table["state"], "ok", "{table}");
    assert!(table["detail"].to_string().contains("the table healthy"));

    // The same beside a cluster elsewhere, which is not there.
    let nowhere = format!("http://127.0.0.1:{}", port::free());
    let mut with_cluster = here.clone();
    with_cluster.push(("ASSAY_CLIENT__SERVER".to_owned(), nowhere));
    assert_eq!(world.doctor("registry", &with_cluster), table);
    assert_eq!(world.doctor("manager", &with_cluster)["state"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_of_each_failure_what_to_do() {
    let world = World::new("sick").await;
    let here = ministack::shared().environment();
    let fails = |what: &str, environment: &[(String, String)], why: &str, remedy: &str| {
        let one = world.doctor(what, environment);
        assert_eq!(one["state"], "failed", "{one}");
        let (detail, told) = (one["detail"].to_string(), one["remedy"].to_string());
        assert!(detail.contains(why) && told.contains(remedy), "{one}");
    };
    // AWS is away.
    let away = ministack::environment(&format!("http://127.0.0.1:{}", port::free()));
    fails("AWS identity", &away, "", "can be reached from here");
    fails(
        "registry",
        &away,
        "the table sick",
        "can be reached from here",
    );
    // Nobody asks.
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let nobody = here
        .iter()
        .filter(|(name, _)| !keys.contains(&name.as_str()));
    let nobody: Vec<_> = nobody.cloned().collect();
    fails("AWS identity", &nobody, "no AWS identity", "aws sso login");
    // The versions are not there, then the index is not.
    let url = |table: &str| {
        let mut environment = here.clone();
        environment.push((
            "ASSAY_REGISTRY__URL".to_owned(),
            format!("dynamodb://{table}"),
        ));
        environment
    };
    fails(
        "registry",
        &url("nowhere"),
        "nowhere",
        "the name and the region",
    );
    bare(&world, "half-made", false).await;
    let half = url("half-made");
    fails(
        "registry",
        &half,
        "half-made-versions",
        "the table half-made-versions",
    );
    bare(&world, "half-made-versions", true).await;
    fails(
        "registry",
        &half,
        "no index `due`",
        "infra/modules/registry",
    );
    fails("registry", &url("x"), "3 to 255", "write dynamodb://TABLE");
}

/// A table without an index, with revisions in its key or not.
async fn bare(world: &World, name: &str, revisions: bool) {
    let mut call = world.client.create_table().table_name(name);
    call = call.billing_mode(BillingMode::PayPerRequest);
    let keys = [
        ("id", ScalarAttributeType::S, KeyType::Hash),
        ("revision", ScalarAttributeType::N, KeyType::Range),
    ];
    for (attribute, kind, role) in keys.into_iter().take(1 + usize::from(revisions)) {
        let element = KeySchemaElement::builder().attribute_name(attribute);
        let definition = AttributeDefinition::builder().attribute_name(attribute);
        call = call
            .key_schema(element.key_type(role).build().unwrap())
            .attribute_definitions(definition.attribute_type(kind).build().unwrap());
    }
    call.send().await.unwrap();
}
