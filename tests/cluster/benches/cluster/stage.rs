//! A cluster without a wire in between: what is timed is the product and its servers.
//!
//! Comes in: managers, nodes, slots. Goes out: the manager's program as it ships on three members of
//! etcd and on Postgres, both waiting for the disk, with nodes in this process or in their own. It must
//! never change a default of the product.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use assay_cluster_tests::binaries;
use assay_cluster_tests::client::Client;
use assay_cluster_tests::database::Database;
use assay_cluster_tests::process::Process;
use assay_datanode::NodeHandle;
use assay_model::dataset::Dataset;
use assay_proto::link::unary;
use assay_proto::v1;
use assay_proto::v1::run_service_client::RunServiceClient;
use assay_test_servers::etcd::{Etcd, EtcdOptions};
use assay_test_servers::port;
use assay_test_servers::postgres::{Options, Postgres};
use tempfile::TempDir;

use crate::node::{self, Place};

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// The servers of all parts of the benchmark.
pub struct Ground {
    pub postgres: Postgres,
    pub etcd: Etcd,
    pub folder: TempDir,
}

impl Ground {
    /// Servers as they ship: every commit waits for the disk; etcd beats as by its defaults.
    pub fn new() -> Self {
        let setting = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let shipped = [
            ("shared_buffers", "128MB"),
            ("max_wal_size", "1GB"),
            // Fifty nodes and a manager.
            ("max_connections", "400"),
        ];
        let more = std::env::var("ASSAY_BENCH_POSTGRES").unwrap_or_default();
        let more = more.split(';').filter_map(|s| s.split_once('='));
        Self {
            postgres: Postgres::start(Options {
                fsync: true,
                settings: shipped.into_iter().chain(more).map(setting).collect(),
                ..Options::default()
            }),
            etcd: Etcd::start(EtcdOptions {
                members: 3,
                heartbeat_ms: 100,
                election_ms: 1000,
                durable: true,
                ..EtcdOptions::default()
            }),
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }
}

/// A running cluster with a database of its own.
pub struct Stage<'a> {
    pub ground: &'a mut Ground,
    pub managers: Vec<Process>,
    pub nodes: Vec<Process>,
    pub inside: Vec<NodeHandle>,
    pub client: Client,
    pub database: Database,
    place: Place,
    born: usize,
}

impl<'a> Stage<'a> {
    /// Starts `managers`, and waits until one leads.
    pub async fn begin(ground: &'a mut Ground, managers: usize, slots: u32) -> Self {
        let url = ground.postgres.create_database();
        let database = url.rsplit('/').next().expect("an address has a path");
        let mut stage = Self {
            managers: Vec::new(),
            nodes: Vec::new(),
            inside: Vec::new(),
            client: Client {
                managers: Vec::new(),
                tls: None,
            },
            place: Place {
                id: String::new(),
                slots,
                store: url.clone(),
                prefix: format!("/{database}"),
                etcd: ground.etcd.endpoints(),
                managers: Vec::new(),
            },
            database: Database::at(&url),
            ground,
            born: 0,
        };
        for i in 1..=managers {
            let manager = stage.manager(i);
            stage.managers.push(manager);
        }
        for manager in &mut stage.managers {
            manager.start();
        }
        stage
            .client
            .leader(PATIENCE)
            .await
            .expect("a manager leads");
        stage
    }

    fn manager(&mut self, i: usize) -> Process {
        let (listen, telemetry) = (port::free(), port::free());
        let door = format!("http://127.0.0.1:{listen}");
        self.client.managers.push(door.clone());
        self.place.managers.push(door);
        let environment = [
            ("ASSAY_STORE_URL", self.place.store.clone()),
            ("ASSAY_ETCD", self.place.etcd.join(",")),
            ("ASSAY_ETCD_PREFIX", self.place.prefix.clone()),
            ("ASSAY_MANAGER_NAME", format!("manager-{i}")),
            ("ASSAY_MANAGER_LISTEN", format!("127.0.0.1:{listen}")),
            ("ASSAY_TELEMETRY_LISTEN", format!("127.0.0.1:{telemetry}")),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value));
        let program = binaries::path_of("assay-manager");
        let folder = self.ground.folder.path();
        let name = format!("{}-manager-{i}", self.place.prefix.trim_matches('/'));
        Process::new(&name, program, environment.into(), folder, telemetry)
    }

    /// Starts `n` nodes in this process, and waits until they are registered.
    pub async fn nodes_inside(&mut self, n: usize) {
        for _ in 0..n {
            let place = self.next_place();
            self.inside.push(place.start().await);
        }
        for node in &self.inside {
            tokio::time::timeout(PATIENCE, node.live())
                .await
                .expect("the node is live");
        }
    }

    /// Starts a node as a process, waits until it is live, and gives its name. A name is never used
    /// twice: a node that fails again and again is shunned, which is not the question here.
    pub async fn node_outside(&mut self) -> String {
        let place = self.next_place();
        let program: PathBuf = std::env::current_exe().expect("a program knows its path");
        let environment = vec![(node::VARIABLE.to_owned(), place.words())];
        let folder = self.ground.folder.path();
        let mut process = Process::new(&place.id, program, environment, folder, 0);
        process.start();
        self.nodes.push(process);
        let live = format!(
            "SELECT 'x' FROM node WHERE id = '{}' AND state = 'live'",
            place.id
        );
        self.until("live node", &live).await;
        place.id
    }

    fn next_place(&mut self) -> Place {
        self.born += 1;
        Place {
            id: format!("node-{:03}", self.born),
            ..self.place.clone()
        }
    }

    /// Has a run begun, and gives its id.
    pub async fn submit(&self, dataset: &Dataset) -> String {
        let submitted = self.client.submit(dataset, "bench", PATIENCE).await;
        submitted.expect("a run can be submitted")
    }

    /// Stops a run.
    pub async fn cancel(&self, run: &str) {
        let (channel, _) = self.client.leader(PATIENCE).await.expect("a manager leads");
        let request = v1::CancelRequest {
            run_id: run.to_owned(),
            reason: "measured".to_owned(),
        };
        // What has ended by itself needs no end.
        let _ = RunServiceClient::new(channel).cancel(unary(request)).await;
    }

    /// Waits until `query` gives a row; the answer is its first column.
    pub async fn until(&self, what: &str, query: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let all = self.database.texts(query).await;
            if let Ok(Some(found)) = all.as_ref().map(|all| all.first()) {
                return found.clone();
            }
            assert!(
                Instant::now() < until,
                "no {what} within {PATIENCE:?}: {all:?} for {query}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The manager that leads by the epoch in force: its place, and the epoch.
    pub async fn leader(&self) -> (usize, u64) {
        let query = "SELECT holder || ' ' || epoch FROM leader_epoch";
        let text = self.database.text(query).await.expect("the store answers");
        let (holder, epoch) = text.split_once(' ').expect("as it was asked");
        let place: usize = holder
            .trim_start_matches("manager-")
            .parse()
            .expect("our name");
        (place - 1, epoch.parse().expect("a number"))
    }

    /// Ends all of it.
    pub async fn end(mut self) {
        for node in &self.inside {
            node.kill().await;
        }
        self.nodes.clear();
        for manager in &mut self.managers {
            manager.resume();
            manager.kill();
        }
        self.database.close().await;
    }
}
