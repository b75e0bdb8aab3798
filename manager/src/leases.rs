//! The nodes that hold a lease, as the term's task is told.
//!
//! Comes in: what the coordinator shows. Goes out: the nodes, at the beginning and after each
//! change, into the inbox. It must never take a coordinator that cannot be reached for one that
//! holds no node.

use std::sync::Arc;
use std::time::Duration;

use crate::handle::Shared;
use crate::inbox::{Inbox, Input};

/// Between two attempts to watch.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells `inbox` for as long as somebody reads it.
pub(crate) fn follow(shared: &Arc<Shared>, inbox: Inbox) {
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let closed = inbox.clone();
        tokio::select! {
            () = closed.closed() => {}
            () = tell(&shared, &inbox) => {}
        }
    });
}

async fn tell(shared: &Shared, inbox: &Inbox) {
    loop {
        match shared.parts.coordinator.watch_nodes().await {
            Ok(mut nodes) => loop {
                let present = Arc::clone(&nodes.borrow_and_update());
                if inbox.send(Input::Leases(present)).await.is_err() {
                    return;
                }
                if nodes.changed().await.is_err() {
                    break;
                }
            },
            Err(error) => {
                tracing::warn!(%error, "the leases of nodes are not seen; trying again");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
