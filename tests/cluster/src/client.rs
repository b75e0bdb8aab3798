//! A client of the cluster, as the command is: it finds who leads and asks again.
//!
//! Comes in: the managers' own addresses. Goes out: submitted runs, and wishes of operators. It must
//! never count an answer that is lost as a failure: every call can be repeated.

use std::time::{Duration, Instant};

use assay_model::dataset::Dataset;
use assay_proto::link::{Door, Tls, unary};
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use assay_proto::v1::run_service_client::RunServiceClient;
use tonic::transport::Channel;

/// Between two rounds over the managers.
const PAUSE: Duration = Duration::from_millis(50);

/// The managers, as a client knows them.
#[derive(Debug, Clone)]
pub struct Client {
    /// Their addresses.
    pub managers: Vec<String>,
    /// How they are reached.
    pub tls: Option<Tls>,
}

impl Client {
    /// A channel to the manager that leads.
    ///
    /// # Errors
    /// What the last one said, after `limit`.
    pub async fn leader(&self, limit: Duration) -> Result<(Channel, v1::StatusResponse), String> {
        let until = Instant::now() + limit;
        let mut said = String::new();
        while Instant::now() < until {
            for manager in &self.managers {
                match ask(&Door::at(manager.clone(), self.tls.as_ref())).await {
                    Ok(found) => return Ok(found),
                    Err(why) => said = format!("{manager}: {why}"),
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("no manager leads: {said}"))
    }

    /// Has a run of `dataset` begun; repeats under one `key` are one run.
    ///
    /// # Errors
    /// What the last manager said, after `limit`.
    pub async fn submit(
        &self,
        dataset: &Dataset,
        key: &str,
        limit: Duration,
    ) -> Result<String, String> {
        let json = serde_json::to_string(dataset).map_err(|e| e.to_string())?;
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let (channel, _) = self.leader(left).await?;
            let request = v1::SubmitRequest {
                what: Some(v1::submit_request::What::DefinitionJson(json.clone())),
                trigger: "manual".to_owned(),
                idempotency_key: key.to_owned(),
                ..v1::SubmitRequest::default()
            };
            let submitted = RunServiceClient::new(channel).submit(unary(request)).await;
            match submitted {
                Ok(answer) => return Ok(answer.into_inner().run_id),
                Err(status) if status.code() == tonic::Code::InvalidArgument => {
                    return Err(status.message().to_owned());
                }
                Err(status) if Instant::now() > until => return Err(status.message().to_owned()),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The tasks of a run, as the manager that leads explains them.
    ///
    /// # Errors
    /// What the manager said.
    pub async fn tasks(&self, run: &str, limit: Duration) -> Result<Vec<v1::Task>, String> {
        let (channel, _) = self.leader(limit).await?;
        let request = v1::GetRunRequest {
            run_id: run.to_owned(),
        };
        let got = RunServiceClient::new(channel).get(unary(request)).await;
        got.map(|answer| answer.into_inner().tasks)
            .map_err(|s| s.message().to_owned())
    }

    /// Asks for a node to be drained.
    ///
    /// # Errors
    /// What the manager said.
    pub async fn drain(&self, node: &str, limit: Duration) -> Result<(), String> {
        let (channel, _) = self.leader(limit).await?;
        let request = v1::DrainNodeRequest {
            node: node.to_owned(),
            reason: "a drill".to_owned(),
        };
        let drained = ClusterServiceClient::new(channel)
            .drain_node(unary(request))
            .await;
        drained.map(|_| ()).map_err(|s| s.message().to_owned())
    }
}

async fn ask(door: &Door) -> Result<(Channel, v1::StatusResponse), String> {
    let open = tokio::time::timeout(Duration::from_secs(2), door.open()).await;
    let channel = open
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    let mut request = tonic::Request::new(v1::StatusRequest {});
    request.set_timeout(Duration::from_secs(2));
    let asked = ClusterServiceClient::new(channel.clone())
        .status(request)
        .await;
    asked
        .map(|status| (channel, status.into_inner()))
        .map_err(|status| status.message().to_owned())
}
