//! The actions of a Delta log, as one line of a commit or one row of a checkpoint says them.
//!
//! In: JSON. Out: typed actions, without what no reader needs (statistics, tags, the history of
//! commits). Fields that are not known are passed over, as the protocol asks of readers; what may
//! not be passed over is announced by the protocol's versions and features. It must never keep a
//! text that it does not need: statistics make up most of a log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A file that becomes part of the table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Add {
    pub(super) path: String,
    pub(super) partition_values: BTreeMap<String, Option<String>>,
    pub(super) size: i64,
    #[serde(default)]
    pub(super) deletion_vector: Option<Vector>,
}

/// A file that is no part of the table any more.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Remove {
    pub(super) path: String,
    #[serde(default)]
    pub(super) deletion_vector: Option<Vector>,
}

/// Where the rows are told that a file has and the table has not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Vector {
    pub(super) storage_type: String,
    pub(super) path_or_inline_dv: String,
    #[serde(default)]
    pub(super) offset: Option<i32>,
    pub(super) size_in_bytes: i32,
    pub(super) cardinality: i64,
}

impl Vector {
    /// What tells it from the other vectors of its file.
    pub(super) fn id(&self) -> String {
        let (kind, of) = (&self.storage_type, &self.path_or_inline_dv);
        match self.offset {
            Some(offset) => format!("{kind}{of}@{offset}"),
            None => format!("{kind}{of}"),
        }
    }
}

/// What a reader must know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Protocol {
    pub(super) min_reader_version: i32,
    #[serde(default)]
    pub(super) reader_features: Option<Vec<String>>,
}

/// The table's columns and settings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetaData {
    #[serde(default)]
    pub(super) format: Option<Provider>,
    pub(super) schema_string: String,
    #[serde(default)]
    pub(super) partition_columns: Vec<String>,
    #[serde(default)]
    pub(super) configuration: BTreeMap<String, Option<String>>,
}

/// How the data files are written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Provider {
    #[serde(default)]
    pub(super) provider: Option<String>,
}

/// A file with actions of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Sidecar {
    pub(super) path: String,
}

/// An action that bears on what the table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Add(Box<Add>),
    Remove(Remove),
    Protocol(Protocol),
    MetaData(Box<MetaData>),
    Sidecar(Sidecar),
}

/// A line of a commit: one of these, or an action that does not concern readers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default)]
    add: Option<Add>,
    #[serde(default)]
    remove: Option<Remove>,
    #[serde(default)]
    protocol: Option<Protocol>,
    #[serde(default)]
    meta_data: Option<MetaData>,
    #[serde(default)]
    sidecar: Option<Sidecar>,
}

/// The actions of a line; none for one that does not concern readers.
///
/// # Errors
/// What is wrong with it.
pub(super) fn of_line(line: &[u8]) -> Result<Vec<Action>, String> {
    if line.first() != Some(&b'{') {
        return Err("a line is no action of a Delta log: it is no JSON object".to_owned());
    }
    let line: Line = serde_json::from_slice(line)
        .map_err(|error| format!("a line is no action of a Delta log: {error}"))?;
    let add = line.add.map(|add| Action::Add(Box::new(add)));
    let meta = line.meta_data.map(|meta| Action::MetaData(Box::new(meta)));
    Ok([
        add,
        line.remove.map(Action::Remove),
        line.protocol.map(Action::Protocol),
        meta,
        line.sidecar.map(Action::Sidecar),
    ]
    .into_iter()
    .flatten()
    .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_readers_need_is_kept_and_the_rest_passed_over() {
        let line = br#"{"add":{"path":"a","size":3,"partitionValues":{"d":null,"e":"1"},
            "stats":"{\"numRecords\":1}","new":[1,{"x":2}],"dataChange":true}}"#;
        let actions = of_line(line).unwrap();
        let [Action::Add(add)] = actions.as_slice() else {
            panic!("{actions:?}");
        };
        assert_eq!((add.path.as_str(), add.size), ("a", 3));
        assert_eq!(add.partition_values["d"], None);
        assert_eq!(add.partition_values["e"].as_deref(), Some("1"));
        assert!(of_line(br#"{"commitInfo":{"x":1}}"#).unwrap().is_empty());
        for bad in [
            &b"{"[..],
            b"[]",
            br#"{"add":{"size":3}}"#,
            br#"{"add":{"path":"a","size":"3"}}"#,
            br#"{"add":{"path":"a","path":"b","size":3}}"#,
            b"\xff",
        ] {
            assert!(of_line(bad).is_err());
        }
        let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        // What is passed over may be as deep as it likes; what is read may not.
        assert!(of_line(deep.as_bytes()).unwrap().is_empty());
        let read = deep.replace("\"x\"", "\"add\"");
        assert!(of_line(read.as_bytes()).is_err());
    }
}
