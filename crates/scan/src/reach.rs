//! Ports to data beyond this machine's files: buckets of object stores and tables of databases.
//!
//! In: a [`Source`], and what it may be reached with ([`Access`]). Out: objects that are read like
//! files ([`RemoteObjects`]), or a table that lists its partitions and measures their rows
//! ([`Table`]). The calls block: a scan is synchronous, and adapters bring their own runtime.
//!
//! An adapter must never reach a place that the [`Access`] does not allow, and never put a secret
//! into an error, a log line or a state.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use assay_metrics::TableState;
use assay_model::dataset::{Credential, Dataset, Source};
use assay_model::partition::{ObjectRef, PartitionKey};
use assay_model::task::MeasureSpec;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::ScanContext;
use crate::discover::decide::Seen;
use crate::error::{Place, ScanError};
use crate::object::ReadAt;
use crate::storage::{Storage, StorageAt};

/// The way to sources beyond this machine's files.
pub trait Reach: fmt::Debug + Send + Sync {
    /// The objects of a bucket; the reads of one of them may hold `memory_bytes` of it, or less.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when it may not be reached, [`ScanError::Unsupported`] when it
    /// cannot be by this program.
    fn objects(
        &self,
        source: &Source,
        memory_bytes: u64,
    ) -> Result<Arc<dyn RemoteObjects>, ScanError>;

    /// The same for one task: whoever waits for the bucket stops when the task is stopped.
    ///
    /// # Errors
    /// As [`Reach::objects`].
    fn objects_for(
        &self,
        source: &Source,
        context: &ScanContext,
    ) -> Result<Arc<dyn RemoteObjects>, ScanError> {
        self.objects(source, context.memory_bytes)
    }

    /// A table of a database.
    ///
    /// # Errors
    /// As [`Reach::objects`].
    fn table(&self, source: &Source) -> Result<Arc<dyn Table>, ScanError>;

    /// Our own storage of copies.
    ///
    /// # Errors
    /// [`ScanError::Unsupported`] when the task was given none.
    fn storage(&self) -> Result<Arc<dyn Storage>, ScanError> {
        Err(ScanError::Unsupported {
            path: "storage".to_owned(),
            place: Place::file(),
            what: "this task was given no place to store copies in".to_owned(),
            remedy: "set `[ingest] url`, or write `mode: in-place` under assayStorage".to_owned(),
        })
    }
}

/// A listing, item by item.
pub type Listing<'a> = Box<dyn Iterator<Item = Result<ObjectRef, ScanError>> + Send + 'a>;

/// The objects below one prefix of a bucket.
pub trait RemoteObjects: fmt::Debug + Send + Sync {
    /// The address of the prefix that paths are relative to, for people.
    fn root(&self) -> &str;

    /// The pattern below the root, as written; `None` when the location is an object or a prefix.
    fn pattern(&self) -> Option<&str>;

    /// The name of the one object, when the location is one.
    fn single(&self) -> Option<&str>;

    /// Every object below `prefix` (relative to the root; empty for all), in the order of their
    /// names, with its tag. What may not be read is an item of its own ([`ScanError::Refused`]).
    fn list(&self, prefix: &str) -> Listing<'_>;

    /// Opens an object, pinned to what the listing showed: a read of an object with another tag is
    /// [`ScanError::Changed`].
    ///
    /// # Errors
    /// [`ScanError::Changed`] when it is another already.
    fn open(&self, object: &ObjectRef) -> Result<Box<dyn PinnedRead>, ScanError>;
}

/// An open object, pinned to what a listing showed.
pub trait PinnedRead: ReadAt + fmt::Debug {
    /// Compares it with what the listing showed.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when they differ.
    fn verify_unchanged(&self) -> Result<(), ScanError>;
}

/// A table of a database. Its ranges of rows take the place of objects: a range is named by an
/// [`ObjectRef`] whose path says which rows it has and whose tag changes when they do.
pub trait Table: fmt::Debug + Send + Sync {
    /// Every partition of the table with its ranges of about `target_bytes`, in key order. Parts
    /// without rows whose time has not begun at `now` are none yet.
    ///
    /// # Errors
    /// [`ScanError`] when the table cannot be looked at, or holds a row without a valid key.
    fn partitions(
        &self,
        dataset: &Dataset,
        now: Timestamp,
        context: &ScanContext,
    ) -> Result<Vec<Seen>, ScanError>;

    /// Looks whether the table is there and may be read, without reading it.
    ///
    /// # Errors
    /// [`ScanError`] when it cannot be reached, is not there, or may not be read.
    fn look(&self, context: &ScanContext) -> Result<(), ScanError>;

    /// Measures the ranges of a batch, each as it was listed.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when the rows of a range are others than listed.
    fn measure(
        &self,
        dataset: &Dataset,
        spec: &MeasureSpec,
        context: &ScanContext,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError>;

    /// The columns that the rows of these ranges have as batches: those whose values can be read.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when the rows of a range are others than listed.
    fn columns(
        &self,
        dataset: &Dataset,
        ranges: &[ObjectRef],
        context: &ScanContext,
    ) -> Result<SchemaRef, ScanError>;

    /// Reads the rows of ranges, each as it was listed, with those of [`Table::columns`] that
    /// `asked` has; `each` says whether more are wanted.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when the rows of a range are others than listed,
    /// [`ScanError::Unsupported`] for values that the column's type of Arrow has not.
    fn rows(
        &self,
        dataset: &Dataset,
        ranges: &[ObjectRef],
        asked: &SchemaRef,
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError>;
}

pub use assay_model::source::Secret;

/// What sources may be reached, and what logs in to them: resolved by the node for one task, and
/// all that its process knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The secrets of the task's sources, by the reference to each.
    #[serde(default)]
    pub secrets: BTreeMap<String, Secret>,
    /// The address prefixes that may be reached (`s3://bucket/prefix/`, `postgres://host:5432/db`,
    /// `file:///data/`); empty: files of this machine, and nothing else; `None`: whatever the user
    /// of this machine may reach.
    #[serde(default)]
    pub allowed: Option<Vec<String>>,
    /// Who an object store is asked as where no secret says it.
    #[serde(default)]
    pub identity: Identity,
    /// The external id that roles are taken on with. Where places are listed it is the operator's,
    /// and no document may name another: an owner who could would take on roles of others.
    #[serde(default)]
    pub external_id: Option<String>,
    /// Where copies are stored, for a task of a dataset that is ingested.
    #[serde(default)]
    pub storage: Option<StorageAt>,
}

/// Who an object store is asked as where no secret of the source says it, or its role is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Whoever this process finds itself to be.
    #[default]
    OfProcess,
    /// Nobody: the process must not look.
    Nobody,
    /// Credentials that were resolved for this task, and end soon.
    Given(Secret),
}

/// Resolves who a source is read as, in short-lived credentials: so that the process of a task needs
/// no way to those of the machine. `None` where the source's own secret says it.
///
/// # Errors
/// [`ScanError::Away`] when whoever hands them out does not answer, [`ScanError::Definition`] when
/// they are refused.
pub type Resolve = for<'a> fn(&'a Source, &'a Access) -> Resolving<'a>;

/// A resolution under way.
pub type Resolving<'a> =
    Pin<Box<dyn Future<Output = Result<Option<Secret>, ScanError>> + Send + 'a>>;

impl Access {
    /// The files and folders of this machine that may be read: those that the list names, any
    /// where it names nothing at all.
    #[must_use]
    pub fn files(&self) -> Option<Vec<PathBuf>> {
        let allowed = self.allowed.as_ref().filter(|places| !places.is_empty())?;
        let files = allowed
            .iter()
            .filter_map(|place| place.strip_prefix("file://"));
        Some(files.map(PathBuf::from).collect())
    }

    /// The secret of a reference.
    #[must_use]
    pub fn secret(&self, credential: &Credential) -> Option<&Secret> {
        self.secrets.get(&credential.to_string())
    }
}

/// Makes the way to sources from what a task may reach.
pub type MakeReach = fn(Access) -> Arc<dyn Reach>;
