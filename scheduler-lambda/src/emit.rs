//! The port to whoever starts runs.
//!
//! Comes in: a dataset and a run to ask for. Goes out: whether the run is there. An adapter must never
//! say that a run is there when that is not known: asking again costs nothing, since a run has one
//! key.

use assay_model::dataset::Dataset;
use async_trait::async_trait;

use crate::look::Emission;

/// What became of a wish for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emitted {
    /// The run was begun.
    Begun,
    /// The run was there already.
    Existed,
}

/// Why a run is not known to be there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// This one is refused; others may be taken.
    #[error("{0}")]
    Refused(String),
    /// Nobody takes any at present.
    #[error("{0}")]
    Away(String),
}

/// Starts runs.
#[async_trait]
pub trait Emitter: Send + Sync {
    /// Asks for one run of `dataset`. Repeats are one run.
    async fn emit(&self, dataset: &Dataset, emission: &Emission) -> Result<Emitted, EmitError>;
}
