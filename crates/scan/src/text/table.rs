//! Rows of delimited text into the state of their partition.
//!
//! In: the names of the columns, and fields by row and column. Out: the state, column by column. It
//! does not know where fields are kept: those of a block and those that were gathered from one are
//! fed alike.

use assay_metrics::{KeyBuilder, TableState};
use assay_model::dataset::Dataset;

use super::feed::{Feeder, Role, Scratch, feed_key};
use crate::discover::keys::zone;
use crate::error::ScanError;
use crate::plan::{ScanPlan, table_plan};

/// The columns of delimited text, with what is asked of each.
pub(super) struct Table {
    pub(super) names: Vec<String>,
    roles: Vec<Role>,
    plan: ScanPlan,
    scratch: Scratch,
}

impl Table {
    /// # Errors
    /// [`ScanError::Definition`] for an unknown zone.
    pub(super) fn new(dataset: &Dataset, names: Vec<String>) -> Result<Self, ScanError> {
        let zone = zone(&dataset.partitions)?;
        let columns: Vec<&str> = names.iter().map(String::as_str).collect();
        let plan = table_plan(dataset, &columns);
        let role = |name: &String| Role::of(dataset, name, &zone);
        Ok(Self {
            roles: names.iter().map(role).collect(),
            plan,
            scratch: Scratch::default(),
            names,
        })
    }

    /// A state without rows.
    pub(super) fn empty(&self) -> TableState {
        TableState::new(&self.plan.table)
    }

    /// Notes a file and its columns.
    pub(super) fn note_file(&self, dataset: &Dataset, state: &mut TableState) {
        state.files += 1;
        state.schema.add_file();
        for (name, ordinal) in self.names.iter().zip(0u32..) {
            let declared = dataset.columns.iter().find(|c| c.name == *name);
            let logical = declared.and_then(|c| c.logical_type);
            let text = logical.map_or("text", |logical| logical.as_str());
            state.schema.add_column(name, text, true, ordinal);
        }
    }

    /// Feeds rows; `field` gives the field of a row and a column, `None` where it is NULL.
    pub(super) fn feed<'f>(
        &mut self,
        rows: &[u32],
        state: &mut TableState,
        field: impl Fn(usize, usize) -> Option<&'f [u8]>,
    ) {
        state.rows += rows.len() as u64;
        for (column, name) in self.names.iter().enumerate() {
            let feeder = Feeder {
                role: &self.roles[column],
                wants: self.plan.wants(name),
                rules: self.plan.rules(name),
            };
            let own = match state.columns.get_mut(name) {
                Some(own) => own,
                None => state.columns.entry(name.clone()).or_default(),
            };
            let fields = rows.iter().map(|row| field(*row as usize, column));
            let unread = feeder.feed(fields, own, &mut self.scratch);
            if unread > 0 {
                let flag = format!("unread {}: {name}", self.roles[column].word());
                state.flag(&flag, unread);
            }
        }
        for key in &self.plan.table.keys {
            let place = |part: &String| self.names.iter().position(|name| name == part);
            let Some(places) = key.columns.iter().map(place).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let cell = |row: usize, part: usize| field(row, places[part]);
            let rows = rows.iter().map(|row| *row as usize);
            let roles: Vec<&Role> = places.iter().map(|place| &self.roles[*place]).collect();
            feed_key(&key.id, rows, &roles, cell, state);
        }
    }

    /// Adds a field of a column to a key, as the metrics tell keys apart.
    pub(super) fn add_to_key(&self, column: usize, field: &[u8], key: &mut KeyBuilder) {
        self.roles[column].key(field, key);
    }
}
