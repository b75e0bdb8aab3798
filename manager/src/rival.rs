//! The process of the manager that leads, watched by those that stand by.
//!
//! Comes in: who leads. Goes out: the word to the coordinator that its process is gone, so that
//! nobody waits for its lease to lapse. It must never say so of a leader that it had no connection
//! to, or of one that is merely silent: those are the lease's to judge. Nothing rests on the word
//! being right, since what a leader writes stands or falls by its epoch.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::Candidate;
use assay_proto::link::{Door, Tls};
use tokio_stream::StreamExt as _;
use tonic::transport::Uri;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::handle::Shared;
use crate::knock;
use crate::seat::Role;

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches whoever leads until this manager stops.
pub(crate) async fn watch(shared: Arc<Shared>, tls: Option<Tls>) {
    let mut roles = shared.seats.roles();
    loop {
        let role = roles.borrow_and_update().clone();
        let sits_by = async {
            match role {
                Role::Standby { leader: Some(it) } if it != shared.parts.config.candidate() => {
                    sit_by(&shared, tls.as_ref(), &it).await;
                }
                _ => {}
            }
            // What there was to say has been said; who leads next is told.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            changed = roles.changed() => {
                if changed.is_err() || *roles.borrow() == Role::Stopped {
                    return;
                }
            }
            () = sits_by => {}
        }
    }
}

/// Holds a connection to a leader; returns once its process is gone and the coordinator knows.
async fn sit_by(shared: &Shared, tls: Option<&Tls>, leader: &Candidate) {
    let door = Door::at(leader.address.clone(), tls);
    let Some(port) = address_of(&leader.address) else {
        return;
    };
    let mut was_there = false;
    loop {
        was_there |= held(&door).await;
        if was_there && knock::refuses(port.clone()).await {
            tracing::warn!(leader = %leader.name, "the process that leads is gone");
            match shared.parts.coordinator.depose(leader).await {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "its lease is left to lapse"),
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Holds a connection for as long as it lasts; says whether there was one.
async fn held(door: &Door) -> bool {
    let Ok(channel) = door.open().await else {
        return false;
    };
    let whole = HealthCheckRequest::default();
    if let Ok(answer) = HealthClient::new(channel).watch(whole).await {
        let mut says = answer.into_inner();
        while let Some(Ok(health)) = says.next().await {
            // A process that leaves keeps nobody's connection.
            if health.status() != ServingStatus::Serving {
                break;
            }
        }
    }
    true
}

/// Host and port of `http://host:port` or `https://host:port`.
fn address_of(address: &str) -> Option<(String, u16)> {
    let uri: Uri = address.parse().ok()?;
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), uri.port_u16()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let of = |address| address_of(address).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(
            of("http://127.0.0.1:8081").as_deref(),
            Some("127.0.0.1 8081")
        );
        assert_eq!(of("https://[::1]:8081").as_deref(), Some("::1 8081"));
        assert_eq!(
            of("https://manager-1.example:443").as_deref(),
            Some("manager-1.example 443")
        );
        assert_eq!(of("http://host"), None);
        assert_eq!(of(""), None);
    }
}
