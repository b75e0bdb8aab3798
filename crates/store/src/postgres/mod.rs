//! The adapter of a cluster: one Postgres (15 or newer) holds the whole state of record.
//!
//! Comes in: the calls of the two ports. Goes out: answers, after the server has committed. It must
//! never hold a transaction open across a pause of this program: each fenced write is one statement,
//! a function of the database that compares the epoch or the attempt's token with what is stored.
//!
//! Three lanes keep callers apart ([`PostgresOptions`]): completions of nodes, changes of the leader,
//! and reads. A flood of reads or assignments never holds up the result of work that is done.

mod access;
mod audit;
mod calls;
mod changes;
mod clock;
mod errors;
mod feedback;
mod fleet;
mod health;
#[cfg(feature = "iam")]
mod iam;
mod jobs;
mod lane;
mod moves;
mod news;
mod notices;
mod open;
mod outputs;
mod reads;
mod results;
mod rows;
mod size;
mod sql;

use std::sync::Arc;

pub use access::{Password, Passwords};
#[cfg(feature = "iam")]
pub use iam::iam;
pub use open::PostgresOptions;

use crate::error::StoreError;

/// The state of record in a Postgres database.
///
/// Clones share the store and its connections. Dropping the last one closes them when what was
/// handed in has been answered.
#[derive(Clone)]
pub struct PostgresStore {
    inner: Arc<Inner>,
}

struct Inner {
    place: String,
    shared: Arc<lane::Shared>,
    /// Starts and completions.
    nodes: lane::Lane,
    /// What carries an epoch.
    leader: lane::Lane,
    readers: sqlx::PgPool,
    /// The same for reads by keys, whose plans are kept.
    by_key: sqlx::PgPool,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("place", &self.inner.place)
            .finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Where the store is, without a password: `host:port/database`.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.inner.place
    }

    /// Answers what was handed in and closes the connections. Later calls answer
    /// [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.inner.nodes.close().await;
        self.inner.leader.close().await;
        self.inner.readers.close().await;
        self.inner.by_key.close().await;
    }

    /// What tells this store from every other, wherever it is reached from: its server's own
    /// number, its database and its schema.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn identity(&self) -> Result<String, StoreError> {
        let sql = "SELECT 'store ' || system_identifier || '/' || \
                   (SELECT oid FROM pg_database WHERE datname = current_database()) || '/' || \
                   coalesce(current_schema(), '') FROM pg_control_system()";
        sqlx::query_scalar(sql)
            .fetch_one(&self.inner.readers)
            .await
            .map_err(|e| errors::of_read(&self.inner.place, e))
    }

    /// Whether the server answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1")
            .execute(&self.inner.readers)
            .await
            .map(|_| ())
            .map_err(|e| errors::of_read(&self.inner.place, e))
    }
}
