//! The gRPC services, over TCP or inside the process.
//!
//! Comes in: connections. Goes out: served connections with pings, bounds and deadlines. It must
//! never answer a question that only the leader may answer when this manager does not lead.

mod cluster;
mod feedback;
mod inspect;
mod metric;
mod muster;
mod node;
mod notice;
mod rows;
mod run;

use std::sync::Arc;

use assay_proto::limits::{
    ANSWER_BYTES_MAX, CALLS_PER_CONNECTION_MAX, CONNECTION_AGE_MAX, HEADER_BYTES_MAX,
    MESSAGE_BYTES_MAX, NODE_MESSAGE_BYTES_MAX, PING_INTERVAL, PING_TIMEOUT, SERVED_WITHIN,
    STREAMS_MAX,
};
use assay_proto::link::{Connection, Doorway, Peer, PeerRole, Tls, accept};
use assay_proto::v1::cluster_service_server::ClusterServiceServer;
use assay_proto::v1::feedback_service_server::FeedbackServiceServer;
use assay_proto::v1::metric_service_server::MetricServiceServer;
use assay_proto::v1::node_service_server::NodeServiceServer;
use assay_proto::v1::notice_service_server::NoticeServiceServer;
use assay_proto::v1::run_service_server::RunServiceServer;
use assay_store::StoreError;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Router;
use tonic::{Request, Status};
use tonic_health::ServingStatus;

use crate::handle::{Shared, SubmitError};
use crate::seat::Role;

/// Services that only the leader answers.
const LEADER_SERVICES: [&str; 5] = [
    "assay.v1.ClusterService",
    "assay.v1.FeedbackService",
    "assay.v1.NodeService",
    "assay.v1.NoticeService",
    "assay.v1.RunService",
];

/// Serves a listener until the manager stops; with `tls`, only peers with a certificate.
pub(crate) fn serve_tcp(shared: &Arc<Shared>, listener: TcpListener, tls: Option<Tls>) {
    let incoming = ReceiverStream::new(accept(listener, tls)).map(Ok::<_, std::io::Error>);
    let (shared, stopped) = (Arc::clone(shared), stopped(shared));
    tokio::spawn(async move {
        let served = router(&shared).serve_with_incoming_shutdown(incoming, stopped);
        if let Err(error) = served.await {
            tracing::error!(%error, "the listener has ended");
        }
    });
}

/// Serves connections of this process until the manager stops.
pub(crate) fn serve_doorway(shared: &Arc<Shared>) -> Doorway {
    let (doorway, arrivals) = Doorway::new(&shared.parts.config.name);
    let incoming = ReceiverStream::new(arrivals)
        .map(|stream| Ok::<_, std::io::Error>(Connection::local(stream)));
    let (shared, stopped) = (Arc::clone(shared), stopped(shared));
    tokio::spawn(async move {
        let served = router(&shared).serve_with_incoming_shutdown(incoming, stopped);
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

fn router(shared: &Arc<Shared>) -> Router {
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(say_health(shared.seats.roles(), reporter));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(assay_proto::DESCRIPTORS)
        .build_v1()
        .inspect_err(|error| tracing::error!(%error, "the contract is not shown to clients"));
    let runs = RunServiceServer::new(run::Runs::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let metrics = MetricServiceServer::new(metric::Metrics::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let cluster = ClusterServiceServer::new(cluster::Cluster::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let notices = NoticeServiceServer::new(notice::Notices::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let feedback = FeedbackServiceServer::new(feedback::Answers::new(shared))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(ANSWER_BYTES_MAX);
    let nodes = NodeServiceServer::new(node::Nodes::new(shared))
        .max_decoding_message_size(NODE_MESSAGE_BYTES_MAX);
    tonic::transport::Server::builder()
        .timeout(SERVED_WITHIN)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .concurrency_limit_per_connection(CALLS_PER_CONNECTION_MAX)
        .max_connection_age(CONNECTION_AGE_MAX)
        .add_service(health)
        .add_optional_service(reflection.ok())
        .add_service(runs)
        .add_service(metrics)
        .add_service(cluster)
        .add_service(feedback)
        .add_service(nodes)
        .add_service(notices)
}

/// Says of each service whether it serves here: those of the leader only while this manager leads,
/// the process as a whole until it stops.
async fn say_health(
    mut roles: tokio::sync::watch::Receiver<Role>,
    reporter: tonic_health::server::HealthReporter,
) {
    loop {
        let role = roles.borrow_and_update().clone();
        let leads = matches!(role, Role::Leading { .. });
        let of = |serves: bool| {
            if serves {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            }
        };
        for name in LEADER_SERVICES {
            reporter.set_service_status(name, of(leads)).await;
        }
        let whole = of(role != Role::Stopped);
        reporter.set_service_status("", whole).await;
        reporter
            .set_service_status("assay.v1.MetricService", whole)
            .await;
        if role == Role::Stopped || roles.changed().await.is_err() {
            return;
        }
    }
}

/// Refuses a caller whose certificate is of none of these roles.
pub(crate) fn only<T>(request: &Request<T>, roles: &[PeerRole]) -> Result<(), Status> {
    peer(request).may_act(roles, None).map_err(|why| {
        tracing::warn!(peer = ?peer(request), %why, "a caller was refused");
        Status::permission_denied(why)
    })
}

/// Those who ask and wish.
pub(crate) const ASKERS: &[PeerRole] = &[PeerRole::Client, PeerRole::Manager];

/// Those who start runs.
pub(crate) const SUBMITTERS: &[PeerRole] =
    &[PeerRole::Client, PeerRole::Manager, PeerRole::Emitter];

/// Who calls.
pub(crate) fn peer<T>(request: &Request<T>) -> &Peer {
    // Every connection of ours tells; a caller without one would be in this process.
    request.extensions().get::<Peer>().unwrap_or(&Peer::Local)
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
        // Whether it was written is not known: a caller must not take it for «nothing was done».
        StoreError::Unknown(_) => Status::deadline_exceeded(text),
        StoreError::Unavailable(_) | StoreError::Open { .. } => Status::unavailable(text),
        StoreError::Corrupt { .. } => Status::data_loss(text),
    }
}

impl From<SubmitError> for Status {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NotLeading(error) => error.into(),
            SubmitError::UnknownDataset(_) | SubmitError::UnknownNode(_) => {
                Self::not_found(error.to_string())
            }
            SubmitError::Refused(reason) => Self::failed_precondition(reason),
            SubmitError::NoAnswer => Self::deadline_exceeded(error.to_string()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[test]
    fn what_may_have_been_done_is_told_apart_from_what_was_not() {
        let lost = StoreError::Unknown("the connection broke".into());
        let away = StoreError::Unavailable("no connection".into());
        assert_eq!(store_status(&lost).code(), Code::DeadlineExceeded);
        assert_eq!(store_status(&away).code(), Code::Unavailable);
        let code = |error: SubmitError| Status::from(error).code();
        assert_eq!(code(SubmitError::NoAnswer), Code::DeadlineExceeded);
        assert_eq!(code(SubmitError::Store(lost)), Code::DeadlineExceeded);
        assert_eq!(code(SubmitError::Store(away)), Code::Unavailable);
    }
}
