//! A server that takes another's place: its leaders are fenced, and no epoch is minted twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod pg;

use std::time::Duration;

use assay_model::ids::Epoch;
use assay_store::{JobStore, MetricStore, PostgresOptions, PostgresStore, StoreError};
use assay_test_servers::postgres::{Options, Postgres};
use jiff::Timestamp;

/// A write of nothing, which is refused to whoever does not lead.
async fn leads(store: &PostgresStore, epoch: Epoch) -> bool {
    match store.sent(epoch, &[], Timestamp::UNIX_EPOCH).await {
        Ok(_) => true,
        Err(StoreError::FencedEpoch { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_server_fences_its_leader_and_the_next_epoch_leaps() {
    let first = Postgres::start(Options::default());
    let url = first.create_database();
    let store = pg::connect(&url).await;
    assert_eq!(store.mint_epoch("a").await.unwrap(), Epoch(1));
    let standby = first.standby(false);
    standby.fall_behind();
    // An epoch that the standby never hears of.
    let lost = store.mint_epoch("a").await.unwrap();
    assert!(leads(&store, lost).await);
    first.kill();
    standby.promote();
    let name = url.rsplit('/').next().unwrap();
    let store = pg::connect(&standby.url_of(name)).await;
    assert!(!leads(&store, Epoch(1)).await, "it goes by what it knows");
    assert!(!leads(&store, lost).await);
    let minted = store.mint_epoch("b").await.unwrap();
    assert_eq!(minted, Epoch(1_000_001));
    assert!(leads(&store, minted).await);
    // A kill and a restart are no promotion.
    standby.kill();
    standby.restart();
    let store = pg::connect(&standby.url_of(name)).await;
    assert!(leads(&store, minted).await);
    assert_eq!(store.mint_epoch("b").await.unwrap(), Epoch(1_000_002));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_fences_every_leader_by_raising_the_epoch() {
    let store = pg::store().await;
    let epoch = store.mint_epoch("a").await.unwrap();
    let url = format!("postgres://postgres@{}", store.place());
    let server = assay_test_servers::postgres::shared();
    let raised = server.sql(&url, "SELECT raise_epoch()");
    assert_eq!(raised, "1000001");
    // What the rows would tell may have been told already: people look first.
    let write = "INSERT INTO outbox (key, event, dataset_id, body, created_at) \
                 VALUES ('k', 'incident.opened', 'orders', '{}', now())";
    server.sql(&url, write);
    assert_eq!(store.outbox(10).await.unwrap(), []);
    let held = store.health().await.unwrap().outbox_held.unwrap();
    assert!(
        held.starts_with("the epoch was raised by hand, since 20"),
        "{held}"
    );
    assert_eq!(server.sql(&url, "SELECT release_outbox()"), "1");
    assert_eq!(store.outbox(10).await.unwrap().len(), 1);
    server.sql(&url, "SELECT hold_outbox('a look')");
    assert_eq!(store.outbox(10).await.unwrap(), []);
    server.sql(&url, "DELETE FROM outbox; SELECT release_outbox()");
    assert!(!leads(&store, epoch).await);
    assert_eq!(store.mint_epoch("a").await.unwrap(), Epoch(1_000_002));
    let found = assay_store::invariants::check_invariants(&store)
        .await
        .unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_a_stranger_that_sits_in_a_transaction_is_ended() {
    let url = pg::database().await;
    // A copy of a database has none of its settings.
    let set = "SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase \
               WHERE d.datname = 'assay_template' \
               AND 'idle_in_transaction_session_timeout=3s' = ANY (s.setconfig)";
    let server = assay_test_servers::postgres::shared();
    assert_eq!(server.sql(&url, set), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_of_the_store_goes_as_the_servers() {
    let store = PostgresStore::connect(PostgresOptions::new(pg::database().await));
    let clock = store.await.unwrap().clock().await.unwrap();
    let (before, machine) = (clock(), Timestamp::now());
    // The server is on this machine.
    let off = before.duration_since(machine).unsigned_abs();
    assert!(off < Duration::from_secs(1), "{off:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(clock().duration_since(before) >= jiff::SignedDuration::from_millis(50));
}
