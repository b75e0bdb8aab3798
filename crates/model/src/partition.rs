//! Partitions of a dataset: their keys, the objects they are made of, and their versions.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The identity of a partition in its dataset, in canonical spelling.
///
/// One dimension is spelt as its value (`2026-11-20`, `2019-01`, `7`), several as
/// `name=value/name=value` in the order of the definition; the partition of an unpartitioned
/// dataset is `all`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionKey(pub String);

impl PartitionKey {
    /// The only partition of a dataset that has none.
    #[must_use]
    pub fn all() -> Self {
        Self("all".to_owned())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A partition: its key, its place in the order, and the data time it covers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// Sorts as the key's values do (numbers by value, dates by time). Compared as bytes.
    pub order: String,
    /// The identity.
    pub key: PartitionKey,
    /// The first day of data time covered, for keys that are times.
    #[serde(default)]
    pub date: Option<Date>,
    /// The first instant of data time covered, in the dataset's zone.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// The first instant after the data time covered.
    #[serde(default)]
    pub end: Option<Timestamp>,
    /// The series that it belongs to: the parts of its key that do not move in time
    /// (`region=eu`), empty where the whole key moves. A partition is judged against the history
    /// of its own series only; within a series, partitions follow each other by `order`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub series: String,
}

impl Partition {
    /// The partition of a dataset that has only one.
    #[must_use]
    pub fn all() -> Self {
        Self {
            order: String::new(),
            key: PartitionKey::all(),
            date: None,
            start: None,
            end: None,
            series: String::new(),
        }
    }
}

/// An object (a file) as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Where it is, as the source names it.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last changed.
    pub modified: Timestamp,
    /// The store's own version mark, where it has one.
    #[serde(default)]
    pub etag: Option<String>,
}

/// The fingerprint of a partition's content: equal when nothing has to be read again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionVersion(pub String);

impl PartitionVersion {
    /// The version of a partition made of `objects`, whatever their order.
    #[must_use]
    pub fn of_objects(objects: &[ObjectRef]) -> Self {
        let mut lines: Vec<String> = objects
            .iter()
            .map(|o| {
                let mark = o
                    .etag
                    .clone()
                    .unwrap_or_else(|| o.modified.as_nanosecond().to_string());
                format!("{}\u{0}{}\u{0}{mark}\n", o.path, o.size)
            })
            .collect();
        lines.sort_unstable();
        let digest = xxhash_rust::xxh3::xxh3_128(lines.concat().as_bytes());
        Self(format!("{digest:032x}"))
    }

    /// The version of a partition whose source tells `mark` of its content.
    #[must_use]
    pub fn of_mark(mark: &str) -> Self {
        let digest = xxhash_rust::xxh3::xxh3_128(mark.as_bytes());
        Self(format!("{digest:032x}"))
    }

    /// The version of a partition that has not come.
    #[must_use]
    pub fn missing() -> Self {
        Self("missing".to_owned())
    }

    /// The version of a partition whose objects, of version `self`, were taken away.
    #[must_use]
    pub fn taken_away(&self) -> Self {
        if self.is_gone() {
            return self.clone();
        }
        Self(format!("gone:{}", self.0))
    }

    /// Whether it is that of a partition whose objects were taken away.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.starts_with("gone:")
    }

    /// The version of objects whose partition their name does not tell.
    #[must_use]
    pub fn refused() -> Self {
        Self("refused".to_owned())
    }

    /// Whether it is the version of objects that could be measured, and not a word for their lack.
    #[must_use]
    pub fn is_content(&self) -> bool {
        !self.is_gone() && !matches!(self.0.as_str(), "missing" | "refused")
    }

    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PartitionVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A part of one object that a batch reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSlice {
    /// The object, pinned to what the listing showed.
    pub object: ObjectRef,
    /// Which part of it.
    pub part: Part,
}

/// Which part of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it.
    Whole,
    /// Row groups of a Parquet file, by number.
    RowGroups {
        /// The first, from 0.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Bytes of a line format; both ends are record boundaries, the header lies before `start`
    /// unless `start` is 0.
    Bytes {
        /// The first byte.
        start: u64,
        /// The byte after the last.
        end: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(path: &str, size: u64) -> ObjectRef {
        ObjectRef {
            path: path.to_owned(),
            size,
            modified: Timestamp::UNIX_EPOCH,
            etag: None,
        }
    }

    #[test]
    fn a_version_depends_on_the_set_of_objects_and_not_on_its_order() {
        let (a, b) = (object("a", 1), object("b", 2));
        let one = PartitionVersion::of_objects(&[a.clone(), b.clone()]);
        assert_eq!(one, PartitionVersion::of_objects(&[b.clone(), a.clone()]));
        assert_ne!(one, PartitionVersion::of_objects(std::slice::from_ref(&a)));
        assert_ne!(one, PartitionVersion::of_objects(&[a, object("b", 3)]));
    }
}
