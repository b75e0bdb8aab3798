//! The port of the protocol's writes: each call becomes a request to the writer.
//!
//! Comes in: calls of [`JobStore`]. Goes out: answers after the commit. It must never hold a
//! transaction itself: a caller that goes away leaves a request that is served or was never sent.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::dataset::Dataset;
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, TaskId};
use assay_model::node::Node;
use assay_model::output::{Discovery, TaskOutput};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use tokio::sync::oneshot;

use super::outputs::Prepared;
use super::rows::{Cells, int, micros};
use super::writer::{Operation, Padded, Reply, Request, Stop, Tx};
use super::{SqliteStore, changes, sql};
use crate::error::StoreError;
use crate::port::{JobStore, Started, Unfinished};

/// A definition that is ready to be written.
pub(super) struct Definition {
    digest: String,
    dataset_id: String,
    version: String,
    tenant: Option<String>,
    body: String,
    dataset: Arc<Dataset>,
}

const MINT: &str = "UPDATE leader_epoch SET epoch = epoch + 1, holder = ?1, minted_at = ?2; \
     INSERT INTO event (at, epoch, kind, detail) \
     SELECT minted_at, epoch, 'epoch_minted', holder FROM leader_epoch";

/// The next epoch; every later request of the transaction is held against it.
pub(super) async fn mint(tx: &mut Tx<'_>, holder: &str) -> Result<Epoch, Stop> {
    sqlx::query(MINT)
        .bind(holder)
        .bind(micros(Timestamp::now()))
        .padded()
        .execute(&mut *tx.connection)
        .await?;
    tx.epoch = Epoch(tx.epoch.0 + 1);
    Ok(tx.epoch)
}

pub(super) async fn put_definition(tx: &mut Tx<'_>, new: &Definition) -> Result<(), Stop> {
    sqlx::query(
        "INSERT INTO definition (digest, dataset_id, version, tenant, body, stored_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, max(?6, 1 + (SELECT coalesce(max(stored_at), 0) \
             FROM definition WHERE dataset_id = ?2))) \
         ON CONFLICT (digest) DO UPDATE SET stored_at = excluded.stored_at \
         WHERE stored_at < (SELECT max(d.stored_at) FROM definition d WHERE d.dataset_id = ?2)",
    )
    .bind(&new.digest)
    .bind(&new.dataset_id)
    .bind(&new.version)
    .bind(new.tenant.as_deref())
    .bind(&new.body)
    .bind(micros(Timestamp::now()))
    .execute(&mut *tx.connection)
    .await?;
    tx.definitions.put(&new.digest, Arc::clone(&new.dataset));
    Ok(())
}

pub(super) async fn load(tx: &mut Tx<'_>) -> Result<Unfinished, Stop> {
    async fn rows(tx: &mut Tx<'_>, text: &'static str) -> Result<Vec<SqliteRow>, Stop> {
        Ok(sqlx::query(text).fetch_all(&mut *tx.connection).await?)
    }
    let mut unfinished = Unfinished::default();
    for row in &rows(tx, sql::LOAD_RUNS).await? {
        unfinished.runs.push(Cells { row, what: "run" }.run()?);
    }
    for row in &rows(tx, sql::LOAD_TASKS).await? {
        unfinished.tasks.push(Cells { row, what: "task" }.task()?);
    }
    for row in &rows(tx, sql::LOAD_PLANS).await? {
        let cells = Cells { row, what: "plan" };
        let plan = (cells.word("run_id")?, cells.json("plan")?);
        unfinished.plans.push(plan);
    }
    for row in &rows(tx, sql::LOAD_NODES).await? {
        unfinished.nodes.push(Cells { row, what: "node" }.node()?);
    }
    Ok(unfinished)
}

pub(super) async fn sent(tx: &mut Tx<'_>, keys: &[String], at: Timestamp) -> Result<u64, Stop> {
    let done = sqlx::query(
        "UPDATE outbox SET sent_at = ?2 WHERE sent_at IS NULL \
         AND key IN (SELECT value FROM json_each(?1))",
    )
    .bind(changes::json("key", &keys)?)
    .bind(micros(at))
    .execute(&mut *tx.connection)
    .await?;
    Ok(done.rows_affected())
}

impl SqliteStore {
    /// Hands `operation` to the writer and waits for its answer.
    pub(super) async fn ask(&self, operation: Operation) -> Result<Reply, StoreError> {
        let sender = self.inner.requests.lock().await.clone();
        let Some(sender) = sender else {
            return Err(StoreError::Unavailable(
                "it is closed, or open for reading only".into(),
            ));
        };
        let (answer, reply) = oneshot::channel();
        sender
            .send(Request { operation, answer })
            .await
            .map_err(|_| StoreError::Unavailable("its writer has ended".into()))?;
        match reply.await {
            Ok(reply) => reply,
            // The writer went away with the request in its hands.
            Err(_) => Err(StoreError::Unknown("its writer has ended".into())),
        }
    }

    /// The last slot of `dataset` that its schedule was turned into a run for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn schedule_watermark(
        &self,
        dataset: &DatasetId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut reader = self.reader().await?;
        let row = sqlx::query(sql::WATERMARK)
            .bind(dataset.as_str())
            .fetch_optional(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        row.map(|row| {
            Cells {
                row: &row,
                what: "schedule",
            }
            .time("emitted_through")
        })
        .transpose()
    }
}

/// An answer of another kind than the question has: cannot be, and is said if it is.
pub(super) fn mismatch<T>() -> Result<T, StoreError> {
    Err(StoreError::Unknown(
        "its writer answered another question".into(),
    ))
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn mint_epoch(&self, holder: &str) -> Result<Epoch, StoreError> {
        match self.ask(Operation::MintEpoch(holder.to_owned())).await? {
            Reply::Epoch(epoch) => Ok(epoch),
            _ => mismatch(),
        }
    }

    async fn load(&self, epoch: Epoch) -> Result<Unfinished, StoreError> {
        match self.ask(Operation::Load(epoch)).await? {
            Reply::Unfinished(unfinished) => Ok(*unfinished),
            _ => mismatch(),
        }
    }

    async fn put_definition(&self, dataset: &Dataset) -> Result<(), StoreError> {
        let definition = Definition {
            digest: dataset.digest(),
            dataset_id: dataset.id.to_string(),
            version: dataset.version.clone(),
            tenant: dataset.tenant.clone(),
            body: changes::json("definition", dataset)?,
            dataset: Arc::new(dataset.clone()),
        };
        match self.ask(Operation::PutDefinition(definition)).await? {
            Reply::Done => Ok(()),
            _ => mismatch(),
        }
    }

    async fn commit(&self, epoch: Epoch, changes: &[Change]) -> Result<Vec<Answer>, StoreError> {
        match self.ask(Operation::Commit(epoch, changes.to_vec())).await? {
            Reply::Answers(answers) => Ok(answers),
            _ => mismatch(),
        }
    }

    async fn register(&self, epoch: Epoch, node: &Node) -> Result<Incarnation, StoreError> {
        match self.ask(Operation::Register(epoch, node.clone())).await? {
            Reply::Incarnation(incarnation) => Ok(incarnation),
            _ => mismatch(),
        }
    }

    async fn start(
        &self,
        token: &AttemptToken,
        at: Timestamp,
    ) -> Result<Option<Started>, StoreError> {
        match self.ask(Operation::Start(*token, at)).await? {
            Reply::Started(started) => Ok(started.map(|s| *s)),
            _ => mismatch(),
        }
    }

    async fn complete(
        &self,
        token: &AttemptToken,
        output: &TaskOutput,
        at: Timestamp,
    ) -> Result<Answer, StoreError> {
        let prepared = Box::new(Prepared::of(output)?);
        match self.ask(Operation::Complete(*token, prepared, at)).await? {
            Reply::Answer(answer) => Ok(answer),
            _ => mismatch(),
        }
    }

    async fn plan_of(&self, task: TaskId) -> Result<Option<Discovery>, StoreError> {
        let mut reader = self.reader().await?;
        let row = sqlx::query(sql::PLAN_OF)
            .bind(task.run.to_string())
            .bind(int(u64::from(task.no)))
            .fetch_optional(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        row.map(|row| {
            Cells {
                row: &row,
                what: "plan",
            }
            .json("plan")
        })
        .transpose()
    }

    async fn sent(&self, epoch: Epoch, keys: &[String], at: Timestamp) -> Result<u64, StoreError> {
        match self.ask(Operation::Sent(epoch, keys.to_vec(), at)).await? {
            Reply::Count(count) => Ok(count),
            _ => mismatch(),
        }
    }
}
