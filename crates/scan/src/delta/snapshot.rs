//! A version of a Delta table: its columns and its files.
//!
//! In: the log. Out: what the table is at one version, by the log alone: a checkpoint, then every
//! commit behind it, in order. A file is part of the table from the action that adds it to the one
//! that removes it, each told by its path and its deletion vector. Memory is bounded: a log that
//! would take more is refused. It must never mix versions, nor guess where a log contradicts
//! itself.

use std::collections::{BTreeMap, BTreeSet};

use assay_model::partition::{ObjectRef, PartitionVersion};

use super::actions::{self, Action, Add, MetaData, Protocol, Remove, Vector};
use super::log::{self, Log};
use super::protocol::{self, Mapping, Reading};
use super::schema::{self, Column};
use super::{checkpoint, path};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::Objects;

/// What a file of a snapshot takes in memory besides its texts.
const FILE_BYTES: u64 = 256;

/// A file of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LiveFile {
    /// Its path, relative to the root.
    pub(super) path: String,
    pub(super) size: u64,
    /// The values of the partition columns in all of its rows, by physical name.
    pub(super) values: BTreeMap<String, Option<String>>,
    pub(super) vector: Option<Vector>,
}

impl LiveFile {
    /// What its rows are: equal where nothing has to be read again.
    pub(super) fn mark(&self) -> String {
        let vector = self.vector.as_ref().map(Vector::id).unwrap_or_default();
        format!("{}\u{0}{}\u{0}{vector}\n", self.path, self.size)
    }
}

/// A version of the table.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) version: u64,
    pub(super) reading: Reading,
    pub(super) columns: Vec<Column>,
    /// The partition columns, in their order.
    pub(super) partitioned_by: Vec<Column>,
    /// The files, by path.
    pub(super) files: BTreeMap<String, LiveFile>,
    /// The path of the table's root, for people.
    pub(super) root: String,
    /// The last file of the log that it is made of.
    pub(super) newest: ObjectRef,
    schema_text: String,
}

impl Snapshot {
    /// Reads the newest version of the table, or `version`. With `wanted`, only these files.
    ///
    /// # Errors
    /// [`ScanError`] when the log cannot be read whole, contradicts itself, or asks for what is
    /// not known here.
    pub(super) fn load(
        objects: &Objects,
        version: Option<u64>,
        wanted: Option<&BTreeSet<&str>>,
        context: &ScanContext,
    ) -> Result<Self, ScanError> {
        let (log, segment) = Log::open(objects, version, context)?;
        let mut replay = Replay {
            root: objects.root(),
            wanted,
            budget: context.memory_bytes,
            left: context.memory_bytes,
            files: BTreeMap::new(),
            protocol: None,
            meta: None,
        };
        if let Some(checkpoint) = &segment.checkpoint {
            replay.checkpoint(objects, &log, &checkpoint.parts, context)?;
        }
        for (_, commit) in &segment.commits {
            replay.commit(objects, commit, context)?;
        }
        let newest = segment
            .newest()
            .ok_or_else(|| ScanError::corrupt(objects.root(), Place::file(), "its log is empty"))?;
        replay.finish(segment.version, newest)
    }

    /// What the rows of all files depend on besides the files: how columns are found in them.
    pub(super) fn mapping_mark(&self) -> String {
        match self.reading.mapping {
            // Without a mapping no column can come to mean other bytes of a file.
            Mapping::None => String::new(),
            Mapping::Name | Mapping::Id => schema::mark(&self.columns),
        }
    }

    /// What everything that is read of the file rests on.
    pub(super) fn digest(&self, file: &LiveFile) -> String {
        let text = format!("{:?}", (file, &self.schema_text));
        PartitionVersion::of_mark(&text).0
    }

    /// The same of the table without a file.
    pub(super) fn schema_digest(&self) -> String {
        PartitionVersion::of_mark(&self.schema_text).0
    }
}

/// A table that is being put together.
struct Replay<'a> {
    root: String,
    wanted: Option<&'a BTreeSet<&'a str>>,
    budget: u64,
    left: u64,
    files: BTreeMap<(String, String), Live>,
    protocol: Option<Protocol>,
    meta: Option<MetaData>,
}

/// A file, or why it is none below the root.
type Live = Result<LiveFile, String>;

/// What tells the actions of a file from those of others.
type FileKey = (String, String);

impl Replay<'_> {
    /// Takes the actions of a checkpoint.
    fn checkpoint(
        &mut self,
        objects: &Objects,
        log: &Log,
        parts: &[ObjectRef],
        context: &ScanContext,
    ) -> Result<(), ScanError> {
        let mut sidecars = Vec::new();
        let most = context.memory_bytes;
        for part in parts {
            let mut take = |action: Action, path: &str| match action {
                Action::Sidecar(sidecar) => {
                    let own = log.sidecar(&sidecar.path, &objects.root());
                    let own = own.map_err(|what| ScanError::corrupt(path, Place::file(), what))?;
                    sidecars.push(own.clone());
                    Ok(())
                }
                Action::Remove(_) => Ok(()),
                other => self.take(other, path),
            };
            if part.path.ends_with(".json") {
                log::lines(objects, part, most, context, |line, path, number| {
                    for action in parsed(line, path, number)? {
                        take(action, path)?;
                    }
                    Ok(())
                })?;
            } else {
                checkpoint::each(objects, part, context, &mut take)?;
            }
        }
        sidecars.sort_unstable();
        sidecars.dedup();
        for sidecar in sidecars {
            checkpoint::each(
                objects,
                &sidecar,
                context,
                &mut |action, path| match action {
                    Action::Add(_) => self.take(action, path),
                    Action::Remove(_) => Ok(()),
                    _ => {
                        let what = "a sidecar may list files, and nothing else";
                        Err(ScanError::corrupt(path, Place::file(), what))
                    }
                },
            )?;
        }
        Ok(())
    }

    /// Takes the actions of a commit, which happen at once: what it removes is gone before what it
    /// adds is there.
    fn commit(
        &mut self,
        objects: &Objects,
        object: &ObjectRef,
        context: &ScanContext,
    ) -> Result<(), ScanError> {
        let mut added: BTreeMap<FileKey, Live> = BTreeMap::new();
        let mut removed: BTreeSet<FileKey> = BTreeSet::new();
        let most = context.memory_bytes;
        log::lines(objects, object, most, context, |line, path, number| {
            let both = |key: &FileKey| {
                let what = format!("the commit adds and removes the same file {:?}", key.0);
                ScanError::corrupt(path, Place::line(number), what)
            };
            for action in parsed(line, path, number)? {
                match action {
                    Action::Add(add) => {
                        let Some((key, live)) = self.entered(*add, path)? else {
                            continue;
                        };
                        if removed.contains(&key) {
                            return Err(both(&key));
                        }
                        added.insert(key, live);
                    }
                    Action::Remove(remove) => {
                        let key = self.key_of(&remove);
                        if added.contains_key(&key) {
                            return Err(both(&key));
                        }
                        self.spend(key.0.len() + key.1.len(), path)?;
                        removed.insert(key);
                    }
                    other => self.take(other, path)?,
                }
            }
            Ok(())
        })?;
        for key in &removed {
            let freed = (key.0.len() + key.1.len()) as u64 + FILE_BYTES;
            let live = self.files.remove(key);
            self.left += freed * (1 + u64::from(live.is_some()));
        }
        self.left = self.left.min(self.budget);
        self.files.extend(added);
        Ok(())
    }

    fn take(&mut self, action: Action, path: &str) -> Result<(), ScanError> {
        match action {
            Action::Add(add) => {
                if let Some((key, live)) = self.entered(*add, path)? {
                    self.files.insert(key, live);
                }
            }
            Action::Remove(remove) => {
                let key = self.key_of(&remove);
                self.files.remove(&key);
            }
            Action::Protocol(protocol) => self.protocol = Some(protocol),
            Action::MetaData(meta) => self.meta = Some(*meta),
            Action::Sidecar(_) => {
                let what = "a commit names a sidecar, as only a checkpoint may";
                return Err(ScanError::corrupt(path, Place::file(), what));
            }
        }
        Ok(())
    }

    fn key_of(&self, remove: &Remove) -> FileKey {
        // A file outside the root may be removed; what it is called matters only to itself.
        let path = path::resolve(&remove.path, &self.root);
        let vector = remove.deletion_vector.as_ref();
        let path = path.unwrap_or_else(|_| remove.path.clone());
        (path, vector.map(Vector::id).unwrap_or_default())
    }

    /// A file that is added; `None` where it is not wanted.
    fn entered(&mut self, add: Add, log: &str) -> Result<Option<(FileKey, Live)>, ScanError> {
        let vector = add.deletion_vector.as_ref().map(Vector::id);
        let vector = vector.unwrap_or_default();
        let path = match path::resolve(&add.path, &self.root) {
            Ok(path) => path,
            Err(why) => {
                self.spend(add.path.len() + why.len(), log)?;
                return Ok(Some(((add.path, vector), Err(why))));
            }
        };
        if self
            .wanted
            .is_some_and(|wanted| !wanted.contains(path.as_str()))
        {
            return Ok(None);
        }
        let size = u64::try_from(add.size).map_err(|_| {
            let what = format!("the log states a negative size of {path:?}");
            ScanError::corrupt(log, Place::file(), what)
        })?;
        let pair = |(name, value): (&String, &Option<String>)| {
            name.len() + value.as_ref().map_or(0, String::len) + 64
        };
        let values: usize = add.partition_values.iter().map(pair).sum();
        self.spend(2 * path.len() + 2 * vector.len() + values, log)?;
        let live = LiveFile {
            path: path.clone(),
            size,
            values: add.partition_values,
            vector: add.deletion_vector,
        };
        Ok(Some(((path, vector), Ok(live))))
    }

    fn spend(&mut self, bytes: usize, log: &str) -> Result<(), ScanError> {
        match self.left.checked_sub(bytes as u64 + FILE_BYTES) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(ScanError::Unsupported {
                path: log.to_owned(),
                place: Place::file(),
                what: format!(
                    "the files of the table ({} so far) do not fit the memory of {} bytes that a \
                     scan may take",
                    self.files.len(),
                    self.budget
                ),
                remedy: "have the table optimised into fewer files, or give the scan more memory"
                    .to_owned(),
            }),
        }
    }

    fn finish(self, version: u64, newest: ObjectRef) -> Result<Snapshot, ScanError> {
        let root = self.root;
        let corrupt = |what: String| ScanError::corrupt(&root, Place::file(), what);
        let lacks = |what: &str| corrupt(format!("version {version} of its log has no {what}"));
        let protocol = self.protocol.ok_or_else(|| lacks("protocol"))?;
        let meta = self.meta.ok_or_else(|| lacks("metadata"))?;
        let unsupported = |what: String| ScanError::Unsupported {
            path: root.clone(),
            place: Place::file(),
            what,
            remedy: "have the table written without it, or check what is derived from it"
                .to_owned(),
        };
        let reading = protocol::reading(&protocol, &meta).map_err(unsupported)?;
        let columns = schema::columns(&meta.schema_string, reading.mapping).map_err(unsupported)?;
        let mut partitioned_by = Vec::new();
        for name in &meta.partition_columns {
            let found = columns.iter().find(|column| column.name == *name);
            let found = found.ok_or_else(|| {
                corrupt(format!(
                    "it is partitioned by {name:?}, which is no column of it"
                ))
            })?;
            partitioned_by.push(found.clone());
        }
        let mut files = BTreeMap::new();
        for ((path, _), live) in self.files {
            let file = live.map_err(|why| ScanError::Refused {
                path: format!("{path:?}, a file of the Delta table {root}"),
                why,
            })?;
            let lacking = |column: &&Column| !file.values.contains_key(&column.physical);
            if let Some(column) = partitioned_by.iter().find(lacking) {
                // NULL is said as such: a value that is not told is none.
                let what = format!("its log says no {:?} of the file {path:?}", column.name);
                return Err(corrupt(what));
            }
            if file.vector.is_some() && !reading.vectors {
                let what = format!("{path:?} has a deletion vector, which its protocol has not");
                return Err(corrupt(what));
            }
            if files.insert(path.clone(), file).is_some() {
                let what = format!("{path:?} is part of it twice, with other deletion vectors");
                return Err(corrupt(what));
            }
        }
        let schema_text = format!("{:?}", (&columns, &meta.partition_columns, reading));
        Ok(Snapshot {
            version,
            reading,
            columns,
            partitioned_by,
            files,
            root,
            newest,
            schema_text,
        })
    }
}

/// The actions of a line, which may be empty.
fn parsed(line: &[u8], path: &str, number: u64) -> Result<Vec<Action>, ScanError> {
    if line.is_empty() {
        return Ok(Vec::new());
    }
    actions::of_line(line).map_err(|what| ScanError::corrupt(path, Place::line(number), what))
}
