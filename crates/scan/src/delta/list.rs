//! The files of a Delta table as discovery sees them.
//!
//! In: the folder of a table. Out: each file of its newest version, found in a listing of the
//! folder and pinned to both. The log is read before the folder is listed, so that whatever a
//! version names was there already. A file that is named and not there is an error: the rows of the
//! table are not told without it.

use std::collections::{BTreeMap, BTreeSet};

use arrow_schema::DataType;
use assay_model::dataset::Dataset;
use assay_model::partition::ObjectRef;

use super::log::Log;
use super::pin::Pin;
use super::schema::Kind;
use super::snapshot::{LiveFile, Snapshot};
use super::value;
use super::vector::{self, Kept};
use crate::context::ScanContext;
use crate::error::{Place, ScanError};
use crate::object::Objects;

/// The newest version of a table, with its files as they are planned.
#[derive(Debug)]
pub(crate) struct Listed {
    snapshot: Snapshot,
    /// The files, in the order of their paths, as the log and a plan have them.
    files: Vec<(LiveFile, ObjectRef)>,
}

/// A file as discovery puts it into partitions.
#[derive(Debug)]
pub(crate) struct Placed<'a> {
    /// The object, as a plan has it.
    pub(crate) object: &'a ObjectRef,
    /// What its rows are, for the version of its partition.
    pub(crate) mark: String,
    /// The spellings of its partition values; `None` for NULL.
    pub(crate) values: Vec<Option<String>>,
}

/// Reads the log and finds every file of the newest version.
pub(crate) fn list(objects: &Objects, context: &ScanContext) -> Result<Listed, ScanError> {
    let mut snapshot = Snapshot::load(objects, None, None, context)?;
    let files: Vec<LiveFile> = std::mem::take(&mut snapshot.files).into_values().collect();
    let mut vectors = Vec::with_capacity(files.len());
    let mut sought: BTreeSet<&str> = BTreeSet::new();
    for file in &files {
        let kept = file
            .vector
            .as_ref()
            .map(|told| vector::kept(told, &snapshot.root));
        let kept = kept
            .transpose()
            .map_err(|what| ScanError::corrupt(&file.path, Place::file(), what))?;
        vectors.push(match kept {
            Some(Kept::File(path, _)) => Some(path),
            _ => None,
        });
        sought.insert(&file.path);
    }
    sought.extend(vectors.iter().flatten().map(String::as_str));
    let mut there: BTreeMap<String, ObjectRef> = BTreeMap::new();
    let mut refused = BTreeMap::new();
    if !sought.is_empty() {
        for item in objects.walk("") {
            context.check(&snapshot.root)?;
            match item {
                Ok(object) if sought.contains(object.path.as_str()) => {
                    there.insert(object.path.clone(), object);
                }
                Ok(_) => {}
                Err(ScanError::Refused { path, why }) => {
                    refused.insert(path, why);
                }
                Err(error) => return Err(error),
            }
        }
    }
    let found = |path: &str| match there.get(path) {
        Some(object) => Ok(object.clone()),
        None => Err(absent(objects, &snapshot, path, &refused, context)),
    };
    let mut planned = Vec::with_capacity(files.len());
    for (file, vector) in files.into_iter().zip(vectors) {
        let object = found(&file.path)?;
        if object.size != file.size {
            let what = format!(
                "it has {} bytes, and the log of its table states {}",
                object.size, file.size
            );
            return Err(ScanError::corrupt(&file.path, Place::file(), what));
        }
        let pin = Pin {
            version: snapshot.version,
            digest: snapshot.digest(&file),
            tag: object.etag.clone(),
            vector: vector.as_deref().map(found).transpose()?,
            empty: false,
        };
        planned.push((file, pin.planned(object)));
    }
    Ok(Listed {
        snapshot,
        files: planned,
    })
}

/// What is told of a file that the log names and the folder has not.
fn absent(
    objects: &Objects,
    snapshot: &Snapshot,
    path: &str,
    refused: &BTreeMap<String, String>,
    context: &ScanContext,
) -> ScanError {
    let Snapshot { root, version, .. } = snapshot;
    let name = format!("/{path}");
    if let Some((_, why)) = refused
        .iter()
        .find(|(known, _)| known.as_str() == path || known.trim_matches('"').ends_with(&name))
    {
        return ScanError::Refused {
            path: path.to_owned(),
            why: why.clone(),
        };
    }
    match Log::open(objects, None, context) {
        Ok((_, segment)) if segment.version > *version => {
            return ScanError::Changed {
                path: root.clone(),
                what: format!("version {version} became {}", segment.version),
            };
        }
        Ok(_) => {}
        Err(error) => return error,
    }
    ScanError::Definition {
        path: root.clone(),
        place: Place::file(),
        what: format!(
            "version {version} of the table has the file {path:?}, which is not there: it was \
             vacuumed, or deleted past the log"
        ),
        remedy: "restore the file, or have the table repaired (FSCK REPAIR TABLE)".to_owned(),
    }
}

impl Listed {
    /// The names of the partition columns.
    pub(crate) fn names(&self) -> Vec<String> {
        let columns = self.snapshot.partitioned_by.iter();
        columns.map(|column| column.name.clone()).collect()
    }

    /// The types of the partition columns.
    ///
    /// # Errors
    /// [`ScanError::Unsupported`] for one that is no single value.
    fn kinds(&self) -> Result<Vec<DataType>, ScanError> {
        let columns = self.snapshot.partitioned_by.iter();
        let kind = |column: &super::schema::Column| match &column.kind {
            Kind::Plain(kind) => Ok(kind.clone()),
            _ => Err(ScanError::corrupt(
                &self.snapshot.root,
                Place::file().in_column(&column.name),
                "a partition column has a single value in each row",
            )),
        };
        columns.map(kind).collect()
    }

    /// Every file with the spellings of its partition values, on the clock of `zone`.
    ///
    /// # Errors
    /// [`ScanError::Corrupt`] for a value that is none of its column's type.
    pub(crate) fn placed(&self, zone: &jiff::tz::TimeZone) -> Result<Vec<Placed<'_>>, ScanError> {
        let mut columns = Vec::new();
        for (column, kind) in self.snapshot.partitioned_by.iter().zip(self.kinds()?) {
            let raw: Vec<Option<&str>> = self
                .files
                .iter()
                .map(|(file, _)| file.values.get(&column.physical)?.as_deref())
                .collect();
            let spelt = value::spelt(&kind, &raw, zone).map_err(|what| {
                let place = Place::file().in_column(&column.name);
                ScanError::corrupt(&self.snapshot.root, place, what)
            })?;
            columns.push(spelt.into_iter());
        }
        let mut placed = Vec::with_capacity(self.files.len());
        for (file, object) in &self.files {
            placed.push(Placed {
                object,
                mark: file.mark(),
                values: columns.iter_mut().map(|c| c.next().flatten()).collect(),
            });
        }
        Ok(placed)
    }

    /// What the rows of every file depend on besides the files.
    pub(crate) fn mapping_mark(&self) -> String {
        self.snapshot.mapping_mark()
    }

    /// What stands for a table without files: the last file of its log.
    pub(crate) fn nothing(&self) -> ObjectRef {
        let newest = &self.snapshot.newest;
        let pin = Pin {
            version: self.snapshot.version,
            digest: self.snapshot.schema_digest(),
            tag: newest.etag.clone(),
            vector: None,
            empty: true,
        };
        pin.planned(newest.clone())
    }

    /// The object of a plan as its store knows it.
    pub(crate) fn stored(object: &ObjectRef) -> Result<ObjectRef, ScanError> {
        Ok(Pin::of(object)?.object(object))
    }
}

/// All files of a table's newest version, as a plan has them.
///
/// # Errors
/// [`ScanError`] when the log cannot be read, or a file that it names is not there.
pub fn files(dataset: &Dataset, context: &ScanContext) -> Result<Vec<ObjectRef>, ScanError> {
    let objects = Objects::open(&dataset.source, context)?;
    let listed = list(&objects, context)?;
    if listed.files.is_empty() {
        return Ok(vec![listed.nothing()]);
    }
    Ok(listed.files.into_iter().map(|(_, object)| object).collect())
}

/// Looks whether there is a table that can be read, without looking for its files.
///
/// # Errors
/// [`ScanError`] when there is none, or it asks for what is not known here.
pub fn look(dataset: &Dataset, context: &ScanContext) -> Result<(), ScanError> {
    let objects = Objects::open(&dataset.source, context)?;
    Snapshot::load(&objects, None, Some(&BTreeSet::new()), context).map(|_| ())
}
