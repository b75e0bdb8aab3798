//! Between rows and the model: words, instants and numbers.
//!
//! Comes in: rows as SQLite stores them. Goes out: values of the model. It must never guess: a word
//! or number that is not one of ours is [`StoreError::Corrupt`].

use std::fmt::Display;
use std::str::FromStr;

use assay_model::ids::{AttemptToken, DatasetId, Incarnation, NodeId, RunId, TaskId};
use assay_model::metric::{Metric, MetricKey};
use assay_model::node::Node;
use assay_model::outcome::OutcomeCounts;
use assay_model::partition::{Partition, PartitionKey};
use assay_model::run::Run;
use assay_model::task::{Task, Twin};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::error::StoreError;
pub(super) use crate::values::{corrupt, int, micros, value_columns, value_of};

/// Reads columns of one row, naming what it is in errors.
pub(super) struct Cells<'r> {
    pub(super) row: &'r SqliteRow,
    pub(super) what: &'static str,
}

impl Cells<'_> {
    /// A column of a type that SQLite knows.
    pub(super) fn get<'r, T>(&'r self, column: &str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
    {
        self.row.try_get(column).map_err(|e| corrupt(self.what, e))
    }

    pub(super) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.get(column)
    }

    /// A word, an id, or anything else that is parsed from text.
    pub(super) fn word<T: FromStr<Err: Display>>(&self, column: &str) -> Result<T, StoreError> {
        let text: &str = self.get(column)?;
        text.parse().map_err(|e| corrupt(self.what, e))
    }

    pub(super) fn word_or_none<T: FromStr<Err: Display>>(
        &self,
        column: &str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|t| t.parse().map_err(|e| corrupt(self.what, e)))
            .transpose()
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        let at: i64 = self.get(column)?;
        Timestamp::from_microsecond(at).map_err(|e| corrupt(self.what, e))
    }

    pub(super) fn time_or_none(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = self.get(column)?;
        at.map(|at| Timestamp::from_microsecond(at).map_err(|e| corrupt(self.what, e)))
            .transpose()
    }

    pub(super) fn number<T: TryFrom<i64, Error: Display>>(
        &self,
        column: &str,
    ) -> Result<T, StoreError> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|e| corrupt(self.what, e))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        let text: &str = self.get(column)?;
        serde_json::from_str(text).map_err(|e| corrupt(self.what, e))
    }

    pub(super) fn dataset(&self, column: &str) -> Result<DatasetId, StoreError> {
        DatasetId::new(self.text(column)?).map_err(|e| corrupt(self.what, e))
    }

    /// The partition of columns `partition`, `ord`, `date`, `start_at`, `end_at`, `series`.
    pub(super) fn partition(&self) -> Result<Partition, StoreError> {
        Ok(Partition {
            order: self.text("ord")?,
            key: PartitionKey(self.text("partition")?),
            date: self.word_or_none("date")?,
            start: self.time_or_none("start_at")?,
            end: self.time_or_none("end_at")?,
            series: self.text("series")?,
        })
    }

    /// The counts of columns named as the outcomes are.
    pub(super) fn counts(&self) -> Result<OutcomeCounts, StoreError> {
        Ok(OutcomeCounts {
            planned: self.number("planned")?,
            pass: self.number("pass")?,
            warn: self.number("warn")?,
            fail: self.number("fail")?,
            error: self.number("error")?,
            missing: self.number("missing")?,
            learning: self.number("learning")?,
            skipped: self.number("skipped")?,
            overflow: self.number("overflow")?,
        })
    }

    /// The identity of columns `metric`, `column_name`, `args`, `filter`, `semantics`.
    pub(super) fn metric_key(&self) -> Result<MetricKey, StoreError> {
        Ok(MetricKey {
            metric: self.word::<Metric>("metric")?,
            column: self.text("column_name")?,
            args: self.text("args")?,
            filter: self.text("filter")?,
            semantics: self.number("semantics")?,
        })
    }

    /// The run of the columns of `RUN_COLUMNS`.
    pub(super) fn run(&self) -> Result<Run, StoreError> {
        Ok(Run {
            id: self.word("r_id")?,
            dataset: self.dataset("r_dataset_id")?,
            definition: self.text("r_definition")?,
            trigger: self.word("r_trigger_word")?,
            slot: self.time_or_none("r_slot")?,
            priority: self.word("r_priority")?,
            selection: self.json("r_selection")?,
            retries: self.number("r_retries")?,
            task_timeout_ms: self.number("r_task_timeout_ms")?,
            state: self.word("r_state")?,
            reason: self.get("r_reason")?,
            created_at: self.time("r_created_at")?,
            started_at: self.time_or_none("r_started_at")?,
            finished_at: self.time_or_none("r_finished_at")?,
            deadline_at: self.time("r_deadline_at")?,
            planned_tasks: self.number("r_planned_tasks")?,
        })
    }

    /// The task of the columns of `TASK_COLUMNS`.
    pub(super) fn task(&self) -> Result<Task, StoreError> {
        let incarnation: Option<i64> = self.get("t_incarnation")?;
        Ok(Task {
            id: TaskId {
                run: self.word("t_run_id")?,
                no: self.number("t_no")?,
            },
            spec: self.json("t_spec")?,
            depends_on: self.json("t_depends_on")?,
            state: self.word("t_state")?,
            wait: self.word_or_none("t_wait")?,
            not_before: self.time_or_none("t_not_before")?,
            attempt: self.number("t_attempt")?,
            charged: self.number("t_charged")?,
            crashes: self.number("t_crashes")?,
            nonce: self.word_or_none::<Uuid>("t_nonce")?,
            node: self.get::<Option<String>>("t_node")?.map(NodeId),
            incarnation: incarnation
                .map(|i| u64::try_from(i).map(Incarnation))
                .transpose()
                .map_err(|e| corrupt(self.what, e))?,
            twin: self.twin()?,
            assigned_at: self.time_or_none("t_assigned_at")?,
            started_at: self.time_or_none("t_started_at")?,
            reason: self.get("t_reason")?,
        })
    }

    fn twin(&self) -> Result<Option<Box<Twin>>, StoreError> {
        let Some(nonce) = self.word_or_none::<Uuid>("t_twin_nonce")? else {
            return Ok(None);
        };
        Ok(Some(Box::new(Twin {
            nonce,
            node: NodeId(self.text("t_twin_node")?),
            incarnation: Incarnation(self.number("t_twin_incarnation")?),
            assigned_at: self.time("t_twin_assigned_at")?,
        })))
    }

    pub(super) fn node(&self) -> Result<Node, StoreError> {
        Ok(Node {
            id: NodeId(self.text("id")?),
            incarnation: Incarnation(self.number("incarnation")?),
            state: self.word("state")?,
            slots: self.number("slots")?,
            memory_bytes: self.number("memory_bytes")?,
            zone: self.text("zone")?,
        })
    }

    /// The token of columns `run_id`, `no`, `attempt`, `nonce`.
    pub(super) fn token(&self) -> Result<AttemptToken, StoreError> {
        Ok(AttemptToken {
            task: TaskId {
                run: self.word::<RunId>("run_id")?,
                no: self.number("no")?,
            },
            attempt: self.number("attempt")?,
            nonce: self.word("nonce")?,
        })
    }
}
