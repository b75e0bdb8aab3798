//! The two ports: the protocol's writes ([`JobStore`]) and the reads of judge and people
//! ([`MetricStore`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::dataset::Dataset;
pub use assay_model::history::{Breach, HistoryPoint, Judged, Later, MetricHistory, Verdict};
use assay_model::ids::{AttemptToken, CheckId, DatasetId, Epoch, Incarnation, RunId, TaskId};
use assay_model::incident::{Incident, OutboxEntry};
use assay_model::ledger::LedgerEntry;
use assay_model::metric::{MetricKey, MetricValue};
use assay_model::node::Node;
use assay_model::outcome::{CheckResult, OutcomeCounts};
use assay_model::output::{Remarks, TaskOutput};
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::run::Run;
use assay_model::task::{Task, TaskFailure, TaskState};
use assay_model::unfinished::{MoreTasks, PlanPage, RunRows, TasksHeld, TasksRead};
use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::StoreError;
use crate::feedback::Feedback;
use crate::fleet::FleetLog;
use crate::moves::Moves;
use crate::size::Size;

/// All that is not finished: what a new leader starts from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Unfinished {
    /// Runs that have not ended, oldest first, with the tasks that their leader holds.
    pub runs: Vec<RunRows>,
    /// Nodes whose life is not over.
    pub nodes: Vec<Node>,
}

/// What a node needs to run an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Started {
    /// The run.
    pub run: Run,
    /// The task.
    pub task: Task,
    /// The definition that the run was planned with.
    pub dataset: Arc<Dataset>,
    /// The present, by the clock of the store's server where it has one: nodes whose clocks differ
    /// judge ages and deadlines alike.
    pub at: Timestamp,
}

/// The writes of the protocol. Leader calls carry an epoch, node calls an attempt token; each is
/// one transaction.
#[async_trait]
pub trait JobStore: Send + Sync {
    /// Mints the next epoch for `holder`. Every write of a smaller epoch is refused from then on.
    async fn mint_epoch(&self, holder: &str) -> Result<Epoch, StoreError>;

    /// Reads all that is not finished, and of its tasks those that a leader holds: all at work, and of
    /// the ready ones the first of each run.
    async fn load(&self, epoch: Epoch, held: TasksHeld) -> Result<Unfinished, StoreError>;

    /// The same of one run, with at most `most` ready tasks; `None` when it has ended or never was.
    async fn unfinished_run(&self, run: RunId, most: usize) -> Result<Option<RunRows>, StoreError>;

    /// More tasks of a run that has not ended.
    async fn more_tasks(&self, asked: &MoreTasks) -> Result<TasksRead, StoreError>;

    /// Keeps a definition under its digest; a repeat changes nothing but which definition of its
    /// dataset is the newest: the one that was put last, whatever the clocks say.
    async fn put_definition(&self, dataset: &Dataset) -> Result<(), StoreError>;

    /// Applies `changes` in one transaction, answering each. A fenced change leaves the others
    /// standing.
    async fn commit(&self, epoch: Epoch, changes: &[Change]) -> Result<Vec<Answer>, StoreError>;

    /// Registers a node: bumps its incarnation, releases (uncharged, `orphaned`) every attempt of
    /// its earlier lives, and makes it live. `node.incarnation` is ignored.
    async fn register(&self, epoch: Epoch, node: &Node) -> Result<Incarnation, StoreError>;

    /// Assigned → running. `None` when the attempt is fenced; repeatable.
    async fn start(
        &self,
        token: &AttemptToken,
        at: Timestamp,
    ) -> Result<Option<Started>, StoreError>;

    /// Assigned or running → succeeded, with the output, in one transaction. `Already` for a
    /// repeat of the same attempt, `Fenced` for any other.
    async fn complete(
        &self,
        token: &AttemptToken,
        output: &TaskOutput,
        at: Timestamp,
    ) -> Result<Answer, StoreError>;

    /// A page of the plan that a succeeded discovery left, if it did: the tasks from number `from` on,
    /// at most [`assay_model::unfinished::PLAN_PAGE`] of a plan that was kept in pages.
    async fn plan_page(&self, task: TaskId, from: u32) -> Result<Option<PlanPage>, StoreError>;

    /// Marks messages of the outbox as sent; the answer is how many of them were not yet.
    async fn sent(&self, epoch: Epoch, keys: &[String], at: Timestamp) -> Result<u64, StoreError>;
}

/// Which runs to list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Only of this dataset.
    pub dataset: Option<DatasetId>,
    /// Only runs that have not ended.
    pub unfinished: bool,
    /// At most so many, newest first.
    pub limit: u32,
}

/// How an attempt went, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// The attempt.
    pub token: AttemptToken,
    /// The node's name.
    pub node: String,
    /// When it was assigned.
    pub assigned_at: Timestamp,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended, in the word of [`assay_model::task::AttemptOutcome`].
    pub outcome: Option<String>,
    /// Whether it counts against the retries.
    pub charged: bool,
    /// Why it ended.
    pub reason: Option<String>,
    /// Whether it is the second copy of its attempt.
    pub twin: bool,
}

/// What a run has come to so far: the one computation behind every list and report of runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunSum {
    /// Its tasks by state, that of discovery with the others.
    pub tasks: BTreeMap<TaskState, u64>,
    /// Partition versions that it judged, also those replaced since.
    pub partitions: u64,
    /// The outcomes of their checks.
    pub counts: OutcomeCounts,
}

/// Which results to read.
#[derive(Debug, Clone, Default)]
pub struct ResultFilter {
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only of this partition.
    pub partition: Option<PartitionKey>,
    /// Only of this check.
    pub check: Option<CheckId>,
    /// Also those of superseded versions.
    pub superseded: bool,
    /// Only those that need a look (`warn`, `fail`, `error`, `missing`, `overflow`); with neither
    /// run nor partition nor check.
    pub bad: bool,
    /// At most so many, newest partition first.
    pub limit: u32,
}

/// A stored result with the partition version that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultRow {
    /// The run that issued it.
    pub run: RunId,
    /// The partition.
    pub partition: Partition,
    /// The version.
    pub version: PartitionVersion,
    /// When it was issued.
    pub judged_at: Timestamp,
    /// The result.
    pub result: CheckResult,
}

/// A registered node as the store knows it: its present life, or its last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// The node.
    pub node: Node,
    /// Since when it is in its state.
    pub since: Timestamp,
    /// Why it is, if that was said.
    pub reason: Option<String>,
}

/// A copy of the store that follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// What it calls itself.
    pub name: String,
    /// What it is doing (`streaming`), or empty where that is not told.
    pub state: String,
    /// Bytes of changes that it has not applied yet, where that is told.
    pub lag_bytes: Option<u64>,
    /// Milliseconds that its last change was behind, where that is told.
    pub lag_ms: Option<u64>,
}

/// How the store stands, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Where it is, without a password.
    pub place: String,
    /// What serves it, with its version.
    pub server: String,
    /// The version of its schema: of its last migration.
    pub schema: u64,
    /// Its copies; empty as well where they are below what a client can see.
    pub replicas: Vec<Replica>,
    /// Why messages are held, while they are.
    pub outbox_held: Option<String>,
}

/// The reads of the judge and of people, what people answered back ([`Feedback`]), without which no
/// history is complete, the moves of runs ([`Moves`]), the fleet over time ([`FleetLog`]) and how much there
/// is ([`Size`]). Every list has a bound.
#[async_trait]
pub trait MetricStore: Feedback + Moves + FleetLog + Size + Send + Sync {
    /// How the store stands; an answer at all says that it answers.
    async fn health(&self) -> Result<Health, StoreError>;

    /// The ledger of a dataset, in key order.
    async fn ledger(&self, dataset: &DatasetId) -> Result<Vec<LedgerEntry>, StoreError>;

    /// The partitions of the series of `from` whose place is that of `from` or of `to`, or between
    /// them, in key order: the first `limit`.
    async fn ledger_between(
        &self,
        dataset: &DatasetId,
        from: &Partition,
        to: &Partition,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>, StoreError>;

    /// Those of `keys` that the ledger of a dataset knows, in key order.
    async fn ledger_of(
        &self,
        dataset: &DatasetId,
        keys: &[PartitionKey],
    ) -> Result<Vec<LedgerEntry>, StoreError>;

    /// What the ledger has of the series of `partition` behind its place, of data time that has
    /// begun by `now`.
    async fn later(
        &self,
        dataset: &DatasetId,
        partition: &Partition,
        now: Timestamp,
    ) -> Result<Later, StoreError>;

    /// The encoded states of one partition that the tasks `by` of `run` committed, in the order of
    /// the tasks, with the rows of each.
    async fn states(
        &self,
        run: RunId,
        partition: &PartitionKey,
        by: &[u32],
    ) -> Result<Vec<(u32, Vec<u8>)>, StoreError>;

    /// The same of several partitions of a run, in their order, each with its tasks.
    async fn states_of(
        &self,
        run: RunId,
        partitions: &[(&PartitionKey, &[u32])],
    ) -> Result<Vec<Vec<(u32, Vec<u8>)>>, StoreError> {
        let mut all = Vec::with_capacity(partitions.len());
        for (partition, by) in partitions {
            all.push(self.states(run, partition, by).await?);
        }
        Ok(all)
    }

    /// The values of every metric of a dataset over the last `limit` partitions, newest version of
    /// each, both in key order: those of the series of `before` that come before it, or those of
    /// all series when it is `None`.
    async fn history(
        &self,
        dataset: &DatasetId,
        before: Option<&Partition>,
        limit: u32,
    ) -> Result<MetricHistory, StoreError>;

    /// The values in force of one metric of a dataset, in key order: of the first `limit` partitions
    /// that have one.
    async fn values_of_metric(
        &self,
        dataset: &DatasetId,
        metric: &MetricKey,
        limit: u32,
    ) -> Result<Vec<(PartitionKey, MetricValue)>, StoreError>;

    /// What was judged of the last `limit` partitions of the series of `before` that come before it
    /// and were judged: the newest version of each, as of one moment.
    async fn judged_before(
        &self,
        dataset: &DatasetId,
        before: &Partition,
        limit: u32,
    ) -> Result<Judged, StoreError>;

    /// The verdicts of a dataset over its last `limit` partitions (of one series, or of all when
    /// it is `None`), newest version of each, in key order.
    async fn verdicts(
        &self,
        dataset: &DatasetId,
        series: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Verdict>, StoreError>;

    /// The checks that were broken ([`CheckResult::is_breach`]) in the partitions of one series of a dataset, newest
    /// partition first and newest version of each, at most `limit`. A judge reads them for every
    /// partition, so that they come without values and limits.
    async fn breaches(
        &self,
        dataset: &DatasetId,
        series: &str,
        limit: u32,
    ) -> Result<Vec<Breach>, StoreError>;

    /// The checks that were broken in the partitions `keys`, in the order of
    /// [`MetricStore::breaches`]: all of them.
    async fn breaches_of(
        &self,
        dataset: &DatasetId,
        keys: &[PartitionKey],
    ) -> Result<Vec<Breach>, StoreError>;

    /// Results of a dataset's checks.
    async fn results(
        &self,
        dataset: &DatasetId,
        filter: &ResultFilter,
    ) -> Result<Vec<ResultRow>, StoreError>;

    /// Incidents of a dataset (of all when `None`), open ones first, then newest.
    async fn incidents(
        &self,
        dataset: Option<&DatasetId>,
        only_open: bool,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError>;

    /// The definition of a dataset that was put last.
    async fn definition(&self, dataset: &DatasetId) -> Result<Option<Dataset>, StoreError>;

    /// The definition of this digest.
    async fn definition_by(&self, digest: &str) -> Result<Option<Dataset>, StoreError>;

    /// The definition that was put last of each dataset, in the order of their ids, of the first
    /// `limit` datasets, or of the first ones after one.
    async fn definitions(
        &self,
        after: Option<&DatasetId>,
        limit: u32,
    ) -> Result<Vec<Dataset>, StoreError>;

    /// Runs, newest first.
    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError>;

    /// The newest run of each dataset that has any, in no order: of all of them, however many there are.
    async fn newest_runs(&self) -> Result<Vec<Run>, StoreError>;

    /// One run.
    async fn run(&self, run: RunId) -> Result<Option<Run>, StoreError>;

    /// What each of `runs` has come to; one that is not known has done nothing.
    async fn run_sums(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, RunSum>, StoreError>;

    /// How many tasks a run has, and how many partitions those of its evaluations judge that have not
    /// succeeded.
    async fn unjudged(&self, run: RunId) -> Result<(u64, u64), StoreError>;

    /// Of the tasks `of` of a run the first that has not succeeded: its number, its state, and why.
    async fn unsuccessful(
        &self,
        run: RunId,
        of: &[u32],
    ) -> Result<Option<(u32, TaskState, Option<String>)>, StoreError>;

    /// The numbers of at most `most` tasks of a run: of those that have not succeeded, then of the
    /// others, both in the order of the plan.
    async fn task_numbers(&self, run: RunId, most: u32) -> Result<Vec<u32>, StoreError>;

    /// Of the tasks `of` of a run those that are there, with their attempts, in the order of the plan.
    async fn tasks_of(
        &self,
        run: RunId,
        of: &[u32],
    ) -> Result<Vec<(Task, Vec<AttemptRow>)>, StoreError>;

    /// All of a run's tasks with their attempts, in the order of the plan: there may be a million.
    async fn tasks(&self, run: RunId) -> Result<Vec<(Task, Vec<AttemptRow>)>, StoreError> {
        let all = self.task_numbers(run, u32::MAX).await?;
        self.tasks_of(run, &all).await
    }

    /// What the discovery of a run has to say besides its plan; at most `named` ignored objects
    /// are named, all are counted. Empty while there is none.
    async fn remarks(&self, run: RunId, named: usize) -> Result<Remarks, StoreError>;

    /// The nodes whose life is not over, and those whose life ended at `ended_after` or later,
    /// newest first: at most `limit` in all.
    async fn nodes(&self, ended_after: Timestamp, limit: u32) -> Result<Vec<NodeRow>, StoreError>;

    /// Messages that have not been sent, oldest first; none while the outbox is held.
    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxEntry>, StoreError>;
}

/// Why a report of failure is not a method of [`JobStore`]: the leader ends the attempt
/// ([`Change::EndAttempt`]) when a node reports it, so that the decision to retry is made in one
/// place; a report that is lost is found by the task's time-out or the node's next heartbeat.
pub type Reported = TaskFailure;
