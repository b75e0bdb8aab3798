//! What is promised of how much a store says that it holds.

use std::sync::Arc;

use assay_model::outcome::Outcome;

use super::Store;
use super::fixtures::{Bench, evaluation, ok};
use crate::size::StoreSize;

fn rows(size: &StoreSize, table: &str) -> u64 {
    let mut found = size.tables.iter().filter(|of| of.table == table);
    match (found.next(), found.next()) {
        (Some(of), None) => of.rows,
        _ => panic!("{table} is not told of once: {size:?}"),
    }
}

/// A store without anything has a size, and no row of what is done.
pub async fn an_empty_store_has_no_rows(store: Arc<dyn Store>) {
    let size = ok(store.size().await);
    assert!(size.bytes > 0, "{size:?}");
    assert!(size.free_bytes.is_none_or(|free| free <= size.bytes));
    assert!(size.tables.len() > 8, "{size:?}");
    assert!(
        size.tables.iter().all(|of| of.rows == 0 && !of.more),
        "{size:?}"
    );
}

/// What was committed is counted, every row of it.
pub async fn what_is_written_is_counted(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    let before = ok(store.size().await);
    assert_eq!(rows(&before, "run"), 0);
    let verdict = evaluation("2026-11-20", "v1", 0, Outcome::Fail);
    let results = verdict.results.len() as u64;
    bench.judged("a", verdict).await;
    let after = ok(store.size().await);
    assert!(after.bytes >= before.bytes, "{before:?} {after:?}");
    for (table, wanted) in [("run", 1), ("verdict", 1), ("check_result", results)] {
        assert_eq!(rows(&after, table), wanted, "{table}");
    }
    assert!(rows(&after, "task") > 0 && rows(&after, "event") > rows(&before, "event"));
}
