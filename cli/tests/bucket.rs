//! Data in a bucket, as an owner meets it: a first definition, its verdicts beside those of the same
//! files in a folder, what is new, and what is said when it cannot be reached.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use assay_test_servers::ministack;
use assay_test_servers::s3::TestBucket;
use common::{Place, Running, Said, shared};
use serde_json::Value;

/// Runs the program, whose AWS is the stand-in.
fn assay(place: &Place, args: &[&str]) -> Said {
    let mut command = place.command(args);
    command.envs(ministack::shared().environment());
    command.env("LAKE_KEY", "canary-id:canary-secret");
    let said = Said::of(&command.output().unwrap());
    assert!(!said.all().contains("canary"), "{}", said.all());
    said
}

fn verdicts(place: &Place, file: &str) -> (Value, Value) {
    let args = ["check", file, "--ephemeral", "-o", "json"];
    let said = assay(place, &args);
    let json = said.json();
    assert!(
        json["items"].as_array().unwrap().len() > 4,
        "{}",
        said.all()
    );
    (json["items"].clone(), json["summary"].clone())
}

#[test]
fn the_same_files_in_a_folder_and_in_a_bucket_have_the_same_definition_and_verdicts() {
    let place = Place::new();
    let folder = shared().join("taxi_yellow_samples");
    let bucket = TestBucket::create(ministack::shared().port(), "cli-taxi");
    bucket.put_folder(&folder, "in/");
    let folder = folder.display().to_string();
    let init = |source: &str, file: &str| {
        let logs_in: &[&str] = match source.contains("://") {
            true => &["--credential", "env:LAKE_KEY"],
            false => &[],
        };
        let args = ["dataset", "init", source, "--id", "taxi", "-f", file];
        assay(&place, &[&args, logs_in].concat()).ended(0);
        std::fs::read_to_string(place.path(file)).unwrap()
    };
    let local = init(&folder, "local.yaml");
    let lake = init("s3://cli-taxi/in/", "lake.yaml");
    let below = |text: &str| text.split_once("\nschema:").unwrap().1.to_owned();
    assert_eq!(below(&local), below(&lake));
    for line in [
        "type: s3",
        "location: 's3://cli-taxi/in/'",
        "value: 'env:LAKE_KEY'",
    ] {
        assert!(lake.contains(line), "{line}:\n{lake}");
    }
    assert_eq!(
        verdicts(&place, "local.yaml"),
        verdicts(&place, "lake.yaml")
    );
}

const ORDERS: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: orders\nversion: 1.0.0\n\
    status: active\nservers:\n  - server: lake\n    type: s3\n    \
    location: s3://cli-orders/in/orders_{date}.csv\n    customProperties:\n      \
    - { property: credentialRef, value: 'env:LAKE_KEY' }\nschema:\n  - name: orders\n    \
    quality:\n      - { id: many, metric: rowCount, mustBeGreaterThan: 2 }\n\
    customProperties:\n  - { property: assayPartitions, value: { sealing: immediately } }\n";

#[test]
fn what_cannot_be_reached_is_told_with_what_to_do() {
    let place = Place::new();
    place.write(
        "registry/orders.yaml",
        ORDERS.replace("cli-orders", "cli-nowhere"),
    );
    let args = ["check", "registry/orders.yaml", "--ephemeral"];
    assay(&place, &args)
        .ended(4)
        .kind(&["there is no bucket s3://cli-nowhere", "servers"]);
    let init = ["dataset", "init", "s3://cli-nowhere/in/"];
    let said = assay(&place, &init).kind(&["there is no bucket s3://cli-nowhere"]);
    assert_ne!(said.code, 0);
    place.write("assay.toml", "[registry]\ndir = \"registry\"\n");
    assay(&place, &["doctor"]).kind(&["orders", "there is no bucket s3://cli-nowhere"]);
    let unset = ORDERS.replace("LAKE_KEY", "LAKE_UNSET");
    place.write("unset.yaml", unset);
    assay(&place, &["check", "unset.yaml", "--ephemeral"])
        .ended(4)
        .kind(&["LAKE_UNSET", "not set"]);
    // Nobody has told who asks, and no machine answers for it.
    let mut command = place.command(&["dataset", "init", "s3://cli-nowhere/in/"]);
    command.env("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1");
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ] {
        command.env_remove(name);
    }
    let said = Said::of(&command.output().unwrap());
    assert_ne!(said.code, 0);
    said.kind(&[
        "this machine's own identity",
        "AWS_ACCESS_KEY_ID",
        "anonymous",
    ]);
}

#[tokio::test]
async fn an_object_that_arrives_is_met_and_judged() {
    let place = Place::new();
    let bucket = TestBucket::create(ministack::shared().port(), "cli-orders");
    bucket.put("in/orders_2024-01-01.csv", b"id\n1\n2\n3\n");
    place.write("registry/orders.yaml", ORDERS);
    let args = [
        "dev",
        "--dir",
        "registry",
        "--grpc-port",
        "0",
        "--poll-s",
        "1",
    ];
    let mut command = place.command(&args);
    command.envs(ministack::shared().environment());
    command.env("LAKE_KEY", "test:test");
    let log = place.path("log");
    let running = Running::start(command, &log);
    place.settled(1, Duration::from_secs(60)).await;
    bucket.put("in/orders_2024-01-02.csv", b"id\n1\n");
    place.settled(2, Duration::from_secs(300)).await;
    drop(running);
}
