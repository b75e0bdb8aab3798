//! The port of the protocol's writes: each call goes down its lane.
//!
//! Comes in: calls of [`JobStore`]. Goes out: answers after the commit. It must never hold a
//! connection itself while it waits for anything else than the server.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::dataset::Dataset;
use assay_model::ids::{AttemptToken, Epoch, Incarnation, TaskId};
use assay_model::node::Node;
use assay_model::output::{Discovery, TaskOutput};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};

use super::calls::{Call, Definition, Reply};
use super::changes::{Commit, body};
use super::outputs::Prepared;
use super::rows::Cells;
use super::{PostgresStore, errors, sql};
use crate::error::StoreError;
use crate::port::{JobStore, Started, Unfinished};
use crate::values::int;

/// An answer of another kind than the question has: cannot be, and is said if it is.
pub(super) fn mismatch<T>() -> Result<T, StoreError> {
    Err(StoreError::Unknown("another question was answered".into()))
}

/// All that is unfinished, as it was at one moment.
async fn unfinished(
    connection: &mut PgConnection,
    place: &str,
    epoch: Epoch,
) -> Result<Unfinished, StoreError> {
    async fn rows(
        connection: &mut PgConnection,
        place: &str,
        text: &'static str,
    ) -> Result<Vec<PgRow>, StoreError> {
        let read = sqlx::query(text).fetch_all(connection).await;
        read.map_err(|e| errors::of_read(place, e))
    }
    sqlx::query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .execute(&mut *connection)
        .await
        .map_err(|e| errors::of_read(place, e))?;
    let in_force: i64 = sqlx::query_scalar(sql::EPOCH)
        .fetch_one(&mut *connection)
        .await
        .map_err(|e| errors::of_read(place, e))?;
    if in_force != int(epoch.0) {
        return Err(StoreError::FencedEpoch { epoch: epoch.0 });
    }
    let mut found = Unfinished::default();
    for row in &rows(connection, place, sql::LOAD_RUNS).await? {
        found.runs.push(Cells { row, what: "run" }.run()?);
    }
    for row in &rows(connection, place, sql::LOAD_TASKS).await? {
        found.tasks.push(Cells { row, what: "task" }.task()?);
    }
    for row in &rows(connection, place, sql::LOAD_PLANS).await? {
        let cells = Cells { row, what: "plan" };
        let plan = (cells.run_id("run_id")?, cells.json("plan")?);
        found.plans.push(plan);
    }
    for row in &rows(connection, place, sql::LOAD_NODES).await? {
        found.nodes.push(Cells { row, what: "node" }.node()?);
    }
    Ok(found)
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

    async fn load(&self, epoch: Epoch) -> Result<Unfinished, StoreError> {
        let shared = &self.inner.shared;
        // A connection of its own, which is closed in any case: a caller that goes away in the
        // middle leaves no transaction behind.
        let mut connection = shared.connect().await?;
        let found = unfinished(&mut connection, &shared.place, epoch).await;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "a connection was not closed cleanly");
        }
        found
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
        let call = Call::Complete(*token, Prepared::of(output)?, at);
        match self.inner.nodes.ask(call).await? {
            Reply::Answer(answer) => Ok(answer),
            _ => mismatch(),
        }
    }

    async fn plan_of(&self, task: TaskId) -> Result<Option<Discovery>, StoreError> {
        let query = sqlx::query(sql::PLAN_OF)
            .bind(task.run.0)
            .bind(i64::from(task.no));
        let found = self.list(query, "plan", |cells| cells.json("plan")).await?;
        Ok(found.into_iter().next())
    }

    async fn sent(&self, epoch: Epoch, keys: &[String], at: Timestamp) -> Result<u64, StoreError> {
        let call = Call::Sent(epoch, keys.to_vec(), at);
        match self.inner.leader.ask(call).await? {
            Reply::Count(count) => Ok(count),
            _ => mismatch(),
        }
    }
}
