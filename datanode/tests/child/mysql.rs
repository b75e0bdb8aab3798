//! A child that may make no process, no thread and no file reads a table of MariaDB, where its
//! operator allows it.

use std::sync::Arc;

use assay_datanode::runner::access::{LocalKeys, Sources};
use assay_datanode::runner::{TaskRunner, TaskWatch};
use assay_model::dataset::{Credential, Dataset, Format, FormatKind, Layout, Location};
use assay_model::output::TaskOutput;
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_model::task::TaskSpec;
use assay_test_servers::mariadb::MariaDb;

use crate::buckets::unprivileged;
use crate::support::{job_of, poisoned, runner_with};

/// The table `orders`.
fn orders(server: &MariaDb, database: &str) -> Dataset {
    let mut dataset = poisoned("");
    dataset.tags.clear();
    dataset.columns.clear();
    dataset.checks.clear();
    dataset.partitions.layout = Layout::Single;
    dataset.source.format = Format::of(FormatKind::Table);
    dataset.source.credential = Some(Credential::File("key".to_owned()));
    dataset.source.location = Location::Database(Database {
        kind: DatabaseKind::Mysql,
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        database: database.to_owned(),
        schema: String::new(),
        table: "orders".to_owned(),
        version: VersionBy::Checksum,
    });
    dataset
}

pub async fn a_child_reads_a_table_of_another_database_without_a_further_thread() {
    // Its own, which ends with the test: whoever is left behind is a fault here.
    let server = MariaDb::start(&[]);
    let database = server.create_database();
    server.sql(
        &database,
        "CREATE TABLE orders (id int PRIMARY KEY, price double); \
         INSERT INTO orders SELECT seq, seq / 4 FROM seq_1_to_50000; \
         CREATE USER reader IDENTIFIED BY 'word'; GRANT SELECT ON orders TO reader",
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "reader:word").unwrap();
    let dataset = orders(&server, &database);
    let allowed = format!("mysql://127.0.0.1:{}/{database}/orders", server.port());
    let runner = runner_with(unprivileged()).await.reaching(Sources {
        keys: Arc::new(LocalKeys::for_sources(
            "ASSAY_SOURCE_",
            Some(folder.path().to_owned()),
        )),
        allowed: Some(vec![allowed]),
        make: assay_sources::reach,
        identities: None,
        external_id: None,
    });
    let job = job_of(&dataset, TaskSpec::Discover);
    let found = runner.run(job, TaskWatch::default()).await.unwrap();
    let TaskOutput::Discovered(found) = found else {
        panic!("no discovery");
    };
    let mut rows = 0;
    for spec in found.measures {
        let job = job_of(&dataset, TaskSpec::Measure(spec));
        let measured = runner.run(job, TaskWatch::default()).await.unwrap();
        let TaskOutput::Measured(measured) = measured else {
            panic!("no measurement");
        };
        rows += measured.iter().map(|m| m.rows).sum::<u64>();
    }
    assert_eq!(rows, 50_000);
    // What the operator has not allowed is refused in the child, too.
    let mut other = dataset;
    if let Location::Database(database) = &mut other.source.location {
        database.table = "secrets".to_owned();
    }
    let job = job_of(&other, TaskSpec::Discover);
    let refused = runner.run(job, TaskWatch::default()).await.unwrap_err();
    assert!(
        refused.message.contains("may read only mysql://127.0.0.1"),
        "{}",
        refused.message
    );
}
