//! Rows of text files as they are written, into metric states.
//!
//! In: batches whose columns are the fields of delimited text (NULL where a field means that) or the
//! values of JSON lines as JSON (NULL where a line lacks the member). Out: the state that the very
//! same rows have in their files. Whoever gathers some rows of a file (those that a filter keeps,
//! those that break a rule) has them measured here, so that no rule sees another spelling, another
//! type or another NULL than it sees in the file.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use assay_metrics::{KeyBuilder, TableState};
use assay_model::dataset::{Dataset, FormatKind};
use assay_model::partition::PartitionKey;

use super::States;
use super::feed::Role;
use super::members::{Columns, Names, Value, value};
use super::ndjson::{Measure, add_to_key};
use super::table::Table;
use crate::context::ScanContext;
use crate::discover::keys::zone;
use crate::error::{Place, ScanError};

/// What the names of columns begin with that hold values as they are written, where columns of the
/// same names with a type of their own are beside them. No name that a query can spell has it.
pub const MARK: char = '\u{1}';

/// What errors call the place.
const PATH: &str = "rows as they are written";
/// Rows that are read as lines at a time.
const LINES: usize = 1024;

/// Whether rows of this format are measured as they are written.
#[must_use]
pub const fn is_of(kind: FormatKind) -> bool {
    matches!(kind, FormatKind::Csv | FormatKind::Ndjson)
}

/// The column of values as they are written, under this name.
#[must_use]
pub fn field(name: impl Into<String>) -> Field {
    Field::new(name, DataType::Binary, true)
}

/// The name of a column without its mark.
#[must_use]
pub fn plain(name: &str) -> &str {
    name.strip_prefix(MARK).unwrap_or(name)
}

/// Feeds rows into one state.
pub struct Written<'a> {
    context: &'a ScanContext,
    names: Vec<String>,
    state: TableState,
    of: Of<'a>,
}

enum Of<'a> {
    Csv(Box<Table>),
    Json(Box<Measure<'a>>, Vec<Role>),
}

impl<'a> Written<'a> {
    /// A feed of batches with this schema.
    ///
    /// # Errors
    /// [`ScanError::Definition`] for an unknown zone.
    pub fn new(
        dataset: &'a Dataset,
        schema: &Schema,
        context: &'a ScanContext,
    ) -> Result<Self, ScanError> {
        let names = schema.fields().iter().map(|f| plain(f.name()).to_owned());
        let names: Vec<String> = names.collect();
        let mut state = TableState::default();
        let of = match dataset.source.format.kind {
            FormatKind::Ndjson => {
                state.files = 1;
                state.schema.add_file();
                let zone = zone(&dataset.partitions)?;
                let roles = names.iter().map(|name| Role::of(dataset, name, &zone));
                Of::Json(Box::new(Measure::new(dataset)?), roles.collect())
            }
            _ => {
                let table = Table::new(dataset, names.clone())?;
                state = table.empty();
                table.note_file(dataset, &mut state);
                Of::Csv(Box::new(table))
            }
        };
        Ok(Self {
            context,
            names,
            state,
            of,
        })
    }

    /// Feeds a batch.
    ///
    /// # Errors
    /// [`ScanError::Cancelled`]; [`ScanError::Corrupt`] for a batch of another shape.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ScanError> {
        self.context.check(PATH)?;
        let fields = Fields::of(batch, self.names.len())?;
        let rows = batch.num_rows();
        match &mut self.of {
            Of::Csv(table) => {
                let all: Vec<u32> = (0..rows as u32).collect();
                let field = |row, column| fields.get(row, column);
                table.feed(&all, &mut self.state, field);
            }
            Of::Json(measure, _) => {
                let key = PartitionKey::all();
                let mut states = States::from([(key.clone(), std::mem::take(&mut self.state))]);
                let mut names = Names::default();
                for from in (0..rows).step_by(LINES) {
                    let lines = lines(&self.names, &fields, from..rows.min(from + LINES));
                    let mut columns = Columns::default();
                    for line in &lines {
                        let line = std::str::from_utf8(line);
                        let line = line.map_err(|error| corrupt(error.to_string()))?;
                        let read = columns.read_line(line, &mut names);
                        read.map_err(|error| corrupt(error.to_string()))?;
                    }
                    measure.learn(&names);
                    let split = BTreeMap::from([(key.clone(), (0..columns.rows).collect())]);
                    measure.feed(&names, &columns, split, &mut states);
                }
                self.state = states.remove(&key).unwrap_or_default();
            }
        }
        self.context.progress.add_rows(rows as u64);
        Ok(())
    }

    /// The state.
    #[must_use]
    pub fn finish(self) -> TableState {
        self.state
    }

    /// The key that the values of all columns make in each row, as the metrics tell keys apart;
    /// `None` for a row with a NULL in it.
    ///
    /// # Errors
    /// As [`Written::add`].
    pub fn keys(&self, batch: &RecordBatch) -> Result<Vec<Option<u128>>, ScanError> {
        let fields = Fields::of(batch, self.names.len())?;
        let mut key = KeyBuilder::default();
        let mut keys = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            key.clear();
            let mut whole = true;
            for column in 0..self.names.len() {
                whole &= match (&self.of, fields.get(row, column)) {
                    (_, None) => false,
                    (Of::Csv(table), Some(text)) => {
                        table.add_to_key(column, text, &mut key);
                        true
                    }
                    (Of::Json(_, roles), Some(text)) => add_json(text, &roles[column], &mut key)?,
                };
            }
            keys.push(whole.then(|| key.finish()));
        }
        Ok(keys)
    }
}

/// Adds a value to a key; `false` for NULL.
fn add_json(text: &[u8], role: &Role, key: &mut KeyBuilder) -> Result<bool, ScanError> {
    let text = std::str::from_utf8(text).map_err(|error| corrupt(error.to_string()))?;
    let value: Value<'_> = value(text).map_err(|error| corrupt(error.to_string()))?;
    Ok(add_to_key(&value, role, key))
}

/// The columns of a batch.
struct Fields<'b>(Vec<&'b arrow_array::BinaryArray>);

impl<'b> Fields<'b> {
    fn of(batch: &'b RecordBatch, columns: usize) -> Result<Self, ScanError> {
        let binary = batch.columns().iter().map(|c| c.as_binary_opt::<i32>());
        match binary.collect::<Option<Vec<_>>>() {
            Some(all) if all.len() == columns => Ok(Self(all)),
            _ => Err(corrupt("a batch has other columns than were told")),
        }
    }

    fn get(&self, row: usize, column: usize) -> Option<&'b [u8]> {
        let column = self.0[column];
        column.is_valid(row).then(|| column.value(row))
    }
}

/// Rows as lines of JSON.
fn lines(names: &[String], fields: &Fields<'_>, rows: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    let quoted = names
        .iter()
        .map(|name| serde_json::Value::from(name.as_str()).to_string());
    let quoted: Vec<String> = quoted.collect();
    let line = |row: usize| {
        let mut line = vec![b'{'];
        for (column, name) in quoted.iter().enumerate() {
            if let Some(value) = fields.get(row, column) {
                if line.len() > 1 {
                    line.push(b',');
                }
                line.extend_from_slice(name.as_bytes());
                line.push(b':');
                line.extend_from_slice(value);
            }
        }
        line.push(b'}');
        line
    };
    rows.map(line).collect()
}

fn corrupt(what: impl Into<String>) -> ScanError {
    ScanError::corrupt(PATH, Place::file(), what)
}
