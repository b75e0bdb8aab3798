//! The definitions that were read last.
//!
//! Comes in: definitions under their digests. Goes out: the same ones, decoded. It must never hold
//! more than a bounded number of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_model::dataset::Dataset;

/// The definitions that were decoded last, by digest: a start need not parse one again.
#[derive(Clone, Default)]
pub(crate) struct Definitions(Arc<std::sync::Mutex<BTreeMap<String, Arc<Dataset>>>>);

impl Definitions {
    /// More than the datasets that are at work at a time; beyond it the cache starts anew.
    const MOST: usize = 256;

    pub(crate) fn get(&self, digest: &str) -> Option<Arc<Dataset>> {
        self.0.lock().ok()?.get(digest).cloned()
    }

    pub(crate) fn put(&self, digest: &str, dataset: Arc<Dataset>) {
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= Self::MOST {
                known.clear();
            }
            known.insert(digest.to_owned(), dataset);
        }
    }
}
