//! The outbox: messages written with what they tell of, handed on by the leader.
//!
//! Comes in: entries of the store, oldest first. Goes out: each entry to the sink until it is
//! taken, then marked under the leader's epoch. At least once: a sink knows repeats by the key. It
//! must never mark what was not taken, or hand on anything while another manager leads.

use std::sync::Arc;
use std::time::Duration;

use assay_model::incident::OutboxEntry;
use async_trait::async_trait;

use crate::handle::Shared;

/// Entries that are read at once.
const BATCH: u32 = 100;
/// Between two looks when nothing waits or nothing was taken.
const PAUSE: Duration = Duration::from_millis(500);

/// Where messages go.
#[async_trait]
pub trait OutboxSink: Send + Sync {
    /// Takes a message; a repeat of its key is the same message.
    ///
    /// # Errors
    /// Why it was not taken; it is offered again.
    async fn take(&self, entry: &OutboxEntry) -> Result<(), String>;
}

/// Hands messages on until the manager stops.
pub(crate) async fn hand_on(shared: Arc<Shared>, sink: Arc<dyn OutboxSink>) {
    let mut stop = shared.stop.subscribe();
    while !*stop.borrow() {
        if !round(&shared, sink.as_ref()).await {
            // Ends early when the manager stops.
            let _ = tokio::time::timeout(PAUSE, stop.wait_for(|stop| *stop)).await;
        }
    }
}

/// Hands on what waits; says whether there may be more.
async fn round(shared: &Shared, sink: &dyn OutboxSink) -> bool {
    let Ok(seat) = shared.seats.seat() else {
        return false;
    };
    let waiting = match shared.parts.metrics.outbox(BATCH).await {
        Ok(waiting) => waiting,
        Err(error) => {
            tracing::warn!(%error, "the outbox cannot be read; trying again");
            return false;
        }
    };
    let mut taken = Vec::new();
    for entry in &waiting {
        match sink.take(entry).await {
            Ok(()) => taken.push(entry.key.clone()),
            // Later ones wait behind it: what is told stays in order.
            Err(reason) => {
                tracing::warn!(key = %entry.key, %reason, "a message was not taken; it is offered again");
                break;
            }
        }
    }
    if taken.is_empty() {
        return false;
    }
    let now = (shared.parts.now)();
    match shared.parts.store.sent(seat.epoch, &taken, now).await {
        Ok(_) => taken.len() == waiting.len() && taken.len() == BATCH as usize,
        Err(error) => {
            tracing::warn!(%error, "sent messages are not marked; they are sent again");
            false
        }
    }
}
