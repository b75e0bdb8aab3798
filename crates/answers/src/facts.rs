//! The port by which pages ask the API's reads, and carry wishes, in process.
//!
//! Comes in: who asks, and what. Goes out: a typed answer with its age, or a problem. The answers are
//! those of the API, from the same cache, under the same rights: an object of another owner is
//! answered as one that does not exist.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::check::{CheckResult, CheckRow};
use crate::cluster::{Cluster, Scale};
use crate::dataset::{DatasetDetail, DatasetList, PartitionRow};
use crate::definition::{Applied, Definition, Diff, Validation, VersionRow};
use crate::fleet::FleetHistory;
use crate::incident::{Incident, IncidentDetail};
use crate::metric::{MetricRow, Points};
use crate::node::{NodeDetail, NodeList};
use crate::overview::{Overview, Version};
use crate::problem::Problem;
use crate::run::{Done, Run, RunDetail, StartRun, Started};
use crate::task::Task;
use crate::told::{List, Reader, Told};
use crate::usage::Usage;

/// What every question gives.
pub type Answer<T> = Result<Told<T>, Problem>;

/// Where a list begins and how long it may be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cut {
    /// At most so many items.
    pub limit: Option<u32>,
    /// Where to go on: the `nextCursor` of the part before.
    pub cursor: Option<String>,
}

/// Which datasets to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetsQuery {
    /// Only those whose id, name or owner contains this, in any case.
    pub search: Option<String>,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those of this owner.
    pub owner: Option<String>,
    /// Only those of this health.
    pub health: Option<String>,
    /// `id` (the default), `health` (worst first) or `last_run` (newest first).
    pub sort: Option<String>,
    /// Where the list begins.
    pub cut: Cut,
}

/// Which results of a check to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultsQuery {
    /// Only of this partition and later ones, in the order of keys.
    pub from: Option<String>,
    /// Only of this partition and earlier ones.
    pub to: Option<String>,
    /// Only with this outcome.
    pub outcome: Option<String>,
    /// Also those of versions that were replaced.
    pub superseded: bool,
    /// Where the list begins.
    pub cut: Cut,
}

/// Which points of a metric to give.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PointsQuery {
    /// The column, where the name of the metric does not say it.
    pub column: Option<String>,
    /// Only of this series of partitions (`region=eu`); all without it.
    pub series: Option<String>,
    /// Only of this partition and later ones.
    pub from: Option<String>,
    /// Only of this partition and earlier ones.
    pub to: Option<String>,
    /// At most so many, by leaving the least and greatest of each stretch; 0 is no bound.
    pub max_points: Option<u32>,
}

/// Which runs to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    /// Only of this dataset.
    pub dataset: Option<String>,
    /// Only in this state; `active` is every state that is no end.
    pub state: Option<String>,
    /// Where the list begins.
    pub cut: Cut,
}

/// Which incidents to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct IncidentsQuery {
    /// Only of this dataset.
    pub dataset: Option<String>,
    /// Only in this status; `active` is every status that is no end.
    pub status: Option<String>,
    /// Only of this severity.
    pub severity: Option<String>,
    /// Where the list begins.
    pub cut: Cut,
}

/// The reads of the API.
#[async_trait]
pub trait Facts: Send + Sync {
    /// Whether the store does not answer, so that nothing can be changed: an answer that is only late
    /// does not say so.
    fn store_is_away(&self) -> bool;

    /// Which build answers.
    async fn version(&self, who: &Reader) -> Answer<Version>;

    /// How everything stands.
    async fn overview(&self, who: &Reader) -> Answer<Overview>;

    /// Datasets.
    async fn datasets(&self, who: &Reader, query: &DatasetsQuery) -> Answer<DatasetList>;

    /// One dataset.
    async fn dataset(&self, who: &Reader, dataset: &str) -> Answer<DatasetDetail>;

    /// The checks of a dataset with their newest results, failing ones first.
    async fn checks(&self, who: &Reader, dataset: &str) -> Answer<List<CheckRow>>;

    /// One check.
    async fn check(&self, who: &Reader, dataset: &str, check: &str) -> Answer<CheckRow>;

    /// The results of one check, newest partition first.
    async fn results(
        &self,
        who: &Reader,
        dataset: &str,
        check: &str,
        query: &ResultsQuery,
    ) -> Answer<List<CheckResult>>;

    /// The metrics of a dataset with their newest values.
    async fn metrics(
        &self,
        who: &Reader,
        dataset: &str,
        column: Option<&str>,
        cut: &Cut,
    ) -> Answer<List<MetricRow>>;

    /// The points of one metric (`rowCount`, `sum(amount)`, `quantile(amount){"q":0.5}`).
    async fn points(
        &self,
        who: &Reader,
        dataset: &str,
        metric: &str,
        query: &PointsQuery,
    ) -> Answer<Points>;

    /// The partitions of a dataset, newest first.
    async fn partitions(
        &self,
        who: &Reader,
        dataset: &str,
        cut: &Cut,
    ) -> Answer<List<PartitionRow>>;

    /// The definition in force.
    async fn definition(&self, who: &Reader, dataset: &str) -> Answer<Definition>;

    /// The versions of a definition, newest first.
    async fn versions(&self, who: &Reader, dataset: &str) -> Answer<List<VersionRow>>;

    /// One version of a definition.
    async fn version_of(&self, who: &Reader, dataset: &str, revision: u64) -> Answer<Definition>;

    /// What changed between two versions of a definition; `to` is the one in force when absent.
    async fn diff(&self, who: &Reader, dataset: &str, from: u64, to: Option<u64>) -> Answer<Diff>;

    /// Runs, newest first.
    async fn runs(&self, who: &Reader, query: &RunsQuery) -> Answer<List<Run>>;

    /// One run.
    async fn run(&self, who: &Reader, run: &str) -> Answer<RunDetail>;

    /// The tasks of a run in the order of its plan.
    async fn tasks(&self, who: &Reader, run: &str, cut: &Cut) -> Answer<List<Task>>;

    /// One task.
    async fn task(&self, who: &Reader, run: &str, no: u32) -> Answer<Task>;

    /// Incidents, open ones first.
    async fn incidents(&self, who: &Reader, query: &IncidentsQuery) -> Answer<List<Incident>>;

    /// One incident, with what happened to it and its broken checks.
    async fn incident(&self, who: &Reader, incident: &str) -> Answer<IncidentDetail>;

    /// The data nodes.
    async fn nodes(&self, who: &Reader) -> Answer<NodeList>;

    /// One data node.
    async fn node(&self, who: &Reader, node: &str) -> Answer<NodeDetail>;

    /// The cluster.
    async fn cluster(&self, who: &Reader) -> Answer<Cluster>;

    /// The fleet over the last day.
    async fn fleet(&self, who: &Reader) -> Answer<FleetHistory>;

    /// How much the gateway is asked, and how much the store holds.
    async fn usage(&self, who: &Reader) -> Answer<Usage>;

    /// The OpenAPI document of the API.
    fn openapi(&self) -> serde_json::Value;
}

/// What must hold of a definition for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Match {
    /// Whatever is there is replaced, if the writer may.
    #[default]
    Any,
    /// The dataset is not defined yet (`If-None-Match: *`).
    Absent,
    /// The document has this digest (`If-Match`).
    Digest(String),
}

/// The wishes of the API that pages carry.
#[async_trait]
pub trait Deeds: Send + Sync {
    /// What is wrong with a document, without keeping it.
    async fn validate(&self, who: &Reader, text: &str) -> Result<Validation, Problem>;

    /// Keeps a document as the definition of `dataset`, or says what that would do.
    async fn apply(
        &self,
        who: &Reader,
        dataset: &str,
        text: &str,
        condition: &Match,
        dry_run: bool,
    ) -> Result<Applied, Problem>;

    /// Retires a dataset.
    async fn retire(
        &self,
        who: &Reader,
        dataset: &str,
        condition: &Match,
    ) -> Result<Applied, Problem>;

    /// Starts a run. Repeats under one `key` are one run.
    async fn start_run(
        &self,
        who: &Reader,
        dataset: &str,
        what: &StartRun,
        key: &str,
    ) -> Result<Started, Problem>;

    /// Stops a run.
    async fn cancel_run(&self, who: &Reader, run: &str, reason: &str) -> Result<Done, Problem>;

    /// Makes the tasks of an ended run that did not succeed ready again.
    async fn retry_run(&self, who: &Reader, run: &str) -> Result<Done, Problem>;

    /// Lets a node finish and leave.
    async fn drain_node(&self, who: &Reader, node: &str, reason: &str) -> Result<Done, Problem>;

    /// Lets a draining or excluded node take tasks again.
    async fn uncordon_node(&self, who: &Reader, node: &str) -> Result<Done, Problem>;

    /// Sets the bounds of the fleet.
    async fn scale(&self, who: &Reader, bounds: Scale) -> Result<Scale, Problem>;
}
