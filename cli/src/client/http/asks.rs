//! The questions and wishes of the commands, as requests of the HTTP API.

use std::sync::Arc;

use assay_answers::List;
use assay_answers::cluster::{Cluster as Standing, Scale};
use assay_answers::definition::{Applied, Definition, VersionRow};
use assay_answers::fleet::FleetHistory;
use assay_answers::node::Drain;
use assay_answers::run::{CancelRun, StartRun, Started};
use assay_answers::value::Counts;
use assay_model::ids::RunId;
use assay_proto::v1;
use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::port::{Answer, Cluster, Done, Events, Put, Why};
use super::call::{Ask, KEY, Repeat};
use super::problem::unreadable;
use super::{Http, words};

/// The most items of a list that has no bound of its own.
pub(super) const ALL: usize = 1_000_000;
/// Changes of the fleet that are asked for, as of a manager.
const SCALE_EVENTS: usize = 20;

/// What the look of a run answers for, with results that are read one by one.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Look {
    results: Vec<Value>,
    judged: Counts,
    judged_partitions: u64,
    elsewhere: Counts,
    elsewhere_partitions: u64,
    unchanged: bool,
}

/// What is told of a run besides its tasks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remarks {
    notices: Vec<String>,
    ignored: Vec<String>,
    ignored_count: u64,
}

impl Http {
    /// What was read, or that it makes no sense.
    pub(super) fn read<T>(&self, read: words::Read<T>) -> Answer<T> {
        read.map_err(|why| unreadable(self, &why.to_string()))
    }

    /// All of a list, or that one of it makes no sense.
    pub(super) fn each<T>(
        &self,
        values: Vec<Value>,
        read: fn(Value) -> words::Read<T>,
    ) -> Answer<Vec<T>> {
        let all: words::Read<Vec<T>> = values.into_iter().map(read).collect();
        self.read(all)
    }

    async fn wish(&self, path: &[&str], body: &impl serde::Serialize, again: Repeat) -> Answer<()> {
        self.told(&Ask::post(path, body, again)).await.map(|_| ())
    }

    /// The definition in force; `None` when there is no document.
    pub async fn document(&self, dataset: &str) -> Answer<Option<Definition>> {
        let path = ["datasets", dataset, "definition"];
        match self.ask::<Definition>(&Ask::get(&path)).await {
            Ok(found) => Ok(Some(found)),
            Err(refusal) if refusal.why == Why::NotFound => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Retires a dataset whose document has this digest.
    pub async fn retire(&self, dataset: &str, digest: &str) -> Answer<Applied> {
        let path = ["datasets", dataset];
        let mut ask = Ask::get(&path).header(IF_MATCH, format!("\"{digest}\""));
        (ask.method, ask.repeat) = (Method::DELETE, Repeat::Harmful);
        self.ask(&ask).await
    }

    /// The versions of a definition, newest first.
    pub async fn versions(&self, dataset: &str) -> Answer<Vec<VersionRow>> {
        let path = ["datasets", dataset, "versions"];
        let told: List<VersionRow> = self.ask(&Ask::get(&path)).await?;
        Ok(told.items)
    }

    /// One version of a definition.
    pub async fn version(&self, dataset: &str, revision: u64) -> Answer<Definition> {
        let revision = revision.to_string();
        let path = ["datasets", dataset, "versions", revision.as_str()];
        self.ask(&Ask::get(&path)).await
    }
}

#[async_trait]
impl Cluster for Http {
    fn address(&self) -> &str {
        &self.address
    }

    fn search(&self) -> &'static str {
        "asking again"
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    async fn again(&self) -> Answer<Arc<dyn Cluster>> {
        // Whoever stands before the gateways finds one that answers.
        Ok(Arc::new(self.clone()))
    }

    async fn status(&self) -> Answer<v1::StatusResponse> {
        let told: Standing = self.ask(&Ask::get(&["cluster"])).await?;
        Ok(words::cluster(told))
    }

    async fn scale_events(&self) -> Answer<Vec<v1::ScaleEvent>> {
        let told: FleetHistory = self.ask(&Ask::get(&["cluster", "history"])).await?;
        let events = told.scale_events.into_iter().take(SCALE_EVENTS);
        Ok(events.map(words::scale_event).collect())
    }

    async fn drain(&self, node: &str, reason: &str) -> Answer<()> {
        let path = ["nodes", &format!("{node}:drain")];
        let reason = reason.to_owned();
        self.wish(&path, &Drain { reason }, Repeat::Harmless).await
    }

    async fn uncordon(&self, node: &str) -> Answer<()> {
        let path = ["nodes", &format!("{node}:uncordon")];
        self.wish(&path, &json!({}), Repeat::Harmless).await
    }

    async fn scale(&self, min: u32, max: u32) -> Answer<()> {
        let bounds = Scale { min, max };
        self.wish(&["cluster:scale"], &bounds, Repeat::Harmless)
            .await
    }

    async fn datasets(&self) -> Answer<Vec<v1::DatasetSummary>> {
        let listed = self.list(&["datasets"], Vec::new(), ALL).await?;
        self.each(listed, |value| words::dataset(&value))
    }

    async fn definition(&self, dataset: &str) -> Answer<v1::GetDefinitionResponse> {
        let path = ["datasets", dataset, "definition"];
        let told: Definition = self.ask(&Ask::get(&path)).await?;
        let Some(decoded) = told.decoded else {
            return Err(unreadable(self, "the definition is not told in JSON"));
        };
        let definition_json = decoded.to_string();
        let digest = serde_json::from_value(decoded)
            .map(|dataset: assay_model::dataset::Dataset| dataset.digest());
        Ok(v1::GetDefinitionResponse {
            definition_json,
            digest: self.read(digest)?,
        })
    }

    async fn put(&self, what: Put<'_>) -> Answer<Done> {
        let id = what.dataset.id.as_str();
        let path = ["datasets", id];
        let found = self.document(id).await?;
        let ask = match &found {
            Some(found) => Ask::get(&path).header(IF_MATCH, format!("\"{}\"", found.digest)),
            None => Ask::get(&path).header(IF_NONE_MATCH, "*".to_owned()),
        };
        let mut ask = ask.with("dryRun", what.dry_run.then(|| "true".to_owned()));
        (ask.method, ask.repeat) = (Method::PUT, Repeat::Harmful);
        ask.body = Some(("application/yaml", what.text.as_bytes().to_vec()));
        let applied: Applied = self.ask(&ask).await?;
        match applied.done.as_str() {
            "created" => Ok(Done::Created),
            "changed" => Ok(Done::Changed),
            "unchanged" => Ok(Done::Unchanged),
            other => Err(unreadable(self, &format!("it was `{other}`"))),
        }
    }

    async fn runs(&self, which: v1::ListRunsRequest) -> Answer<Vec<v1::Run>> {
        let mut query = Vec::new();
        if !which.dataset.is_empty() {
            query.push(("dataset", which.dataset));
        }
        if which.unfinished {
            query.push(("state", "active".to_owned()));
        }
        let listed = self.list(&["runs"], query, which.limit as usize).await?;
        self.each(listed, words::run)
    }

    async fn run(&self, run: RunId) -> Answer<v1::GetRunResponse> {
        let id = run.to_string();
        let told: Value = self.ask(&Ask::get(&["runs", &id])).await?;
        let remarks: Remarks = self.read(serde_json::from_value(told.clone()))?;
        let tasks = self.list(&["runs", &id, "tasks"], Vec::new(), ALL).await?;
        Ok(v1::GetRunResponse {
            run: Some(self.read(words::run(told))?),
            tasks: self.each(tasks, words::task)?,
            left_out: 0,
            notices: remarks.notices,
            ignored: remarks.ignored,
            ignored_count: remarks.ignored_count,
        })
    }

    async fn start(&self, wish: v1::SubmitRequest) -> Answer<v1::SubmitResponse> {
        let Some(v1::submit_request::What::DatasetId(dataset)) = wish.what else {
            return Err(unreadable(self, "a run is started of a dataset"));
        };
        let selection = wish.selection.unwrap_or_default();
        let body = StartRun {
            partition: None,
            partitions: selection.keys,
            last_days: (selection.last_days > 0).then_some(selection.last_days),
            rescan: selection.rescan,
            backfill: wish.trigger == "backfill",
        };
        let path = ["datasets", dataset.as_str(), "runs"];
        // Under one key it is one run, at every gateway.
        let mut ask = Ask::post(&path, &body, Repeat::Harmless);
        if !wish.idempotency_key.is_empty() {
            ask = ask.header(KEY, wish.idempotency_key);
        }
        let told = self.told(&ask).await?;
        let started: Started = self.read(serde_json::from_slice(&told.body))?;
        Ok(v1::SubmitResponse {
            run_id: started.run_id,
            existed: started.existed || told.replayed,
        })
    }

    async fn cancel(&self, run: RunId, reason: &str) -> Answer<()> {
        let path = ["runs", &format!("{run}:cancel")];
        let reason = reason.to_owned();
        self.wish(&path, &CancelRun { reason }, Repeat::Harmless)
            .await
    }

    async fn retry(&self, run: RunId) -> Answer<()> {
        let path = ["runs", &format!("{run}:retry")];
        self.wish(&path, &json!({}), Repeat::Harmful).await
    }

    async fn watch(&self, run: RunId, mark: Option<&str>) -> Answer<Box<dyn Events>> {
        self.events(run, mark).await
    }

    async fn results(&self, which: &v1::ResultsRequest) -> Answer<Vec<v1::Result>> {
        let mut query = Vec::new();
        if !which.partition.is_empty() {
            query.push(("partition", which.partition.clone()));
        }
        let path = ["runs", which.run_id.as_str(), "results"];
        let listed = self.list(&path, query, which.limit as usize).await?;
        self.each(listed, words::result)
    }

    async fn standing(&self, which: v1::StandingRequest) -> Answer<v1::StandingResponse> {
        let Some(run) = which.run_ids.first() else {
            return Err(unreadable(self, "a look is that of a run"));
        };
        let look: Look = self.ask(&Ask::get(&["runs", run, "standing"])).await?;
        Ok(v1::StandingResponse {
            results: self.each(look.results, words::result)?,
            judged: Some(words::counts(look.judged)),
            elsewhere: Some(words::counts(look.elsewhere)),
            judged_partitions: look.judged_partitions,
            elsewhere_partitions: look.elsewhere_partitions,
            unchanged: look.unchanged,
        })
    }

    async fn history(&self, which: v1::HistoryRequest) -> Answer<Vec<v1::MetricSeries>> {
        let path = ["datasets", which.dataset.as_str(), "history"];
        let metric = (!which.metric.is_empty()).then_some(which.metric);
        let ask = Ask::get(&path)
            .with("metric", metric)
            .with("column", which.column)
            .with("last", Some(which.limit.to_string()));
        let told: List<Value> = self.ask(&ask).await?;
        self.each(told.items, words::series)
    }
}
