//! A cluster in one process: managers, nodes, one SQLite store in memory, and the means to break it.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use assay_coordination::LocalCoordinator;
use assay_coordination::port::LeaseTimes;
use assay_datanode::runner::{InProcess, TaskJob, TaskRunner, TaskWatch};
use assay_datanode::{DataNode, NodeConfig, NodeHandle, NodeParts};
use assay_manager::{Manager, ManagerConfig, ManagerHandle, ManagerParts, system_clock};
use assay_manager_core as core;
use assay_model::change::{Answer, Change};
use assay_model::dataset::{
    Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning, Profile,
    RunPolicy, ScanPolicy, Sealing, Source,
};
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, RunId, TaskId};
use assay_model::metric::{Metric, MetricKey};
use assay_model::node::Node;
use assay_model::output::TaskOutput;
use assay_model::task::{TaskFailure, TaskKind};
use assay_model::unfinished::{MoreTasks, PlanPage, RunRows, TasksHeld, TasksRead};
use assay_proto::link::{Door, Doorway};
use assay_store::port::{Started, Unfinished};
use assay_store::sqlite::SqliteStore;
use assay_store::{JobStore, MetricStore, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

/// How long anything in these tests may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A store that can be told to misbehave, and remembers what it answered.
pub struct FaultyStore {
    inner: SqliteStore,
    /// So many commits are applied and not confirmed.
    pub unconfirmed_commits: AtomicU32,
    /// So many completions are applied and not confirmed.
    pub unconfirmed_completions: AtomicU32,
    pub answers: Mutex<Vec<(AttemptToken, Answer)>>,
    /// Told after each completion that was applied, before its answer.
    pub completed: watch::Sender<Option<AttemptToken>>,
    /// Completions of measurements wait after they are applied for as long as this is set.
    pub hold_answers: AtomicBool,
    pub go_on: Notify,
}

fn take(counter: &AtomicU32) -> bool {
    let less = |n: u32| n.checked_sub(1);
    counter
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
}

#[async_trait]
impl JobStore for FaultyStore {
    async fn mint_epoch(&self, holder: &str) -> Result<Epoch, StoreError> {
        self.inner.mint_epoch(holder).await
    }
    async fn load(&self, epoch: Epoch, held: TasksHeld) -> Result<Unfinished, StoreError> {
        self.inner.load(epoch, held).await
    }
    async fn unfinished_run(&self, run: RunId, most: usize) -> Result<Option<RunRows>, StoreError> {
        self.inner.unfinished_run(run, most).await
    }
    async fn more_tasks(&self, asked: &MoreTasks) -> Result<TasksRead, StoreError> {
        self.inner.more_tasks(asked).await
    }
    async fn put_definition(&self, dataset: &Dataset) -> Result<(), StoreError> {
        self.inner.put_definition(dataset).await
    }
    async fn commit(&self, epoch: Epoch, changes: &[Change]) -> Result<Vec<Answer>, StoreError> {
        let answers = self.inner.commit(epoch, changes).await?;
        if take(&self.unconfirmed_commits) {
            return Err(StoreError::Unknown("the answer was lost".into()));
        }
        Ok(answers)
    }
    async fn register(&self, epoch: Epoch, node: &Node) -> Result<Incarnation, StoreError> {
        self.inner.register(epoch, node).await
    }
    async fn start(&self, t: &AttemptToken, at: Timestamp) -> Result<Option<Started>, StoreError> {
        self.inner.start(t, at).await
    }
    async fn complete(
        &self,
        token: &AttemptToken,
        output: &TaskOutput,
        at: Timestamp,
    ) -> Result<Answer, StoreError> {
        let answer = self.inner.complete(token, output, at).await?;
        self.answers.lock().unwrap().push((*token, answer));
        self.completed.send_replace(Some(*token));
        let measured = matches!(output, TaskOutput::Measured(_));
        if measured && self.hold_answers.load(Ordering::SeqCst) {
            self.go_on.notified().await;
        }
        if take(&self.unconfirmed_completions) {
            return Err(StoreError::Unknown("the answer was lost".into()));
        }
        Ok(answer)
    }
    async fn plan_page(&self, task: TaskId, from: u32) -> Result<Option<PlanPage>, StoreError> {
        self.inner.plan_page(task, from).await
    }
    async fn sent(&self, epoch: Epoch, keys: &[String], at: Timestamp) -> Result<u64, StoreError> {
        self.inner.sent(epoch, keys, at).await
    }
}

/// A runner whose measurements wait at a gate, or crash.
pub struct Gated {
    inner: InProcess,
    /// Closed: measurements wait.
    pub closed: watch::Sender<bool>,
    /// Measurements that wait.
    pub waiting: watch::Sender<u32>,
    /// Measurements crash.
    pub crashes: AtomicBool,
}

#[async_trait]
impl TaskRunner for Gated {
    async fn run(&self, job: TaskJob, watch: TaskWatch) -> Result<TaskOutput, TaskFailure> {
        if job.task.spec.kind() == TaskKind::Measure {
            assert!(!self.crashes.load(Ordering::SeqCst), "poison");
            let mut closed = self.closed.subscribe();
            self.waiting.send_modify(|n| *n += 1);
            let _ = closed.wait_for(|closed| !*closed).await;
        }
        self.inner.run(job, watch).await
    }
}

/// A node with the gate before its measurements.
pub struct TestNode {
    pub handle: NodeHandle,
    pub gate: Arc<Gated>,
}

impl TestNode {
    /// Waits until a measurement waits at the gate.
    pub async fn is_stuck(&self) {
        let mut waiting = self.gate.waiting.subscribe();
        within("a stuck task", waiting.wait_for(|n| *n > 0))
            .await
            .unwrap();
    }
}

pub struct Cluster {
    pub store: Arc<FaultyStore>,
    pub metrics: Arc<dyn MetricStore>,
    /// The store itself, which never misbehaves.
    pub sqlite: SqliteStore,
    pub coordinator: LocalCoordinator,
    pub folder: tempfile::TempDir,
}

impl Cluster {
    pub async fn new() -> Self {
        let sqlite = SqliteStore::in_memory().await.unwrap();
        let store = FaultyStore {
            inner: sqlite.clone(),
            unconfirmed_commits: AtomicU32::new(0),
            unconfirmed_completions: AtomicU32::new(0),
            answers: Mutex::default(),
            completed: watch::Sender::new(None),
            hold_answers: AtomicBool::new(false),
            go_on: Notify::new(),
        };
        let times = LeaseTimes {
            leader_ttl: Duration::from_millis(1_500),
            leader_keep_alive: Duration::from_millis(300),
            ..LeaseTimes::default()
        };
        Self {
            store: Arc::new(store),
            metrics: Arc::new(sqlite.clone()),
            sqlite,
            coordinator: LocalCoordinator::new(times),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn manager(&self, name: &str) -> ManagerHandle {
        let core = core::Config {
            grace_ms: 800,
            suspect_after_ms: 900,
            dead_after_ms: 1_500,
            node_backoff_ms: 100,
            task_backoff_ms: 100,
            drain_grace_ms: 400,
            ..core::Config::default()
        };
        Manager::start(ManagerParts {
            store: self.store.clone(),
            metrics: self.metrics.clone(),
            coordinator: Arc::new(self.coordinator.clone()),
            config: ManagerConfig {
                name: name.to_owned(),
                core,
                ..ManagerConfig::default()
            },
            now: system_clock(),
            telemetry: assay_telemetry::Telemetry::default(),
        })
    }

    pub fn node(&self, id: &str, doors: Vec<Door>) -> TestNode {
        self.node_with(NodeConfig {
            slots: 2,
            heartbeat: Duration::from_millis(200),
            ..NodeConfig::new(id, doors)
        })
    }

    pub fn node_with(&self, config: NodeConfig) -> TestNode {
        let gate = Arc::new(Gated {
            inner: InProcess::new(self.metrics.clone()),
            closed: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
            crashes: AtomicBool::new(false),
        });
        let handle = DataNode::start(NodeParts {
            store: self.store.clone(),
            coordinator: Some(Arc::new(self.coordinator.clone())),
            runner: gate.clone(),
            config,
            now: system_clock(),
            telemetry: assay_telemetry::Telemetry::default(),
        })
        .unwrap();
        TestNode { handle, gate }
    }

    /// Writes `days` files; the file of day `d` has `10 * d` rows.
    pub fn write_days(&self, days: u32) {
        for day in 1..=days {
            let mut text = String::from("id,amount\n");
            for row in 0..10 * day {
                text.push_str(&format!("{row},{}.5\n", row % 7));
            }
            let name = format!("orders_2026-10-{day:02}.csv");
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }
    }

    pub fn dataset(&self) -> Dataset {
        dataset(self.folder.path())
    }

    /// The row counts that are stored, by partition.
    pub async fn row_counts(&self) -> Vec<(String, String)> {
        let id = self.dataset().id;
        let history = self.metrics.history(&id, None, 1000).await.unwrap();
        let key = MetricKey::table(Metric::RowCount);
        let found: Vec<String> = history.iter().map(|(k, _)| k.to_string()).collect();
        let rows = history.into_iter().find(|(k, _)| *k == key);
        let verdicts = self.metrics.verdicts(&id, None, 1000).await.unwrap();
        let rows = rows
            .unwrap_or_else(|| panic!("no row counts in {found:?} {verdicts:?}"))
            .1;
        rows.into_iter()
            .map(|p| (p.partition.key.to_string(), p.value.to_string()))
            .collect()
    }

    pub async fn assert_right(&self, days: u32) {
        let expected: Vec<(String, String)> = (1..=days)
            .map(|day| (format!("2026-10-{day:02}"), (10 * day).to_string()))
            .collect();
        assert_eq!(self.row_counts().await, expected);
    }
}

pub fn dataset(folder: &Path) -> Dataset {
    Dataset {
        others: Vec::new(),
        storage: assay_model::dataset::StoragePolicy::default(),
        id: DatasetId::new("orders").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: None,
            server: "files".to_owned(),
            location: Location::Local {
                path: folder.to_str().unwrap().to_owned(),
            },
            format: Format::of(FormatKind::Csv),
        },
        partitions: Partitioning {
            sealing: Sealing::Immediately,
            ..Partitioning::default()
        },
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile::default(),
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}

/// A door that can be cut: what goes through it is lost from then on, in both directions, without
/// either end being told.
pub struct Cable {
    pub door: Door,
    pub cut: watch::Sender<bool>,
}

impl Cable {
    pub fn to(manager: Doorway) -> Self {
        let (doorway, mut arrivals) = Doorway::new("cable");
        let cut = watch::Sender::new(false);
        let told = cut.clone();
        tokio::spawn(async move {
            while let Some(mut node) = arrivals.recv().await {
                let mut cut = told.subscribe();
                let Ok(mut far) = manager.knock().await else {
                    return;
                };
                tokio::spawn(async move {
                    let is_cut = async {
                        let _ = cut.wait_for(|cut| *cut).await;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut node, &mut far) => return,
                        () = is_cut => {}
                    }
                    // Both ends stay open and hear nothing.
                    let _ = cut.wait_for(|cut| !*cut).await;
                });
            }
        });
        Self {
            door: Door::Local(doorway),
            cut,
        }
    }
}
