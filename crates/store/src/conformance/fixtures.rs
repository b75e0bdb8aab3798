//! Small worlds for the cases: a leader, nodes, runs with days to measure and judge.

use std::fmt::Display;
use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::check::{CheckOrigin, Severity};
use assay_model::dataset::Dataset;
use assay_model::ids::{
    AttemptToken, CheckId, DatasetId, Epoch, Incarnation, NodeId, RunId, TaskId,
};
use assay_model::ledger::{LedgerState, Sighting};
use assay_model::metric::{Metric, MetricKey, MetricPoint, MetricValue};
use assay_model::node::{Node, NodeState};
use assay_model::outcome::{CheckResult, Outcome, OutcomeCounts};
use assay_model::output::{Discovery, Evaluation, MeasuredPartition, TaskOutput};
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::task::{
    AttemptOutcome, EvaluateMode, EvaluateSpec, MeasureSpec, Task, TaskSpec, TaskState,
};
use assay_model::unfinished::{RunRows, TasksHeld};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Store;

/// A leader that holds all there is.
pub const ALL: TasksHeld = TasksHeld {
    max: 1_000_000,
    per_run: 1,
};

/// The value, or a panic with the error in words.
pub fn ok<T, E: Display>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// `seconds` after the beginning of the story.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + seconds)
}

/// A short definition of the dataset `id`.
#[must_use]
pub fn dataset(id: &str) -> Dataset {
    ok(serde_json::from_value(serde_json::json!({
        "id": id, "version": "1.0.0", "status": "active", "tenant": "shop",
        "source": {
            "server": "here",
            "location": { "local": { "path": "/data" } },
            "format": { "kind": "parquet" },
        },
        "partitions": { "layout": "auto" },
    })))
}

/// The partition of a day, `2026-11-20`.
#[must_use]
pub fn day(key: &str) -> Partition {
    Partition {
        order: key.to_owned(),
        key: PartitionKey(key.to_owned()),
        date: key.parse().ok(),
        start: format!("{key}T00:00:00Z").parse().ok(),
        end: None,
        series: String::new(),
    }
}

/// The partition of a day in a region: its series is the region.
#[must_use]
pub fn day_of(key: &str, region: &str) -> Partition {
    Partition {
        order: format!("{key}\u{1}={region}"),
        key: PartitionKey(format!("day={key}/region={region}")),
        series: format!("region={region}"),
        ..day(key)
    }
}

/// What a discovery saw of a day.
#[must_use]
pub fn sighting(key: &str, version: &str, state: LedgerState) -> Sighting {
    Sighting {
        partition: day(key),
        state,
        version: PartitionVersion(version.to_owned()),
        objects: 2,
        bytes: 1000,
        last_modified: Some(at(-60)),
    }
}

/// A plan that measures and judges `days`, each given with its version.
#[must_use]
pub fn discovery(days: &[(&str, &str)]) -> Discovery {
    let mut found = Discovery::default();
    for (n, (key, version)) in (1_u32..).zip(days) {
        let seen = sighting(key, version, LedgerState::Sealed);
        found.measures.push(MeasureSpec {
            queries: false,
            reading: None,
            partitions: vec![seen.partition.clone()],
            batch: 1,
            batches: 1,
            slices: Vec::new(),
            bytes: seen.bytes,
        });
        found.evaluations.push(EvaluateSpec {
            partition: seen.partition.clone(),
            version: seen.version.clone(),
            mode: EvaluateMode::Judge,
            sealed: true,
            measured_by: vec![n],
            objects: seen.objects,
            bytes: seen.bytes,
            last_modified: seen.last_modified,
            reason: None,
            copies: Vec::new(),
        });
        found.sightings.push(seen);
    }
    found
}

/// The tasks of a plan.
#[must_use]
pub fn tasks(run: RunId, plan: &Discovery) -> Vec<Task> {
    let measures = plan.measures.iter().cloned().map(TaskSpec::Measure);
    let evaluations = plan.evaluations.iter().cloned().map(TaskSpec::Evaluate);
    (1_u32..)
        .zip(measures.chain(evaluations))
        .map(|(no, spec)| {
            let needs = match &spec {
                TaskSpec::Evaluate(spec) => spec.measured_by.clone(),
                _ => Vec::new(),
            };
            Task::new(TaskId { run, no }, spec, needs)
        })
        .collect()
}

/// The result of a check on the row count.
#[must_use]
pub fn check_result(check: &str, outcome: Outcome) -> CheckResult {
    CheckResult {
        check: CheckId::new(check),
        metric: MetricKey::table(Metric::RowCount),
        severity: Severity::Error,
        origin: CheckOrigin::Declared,
        outcome,
        actual: MetricValue::integer(10),
        error_bound: None,
        note: None,
        expected: "> 0".to_owned(),
        limits: None,
        reason: None,
    }
}

/// A verdict on a day: `rows` rows, one check that ended with `outcome`.
#[must_use]
pub fn evaluation(key: &str, version: &str, rows: i64, outcome: Outcome) -> Evaluation {
    let results = vec![check_result("rows_exist", outcome)];
    Evaluation {
        partition: day(key),
        version: PartitionVersion(version.to_owned()),
        sealed: true,
        state: LedgerState::Scanned,
        metrics: vec![MetricPoint::computed(
            MetricKey::table(Metric::RowCount),
            MetricValue::integer(rows),
        )],
        counts: OutcomeCounts::of(&results),
        results,
        incidents: Vec::new(),
        outbox: Vec::new(),
        judged_at: at(100),
    }
}

/// The output of a batch that holds one partition.
#[must_use]
pub fn measured(key: &str, state: &[u8]) -> TaskOutput {
    TaskOutput::Measured(vec![MeasuredPartition {
        partition: PartitionKey(key.to_owned()),
        rows: 10,
        state: state.to_vec(),
    }])
}

/// A store with a leader, a definition and a live node.
#[derive(Clone)]
pub struct Bench {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The leader's epoch.
    pub epoch: Epoch,
    /// The definition.
    pub dataset: Dataset,
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
}

impl Bench {
    /// Sets the scene for the dataset `orders`.
    pub async fn new(store: Arc<dyn Store>) -> Self {
        Self::of(store, "orders").await
    }

    /// Sets the scene for a dataset of any name.
    pub async fn of(store: Arc<dyn Store>, id: &str) -> Self {
        let epoch = ok(store.mint_epoch("manager-1").await);
        let dataset = dataset(id);
        ok(store.put_definition(&dataset).await);
        let node = NodeId::new(format!("node-of-{id}"));
        let incarnation = ok(store.register(epoch, &live(&node)).await);
        Self {
            store,
            epoch,
            dataset,
            node,
            incarnation,
        }
    }

    /// The dataset's id.
    #[must_use]
    pub fn id(&self) -> &DatasetId {
        &self.dataset.id
    }

    /// Commits changes.
    pub async fn commit(&self, changes: &[Change]) -> Vec<Answer> {
        ok(self.store.commit(self.epoch, changes).await)
    }

    /// Commits one change.
    pub async fn change(&self, change: Change) -> Answer {
        let answers = self.commit(&[change]).await;
        assert_eq!(answers.len(), 1, "one answer per change");
        answers[0]
    }

    /// A run that is started by hand under `key`, `seconds` into the story.
    #[must_use]
    pub fn run_of(&self, key: &str, seconds: i64) -> Run {
        Run {
            id: RunId::of_key(self.id(), key),
            dataset: self.id().clone(),
            definition: self.dataset.digest(),
            trigger: Trigger::Manual,
            slot: None,
            priority: Priority::Live,
            selection: Selection::default(),
            retries: 2,
            task_timeout_ms: 60_000,
            state: RunState::Queued,
            reason: None,
            created_at: at(seconds),
            started_at: None,
            finished_at: None,
            deadline_at: at(seconds + 3600),
            planned_tasks: 0,
        }
    }

    /// The change that submits a run.
    #[must_use]
    pub fn submission(&self, run: &Run) -> Change {
        let discover = TaskId { run: run.id, no: 0 };
        Change::SubmitRun {
            run: Box::new(run.clone()),
            discover: Box::new(Task::new(discover, TaskSpec::Discover, Vec::new())),
        }
    }

    /// Submits a run.
    pub async fn submit(&self, key: &str) -> RunId {
        let run = self.run_of(key, 0);
        assert_eq!(self.change(self.submission(&run)).await, Answer::Ok);
        run.id
    }

    /// The change that gives a task to the node, with a fresh token.
    #[must_use]
    pub fn assignment(&self, run: RunId, no: u32, attempt: u32) -> (AttemptToken, Change) {
        let token = AttemptToken {
            task: TaskId { run, no },
            attempt,
            nonce: Uuid::new_v4(),
        };
        let assign = Change::Assign {
            token,
            node: self.node.clone(),
            incarnation: self.incarnation,
            at: at(1),
        };
        (token, assign)
    }

    /// The change that ends a waiting task.
    #[must_use]
    pub fn given_up(&self, run: RunId, no: u32) -> Change {
        Change::EndTask {
            task: TaskId { run, no },
            state: TaskState::Cancelled,
            reason: "not wanted".to_owned(),
            at: at(2),
        }
    }

    /// Gives a task to the node.
    pub async fn assign(&self, run: RunId, no: u32, attempt: u32) -> AttemptToken {
        let (token, assign) = self.assignment(run, no, attempt);
        assert_eq!(self.change(assign).await, Answer::Ok);
        token
    }

    /// Completes an attempt.
    pub async fn complete(&self, token: &AttemptToken, output: &TaskOutput) -> Answer {
        ok(self.store.complete(token, output, at(3)).await)
    }

    /// Assigns, starts and completes the first attempt of a task.
    pub async fn finish(&self, run: RunId, no: u32, output: &TaskOutput) {
        let token = self.assign(run, no, 1).await;
        assert!(ok(self.store.start(&token, at(2)).await).is_some());
        assert_eq!(self.complete(&token, output).await, Answer::Ok);
    }

    /// A run with its plan for `days`, each given with its version; nothing is measured yet.
    pub async fn planned(&self, key: &str, days: &[(&str, &str)]) -> RunId {
        self.planned_as(key, discovery(days)).await
    }

    /// A run with the plan that follows from `plan`; nothing is measured yet.
    pub async fn planned_as(&self, key: &str, plan: Discovery) -> RunId {
        let run = self.submit(key).await;
        self.finish(run, 0, &TaskOutput::Discovered(plan.clone()))
            .await;
        let tasks = tasks(run, &plan);
        let answer = self.change(Change::PlanRun { run, tasks }).await;
        assert_eq!(answer, Answer::Ok);
        run
    }

    /// Measures and judges one day in a run of its own.
    pub async fn judged(&self, key: &str, evaluation: Evaluation) -> RunId {
        let (partition, version) = (evaluation.partition.key.clone(), evaluation.version.clone());
        let days = [(partition.as_str(), version.as_str())];
        let mut plan = discovery(&days);
        plan.sightings[0].partition = evaluation.partition.clone();
        plan.evaluations[0].partition = evaluation.partition.clone();
        let run = self.planned_as(key, plan).await;
        self.finish(run, 1, &measured(partition.as_str(), b"state"))
            .await;
        self.finish(run, 2, &TaskOutput::Evaluated(Box::new(evaluation)))
            .await;
        let end = Change::MoveRun {
            run,
            state: RunState::Succeeded,
            reason: None,
            at: at(4),
        };
        assert_eq!(self.change(end).await, Answer::Ok);
        run
    }

    /// The change that ends an attempt with a task that is ready again at once.
    #[must_use]
    pub fn end(&self, token: &AttemptToken, outcome: AttemptOutcome, next: TaskState) -> Change {
        Change::EndAttempt {
            token: *token,
            outcome,
            next,
            not_before: None,
            wait: None,
            reason: "it did not go well".to_owned(),
            at: at(3),
        }
    }

    /// What a leader loads of a run.
    pub async fn loaded(&self, run: RunId) -> RunRows {
        let found = ok(self.store.load(self.epoch, ALL).await);
        let rows = found.runs.into_iter().find(|rows| rows.run.id == run);
        rows.unwrap_or_else(|| panic!("{run} has ended"))
    }

    /// The tasks of a run.
    pub async fn tasks(&self, run: RunId) -> Vec<Task> {
        let listed = ok(self.store.tasks(run).await);
        listed.into_iter().map(|(task, _)| task).collect()
    }

    /// One task of a run.
    pub async fn task(&self, run: RunId, no: u32) -> Task {
        let found = self.tasks(run).await.into_iter().find(|t| t.id.no == no);
        found.unwrap_or_else(|| panic!("task {run}/{no} is not there"))
    }
}

/// A node that registers.
#[must_use]
pub fn live(id: &NodeId) -> Node {
    Node {
        id: id.clone(),
        incarnation: Incarnation::default(),
        state: NodeState::Live,
        slots: 4,
        memory_bytes: 1 << 30,
        zone: "a".to_owned(),
    }
}
