//! The state of a table or of any part of one: what a batch yields and what is merged.

use crate::answer::Answer;
use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use crate::column::ColumnState;
use crate::counts::{RuleCount, RuleCounts};
use crate::plan::TablePlan;
use crate::schema::Schema;
use crate::unavailable::Unavailable;
use crate::uniqueness::{KeyCounts, Uniqueness};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 4] = *b"ASMS";

/// Version of the encoding. It rises with every change of what the bytes mean.
pub const ENCODING_VERSION: u8 = 2;
/// The version that a state without answers and filtered rows is written in, so that programs
/// which know nothing of them read it.
const PLAIN_VERSION: u8 = 1;

/// The state of a table or of a part of one. `TableState::default()` is the identity of the merge.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableState {
    /// Rows.
    pub rows: u64,
    /// Bytes of the files that were read.
    pub bytes: u64,
    /// Files that were read.
    pub files: u64,
    /// Columns by name.
    pub columns: BTreeMap<String, ColumnState>,
    /// Keys by the id of their plan.
    pub keys: BTreeMap<String, Uniqueness>,
    /// Rules over whole rows.
    pub rules: RuleCounts,
    /// Columns, types and nullability as the files declare them.
    pub schema: Schema,
    /// Things to tell with the values, such as `malformedRows`, and how often each was met.
    pub flags: BTreeMap<String, u64>,
    /// Answers to the owner's queries, by the identity of the query.
    pub answers: BTreeMap<String, Answer>,
    /// The states of the rows that a filter keeps, by the filter. They have no filtered rows and
    /// no answers themselves.
    pub filtered: BTreeMap<String, TableState>,
}

impl TableState {
    /// An empty state that collects what the plan asks for.
    #[must_use]
    pub fn new(plan: &TablePlan) -> Self {
        let column = |column: &crate::ColumnPlan| {
            (column.name.clone(), ColumnState::new(&column.wants, plan))
        };
        let key = |key: &crate::KeyPlan| {
            (
                key.id.clone(),
                Uniqueness::with_limit(plan.uniqueness_limit),
            )
        };
        Self {
            columns: plan.columns.iter().map(column).collect(),
            keys: plan.keys.iter().map(key).collect(),
            ..Self::default()
        }
    }

    /// Raises a flag `times` times.
    pub fn flag(&mut self, name: &str, times: u64) {
        let own = self.flags.entry(name.to_owned()).or_default();
        *own = own.saturating_add(times);
    }

    /// Adds another part of the table.
    pub fn merge(&mut self, other: &Self) {
        self.absorb(other);
    }

    /// Rows of the table in which a column was not met: files without it.
    ///
    /// The scan either counts such rows as NULL in the column, or this is not 0.
    #[must_use]
    pub fn rows_without(&self, column: &str) -> u64 {
        let met = self
            .columns
            .get(column)
            .map_or(0, |column| column.counts.rows);
        self.rows.saturating_sub(met)
    }

    /// Counts the rows that do not name a column as NULL in it, where rows name the columns and
    /// files do not declare them; rows that lack a part of a key as rows without the key.
    ///
    /// Called once, when all parts of the table are merged: a part cannot know which columns the
    /// others name. Calling it again changes nothing.
    pub fn fill_unnamed(&mut self) {
        let mut any = false;
        for (name, column) in &mut self.columns {
            if !self.schema.is_named_by_rows(name) {
                continue;
            }
            any = true;
            let without = self.rows.saturating_sub(column.counts.rows);
            column.add_rows(without, without);
            column.rules.add_rows(without);
        }
        for key in self.keys.values_mut().filter(|_| any) {
            key.add_nulls(self.rows.saturating_sub(key.all_rows()));
        }
    }

    /// Distinct keys and duplicate rows of a key.
    ///
    /// # Errors
    /// The reason that they are not known, such as [`Unavailable::TooMany`].
    pub fn key(&self, id: &str) -> Result<KeyCounts, Unavailable> {
        let key = self.keys.get(id).ok_or(Unavailable::NotCollected)?;
        let (read, expected) = (key.all_rows(), self.rows);
        if read == expected {
            key.counts()
        } else {
            Err(Unavailable::Incomplete { read, expected })
        }
    }

    /// Counts of a rule over whole rows.
    ///
    /// # Errors
    /// [`Unavailable::NotCollected`] when no batch had the rule, [`Unavailable::Incomplete`] when
    /// some rows were not shown to it.
    pub fn rule(&self, id: &str) -> Result<RuleCount, Unavailable> {
        let count = self.rules.get(id);
        let count = count.or_else(|| (self.rows == 0).then(RuleCount::default));
        let count = count.ok_or(Unavailable::NotCollected)?;
        if count.rows == self.rows {
            return Ok(count);
        }
        Err(Unavailable::Incomplete {
            read: count.rows,
            expected: self.rows,
        })
    }

    /// The bytes of this state: mark, version, state, checksum. Equal states give equal bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        to.raw(&MAGIC);
        if self.answers.is_empty() && self.filtered.is_empty() {
            to.u8(PLAIN_VERSION);
            self.write_plain(&mut to);
        } else {
            to.u8(ENCODING_VERSION);
            self.write(&mut to);
        }
        let mut bytes = to.finish();
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads [`TableState::encode`] back.
    ///
    /// # Errors
    /// Bytes that are not a whole, undamaged state of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if !bytes.starts_with(&MAGIC) {
            let found = bytes.iter().take(MAGIC.len()).copied().collect();
            return Err(DecodeError::Magic {
                found,
                expected: MAGIC,
            });
        }
        let truncated = DecodeError::Truncated {
            at: bytes.len(),
            what: "state",
        };
        let body_end = bytes.len().checked_sub(8).filter(|end| *end > MAGIC.len());
        let (body, checksum) = bytes.split_at(body_end.ok_or(truncated)?);
        let found = body[MAGIC.len()];
        if !(PLAIN_VERSION..=ENCODING_VERSION).contains(&found) {
            return Err(DecodeError::Version {
                found,
                supported: ENCODING_VERSION,
            });
        }
        if xxh3_64(body).to_le_bytes() != checksum {
            return Err(DecodeError::Checksum);
        }
        let body = &body[MAGIC.len() + 1..];
        if found > PLAIN_VERSION {
            return Self::decode_alone(body);
        }
        let mut from = Reader::new(body);
        let state = Self::read_plain(&mut from)?;
        from.end()?;
        Ok(state)
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        for (name, theirs) in &other.columns {
            self.columns.entry(name.clone()).or_default().absorb(theirs);
        }
        for (id, theirs) in &other.keys {
            // A part that did not collect the key shows in its rows, see `TableState::key`.
            self.keys.entry(id.clone()).or_default().absorb(theirs);
        }
        self.rows = self.rows.saturating_add(other.rows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
        self.rules.absorb(&other.rules);
        self.schema.absorb(&other.schema);
        for (name, times) in &other.flags {
            self.flag(name, *times);
        }
        for (query, theirs) in &other.answers {
            match self.answers.get_mut(query) {
                Some(own) => own.absorb(theirs),
                None => {
                    self.answers.insert(query.clone(), theirs.clone());
                }
            }
        }
        for (filter, theirs) in &other.filtered {
            self.filtered
                .entry(filter.clone())
                .or_default()
                .absorb(theirs);
        }
    }

    /// All but answers and filtered rows.
    fn write_plain(&self, to: &mut Writer) {
        to.u64(self.rows);
        to.u64(self.bytes);
        to.u64(self.files);
        to.u64(self.columns.len() as u64);
        for (name, column) in &self.columns {
            to.text(name);
            column.write(to);
        }
        to.u64(self.keys.len() as u64);
        for (id, key) in &self.keys {
            to.text(id);
            key.write(to);
        }
        self.rules.write(to);
        self.schema.write(to);
        to.u64(self.flags.len() as u64);
        for (name, times) in &self.flags {
            to.text(name);
            to.u64(*times);
        }
    }

    fn read_plain(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut table = Self {
            rows: from.u64("table rows")?,
            bytes: from.u64("table bytes")?,
            files: from.u64("table files")?,
            ..Self::default()
        };
        for _ in 0..from.count(18, "columns")? {
            let name = from.text("column name")?;
            if table
                .columns
                .insert(name, ColumnState::read(from)?)
                .is_some()
            {
                return Err(from.invalid("column name"));
            }
        }
        for _ in 0..from.count(5, "keys")? {
            let id = from.text("key id")?;
            if table.keys.insert(id, Uniqueness::read(from)?).is_some() {
                return Err(from.invalid("key id"));
            }
        }
        table.rules = RuleCounts::read(from)?;
        table.schema = Schema::read(from)?;
        for _ in 0..from.count(2, "flags")? {
            let name = from.text("flag")?;
            if table.flags.insert(name, from.u64("flag")?).is_some() {
                return Err(from.invalid("flag"));
            }
        }
        Ok(table)
    }
}

impl Codec for TableState {
    fn write(&self, to: &mut Writer) {
        self.write_plain(to);
        to.u64(self.answers.len() as u64);
        for (query, answer) in &self.answers {
            to.text(query);
            answer.write(to);
        }
        to.u64(self.filtered.len() as u64);
        for (filter, state) in &self.filtered {
            to.text(filter);
            state.write_plain(to);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut table = Self::read_plain(from)?;
        for _ in 0..from.count(4, "answers")? {
            let query = from.text("query")?;
            if table.answers.insert(query, Answer::read(from)?).is_some() {
                return Err(from.invalid("query"));
            }
        }
        for _ in 0..from.count(9, "filters")? {
            let filter = from.text("filter")?;
            let state = Self::read_plain(from)?;
            if table.filtered.insert(filter, state).is_some() {
                return Err(from.invalid("filter"));
            }
        }
        Ok(table)
    }
}

impl_state!(TableState);
