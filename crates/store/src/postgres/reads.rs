//! The reads of the judge and of people.
//!
//! Comes in: questions with a bound. Goes out: values of the model. It must never write, and never
//! leave out a row that it cannot read.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::dataset::Dataset;
use assay_model::ids::{CheckId, DatasetId, NodeId, RunId};
use assay_model::incident::{Incident, OutboxEntry};
use assay_model::ledger::LedgerEntry;
use assay_model::metric::{MetricKey, MetricValue};
use assay_model::output::Remarks;
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::run::Run;
use assay_model::task::{Task, TaskState};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, PgPool, Postgres};
use uuid::Uuid;

use super::rows::{Cells, spelt, unspelt_json};
use super::{PostgresStore, errors, results, sql};
use crate::error::StoreError;
use crate::examined::{Dialect, Examined};
use crate::history::{self, Page};
use crate::port::{
    AttemptRow, Breach, Health, Judged, Later, MetricHistory, MetricStore, NodeRow, ResultFilter,
    ResultRow, RunFilter, RunSum, Verdict,
};
use crate::values::{micros, value_of};

impl PostgresStore {
    /// Reads all rows of a query as values.
    pub(super) async fn list<T>(
        &self,
        query: Query<'_, Postgres, PgArguments>,
        what: &'static str,
        read: impl Fn(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        self.list_by(&self.inner.readers, query, what, read).await
    }

    /// The same on connections of this kind.
    pub(super) async fn list_by<T>(
        &self,
        connections: &PgPool,
        query: Query<'_, Postgres, PgArguments>,
        what: &'static str,
        read: impl Fn(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let rows: Vec<PgRow> = query
            .fetch_all(connections)
            .await
            .map_err(|e| errors::of_read(&self.inner.place, e))?;
        rows.iter().map(|row| read(&Cells { row, what })).collect()
    }

    /// The values of pages, by metric.
    async fn values_of(
        &self,
        dataset: &DatasetId,
        pages: &[Page],
    ) -> Result<MetricHistory, StoreError> {
        // Series are never taken away, so those of the pages are all there after them.
        let query = sqlx::query(sql::SERIES).bind(dataset.as_str());
        let series = self.list(query, "metric", |cells| {
            Ok((cells.get("id")?, cells.metric_key()?))
        });
        history::assemble(series.await?, pages)
    }

    /// The last slot of `dataset` that its schedule was turned into a run for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn schedule_watermark(
        &self,
        dataset: &DatasetId,
    ) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(sql::WATERMARK).bind(dataset.as_str());
        let found = self
            .list(query, "schedule", |cells| cells.time("emitted_through"))
            .await?;
        Ok(found.into_iter().next())
    }
}

#[async_trait]
impl Examined for PostgresStore {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn texts(&self, query: &'static str) -> Result<Vec<String>, StoreError> {
        let shared = &self.inner.shared;
        // Whole tables are compared: by hashing, since without statistics a table looks small
        // enough to be read once per row of another.
        let options = shared.connect.clone().options([
            ("default_transaction_read_only", "on"),
            ("statement_timeout", "600000"),
            ("enable_seqscan", "on"),
            ("enable_hashjoin", "on"),
            ("enable_mergejoin", "on"),
            ("enable_nestloop", "off"),
        ]);
        let (access, limit) = (&shared.access, shared.connect_timeout);
        let mut connection = access.connect(&shared.place, &options, limit).await?;
        let texts: Vec<String> = sqlx::query_scalar(query)
            .fetch_all(&mut connection)
            .await
            .map_err(|e| errors::of_read(&shared.place, e))?;
        if let Err(error) = connection.close().await {
            tracing::debug!(%error, "a connection was not closed cleanly");
        }
        Ok(texts.iter().map(|text| unspelt_json(text)).collect())
    }
}

fn ledger_entry(cells: &Cells<'_>) -> Result<LedgerEntry, StoreError> {
    let judged: Option<i64> = cells.get("verdict_id")?;
    Ok(LedgerEntry {
        partition: cells.partition()?,
        state: cells.word("state")?,
        version: PartitionVersion(cells.text("version")?),
        judged: cells.text_or_none("judged")?.map(PartitionVersion),
        revision: cells.number("revision")?,
        objects: cells.number("objects")?,
        bytes: cells.number("bytes")?,
        first_seen: cells.time("first_seen")?,
        last_modified: cells.time_or_none("last_modified")?,
        verdict: judged.map(|_| cells.counts()).transpose()?,
    })
}

fn verdict(cells: &Cells<'_>) -> Result<Verdict, StoreError> {
    Ok(Verdict {
        run: cells.run_id("run_id")?,
        definition: cells.text("definition")?,
        partition: cells.partition()?,
        version: PartitionVersion(cells.text("version")?),
        revision: cells.number("revision")?,
        sealed: cells.get("sealed")?,
        counts: cells.counts()?,
        superseded: cells.get("superseded")?,
        judged_at: cells.time("judged_at")?,
    })
}

pub(super) fn incident(cells: &Cells<'_>) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: cells.get("id")?,
        dataset: cells.dataset("dataset_id")?,
        check: CheckId(cells.text("check_id")?),
        column: cells.text("column_name")?,
        severity: cells.word("severity")?,
        status: cells.word("status")?,
        series: cells.text("series")?,
        first_partition: PartitionKey(cells.text("first_partition")?),
        last_partition: PartitionKey(cells.text("last_partition")?),
        partitions: cells.number("partitions")?,
        message: cells.text("message")?,
        opened_at: cells.time("opened_at")?,
        updated_at: cells.time("updated_at")?,
        resolved_at: cells.time_or_none("resolved_at")?,
    })
}

fn attempt(cells: &Cells<'_>) -> Result<AttemptRow, StoreError> {
    Ok(AttemptRow {
        token: cells.token()?,
        node: NodeId(cells.text("node")?).0,
        assigned_at: cells.time("assigned_at")?,
        started_at: cells.time_or_none("started_at")?,
        ended_at: cells.time_or_none("ended_at")?,
        outcome: cells.text_or_none("outcome")?,
        charged: cells.get("charged")?,
        reason: cells.text_or_none("reason")?,
        twin: cells.get("twin")?,
    })
}

fn breach(cells: &Cells<'_>) -> Result<Breach, StoreError> {
    Ok(Breach {
        partition: PartitionKey(cells.text("partition")?),
        check: CheckId(cells.text("check_id")?),
        metric: cells.metric_key()?,
    })
}

fn spelt_keys(keys: &[PartitionKey]) -> Vec<String> {
    let spelt = keys.iter().map(|key| spelt(key.as_str()).into_owned());
    spelt.collect()
}

fn page(cells: &Cells<'_>) -> Result<Page, StoreError> {
    Ok(Page {
        partition: Arc::new(cells.partition()?),
        version: Arc::new(PartitionVersion(cells.text("version")?)),
        text: unspelt_json(cells.get("page")?),
    })
}

#[async_trait]
impl MetricStore for PostgresStore {
    async fn health(&self) -> Result<Health, StoreError> {
        self.ask_health().await
    }

    async fn definition(&self, dataset: &DatasetId) -> Result<Option<Dataset>, StoreError> {
        let query = sqlx::query(sql::DEFINITION).bind(dataset.as_str());
        let found = self.list(query, "definition", |cells| cells.json("body"));
        Ok(found.await?.pop())
    }

    async fn definition_by(&self, digest: &str) -> Result<Option<Dataset>, StoreError> {
        let query = sqlx::query(sql::DEFINITION_BY).bind(digest);
        let found = self.list(query, "definition", |cells| cells.json("body"));
        Ok(found.await?.pop())
    }

    async fn definitions(
        &self,
        after: Option<&DatasetId>,
        limit: u32,
    ) -> Result<Vec<Dataset>, StoreError> {
        let (limit, after) = (i64::from(limit), after.map(DatasetId::as_str));
        let query = sqlx::query(sql::DEFINITIONS).bind(limit).bind(after);
        self.list(query, "definition", |cells| cells.json("body"))
            .await
    }

    async fn ledger(&self, dataset: &DatasetId) -> Result<Vec<LedgerEntry>, StoreError> {
        let query = sqlx::query(sql::LEDGER).bind(dataset.as_str());
        self.list(query, "partition", ledger_entry).await
    }

    async fn ledger_between(
        &self,
        dataset: &DatasetId,
        from: &Partition,
        to: &Partition,
        limit: u32,
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let query = sqlx::query(sql::LEDGER_BETWEEN)
            .bind(dataset.as_str())
            .bind(spelt(&from.series).into_owned())
            .bind(spelt(&from.order).into_owned())
            .bind(spelt(&to.order).into_owned())
            .bind(i64::from(limit));
        self.list(query, "partition", ledger_entry).await
    }

    async fn ledger_of(
        &self,
        dataset: &DatasetId,
        keys: &[PartitionKey],
    ) -> Result<Vec<LedgerEntry>, StoreError> {
        let query = sqlx::query(sql::LEDGER_OF)
            .bind(dataset.as_str())
            .bind(spelt_keys(keys));
        self.list(query, "partition", ledger_entry).await
    }

    async fn later(
        &self,
        dataset: &DatasetId,
        partition: &Partition,
        now: Timestamp,
    ) -> Result<Later, StoreError> {
        let query = sqlx::query(sql::LATER)
            .bind(dataset.as_str())
            .bind(spelt(&partition.series).into_owned())
            .bind(spelt(&partition.order).into_owned())
            .bind(micros(now));
        let found = self.list(query, "partition", |cells| {
            Ok(Later {
                any: cells.get("is_any")?,
                data: cells.get("is_data")?,
            })
        });
        Ok(found.await?.pop().unwrap_or_default())
    }

    async fn states(
        &self,
        run: RunId,
        partition: &PartitionKey,
        by: &[u32],
    ) -> Result<Vec<(u32, Vec<u8>)>, StoreError> {
        let by: Vec<i64> = by.iter().copied().map(i64::from).collect();
        let query = sqlx::query(sql::STATES)
            .bind(run.0)
            .bind(spelt(partition.as_str()).into_owned())
            .bind(by);
        self.list(query, "state", |cells| {
            let no: u32 = cells.number("no")?;
            let payload: Option<Vec<u8>> = cells.get("payload")?;
            payload
                .map(|state| (no, state))
                .ok_or_else(|| StoreError::NotFound {
                    what: "state",
                    name: format!("{partition} of {run}/{no}: it has been merged into a verdict"),
                })
        })
        .await
    }

    async fn history(
        &self,
        dataset: &DatasetId,
        before: Option<&Partition>,
        limit: u32,
    ) -> Result<MetricHistory, StoreError> {
        let text = match before {
            None => sql::HISTORY,
            Some(_) => sql::HISTORY_BEFORE,
        };
        let mut query = sqlx::query(text)
            .bind(dataset.as_str())
            .bind(i64::from(limit));
        if let Some(before) = before {
            query = query
                .bind(spelt(&before.order).into_owned())
                .bind(spelt(before.key.as_str()).into_owned())
                .bind(spelt(&before.series).into_owned());
        }
        let mut pages = self.list(query, "metric", page).await?;
        pages.reverse();
        self.values_of(dataset, &pages).await
    }

    async fn values_of_metric(
        &self,
        dataset: &DatasetId,
        metric: &MetricKey,
        limit: u32,
    ) -> Result<Vec<(PartitionKey, MetricValue)>, StoreError> {
        let query = sqlx::query(sql::VALUES_OF_METRIC)
            .bind(dataset.as_str())
            .bind(metric.metric.as_str())
            .bind(spelt(&metric.column).into_owned())
            .bind(spelt(&metric.args).into_owned())
            .bind(spelt(&metric.filter).into_owned())
            .bind(i64::from(metric.semantics))
            .bind(i64::from(limit));
        self.list(query, "metric", |cells| {
            let key = PartitionKey(cells.text("partition")?);
            let value = cells.text_or_none("value")?;
            Ok((key, value_of(cells.get("kind")?, value.as_deref())?))
        })
        .await
    }

    async fn judged_before(
        &self,
        dataset: &DatasetId,
        before: &Partition,
        limit: u32,
    ) -> Result<Judged, StoreError> {
        let query = sqlx::query(sql::JUDGED_BEFORE)
            .bind(dataset.as_str())
            .bind(i64::from(limit))
            .bind(spelt(&before.order).into_owned())
            .bind(spelt(before.key.as_str()).into_owned())
            .bind(spelt(&before.series).into_owned());
        let read = self.list(query, "verdict", |cells| {
            Ok((verdict(cells)?, page(cells)?))
        });
        let (verdicts, pages): (Vec<_>, Vec<_>) = read.await?.into_iter().rev().unzip();
        let history = self.values_of(dataset, &pages).await?;
        Ok(Judged { verdicts, history })
    }

    async fn verdicts(
        &self,
        dataset: &DatasetId,
        series: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Verdict>, StoreError> {
        let text = match series {
            None => sql::VERDICTS,
            Some(_) => sql::VERDICTS_OF_SERIES,
        };
        let mut query = sqlx::query(text)
            .bind(dataset.as_str())
            .bind(i64::from(limit));
        if let Some(series) = series {
            query = query.bind(spelt(series).into_owned());
        }
        let mut verdicts = self.list(query, "verdict", verdict).await?;
        verdicts.reverse();
        Ok(verdicts)
    }

    async fn breaches(
        &self,
        dataset: &DatasetId,
        series: &str,
        limit: u32,
    ) -> Result<Vec<Breach>, StoreError> {
        let query = sqlx::query(sql::BREACHES)
            .bind(dataset.as_str())
            .bind(i64::from(limit))
            .bind(spelt(series).into_owned());
        self.list(query, "result", breach).await
    }

    async fn breaches_of(
        &self,
        dataset: &DatasetId,
        keys: &[PartitionKey],
    ) -> Result<Vec<Breach>, StoreError> {
        let query = sqlx::query(sql::BREACHES_OF)
            .bind(dataset.as_str())
            .bind(spelt_keys(keys));
        self.list(query, "result", breach).await
    }

    async fn results(
        &self,
        dataset: &DatasetId,
        filter: &ResultFilter,
    ) -> Result<Vec<ResultRow>, StoreError> {
        results::of(self, dataset, filter).await
    }

    async fn incidents(
        &self,
        dataset: Option<&DatasetId>,
        only_open: bool,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        let query = sqlx::query(sql::INCIDENTS)
            .bind(i64::from(limit))
            .bind(dataset.map(DatasetId::as_str))
            .bind(only_open);
        self.list(query, "incident", incident).await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let query = sqlx::query(sql::RUNS)
            .bind(i64::from(filter.limit))
            .bind(filter.dataset.as_ref().map(|d| d.as_str()))
            .bind(filter.unfinished);
        self.list(query, "run", |cells| cells.run()).await
    }

    async fn newest_runs(&self) -> Result<Vec<Run>, StoreError> {
        self.list(sqlx::query(sql::NEWEST_RUNS), "run", |cells| cells.run())
            .await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        let query = sqlx::query(sql::RUN).bind(run.0);
        let found = self.list(query, "run", |cells| cells.run());
        Ok(found.await?.pop())
    }

    async fn run_sums(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, RunSum>, StoreError> {
        let ids: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
        let mut sums: BTreeMap<RunId, RunSum> =
            runs.iter().map(|run| (*run, RunSum::default())).collect();
        let query = sqlx::query(sql::RUN_TASKS).bind(&ids);
        let tasks = self.list(query, "task", |cells| {
            let state: TaskState = cells.word("state")?;
            let count: u64 = cells.number("tasks")?;
            Ok((cells.run_id("run_id")?, state, count))
        });
        for (run, state, count) in tasks.await? {
            *sums.entry(run).or_default().tasks.entry(state).or_default() += count;
        }
        let query = sqlx::query(sql::RUN_VERDICTS).bind(&ids);
        let verdicts = self.list(query, "verdict", |cells| {
            let partitions: u64 = cells.number("partitions")?;
            Ok((cells.run_id("run_id")?, partitions, cells.counts()?))
        });
        for (run, partitions, counts) in verdicts.await? {
            let sum = sums.entry(run).or_default();
            sum.partitions += partitions;
            sum.counts.merge(&counts);
        }
        Ok(sums)
    }

    async fn unjudged(&self, run: RunId) -> Result<(u64, u64), StoreError> {
        let query = sqlx::query(sql::UNJUDGED).bind(run.0);
        let counted = self.list(query, "task", |cells| {
            Ok((cells.number("tasks")?, cells.number("unjudged")?))
        });
        Ok(counted.await?.pop().unwrap_or_default())
    }

    async fn unsuccessful(
        &self,
        run: RunId,
        of: &[u32],
    ) -> Result<Option<(u32, TaskState, Option<String>)>, StoreError> {
        let of: Vec<i64> = of.iter().map(|no| i64::from(*no)).collect();
        let query = sqlx::query(sql::UNSUCCESSFUL).bind(run.0).bind(of);
        let found = self.list(query, "task", |cells| {
            let (no, state) = (cells.number("no")?, cells.word("state")?);
            Ok((no, state, cells.text_or_none("reason")?))
        });
        Ok(found.await?.pop())
    }

    async fn task_numbers(&self, run: RunId, most: u32) -> Result<Vec<u32>, StoreError> {
        let mut numbers = Vec::new();
        for succeeded in [false, true] {
            let query = sqlx::query(sql::TASK_NUMBERS)
                .bind(run.0)
                .bind(succeeded)
                .bind(i64::from(most) - numbers.len() as i64);
            let more = self.list(query, "task", |cells| cells.number::<u32>("no"));
            numbers.extend(more.await?);
        }
        Ok(numbers)
    }

    async fn tasks_of(
        &self,
        run: RunId,
        of: &[u32],
    ) -> Result<Vec<(Task, Vec<AttemptRow>)>, StoreError> {
        let of: Vec<i64> = of.iter().map(|no| i64::from(*no)).collect();
        // Attempts are read first: one that is begun in between is left out, none is without its
        // task.
        let query = sqlx::query(sql::ATTEMPTS).bind(run.0).bind(&of);
        let attempts = self.list(query, "attempt", attempt).await?;
        let query = sqlx::query(sql::TASKS).bind(run.0).bind(&of);
        let tasks = self.list(query, "task", |cells| cells.task()).await?;
        let mut attempts = attempts.into_iter().peekable();
        let mut listed = Vec::with_capacity(tasks.len());
        for task in tasks {
            let mut of_task = Vec::new();
            while let Some(next) = attempts.next_if(|a| a.token.task == task.id) {
                of_task.push(next);
            }
            listed.push((task, of_task));
        }
        Ok(listed)
    }

    async fn remarks(&self, run: RunId, named: usize) -> Result<Remarks, StoreError> {
        let query = sqlx::query(sql::REMARKS).bind(run.0);
        let found = self.list(query, "plan", |cells| {
            let (ignored, notices) = (cells.json("ignored")?, cells.json("notices")?);
            Ok(Remarks::of(ignored, notices, named))
        });
        Ok(found.await?.pop().unwrap_or_default())
    }

    async fn nodes(&self, ended_after: Timestamp, limit: u32) -> Result<Vec<NodeRow>, StoreError> {
        let query = sqlx::query(sql::NODES)
            .bind(micros(ended_after))
            .bind(i64::from(limit));
        self.list(query, "node", |cells| {
            Ok(NodeRow {
                node: cells.node()?,
                since: cells.time("moved_at")?,
                reason: cells.text_or_none("reason")?,
            })
        })
        .await
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxEntry>, StoreError> {
        let query = sqlx::query(sql::OUTBOX).bind(i64::from(limit));
        self.list(query, "message", |cells| {
            Ok(OutboxEntry {
                key: cells.text("key")?,
                event: cells.text("event")?,
                dataset: cells.dataset("dataset_id")?,
                body: cells.json("body")?,
                after: None,
            })
        })
        .await
    }
}
