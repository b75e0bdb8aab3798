//! The port to our own storage: copies of partitions, on which checks run.
//!
//! In: batches of a dataset whose definition says `mode: ingest`. Out: the states of the stored
//! rows, and tables that readers see whole or not at all. A batch is written once, however often it
//! is tried; it is named by its [`cut`], which changes whenever its content may have.
//!
//! Storage must never show a part of a partition, two versions of one, or rows that no evaluation
//! stands for.

use std::collections::BTreeMap;
use std::fmt;

use assay_metrics::TableState;
use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;
use assay_model::output::Discovery;
use assay_model::partition::{Partition, PartitionKey, PartitionVersion};
use assay_model::source::StorageMode;
use assay_model::task::MeasureSpec;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::ScanContext;
use crate::error::ScanError;
use crate::reach::Secret;

/// Where storage is and what logs in there: given to the tasks that write to it and to no others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageAt {
    /// The name or address of its machine.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// Who logs in.
    pub user: String,
    /// The password, which may be a token that holds for a while; empty where none is asked for.
    pub password: Secret,
    /// Certificates (PEM) of the authorities that the server's is signed by, where they are not
    /// those that the machine trusts.
    #[serde(default)]
    pub ca: Option<String>,
    /// Whether the network is trusted, and the connection may be one that others can read.
    #[serde(default)]
    pub plain: bool,
    /// Who stores copies there: one store's, whatever processes work for it. Copies of a dataset are
    /// those of the first who stored some, and nobody else's.
    #[serde(default)]
    pub owner: String,
}

impl StorageAt {
    /// The place, for people: without a password.
    #[must_use]
    pub fn address(&self) -> String {
        let Self {
            host,
            port,
            database,
            ..
        } = self;
        format!("postgres://{host}:{port}/{database}")
    }
}

/// A partition version whose batches are all stored, to be shown to readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The dataset.
    pub dataset: DatasetId,
    /// The partition.
    pub partition: Partition,
    /// Its version.
    pub version: PartitionVersion,
    /// Its batches, each by its [`cut`].
    pub cuts: Vec<String>,
    /// Days of data time that partitions are kept for; absent: for ever.
    pub retention_days: Option<u32>,
    /// The partitions of the dataset that the source has no longer: they are dropped where they are
    /// still shown.
    pub gone: Vec<PartitionKey>,
    /// When the evaluation that it belongs to was started, by the one clock of all evaluations.
    pub now: Timestamp,
}

/// What a publication came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Published {
    /// Rows that readers see of the partition.
    pub rows: u64,
    /// Tables that hold them.
    pub tables: u64,
    /// Whether the partition is older than what is kept, and is not shown.
    pub too_old: bool,
    /// Partitions that were dropped because they are.
    pub dropped: u64,
}

/// Our own storage.
pub trait Storage: fmt::Debug + Send + Sync {
    /// Takes a copy of a batch, unless there is one, and measures the copy.
    ///
    /// # Errors
    /// [`ScanError`]: those of reading the source; [`ScanError::Unsupported`] for a value or a type
    /// that cannot be stored without loss, by its name.
    fn ingest(
        &self,
        dataset: &Dataset,
        spec: &MeasureSpec,
        context: &ScanContext,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError>;

    /// Shows a version of a partition to readers instead of the one before, at one instant, and
    /// drops what was stored of others and what is older than what is kept. A repeat does nothing.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when a batch is not there, or an evaluation that was started later has
    /// published another version.
    fn publish(
        &self,
        publication: &Publication,
        context: &ScanContext,
    ) -> Result<Published, ScanError>;

    /// Drops a partition and all that was stored of it; `now` as of a publication.
    ///
    /// # Errors
    /// [`ScanError::Changed`] when an evaluation that was started later has published it.
    fn remove(
        &self,
        dataset: &DatasetId,
        partition: &PartitionKey,
        now: Timestamp,
        context: &ScanContext,
    ) -> Result<(), ScanError>;
}

/// Whether checks run on a stored copy.
#[must_use]
pub fn is_ingested(dataset: &Dataset) -> bool {
    dataset.storage.mode == StorageMode::Ingest
}

/// What names the content of a batch: its place, its format, and the objects pinned to what the
/// listing showed. Equal for a batch that is tried again, by whatever run; a run that is to read
/// the source again, whatever it shows, has names of its own.
#[must_use]
pub fn cut(dataset: &Dataset, spec: &MeasureSpec) -> String {
    let source = &dataset.source;
    // The columns of delimited text without a header are named by the definition.
    let names: Vec<&str> = match source.format.header {
        true => Vec::new(),
        false => dataset.columns.iter().map(|c| c.name.as_str()).collect(),
    };
    let slices: Vec<String> = spec
        .slices
        .iter()
        .map(|slice| {
            let object = &slice.object;
            let mark = object.etag.clone();
            let mark = mark.unwrap_or_else(|| object.modified.as_nanosecond().to_string());
            format!("{:?}", (&object.path, object.size, mark, slice.part))
        })
        .collect();
    let keys: Vec<&str> = spec.partitions.iter().map(|p| p.key.as_str()).collect();
    let address = source.location.address();
    let mut whole = format!("{:?}", (address, &source.format, names, keys, slices));
    if let Some(reading) = &spec.reading {
        whole.push_str(&format!("{reading:?}"));
    }
    PartitionVersion::of_mark(&whole).0
}

/// Has every batch of a plan read from the source, whatever copies there are of it.
pub(crate) fn read_again(discovery: &mut Discovery, now: Timestamp) {
    for spec in discovery.measures.iter_mut().filter(|spec| !spec.queries) {
        spec.reading = Some(now.to_string());
    }
}

/// Tells every evaluation of a plan the names of the batches that it is about.
pub(crate) fn name_copies(dataset: &Dataset, discovery: &mut Discovery) {
    let cuts: Vec<Option<String>> = discovery
        .measures
        .iter()
        .map(|spec| (!spec.queries).then(|| cut(dataset, spec)))
        .collect();
    for evaluation in &mut discovery.evaluations {
        let of = |no: &u32| cuts.get((*no as usize).checked_sub(1)?)?.clone();
        evaluation.copies = evaluation.measured_by.iter().filter_map(of).collect();
    }
}
