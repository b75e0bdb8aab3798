//! The endpoints of what is on record of a run, and of what is shown elsewhere: a part of the list.

use assay_answers::log::TaskLog;
use http::Method;

use super::super::endpoint::{Body, Endpoint, Gives};
use super::super::queries::{CHART, LINEAGE};
use super::super::records as r;
use super::{READ, of};
use crate::problem as p;

pub(super) fn on_record() -> Vec<Endpoint> {
    vec![
        get!(
            "/api/v1/runs/{run}/tasks/{no}/log",
            "taskLog",
            r::task_log,
            Gives::Told(of::<TaskLog>),
            &[],
            READ,
            "What is on record of a task, line by line: who tried it, when, and why it ended."
        ),
        get!(
            "/api/v1/runs/{run}/openlineage",
            "lineage",
            r::lineage,
            Gives::Plain("application/json"),
            LINEAGE,
            READ,
            "The run as an OpenLineage event: as it ended, or as it stands."
        ),
        get!(
            "/api/v1/datasets/{dataset}/chart.svg",
            "chart",
            r::chart,
            Gives::Plain("image/svg+xml"),
            CHART,
            &[p::NOT_FOUND, p::BAD_PARAMETER, p::STORE_AWAY],
            "A metric over partitions as a picture, with the limits and outcomes of then."
        ),
    ]
}
