//! The coordinator on real etcd: the suite with one member and with three, and what etcd does when
//! it is hurt.

#![cfg(feature = "etcd")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod faults;
mod proxy;
mod restricted;
mod suite;
mod tls;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use assay_coordination::{EtcdCoordinator, EtcdOptions, LeaseTimes};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Short leases: two seconds are the least that etcd grants with these elections.
const TIMES: LeaseTimes = LeaseTimes {
    leader_ttl: Duration::from_secs(3),
    leader_keep_alive: Duration::from_millis(500),
    node_ttl: Duration::from_secs(4),
    node_keep_alive: Duration::from_millis(700),
};

/// Options under a prefix that no other test has.
fn options(endpoints: Vec<String>) -> EtcdOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    EtcdOptions {
        prefix: format!("/test-{}", NEXT.fetch_add(1, Ordering::Relaxed)),
        times: TIMES,
        call_deadline: Duration::from_secs(3),
        ..EtcdOptions::new(endpoints)
    }
}

async fn connect(endpoints: Vec<String>) -> EtcdCoordinator {
    EtcdCoordinator::connect(options(endpoints)).await.unwrap()
}

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}
