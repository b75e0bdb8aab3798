//! Definitions: the document, its versions, what changed between two, and what applying did.

use crate::schema::{Book, Described, described};
use assay_model::dataset::DatasetStatus;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::problem::Diagnostic;

described! {
/// A definition's document, as `GET /datasets/{id}/definition` and `/versions/{v}` give it in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// The dataset.
    pub id: String,
    /// The version that the document states.
    pub version: String,
    /// Where it is in its life.
    pub status: DatasetStatus,
    /// The document, as it was put.
    pub text: String,
    /// What the document defines, decoded: what runs are planned with; `null` for a version that is
    /// not in force.
    pub decoded: Option<serde_json::Value>,
    /// Its digest: the ETag that a change must name in `If-Match`.
    pub digest: String,
    /// Where it is kept.
    pub file: String,
    /// When this version was first seen or put.
    pub since: Option<Timestamp>,
    /// Its number among the versions that are kept, where they are numbered.
    pub revision: Option<u64>,
    /// Whether the document has become invalid since, so that this version is kept in force.
    pub kept: bool,
}
}

described! {
/// A version of a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionRow {
    /// Its number, from 1.
    pub revision: u64,
    /// The version that its document states, if it could be read.
    pub version: Option<String>,
    /// Its status.
    pub status: Option<String>,
    /// Who answered for it.
    pub owner: Option<String>,
    /// The digest of its document.
    pub digest: String,
    /// When it was put.
    pub at: Option<Timestamp>,
    /// Who put it, if they said.
    pub by: Option<String>,
    /// Whether it is the one in force.
    pub in_force: bool,
}
}

/// What a line of a diff is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineKind {
    /// In both.
    Same,
    /// Only in the newer one.
    Added,
    /// Only in the older one.
    Removed,
}

impl Described for LineKind {
    fn schema(_: &mut Book) -> serde_json::Value {
        serde_json::json!({ "type": "string", "enum": ["same", "added", "removed"] })
    }
}

described! {
/// A line of a diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffLine {
    /// What it is.
    pub kind: LineKind,
    /// Its number in the older document, from 1.
    pub before: Option<u32>,
    /// Its number in the newer document, from 1.
    pub after: Option<u32>,
    /// Its text.
    pub text: String,
}
}

described! {
/// What changed between two documents.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The digest of the older document; `null` when there is none.
    pub before: Option<String>,
    /// The digest of the newer one.
    pub after: String,
    /// Checks that only the newer one has.
    pub checks_added: Vec<String>,
    /// Checks that only the older one has.
    pub checks_removed: Vec<String>,
    /// Checks that both have and that differ.
    pub checks_changed: Vec<String>,
    /// Whether verdicts by the older one would not be verdicts by the newer one: what is judged
    /// changes, not only names and words.
    pub judges_differently: bool,
    /// The lines of both, with three lines round each change.
    pub lines: Vec<DiffLine>,
}
}

described! {
/// `PUT /datasets/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The dataset.
    pub id: String,
    /// `created`, `changed` or `unchanged`: what was done, or with `dryRun` would be.
    pub done: String,
    /// Whether it was only tried.
    pub dry_run: bool,
    /// The digest of the document: the new ETag.
    pub digest: String,
    /// What changed.
    pub diff: Diff,
    /// Warnings about the document.
    pub warnings: Vec<Diagnostic>,
}
}

described! {
/// `POST /datasets:validate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// Whether the document is a definition.
    pub valid: bool,
    /// The dataset that it defines.
    pub id: Option<String>,
    /// The version that it states.
    pub version: Option<String>,
    /// Checks that it declares or implies.
    pub checks: u64,
    /// What is wrong, or deserves a look, in the order of the document.
    pub diagnostics: Vec<Diagnostic>,
}
}
