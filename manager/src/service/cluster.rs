//! The cluster: who leads, who works, what waits; and the wishes of operators.

use std::sync::Arc;

use assay_manager_core::Event;
use assay_model::ids::NodeId;
use assay_model::task::TaskState;
use assay_proto::convert;
use assay_proto::v1;
use assay_proto::v1::cluster_service_server::ClusterService;
use tonic::{Request, Response, Status};

use super::inspect::inspect;
use super::{ASKERS, bound, muster, only, peer, store_status};
use crate::desk::Until;
use crate::handle::Shared;

/// Datasets in one answer.
const DATASETS_MAX: u32 = 10_000;

/// The service.
pub(crate) struct Cluster {
    shared: Arc<Shared>,
}

impl Cluster {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }
}

#[tonic::async_trait]
impl ClusterService for Cluster {
    async fn status(
        &self,
        request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        only(&request, ASKERS)?;
        let seat = self.shared.seats.seat()?;
        let view = self.shared.view().await?;
        let now = (self.shared.parts.now)();
        let of = |states: &[TaskState]| -> u32 {
            let counts = view.runs.iter().flat_map(|run| &run.tasks);
            counts
                .filter(|(state, _)| states.contains(state))
                .map(|(_, n)| *n)
                .sum()
        };
        let queue = u32::try_from(view.queue_depth).unwrap_or(u32::MAX);
        let (nodes_desired, nodes_desired_reason) = self.shared.desired.borrow().clone();
        let away = self.shared.seats.reach.away();
        let muster = muster::of(&self.shared, &view, now).await;
        Ok(Response::new(v1::StatusResponse {
            leader: self.shared.parts.config.name.clone(),
            epoch: seat.epoch.0,
            nodes: muster.nodes,
            runs_unfinished: u32::try_from(view.runs.len()).unwrap_or(u32::MAX),
            tasks_ready: queue,
            tasks_waiting: of(&[TaskState::Ready]).saturating_sub(queue),
            tasks_running: of(&[TaskState::Assigned, TaskState::Running]),
            nodes_desired,
            nodes_desired_reason,
            store_away_since: away.as_ref().map(|away| convert::time_of(away.since)),
            store_away: away.map(|away| away.reason).unwrap_or_default(),
            schedule: self
                .shared
                .ticked
                .borrow()
                .as_ref()
                .map(|ticked| v1::Ticked {
                    at: Some(convert::time_of(ticked.at)),
                    outcome: ticked.outcome.to_owned(),
                    words: ticked.words.clone(),
                }),
            departed: muster.departed,
            departed_more: muster.departed_more,
            managers: muster.managers,
            unknown: muster.unknown,
        }))
    }

    async fn inspect(
        &self,
        request: Request<v1::InspectRequest>,
    ) -> Result<Response<v1::InspectResponse>, Status> {
        only(&request, ASKERS)?;
        Ok(Response::new(inspect(&self.shared).await))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::DrainNodeResponse>, Status> {
        only(&request, ASKERS)?;
        let by = peer(&request).clone();
        let request = request.into_inner();
        let node = NodeId::new(convert::name("node", request.node)?);
        let reason = convert::text("reason", request.reason)?;
        tracing::info!(%node, reason, ?by, "a drain is asked for");
        self.shared.drain(&node, &reason).await?;
        Ok(Response::new(v1::DrainNodeResponse {}))
    }

    async fn uncordon_node(
        &self,
        request: Request<v1::UncordonNodeRequest>,
    ) -> Result<Response<v1::UncordonNodeResponse>, Status> {
        only(&request, ASKERS)?;
        let by = peer(&request).clone();
        let node = NodeId::new(convert::name("node", request.into_inner().node)?);
        tracing::info!(%node, ?by, "a node shall take tasks again");
        self.shared.uncordon(node).await?;
        Ok(Response::new(v1::UncordonNodeResponse {}))
    }

    async fn scale(
        &self,
        request: Request<v1::ScaleRequest>,
    ) -> Result<Response<v1::ScaleResponse>, Status> {
        only(&request, ASKERS)?;
        let v1::ScaleRequest { min, max } = request.into_inner();
        if max == 0 || min > max || max > 10_000 {
            return Err(Status::invalid_argument(
                "the bounds of the fleet: 0 <= min <= max, 1 <= max <= 10000",
            ));
        }
        let wish = self.shared.wish(
            Event::ScaleBounds { min, max },
            "fleet".to_owned(),
            Until::Known,
        );
        wish.await?;
        Ok(Response::new(v1::ScaleResponse {}))
    }

    async fn list_scale_events(
        &self,
        request: Request<v1::ListScaleEventsRequest>,
    ) -> Result<Response<v1::ListScaleEventsResponse>, Status> {
        only(&request, ASKERS)?;
        let limit = bound(request.into_inner().limit, 20, 1000);
        let events = self.shared.parts.metrics.scale_events(limit).await;
        let events = events.map_err(|error| store_status(&error))?;
        let shown = events.into_iter().map(|event| v1::ScaleEvent {
            at: Some(convert::time_of(event.at)),
            from_nodes: event.from,
            to_nodes: event.to,
            reason: event.reason,
            first_node_at: event.first_at.map(convert::time_of),
            first_task_at: event.task_at.map(convert::time_of),
            done_at: event.done_at.map(convert::time_of),
        });
        Ok(Response::new(v1::ListScaleEventsResponse {
            events: shown.collect(),
        }))
    }

    async fn submit_definition(
        &self,
        request: Request<v1::SubmitDefinitionRequest>,
    ) -> Result<Response<v1::SubmitDefinitionResponse>, Status> {
        only(&request, ASKERS)?;
        let dataset = convert::definition(request.into_inner().definition_json)?;
        let id = dataset.id.to_string();
        // The leader's alone, so that the newest is the one that was applied last.
        self.shared.seats.seat()?;
        let digest = self.shared.register(&dataset).await;
        Ok(Response::new(v1::SubmitDefinitionResponse {
            dataset: id,
            digest: digest.map_err(|error| store_status(&error))?,
        }))
    }

    async fn list_datasets(
        &self,
        request: Request<v1::ListDatasetsRequest>,
    ) -> Result<Response<v1::ListDatasetsResponse>, Status> {
        only(&request, ASKERS)?;
        let known = self
            .shared
            .parts
            .metrics
            .definitions(None, DATASETS_MAX)
            .await;
        let known = known.map_err(|error| store_status(&error))?;
        Ok(Response::new(v1::ListDatasetsResponse {
            datasets: known
                .iter()
                .map(|dataset| v1::DatasetSummary {
                    id: dataset.id.to_string(),
                    version: dataset.version.clone(),
                    digest: dataset.digest(),
                    status: dataset.status.to_string(),
                    owner: dataset.owner.clone().unwrap_or_default(),
                    checks: u32::try_from(dataset.checks.len()).unwrap_or(u32::MAX),
                    schedule: dataset.run.schedule.clone().unwrap_or_default(),
                })
                .collect(),
        }))
    }

    async fn get_definition(
        &self,
        request: Request<v1::GetDefinitionRequest>,
    ) -> Result<Response<v1::GetDefinitionResponse>, Status> {
        only(&request, ASKERS)?;
        let id = convert::dataset_id(request.into_inner().dataset)?;
        let dataset = self.shared.definition(id).await?;
        let json = serde_json::to_string(&dataset);
        Ok(Response::new(v1::GetDefinitionResponse {
            definition_json: json.map_err(|error| Status::internal(error.to_string()))?,
            digest: dataset.digest(),
        }))
    }
}
