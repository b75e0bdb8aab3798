//! The port of the protocol's writes: each call goes down its lane.
//!
//! Comes in: calls of [`JobStore`]. Goes out: answers after the commit. It must never hold a
//! connection itself while it waits for anything else than the server.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::dataset::Dataset;
use assay_model::ids::{AttemptToken, Epoch, Incarnation, RunId, TaskId};
use assay_model::node::Node;
use assay_model::output::{Discovery, TaskOutput};
use assay_model::unfinished::{MoreTasks, PlanPage, RunRows, TasksHeld, TasksRead};
use async_trait::async_trait;
use futures::TryStreamExt;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};

use super::calls::{Call, Definition, Reply};
use super::changes::{Commit, body};
use super::outputs::Prepared;
use super::rows::Cells;
use super::{PostgresStore, errors, sql};
use crate::error::StoreError;
use crate::held::{Gathered, Group};
use crate::plans;
use crate::port::{JobStore, Started, Unfinished};
use crate::values::int;

/// An answer of another kind than the question has: cannot be, and is said if it is.
pub(super) fn mismatch<T>() -> Result<T, StoreError> {
    Err(StoreError::Unknown("another question was answered".into()))
}

/// The runs that have not ended, or one of them, with what is held of their tasks.
async fn gather(
    connection: &mut PgConnection,
    place: &str,
    only: Option<RunId>,
    share: impl Fn(usize) -> usize,
) -> Result<Vec<RunRows>, StoreError> {
    let fail = |e: sqlx::Error| errors::of_read(place, e);
    let only = only.map(|run| run.0);
    let rows: Vec<PgRow> = sqlx::query(sql::LOAD_RUNS)
        .bind(only)
        .fetch_all(&mut *connection)
        .await
        .map_err(fail)?;
    let mut runs = Vec::with_capacity(rows.len());
    for row in &rows {
        let cells = Cells { row, what: "run" };
        runs.push((cells.run()?, cells.get("planned")?));
    }
    let most = i64::try_from(share(runs.len())).unwrap_or(i64::MAX);
    let mut gathered = Gathered::of(runs);
    let rows: Vec<PgRow> = sqlx::query(sql::LOAD_GROUPS)
        .bind(only)
        .fetch_all(&mut *connection)
        .await
        .map_err(fail)?;
    for row in &rows {
        let cells = Cells { row, what: "task" };
        gathered.group(Group {
            run: cells.run_id("run_id")?,
            state: cells.word("state")?,
            tasks: cells.number("tasks")?,
            judges: cells.number("judges")?,
            first: cells.number("first")?,
            last: cells.number("last")?,
            reason: cells.text_or_none("reason")?,
        })?;
    }
    let mut rows = sqlx::query(sql::LOAD_TASKS)
        .bind(only)
        .bind(most)
        .fetch(&mut *connection);
    while let Some(row) = rows.try_next().await.map_err(fail)? {
        let row = &row;
        gathered.task(Cells { row, what: "task" }.task()?)?;
    }
    Ok(gathered.runs())
}

/// Everything that is read after it is of one moment.
async fn at_one_moment(connection: &mut PgConnection, place: &str) -> Result<(), StoreError> {
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(connection)
        .await
        .map_err(|e| errors::of_read(place, e))?;
    Ok(())
}

/// All that is unfinished, as it was at one moment.
async fn unfinished(
    connection: &mut PgConnection,
    place: &str,
    epoch: Epoch,
    held: TasksHeld,
) -> Result<Unfinished, StoreError> {
    at_one_moment(connection, place).await?;
    let in_force: i64 = sqlx::query_scalar(sql::EPOCH)
        .fetch_one(&mut *connection)
        .await
        .map_err(|e| errors::of_read(place, e))?;
    if in_force != int(epoch.0) {
        return Err(StoreError::FencedEpoch { epoch: epoch.0 });
    }
    let runs = gather(connection, place, None, |runs| held.share(runs)).await?;
    let rows: Vec<PgRow> = sqlx::query(sql::LOAD_NODES)
        .fetch_all(&mut *connection)
        .await
        .map_err(|e| errors::of_read(place, e))?;
    let nodes = rows.iter().map(|row| Cells { row, what: "node" }.node());
    let nodes = nodes.collect::<Result<_, _>>()?;
    Ok(Unfinished { runs, nodes })
}

impl PostgresStore {
    /// Reads with a connection of its own, which is closed in any case: a caller that goes away in the
    /// middle leaves no transaction behind.
    async fn closing<T>(
        &self,
        read: impl AsyncFnOnce(&mut PgConnection, &str) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let shared = &self.inner.shared;
        let mut connection = shared.connect().await?;
        let found = read(&mut connection, &shared.place).await;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "a connection was not closed cleanly");
        }
        found
    }

    /// Keeps the pages of a plan that its attempt is about to complete with.
    async fn keep_plan(
        &self,
        token: &AttemptToken,
        pages: Vec<(u32, String)>,
    ) -> Result<(), StoreError> {
        for (first, body) in pages {
            let call = Call::KeepPlanPage(*token, first, body);
            match self.inner.nodes.ask(call).await? {
                Reply::Done => {}
                _ => return mismatch(),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl JobStore for PostgresStore {
    async fn mint_epoch(&self, holder: &str) -> Result<Epoch, StoreError> {
        let call = Call::MintEpoch(holder.to_owned());
        match self.inner.leader.ask(call).await? {
            Reply::Epoch(epoch) => Ok(epoch),
            _ => mismatch(),
        }
    }

    async fn load(&self, epoch: Epoch, held: TasksHeld) -> Result<Unfinished, StoreError> {
        self.closing(async |connection: &mut PgConnection, place: &str| {
            unfinished(connection, place, epoch, held).await
        })
        .await
    }

    async fn unfinished_run(&self, run: RunId, most: usize) -> Result<Option<RunRows>, StoreError> {
        self.closing(async |connection: &mut PgConnection, place: &str| {
            at_one_moment(connection, place).await?;
            let mut found = gather(connection, place, Some(run), |_| most).await?;
            Ok(found.pop())
        })
        .await
    }

    async fn more_tasks(&self, asked: &MoreTasks) -> Result<TasksRead, StoreError> {
        let unended = if asked.believed.is_empty() {
            Vec::new()
        } else {
            let believed: Vec<i64> = asked.believed.iter().map(|no| i64::from(*no)).collect();
            let query = sqlx::query(sql::UNENDED).bind(asked.run.0).bind(believed);
            self.list(query, "task", |cells| cells.number("no")).await?
        };
        let query = sqlx::query(sql::MORE_TASKS)
            .bind(asked.run.0)
            .bind(i64::from(asked.after))
            .bind(i64::try_from(asked.most).unwrap_or(i64::MAX));
        let tasks = self.list(query, "task", |cells| cells.task()).await?;
        Ok(TasksRead { tasks, unended })
    }

    async fn put_definition(&self, dataset: &Dataset) -> Result<(), StoreError> {
        let definition = Definition {
            digest: dataset.digest(),
            dataset_id: dataset.id.to_string(),
            version: dataset.version.clone(),
            tenant: dataset.tenant.clone(),
            body: body("definition", dataset)?,
            dataset: Arc::new(dataset.clone()),
        };
        let call = Call::PutDefinition(definition);
        match self.inner.leader.ask(call).await? {
            Reply::Done => Ok(()),
            _ => mismatch(),
        }
    }

    async fn commit(&self, epoch: Epoch, changes: &[Change]) -> Result<Vec<Answer>, StoreError> {
        let call = Call::Commit(epoch, Commit::of(changes)?);
        match self.inner.leader.ask(call).await? {
            Reply::Answers(answers) if answers.len() == changes.len() => Ok(answers),
            _ => mismatch(),
        }
    }

    async fn register(&self, epoch: Epoch, node: &Node) -> Result<Incarnation, StoreError> {
        let call = Call::Register(epoch, node.clone());
        match self.inner.leader.ask(call).await? {
            Reply::Incarnation(incarnation) => Ok(incarnation),
            _ => mismatch(),
        }
    }

    async fn start(
        &self,
        token: &AttemptToken,
        at: Timestamp,
    ) -> Result<Option<Started>, StoreError> {
        match self.inner.nodes.ask(Call::Start(*token, at)).await? {
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
        let (output, pages) = Prepared::of(output)?;
        self.keep_plan(token, pages).await?;
        let call = Call::Complete(*token, output, at);
        match self.inner.nodes.ask(call).await? {
            Reply::Answer(answer) => Ok(answer),
            _ => mismatch(),
        }
    }

    async fn plan_page(&self, task: TaskId, from: u32) -> Result<Option<PlanPage>, StoreError> {
        let query = sqlx::query(sql::PLAN_OF)
            .bind(task.run.0)
            .bind(i64::from(task.no));
        let found: Vec<Discovery> = self.list(query, "plan", |cells| cells.json("plan")).await?;
        if let Some(whole) = found.first() {
            return Ok(Some(PlanPage::rest(whole.tasks(task.run), from)));
        }
        let query = sqlx::query(sql::PLAN_PAGE)
            .bind(task.run.0)
            .bind(i64::from(task.no))
            .bind(i64::from(from));
        let page = |cells: &Cells<'_>| {
            let (first, is_last) = (cells.number("first")?, cells.get("is_last")?);
            plans::page(task.run, first, cells.get("body")?, from, is_last)
        };
        Ok(self.list(query, "plan", page).await?.pop())
    }

    async fn sent(&self, epoch: Epoch, keys: &[String], at: Timestamp) -> Result<u64, StoreError> {
        let call = Call::Sent(epoch, keys.to_vec(), at);
        match self.inner.leader.ask(call).await? {
            Reply::Count(count) => Ok(count),
            _ => mismatch(),
        }
    }
}
