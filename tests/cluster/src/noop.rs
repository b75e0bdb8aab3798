//! Tasks that do nothing, or sleep: what remains is the cost of the cluster itself.
//!
//! Comes in: a dataset whose tags say how many tasks a run has and how long each takes. Goes out: its
//! definition, and the runner that obeys it. It must never read data or a store.

use std::time::Duration;

use assay_datanode::runner::{TaskJob, TaskRunner, TaskWatch};
use assay_model::dataset::Dataset;
use assay_model::output::{Discovery, MeasuredPartition, TaskOutput};
use assay_model::task::{AttemptOutcome, TaskFailure, TaskSpec};
use assay_store::conformance::fixtures;
use async_trait::async_trait;

/// The partition that all tasks measure.
const DAY: &str = "2026-11-20";
/// The bytes of state that a task leaves, about those of one small column.
const STATE: usize = 64;

/// A dataset whose runs have `tasks` tasks that take `ms` milliseconds each.
pub fn dataset(id: &str, tasks: usize, ms: u64) -> Dataset {
    Dataset {
        tags: vec![tasks.to_string(), ms.to_string()],
        ..fixtures::dataset(id)
    }
}

/// Runs tasks of such datasets.
pub struct NoOp;

fn told(dataset: &Dataset, n: usize) -> u64 {
    let told = dataset.tags.get(n).and_then(|tag| tag.parse().ok());
    told.expect("a dataset of this module")
}

fn plan(tasks: u64) -> Discovery {
    let mut plan = fixtures::discovery(&[(DAY, "v1")]);
    let measure = plan.measures.pop().expect("a day is measured");
    let tasks = u32::try_from(tasks).expect("fewer than four billion tasks");
    for batch in 1..=tasks {
        let mut measure = measure.clone();
        (measure.batch, measure.batches) = (batch, tasks);
        plan.measures.push(measure);
    }
    plan.evaluations.clear();
    plan
}

#[async_trait]
impl TaskRunner for NoOp {
    async fn run(&self, job: TaskJob, _: TaskWatch) -> Result<TaskOutput, TaskFailure> {
        match job.task.spec {
            TaskSpec::Discover => Ok(TaskOutput::Discovered(plan(told(&job.dataset, 0)))),
            TaskSpec::Measure(spec) => {
                let ms = told(&job.dataset, 1);
                if ms > 0 {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                let measured = |p: assay_model::partition::Partition| MeasuredPartition {
                    partition: p.key,
                    rows: 10,
                    state: vec![7; STATE],
                };
                let all = spec.partitions.into_iter().map(measured);
                Ok(TaskOutput::Measured(all.collect()))
            }
            TaskSpec::Evaluate(_) | TaskSpec::EvaluateMany(_) => Err(TaskFailure {
                outcome: AttemptOutcome::Permanent,
                message: "this dataset is not judged".to_owned(),
            }),
        }
    }
}
