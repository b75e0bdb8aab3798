//! What is promised to those who are told when runs move.

use std::sync::Arc;

use assay_model::change::Change;
use assay_model::run::RunState;

use super::Store;
use super::fixtures::{Bench, at, ok};
use crate::error::StoreError;

async fn moved(bench: &Bench, run: assay_model::ids::RunId, state: RunState) {
    let change = Change::MoveRun {
        run,
        state,
        reason: None,
        at: at(500),
    };
    bench.change(change).await;
}

/// Every move once, in order, and none from before anybody listened.
pub async fn moves_are_told_in_order_from_the_beginning_of_a_listener(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let store = &bench.store;
    let before = bench.submit("before").await;
    moved(&bench, before, RunState::Planning).await;
    let begun = ok(store.begin_telling(bench.epoch, "lineage").await);
    assert_eq!(ok(store.moves_after(begun, 10).await), []);
    let run = bench.submit("after").await;
    moved(&bench, run, RunState::Planning).await;
    moved(&bench, before, RunState::Running).await;
    let told = ok(store.moves_after(begun, 10).await);
    let seen: Vec<_> = told.iter().map(|m| (m.run, m.state, m.at)).collect();
    assert_eq!(
        seen,
        [
            (run, RunState::Planning, at(500)),
            (before, RunState::Running, at(500))
        ]
    );
    assert_eq!(ok(store.moves_after(begun, 1).await), told[..1]);
    ok(store.moves_told(bench.epoch, "lineage", told[0].seq).await);
    // Whoever leads next goes on there.
    let again = ok(store.begin_telling(bench.epoch, "lineage").await);
    assert_eq!(again, told[0].seq);
    assert_eq!(ok(store.moves_after(again, 10).await), told[1..]);
    // It never goes back.
    ok(store.moves_told(bench.epoch, "lineage", begun).await);
    assert_eq!(ok(store.begin_telling(bench.epoch, "lineage").await), again);
}

/// A manager that was deposed neither begins nor notes anything.
pub async fn a_stale_epoch_tells_nothing(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let store = &bench.store;
    let begun = ok(store.begin_telling(bench.epoch, "lineage").await);
    let run = bench.submit("a run").await;
    moved(&bench, run, RunState::Planning).await;
    let told = ok(store.moves_after(begun, 10).await);
    let newer = ok(store.mint_epoch("another").await);
    let stale = store.moves_told(bench.epoch, "lineage", told[0].seq).await;
    assert!(
        matches!(stale, Err(StoreError::FencedEpoch { .. })),
        "{stale:?}"
    );
    let stale = store.begin_telling(bench.epoch, "another").await;
    assert!(
        matches!(stale, Err(StoreError::FencedEpoch { .. })),
        "{stale:?}"
    );
    assert_eq!(ok(store.begin_telling(newer, "lineage").await), begun);
}
