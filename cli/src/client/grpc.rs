//! A cluster as its manager tells of it, by gRPC.

mod people;

use std::sync::Arc;

use assay_model::ids::RunId;
use assay_proto::v1;
use async_trait::async_trait;
use tonic::{Code, Response, Status, Streaming};

use super::port::{Answer, Cluster, Done, Events, Heard, Put, Refusal, Why};
use super::{Client, coded, no_server, refused};
use crate::exit::Exit;

/// What a refusal of a manager means.
fn refusal(status: &Status) -> Refusal {
    let why = match status.code() {
        Code::NotFound => Why::NotFound,
        Code::Unavailable
        | Code::Unknown
        | Code::Cancelled
        | Code::Internal
        | Code::DeadlineExceeded
        | Code::FailedPrecondition => Why::Passing,
        _ => Why::Other,
    };
    Refusal {
        why,
        after: None,
        error: refused(status),
    }
}

/// The same of a wish: one that does not fit what is there is a wrong command, not an evaluation that
/// failed.
fn unfit(status: &Status) -> Refusal {
    match status.code() {
        Code::FailedPrecondition => Refusal {
            why: Why::Other,
            after: None,
            error: coded(Exit::Usage, status.message()),
        },
        _ => refusal(status),
    }
}

fn told<T>(answer: Result<Response<T>, Status>) -> Answer<T> {
    answer
        .map(Response::into_inner)
        .map_err(|status| refusal(&status))
}

/// The events of a manager.
struct Stream(Streaming<v1::RunEvent>);

#[async_trait]
impl Events for Stream {
    async fn next(&mut self) -> Answer<Option<Heard>> {
        let event = self.0.message().await.map_err(|status| refusal(&status))?;
        Ok(event.map(|event| Heard {
            event: Some(event),
            mark: None,
        }))
    }
}

#[async_trait]
impl Cluster for Client {
    fn address(&self) -> &str {
        &self.address
    }

    fn search(&self) -> &'static str {
        "looking for the manager that leads"
    }

    fn keeps_documents(&self) -> bool {
        false
    }

    async fn again(&self) -> Answer<Arc<dyn Cluster>> {
        match Self::again(self).await {
            Ok(client) => Ok(Arc::new(client)),
            Err(error) => Err(Refusal {
                why: Why::Passing,
                after: None,
                error,
            }),
        }
    }

    async fn status(&self) -> Answer<v1::StatusResponse> {
        told(self.cluster().status(self.call(v1::StatusRequest {})).await)
    }

    async fn scale_events(&self) -> Answer<Vec<v1::ScaleEvent>> {
        let asked = self.call(v1::ListScaleEventsRequest::default());
        Ok(told(self.cluster().list_scale_events(asked).await)?.events)
    }

    async fn drain(&self, node: &str, reason: &str) -> Answer<()> {
        let wish = self.call(v1::DrainNodeRequest {
            node: node.to_owned(),
            reason: reason.to_owned(),
        });
        told(self.cluster().drain_node(wish).await).map(|_| ())
    }

    async fn uncordon(&self, node: &str) -> Answer<()> {
        let node = node.to_owned();
        let wish = self.call(v1::UncordonNodeRequest { node });
        told(self.cluster().uncordon_node(wish).await).map(|_| ())
    }

    async fn scale(&self, min: u32, max: u32) -> Answer<()> {
        let wish = self.call(v1::ScaleRequest { min, max });
        told(self.cluster().scale(wish).await).map(|_| ())
    }

    async fn datasets(&self) -> Answer<Vec<v1::DatasetSummary>> {
        let asked = self.call(v1::ListDatasetsRequest {});
        Ok(told(self.cluster().list_datasets(asked).await)?.datasets)
    }

    async fn definition(&self, dataset: &str) -> Answer<v1::GetDefinitionResponse> {
        let dataset = dataset.to_owned();
        let asked = self.call(v1::GetDefinitionRequest { dataset });
        told(self.cluster().get_definition(asked).await)
    }

    async fn put(&self, what: Put<'_>) -> Answer<Done> {
        let done = match what.there {
            None => Done::Created,
            Some(digest) if digest == what.dataset.digest() => Done::Unchanged,
            Some(_) => Done::Changed,
        };
        if what.dry_run || done == Done::Unchanged {
            return Ok(done);
        }
        let definition_json = serde_json::to_string(what.dataset).map_err(|error| Refusal {
            why: Why::Other,
            after: None,
            error: no_server(error.to_string()),
        })?;
        let wish = self.call(v1::SubmitDefinitionRequest { definition_json });
        told(self.cluster().submit_definition(wish).await).map(|_| done)
    }

    async fn runs(&self, which: v1::ListRunsRequest) -> Answer<Vec<v1::Run>> {
        Ok(told(Self::runs(self).list(self.call(which)).await)?.runs)
    }

    async fn run(&self, run: RunId) -> Answer<v1::GetRunResponse> {
        let run_id = run.to_string();
        let asked = self.call(v1::GetRunRequest { run_id });
        told(Self::runs(self).get(asked).await)
    }

    async fn start(&self, wish: v1::SubmitRequest) -> Answer<v1::SubmitResponse> {
        told(Self::runs(self).submit(self.call(wish)).await)
    }

    async fn cancel(&self, run: RunId, reason: &str) -> Answer<()> {
        let wish = self.call(v1::CancelRequest {
            run_id: run.to_string(),
            reason: reason.to_owned(),
        });
        let done = Self::runs(self).cancel(wish).await;
        done.map(|_| ()).map_err(|status| unfit(&status))
    }

    async fn retry(&self, run: RunId) -> Answer<()> {
        let run_id = run.to_string();
        let wish = self.call(v1::RetryRequest { run_id });
        let done = Self::runs(self).retry(wish).await;
        done.map(|_| ()).map_err(|status| unfit(&status))
    }

    async fn watch(&self, run: RunId, _: Option<&str>) -> Answer<Box<dyn Events>> {
        let run_id = run.to_string();
        // Without a deadline: it lasts as long as the run.
        let events = told(Self::runs(self).watch(v1::WatchRequest { run_id }).await)?;
        Ok(Box::new(Stream(events)))
    }

    async fn results(&self, which: &v1::ResultsRequest) -> Answer<Vec<v1::Result>> {
        let asked = self.call(which.clone());
        Ok(told(self.metrics().results(asked).await)?.results)
    }

    async fn standing(&self, which: v1::StandingRequest) -> Answer<v1::StandingResponse> {
        told(self.metrics().standing(self.call(which)).await)
    }

    async fn history(&self, which: v1::HistoryRequest) -> Answer<Vec<v1::MetricSeries>> {
        Ok(told(self.metrics().history(self.call(which)).await)?.series)
    }
}
