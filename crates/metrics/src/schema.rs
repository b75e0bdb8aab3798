//! The shape of what was read: columns with their types, nullability and places.
//!
//! Files of one partition may disagree. Nothing is lost at a merge: every type, nullability and
//! place that was met is kept, with the number of files that had the column.

use crate::codec::{Codec, DecodeError, Reader, Writer, impl_state};
use std::collections::{BTreeMap, BTreeSet};

/// What was met of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnShape {
    /// Types by their text, as the source calls them.
    pub types: BTreeSet<String>,
    /// Whether the column may be NULL, as the files declare it.
    pub nullable: BTreeSet<bool>,
    /// Places of the column, from 0.
    pub ordinals: BTreeSet<u32>,
    /// Files that declare the column; 0 where no file does and the rows name it themselves.
    pub files: u64,
}

/// Columns met, and how many files were looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// Files whose schema was added.
    pub files: u64,
    /// Columns by name.
    pub columns: BTreeMap<String, ColumnShape>,
}

impl Schema {
    /// Counts a file; its columns follow with [`Schema::add_column`].
    pub fn add_file(&mut self) {
        self.files = self.files.saturating_add(1);
    }

    /// Adds a column of the file.
    pub fn add_column(&mut self, name: &str, type_text: &str, nullable: bool, ordinal: u32) {
        let shape = self.columns.entry(name.to_owned()).or_default();
        shape.types.insert(type_text.to_owned());
        shape.nullable.insert(nullable);
        shape.ordinals.insert(ordinal);
        shape.files = shape.files.saturating_add(1);
    }

    /// Adds a column that rows name and no file declares: it has no place, and is NULL in every row
    /// that does not name it.
    pub fn add_named(&mut self, name: &str, type_text: &str) {
        let shape = self.columns.entry(name.to_owned()).or_default();
        shape.types.insert(type_text.to_owned());
        shape.nullable.insert(true);
    }

    /// Whether rows name this column, and no file declares it.
    #[must_use]
    pub fn is_named_by_rows(&self, name: &str) -> bool {
        self.columns.get(name).is_some_and(|shape| shape.files == 0)
    }

    /// Whether some files declare this column and some do not.
    #[must_use]
    pub fn is_lacking(&self, name: &str) -> bool {
        let shape = self.columns.get(name);
        shape.is_some_and(|shape| shape.files != self.files && shape.files != 0)
    }

    /// Columns on which the files disagree: by type, nullability or place, or that some lack.
    pub fn disagreements(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter_map(|(name, shape)| {
            let several = shape.types.len() > 1
                || shape.nullable.len() > 1
                || shape.ordinals.len() > 1
                || self.is_lacking(name);
            several.then_some(name.as_str())
        })
    }

    pub(crate) fn absorb(&mut self, other: &Self) {
        self.files = self.files.saturating_add(other.files);
        for (name, theirs) in &other.columns {
            let shape = self.columns.entry(name.clone()).or_default();
            shape.types.extend(theirs.types.iter().cloned());
            shape.nullable.extend(&theirs.nullable);
            shape.ordinals.extend(&theirs.ordinals);
            shape.files = shape.files.saturating_add(theirs.files);
        }
    }
}

impl Codec for Schema {
    fn write(&self, to: &mut Writer) {
        to.u64(self.files);
        to.u64(self.columns.len() as u64);
        for (name, shape) in &self.columns {
            to.text(name);
            to.u64(shape.types.len() as u64);
            for type_text in &shape.types {
                to.text(type_text);
            }
            to.bool(shape.nullable.contains(&false));
            to.bool(shape.nullable.contains(&true));
            to.u64(shape.ordinals.len() as u64);
            for ordinal in &shape.ordinals {
                to.u64(u64::from(*ordinal));
            }
            to.u64(shape.files);
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut schema = Self {
            files: from.u64("number of files")?,
            ..Self::default()
        };
        for _ in 0..from.count(6, "schema columns")? {
            let name = from.text("column name")?;
            let mut shape = ColumnShape::default();
            for _ in 0..from.count(1, "column types")? {
                shape.types.insert(from.text("column type")?);
            }
            for nullable in [false, true] {
                if from.bool("nullability")? {
                    shape.nullable.insert(nullable);
                }
            }
            for _ in 0..from.count(1, "column places")? {
                let ordinal = from.u64("column place")?;
                shape
                    .ordinals
                    .insert(u32::try_from(ordinal).map_err(|_| from.invalid("column place"))?);
            }
            shape.files = from.u64("number of files")?;
            if schema.columns.insert(name, shape).is_some() {
                return Err(from.invalid("column name"));
            }
        }
        Ok(schema)
    }
}

impl_state!(Schema);
