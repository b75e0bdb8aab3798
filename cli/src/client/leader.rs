//! Which of the managers leads.
//!
//! Comes in: the addresses of one or several managers. Goes out: a connection to the one that
//! leads, within the time of one call.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use assay_proto::limits::ANSWER_BYTES_MAX;
use assay_proto::link::{NoLeader, ask_leader};
use assay_proto::v1;
use assay_proto::v1::cluster_service_client::ClusterServiceClient;
use tokio::time::Instant;

use super::{Client, REMEDY, Ways, no_server, refused};

/// Finds the leader within `timeout`.
pub(super) async fn find(ways: &Arc<Ways>, timeout: Duration) -> Result<Client> {
    let until = Instant::now() + timeout;
    let status = |channel| async move {
        let mut request = tonic::Request::new(v1::StatusRequest {});
        request.set_timeout(timeout);
        ClusterServiceClient::new(channel)
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .status(request)
            .await
    };
    let found = ask_leader(&ways.addresses, ways.tls.as_ref(), until, status).await;
    match found {
        Ok(led) => Ok(Client {
            address: led.address,
            channel: led.channel,
            timeout,
            ways: Arc::clone(ways),
        }),
        Err(NoLeader::Refused(status)) => Err(refused(&status)),
        Err(NoLeader::Nobody(said)) => Err(no_server(format!("{}\n  {REMEDY}", said.join("\n  ")))),
    }
}
