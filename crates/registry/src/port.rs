//! The port: what every registry does, in the words of the model.

use std::sync::Arc;

use assay_contract::{Code, Diagnostic};
use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;
use async_trait::async_trait;
use jiff::Timestamp;

/// The version mark of a document: equal texts have equal digests.
#[must_use]
pub fn digest(text: &str) -> String {
    format!("{:032x}", xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
}

/// The clock that says when a version was first seen, or put.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A definition in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What it defines.
    pub dataset: Arc<Dataset>,
    /// The document that it was made from.
    pub text: Arc<str>,
    /// The digest of the document; the version that a change must name.
    pub digest: String,
    /// Where the document is kept (a path, a table key).
    pub origin: String,
    /// When this version was first seen or put.
    pub since: Timestamp,
    /// Whether the document has become invalid since, so that this version is kept in force.
    pub kept: bool,
}

/// A document that defines nothing that can be run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFile {
    /// Where it is kept.
    pub origin: String,
    /// Its text, for snippets; empty when it cannot be read.
    pub text: Arc<str>,
    /// What is wrong. Only warnings: the file is valid and this version cannot run it.
    pub diagnostics: Vec<Diagnostic>,
    /// The definition that stays in force in its place, and since when it is.
    pub kept: Option<(DatasetId, Timestamp)>,
}

impl InvalidFile {
    /// Whether the file is valid, and only not run by this version.
    #[must_use]
    pub fn is_only_unsupported(&self) -> bool {
        !self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Everything that a registry holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// The definitions in force, in the order of their ids.
    pub definitions: Vec<Definition>,
    /// The documents that define nothing, in the order of their origins.
    pub invalid: Vec<InvalidFile>,
    /// Warnings about definitions in force.
    pub warnings: Vec<Diagnostic>,
}

/// A version of a dataset's document. What of it cannot be read, or is not kept, is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Counts from 1; a number that was left out was given back.
    pub revision: u64,
    /// The version that the document gives itself.
    pub version: Option<String>,
    /// The status that the document gives the dataset.
    pub status: Option<String>,
    /// The owner that the document names.
    pub owner: Option<String>,
    /// The digest of the document.
    pub digest: Option<String>,
    /// When it was put.
    pub at: Option<Timestamp>,
    /// Who put it.
    pub by: Option<String>,
}

impl Revision {
    /// The definition in force, where no earlier one is kept.
    #[must_use]
    pub fn only(definition: &Definition) -> Self {
        let dataset = &definition.dataset;
        Self {
            revision: 1,
            version: Some(dataset.version.clone()),
            status: Some(dataset.status.to_string()),
            owner: dataset.owner.clone(),
            digest: Some(definition.digest.clone()),
            at: Some(definition.since),
            by: None,
        }
    }
}

/// What must hold for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// The dataset is not defined yet.
    Absent,
    /// The document has this digest.
    Digest(String),
}

/// A precondition that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The dataset.
    pub id: DatasetId,
    /// The digest of the document that is there; absent when there is none.
    pub found: Option<String>,
    /// What is there, for people (`revision 7 of 2026-03-01, put by ana`); empty when there is
    /// nothing to tell beyond the digest.
    pub told: String,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = &self.id;
        match (&self.found, self.told.as_str()) {
            (None, _) => write!(
                f,
                "`{id}` is not there, and the change names a version of it"
            ),
            (Some(_), "") => write!(f, "`{id}` was changed by someone else: read it again"),
            (Some(_), told) => {
                write!(
                    f,
                    "`{id}` was changed by someone else: it is {told}; read it again"
                )
            }
        }
    }
}

/// Why a registry could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The document is invalid; nothing was changed.
    #[error("the definition is invalid: {}", first(.0))]
    Invalid(Vec<Diagnostic>),
    /// Someone else has changed it; nothing was changed.
    #[error("{0}")]
    Conflict(Conflict),
    /// The dataset belongs to somebody else, or its source is not allowed to its owner; nothing was
    /// changed.
    #[error("`{id}` is refused: {reason}; {remedy}")]
    Refused {
        /// The dataset.
        id: DatasetId,
        /// Why.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The document does not fit where definitions are kept; nothing was changed.
    #[error(
        "`{id}` takes {bytes} bytes where it is kept, and at most {limit} fit: shorten its \
         descriptions and lists, or describe its parts as datasets of their own"
    )]
    TooLarge {
        /// The dataset.
        id: DatasetId,
        /// Bytes that it takes, compressed.
        bytes: usize,
        /// The most that are kept.
        limit: usize,
    },
    /// There is no such dataset.
    #[error("there is no dataset `{0}`")]
    NotFound(DatasetId),
    /// The place where definitions are kept cannot be used.
    #[error("{place}: {source}; check that the folder exists and can be read and written")]
    Io {
        /// Which place.
        place: String,
        /// Why.
        source: std::io::Error,
    },
    /// The service that keeps definitions did not do it.
    #[error("{place}: {reason}; {remedy}")]
    Unavailable {
        /// Which place (a table and its region).
        place: String,
        /// What it answered, or that it did not.
        reason: String,
        /// What to do about it.
        remedy: String,
        /// Whether the same call may work later without anybody's doing.
        passing: bool,
        /// Whether it is certain that nothing was changed.
        unchanged: bool,
    },
    /// The work was stopped before it ended; whether the change was made is unknown.
    #[error("the registry was shut down: {0}")]
    Stopped(String),
}

fn first(diagnostics: &[Diagnostic]) -> String {
    let worst = diagnostics
        .iter()
        .find(|d| d.is_error())
        .or(diagnostics.first());
    worst.map_or_else(|| "no reason is given".to_owned(), ToString::to_string)
}

impl RegistryError {
    /// Whether the same call may work later.
    #[must_use]
    pub fn is_worth_a_retry(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Stopped(_) => true,
            Self::Unavailable { passing, .. } => *passing,
            _ => false,
        }
    }

    /// Whether it is certain that nothing was changed.
    #[must_use]
    pub fn nothing_happened(&self) -> bool {
        match self {
            Self::Stopped(_) => false,
            Self::Unavailable { unchanged, .. } => *unchanged,
            _ => true,
        }
    }
}

/// Keeps dataset definitions.
#[async_trait]
pub trait Registry: Send + Sync {
    /// The definition in force of one dataset.
    async fn get(&self, id: &DatasetId) -> Result<Option<Definition>, RegistryError>;

    /// Everything, the invalid documents too.
    async fn list(&self) -> Result<Listing, RegistryError>;

    /// Keeps a document, if `precondition` holds of the dataset that it defines.
    async fn put(
        &self,
        text: &str,
        precondition: Precondition,
    ) -> Result<Definition, RegistryError>;

    /// Sets a dataset's status to retired, if its document has the digest `expected`. It is not
    /// run from then on; its definition and history stay.
    async fn retire(&self, id: &DatasetId, expected: &str) -> Result<Definition, RegistryError>;

    /// The versions of a dataset's document that are kept, newest first; empty when it was never
    /// put. A registry that keeps no earlier ones tells of the one in force.
    async fn revisions(&self, id: &DatasetId) -> Result<Vec<Revision>, RegistryError> {
        let found = self.get(id).await?;
        Ok(found.iter().map(Revision::only).collect())
    }

    /// One version of a dataset's document; `None` when it is not kept.
    async fn revision(
        &self,
        id: &DatasetId,
        number: u64,
    ) -> Result<Option<(Revision, String)>, RegistryError> {
        let found = self.get(id).await?.filter(|_| number == 1);
        Ok(found.map(|found| (Revision::only(&found), found.text.to_string())))
    }
}

/// A diagnostic about a document as a whole.
pub(crate) fn at_start(name: &str, code: Code, message: String, hint: &str) -> Diagnostic {
    Diagnostic {
        code,
        file: name.to_owned(),
        line: 1,
        column: 1,
        span: 0..0,
        text: String::new(),
        path: String::new(),
        message,
        hint: Some(hint.to_owned()),
        redact: None,
    }
}
