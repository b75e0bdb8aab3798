//! A child that may make no process and no thread reads a bucket.

use std::sync::Arc;

use assay_datanode::runner::access::{Identities, LocalKeys, Sources};
use assay_datanode::runner::child::{ChildConfig, SUBCOMMAND};
use assay_datanode::runner::{TaskRunner, TaskWatch};
use assay_model::dataset::{Credential, Dataset, Format, FormatKind, Location, Source};
use assay_model::output::TaskOutput;
use assay_model::source::{Bucket, BucketStore, Database, DatabaseKind, VersionBy};
use assay_model::task::{AttemptOutcome, TaskSpec};
use assay_scan::reach::{Access, Identity};
use assay_test_servers::ministack::Ministack;
use assay_test_servers::s3::TestBucket;

use crate::support::{children, job_of, poisoned, runner_with};

/// This very program as a user who is not root: root is exempt from the limit of processes.
pub fn unprivileged() -> ChildConfig {
    if !rustix::process::geteuid().is_root() {
        return ChildConfig::own(1);
    }
    let program = std::env::current_exe().unwrap();
    let mut config = ChildConfig::of("/usr/bin/setpriv", 1);
    let before = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    config.args = before.iter().map(Into::into).collect();
    config.args.extend([program.into(), SUBCOMMAND.into()]);
    config
}

fn dataset(bucket: &TestBucket, port: u16) -> Dataset {
    let mut dataset = poisoned("");
    dataset.tags.clear();
    dataset.source = Source {
        server: "lake".to_owned(),
        location: Location::Bucket(Bucket {
            store: BucketStore::S3,
            name: bucket.name.clone(),
            path: "in/".to_owned(),
            region: None,
            // A name, which is to be looked up.
            endpoint: Some(format!("http://localhost:{port}")),
            account: None,
            role: None,
            external_id: None,
        }),
        format: Format::of(FormatKind::Csv),
        credential: Some(Credential::Anonymous),
    };
    dataset
}

pub async fn a_child_reads_a_bucket_without_a_further_thread() {
    let stack = Ministack::start();
    let bucket = TestBucket::create(stack.port(), "trips");
    let rows: String = (0..60_000)
        .map(|row| format!("{row},{}\n", row % 7))
        .collect();
    for day in 1..=3 {
        bucket.put(
            &format!("in/trips_2024-01-0{day}.csv"),
            format!("id,kind\n{rows}").as_bytes(),
        );
    }
    let dataset = dataset(&bucket, stack.port());
    let runner = runner_with(unprivileged()).await.reaching(Sources {
        keys: Arc::new(LocalKeys::of_user()),
        allowed: Some(vec![format!(
            "s3://trips/in/ at http://localhost:{}",
            stack.port()
        )]),
        make: assay_sources::reach,
        identities: None,
        external_id: None,
    });
    let job = job_of(&dataset, TaskSpec::Discover);
    let found = runner.run(job, TaskWatch::default()).await.unwrap();
    let TaskOutput::Discovered(found) = found else {
        panic!("no discovery");
    };
    assert_eq!(found.evaluations.len(), 3);
    assert!(
        children().iter().any(|pid| is_held(*pid)),
        "{:?}",
        children()
    );
    let mut rows = 0;
    for spec in found.measures {
        let job = job_of(&dataset, TaskSpec::Measure(spec));
        let measured = runner.run(job, TaskWatch::default()).await.unwrap();
        let TaskOutput::Measured(measured) = measured else {
            panic!("no measurement");
        };
        rows += measured.iter().map(|m| m.rows).sum::<u64>();
    }
    assert_eq!(rows, 180_000);
    // What the operator has not allowed is refused in the child, too.
    let mut other = dataset.clone();
    if let Location::Bucket(bucket) = &mut other.source.location {
        bucket.path = "out/".to_owned();
    }
    let job = job_of(&other, TaskSpec::Discover);
    let refused = runner.run(job, TaskWatch::default()).await.unwrap_err();
    assert!(
        refused.message.contains("may read only s3://trips/in"),
        "{}",
        refused.message
    );
}

/// The child is handed what its role comes to, and nothing that it could get more with.
pub async fn a_child_has_the_credentials_of_its_task_and_no_way_to_others() {
    let stack = Ministack::start();
    let bucket = TestBucket::create(stack.port(), "trips");
    bucket.put("in/trips_2024-01-01.csv", b"id,kind\n1,2\n");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "AKIAMARKED:marked-secret").unwrap();
    let mut dataset = dataset(&bucket, stack.port());
    dataset.source.credential = Some(Credential::File("key".to_owned()));
    if let Location::Bucket(bucket) = &mut dataset.source.location {
        bucket.role = Some("arn:aws:iam::000000000000:role/reads".to_owned());
        bucket.region = Some("eu-west-1".to_owned());
    }
    let sources = |identities| Sources {
        keys: Arc::new(LocalKeys::for_sources(
            "ASSAY_SOURCE_",
            Some(folder.path().to_owned()),
        )),
        allowed: Some(vec![format!(
            "s3://trips/in/ at http://localhost:{}",
            stack.port()
        )]),
        make: assay_sources::reach,
        identities,
        external_id: Some("node-7".to_owned()),
    };
    let resolved = sources(Some(Identities::new(assay_sources::resolve)));
    let runner = runner_with(unprivileged()).await.reaching(resolved.clone());
    let job = job_of(&dataset, TaskSpec::Discover);
    let found = runner.run(job, TaskWatch::default()).await.unwrap();
    assert!(matches!(found, TaskOutput::Discovered(found) if found.evaluations.len() == 1));
    let own = std::env::current_exe().unwrap();
    let of_node =
        |pid: &i32| std::fs::read_link(format!("/proc/{pid}/exe")).ok() == Some(own.clone());
    let all: Vec<i32> = children().into_iter().filter(of_node).collect();
    assert!(!all.is_empty());
    for pid in all {
        let environment = std::fs::read_to_string(format!("/proc/{pid}/environ"));
        assert_eq!(environment.unwrap_or_default(), "", "{pid}");
    }
    // Without what the node resolves, the child does not look who it is.
    let access = resolved.access(&dataset).await.unwrap();
    assert!(matches!(access.identity, Identity::Given(_)), "{access:?}");
    assert!(!format!("{access:?}").contains("marked"), "{access:?}");
    let alone = (resolved.make)(Access {
        identity: Identity::Nobody,
        ..access
    });
    let refused = alone
        .objects(&dataset.source, 1 << 20)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("no identity of the machine"), "{refused}");
    // Whoever registers a dataset does not say as whom roles are taken on.
    if let Location::Bucket(bucket) = &mut dataset.source.location {
        bucket.external_id = Some("of-another".to_owned());
    }
    let job = job_of(&dataset, TaskSpec::Discover);
    let refused = runner.run(job, TaskWatch::default()).await.unwrap_err();
    assert!(
        refused.message.contains("external id is the node's"),
        "{}",
        refused.message
    );
}

/// A source that does not answer is no crash of its task, and costs no attempt.
pub async fn a_source_that_is_away_is_no_fault_of_the_task() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let mut dataset = poisoned("");
    dataset.tags.clear();
    dataset.source.credential = Some(Credential::File("key".to_owned()));
    dataset.source.location = Location::Database(Database {
        kind: DatabaseKind::Postgres,
        host: "127.0.0.1".to_owned(),
        port,
        database: "shop".to_owned(),
        schema: "public".to_owned(),
        table: "orders".to_owned(),
        version: VersionBy::Rows,
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "reader:word").unwrap();
    let runner = runner_with(unprivileged()).await.reaching(Sources {
        keys: Arc::new(LocalKeys::for_sources(
            "ASSAY_SOURCE_",
            Some(folder.path().to_owned()),
        )),
        allowed: Some(vec![format!("postgres://127.0.0.1:{port}/shop")]),
        make: assay_sources::reach,
        identities: Some(Identities::new(assay_sources::resolve)),
        external_id: None,
    });
    let job = job_of(&dataset, TaskSpec::Discover);
    let failed = runner.run(job, TaskWatch::default()).await.unwrap_err();
    assert_eq!(
        failed.outcome,
        AttemptOutcome::DependencyDown,
        "{}",
        failed.message
    );
}

/// Whether a process is not root's, and may start no other.
fn is_held(pid: i32) -> bool {
    let of =
        |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let users = of("status");
    let root = users.lines().any(|line| line.starts_with("Uid:\t0\t"));
    let limits = of("limits");
    let most = limits
        .lines()
        .find(|line| line.starts_with("Max processes"));
    let none = most.is_some_and(|line| line.split_whitespace().nth(2) == Some("0"));
    !root && none
}
