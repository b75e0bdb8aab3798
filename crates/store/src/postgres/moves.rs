//! Who is told when runs move, in Postgres.
//!
//! Comes in: the names of listeners. Goes out: the moves that they were not told of. It must never
//! step over a move.

use assay_model::ids::Epoch;
use async_trait::async_trait;
use sqlx::PgConnection;

use super::PostgresStore;
use super::calls::{Call, Reply, Stop, fenced};
use super::rows::Cells;
use crate::error::StoreError;
use crate::moves::{Moves, RunMove};
use crate::values::int;

const AFTER: &str = "SELECT seq, run_id, state, at FROM event \
     WHERE seq > $1 AND kind IN ('run_moved', 'run_retried') ORDER BY seq LIMIT $2";

/// Begins with a listener, or notes how far it has been told.
pub(super) async fn make(
    connection: &mut PgConnection,
    call: &Call,
) -> Result<Result<Reply, StoreError>, Stop> {
    Ok(match call {
        Call::BeginTelling(epoch, listener) => {
            let seq: i64 = sqlx::query_scalar("SELECT begin_telling($1, $2)")
                .bind(int(epoch.0))
                .bind(listener)
                .fetch_one(connection)
                .await
                .map_err(fenced(*epoch))?;
            Ok(Reply::Count(seq.unsigned_abs()))
        }
        Call::MovesTold(epoch, listener, seq) => {
            sqlx::query("SELECT tell_moves($1, $2, $3)")
                .bind(int(epoch.0))
                .bind(listener)
                .bind(int(*seq))
                .execute(connection)
                .await
                .map_err(fenced(*epoch))?;
            Ok(Reply::Done)
        }
        _ => super::jobs::mismatch(),
    })
}

#[async_trait]
impl Moves for PostgresStore {
    async fn begin_telling(&self, epoch: Epoch, listener: &str) -> Result<u64, StoreError> {
        let call = Call::BeginTelling(epoch, listener.to_owned());
        match self.inner.leader.ask(call).await? {
            Reply::Count(seq) => Ok(seq),
            _ => super::jobs::mismatch(),
        }
    }

    async fn moves_after(&self, seq: u64, limit: u32) -> Result<Vec<RunMove>, StoreError> {
        let query = sqlx::query(AFTER).bind(int(seq)).bind(i64::from(limit));
        let read = |cells: &Cells<'_>| {
            Ok(RunMove {
                seq: cells.number("seq")?,
                run: cells.run_id("run_id")?,
                state: cells.word("state")?,
                at: cells.time("at")?,
            })
        };
        self.list(query, "event", read).await
    }

    async fn moves_told(&self, epoch: Epoch, listener: &str, seq: u64) -> Result<(), StoreError> {
        let call = Call::MovesTold(epoch, listener.to_owned(), seq);
        match self.inner.leader.ask(call).await? {
            Reply::Done => Ok(()),
            _ => super::jobs::mismatch(),
        }
    }
}
