//! A cluster of processes: managers and nodes on Postgres and etcd, all across the [`Wire`].
//!
//! Comes in: a [`Plan`]. Goes out: running processes, and the questions that drills wait on. It must
//! never wait without a limit.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_proto::link::{PeerRole, Tls, TlsFiles};
use assay_test_servers::port;
use assay_test_servers::postgres::Postgres;
use jiff::Timestamp;

use crate::binaries;
use crate::client::Client;
use crate::data::Data;
use crate::database::Database;
use crate::drill::Drill;
use crate::pki::{Authority, Files, Holds, identity};
use crate::process::Process;
use crate::servers::{Servers, Want, Whose};
use crate::who::People;
use crate::wire::Wire;

/// How long a cluster may take until all of it is there.
const READY: Duration = Duration::from_secs(60);

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Managers.
    pub managers: usize,
    /// Data nodes.
    pub nodes: usize,
    /// Slots of each node.
    pub slots: u32,
    /// Whose etcd.
    pub etcd: Whose,
    /// Whose Postgres.
    pub postgres: Whose,
    /// What servers of its own lack.
    pub want: Want,
    /// The zones that nodes lie in, by turns; none without.
    pub zones: Vec<String>,
    /// How long a node that is asked to stop may go on, in seconds.
    pub drain_grace_s: u64,
    /// Whether all speak TLS, each with a certificate of one authority.
    pub secured: bool,
    /// Environment of all processes, beside the usual one.
    pub environment: Vec<(String, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            managers: 2,
            nodes: 3,
            slots: 2,
            etcd: Whose::Shared,
            postgres: Whose::Shared,
            want: Want::default(),
            zones: Vec::new(),
            drain_grace_s: 20,
            secured: false,
            environment: Vec::new(),
        }
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The drill that it is of.
    pub drill: Arc<Drill>,
    /// What it stands on.
    pub servers: Servers,
    /// What is between its processes.
    pub wire: Arc<Wire>,
    /// The managers: `manager-1`, …
    pub managers: Vec<Process>,
    /// The nodes: `node-1`, …
    pub nodes: Vec<Process>,
    /// Its state of record.
    pub database: Database,
    /// A client of its managers.
    pub client: Client,
    /// The authority that all believe, when they speak TLS.
    pub authority: Authority,
    /// The files of TLS of each process, and of the drill's own client, `drill`.
    pub files: Files,
    people: Arc<People>,
}

impl Cluster {
    /// Starts a cluster, and waits until a manager leads and every node is live.
    ///
    /// # Panics
    /// When that takes too long, or something is not installed.
    pub async fn start(drill: &Arc<Drill>, plan: Plan) -> Self {
        Self::start_with(drill, plan, |_| ()).await
    }

    /// As [`Cluster::start`], with processes that are changed before they start.
    ///
    /// # Panics
    /// As [`Cluster::start`].
    pub async fn start_with(drill: &Arc<Drill>, plan: Plan, change: impl Fn(&mut Process)) -> Self {
        let servers = blocking(|| Servers::start(plan.etcd, plan.postgres, &plan.want));
        let people = Arc::new(People::default());
        people.meet(std::process::id(), "drill");
        let wire = Wire::new(Arc::clone(&people), drill.seed);
        let url = blocking(|| servers.postgres().create_database());
        let mut cluster = Self {
            drill: Arc::clone(drill),
            database: Database::at(&url),
            client: Client {
                managers: Vec::new(),
                tls: None,
            },
            servers,
            wire,
            managers: Vec::new(),
            nodes: Vec::new(),
            authority: Authority::new("the first authority"),
            files: Files::below(drill.folder()),
            people,
        };
        if plan.secured {
            let files = cluster.identify(PeerRole::Client, "drill");
            cluster.client.tls = Some(Tls::load(files).expect("good files"));
        }
        cluster.describe(&plan, &url).await;
        for process in cluster.managers.iter_mut().chain(&mut cluster.nodes) {
            change(process);
        }
        for i in 0..cluster.managers.len() {
            cluster.start_manager(i);
        }
        for i in 0..cluster.nodes.len() {
            cluster.start_node(i);
        }
        cluster.ready(READY).await;
        drill.note("the cluster is there");
        cluster
    }

    /// Makes up the processes, without starting them.
    async fn describe(&mut self, plan: &Plan, url: &str) {
        let postgres = self.servers.postgres().port();
        let postgres = self.wire.before("postgres", postgres).await;
        let database = url.rsplit('/').next().expect("an address has a path");
        let members = self.servers.etcd().endpoints().len();
        let mut etcd = Vec::new();
        for member in 0..members {
            let port = self.servers.etcd().client_port(member);
            let ours = self.wire.before(&format!("etcd-{member}"), port).await;
            etcd.push(format!("http://127.0.0.1:{ours}"));
        }
        let mut common = vec![
            (
                "ASSAY_STORE_URL".to_owned(),
                format!("postgres://postgres@127.0.0.1:{postgres}/{database}"),
            ),
            ("ASSAY_ETCD".to_owned(), etcd.join(",")),
            (
                "ASSAY_ETCD_PREFIX".to_owned(),
                format!("/{database}-{}", uuid::Uuid::new_v4()),
            ),
            (
                "ASSAY_LOG".to_owned(),
                "info,assay_datanode=debug".to_owned(),
            ),
        ];
        common.extend(plan.environment.iter().cloned());
        let scheme = if plan.secured { "https" } else { "http" };
        let mut doors = Vec::new();
        for i in 1..=plan.managers {
            let name = format!("manager-{i}");
            let listen = port::free();
            let door = self.wire.before(&name, listen).await;
            let telemetry = port::free();
            doors.push(format!("{scheme}://127.0.0.1:{door}"));
            self.client
                .managers
                .push(format!("{scheme}://127.0.0.1:{listen}"));
            let mut environment = common.clone();
            environment.extend(own(&[
                ("ASSAY_MANAGER_NAME", &name),
                ("ASSAY_MANAGER_LISTEN", &format!("127.0.0.1:{listen}")),
                (
                    "ASSAY_MANAGER_ADVERTISE",
                    &format!("{scheme}://127.0.0.1:{door}"),
                ),
                ("ASSAY_TELEMETRY_LISTEN", &format!("127.0.0.1:{telemetry}")),
            ]));
            environment.extend(self.secured(plan, PeerRole::Manager, &name));
            let program = binaries::path_of("assay-manager");
            let process = Process::new(&name, program, environment, self.drill.folder(), telemetry);
            self.managers.push(process);
        }
        for i in 1..=plan.nodes {
            let name = format!("node-{i}");
            let telemetry = port::free();
            let zone = plan.zones.get((i - 1) % plan.zones.len().max(1));
            let mut environment = common.clone();
            environment.extend(own(&[
                ("ASSAY_NODE_ID", &name),
                ("ASSAY_MANAGERS", &doors.join(",")),
                ("ASSAY_NODE_SLOTS", &plan.slots.to_string()),
                ("ASSAY_NODE_MEMORY", &format!("{}MiB", 64 * plan.slots)),
                ("ASSAY_NODE_ZONE", zone.map_or("", String::as_str)),
                ("ASSAY_NODE_PROBE", "127.0.0.1:0"),
                ("ASSAY_DRAIN_GRACE_S", &plan.drain_grace_s.to_string()),
                ("ASSAY_TELEMETRY_LISTEN", &format!("127.0.0.1:{telemetry}")),
            ]));
            environment.extend(self.secured(plan, PeerRole::Node, &name));
            let program = binaries::path_of("assay-datanode");
            let process = Process::new(&name, program, environment, self.drill.folder(), telemetry);
            self.nodes.push(process);
        }
    }

    /// Makes the files of TLS of one process, and says where they lie.
    fn secured(&self, plan: &Plan, role: PeerRole, name: &str) -> Vec<(String, String)> {
        if !plan.secured {
            return Vec::new();
        }
        let files = self.identify(role, name);
        let said = |path: &std::path::Path| path.display().to_string();
        own(&[
            ("ASSAY_TLS_CA", &said(&files.ca)),
            ("ASSAY_TLS_CERT", &said(&files.cert)),
            ("ASSAY_TLS_KEY", &said(&files.key)),
        ])
    }

    /// The files of an identity of the cluster's authority.
    pub fn identify(&self, role: PeerRole, name: &str) -> TlsFiles {
        let issued = identity(&self.authority, role, name, Holds::Today);
        self.files.show(name, &issued);
        self.files.believe(name, &[&self.authority]);
        self.files.of(name)
    }

    /// Starts a manager that does not run.
    pub fn start_manager(&mut self, i: usize) {
        let id = self.managers[i].start();
        self.people.meet(id, &self.managers[i].name);
        self.drill.note(format!("start {}", self.managers[i].name));
    }

    /// Starts a node that does not run.
    pub fn start_node(&mut self, i: usize) {
        let id = self.nodes[i].start();
        self.people.meet(id, &self.nodes[i].name);
        self.drill.note(format!("start {}", self.nodes[i].name));
    }

    /// Waits until a manager leads and every node that runs is live.
    ///
    /// # Panics
    /// When that takes longer than `limit`.
    pub async fn ready(&mut self, limit: Duration) {
        let running = self
            .nodes
            .iter_mut()
            .filter_map(|n| n.runs().then(|| n.name.clone()));
        let running: Vec<String> = running.collect();
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (_, status) = match self.client.leader(left).await {
                Ok(found) => found,
                Err(why) => panic!("{why}\n{}", self.tails()),
            };
            let state: BTreeMap<String, String> =
                status.nodes.into_iter().map(|n| (n.id, n.state)).collect();
            if running
                .iter()
                .all(|n| state.get(n).is_some_and(|s| s == "live"))
            {
                return;
            }
            assert!(
                Instant::now() < until,
                "not all of {running:?} are live: {state:?}\n{}",
                self.tails()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Has a run over `data` begun; the answer is its id.
    ///
    /// # Panics
    /// When no manager takes it within half a minute.
    pub async fn submit(&self, data: &Data, key: &str) -> String {
        let limit = Duration::from_secs(30);
        let run = self.client.submit(&data.dataset, key, limit).await;
        let run = run.unwrap_or_else(|why| panic!("no run: {why}\n{}", self.tails()));
        self.drill
            .note(format!("{run} of {} begins", data.dataset.id));
        run
    }

    /// Waits until `query` gives a row, and gives its first column.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn until(&self, what: &str, limit: Duration, query: &str) -> String {
        let look = || async { self.database.texts(query).await.ok()?.into_iter().next() };
        self.until_some(what, limit, look).await
    }

    /// Waits until `look` finds something, and gives it.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn until_some<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        limit: Duration,
        mut look: impl FnMut() -> F,
    ) -> T {
        let until = Instant::now() + limit;
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(
                Instant::now() < until,
                "no {what} within {limit:?}\n{}",
                self.tails()
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a run has ended; gives its state.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub async fn ended(&self, run: &str, limit: Duration) -> String {
        let query = format!(
            "SELECT state FROM run WHERE run_word(id) = '{run}' AND finished_at IS NOT NULL"
        );
        let state = self.until("end of the run", limit, &query).await;
        self.drill.note(format!("{run} has ended as {state}"));
        state
    }

    /// Waits until a node has a task of `kind` at work; gives which node, by its place.
    ///
    /// # Panics
    /// When none does within half a minute.
    pub async fn busy(&self, kind: &str) -> usize {
        let query = format!("SELECT node FROM task WHERE state = 'running' AND kind = '{kind}'");
        let limit = Duration::from_secs(30);
        let node = self
            .until(&format!("node with a {kind} task"), limit, &query)
            .await;
        self.place_of(&node)
    }

    /// The manager that minted the epoch in force, by its place.
    ///
    /// # Panics
    /// When the store does not answer.
    pub async fn leader(&self) -> usize {
        let holder = self.database.text("SELECT holder FROM leader_epoch").await;
        let holder = holder.expect("the store answers");
        let place = self.managers.iter().position(|m| m.name == holder);
        place.unwrap_or_else(|| panic!("`{holder}` leads"))
    }

    /// The place of a node among the nodes.
    ///
    /// # Panics
    /// When there is no such node.
    #[must_use]
    pub fn place_of(&self, node: &str) -> usize {
        let place = self.nodes.iter().position(|n| n.name == node);
        place.unwrap_or_else(|| panic!("there is no node `{node}`"))
    }

    /// When the first result after `at` was committed.
    ///
    /// # Panics
    /// When there is none within `limit`.
    pub async fn first_result_after(&self, at: Timestamp, limit: Duration) -> Timestamp {
        let query = format!(
            "SELECT to_char(min(ended_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
             FROM task_attempt WHERE outcome = 'ok' AND ended_at > '{at}' HAVING count(*) > 0"
        );
        let found = self.until("result", limit, &query).await;
        found.parse().expect("it was asked for like that")
    }

    /// Kills Postgres, makes `standby` the server in its place, and has its name mean that one for
    /// everybody; the answer is when it took writes.
    ///
    /// # Panics
    /// When it cannot be promoted.
    pub fn fail_over(&mut self, standby: Postgres) -> Timestamp {
        blocking(|| self.servers.postgres().kill());
        self.drill.note("kill -9 of Postgres");
        blocking(|| standby.promote());
        let promoted = self.drill.note("its standby is promoted");
        let name = self.database.url.rsplit('/').next().expect("it has a path");
        let url = standby.url_of(name);
        self.wire.leads("postgres", standby.port());
        for process in self.managers.iter().chain(&self.nodes) {
            self.wire.reset(&process.name, "postgres");
        }
        self.database = Database::at(&url);
        drop(self.servers.replace_postgres(standby));
        promoted
    }

    /// Kills every process, for good.
    pub fn kill_all(&mut self) {
        for process in self.managers.iter_mut().chain(&mut self.nodes) {
            process.resume();
            process.kill();
        }
        self.drill.note("all processes are killed");
    }

    /// The ends of all logs, for a failure.
    #[must_use]
    pub fn tails(&self) -> String {
        let mut text = String::new();
        for process in self.managers.iter().chain(&self.nodes) {
            let log = process.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(8)..];
            text.push_str(&format!("--- {}\n{}\n", process.name, tail.join("\n")));
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        // For whoever looks for the cause; a server that is away by now leaves nothing.
        let server = self.servers.postgres();
        for (table, order) in [
            ("event", "seq"),
            ("task_attempt", "task_id, attempt"),
            ("task", "id"),
            ("run", "created_at"),
            ("node", "id"),
        ] {
            let query = format!("SELECT * FROM {table} ORDER BY {order}");
            let dump = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                server.sql(&self.database.url, &query)
            }));
            if let Ok(dump) = dump {
                // The test has failed already.
                let _ = std::fs::write(self.drill.folder().join(table), dump);
            }
        }
    }
}

/// Environment variables.
fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Does what blocks, without holding up the wire.
pub fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
