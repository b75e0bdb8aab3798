//! The embedded cluster, to compare a real one with: manager, node and SQLite in this process.
//!
//! Comes in: how many runs of how many tasks. Goes out: tasks a second, what they cost, and how long the
//! calls of the store take. It must never share anything with a cluster but the tasks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assay_coordination::LocalCoordinator;
use assay_coordination::port::LeaseTimes;
use assay_datanode::{DataNode, NodeConfig, NodeParts};
use assay_manager::{Manager, ManagerConfig, ManagerParts, system_clock};
use assay_model::change::{Answer, Change};
use assay_model::dataset::Dataset;
use assay_model::ids::{AttemptToken, Epoch, Incarnation, RunId, TaskId};
use assay_model::node::Node;
use assay_model::output::TaskOutput;
use assay_model::run::{RunState, Selection, Trigger};
use assay_model::unfinished::{MoreTasks, PlanPage, RunRows, TasksHeld, TasksRead};
use assay_proto::link::Door;
use assay_store::port::{Started, Unfinished};
use assay_store::sqlite::{OpenOptions, SqliteStore};
use assay_store::{JobStore, StoreError};
use assay_telemetry::Telemetry;
use async_trait::async_trait;
use jiff::Timestamp;

use crate::cost;
use crate::noop::{self, NoOp};
use crate::throughput::Case;

/// A store that says how long its calls took.
struct Timed {
    inner: SqliteStore,
    spent: Mutex<BTreeMap<&'static str, (u32, Duration)>>,
}

impl Timed {
    async fn time<T>(&self, what: &'static str, call: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let answer = call.await;
        let took = begun.elapsed();
        let mut spent = self.spent.lock().expect("nobody panics here");
        let entry = spent.entry(what).or_default();
        (entry.0, entry.1) = (entry.0 + 1, entry.1 + took);
        answer
    }
}

#[async_trait]
impl JobStore for Timed {
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
        self.time("more tasks", self.inner.more_tasks(asked)).await
    }
    async fn put_definition(&self, dataset: &Dataset) -> Result<(), StoreError> {
        self.inner.put_definition(dataset).await
    }
    async fn commit(&self, epoch: Epoch, changes: &[Change]) -> Result<Vec<Answer>, StoreError> {
        let plans = |c: &Change| matches!(c, Change::PlanPart { .. } | Change::PlanRun { .. });
        let what = if changes.iter().any(plans) {
            "plan"
        } else {
            "commit of the leader"
        };
        self.time(what, self.inner.commit(epoch, changes)).await
    }
    async fn register(&self, epoch: Epoch, node: &Node) -> Result<Incarnation, StoreError> {
        self.inner.register(epoch, node).await
    }
    async fn start(
        &self,
        token: &AttemptToken,
        at: Timestamp,
    ) -> Result<Option<Started>, StoreError> {
        self.time("start", self.inner.start(token, at)).await
    }
    async fn complete(
        &self,
        token: &AttemptToken,
        output: &TaskOutput,
        at: Timestamp,
    ) -> Result<Answer, StoreError> {
        let what = match output {
            TaskOutput::Discovered(_) => "completion of a discovery",
            _ => "completion",
        };
        self.time(what, self.inner.complete(token, output, at))
            .await
    }
    async fn plan_page(&self, task: TaskId, from: u32) -> Result<Option<PlanPage>, StoreError> {
        self.time("page of a plan", self.inner.plan_page(task, from))
            .await
    }
    async fn sent(&self, epoch: Epoch, keys: &[String], at: Timestamp) -> Result<u64, StoreError> {
        self.inner.sent(epoch, keys, at).await
    }
}

/// Runs a case on one node and prints its figures.
pub async fn measure(case: Case) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("assay.db");
    let store = SqliteStore::open(&path, OpenOptions::default()).await;
    let store = store.expect("a store in a file");
    let timed = Arc::new(Timed {
        inner: store.clone(),
        spent: Mutex::default(),
    });
    let coordinator = Arc::new(LocalCoordinator::new(LeaseTimes::default()));
    let manager = Manager::start(ManagerParts {
        store: timed.clone(),
        metrics: Arc::new(store),
        coordinator: coordinator.clone(),
        config: ManagerConfig::default(),
        now: system_clock(),
        telemetry: Telemetry::default(),
    });
    let node = DataNode::start(NodeParts {
        store: timed.clone(),
        coordinator: Some(coordinator),
        runner: Arc::new(NoOp),
        config: NodeConfig {
            slots: case.slots,
            ..NodeConfig::new("embedded", vec![Door::Local(manager.doorway())])
        },
        now: system_clock(),
        telemetry: Telemetry::default(),
    });
    let node = node.expect("a thread can be started");
    manager.leads().await;
    node.live().await;
    let (cpu, begun) = (cost::cpu(std::process::id()), Instant::now());
    let mut runs = Vec::new();
    for run in 0..case.runs {
        let dataset = noop::dataset(&format!("noop-{run}"), case.tasks, 0);
        let submitted = manager.submit(
            dataset,
            Trigger::Manual,
            Selection::default(),
            Some("bench"),
        );
        runs.push(submitted.await.expect("a run can be submitted").run);
    }
    for run in runs {
        let row = manager.wait(run).await.expect("the run ends");
        assert_eq!(row.state, RunState::Succeeded, "{:?}", row.reason);
    }
    let took = begun.elapsed();
    let cpu = cost::cpu(std::process::id()).saturating_sub(cpu);
    let all = case.runs * (case.tasks + 1);
    #[expect(clippy::cast_precision_loss, reason = "a count of tasks")]
    let per = |spent: Duration| spent.as_secs_f64() * 1e6 / all as f64;
    println!(
        "embedded: 1 node x {} slots, {} runs x {} tasks: {:.0} tasks/s ({:.2} s); CPU µs/task: {:.0}, \
         all in one process of at most {} MiB; load {}",
        case.slots,
        case.runs,
        case.tasks,
        1e6 / per(took),
        took.as_secs_f64(),
        per(cpu),
        cost::memory_mib(std::process::id(), "VmHWM"),
        cost::load()
    );
    for (what, (calls, spent)) in &*timed.spent.lock().expect("nobody panics here") {
        let mean = spent.as_secs_f64() * 1e6 / f64::from((*calls).max(1));
        println!("  {what}: {calls} calls, {mean:.0} µs each, waiting for their turn included");
    }
    node.kill().await;
    manager.shutdown().await;
}
