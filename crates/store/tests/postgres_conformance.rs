//! Every promise of the suite, kept by the Postgres adapter.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pg;

use std::sync::Arc;

use assay_store::conformance::Store;

async fn open() -> (Arc<dyn Store>, ()) {
    (Arc::new(pg::store().await), ())
}

assay_store::conformance_suite!(open);
