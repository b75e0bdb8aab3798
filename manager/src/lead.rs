//! The life of a manager: stand by, be elected, lead a term, and again.
//!
//! Comes in: the wish to stop. Goes out: terms. It must never lead without an epoch of its own
//! minting, or keep the lease when it cannot lead.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::Lease;
use tokio::sync::watch;

use crate::handle::Shared;
use crate::term::{self, TermEnd};

/// Runs until the manager is told to stop.
pub(crate) async fn live(shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut failures = 0_u32;
    while !*stop.borrow() {
        let lease = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            lease = stand_by(&shared) => lease,
        };
        let ended = match lease {
            Some(lease) => lead(&shared, lease, &mut stop).await,
            None => TermEnd::Failed,
        };
        shared.seats.leave();
        match ended {
            TermEnd::Stopped => break,
            TermEnd::Failed => failures = failures.saturating_add(1),
            TermEnd::LeaseLost | TermEnd::Fenced => failures = 1,
        }
        let pause = shared.parts.config.retry_pause * 2_u32.pow(failures.clamp(1, 5) - 1);
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(pause) => {}
        }
    }
    shared.seats.stop();
}

/// Waits until this manager is elected; tells meanwhile who leads.
async fn stand_by(shared: &Arc<Shared>) -> Option<Lease> {
    let candidate = shared.parts.config.candidate();
    let campaign = shared.parts.coordinator.campaign(&candidate);
    let told = async {
        if let Ok(mut leader) = shared.parts.coordinator.watch_leader().await {
            loop {
                let present = leader.borrow_and_update().clone();
                shared.seats.stand_by(present);
                if leader.changed().await.is_err() {
                    break;
                }
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        elected = campaign => match elected {
            Ok(lease) => Some(lease),
            Err(error) => {
                tracing::warn!(%error, "the election failed; it is tried again");
                None
            }
        },
        () = told => None,
    }
}

/// Leads until the lease is lost, the epoch fenced, or the manager told to stop.
async fn lead(shared: &Arc<Shared>, mut lease: Lease, stop: &mut watch::Receiver<bool>) -> TermEnd {
    let parts = &shared.parts;
    let minted = parts.store.mint_epoch(&parts.config.name).await;
    shared.seats.reach.note((parts.now)(), &minted);
    let ended = match minted {
        Ok(epoch) => {
            tracing::info!(epoch = epoch.0, manager = %parts.config.name, "leads");
            shared.seats.elected(&parts.telemetry, epoch);
            term::lead(shared, epoch, &mut lease, stop).await
        }
        Err(error) => {
            tracing::error!(%error, "elected, but the store gave no epoch; stands down");
            TermEnd::Failed
        }
    };
    // A lease that cannot be given back lapses by itself.
    let _ = tokio::time::timeout(Duration::from_secs(1), lease.release()).await;
    ended
}
