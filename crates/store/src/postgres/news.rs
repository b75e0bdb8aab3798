//! Word of commits, as the database notifies of them.
//!
//! Comes in: notifications on one connection. Goes out: the datasets that they name. A connection
//! that is lost or does not answer ends the stream; one that is only silent is asked every second.

use std::time::Duration;

use assay_model::ids::DatasetId;
use async_trait::async_trait;
use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::mpsc;

use super::{PostgresStore, errors};
use crate::error::StoreError;
use crate::news::News;

/// The channel of the functions of the schema.
const CHANNEL: &str = "assay_committed";
/// What a server says that lets nobody else in.
const TOO_MANY_CONNECTIONS: &str = "53300";
/// Between two questions to a silent connection.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long its answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

#[async_trait]
impl News for PostgresStore {
    async fn follow(&self) -> Result<mpsc::Receiver<DatasetId>, StoreError> {
        let inner = &self.inner;
        let options = inner.readers.connect_options();
        // A pool asks a server that refuses ever more rarely, until its patience ends. Whoever follows
        // decides when to ask again: a server that does not let one in is told of at once.
        let probe = PgConnection::connect_with(&options);
        match tokio::time::timeout(inner.shared.connect_timeout, probe).await {
            Ok(Ok(probe)) => drop(probe.close().await),
            Ok(Err(error)) => return Err(refused(&inner.place, error)),
            Err(_) => {
                let why = format!("{} does not answer", inner.place);
                return Err(StoreError::Unavailable(why.into()));
            }
        }
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

/// Why a connection was not made. A server that is full of them still answers those that it has.
fn refused(place: &str, error: sqlx::Error) -> StoreError {
    let code = error.as_database_error().and_then(|error| error.code());
    if code.as_deref() == Some(TOO_MANY_CONNECTIONS) {
        return StoreError::Open {
            place: place.to_owned(),
            detail: format!(
                "there is no connection left to hear of commits by; raise max_connections ({error})"
            ),
        };
    }
    errors::of_connect(place, error)
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
