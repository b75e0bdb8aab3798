//! The reads as the port of the pages.

use assay_answers::Reader;
use assay_answers::check::{CheckResult, CheckRow};
use assay_answers::cluster::Cluster;
use assay_answers::dataset::{DatasetDetail, DatasetList, PartitionRow};
use assay_answers::definition::{Definition, Diff, VersionRow};
use assay_answers::facts::{
    Answer, Cut, DatasetsQuery, Facts, IncidentsQuery, PointsQuery, ResultsQuery, RunsQuery,
};
use assay_answers::fleet::FleetHistory;
use assay_answers::incident::{Incident, IncidentDetail};
use assay_answers::metric::{MetricRow, Points};
use assay_answers::node::{NodeDetail, NodeList};
use assay_answers::overview::{Overview, Version};
use assay_answers::run::{Run, RunDetail};
use assay_answers::task::Task;
use assay_answers::told::List;
use assay_answers::usage::Usage;
use async_trait::async_trait;

use crate::api::Api;
use crate::memory::Source;

#[async_trait]
impl Facts for Api {
    fn store_is_away(&self) -> bool {
        self.memory.reach(Source::Store).is_away().is_some()
    }

    async fn version(&self, _: &Reader) -> Answer<Version> {
        Ok(self.version_of_build())
    }

    async fn overview(&self, who: &Reader) -> Answer<Overview> {
        self.overview_of(who).await
    }

    async fn datasets(&self, who: &Reader, query: &DatasetsQuery) -> Answer<DatasetList> {
        self.dataset_list(who, query).await
    }

    async fn dataset(&self, who: &Reader, dataset: &str) -> Answer<DatasetDetail> {
        Ok(self.dataset_detail(who, dataset).await?.told())
    }

    async fn checks(&self, who: &Reader, dataset: &str) -> Answer<List<CheckRow>> {
        Ok(self.check_rows(who, dataset).await?.told())
    }

    async fn check(&self, who: &Reader, dataset: &str, check: &str) -> Answer<CheckRow> {
        self.check_row(who, dataset, check).await
    }

    async fn results(
        &self,
        who: &Reader,
        dataset: &str,
        check: &str,
        query: &ResultsQuery,
    ) -> Answer<List<CheckResult>> {
        self.result_list(who, dataset, check, query).await
    }

    async fn metrics(
        &self,
        who: &Reader,
        dataset: &str,
        column: Option<&str>,
        cut: &Cut,
    ) -> Answer<List<MetricRow>> {
        self.metric_list(who, dataset, column, cut).await
    }

    async fn points(
        &self,
        who: &Reader,
        dataset: &str,
        metric: &str,
        query: &PointsQuery,
    ) -> Answer<Points> {
        Ok(self.point_list(who, dataset, metric, query).await?.told())
    }

    async fn partitions(
        &self,
        who: &Reader,
        dataset: &str,
        cut: &Cut,
    ) -> Answer<List<PartitionRow>> {
        self.partition_list(who, dataset, cut).await
    }

    async fn definition(&self, who: &Reader, dataset: &str) -> Answer<Definition> {
        self.definition_of(who, dataset).await
    }

    async fn versions(&self, who: &Reader, dataset: &str) -> Answer<List<VersionRow>> {
        self.version_list(who, dataset).await
    }

    async fn version_of(&self, who: &Reader, dataset: &str, revision: u64) -> Answer<Definition> {
        self.version_text(who, dataset, revision).await
    }

    async fn diff(&self, who: &Reader, dataset: &str, from: u64, to: Option<u64>) -> Answer<Diff> {
        self.version_diff(who, dataset, from, to).await
    }

    async fn runs(&self, who: &Reader, query: &RunsQuery) -> Answer<List<Run>> {
        self.run_list(who, query).await
    }

    async fn run(&self, who: &Reader, run: &str) -> Answer<RunDetail> {
        self.run_detail(who, run).await
    }

    async fn tasks(&self, who: &Reader, run: &str, cut: &Cut) -> Answer<List<Task>> {
        self.task_list(who, run, cut).await
    }

    async fn task(&self, who: &Reader, run: &str, no: u32) -> Answer<Task> {
        self.task_of(who, run, no).await
    }

    async fn incidents(&self, who: &Reader, query: &IncidentsQuery) -> Answer<List<Incident>> {
        self.incident_list(who, query).await
    }

    async fn incident(&self, who: &Reader, incident: &str) -> Answer<IncidentDetail> {
        self.incident_of(who, incident).await
    }

    async fn nodes(&self, who: &Reader) -> Answer<NodeList> {
        self.node_list(who).await
    }

    async fn node(&self, who: &Reader, node: &str) -> Answer<NodeDetail> {
        self.node_detail(who, node).await
    }

    async fn cluster(&self, who: &Reader) -> Answer<Cluster> {
        self.cluster_of(who).await
    }

    async fn fleet(&self, who: &Reader) -> Answer<FleetHistory> {
        self.fleet_of(who).await
    }

    async fn usage(&self, who: &Reader) -> Answer<Usage> {
        self.usage_of(who).await
    }

    fn openapi(&self) -> serde_json::Value {
        crate::api::openapi::document()
    }
}
