//! The reads of the judge and of people.
//!
//! Comes in: questions with a bound. Goes out: values of the model. It must never write, and never
//! leave out a row that it cannot read.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::dataset::Dataset;
use assay_model::ids::{AttemptToken, DatasetId, NodeId, RunId};
use assay_model::incident::{Incident, OutboxEntry};
use assay_model::ledger::LedgerEntry;
use assay_model::metric::{MetricKey, MetricValue};
use assay_model::outcome::CheckResult;
use assay_model::output::Remarks;
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::run::Run;
use assay_model::task::{Task, TaskState};
use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::rows::{Cells, corrupt, micros, value_of};
use super::{SqliteStore, changes, sql};
use crate::error::StoreError;
use crate::history::{self, Page};
use crate::port::{
    AttemptRow, Breach, Health, Judged, Later, MetricHistory, MetricStore, NodeRow, ResultFilter,
    ResultRow, RunFilter, RunSum, Verdict,
};

impl SqliteStore {
    /// Reads all rows of a query as values.
    pub(super) async fn list<T>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        what: &'static str,
        read: impl Fn(&Cells<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut reader = self.reader().await?;
        let rows: Vec<SqliteRow> = query
            .fetch_all(&mut *reader)
            .await
            .map_err(|e| self.read_error(e))?;
        drop(reader);
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
}

fn ledger_entry(cells: &Cells<'_>) -> Result<LedgerEntry, StoreError> {
    let judged: Option<i64> = cells.get("verdict_id")?;
    Ok(LedgerEntry {
        partition: cells.partition()?,
        state: cells.word("state")?,
        version: PartitionVersion(cells.text("version")?),
        judged: cells.get::<Option<String>>("judged")?.map(PartitionVersion),
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
        run: cells.word("run_id")?,
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

fn breach(cells: &Cells<'_>) -> Result<Breach, StoreError> {
    Ok(Breach {
        partition: PartitionKey(cells.text("partition")?),
        check: assay_model::ids::CheckId(cells.text("check_id")?),
        metric: cells.metric_key()?,
    })
}

fn page(cells: &Cells<'_>) -> Result<Page, StoreError> {
    Ok(Page {
        partition: Arc::new(cells.partition()?),
        version: Arc::new(PartitionVersion(cells.text("version")?)),
        text: cells.text("page")?,
    })
}

fn result(cells: &Cells<'_>) -> Result<ResultRow, StoreError> {
    let limits: Option<&str> = cells.get("limits")?;
    Ok(ResultRow {
        run: cells.word("run_id")?,
        partition: cells.partition()?,
        version: PartitionVersion(cells.text("version")?),
        judged_at: cells.time("judged_at")?,
        result: CheckResult {
            check: assay_model::ids::CheckId(cells.text("check_id")?),
            metric: cells.metric_key()?,
            severity: cells.word("severity")?,
            origin: cells.word("origin")?,
            outcome: cells.word("outcome")?,
            actual: value_of(cells.get("kind")?, cells.get("actual")?)?,
            error_bound: cells.get("error_bound")?,
            note: cells.get("note")?,
            expected: cells.text("expected")?,
            limits: limits
                .map(|text| serde_json::from_str(text).map_err(|e| corrupt("limits", e)))
                .transpose()?,
            reason: cells.get("reason")?,
        },
    })
}

pub(super) fn incident(cells: &Cells<'_>) -> Result<Incident, StoreError> {
    Ok(Incident {
        id: cells.word("id")?,
        dataset: cells.dataset("dataset_id")?,
        check: assay_model::ids::CheckId(cells.text("check_id")?),
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
    let token: AttemptToken = cells.token()?;
    Ok(AttemptRow {
        token,
        node: NodeId(cells.text("node")?).0,
        assigned_at: cells.time("assigned_at")?,
        started_at: cells.time_or_none("started_at")?,
        ended_at: cells.time_or_none("ended_at")?,
        outcome: cells.get("outcome")?,
        charged: cells.get("charged")?,
        reason: cells.get("reason")?,
        twin: cells.get("twin")?,
    })
}

#[async_trait]
impl MetricStore for SqliteStore {
    async fn health(&self) -> Result<Health, StoreError> {
        let mut reader = self.reader().await?;
        let query = "SELECT sqlite_version(), \
             (SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success)";
        let (version, schema): (String, i64) = sqlx::query_as(query)
            .fetch_one(&mut *reader)
            .await
            .map_err(|error| self.read_error(error))?;
        Ok(Health {
            place: self.inner.place.clone(),
            server: format!("SQLite {version}"),
            schema: u64::try_from(schema).unwrap_or_default(),
            replicas: Vec::new(),
            outbox_held: None,
        })
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
            .bind(&from.series)
            .bind(&from.order)
            .bind(&to.order)
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
            .bind(changes::json("partition", &keys)?);
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
            .bind(&partition.series)
            .bind(&partition.order)
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
        self.read_states(run, partition, by).await
    }

    async fn states_of(
        &self,
        run: RunId,
        partitions: &[(&PartitionKey, &[u32])],
    ) -> Result<Vec<Vec<(u32, Vec<u8>)>>, StoreError> {
        self.read_states_of(run, partitions).await
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
                .bind(&before.order)
                .bind(before.key.as_str())
                .bind(&before.series);
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
            .bind(&metric.column)
            .bind(&metric.args)
            .bind(&metric.filter)
            .bind(i64::from(metric.semantics))
            .bind(i64::from(limit));
        self.list(query, "metric", |cells| {
            let key = PartitionKey(cells.text("partition")?);
            Ok((key, value_of(cells.get("kind")?, cells.get("value")?)?))
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
            .bind(&before.order)
            .bind(before.key.as_str())
            .bind(&before.series);
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
        let query = sqlx::query(text)
            .bind(dataset.as_str())
            .bind(i64::from(limit))
            .bind(series);
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
            .bind(series);
        self.list(query, "result", breach).await
    }

    async fn breaches_of(
        &self,
        dataset: &DatasetId,
        keys: &[PartitionKey],
    ) -> Result<Vec<Breach>, StoreError> {
        let query = sqlx::query(sql::BREACHES_OF)
            .bind(dataset.as_str())
            .bind(changes::json("partition", &keys)?);
        self.list(query, "result", breach).await
    }

    async fn results(
        &self,
        dataset: &DatasetId,
        filter: &ResultFilter,
    ) -> Result<Vec<ResultRow>, StoreError> {
        let of_check = filter.check.is_some();
        let text = match (&filter.run, &filter.partition) {
            (Some(_), _) if of_check => sql::RESULTS_OF_RUN_AND_CHECK,
            (Some(_), _) => sql::RESULTS_OF_RUN,
            (None, Some(_)) if of_check => sql::RESULTS_OF_PARTITION_AND_CHECK,
            (None, Some(_)) => sql::RESULTS_OF_PARTITION,
            (None, None) if of_check => sql::RESULTS_OF_CHECK,
            (None, None) if filter.bad => sql::RESULTS_BAD,
            (None, None) => sql::RESULTS,
        };
        let query = sqlx::query(text)
            .bind(dataset.as_str())
            .bind(filter.superseded)
            .bind(i64::from(filter.limit))
            .bind(filter.check.as_ref().map(|c| c.as_str()))
            .bind(filter.run.map(|r| r.to_string()))
            .bind(filter.partition.as_ref().map(|p| p.as_str()));
        self.list(query, "result", result).await
    }

    async fn incidents(
        &self,
        dataset: Option<&DatasetId>,
        only_open: bool,
        limit: u32,
    ) -> Result<Vec<Incident>, StoreError> {
        let text = match (dataset, only_open) {
            (None, false) => sql::INCIDENTS,
            (None, true) => sql::INCIDENTS_OPEN,
            (Some(_), false) => sql::INCIDENTS_OF,
            (Some(_), true) => sql::INCIDENTS_OPEN_OF,
        };
        let query = sqlx::query(text)
            .bind(i64::from(limit))
            .bind(dataset.map(DatasetId::as_str));
        self.list(query, "incident", incident).await
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
        let query = sqlx::query(sql::DEFINITIONS)
            .bind(i64::from(limit))
            .bind(after.map(DatasetId::as_str));
        self.list(query, "definition", |cells| cells.json("body"))
            .await
    }

    async fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, StoreError> {
        let text = match (&filter.dataset, filter.unfinished) {
            (None, false) => sql::RUNS,
            (None, true) => sql::RUNS_UNFINISHED,
            (Some(_), false) => sql::RUNS_OF,
            (Some(_), true) => sql::RUNS_UNFINISHED_OF,
        };
        let query = sqlx::query(text)
            .bind(i64::from(filter.limit))
            .bind(filter.dataset.as_ref().map(|d| d.as_str()));
        self.list(query, "run", |cells| cells.run()).await
    }

    async fn newest_runs(&self) -> Result<Vec<Run>, StoreError> {
        let query = sqlx::query(sql::NEWEST_RUNS);
        self.list(query, "run", |cells| cells.run()).await
    }

    async fn run(&self, run: RunId) -> Result<Option<Run>, StoreError> {
        let query = sqlx::query(sql::RUN).bind(run.to_string());
        let found = self.list(query, "run", |cells| cells.run());
        Ok(found.await?.pop())
    }

    async fn run_sums(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, RunSum>, StoreError> {
        let names: Vec<String> = runs.iter().map(RunId::to_string).collect();
        let names = serde_json::to_string(&names).map_err(|e| corrupt("list of runs", e))?;
        let mut sums: BTreeMap<RunId, RunSum> =
            runs.iter().map(|run| (*run, RunSum::default())).collect();
        let query = sqlx::query(sql::RUN_TASKS).bind(&names);
        let tasks = self.list(query, "task", |cells| {
            let run: RunId = cells.word("run_id")?;
            let state: TaskState = cells.word("state")?;
            let count: u64 = cells.number("tasks")?;
            Ok((run, state, count))
        });
        for (run, state, count) in tasks.await? {
            *sums.entry(run).or_default().tasks.entry(state).or_default() += count;
        }
        let query = sqlx::query(sql::RUN_VERDICTS).bind(&names);
        let verdicts = self.list(query, "verdict", |cells| {
            let run: RunId = cells.word("run_id")?;
            let partitions: u64 = cells.number("partitions")?;
            Ok((run, partitions, cells.counts()?))
        });
        for (run, partitions, counts) in verdicts.await? {
            let sum = sums.entry(run).or_default();
            sum.partitions += partitions;
            sum.counts.merge(&counts);
        }
        Ok(sums)
    }

    async fn unjudged(&self, run: RunId) -> Result<(u64, u64), StoreError> {
        let query = sqlx::query(sql::UNJUDGED).bind(run.to_string());
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
        let of = serde_json::to_string(of).map_err(|e| corrupt("list of tasks", e))?;
        let query = sqlx::query(sql::UNSUCCESSFUL)
            .bind(run.to_string())
            .bind(&of);
        let found = self.list(query, "task", |cells| {
            let (no, state) = (cells.number("no")?, cells.word("state")?);
            Ok((no, state, cells.get("reason")?))
        });
        Ok(found.await?.pop())
    }

    async fn task_numbers(&self, run: RunId, most: u32) -> Result<Vec<u32>, StoreError> {
        let mut numbers = Vec::new();
        for succeeded in [false, true] {
            let query = sqlx::query(sql::TASK_NUMBERS)
                .bind(run.to_string())
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
        let run = run.to_string();
        let of = serde_json::to_string(of).map_err(|e| corrupt("list of tasks", e))?;
        // Attempts are read first: one that is begun in between is left out, none is without its
        // task.
        let query = sqlx::query(sql::ATTEMPTS).bind(&run).bind(&of);
        let attempts = self.list(query, "attempt", attempt).await?;
        let query = sqlx::query(sql::TASKS).bind(&run).bind(&of);
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
        let query = sqlx::query(sql::REMARKS).bind(run.to_string());
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
                reason: cells.get("reason")?,
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
