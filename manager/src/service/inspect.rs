//! What a manager stands on, as it finds it when it is asked.
//!
//! Comes in: the question of an operator. Goes out: whether store and coordinator answer this
//! manager, how fast, and what they say of themselves. It must never need the lead, wait for
//! something that does not answer, or show a password.

use std::time::{Duration, Instant};

use assay_proto::convert;
use assay_proto::v1;
use assay_store::port::{Health, Replica};

use crate::handle::Shared;
use crate::seat::Role;

/// How long the store and the coordinator may take, each.
const PATIENCE: Duration = Duration::from_secs(4);

/// Asks both at the same time.
pub(super) async fn inspect(shared: &Shared) -> v1::InspectResponse {
    let (store, coordinator) = tokio::join!(store(shared), coordinator(shared));
    let leads = matches!(*shared.seats.roles().borrow(), Role::Leading { .. });
    v1::InspectResponse {
        name: shared.parts.config.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        leads,
        now: Some(convert::time_of((shared.parts.now)())),
        store: Some(store),
        coordinator: Some(coordinator),
    }
}

/// The answer to a question, or why there is none, and how long it took.
async fn timed<T, E: std::fmt::Display>(
    question: impl Future<Output = Result<T, E>>,
) -> (Result<T, String>, u64) {
    let begun = Instant::now();
    let answer = match tokio::time::timeout(PATIENCE, question).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    (answer, took)
}

async fn store(shared: &Shared) -> v1::StoreHealth {
    let (answer, took_ms) = timed(shared.parts.metrics.health()).await;
    match answer {
        Ok(Health {
            place,
            server,
            schema,
            replicas,
            outbox_held,
        }) => v1::StoreHealth {
            error: String::new(),
            took_ms,
            place,
            server,
            schema,
            replicas: replicas.into_iter().map(replica).collect(),
            outbox_held: outbox_held.unwrap_or_default(),
        },
        Err(error) => v1::StoreHealth {
            error,
            took_ms,
            ..v1::StoreHealth::default()
        },
    }
}

fn replica(replica: Replica) -> v1::StoreReplica {
    v1::StoreReplica {
        name: replica.name,
        state: replica.state,
        lag_bytes: replica.lag_bytes,
        lag_ms: replica.lag_ms,
    }
}

async fn coordinator(shared: &Shared) -> v1::CoordinatorHealth {
    let ports = &shared.parts.coordinator;
    // Both begin with a reading that a quorum confirms.
    let question = async { tokio::try_join!(ports.watch_leader(), ports.watch_nodes()) };
    let (answer, took_ms) = timed(question).await;
    match answer {
        Ok((leader, nodes)) => v1::CoordinatorHealth {
            error: String::new(),
            took_ms,
            leader: leader
                .borrow()
                .as_ref()
                .map_or_else(String::new, |l| l.name.clone()),
            nodes: u32::try_from(nodes.borrow().len()).unwrap_or(u32::MAX),
        },
        Err(error) => v1::CoordinatorHealth {
            error,
            took_ms,
            ..v1::CoordinatorHealth::default()
        },
    }
}
