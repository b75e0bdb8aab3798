//! Reads that are wrong in what they ask for.

use assay_proto::limits::KEYS_MAX;
use assay_proto::v1;
use tonic::Code::{InvalidArgument, NotFound};

use super::messages::nobody;
use super::table::{Case, case};

/// All cases of the reads of people.
pub fn metrics() -> Vec<Case> {
    let none = "a b".to_owned();
    let orders = || "orders".to_owned();
    let unknown = || "unknown".to_owned();
    let bad = InvalidArgument;
    let (metric, history) = ("MetricService/ListMetrics", "MetricService/History");
    let (results, standing) = ("MetricService/Results", "MetricService/Standing");
    let (verdicts, ledger) = ("MetricService/Verdicts", "MetricService/Ledger");
    let incidents = "MetricService/Incidents";
    let look = |keys: Vec<String>, run_ids: Vec<String>| v1::StandingRequest {
        dataset: orders(),
        run_ids,
        keys,
        limit: 0,
    };
    vec![
        case(
            metric,
            "of a dataset that can be none",
            &v1::ListMetricsRequest {
                dataset: none.clone(),
            },
            bad,
            "a b",
        ),
        case(
            metric,
            "of an unknown dataset",
            &v1::ListMetricsRequest { dataset: unknown() },
            NotFound,
            "`unknown`",
        ),
        case(
            history,
            "of no dataset",
            &v1::HistoryRequest::default(),
            bad,
            "dataset",
        ),
        case(
            history,
            "of an unknown dataset",
            &v1::HistoryRequest {
                dataset: unknown(),
                ..Default::default()
            },
            NotFound,
            "`unknown`",
        ),
        case(
            history,
            "of an unknown metric",
            &v1::HistoryRequest {
                dataset: orders(),
                metric: "rowcount".to_owned(),
                ..Default::default()
            },
            bad,
            "rowcount",
        ),
        case(
            results,
            "of no dataset",
            &v1::ResultsRequest::default(),
            bad,
            "dataset",
        ),
        case(
            results,
            "of an unknown dataset",
            &v1::ResultsRequest {
                dataset: unknown(),
                ..Default::default()
            },
            NotFound,
            "`unknown`",
        ),
        case(
            results,
            "of a misspelt run",
            &v1::ResultsRequest {
                dataset: orders(),
                run_id: "7".to_owned(),
                ..Default::default()
            },
            bad,
            "`7`",
        ),
        case(
            standing,
            "of no dataset",
            &v1::StandingRequest::default(),
            bad,
            "dataset",
        ),
        case(
            standing,
            "of a misspelt run",
            &look(Vec::new(), vec!["x".to_owned()]),
            bad,
            "`x`",
        ),
        case(
            standing,
            "of too many runs",
            &look(Vec::new(), vec![nobody(); KEYS_MAX + 1]),
            bad,
            "run_ids",
        ),
        case(
            standing,
            "of too many partitions",
            &look(vec!["k".to_owned(); KEYS_MAX + 1], Vec::new()),
            bad,
            "keys",
        ),
        case(
            standing,
            "of an unknown dataset",
            &v1::StandingRequest {
                dataset: unknown(),
                ..Default::default()
            },
            NotFound,
            "`unknown`",
        ),
        case(
            verdicts,
            "of a dataset that can be none",
            &v1::VerdictsRequest {
                dataset: none.clone(),
                limit: 0,
            },
            bad,
            "a b",
        ),
        case(
            verdicts,
            "of an unknown dataset",
            &v1::VerdictsRequest {
                dataset: unknown(),
                limit: 0,
            },
            NotFound,
            "`unknown`",
        ),
        case(
            incidents,
            "of a dataset that can be none",
            &v1::IncidentsRequest {
                dataset: none.clone(),
                ..Default::default()
            },
            bad,
            "a b",
        ),
        case(
            incidents,
            "of an unknown dataset",
            &v1::IncidentsRequest {
                dataset: unknown(),
                ..Default::default()
            },
            NotFound,
            "`unknown`",
        ),
        case(
            ledger,
            "of a dataset that can be none",
            &v1::LedgerRequest {
                dataset: none,
                limit: 0,
            },
            bad,
            "a b",
        ),
        case(
            ledger,
            "of an unknown dataset",
            &v1::LedgerRequest {
                dataset: unknown(),
                limit: 0,
            },
            NotFound,
            "`unknown`",
        ),
    ]
}
