//! The outbox: messages written with what they tell of, handed on by the leader.
//!
//! Comes in: entries of the store, oldest first. Goes out: each entry to the sink until it is
//! taken, then marked under the leader's epoch. At least once: a sink knows repeats by the key. It
//! must never mark what was not taken, or hand on anything while another manager leads.

use std::collections::BTreeSet;
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

/// Offers what waits; gives the keys of what was taken. What one dataset tells stays in order, so
/// its later messages wait behind one that was not taken; those of others do not.
async fn offer(waiting: &[OutboxEntry], sink: &dyn OutboxSink) -> Vec<String> {
    let mut taken = Vec::new();
    let mut stuck = BTreeSet::new();
    for entry in waiting {
        if stuck.contains(&entry.dataset) {
            continue;
        }
        match sink.take(entry).await {
            Ok(()) => taken.push(entry.key.clone()),
            Err(reason) => {
                tracing::warn!(key = %entry.key, %reason, "a message was not taken; it is offered again");
                stuck.insert(&entry.dataset);
            }
        }
    }
    taken
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
    let taken = offer(&waiting, sink).await;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use assay_model::ids::DatasetId;

    use super::*;

    /// Takes everything but what is about one dataset.
    struct Picky(Mutex<Vec<String>>);

    #[async_trait]
    impl OutboxSink for Picky {
        async fn take(&self, entry: &OutboxEntry) -> Result<(), String> {
            if entry.key == "poison" {
                return Err("not this one".to_owned());
            }
            self.0.lock().unwrap().push(entry.key.clone());
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_message_that_nobody_takes_holds_up_its_own_dataset_alone() {
        let entry = |key: &str, dataset: &str| OutboxEntry {
            key: key.to_owned(),
            event: "incident.opened".to_owned(),
            dataset: DatasetId::new(dataset).unwrap(),
            body: serde_json::Value::Null,
            after: None,
        };
        let waiting = [
            entry("a1", "a"),
            entry("poison", "b"),
            entry("a2", "a"),
            entry("b2", "b"),
        ];
        let sink = Picky(Mutex::default());
        assert_eq!(offer(&waiting, &sink).await, ["a1", "a2"]);
        assert_eq!(*sink.0.lock().unwrap(), ["a1", "a2"]);
    }
}
