//! Measurement: one batch to its metric states.

use assay_model::output::TaskOutput;
use assay_model::task::{TaskFailure, TaskSpec};
use assay_scan::ScanContext;

use super::{TaskJob, compute, scan_failure};

/// Measures one batch on a thread of its own.
pub(super) async fn run(job: TaskJob, context: ScanContext) -> Result<TaskOutput, TaskFailure> {
    let measured = compute(move || match &job.task.spec {
        TaskSpec::Measure(spec) => assay_scan::measure::measure(&job.dataset, spec, &context),
        // The caller has looked at the kind.
        TaskSpec::Discover | TaskSpec::Evaluate(_) | TaskSpec::EvaluateMany(_) => Ok(Vec::new()),
    });
    let states = measured.await?.map_err(|error| scan_failure(&error))?;
    Ok(TaskOutput::Measured(states))
}
