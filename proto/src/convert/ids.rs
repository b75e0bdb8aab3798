//! Identifiers.

use assay_model::ids::{AttemptToken, DatasetId, RunId, TaskId};
use uuid::Uuid;

use super::bounds::{WireError, bounded, present};
use crate::v1;

/// A run's id.
///
/// # Errors
/// [`WireError::BadId`] when it is misspelt.
pub fn run_id(value: String) -> Result<RunId, WireError> {
    Ok(bounded("run_id", value, 64)?.parse()?)
}

/// A dataset's id.
///
/// # Errors
/// [`WireError::BadId`] when it is misspelt.
pub fn dataset_id(value: String) -> Result<DatasetId, WireError> {
    Ok(DatasetId::new(bounded("dataset", value, 256)?)?)
}

/// An attempt's token.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn token(value: Option<v1::AttemptToken>) -> Result<AttemptToken, WireError> {
    let value = present("token", value)?;
    let nonce = Uuid::from_slice(&value.nonce).map_err(|_| WireError::OutOfRange {
        field: "nonce",
        detail: format!("{} bytes instead of 16", value.nonce.len()),
    })?;
    Ok(AttemptToken {
        task: TaskId {
            run: run_id(value.run_id)?,
            no: value.task_no,
        },
        attempt: value.attempt,
        nonce,
    })
}

/// An attempt's token for the wire.
#[must_use]
pub fn token_of(value: &AttemptToken) -> v1::AttemptToken {
    v1::AttemptToken {
        run_id: value.task.run.to_string(),
        task_no: value.task.no,
        attempt: value.attempt,
        nonce: value.nonce.as_bytes().to_vec(),
    }
}
