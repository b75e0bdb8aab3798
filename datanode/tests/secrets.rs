//! Secrets of sources in AWS Secrets Manager.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "cluster/mod.rs"]
mod cluster;

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_aws::{Options, SdkConfig};
use assay_datanode::runner::access::aws::AwsKeys;
use assay_datanode::runner::access::{KeyError, Keys, LocalKeys, Sources};
use assay_datanode::runner::{InProcess, TaskJob, TaskRunner, TaskWatch};
use assay_model::dataset::{Credential, Dataset, Format, FormatKind, Layout, Location};
use assay_model::ids::{RunId, TaskId};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_model::task::{AttemptOutcome, Task, TaskFailure, TaskSpec};
use assay_store::sqlite::{OpenOptions, SqliteStore};
use assay_test_servers::ministack::{Ministack, REGION};
use assay_test_servers::postgres::{self, Postgres};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

async fn config(url: &str) -> SdkConfig {
    let options = Options {
        region: Some(REGION.to_owned()),
        attempts: 2,
        ..Options::default()
    };
    let nobody = Credentials::new("test", "test", None, None, "test");
    let config = assay_aws::config(&options).await.unwrap();
    config
        .into_builder()
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(nobody))
        .build()
}

#[tokio::test]
async fn a_secret_is_had_by_its_name_once_for_many_and_only_one_for_sources() {
    let mut stack = Ministack::start();
    let config = config(&stack.url()).await;
    let client = aws_sdk_secretsmanager::Client::new(&config);
    for name in ["assay/sources/lake", "assay/store"] {
        let made = client
            .create_secret()
            .name(name)
            .secret_string("canary:secret\n");
        made.send().await.unwrap();
    }
    let described = client.describe_secret().secret_id("assay/sources/lake");
    let arn = described.send().await.unwrap().arn().unwrap().to_owned();
    let keys = AwsKeys::new(&config, LocalKeys::of_user(), "assay/sources/");
    let ask = async |name: &str| keys.secret(&Credential::AwsSecret(name.to_owned())).await;
    for name in ["assay/sources/lake", &arn] {
        assert_eq!(ask(name).await.unwrap().reveal(), "canary:secret");
    }
    let missing = ask("assay/sources/none").await.unwrap_err();
    assert!(matches!(missing, KeyError::NotToBeHad(_)), "{missing}");
    let others = arn.replace("assay/sources/lake", "assay/store");
    for name in [
        "assay/store",
        &others,
        "arn:aws:s3:::x:secret:assay/sources/lake",
    ] {
        let refused = ask(name).await.unwrap_err();
        assert!(
            matches!(refused, KeyError::NotToBeHad(_)),
            "{name}: {refused}"
        );
    }
    // One that is changed is had anew once it is refused, and no sooner.
    let lake = Credential::AwsSecret("assay/sources/lake".to_owned());
    let old = keys.secret(&lake).await.unwrap();
    let changed = client.put_secret_value().secret_id("assay/sources/lake");
    changed
        .secret_string("canary:changed")
        .send()
        .await
        .unwrap();
    assert_eq!(keys.secret(&lake).await.unwrap(), old);
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let renewed = keys.renewed(&lake, &old).await.unwrap();
    assert_eq!(renewed.reveal(), "canary:changed");
    assert_eq!(keys.secret(&lake).await.unwrap(), renewed);
    assert!(keys.renewed(&lake, &renewed).await.is_none());
    stack.kill();
    // It is kept for a while; what is not had yet waits for the service.
    assert!(ask("assay/sources/lake").await.is_ok());
    let away = ask("assay/sources/another").await.unwrap_err();
    assert!(matches!(away, KeyError::Away(_)), "{away}");
    assert!(!format!("{keys:?} {missing} {away}").contains("canary"));
}

/// The table `orders` of a server that asks `reader` for the password.
fn orders(server: &Postgres, url: &str) -> Dataset {
    server.sql(
        url,
        "CREATE TABLE orders (id int); INSERT INTO orders SELECT generate_series(1, 9); \
         CREATE ROLE reader LOGIN PASSWORD 'canary-first'; GRANT SELECT ON orders TO reader",
    );
    let rules = "host all reader 127.0.0.1/32 scram-sha-256@host all all 127.0.0.1/32 trust";
    let write = format!("COPY (SELECT '{rules}') TO PROGRAM 'tr @ \"\\n\" > pg_hba.conf'");
    server.sql(url, &write);
    server.sql(url, "SELECT pg_reload_conf()");
    let (_, place) = url.rsplit_once('@').unwrap();
    let (machine, database) = place.split_once('/').unwrap();
    let (host, port) = machine.rsplit_once(':').unwrap();
    let mut dataset = cluster::dataset(std::path::Path::new("/nowhere"));
    dataset.tags.clear();
    dataset.columns.clear();
    dataset.checks.clear();
    dataset.partitions.layout = Layout::Single;
    dataset.source.format = Format::of(FormatKind::Table);
    dataset.source.location = Location::Database(Database {
        kind: DatabaseKind::Postgres,
        host: host.to_owned(),
        port: port.parse().unwrap(),
        database: database.split('?').next().unwrap().to_owned(),
        schema: "public".to_owned(),
        table: "orders".to_owned(),
        version: VersionBy::Rows,
    });
    dataset
}

/// The job that lists a dataset.
fn discovery_of(dataset: &Dataset) -> TaskJob {
    let now: jiff::Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let id = RunId::of_key(&dataset.id, "test");
    TaskJob {
        run: Run {
            id,
            dataset: dataset.id.clone(),
            definition: String::new(),
            trigger: Trigger::Manual,
            slot: None,
            priority: Priority::Live,
            selection: Selection::default(),
            retries: 2,
            task_timeout_ms: 0,
            state: RunState::Running,
            reason: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            deadline_at: now,
            planned_tasks: 1,
        },
        task: Task::new(TaskId { run: id, no: 1 }, TaskSpec::Discover, Vec::new()),
        dataset: Arc::new(dataset.clone()),
        memory_bytes: 64 << 20,
        suspect: false,
        now,
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_tried_once_more_with_the_secret_that_is_there_by_then() {
    let stack = Ministack::start();
    let config = config(&stack.url()).await;
    let client = aws_sdk_secretsmanager::Client::new(&config);
    let made = client
        .create_secret()
        .name("shop")
        .secret_string("reader:canary-first");
    made.send().await.unwrap();
    let server = Postgres::start(postgres::Options::default());
    let url = server.create_database();
    let mut dataset = orders(&server, &url);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("wrong"), "reader:canary-wrong").unwrap();
    let local = LocalKeys::for_sources("ASSAY_SOURCE_", Some(folder.path().to_owned()));
    let state = folder.path().join("assay.sqlite");
    let store = SqliteStore::open(&state, OpenOptions::default()).await;
    let runner = InProcess::new(Arc::new(store.unwrap()));
    let runner = runner.reaching(Sources {
        keys: Arc::new(AwsKeys::new(&config, local, "")),
        allowed: None,
        make: assay_sources::reach,
        identities: None,
        external_id: None,
    });
    let run = async |dataset: &Dataset| -> Result<(), TaskFailure> {
        let job = discovery_of(dataset);
        let ended = runner.run(job.clone(), TaskWatch::default()).await;
        // Whatever is told of it, and whatever is kept: the secret is not in it.
        assert!(
            !format!("{ended:?} {job:?}").contains("canary"),
            "{ended:?}"
        );
        ended.map(drop)
    };
    // The rules hold a moment after they are read anew.
    dataset.source.credential = Some(Credential::File("wrong".to_owned()));
    let begun = Instant::now();
    while run(&dataset).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60));
    }
    dataset.source.credential = Some(Credential::AwsSecret("shop".to_owned()));
    run(&dataset).await.unwrap();
    server.sql(&url, "ALTER ROLE reader PASSWORD 'canary-second'");
    let changed = client.put_secret_value().secret_id("shop");
    changed
        .secret_string("reader:canary-second")
        .send()
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(2100)).await;
    run(&dataset).await.unwrap();
    // Where there is no other, the refusal is told.
    server.sql(&url, "ALTER ROLE reader PASSWORD 'canary-third'");
    let refused = run(&dataset).await.unwrap_err();
    assert_eq!(refused.outcome, AttemptOutcome::Permanent);
    assert!(refused.message.contains("28P01"), "{}", refused.message);
    for file in std::fs::read_dir(folder.path()).unwrap().flatten() {
        let bytes = std::fs::read(file.path()).unwrap();
        let tells = bytes.windows(6).any(|part| part == b"canary");
        assert_eq!(tells, file.file_name() == "wrong", "{file:?}");
    }
}
