//! Who is told when runs move, in SQLite.
//!
//! Comes in: the names of listeners. Goes out: the moves that they were not told of. It must never
//! step over a move.

use assay_model::ids::Epoch;
use async_trait::async_trait;

use super::SqliteStore;
use super::rows::{Cells, int};
use super::writer::{Operation, Padded as _, Reply, Stop, Tx};
use crate::error::StoreError;
use crate::moves::{Moves, RunMove};

const BEGIN: &str = "INSERT INTO told_moves (listener, seq) \
     SELECT ?1, coalesce((SELECT max(seq) FROM event WHERE kind IN ('run_moved', 'run_retried')), 0) \
     WHERE true ON CONFLICT (listener) DO NOTHING";

const AFTER: &str = "SELECT seq, run_id, state, at FROM event \
     WHERE seq > ?1 AND kind IN ('run_moved', 'run_retried') ORDER BY seq LIMIT ?2";

/// How far a listener has been told.
pub(super) async fn begin(tx: &mut Tx<'_>, listener: &str) -> Result<u64, Stop> {
    sqlx::query(BEGIN)
        .bind(listener)
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    let seq: i64 = sqlx::query_scalar("SELECT seq FROM told_moves WHERE listener = ?1")
        .bind(listener)
        .fetch_one(&mut *tx.connection)
        .await?;
    Ok(seq.unsigned_abs())
}

/// A listener was told of all up to `seq`.
pub(super) async fn told(tx: &mut Tx<'_>, listener: &str, seq: u64) -> Result<(), Stop> {
    sqlx::query("UPDATE told_moves SET seq = ?2 WHERE listener = ?1 AND seq < ?2")
        .bind(listener)
        .bind(int(seq))
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

#[async_trait]
impl Moves for SqliteStore {
    async fn begin_telling(&self, epoch: Epoch, listener: &str) -> Result<u64, StoreError> {
        let operation = Operation::BeginTelling(epoch, listener.to_owned());
        match self.ask(operation).await? {
            Reply::Count(seq) => Ok(seq),
            _ => super::jobs::mismatch(),
        }
    }

    async fn moves_after(&self, seq: u64, limit: u32) -> Result<Vec<RunMove>, StoreError> {
        let query = sqlx::query(AFTER).bind(int(seq)).bind(i64::from(limit));
        let read = |cells: &Cells<'_>| {
            Ok(RunMove {
                seq: cells.number("seq")?,
                run: cells.word("run_id")?,
                state: cells.word("state")?,
                at: cells.time("at")?,
            })
        };
        self.list(query, "event", read).await
    }

    async fn moves_told(&self, epoch: Epoch, listener: &str, seq: u64) -> Result<(), StoreError> {
        let operation = Operation::MovesTold(epoch, listener.to_owned(), seq);
        match self.ask(operation).await? {
            Reply::Done => Ok(()),
            _ => super::jobs::mismatch(),
        }
    }
}
