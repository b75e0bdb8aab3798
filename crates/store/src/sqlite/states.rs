//! The states that measurements left, as judgements merge them.
//!
//! Comes in: partitions of a run and the tasks that measured them. Goes out: the encoded states. It
//! must never take a state that has been merged for one that was never there.

use assay_model::ids::RunId;
use assay_model::partition::PartitionKey;

use super::rows::{Cells, corrupt};
use super::{SqliteStore, changes, sql};
use crate::error::StoreError;

/// The number of a task, and the state that it left.
type State = (u32, Vec<u8>);

impl SqliteStore {
    pub(super) async fn read_states(
        &self,
        run: RunId,
        partition: &PartitionKey,
        by: &[u32],
    ) -> Result<Vec<State>, StoreError> {
        let query = sqlx::query(sql::STATES)
            .bind(run.to_string())
            .bind(partition.as_str())
            .bind(changes::json("task", &by)?);
        self.list(query, "state", |cells| {
            state(cells, run, partition.as_str())
        })
        .await
    }

    /// All of them by one question: each costs a way to the connection's thread and back.
    pub(super) async fn read_states_of(
        &self,
        run: RunId,
        partitions: &[(&PartitionKey, &[u32])],
    ) -> Result<Vec<Vec<State>>, StoreError> {
        let query = sqlx::query(sql::STATES_OF)
            .bind(run.to_string())
            .bind(changes::json("task", &partitions)?);
        let read = self.list(query, "state", |cells| {
            let partition: &str = cells.get("partition")?;
            let place: usize = cells.number("place")?;
            Ok((place, state(cells, run, partition)?))
        });
        let mut all = vec![Vec::new(); partitions.len()];
        for (place, state) in read.await? {
            let of = all.get_mut(place);
            of.ok_or_else(|| corrupt("state", format!("the place {place}")))?
                .push(state);
        }
        Ok(all)
    }
}

fn state(cells: &Cells<'_>, run: RunId, partition: &str) -> Result<State, StoreError> {
    let no: u32 = cells.number("no")?;
    let payload: Option<Vec<u8>> = cells.get("payload")?;
    payload
        .map(|state| (no, state))
        .ok_or_else(|| StoreError::NotFound {
            what: "state",
            name: format!("{partition} of {run}/{no}: it has been merged into a verdict"),
        })
}
