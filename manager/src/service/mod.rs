//! The gRPC services, over TCP or inside the process.
//!
//! Comes in: connections. Goes out: served connections with pings, bounds and deadlines. It must
//! never answer a question that only the leader may answer when this manager does not lead.

mod cluster;
mod metric;
mod node;
mod rows;
mod run;

use std::sync::Arc;

use assay_proto::limits::{
    ANSWER_BYTES_MAX, HEADER_BYTES_MAX, MESSAGE_BYTES_MAX, PING_INTERVAL, PING_TIMEOUT, STREAMS_MAX,
};
use assay_proto::link::Doorway;
use assay_proto::v1::cluster_service_server::ClusterServiceServer;
use assay_proto::v1::metric_service_server::MetricServiceServer;
use assay_proto::v1::node_service_server::NodeServiceServer;
use assay_proto::v1::run_service_server::RunServiceServer;
use assay_store::StoreError;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::server::{Router, TcpIncoming};

use crate::handle::{Shared, SubmitError};

/// Serves a listener until the manager stops.
pub(crate) fn serve_tcp(shared: &Arc<Shared>, listener: TcpListener) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (shared, stopped) = (Arc::clone(shared), stopped(shared));
    tokio::spawn(async move {
        let served = router(&shared)
            .await
            .serve_with_incoming_shutdown(incoming, stopped);
        if let Err(error) = served.await {
            tracing::error!(%error, "the listener has ended");
        }
    });
}

/// Serves connections of this process until the manager stops.
pub(crate) fn serve_doorway(shared: &Arc<Shared>) -> Doorway {
    let (doorway, arrivals) = Doorway::new(&shared.parts.config.name);
    let incoming = ReceiverStream::new(arrivals).map(Ok::<_, std::io::Error>);
    let (shared, stopped) = (Arc::clone(shared), stopped(shared));
    tokio::spawn(async move {
        let served = router(&shared)
            .await
            .serve_with_incoming_shutdown(incoming, stopped);
        if let Err(error) = served.await {
            tracing::error!(%error, "the in-process door has ended");
        }
    });
    doorway
}

/// Ends when the manager stops, and then gives open calls a moment.
fn stopped(shared: &Arc<Shared>) -> impl Future<Output = ()> + use<> {
    let mut stop = shared.stop.subscribe();
    async move {
        // The sender lives in `Shared`; if it is gone, so is the manager.
        let _ = stop.wait_for(|stop| *stop).await;
    }
}

async fn router(shared: &Arc<Shared>) -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<RunServiceServer<run::Runs>>().await;
    let runs = RunServiceServer::new(run::Runs::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let metrics = MetricServiceServer::new(metric::Metrics::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let cluster = ClusterServiceServer::new(cluster::Cluster::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let nodes = NodeServiceServer::new(node::Nodes::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .add_service(health)
        .add_service(runs)
        .add_service(metrics)
        .add_service(cluster)
        .add_service(nodes)
}

/// A store's refusal as a client sees it.
pub(crate) fn store_status(error: &StoreError) -> Status {
    let text = error.to_string();
    match error {
        StoreError::NotFound { .. } => Status::not_found(text),
        StoreError::FencedEpoch { .. } | StoreError::Refused { .. } => {
            Status::failed_precondition(text)
        }
        StoreError::Full { .. } => Status::resource_exhausted(text),
        StoreError::Unavailable(_) | StoreError::Unknown(_) | StoreError::Open { .. } => {
            Status::unavailable(text)
        }
        StoreError::Corrupt { .. } => Status::data_loss(text),
    }
}

impl From<SubmitError> for Status {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NotLeading(error) => error.into(),
            SubmitError::UnknownDataset(_) => Self::not_found(error.to_string()),
            SubmitError::Refused(reason) => Self::failed_precondition(reason),
            SubmitError::NoAnswer => Self::unavailable(error.to_string()),
            SubmitError::Store(error) => store_status(&error),
        }
    }
}

/// A bound that a client asked for: `default` for 0, never more than `max`.
pub(crate) const fn bound(asked: u32, default: u32, max: u32) -> u32 {
    match asked {
        0 => default,
        asked if asked > max => max,
        asked => asked,
    }
}
