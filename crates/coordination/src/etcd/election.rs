//! The election: one key per candidate, and the oldest key leads.
//!
//! Comes in: candidates. Goes out: who leads. It must never elect a candidate whose key is not
//! there; whether the elected may write is for the store's epoch to say.

use std::sync::Arc;

use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp};

use super::Core;
use super::follow::{Listing, follow};
use super::keeper::{Granted, Held, Pace};
use super::records;
use crate::port::{Candidate, CoordinationError, LeaseState};

/// The oldest candidate; always told, also when there is none.
pub(super) fn leader_of(listing: &Listing) -> Option<Option<Candidate>> {
    Some(oldest(listing).map(|(_, candidate)| candidate))
}

/// The oldest candidate that can be read, with its key.
fn oldest(listing: &Listing) -> Option<(String, Candidate)> {
    let (_, key, candidate) = readable(listing).min_by_key(|(created, ..)| *created)?;
    Some((key.clone(), candidate))
}

/// The candidates that can be read, each with its age and its key.
fn readable(listing: &Listing) -> impl Iterator<Item = (i64, &String, Candidate)> {
    listing.entries.iter().filter_map(|(key, entry)| {
        let candidate = records::candidate_of(key, entry)?;
        Some((entry.created, key, candidate))
    })
}

/// All candidates, the oldest first.
pub(super) async fn candidates(core: &Core) -> Result<Vec<Candidate>, CoordinationError> {
    let (pairs, _) = core.members.list(&core.keys.leaders()).await?;
    let listing = Listing::of(pairs);
    let mut all: Vec<_> = readable(&listing).collect();
    all.sort_by_key(|(created, ..)| *created);
    Ok(all.into_iter().map(|(.., candidate)| candidate).collect())
}

/// Waits until `candidate` leads. Dropped, its key is taken back.
pub(super) async fn campaign(
    core: &Arc<Core>,
    candidate: &Candidate,
) -> Result<Held, CoordinationError> {
    loop {
        let (key, held) = stand(core, candidate).await?;
        if let Some(held) = wait(core, &key, held).await? {
            tracing::info!(key, "elected");
            return Ok(held);
        }
    }
}

/// Ends the lease of the oldest candidate, if it is `leader`.
pub(super) async fn depose(core: &Arc<Core>, leader: &Candidate) -> Result<(), CoordinationError> {
    let (pairs, _) = core.members.list(&core.keys.leaders()).await?;
    let Some((key, candidate)) = oldest(&Listing::of(pairs)) else {
        return Ok(());
    };
    match core.keys.lease_in(&key) {
        Some(lease) if candidate == *leader => {
            tracing::info!(key, leader = %leader.name, "its process is gone: its lease is ended");
            core.members.revoke(lease).await
        }
        _ => Ok(()),
    }
}

/// Writes the candidate's key.
async fn stand(
    core: &Arc<Core>,
    candidate: &Candidate,
) -> Result<(String, Held), CoordinationError> {
    let pace = Pace {
        ttl: core.times.leader_ttl,
        every: core.times.leader_keep_alive,
    };
    let granted = Granted::ask(core, pace).await?;
    let key = core.keys.leader(granted.id);
    let put = PutOptions::new().with_lease(granted.id);
    let value = records::candidate(candidate);
    let txn = Txn::new()
        .when([Compare::create_revision(key.clone(), CompareOp::Equal, 0)])
        .and_then([TxnOp::put(key.clone(), value, Some(put))]);
    // The lease's id is in the key: when it exists, an earlier attempt has written it.
    match core.members.txn(&txn).await? {
        Ok(_) => Ok((key.clone(), granted.keep(key))),
        Err(error) => Err(CoordinationError::Unavailable(format!(
            "the candidacy was not written: {error}"
        ))),
    }
}

/// Waits until the oldest key is ours; `None` when it is lost.
async fn wait(
    core: &Arc<Core>,
    key: &str,
    mut held: Held,
) -> Result<Option<Held>, CoordinationError> {
    let (prefix, relist) = (core.keys.leaders(), core.times.leader_keep_alive);
    let read = |listing: &Listing| Some(oldest(listing).map(|(key, _)| key));
    let mut oldest = follow(Arc::clone(core), prefix, relist, read).await?;
    loop {
        if oldest.borrow_and_update().as_deref() == Some(key) {
            return Ok(Some(held));
        }
        tokio::select! {
            changed = oldest.changed() => if changed.is_err() {
                return Ok(None);
            },
            _ = held.state.wait_for(|state| *state == LeaseState::Lost) => return Ok(None),
        }
    }
}
