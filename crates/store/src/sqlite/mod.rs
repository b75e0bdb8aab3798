//! The embedded adapter: one SQLite file holds the whole state of record.
//!
//! Comes in: the calls of the two ports. Goes out: answers, after the commit. It must never let a
//! caller's cancellation leave a transaction open, and never let `SQLITE_BUSY` reach a caller of
//! the same process: one task owns the only writing connection (`writer`) and commits the waiting
//! requests together; a few connections read beside it.
//!
//! # Durability
//! The file is in WAL mode. With [`Durability::Process`] (the default) a commit survives `kill -9`
//! of the process; a loss of power may take the last commits with it, but never leaves half of one
//! and never damages the file. [`Durability::Power`] waits for the disk at every commit.

mod attempts;
mod audit;
mod changes;
mod copies;
mod errors;
mod evaluated;
mod feedback;
mod fleet;
mod jobs;
mod measured;
mod moves;
mod notices;
mod open;
mod outputs;
mod reads;
mod retry;
mod rows;
mod size;
mod snapshot;
pub(crate) mod sql;
mod states;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use assay_model::ids::DatasetId;
use sqlx::SqliteConnection;
use tokio::sync::{Mutex, MutexGuard, mpsc};

use crate::definitions::Definitions;
use crate::error::StoreError;
use crate::examined::{Dialect, Examined};
use crate::news::{News, Teller};

/// What a commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The death of the process (`synchronous = NORMAL`).
    #[default]
    Process,
    /// A loss of power too (`synchronous = FULL`): every commit waits for the disk.
    Power,
}

/// How a store is opened.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// Read only: no migration, and every write is refused.
    pub read_only: bool,
    /// What a commit survives.
    pub durability: Durability,
    /// The greatest size of the file in pages of 4 KiB; beyond it the store is full.
    pub max_pages: Option<u32>,
}

/// The state of record in one SQLite file, or in memory.
///
/// Clones share the store. Dropping the last one closes it; [`SqliteStore::close`] waits for that.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    place: String,
    path: Option<PathBuf>,
    /// Whether the last write found no space.
    full: Arc<std::sync::atomic::AtomicBool>,
    /// Absent when the store is read-only.
    requests: Mutex<Option<mpsc::Sender<writer::Request>>>,
    writer: Mutex<Option<tokio::task::JoinHandle<()>>>,
    readers: Readers,
    teller: Teller,
}

/// The connections that read. In memory there is a single one, shared with the writer.
enum Readers {
    Pool(sqlx::SqlitePool),
    Single(Arc<Mutex<SqliteConnection>>),
}

/// A connection to read with, given back when dropped.
enum Reader<'a> {
    Pooled(sqlx::pool::PoolConnection<sqlx::Sqlite>),
    Single(MutexGuard<'a, SqliteConnection>),
}

impl std::ops::Deref for Reader<'_> {
    type Target = SqliteConnection;
    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Single(connection) => connection,
        }
    }
}

impl std::ops::DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Single(connection) => connection,
        }
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("place", &self.inner.place)
            .finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// A connection to read with.
    async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        match &self.inner.readers {
            Readers::Pool(pool) => Ok(Reader::Pooled(
                pool.acquire()
                    .await
                    .map_err(|e| errors::of_statement(&self.inner.place, e))?,
            )),
            Readers::Single(connection) => Ok(Reader::Single(connection.lock().await)),
        }
    }

    /// What an error of a read means.
    fn read_error(&self, error: sqlx::Error) -> StoreError {
        errors::of_statement(&self.inner.place, error)
    }

    /// Changes rows behind the store's back, past every guard of the database.
    #[cfg(test)]
    pub(crate) async fn corrupt(&self, statement: &'static str) {
        use sqlx::Connection;
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(self.path().unwrap())
            .foreign_keys(false)
            .pragma("ignore_check_constraints", "ON");
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        for unguard in [
            "DROP TRIGGER event_is_never_changed",
            "DROP TRIGGER event_is_never_deleted",
        ] {
            sqlx::query(unguard).execute(&mut connection).await.unwrap();
        }
        let changed = sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
        assert!(
            changed.rows_affected() > 0,
            "nothing to corrupt: {statement}"
        );
        connection.close().await.unwrap();
    }

    /// Whether the last write found no space left: nothing is written until there is some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.inner.full.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The file, or `None` in memory.
    #[must_use]
    pub fn path(&self) -> Option<&std::path::Path> {
        self.inner.path.as_deref()
    }
}

#[async_trait::async_trait]
impl News for SqliteStore {
    /// Only what this very store writes is heard of: a file has one writer.
    async fn follow(&self) -> Result<mpsc::Receiver<DatasetId>, StoreError> {
        Ok(self.inner.teller.follow())
    }
}

#[async_trait::async_trait]
impl Examined for SqliteStore {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn texts(&self, query: &'static str) -> Result<Vec<String>, StoreError> {
        let mut reader = self.reader().await?;
        sqlx::query_scalar(query)
            .fetch_all(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))
    }
}
