//! The endpoints of runs.

use assay_answers::check::CheckResult;
use assay_answers::run::{CancelRun, Done, Run, RunDetail, RunEvent, Standing, StartRun, Started};
use assay_answers::task::Task;
use assay_answers::told::List;
use http::Method;

use super::super::endpoint::{Body, Endpoint, Gives};
use super::super::handlers as h;
use super::super::queries::{CUT, RUN_RESULTS, RUNS};
use super::{LISTED, READ, WISH, of};

/// Looks at runs, and the wish for one.
pub(super) fn looking() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        endpoint!(
            POST,
            "/api/v1/datasets/{dataset}/runs",
            "startRun",
            h::start_run,
            Body::Json(of::<StartRun>),
            Gives::Json(202, of::<Started>),
            &[],
            WISH,
            "Starts a run. Repeats under one `Idempotency-Key` are one run."
        ),
        get!(
            "/api/v1/runs",
            "runs",
            h::runs,
            Told(of::<List<Run>>),
            RUNS,
            LISTED,
            "Runs, newest first: of the newest 1,000."
        ),
        get!(
            "/api/v1/runs/{run}",
            "run",
            h::run,
            Told(of::<RunDetail>),
            &[],
            READ,
            "One run: its segments, its timeline, why its tasks wait, what needs a look."
        ),
        get!(
            "/api/v1/runs/{run}/tasks",
            "tasks",
            h::tasks,
            Told(of::<List<Task>>),
            CUT,
            LISTED,
            "The tasks of a run with their attempts, in the order of its plan."
        ),
        get!(
            "/api/v1/runs/{run}/tasks/{no}",
            "task",
            h::task,
            Told(of::<Task>),
            &[],
            READ,
            "One task of a run."
        ),
        get!(
            "/api/v1/runs/{run}/events",
            "runEvents",
            h::run_events,
            Gives::Events(of::<RunEvent>),
            &[],
            READ,
            "What happens to a run, until it ends. `Last-Event-ID` takes up the thread."
        ),
    ]
}

/// What runs came to.
pub(super) fn results() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/runs/{run}/results",
            "runResults",
            h::run_results,
            Told(of::<List<CheckResult>>),
            RUN_RESULTS,
            LISTED,
            "All results of a run, also of versions that were replaced since."
        ),
        get!(
            "/api/v1/runs/{run}/standing",
            "runStanding",
            h::run_standing,
            Told(of::<Standing>),
            &[],
            READ,
            "What the look of a run answers for: its results in force, and earlier ones that need a look."
        ),
    ]
}

/// Wishes about runs that there are.
pub(super) fn moving() -> Vec<Endpoint> {
    vec![
        endpoint!(
            POST,
            "/api/v1/runs/{run}:cancel",
            "cancelRun",
            h::cancel,
            Body::Json(of::<CancelRun>),
            Gives::Json(202, of::<Done>),
            &[],
            WISH,
            "Stops a run."
        ),
        endpoint!(
            POST,
            "/api/v1/runs/{run}:retry",
            "retryRun",
            h::retry,
            Body::None,
            Gives::Json(202, of::<Done>),
            &[],
            WISH,
            "Makes the tasks of an ended run that did not succeed ready again."
        ),
    ]
}
