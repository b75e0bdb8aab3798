//! What the tests share: jobs, runners, and a look at the processes of this machine.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_datanode::runner::child::{ChildConfig, ChildRunner};
use assay_datanode::runner::{TaskJob, TaskRunner, TaskWatch};
use assay_model::dataset::Dataset;
use assay_model::ids::{RunId, TaskId};
use assay_model::output::TaskOutput;
use assay_model::partition::Partition;
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::task::{MeasureSpec, Task, TaskFailure, TaskSpec};
use assay_store::sqlite::SqliteStore;
use jiff::Timestamp;

/// Memory of a task, unless a test says otherwise.
pub const MEMORY: u64 = 32 << 20;

pub fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(120), test)
            .await
            .expect("the test ends in two minutes");
    });
}

/// A runner of this very program; `lie` is how its child misbehaves.
pub async fn runner(slots: u32, lie: Option<&str>) -> ChildRunner {
    let mut config = ChildConfig::own(slots);
    config.args.extend(lie.map(Into::into));
    runner_with(config).await
}

pub async fn runner_with(config: ChildConfig) -> ChildRunner {
    let store = SqliteStore::in_memory().await.unwrap();
    ChildRunner::new(Arc::new(store), config)
}

pub fn poisoned(poison: &str) -> Dataset {
    let mut dataset = crate::cluster::dataset(Path::new("/nowhere"));
    dataset.tags = vec![poison.to_owned()];
    dataset
}

pub fn job_of(dataset: &Dataset, spec: TaskSpec) -> TaskJob {
    let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let id = RunId::of_key(&dataset.id, "test");
    let run = Run {
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
    };
    TaskJob {
        run,
        task: Task::new(TaskId { run: id, no: 1 }, spec, Vec::new()),
        dataset: Arc::new(dataset.clone()),
        memory_bytes: MEMORY,
        suspect: false,
        now,
    }
}

pub fn measure() -> TaskSpec {
    TaskSpec::Measure(MeasureSpec {
        queries: false,
        reading: None,
        partitions: vec![Partition::all()],
        batch: 1,
        batches: 1,
        slices: Vec::new(),
        bytes: 0,
    })
}

/// A measurement that does what `poison` says.
pub fn job(poison: &str) -> TaskJob {
    job_of(&poisoned(poison), measure())
}

pub async fn run(runner: &ChildRunner, poison: &str) -> Result<TaskOutput, TaskFailure> {
    runner.run(job(poison), TaskWatch::default()).await
}

pub async fn failure(runner: &ChildRunner, poison: &str) -> TaskFailure {
    run(runner, poison).await.expect_err("it fails")
}

/// Every process: number, parent, state, command line.
pub fn processes() -> Vec<(i32, i32, char, String)> {
    let one = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut after_name = stat.rsplit_once(") ")?.1.split(' ');
        let state = after_name.next()?.chars().next()?;
        let parent = after_name.next()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        Some((pid, parent, state, line))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(one)
        .collect()
}

/// Children of this process that live.
pub fn children() -> Vec<i32> {
    let me = i32::try_from(std::process::id()).unwrap();
    let mine = |p: &(i32, i32, char, String)| p.1 == me && p.2 != 'Z';
    processes()
        .iter()
        .filter(|p| mine(p))
        .map(|p| p.0)
        .collect()
}

/// Seconds that forked processes sleep: told apart from others by it.
pub const SLEEP: &str = "613.25";

/// No child, and nothing that one has started.
pub fn nobody_is_left(patience: Duration) {
    let began = Instant::now();
    loop {
        let forked = format!("sleep {SLEEP}");
        let left: Vec<_> = processes()
            .into_iter()
            .filter(|p| p.2 != 'Z' && p.3.contains(&forked))
            .map(|p| p.0)
            .chain(children())
            .collect();
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < patience, "processes are left: {left:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
