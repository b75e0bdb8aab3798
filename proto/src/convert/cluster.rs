//! Definitions: JSON of the model, bounded before it is parsed.

use assay_model::dataset::Dataset;

use super::bounds::{WireError, bounded};
use crate::limits::DEFINITION_BYTES_MAX;

/// A definition.
///
/// # Errors
/// [`WireError`] when it is too large or is not a definition.
pub fn definition(json: String) -> Result<Dataset, WireError> {
    let json = bounded("definition_json", json, DEFINITION_BYTES_MAX)?;
    serde_json::from_str(&json).map_err(|error| WireError::OutOfRange {
        field: "definition_json",
        detail: error.to_string(),
    })
}
