//! The program of the scheduled function in a sandbox, with nobody to speak to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use assay_test_servers::runtime_api::{Answer, Sandbox};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bootstrap");

#[test]
fn it_says_what_its_environment_lacks_and_ends() {
    for (variables, word) in [
        (&[][..], "ASSAY_MANAGERS"),
        (
            &[("ASSAY_MANAGERS", "127.0.0.1:1")][..],
            "ASSAY_REGISTRY_TABLE",
        ),
        (
            &[
                ("ASSAY_MANAGERS", "https://10.0.0.1:1"),
                ("ASSAY_REGISTRY_TABLE", "t"),
            ][..],
            "ASSAY_TLS_SECRET",
        ),
    ] {
        let mut command = Command::new(PROGRAM);
        command.env_clear().envs(variables.iter().copied());
        let ended = command.output().unwrap();
        assert_eq!(ended.status.code(), Some(2));
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_away_is_an_error_and_the_next_event_is_answered_too() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let environment = [
        ("ASSAY_REGISTRY_TABLE", "datasets"),
        ("ASSAY_MANAGERS", "http://127.0.0.1:1"),
        // Nobody listens there.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    let file = File::create(&log).unwrap();
    let sandbox = Sandbox::start(Path::new(PROGRAM), &environment, file).await;
    let limit = Duration::from_secs(60);
    for event in ["{\"kind\":\"tick\"}", "{\"kind\":\"list\"}"] {
        match sandbox.invoke(event, limit).await {
            Answer::Error(why) => assert!(why.contains("datasets"), "{why}"),
            other => panic!("{event}: {other:?}"),
        }
    }
    match sandbox.invoke("{\"kind\":\"dance\"}", limit).await {
        Answer::Error(why) => assert!(why.contains("tick") && why.contains("dance"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(sandbox.cold_start().is_some() && sandbox.memory_peak().is_some());
}
