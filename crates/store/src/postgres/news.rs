//! Word of commits, as the database notifies of them.
//!
//! Comes in: notifications on one connection. Goes out: the datasets that they name. A connection
//! that is lost or does not answer ends the stream; one that is only silent is asked every second.

use std::time::Duration;

use assay_model::ids::DatasetId;
use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::mpsc;

use super::{PostgresStore, errors};
use crate::error::StoreError;
use crate::news::News;

/// The channel of the functions of the schema.
const CHANNEL: &str = "assay_committed";
/// Between two questions to a silent connection.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long its answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

#[async_trait]
impl News for PostgresStore {
    async fn follow(&self) -> Result<mpsc::Receiver<DatasetId>, StoreError> {
        let inner = &self.inner;
        let options = inner.readers.connect_options();
        // A connection of its own, so that reads lose none to it.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(inner.shared.connect_timeout)
            .connect_lazy_with((*options).clone());
        let of = |error| errors::of_read(&inner.place, error);
        let mut listener = PgListener::connect_with(&pool).await.map_err(of)?;
        // A connection that is made anew behind our back has missed what was said meanwhile.
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await.map_err(of)?;
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(listen(listener, sender));
        Ok(receiver)
    }
}

/// Passes words on until a word may have been lost, or nobody reads.
async fn listen(mut listener: PgListener, sender: mpsc::Sender<DatasetId>) {
    loop {
        let heard = tokio::select! {
            heard = listener.try_recv() => Some(heard),
            () = tokio::time::sleep(ASK_EVERY) => None,
            () = sender.closed() => return,
        };
        let word = match heard {
            Some(Ok(Some(word))) => word,
            // The connection is lost, and words with it.
            Some(Ok(None) | Err(_)) => return,
            None => {
                if !answers(&mut listener).await {
                    return;
                }
                continue;
            }
        };
        // What names no dataset is of a newer program: it may mean anything.
        let Ok(dataset) = DatasetId::new(word.payload()) else {
            return;
        };
        if sender.send(dataset).await.is_err() {
            return;
        }
    }
}

/// Whether the server answers on this very connection.
async fn answers(listener: &mut PgListener) -> bool {
    let asked = sqlx::query("SELECT 1").execute(listener);
    matches!(tokio::time::timeout(ANSWER_WITHIN, asked).await, Ok(Ok(_)))
}
