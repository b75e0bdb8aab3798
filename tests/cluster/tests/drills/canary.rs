//! A password of a source, through runs that succeed and that fail: afterwards it is where its
//! operator put it, and nowhere else.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_model::dataset::{Dataset, Format, FormatKind, Layout, Location};
use assay_model::ids::DatasetId;
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_telemetry::http;
use assay_test_servers::postgres::{Options, Postgres};

use crate::drill;
use crate::usual::RUN;

/// The password of a variable, that of a file, and one that is refused.
const MARKS: [&str; 3] = [
    "canary-51c9-variable",
    "canary-51c9-file",
    "canary-51c9-wrong",
];

/// A server that asks two roles for their passwords, and its database.
fn shop() -> (Postgres, String) {
    let server = Postgres::start(Options::default());
    let url = server.create_database();
    server.sql(
        &url,
        &format!(
            "CREATE TABLE orders (id int, price numeric); CREATE TABLE hidden (id int); \
             INSERT INTO orders SELECT n, n / 4.0 FROM generate_series(1, 5000) n; \
             CREATE ROLE one LOGIN PASSWORD '{}'; CREATE ROLE two LOGIN PASSWORD '{}'; \
             GRANT SELECT ON orders TO one, two",
            MARKS[0], MARKS[1]
        ),
    );
    let rules = "host all one,two 127.0.0.1/32 scram-sha-256@host all all 127.0.0.1/32 trust";
    let write = format!("COPY (SELECT '{rules}') TO PROGRAM 'tr @ \"\\n\" > pg_hba.conf'");
    server.sql(&url, &write);
    // It is read by those who come after the server has been started anew.
    server.sql(&url, "SELECT pg_reload_conf()");
    (server, url)
}

fn dataset(name: &str, url: &str, credential: &str, table: &str) -> Dataset {
    let (_, place) = url.rsplit_once('@').unwrap();
    let (machine, database) = place.split_once('/').unwrap();
    let (host, port) = machine.rsplit_once(':').unwrap();
    let mut dataset = assay_cluster_tests::data::dataset(Path::new("/"), "orders", 1 << 20);
    dataset.id = DatasetId::new(name).unwrap();
    dataset.columns.clear();
    dataset.partitions.layout = Layout::Single;
    dataset.source.format = Format::of(FormatKind::Table);
    dataset.source.credential = Some(credential.parse().unwrap());
    dataset.source.location = Location::Database(Database {
        kind: DatabaseKind::Postgres,
        host: host.to_owned(),
        port: port.parse().unwrap(),
        database: database.split('?').next().unwrap().to_owned(),
        schema: "public".to_owned(),
        table: table.to_owned(),
        version: VersionBy::Rows,
    });
    dataset
}

/// Whether bytes hold one of the passwords, as they are or in hexadecimal digits.
fn tells(bytes: &[u8]) -> bool {
    let has = |mark: &[u8]| bytes.windows(mark.len()).any(|part| part == mark);
    MARKS.iter().any(|mark| {
        let digits: String = mark.bytes().map(|byte| format!("{byte:02x}")).collect();
        has(mark.as_bytes()) || has(digits.as_bytes())
    })
}

/// Files below a folder that tell one, but for those that are told nothing else.
fn telling(folder: &Path, secrets: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && path != secrets {
            telling(&path, secrets, found);
        } else if path.is_file() && std::fs::read(&path).is_ok_and(|bytes| tells(&bytes)) {
            found.push(path.display().to_string());
        }
    }
}

/// What the processes at work show of themselves.
fn shown(cluster: &Cluster, found: &mut Vec<String>) {
    let of = |id: u32, what: &str| std::fs::read(format!("/proc/{id}/{what}")).unwrap_or_default();
    let mut children = 0;
    for process in cluster.nodes.iter().chain(&cluster.managers) {
        let id = process.id().unwrap();
        for child in process.children() {
            // What ends the process with this program is the drill's own.
            if of(child, "cmdline").starts_with(b"sh\0") {
                continue;
            }
            children += 1;
            for what in ["environ", "cmdline"] {
                if tells(&of(child, what)) {
                    found.push(format!("{what} of a child of {}", process.name));
                }
            }
        }
        if tells(&of(id, "cmdline")) {
            found.push(format!("cmdline of {}", process.name));
        }
        let telemetry = SocketAddr::from((Ipv4Addr::LOCALHOST, process.telemetry));
        let page = http::ask(telemetry, "/metrics").unwrap();
        if tells(page.as_bytes()) {
            found.push(format!("metrics of {}", process.name));
        }
    }
    assert!(children > 0, "no child was there to be looked at");
}

/// Rows of the state of record that tell one.
async fn stored(cluster: &Cluster, found: &mut Vec<String>) {
    let tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables \
                  WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    let tables = cluster.database.texts(tables).await.unwrap();
    assert!(tables.len() > 5, "{tables:?}");
    for table in tables {
        let rows = format!("SELECT t::text FROM {table} AS t");
        let rows = cluster.database.texts(&rows).await.unwrap();
        if rows.iter().any(|row| tells(row.as_bytes())) {
            found.push(table);
        }
    }
}

/// Keys of etcd that tell one.
async fn coordinated(cluster: &Cluster, found: &mut Vec<String>) {
    let endpoints = cluster.servers.etcd().endpoints();
    let mut client = etcd_client::Client::connect(endpoints, None).await.unwrap();
    let all = etcd_client::GetOptions::new().with_all_keys();
    let all = client.get("", Some(all)).await.unwrap();
    for pair in all.kvs() {
        if tells(pair.key()) || tells(pair.value()) {
            found.push(format!("etcd: {}", String::from_utf8_lossy(pair.key())));
        }
    }
}

drill!(
    /// Runs over a table that log in by a variable, by a file, and by what is refused.
    a_password_of_a_source_is_nowhere_but_where_it_was_put,
    async |name| {
        let drill = Drill::begin(name).await;
        let (server, url) = blocking(shop);
        let secrets = drill.folder().join("secrets");
        std::fs::create_dir(&secrets).unwrap();
        std::fs::write(secrets.join("two"), format!("two:{}", MARKS[1])).unwrap();
        std::fs::write(secrets.join("wrong"), format!("two:{}", MARKS[2])).unwrap();
        let (_, place) = url.rsplit_once('@').unwrap();
        let own = |name: &str, value: String| (name.to_owned(), value);
        let plan = Plan {
            managers: 1,
            nodes: 1,
            environment: vec![
                own("ASSAY_SOURCE_ONE", format!("one:{}", MARKS[0])),
                own("ASSAY_SOURCES_FILES", secrets.display().to_string()),
                own("ASSAY_SOURCES_ALLOW", format!("postgres://{}", place.split('?').next().unwrap())),
            ],
            ..Plan::default()
        };
        let cluster = Cluster::start(&drill, plan).await;
        let mut found = Vec::new();
        for (key, credential, table, wanted) in [
            ("variable", "env:ASSAY_SOURCE_ONE", "orders", "succeeded"),
            ("file", "file:two", "orders", "succeeded"),
            ("wrong", "file:wrong", "orders", "failed"),
            ("hidden", "file:two", "hidden", "failed"),
            ("absent", "file:absent", "orders", "failed"),
        ] {
            let dataset = dataset(key, &url, credential, table);
            let limit = Duration::from_secs(30);
            let run = cluster.client.submit(&dataset, key, limit).await.unwrap();
            let state = cluster.ended(&run, RUN).await;
            assert_eq!(state, wanted, "{key}\n{}", cluster.tails());
            blocking(|| shown(&cluster, &mut found));
        }
        stored(&cluster, &mut found).await;
        coordinated(&cluster, &mut found).await;
        telling(drill.folder(), &secrets, &mut found);
        if tells(cluster.tails().as_bytes()) {
            found.push("a log".to_owned());
        }
        assert!(found.is_empty(), "{found:?}");
        // What refused the password is told all the same.
        let told = "SELECT 'told' FROM task_attempt a WHERE a::text LIKE '%28P01%'";
        assert_eq!(cluster.database.texts(told).await.unwrap()[0], "told");
        drop((server, Arc::clone(&drill)));
    }
);
