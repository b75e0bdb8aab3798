//! The audit log in a file.
//!
//! Comes in: records, by way of the writer; questions. Goes out: entries. It must never write an
//! entry beside the chain: the head is read and moved in the entry's own transaction.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;

use super::rows::{Cells, int, micros};
use super::writer::{Operation, Reply, Stop, Tx};
use super::{SqliteStore, jobs};
use crate::audit::{Audit, AuditEntry, AuditHead, AuditRecord, chain};
use crate::error::StoreError;

const OF_REQUEST: &str = "SELECT * FROM audit_log WHERE request = ?1 AND stage = ?2";
const AFTER: &str = "SELECT * FROM audit_log WHERE seq > ?1 ORDER BY seq LIMIT ?2";
const BEFORE: &str = "SELECT * FROM audit_log WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";
const HEAD: &str = "SELECT seq, hash FROM audit_head WHERE id = 1";
const INSERT: &str = "INSERT INTO audit_log (seq, at, request, stage, who, rights, action, object, \
     detail, previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
const MOVE: &str = "UPDATE audit_head SET seq = ?1, hash = ?2 WHERE id = 1";

/// The next entry of the chain.
pub(super) async fn append(tx: &mut Tx<'_>, record: &AuditRecord) -> Result<AuditEntry, Stop> {
    let there = sqlx::query(OF_REQUEST)
        .bind(record.request.to_string())
        .bind(record.stage.word())
        .fetch_optional(&mut *tx.connection)
        .await?;
    if let Some(row) = there {
        return Ok(entry(&row)?);
    }
    let row = sqlx::query(HEAD).fetch_one(&mut *tx.connection).await?;
    let head = head(&row)?;
    // As precise as it is stored.
    let at = micros(Timestamp::now());
    let at = Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
    let seq = head.seq + 1;
    let new = AuditEntry {
        seq,
        at,
        hash: chain(&head.hash, seq, at, record),
        previous: head.hash,
        record: record.clone(),
    };
    sqlx::query(INSERT)
        .bind(int(new.seq))
        .bind(micros(new.at))
        .bind(new.record.request.to_string())
        .bind(new.record.stage.word())
        .bind(&new.record.who)
        .bind(&new.record.rights)
        .bind(&new.record.action)
        .bind(&new.record.object)
        .bind(&new.record.detail)
        .bind(&new.previous)
        .bind(&new.hash)
        .execute(&mut *tx.connection)
        .await?;
    sqlx::query(MOVE)
        .bind(int(new.seq))
        .bind(&new.hash)
        .execute(&mut *tx.connection)
        .await?;
    Ok(new)
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, StoreError> {
    let cells = Cells {
        row,
        what: "entry of the audit log",
    };
    Ok(AuditEntry {
        seq: cells.number("seq")?,
        at: cells.time("at")?,
        record: AuditRecord {
            request: cells.word("request")?,
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

fn head(row: &SqliteRow) -> Result<AuditHead, StoreError> {
    let cells = Cells {
        row,
        what: "head of the audit log",
    };
    Ok(AuditHead {
        seq: cells.number("seq")?,
        hash: cells.text("hash")?,
    })
}

impl SqliteStore {
    async fn entries(
        &self,
        query: &'static str,
        seq: i64,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = sqlx::query(query)
            .bind(seq)
            .bind(i64::from(limit))
            .fetch_all(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        rows.iter().map(entry).collect()
    }
}

#[async_trait]
impl Audit for SqliteStore {
    async fn append(&self, record: &AuditRecord) -> Result<AuditEntry, StoreError> {
        match self.ask(Operation::Audit(record.clone().plain())).await? {
            Reply::Audited(entry) => Ok(*entry),
            _ => jobs::mismatch(),
        }
    }

    async fn after(&self, seq: u64, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.entries(AFTER, int(seq), limit).await
    }

    async fn before(&self, seq: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.entries(BEFORE, seq.map_or(i64::MAX, int), limit).await
    }

    async fn head(&self) -> Result<AuditHead, StoreError> {
        let mut reader = self.reader().await?;
        let row = sqlx::query(HEAD)
            .fetch_one(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        head(&row)
    }
}
