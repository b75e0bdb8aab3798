//! Tasks in killable child processes: one warm process per slot.
//!
//! ```text
//! node: ledger from the store ─> request ─> pipe ─> child: list, read, measure
//!       committed result <─ checked answer <─ pipe <─┘ (no store, no environment, limits)
//! ```
//!
//! In: started tasks. Out: their output, or a failure; a child that dies, whatever the reason, is a
//! crash of the one attempt that it was at. A node must never die of its input.
//!
//! What touches bytes of the source, discovery and measurement, runs in a child. All that it needs
//! travels in the request: a discovery's ledger is read by the node beforehand, so that a child has
//! no way to the store and no credential of it. The one exception is the measurement of a dataset
//! that is ingested: it is told where copies are stored and what logs in there, which is best a role
//! that can do nothing else (`[ingest] url`). Evaluation stays in the node: it reads rows of our
//! own store and encoded states, which a child may have made up; decoding them is strict and
//! bounded (they are decoded once before they are taken at all), and judging them is arithmetic.
//!
//! A task whose earlier attempt crashed runs in a fresh child that serves nothing else, one such
//! task at a time, with the half share of memory that the node gives it.

mod frame;
mod limits;
mod mentions;
mod message;
mod pool;
mod process;
mod queries;
mod serve;
mod words;

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use assay_model::output::TaskOutput;
use assay_model::task::{AttemptOutcome, TaskFailure, TaskKind, TaskSpec};
use assay_scan::reach::Access;
use assay_scan::storage::is_ingested;
use assay_store::MetricStore;
use async_trait::async_trait;

pub use mentions::names;
pub use message::{ChildTask, ChildWork};
pub use queries::{QUERY_PROGRAM, QUERY_VARIABLE, Queries};
pub use serve::{Reaching, Work, scan, serve_child, serve_prepared, serve_with};

use super::access::{Sources, is_remote};
use super::copies::{self, Copies};
use super::{TaskJob, TaskRunner, TaskWatch, discover, evaluate, failure, renewed};
use message::{Expected, ToChild};
use pool::Pool;
use process::Order;

/// The hidden sub-command under which a program serves tasks.
pub const SUBCOMMAND: &str = "task-child";

/// How task processes are started and held.
#[derive(Debug, Clone)]
pub struct ChildConfig {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The name that the list of processes shows; `None` is the program's.
    pub name: Option<OsString>,
    /// Its whole environment: nothing is inherited. No credential belongs here: those of a source
    /// come with the task.
    pub env: Vec<(OsString, OsString)>,
    /// Children at a time: the node's slots.
    pub slots: u32,
    /// Writable memory of a child, in percent of its task's memory.
    pub memory_percent: u64,
    /// Memory beyond that, in bytes: the program's own.
    pub memory_own_bytes: u64,
    /// Open files of a child.
    pub open_files: u64,
    /// How long a child that is asked to stop may take before it is killed.
    pub stop_grace: Duration,
    /// Processor time beyond a task's time-out after which the kernel ends the child, whatever the
    /// node is at, in seconds.
    pub cpu_grace_s: u64,
    /// How long a child may take to greet.
    pub start_timeout: Duration,
    /// The longest answer, in bytes.
    pub answer_bytes_max: u64,
    /// Tasks after which a child is replaced.
    pub tasks_max: u64,
}

impl ChildConfig {
    /// This very program, also when its file has been replaced since it was started.
    #[must_use]
    pub fn own(slots: u32) -> Self {
        let linux = Path::new("/proc/self/exe");
        let program = if linux.exists() {
            linux.to_owned()
        } else {
            std::env::current_exe().unwrap_or_else(|_| PathBuf::from("assay-datanode"))
        };
        let mut config = Self::of(program, slots);
        config.name = std::env::args_os().next();
        config
    }

    /// Another program that serves tasks under [`SUBCOMMAND`], of this program's version.
    #[must_use]
    pub fn of(program: impl Into<PathBuf>, slots: u32) -> Self {
        Self {
            program: program.into(),
            args: vec![SUBCOMMAND.into()],
            name: None,
            env: Vec::new(),
            slots,
            memory_percent: 150,
            memory_own_bytes: 64 << 20,
            open_files: 256,
            stop_grace: Duration::from_millis(500),
            cpu_grace_s: 30,
            start_timeout: Duration::from_secs(10),
            answer_bytes_max: 256 << 20,
            tasks_max: 1000,
        }
    }

    /// Writable memory of a child whose task may take `memory_bytes`.
    fn memory_cap(&self, memory_bytes: u64) -> u64 {
        memory_bytes
            .saturating_mul(self.memory_percent)
            .saturating_div(100)
            .saturating_add(self.memory_own_bytes)
    }
}

/// Runs discoveries and measurements in child processes, evaluations in this one.
pub struct ChildRunner {
    metrics: Arc<dyn MetricStore>,
    pool: Arc<Pool>,
    seq: AtomicU64,
    sources: Option<Sources>,
    queries: Queries,
    copies: Option<Copies>,
}

impl ChildRunner {
    /// A runner that reads ledger, states and history from `metrics`. Children are started when
    /// they are first needed, or by [`ChildRunner::warm`].
    #[must_use]
    pub fn new(metrics: Arc<dyn MetricStore>, config: ChildConfig) -> Self {
        Self {
            metrics,
            queries: Queries::beside(config.slots, config.env.clone()),
            pool: Arc::new(Pool::new(config)),
            seq: AtomicU64::new(0),
            sources: None,
            copies: None,
        }
    }

    /// The same, with another way to the program that answers SQL.
    #[must_use]
    pub fn asking(mut self, queries: Queries) -> Self {
        self.queries = queries;
        self
    }

    /// The same, storing copies of partitions where a definition says so.
    #[must_use]
    pub fn storing(mut self, copies: Option<Copies>) -> Self {
        self.copies = copies;
        self
    }

    /// The same, whose tasks reach sources beyond this machine's files.
    #[must_use]
    pub fn reaching(mut self, sources: Sources) -> Self {
        self.sources = Some(sources);
        self
    }

    /// Starts a child for every slot, for tasks of this memory.
    ///
    /// # Errors
    /// When one cannot be started, with the reason: a node should not register then.
    pub async fn warm(&self, memory_bytes: u64) -> Result<(), String> {
        self.pool.warm(memory_bytes).await
    }

    /// The request of a task; `None` for one that runs here.
    async fn order(
        &self,
        job: &TaskJob,
        access: Option<Access>,
    ) -> Result<Option<Order>, TaskFailure> {
        copies::known(self.copies.as_ref(), job)?;
        let dataset = Cow::Borrowed(&*job.dataset);
        let mut access = access;
        let mut remote = is_remote(&job.dataset) || is_ingested(&job.dataset);
        let (work, expected) = match &job.task.spec {
            TaskSpec::Discover => {
                let (ledger, redo) = discover::known(self.metrics.as_ref(), job).await?;
                remote |= !redo.beside.is_empty();
                access = discover::access(self.sources.as_ref(), &job.dataset, &redo, access).await;
                let work = ChildWork::Discover {
                    dataset,
                    ledger: Cow::Owned(ledger),
                    selection: Cow::Borrowed(&job.run.selection),
                    now: job.now,
                    redo: Cow::Owned(redo),
                };
                (work, Expected::Discovery)
            }
            TaskSpec::Measure(spec) => {
                let asked = spec.partitions.iter().map(|p| p.key.clone()).collect();
                let spec = Cow::Borrowed(spec);
                (
                    ChildWork::Measure { dataset, spec },
                    Expected::Measures(asked),
                )
            }
            TaskSpec::Evaluate(_) | TaskSpec::EvaluateMany(_) => return Ok(None),
        };
        let access = match work {
            ChildWork::Measure { .. } => {
                copies::with_storage(self.copies.as_ref(), job, access).await?
            }
            ChildWork::Discover { .. } => access,
        };
        let seq = self.seq.fetch_add(1, Ordering::Relaxed);
        let task = ChildTask {
            seq,
            memory_bytes: job.memory_bytes,
            cpu_seconds: (job.run.task_timeout_ms / 1000)
                .saturating_add(self.pool.config.cpu_grace_s),
            answer_bytes_max: self.pool.config.answer_bytes_max,
            work,
            access,
        };
        let message = ToChild::Task(Box::new(task));
        let frame = frame::encode(&message, std::iter::empty(), u64::from(u32::MAX));
        let frame = frame.map_err(|error| {
            failure(
                AttemptOutcome::Permanent,
                format!("too much to ask: {error}"),
            )
        })?;
        Ok(Some(Order {
            frame,
            seq,
            expected,
            remote,
        }))
    }

    /// An evaluation runs in the node itself: it opens no file of others.
    async fn judge(&self, job: TaskJob, watch: &TaskWatch) -> Result<TaskOutput, TaskFailure> {
        let (metrics, copies) = (self.metrics.as_ref(), self.copies.as_ref());
        evaluate::run(metrics, copies, job, &watch.stop).await
    }
}

#[async_trait]
impl TaskRunner for ChildRunner {
    async fn run(&self, job: TaskJob, watch: TaskWatch) -> Result<TaskOutput, TaskFailure> {
        if let TaskSpec::Measure(spec) = &job.task.spec
            && spec.queries
        {
            return self
                .queries
                .answer(&job, spec, self.sources.as_ref(), &watch)
                .await;
        }
        if job.task.spec.kind() == TaskKind::Evaluate {
            return self.judge(job, &watch).await;
        }
        let mut access = match &self.sources {
            Some(sources) => Some(sources.access(&job.dataset).await?),
            None => None,
        };
        let mut is_again = false;
        loop {
            let Some(order) = self.order(&job, access.clone()).await? else {
                return self.judge(job, &watch).await;
            };
            let pool = Arc::clone(&self.pool);
            let (memory, suspect) = (job.memory_bytes, job.suspect);
            let ended = pool.run(order, memory, suspect, watch.clone()).await;
            if is_again {
                return ended;
            }
            let sources = self.sources.as_ref();
            match renewed(sources, &job.dataset, access.as_ref(), &ended).await {
                Some(other) => access = Some(other),
                None => return ended,
            }
            is_again = true;
        }
    }
}
