//! How an object of a plan is held to a version of its table.
//!
//! In: what discovery knows of a file. Out: the same, as the tag of an [`ObjectRef`] carries it to
//! whoever reads the file. Whoever reads compares it with the log again.

use assay_model::partition::ObjectRef;
use serde::{Deserialize, Serialize};

use crate::error::{Place, ScanError};

/// What a file of a plan is held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pin {
    /// The version of the table.
    pub(super) version: u64,
    /// What the log says at that version, as a fingerprint.
    pub(super) digest: String,
    /// The store's own version mark of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tag: Option<String>,
    /// The file that holds its deletion vector, as a listing shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) vector: Option<ObjectRef>,
    /// Set where it stands for a table without files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) empty: bool,
}

impl Pin {
    /// What an object of a plan is held to.
    pub(super) fn of(object: &ObjectRef) -> Result<Self, ScanError> {
        let tag = object.etag.as_deref().unwrap_or_default();
        serde_json::from_str(tag).map_err(|_| {
            let what = "it was not planned as a file of a Delta table";
            ScanError::corrupt(&object.path, Place::file(), what)
        })
    }

    /// The object as its store knows it.
    pub(super) fn object(&self, planned: &ObjectRef) -> ObjectRef {
        ObjectRef {
            etag: self.tag.clone(),
            ..planned.clone()
        }
    }

    /// The object as a plan has it.
    pub(super) fn planned(self, object: ObjectRef) -> ObjectRef {
        let tag = serde_json::to_string(&self).unwrap_or_default();
        ObjectRef {
            etag: Some(tag),
            ..object
        }
    }
}
