//! The definitions that this manager knows by name, so that a run can name its dataset.
//!
//! Comes in: definitions of the registry or of a client. Goes out: the newest of each dataset. It
//! must never be the only place of a definition: a run's own is in the store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;

/// The known definitions.
#[derive(Default)]
pub(crate) struct Definitions {
    // Held for one map operation, never across an await.
    known: Mutex<BTreeMap<DatasetId, Arc<Dataset>>>,
}

impl Definitions {
    pub(crate) fn put(&self, dataset: Dataset) -> Arc<Dataset> {
        let dataset = Arc::new(dataset);
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(dataset.id.clone(), Arc::clone(&dataset));
        dataset
    }

    pub(crate) fn get(&self, id: &DatasetId) -> Option<Arc<Dataset>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Dataset>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }
}
