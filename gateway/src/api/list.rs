//! The one list of endpoints: the router, the checks of parameters and the OpenAPI document are made
//! from it.
//!
//! A route is added by one entry here and one function in [`super::handlers`] (or in a module of its
//! own, for a noun with many; then its entries stand in a module of this one):
//! `async fn(Api, Ask) -> Result<Response, Problem>`. What it reads from the query stands in `query`,
//! and nothing else may be sent; what it takes and gives are types of `assay-answers`. The file `gateway/openapi.json` is made anew by `ASSAY_BLESS=1 cargo test -p
//! assay-gateway --test openapi`.

use std::sync::LazyLock;

use assay_answers::check::{CheckResult, CheckRow};
use assay_answers::cluster::{Cluster, Scale};
use assay_answers::dataset::{DatasetDetail, DatasetList, PartitionRow};
use assay_answers::definition::{Applied, Definition, Diff, Validation, VersionRow};
use assay_answers::fleet::FleetHistory;
use assay_answers::metric::{MetricRow, MetricSeries, Points};
use assay_answers::node::{Drain, NodeDetail, NodeList};
use assay_answers::overview::{Me, Overview, Version};
use assay_answers::run::Done;
use assay_answers::schema::{Book, Described};
use assay_answers::told::List;
use assay_answers::usage::Usage;
use http::Method;
use serde_json::Value;

use super::endpoint::{Body, Endpoint, Gives};
use super::handlers as h;
use super::queries::{CUT, DATASETS, DIFF, DRY_RUN, HISTORY, METRICS, POINTS, RESULTS};
use crate::problem as p;

/// The schema of a type.
fn of<T: Described>(book: &mut Book) -> Value {
    book.of::<T>()
}

const READ: &[p::Kind] = &[p::NOT_FOUND, p::STORE_AWAY];
const LISTED: &[p::Kind] = &[p::NOT_FOUND, p::BAD_CURSOR, p::STORE_AWAY];
const DEFINED: &[p::Kind] = &[p::NOT_FOUND, p::NOT_ACCEPTABLE, p::REGISTRY_AWAY];
const DEFINES: &[p::Kind] = &[
    p::FORBIDDEN,
    p::NOT_FOUND,
    p::PRECONDITION_FAILED,
    p::INVALID_DEFINITION,
    p::BAD_BODY,
    p::PRECONDITION_REQUIRED,
    p::REGISTRY_AWAY,
    p::STORE_AWAY,
    p::UNCONFIRMED,
];
const WISH: &[p::Kind] = &[
    p::FORBIDDEN,
    p::NOT_FOUND,
    p::CONFLICT,
    p::BAD_BODY,
    p::KEY_REUSED,
    p::NO_LEADER,
    p::UNCONFIRMED,
];

const TOLD: &[p::Kind] = &[
    p::FORBIDDEN,
    p::NOT_FOUND,
    p::CONFLICT,
    p::BAD_CURSOR,
    p::STORE_AWAY,
    p::NO_LEADER,
    p::UNCONFIRMED,
];

const SEEN: &[p::Kind] = &[p::FORBIDDEN, p::NOT_FOUND, p::NO_LEADER];

macro_rules! endpoint {
    ($method:ident, $path:literal, $name:literal, $act:path, $body:expr, $gives:expr, $query:expr,
     $refuses:expr, $about:literal) => {
        Endpoint {
            method: || Method::$method,
            path: $path,
            name: $name,
            about: $about,
            query: $query,
            body: $body,
            gives: $gives,
            refuses: $refuses,
            act: |api, ask| Box::pin($act(api, ask)),
        }
    };
}

macro_rules! get {
    ($path:literal, $name:literal, $act:path, $gives:expr, $query:expr, $refuses:expr, $about:literal) => {
        endpoint!(
            GET,
            $path,
            $name,
            $act,
            Body::None,
            $gives,
            $query,
            $refuses,
            $about
        )
    };
}

// After the macros, which it uses.
mod people;
mod records;
mod runs;

/// Every endpoint.
pub fn endpoints() -> &'static [Endpoint] {
    static LIST: LazyLock<Vec<Endpoint>> = LazyLock::new(|| {
        let groups = [
            of_everything(),
            of_definitions(),
            of_versions(),
            of_judgements(),
            people::answering_back(),
            people::incidents(),
            people::being_told(),
            people::messages(),
            of_measurements(),
            runs::looking(),
            runs::results(),
            records::on_record(),
            runs::moving(),
            of_machines(),
            moving_machines(),
            cluster(),
            outside(),
        ];
        groups.into_iter().flatten().collect()
    });
    &LIST
}

fn of_everything() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/version",
            "version",
            h::version,
            Told(of::<Version>),
            &[],
            &[],
            "Which build answers."
        ),
        get!(
            "/api/v1/me",
            "me",
            h::me,
            Told(of::<Me>),
            &[],
            &[],
            "Who asks, and what they may, as the gateway knows them."
        ),
        get!(
            "/api/v1/status",
            "status",
            h::status,
            Told(of::<Overview>),
            &[],
            READ,
            "How everything stands, in one look."
        ),
        get!(
            "/api/v1/events",
            "events",
            h::events,
            Gives::Events(of::<Overview>),
            &[],
            READ,
            "The overview at once, and whenever it changes."
        ),
    ]
}

fn of_definitions() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/datasets",
            "datasets",
            h::datasets,
            Told(of::<DatasetList>),
            DATASETS,
            LISTED,
            "Datasets, with their health, newest run and next slot."
        ),
        endpoint!(
            POST,
            "/api/v1/datasets:validate",
            "validate",
            h::validate,
            Body::Document,
            Gives::Json(200, of::<Validation>),
            &[],
            &[p::BAD_BODY, p::KEY_REUSED],
            "What is wrong with a dataset file: the same as `assay dataset validate` says."
        ),
        get!(
            "/api/v1/datasets/{dataset}",
            "dataset",
            h::dataset,
            Told(of::<DatasetDetail>),
            &[],
            READ,
            "One dataset, with its checks, what needs a look, and its open incidents."
        ),
        endpoint!(
            PUT,
            "/api/v1/datasets/{dataset}",
            "apply",
            h::apply,
            Body::Document,
            Gives::Json(200, of::<Applied>),
            DRY_RUN,
            DEFINES,
            "Keeps a dataset file as the definition, if it is still the version that `If-Match` names."
        ),
        endpoint!(
            DELETE,
            "/api/v1/datasets/{dataset}",
            "retire",
            h::retire,
            Body::None,
            Gives::Json(200, of::<Applied>),
            &[],
            DEFINES,
            "Retires a dataset: it is not run any more, and its history stays."
        ),
    ]
}

fn of_versions() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/datasets/{dataset}/definition",
            "definition",
            h::definition,
            Gives::Definition(of::<Definition>),
            &[],
            DEFINED,
            "The definition in force, as JSON or as its document."
        ),
        get!(
            "/api/v1/datasets/{dataset}/versions",
            "versions",
            h::versions,
            Told(of::<List<VersionRow>>),
            &[],
            &[p::NOT_FOUND, p::REGISTRY_AWAY],
            "The versions of the definition that are kept, newest first."
        ),
        get!(
            "/api/v1/datasets/{dataset}/versions/{revision}",
            "versionText",
            h::version_text,
            Gives::Definition(of::<Definition>),
            &[],
            DEFINED,
            "One version of the definition."
        ),
        get!(
            "/api/v1/datasets/{dataset}/versions/{revision}/diff",
            "diff",
            h::diff,
            Told(of::<Diff>),
            DIFF,
            &[p::NOT_FOUND, p::REGISTRY_AWAY],
            "What changed from this version to another one."
        ),
    ]
}

fn of_judgements() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/datasets/{dataset}/checks",
            "checks",
            h::checks,
            Gives::Kept(of::<List<CheckRow>>),
            &[],
            READ,
            "The checks of a dataset with their newest results, failing ones first."
        ),
        get!(
            "/api/v1/datasets/{dataset}/checks/{check}",
            "check",
            h::check,
            Told(of::<CheckRow>),
            &[],
            READ,
            "One check."
        ),
        get!(
            "/api/v1/datasets/{dataset}/checks/{check}/results",
            "results",
            h::results,
            Told(of::<List<CheckResult>>),
            RESULTS,
            LISTED,
            "The results of a check with the limits that applied, newest partition first."
        ),
    ]
}

fn of_measurements() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/datasets/{dataset}/metrics",
            "metrics",
            h::metrics,
            Told(of::<List<MetricRow>>),
            METRICS,
            LISTED,
            "The metrics of a dataset with their newest values."
        ),
        get!(
            "/api/v1/datasets/{dataset}/metrics/{metric}/points",
            "points",
            h::points,
            Gives::Kept(of::<Points>),
            POINTS,
            READ,
            "The values of a metric over partitions, with the limits and outcomes of then."
        ),
        get!(
            "/api/v1/datasets/{dataset}/history",
            "history",
            h::history,
            Gives::Kept(of::<List<MetricSeries>>),
            HISTORY,
            READ,
            "The values of metrics over the last partitions, with the whole limits of then."
        ),
        get!(
            "/api/v1/datasets/{dataset}/partitions",
            "partitions",
            h::partitions,
            Told(of::<List<PartitionRow>>),
            CUT,
            LISTED,
            "The ledger of a dataset's partitions, newest first."
        ),
        get!(
            "/api/v1/datasets/{dataset}/badge.svg",
            "badge",
            h::badge,
            Gives::Plain("image/svg+xml"),
            &[],
            READ,
            "A dataset's health as a small picture."
        ),
    ]
}

fn of_machines() -> Vec<Endpoint> {
    use Gives::Told;
    vec![
        get!(
            "/api/v1/nodes",
            "nodes",
            h::nodes,
            Told(of::<NodeList>),
            &[],
            SEEN,
            "The data nodes."
        ),
        get!(
            "/api/v1/nodes/{node}",
            "node",
            h::node,
            Told(of::<NodeDetail>),
            &[],
            SEEN,
            "One data node, with the tasks that it holds."
        ),
    ]
}

fn moving_machines() -> Vec<Endpoint> {
    vec![
        endpoint!(
            POST,
            "/api/v1/nodes/{node}:drain",
            "drainNode",
            h::drain,
            Body::Json(of::<Drain>),
            Gives::Json(202, of::<Done>),
            &[],
            WISH,
            "Lets a node finish what it has, and leave."
        ),
        endpoint!(
            POST,
            "/api/v1/nodes/{node}:cordon",
            "cordonNode",
            h::drain,
            Body::Json(of::<Drain>),
            Gives::Json(202, of::<Done>),
            &[],
            WISH,
            "Lets a node take nothing new: it finishes what it has, as with `drain`."
        ),
        endpoint!(
            POST,
            "/api/v1/nodes/{node}:uncordon",
            "uncordonNode",
            h::uncordon,
            Body::None,
            Gives::Json(202, of::<Done>),
            &[],
            WISH,
            "Lets a node take tasks again."
        ),
    ]
}

fn cluster() -> Vec<Endpoint> {
    vec![
        get!(
            "/api/v1/cluster",
            "cluster",
            h::cluster,
            Gives::Told(of::<Cluster>),
            &[],
            SEEN,
            "Who leads, who works, what waits."
        ),
        get!(
            "/api/v1/cluster/history",
            "clusterHistory",
            h::cluster_history,
            Gives::Told(of::<FleetHistory>),
            &[],
            SEEN,
            "The fleet over the last day: nodes wanted and ready, tasks queued and at work, and how each change of the wanted number of nodes went."
        ),
        get!(
            "/api/v1/cluster/usage",
            "clusterUsage",
            h::cluster_usage,
            Gives::Told(of::<Usage>),
            &[],
            SEEN,
            "How much the gateway that answers is asked since it started (let in, above a rate limit, refused, waiting), and how much the store holds."
        ),
        endpoint!(
            POST,
            "/api/v1/cluster:scale",
            "scale",
            h::scale,
            Body::Json(of::<Scale>),
            Gives::Json(202, of::<Scale>),
            &[],
            WISH,
            "Sets the bounds of the fleet."
        ),
    ]
}

fn outside() -> Vec<Endpoint> {
    const TEXT: Gives = Gives::Plain("text/plain");
    vec![
        get!(
            "/api/v1/openapi.json",
            "openapi",
            h::openapi,
            Gives::Plain("application/json"),
            &[],
            &[],
            "This document."
        ),
        get!(
            "/api/v1/schemas/{schema}",
            "schema",
            h::schema,
            Gives::Plain("application/json"),
            &[],
            &[p::NOT_FOUND],
            "The JSON Schema of a type of this document (`RunEvent.json`), of a message that subscribers are sent (`incident.opened.v1.json`), or of a dataset file (`dataset.json`)."
        ),
        get!(
            "/livez",
            "livez",
            h::livez,
            TEXT,
            &[],
            &[],
            "Whether the gateway lives."
        ),
        get!(
            "/readyz",
            "readyz",
            h::readyz,
            TEXT,
            &[],
            &[p::STORE_AWAY, p::DRAINING],
            "Whether the gateway can answer."
        ),
        get!(
            "/metrics",
            "telemetry",
            h::telemetry,
            TEXT,
            &[],
            &[p::FORBIDDEN],
            "The series of this process, for Prometheus."
        ),
        get!(
            "/problems/{slug}",
            "problem",
            h::problem_page,
            TEXT,
            &[],
            &[p::NOT_FOUND],
            "What a kind of problem means and what to do."
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_and_places_are_told_apart() {
        let all = endpoints();
        let names: BTreeSet<&str> = all.iter().map(|e| e.name).collect();
        assert_eq!(names.len(), all.len());
        let places: BTreeSet<(String, &str)> =
            all.iter().map(|e| (e.verb().to_string(), e.path)).collect();
        assert_eq!(places.len(), all.len());
    }
}
