//! Where a task runs, and what each kind of task does.
//!
//! Comes in: a started task with its definition, and how it is stopped and watched. Goes out: its
//! output, or a failure that says whether a retry helps. A runner must never touch the attempt's
//! row: the node commits.

pub mod access;
pub mod child;
pub mod copies;
mod discover;
mod evaluate;
pub mod incidents;
mod measure;
mod past;
mod redo;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use assay_model::dataset::Dataset;
use assay_model::output::TaskOutput;
use assay_model::run::Run;
use assay_model::task::{AttemptOutcome, Task, TaskFailure, TaskKind, TaskSpec};
use assay_scan::reach::Access;
use assay_scan::storage::is_ingested;
use assay_scan::{ErrorClass, ScanContext, ScanError, ScanProgress};
use assay_store::{MetricStore, StoreError};
use async_trait::async_trait;
use jiff::Timestamp;

use self::access::Sources;
use self::copies::Copies;

/// A task to be run: all that a child process would be told, too.
#[derive(Debug, Clone)]
pub struct TaskJob {
    /// The run.
    pub run: Run,
    /// The task.
    pub task: Task,
    /// The definition that the run was planned with.
    pub dataset: Arc<Dataset>,
    /// Memory it may take, in bytes.
    pub memory_bytes: u64,
    /// Whether an earlier attempt of it crashed: it runs apart from everything else.
    pub suspect: bool,
    /// The present instant.
    pub now: Timestamp,
}

/// How a running task is stopped and watched.
#[derive(Debug, Clone, Default)]
pub struct TaskWatch {
    /// Set by the node to stop the task soon.
    pub stop: Arc<AtomicBool>,
    /// How far it has come.
    pub progress: Arc<ScanProgress>,
}

/// The port behind which tasks run: in this process, or in a killable child.
#[async_trait]
pub trait TaskRunner: Send + Sync {
    /// Runs a task to its end. A panic inside is a crash of the attempt.
    async fn run(&self, job: TaskJob, watch: TaskWatch) -> Result<TaskOutput, TaskFailure>;
}

/// Runs tasks in this process; computation goes to threads of its own.
pub struct InProcess {
    metrics: Arc<dyn MetricStore>,
    sources: Option<Sources>,
    queries: child::Queries,
    copies: Option<Copies>,
}

impl InProcess {
    /// A runner that reads ledger, states and history from `metrics`.
    #[must_use]
    pub fn new(metrics: Arc<dyn MetricStore>) -> Self {
        Self {
            metrics,
            sources: None,
            queries: child::Queries::beside(1, access::identity_of_machine().collect()),
            copies: None,
        }
    }

    /// The same, with another way to the program that answers SQL: that never runs in this process.
    #[must_use]
    pub fn asking(mut self, queries: child::Queries) -> Self {
        self.queries = queries;
        self
    }

    /// The same, storing copies of partitions where a definition says so.
    #[must_use]
    pub fn storing(mut self, copies: Option<Copies>) -> Self {
        self.copies = copies;
        self
    }

    /// The same, reaching sources beyond this machine's files.
    #[must_use]
    pub fn reaching(mut self, sources: Sources) -> Self {
        self.sources = Some(sources);
        self
    }

    /// What the task may reach beyond files.
    async fn access(&self, job: &TaskJob) -> Result<Option<Access>, TaskFailure> {
        copies::known(self.copies.as_ref(), job)?;
        match &self.sources {
            Some(sources) if access::is_remote(&job.dataset) || is_ingested(&job.dataset) => {
                sources.access(&job.dataset).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    async fn scan(
        &self,
        job: TaskJob,
        watch: TaskWatch,
        access: Option<Access>,
    ) -> Result<TaskOutput, TaskFailure> {
        let make = self.sources.as_ref().map(|sources| sources.make);
        let mut known = None;
        let access = match job.task.spec {
            TaskSpec::Discover => {
                let found = discover::known(self.metrics.as_ref(), &job).await?;
                let sources = self.sources.as_ref();
                let access = discover::access(sources, &job.dataset, &found.1, access).await;
                known = Some(found);
                access
            }
            TaskSpec::Measure(_) => {
                copies::with_storage(self.copies.as_ref(), &job, access).await?
            }
            _ => access,
        };
        let stop = Arc::clone(&watch.stop);
        let context = ScanContext {
            memory_bytes: job.memory_bytes,
            cancelled: watch.stop,
            progress: watch.progress,
            reach: make.zip(access).map(|(make, access)| make(access)),
            files: None,
        };
        match (&job.task.spec, known) {
            (_, Some(known)) => discover::run(known, job, context).await,
            (TaskSpec::Discover | TaskSpec::Measure(_), None) => measure::run(job, context).await,
            (TaskSpec::Evaluate(_) | TaskSpec::EvaluateMany(_), None) => {
                evaluate::run(self.metrics.as_ref(), self.copies.as_ref(), job, &stop).await
            }
        }
    }
}

#[async_trait]
impl TaskRunner for InProcess {
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
            let copies = self.copies.as_ref();
            return evaluate::run(self.metrics.as_ref(), copies, job, &watch.stop).await;
        }
        let access = self.access(&job).await?;
        let again = (job.dataset.clone(), job.clone(), watch.clone());
        let ended = self.scan(job, watch, access.clone()).await;
        let (dataset, job, watch) = again;
        match renewed(self.sources.as_ref(), &dataset, access.as_ref(), &ended).await {
            Some(access) => self.scan(job, watch, Some(access)).await,
            None => ended,
        }
    }
}

/// What a task that failed for good may reach with a secret that was changed meanwhile: a login that
/// was refused is tried once more with that before it is told.
async fn renewed(
    sources: Option<&Sources>,
    dataset: &Dataset,
    used: Option<&Access>,
    ended: &Result<TaskOutput, TaskFailure>,
) -> Option<Access> {
    let failed = ended.as_ref().err()?;
    if failed.outcome != AttemptOutcome::Permanent {
        return None;
    }
    sources?.renewed(dataset, used?).await
}

/// Runs computation on a thread of its own; its panic goes on in the caller.
async fn compute<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TaskFailure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(failure(
            AttemptOutcome::Drained,
            format!("the node stops: {error}"),
        )),
    }
}

/// A failure with its message.
pub(crate) fn failure(outcome: AttemptOutcome, message: impl Into<String>) -> TaskFailure {
    TaskFailure {
        outcome,
        message: message.into(),
    }
}

/// A scan's error as a failure: what changed since it was listed is listed again by a later run,
/// and a retry of the batch may meet it settled.
fn scan_failure(error: &ScanError) -> TaskFailure {
    let outcome = match error.class() {
        ErrorClass::Permanent => AttemptOutcome::Permanent,
        ErrorClass::Retryable | ErrorClass::Changed => AttemptOutcome::Retryable,
        ErrorClass::Away => AttemptOutcome::DependencyDown,
    };
    let outcome = if error.is_cancelled() {
        AttemptOutcome::Cancelled
    } else {
        outcome
    };
    failure(outcome, error.to_string())
}

/// A store's error as a failure: an outage is not the task's fault.
fn store_failure(error: &StoreError) -> TaskFailure {
    let outcome = if error.is_retryable() {
        AttemptOutcome::DependencyDown
    } else {
        AttemptOutcome::Permanent
    };
    failure(outcome, error.to_string())
}
