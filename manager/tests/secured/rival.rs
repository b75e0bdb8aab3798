//! A leader whose process is gone, and one that nobody has reached.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::port::LeaseTimes;
use assay_coordination::{Candidate, Coordinator, LocalCoordinator};
use assay_manager::Role;
use assay_store::SqliteStore;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::pki::Authority;

/// Leases that no test waits for.
fn long() -> LeaseTimes {
    LeaseTimes {
        leader_ttl: Duration::from_secs(3_600),
        ..LeaseTimes::default()
    }
}

#[tokio::test]
async fn a_leader_whose_process_is_gone_is_replaced_before_its_lease_lapses() {
    let (first, second) = Cluster::two_with(long()).await;
    // The one that stands by has to have reached it before.
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.manager.kill().await;
    let leads = timeout(Duration::from_secs(60), second.manager.leads());
    leads.await.expect("the second one leads");
}

#[tokio::test]
async fn a_leader_that_was_never_reached_keeps_its_lease() {
    let coordinator = Arc::new(LocalCoordinator::new(long()));
    // A port that refuses: it was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let far = Candidate {
        name: "far".to_owned(),
        address,
    };
    let lease = coordinator.campaign(&far).await.unwrap();
    let store = SqliteStore::in_memory().await.unwrap();
    let near = Cluster::start(
        "manager-2",
        &store,
        Arc::clone(&coordinator),
        Arc::new(Authority::new("an authority")),
    );
    let near = near.await;
    let mut roles = near.manager.roles();
    let knows = |role: &Role| matches!(role, Role::Standby { leader: Some(_) });
    roles.wait_for(knows).await.unwrap();
    let leads = timeout(Duration::from_secs(3), near.manager.leads()).await;
    assert!(
        leads.is_err(),
        "it took the lead from one that it never saw"
    );
    assert!(!lease.is_lost());
}
