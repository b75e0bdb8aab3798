//! The audit log in Postgres.
//!
//! Comes in: records and questions. Goes out: entries. It must never write a row itself: the function
//! `append_audit` of the database does, with a clock and a place in the chain that no caller chooses.

use async_trait::async_trait;
use sqlx::PgConnection;

use super::calls::{Call, Reply, Stop};
use super::rows::Cells;
use super::{PostgresStore, jobs};
use crate::audit::{Audit, AuditEntry, AuditHead, AuditRecord};
use crate::error::StoreError;
use crate::values::{corrupt, int};

const APPEND: &str = "SELECT * FROM append_audit($1, $2, $3, $4, $5, $6, $7)";
const AFTER: &str = "SELECT * FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2";
const BEFORE: &str = "SELECT * FROM audit_log WHERE seq < $1 ORDER BY seq DESC LIMIT $2";
const HEAD: &str = "SELECT seq, hash FROM audit_head WHERE id = 1";
const ENTRY: &str = "entry of the audit log";

/// The next entry of the chain.
pub(super) async fn append(
    connection: &mut PgConnection,
    record: &AuditRecord,
) -> Result<AuditEntry, Stop> {
    let row = sqlx::query(APPEND)
        .bind(record.request)
        .bind(record.stage.word())
        .bind(&record.who)
        .bind(&record.rights)
        .bind(&record.action)
        .bind(&record.object)
        .bind(&record.detail)
        .fetch_one(connection)
        .await?;
    let cells = Cells {
        row: &row,
        what: ENTRY,
    };
    Ok(entry(&cells)?)
}

fn entry(cells: &Cells<'_>) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        seq: cells.number("seq")?,
        at: cells.time("at")?,
        record: AuditRecord {
            request: cells.get("request")?,
            stage: cells.word("stage")?,
            who: cells.text("who")?,
            rights: cells.text("rights")?,
            action: cells.text("action")?,
            object: cells.text("object")?,
            detail: cells.text("detail")?,
        },
        previous: cells.text("previous")?,
        hash: cells.text("hash")?,
    })
}

#[async_trait]
impl Audit for PostgresStore {
    async fn append(&self, record: &AuditRecord) -> Result<AuditEntry, StoreError> {
        let call = Call::Audit(Box::new(record.clone().plain()));
        match self.inner.leader.ask(call).await? {
            Reply::Audited(entry) => Ok(*entry),
            _ => jobs::mismatch(),
        }
    }

    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let query = sqlx::query(AFTER).bind(int(seq)).bind(i64::from(limit));
        self.list(query, ENTRY, entry).await
    }

    async fn before(&self, seq: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let query = sqlx::query(BEFORE)
            .bind(seq.map_or(i64::MAX, int))
            .bind(i64::from(limit));
        self.list(query, ENTRY, entry).await
    }

    async fn head(&self) -> Result<AuditHead, StoreError> {
        let heads = self.list(sqlx::query(HEAD), "head of the audit log", |cells| {
            Ok(AuditHead {
                seq: cells.number("seq")?,
                hash: cells.text("hash")?,
            })
        });
        let mut heads = heads.await?;
        heads
            .pop()
            .ok_or_else(|| corrupt("head of the audit log", "it is not there"))
    }
}
