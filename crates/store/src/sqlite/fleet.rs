//! How the fleet was over time, in SQLite.
//!
//! Comes in: notes of the leader as JSON, and questions. Goes out: what is stored. It must never
//! change a phase that is known.

use assay_model::ids::{Epoch, Incarnation, NodeId};
use async_trait::async_trait;
use jiff::Timestamp;

use super::SqliteStore;
use super::jobs::mismatch;
use super::rows::{Cells, int, micros};
use super::writer::{Operation, Reply, Stop, Tx};
use crate::error::StoreError;
use crate::fleet::{FleetLog, FleetNote, FleetSample, NodeStep, ScaleEvent, StepFilter, rows};

/// The statements of a note, in their order; each takes the rows as ?1.
const NOTE: &[&str] = &[
    "INSERT INTO fleet_sample (at, desired, ready, queued, running) SELECT value ->> 'at', \
     value ->> 'desired', value ->> 'ready', value ->> 'queued', value ->> 'running' \
     FROM json_each(?1, '$.samples') WHERE true ON CONFLICT (at) DO NOTHING",
    "UPDATE scale_event SET first_at = coalesce(first_at, p.value ->> 'first'), \
     task_at = coalesce(task_at, p.value ->> 'task'), \
     done_at = coalesce(done_at, p.value ->> 'done') \
     FROM json_each(?1, '$.phases') p WHERE scale_event.id = p.value ->> 'id'",
    "DELETE FROM fleet_sample WHERE at < ?1 ->> '$.forgetSamples'",
    "DELETE FROM scale_event WHERE at < ?1 ->> '$.forgetEvents'",
];

/// Writes a note, if it is of the present leader.
pub(super) async fn note(tx: &mut Tx<'_>, epoch: Epoch, rows: &str) -> Result<Reply, Stop> {
    tx.fence(epoch)?;
    for statement in NOTE {
        sqlx::query(*statement)
            .bind(rows)
            .execute(&mut *tx.connection)
            .await?;
    }
    Ok(Reply::Done)
}

/// ?1 since, ?2 limit.
const SAMPLES: &str = "SELECT * FROM (SELECT at, desired, ready, queued, running FROM fleet_sample \
     WHERE at >= ?1 ORDER BY at DESC LIMIT ?2) ORDER BY at";

/// ?1 limit.
const SCALES: &str = "SELECT id, at, from_nodes, to_nodes, reason, first_at, task_at, done_at \
     FROM scale_event ORDER BY id DESC LIMIT ?1";

/// ?1 node, ?2 after, ?3 since, ?4 limit.
const STEPS: &str = "SELECT seq, at, kind, node, incarnation, state, detail FROM event \
     WHERE kind IN ('node_registered', 'node_moved') AND (?1 IS NULL OR node = ?1) AND seq > ?2 \
     AND (?3 IS NULL OR at >= ?3) ORDER BY seq LIMIT ?4";

/// ?1 node, ?2 incarnation, ?3 after.
pub(super) const FIRST_START: &str = "SELECT at FROM event WHERE seq > ?3 AND kind = 'task_started' \
     AND node = ?1 AND incarnation = ?2 ORDER BY seq LIMIT 1";

#[async_trait]
impl FleetLog for SqliteStore {
    async fn note_fleet(&self, epoch: Epoch, note: &FleetNote) -> Result<(), StoreError> {
        let rows = rows(note).to_string();
        match self.ask(Operation::NoteFleet(epoch, rows)).await? {
            Reply::Done => Ok(()),
            _ => mismatch(),
        }
    }

    async fn fleet_samples(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<FleetSample>, StoreError> {
        let query = sqlx::query(SAMPLES)
            .bind(micros(since))
            .bind(i64::from(limit));
        self.list(query, "sample", |cells| {
            Ok(FleetSample {
                at: cells.time("at")?,
                desired: cells.number("desired")?,
                ready: cells.number("ready")?,
                queued: cells.number("queued")?,
                running: cells.number("running")?,
            })
        })
        .await
    }

    async fn scale_events(&self, limit: u32) -> Result<Vec<ScaleEvent>, StoreError> {
        let query = sqlx::query(SCALES).bind(i64::from(limit));
        self.list(query, "scale event", |cells| {
            Ok(ScaleEvent {
                id: cells.number("id")?,
                at: cells.time("at")?,
                from: cells.number("from_nodes")?,
                to: cells.number("to_nodes")?,
                reason: cells.text("reason")?,
                first_at: cells.time_or_none("first_at")?,
                task_at: cells.time_or_none("task_at")?,
                done_at: cells.time_or_none("done_at")?,
            })
        })
        .await
    }

    async fn node_steps(&self, filter: &StepFilter) -> Result<Vec<NodeStep>, StoreError> {
        let query = sqlx::query(STEPS)
            .bind(filter.node.as_ref().map(NodeId::as_str))
            .bind(int(filter.after))
            .bind(filter.since.map(micros))
            .bind(i64::from(filter.limit));
        let read = |cells: &Cells<'_>| {
            let moved = cells.text("kind")? == "node_moved";
            Ok(NodeStep {
                seq: cells.number("seq")?,
                at: cells.time("at")?,
                node: NodeId::new(cells.text("node")?),
                incarnation: Incarnation(cells.number("incarnation")?),
                state: moved.then(|| cells.word("state")).transpose()?,
                reason: cells.get("detail")?,
            })
        };
        self.list(query, "event", read).await
    }

    async fn first_start(
        &self,
        node: &NodeId,
        incarnation: Incarnation,
        after: u64,
    ) -> Result<Option<Timestamp>, StoreError> {
        let query = sqlx::query(FIRST_START)
            .bind(node.as_str())
            .bind(int(incarnation.0))
            .bind(int(after));
        let found = self.list(query, "event", |cells| cells.time("at")).await?;
        Ok(found.into_iter().next())
    }
}
