//! Every promise of the suite, kept by the SQLite adapter: in a file, and in memory.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use assay_store::conformance::Store;
use assay_store::{OpenOptions, SqliteStore};

mod in_a_file {
    use super::*;

    async fn open() -> (Arc<dyn Store>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(folder.path().join("assay.db"), OpenOptions::default())
            .await
            .unwrap();
        (Arc::new(store), folder)
    }

    assay_store::conformance_suite!(open);
}

mod in_memory {
    use super::*;

    async fn open() -> (Arc<dyn Store>, ()) {
        (Arc::new(SqliteStore::in_memory().await.unwrap()), ())
    }

    assay_store::conformance_suite!(open);
}
