//! Nodes: their keys, their lives, their load.
//!
//! Comes in: adverts and loads. Goes out: the nodes that hold a lease. It must never let an earlier
//! life replace a later one.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::ids::{Incarnation, NodeId};
use assay_model::node::Load;
use etcd_client::{Compare, CompareOp, KeyValue, PutOptions, Txn, TxnOp};

use super::Core;
use super::follow::Listing;
use super::keeper::{Granted, Held, Pace};
use super::members::is_not_found;
use super::records::{self, Keys};
use crate::port::{Advert, CoordinationError, NodeAdvert, Nodes};

/// Times that a registration may find that somebody else has written in between.
const RACES_MAX: u32 = 10;

fn lost(node: &NodeId) -> CoordinationError {
    CoordinationError::LeaseLost {
        holder: node.as_str().to_owned(),
    }
}

/// Writes a node's key under a lease of its own; the lease of an earlier life ends.
pub(super) async fn register(core: &Arc<Core>, advert: &Advert) -> Result<Held, CoordinationError> {
    let key = core.keys.node(&advert.node)?;
    let pace = Pace {
        ttl: core.times.node_ttl,
        every: core.times.node_keep_alive,
    };
    for _ in 0..RACES_MAX {
        let seen = core.members.get(&key).await?;
        let life = seen.as_ref().and_then(|pair| {
            records::advert_of(&advert.node, pair.value()).map(|found| found.incarnation)
        });
        if life.is_some_and(|life| life > advert.incarnation) {
            return Err(lost(&advert.node));
        }
        let granted = Granted::ask(core, pace).await?;
        if !write(core, &key, advert, seen.as_ref(), granted.id).await? {
            continue;
        }
        let earlier = seen.map_or(0, |pair| pair.lease());
        if earlier != 0 && earlier != granted.id {
            let core = Arc::clone(core);
            // A lease that cannot be revoked lapses.
            tokio::spawn(async move { core.members.revoke(earlier).await });
        }
        return Ok(granted.keep(key));
    }
    Err(CoordinationError::Unavailable(format!(
        "others keep writing the key of {}",
        advert.node
    )))
}

/// Writes the key if it is as it was seen; says whether it is ours.
async fn write(
    core: &Core,
    key: &str,
    advert: &Advert,
    seen: Option<&KeyValue>,
    lease: i64,
) -> Result<bool, CoordinationError> {
    let guard = match seen {
        Some(pair) => Compare::mod_revision(key, CompareOp::Equal, pair.mod_revision()),
        None => Compare::create_revision(key, CompareOp::Equal, 0),
    };
    let put = PutOptions::new().with_lease(lease);
    let txn = Txn::new().when([guard]).and_then([
        TxnOp::put(key, records::advert(advert), Some(put)),
        // The load of an earlier life says nothing of this one.
        TxnOp::delete(Keys::load_of(key), None),
    ]);
    match core.members.txn(&txn).await? {
        Ok(true) => Ok(true),
        // An earlier attempt may have been carried out and its answer lost.
        Ok(false) => {
            let present = core.members.get(key).await?;
            Ok(present.is_some_and(|pair| pair.lease() == lease))
        }
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(CoordinationError::Refused(error.to_string())),
    }
}

/// Writes the load of a life that holds its key, under the same lease.
pub(super) async fn publish_load(
    core: &Core,
    node: &NodeId,
    incarnation: Incarnation,
    load: &Load,
) -> Result<(), CoordinationError> {
    let key = core.keys.node(node)?;
    let pair = core.members.get(&key).await?.ok_or_else(|| lost(node))?;
    let life = records::advert_of(node, pair.value()).map(|found| found.incarnation);
    if life != Some(incarnation) {
        return Err(lost(node));
    }
    let put = PutOptions::new().with_lease(pair.lease());
    let same = Compare::mod_revision(key.as_str(), CompareOp::Equal, pair.mod_revision());
    let txn = Txn::new().when([same]).and_then([TxnOp::put(
        Keys::load_of(&key),
        records::load(incarnation, load),
        Some(put),
    )]);
    match core.members.txn(&txn).await? {
        Ok(true) => Ok(()),
        Ok(false) => Err(lost(node)),
        Err(error) if is_not_found(&error) => Err(lost(node)),
        Err(error) => Err(CoordinationError::Refused(error.to_string())),
    }
}

/// The nodes of a listing, with the loads that their present lives have published.
pub(super) fn nodes_of(keys: &Keys, listing: &Listing) -> Nodes {
    let mut nodes = BTreeMap::new();
    for (key, entry) in &listing.entries {
        let Some(node) = keys.node_in(key) else {
            continue;
        };
        let Some(advert) = records::advert_of(&node, &entry.value) else {
            continue;
        };
        let load = listing
            .entries
            .get(&Keys::load_of(key))
            .and_then(|entry| records::load_of(advert.incarnation, &entry.value));
        nodes.insert(node, NodeAdvert { advert, load });
    }
    Arc::new(nodes)
}
