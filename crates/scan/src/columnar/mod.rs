//! Rows in columns (Arrow record batches) into metric states.
//!
//! In: batches of one schema, from whatever reads a source row by row: files of Avro and Arrow, a
//! database's rows, the rows that a filter keeps. Out: one [`TableState`] for each partition, equal
//! to the last digit to that of the same rows in a Parquet file. A batch is fed column by column;
//! nothing of it is kept. It must never pass over a row or a column.

mod avro;
mod cells;
mod failing;
mod files;
mod ipc;
mod split;
mod types;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::Schema;
use assay_metrics::{ColumnState, KeyBuilder, TablePlan, TableState, Uniqueness};
use assay_model::dataset::Dataset;
use assay_model::partition::PartitionKey;

use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::parquet::columns::Meaning;
use crate::parquet::file::applicable;
use crate::parquet::keys::count;
use crate::parquet::rows::add_to_key;
use crate::parquet::sink::Sink;
use crate::plan::{ScanPlan, table_plan};

use self::cells::Cells;
pub use self::failing::Failing;
pub use self::split::Picker;
use self::split::Splitter;
pub use self::types::{TYPE_TEXT, type_text};

pub use self::files::read;
pub(crate) use self::files::{each_batch, keys, measure, schema};

/// Rows that are spelt out at a time.
const PIECE_ROWS: usize = 1 << 13;

/// Whose rows are fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// All of one partition.
    Of(PartitionKey),
    /// Of the partitions that the dataset's key column tells.
    ByColumn,
}

/// A column of the batches.
struct Column {
    name: String,
    type_text: String,
    nullable: bool,
    meaning: Meaning,
    /// Whether anything is asked of its values.
    read: bool,
    /// Whether it is a part of a key of several columns.
    keyed: bool,
}

/// The columns of a schema, of which nothing is asked.
fn described(schema: &Schema) -> Vec<Column> {
    let column = |field: &arrow_schema::FieldRef| Column {
        name: field.name().clone(),
        type_text: type_text(field),
        nullable: field.is_nullable(),
        meaning: types::meaning(field.data_type()),
        read: false,
        keyed: false,
    };
    schema.fields().iter().map(column).collect()
}

/// Feeds batches of one schema into the states of their partitions.
pub struct Feed<'a> {
    path: String,
    context: &'a ScanContext,
    columns: Vec<Column>,
    plan: Arc<ScanPlan>,
    rows: Rows,
    splitter: Option<Splitter>,
    states: BTreeMap<PartitionKey, TableState>,
    rows_fed: u64,
}

impl<'a> Feed<'a> {
    /// A feed of batches with this schema; `path` is what errors call their place. With a state for
    /// the partition of [`Rows::Of`] from the start, so that one without rows is one.
    ///
    /// # Errors
    /// [`ScanError::Corrupt`] when two columns have one name, [`ScanError::Definition`] when the
    /// key column is not among them.
    pub fn new(
        dataset: &Dataset,
        schema: &Schema,
        rows: Rows,
        path: &str,
        context: &'a ScanContext,
    ) -> Result<Self, ScanError> {
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let mut met = std::collections::BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !met.insert(**name)) {
            let what = format!("two columns are named `{twice}`");
            return Err(ScanError::corrupt(path, Place::file(), what));
        }
        let plan = Arc::new(table_plan(dataset, &names));
        let mut columns = described(schema);
        for column in &mut columns {
            let wants = applicable(plan.wants(&column.name), column.meaning);
            let in_key = |key: &assay_metrics::KeyPlan| key.columns.contains(&column.name);
            column.read = !wants.counts_only() || !plan.rules(&column.name).is_empty();
            column.keyed = plan.table.keys.iter().any(in_key);
        }
        let splitter = match &rows {
            Rows::Of(_) => None,
            Rows::ByColumn => Splitter::new(dataset, &columns, path)?,
        };
        let mut feed = Self {
            path: path.to_owned(),
            context,
            columns,
            plan,
            rows,
            splitter,
            states: BTreeMap::new(),
            rows_fed: 0,
        };
        if let Rows::Of(key) = feed.rows.clone() {
            let empty = feed.empty_state();
            feed.states.insert(key, empty);
        }
        Ok(feed)
    }

    /// Feeds a batch.
    ///
    /// # Errors
    /// [`ScanError::Cancelled`]; [`ScanError::Corrupt`] for values that no calendar or type has;
    /// [`ScanError::Definition`] for a row whose key is none.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ScanError> {
        self.context.check(&self.path)?;
        if batch.num_columns() != self.columns.len() {
            let what = format!(
                "a batch of {} columns where {} were told",
                batch.num_columns(),
                self.columns.len()
            );
            return Err(ScanError::corrupt(&self.path, Place::file(), what));
        }
        match (&self.rows, &mut self.splitter) {
            (Rows::Of(key), _) => {
                let key = key.clone();
                self.feed(&key, batch)?;
            }
            (Rows::ByColumn, Some(splitter)) => {
                let parts = splitter.split(batch, self.rows_fed, &self.path)?;
                for (key, part) in parts {
                    self.feed(&key, &part)?;
                }
            }
            (Rows::ByColumn, None) => {
                let what = "its partitions are not told by a column".to_owned();
                return Err(ScanError::corrupt(&self.path, Place::file(), what));
            }
        }
        self.rows_fed += batch.num_rows() as u64;
        self.context.progress.add_rows(batch.num_rows() as u64);
        Ok(())
    }

    /// The state of a column, for values that no type of Arrow has: they are NULL in the batches.
    pub fn column(&mut self, key: &PartitionKey, name: &str) -> Option<&mut ColumnState> {
        self.states.get_mut(key)?.columns.get_mut(name)
    }

    /// The states. `bytes` (as stored) and the one object that was read are told with the first of
    /// them; `first` is whether this was the first part of its object.
    #[must_use]
    pub fn finish(mut self, bytes: u64, first: bool) -> BTreeMap<PartitionKey, TableState> {
        if let Some(state) = self.states.values_mut().next() {
            state.bytes = bytes;
            state.files = u64::from(first);
        }
        if !first {
            // The object is told with its first part, and counted once however it is cut.
            for state in self.states.values_mut() {
                state.schema = assay_metrics::Schema::default();
            }
        }
        self.states
    }

    fn empty_state(&self) -> TableState {
        let limits = TablePlan {
            columns: Vec::new(),
            keys: Vec::new(),
            ..self.plan.table
        };
        let mut state = TableState::default();
        state.schema.add_file();
        for (ordinal, column) in self.columns.iter().enumerate() {
            let ordinal = u32::try_from(ordinal).unwrap_or(u32::MAX);
            let (name, text) = (&column.name, &column.type_text);
            state
                .schema
                .add_column(name, text, column.nullable, ordinal);
            let wants = applicable(self.plan.wants(name), column.meaning);
            let empty = ColumnState::new(&wants, &limits);
            state.columns.insert(name.clone(), empty);
        }
        state
    }

    /// Feeds rows of one partition, piece by piece: the values of a piece are spelt out side by
    /// side, and a batch may be of any length.
    fn feed(&mut self, key: &PartitionKey, batch: &RecordBatch) -> Result<(), ScanError> {
        if !self.states.contains_key(key) {
            let empty = self.empty_state();
            self.states.insert(key.clone(), empty);
        }
        for at in (0..batch.num_rows()).step_by(PIECE_ROWS) {
            let piece = batch.slice(at, PIECE_ROWS.min(batch.num_rows() - at));
            self.feed_piece(key, &piece)?;
        }
        Ok(())
    }

    fn feed_piece(&mut self, key: &PartitionKey, batch: &RecordBatch) -> Result<(), ScanError> {
        let Some(state) = self.states.get_mut(key) else {
            return Ok(());
        };
        let mut keyed: BTreeMap<&str, Cells> = BTreeMap::new();
        for (column, array) in self.columns.iter().zip(batch.columns()) {
            let own = state.columns.entry(column.name.clone()).or_default();
            let rules = self.plan.rules(&column.name);
            let zone = self.plan.zone.as_ref();
            let mut sink = Sink::new(column.meaning, own, rules, zone);
            let nulls = cells::nulls(array.as_ref());
            sink.rows(array.len() as u64, nulls);
            if (column.read || column.keyed) && column.meaning != Meaning::Nested {
                let corrupt = |what: String| {
                    let place = Place::file().in_column(&column.name);
                    ScanError::corrupt(&self.path, place, what)
                };
                let values = Cells::of(array).map_err(corrupt)?;
                if column.read {
                    sink.all(&values.values);
                }
                if column.keyed {
                    keyed.insert(&column.name, values);
                }
            }
            sink.finish();
        }
        let limit = self.plan.table.uniqueness_limit;
        for plan in &self.plan.table.keys {
            let parts: Option<Vec<(&Cells, Meaning)>> = plan
                .columns
                .iter()
                .map(|name| {
                    let column = self.columns.iter().find(|c| c.name == *name)?;
                    Some((keyed.get(name.as_str())?, column.meaning))
                })
                .collect();
            if let Some(parts) = parts {
                let fresh = || Uniqueness::with_limit(limit);
                let counted = state.keys.entry(plan.id.clone()).or_insert_with(fresh);
                add_keys(counted, &parts, batch.num_rows());
            }
        }
        state.rows += batch.num_rows() as u64;
        Ok(())
    }
}

/// Counts the key of each row; a row with a NULL in it has none.
fn add_keys(state: &mut Uniqueness, parts: &[(&Cells, Meaning)], rows: usize) {
    let mut at = vec![0usize; parts.len()];
    let mut key = KeyBuilder::default();
    for row in 0..rows {
        let mut whole = true;
        for ((cells, meaning), at) in parts.iter().zip(&mut at) {
            if cells.is_valid(row) {
                add_to_key(&mut key, *meaning, &cells.values, *at);
                *at += 1;
            } else {
                whole = false;
            }
        }
        if whole {
            count(state, Some(key.finish()));
        } else {
            key.clear();
            count(state, None);
        }
    }
}
