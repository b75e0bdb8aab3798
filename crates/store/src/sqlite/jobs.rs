//! The port of the protocol's writes: each call becomes a request to the writer.
//!
//! Comes in: calls of [`JobStore`]. Goes out: answers after the commit. It must never hold a
//! transaction itself: a caller that goes away leaves a request that is served or was never sent.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::dataset::Dataset;
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, RunId, TaskId};
use assay_model::node::Node;
use assay_model::output::{Discovery, TaskOutput};
use assay_model::unfinished::{MoreTasks, PlanPage, RunRows, TasksHeld, TasksRead};
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::outputs::Prepared;
use super::rows::{Cells, int, micros};
use super::writer::{Operation, Padded, Reply, Request, Stop, Tx};
use super::{SqliteStore, changes, sql};
use crate::error::StoreError;
use crate::held::{Gathered, Group};
use crate::plans;
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

async fn held_tasks(
    tx: &mut Tx<'_>,
    run: RunId,
    most: usize,
    gathered: &mut Gathered,
) -> Result<(), Stop> {
    let id = run.to_string();
    let groups = sqlx::query(sql::LOAD_GROUPS)
        .bind(&id)
        .fetch_all(&mut *tx.connection)
        .await?;
    for row in &groups {
        let cells = Cells { row, what: "task" };
        gathered.group(Group {
            run,
            state: cells.word("state")?,
            tasks: cells.number("tasks")?,
            judges: cells.number("judges")?,
            first: cells.number("first")?,
            last: cells.number("last")?,
            reason: cells.get("reason")?,
        })?;
    }
    let mut tasks = sqlx::query(sql::LOAD_AT_WORK)
        .bind(&id)
        .fetch_all(&mut *tx.connection)
        .await?;
    let ready = sqlx::query(sql::LOAD_READY)
        .bind(&id)
        .bind(int(most as u64))
        .fetch_all(&mut *tx.connection);
    tasks.extend(ready.await?);
    let mut held = Vec::with_capacity(tasks.len());
    for row in &tasks {
        held.push(Cells { row, what: "task" }.task()?);
    }
    // The discovery may be ready, too; it is among the first.
    held.sort_by_key(|task| task.id.no);
    for task in held {
        gathered.task(task)?;
    }
    Ok(())
}

/// The runs that have not ended, or one of them, with what is held of their tasks.
async fn gather(
    tx: &mut Tx<'_>,
    only: Option<RunId>,
    share: impl Fn(usize) -> usize,
) -> Result<Vec<RunRows>, Stop> {
    let rows = sqlx::query(sql::LOAD_RUNS)
        .bind(only.map(|run| run.to_string()))
        .fetch_all(&mut *tx.connection)
        .await?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        let cells = Cells { row, what: "run" };
        runs.push((cells.run()?, cells.get("planned")?));
    }
    let most = share(runs.len());
    let ids: Vec<RunId> = runs.iter().map(|(run, _)| run.id).collect();
    let mut gathered = Gathered::of(runs);
    for run in ids {
        held_tasks(tx, run, most, &mut gathered).await?;
    }
    Ok(gathered.runs())
}

/// One run, if it has not ended.
pub(super) async fn load_run(
    tx: &mut Tx<'_>,
    run: RunId,
    most: usize,
) -> Result<Option<Box<RunRows>>, Stop> {
    let found = gather(tx, Some(run), |_| most).await?;
    Ok(found.into_iter().next().map(Box::new))
}

pub(super) async fn load(tx: &mut Tx<'_>, held: TasksHeld) -> Result<Unfinished, Stop> {
    let runs = gather(tx, None, |runs| held.share(runs)).await?;
    let rows = sqlx::query(sql::LOAD_NODES)
        .fetch_all(&mut *tx.connection)
        .await?;
    let mut nodes = Vec::with_capacity(rows.len());
    for row in &rows {
        nodes.push(Cells { row, what: "node" }.node()?);
    }
    Ok(Unfinished { runs, nodes })
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

    async fn load(&self, epoch: Epoch, held: TasksHeld) -> Result<Unfinished, StoreError> {
        match self.ask(Operation::Load(epoch, held)).await? {
            Reply::Unfinished(unfinished) => Ok(*unfinished),
            _ => mismatch(),
        }
    }

    async fn unfinished_run(&self, run: RunId, most: usize) -> Result<Option<RunRows>, StoreError> {
        match self.ask(Operation::LoadRun(run, most)).await? {
            Reply::Run(rows) => Ok(rows.map(|rows| *rows)),
            _ => mismatch(),
        }
    }

    async fn more_tasks(&self, asked: &MoreTasks) -> Result<TasksRead, StoreError> {
        let run = asked.run.to_string();
        let mut reader = self.reader().await?;
        let mut read = TasksRead::default();
        if !asked.believed.is_empty() {
            let rows = sqlx::query(sql::UNENDED)
                .bind(&run)
                .bind(changes::json("task", &asked.believed)?)
                .fetch_all(&mut *reader)
                .await
                .map_err(|e| self.read_error(e))?;
            for row in &rows {
                read.unended.push(Cells { row, what: "task" }.number("no")?);
            }
        }
        let rows = sqlx::query(sql::MORE_TASKS)
            .bind(&run)
            .bind(i64::from(asked.after))
            .bind(int(asked.most as u64))
            .fetch_all(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        for row in &rows {
            read.tasks.push(Cells { row, what: "task" }.task()?);
        }
        Ok(read)
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

    async fn plan_page(&self, task: TaskId, from: u32) -> Result<Option<PlanPage>, StoreError> {
        let mut reader = self.reader().await?;
        let row = sqlx::query(sql::PLAN_OF)
            .bind(task.run.to_string())
            .bind(int(u64::from(task.no)))
            .fetch_optional(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        if let Some(row) = &row {
            let whole: Discovery = Cells { row, what: "plan" }.json("plan")?;
            return Ok(Some(PlanPage::rest(whole.tasks(task.run), from)));
        }
        let row = sqlx::query(sql::PLAN_PAGE)
            .bind(task.run.to_string())
            .bind(int(u64::from(task.no)))
            .bind(i64::from(from))
            .fetch_optional(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        let Some(row) = &row else {
            return Ok(None);
        };
        let cells = Cells { row, what: "plan" };
        let (first, is_last) = (cells.number("first")?, cells.get("is_last")?);
        plans::page(task.run, first, cells.get("body")?, from, is_last).map(Some)
    }

    async fn sent(&self, epoch: Epoch, keys: &[String], at: Timestamp) -> Result<u64, StoreError> {
        match self.ask(Operation::Sent(epoch, keys.to_vec(), at)).await? {
            Reply::Count(count) => Ok(count),
            _ => mismatch(),
        }
    }
}
