//! The audit log of the SQLite adapter: every promise of the suite, and every alteration is found.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use assay_store::audit::{Audit, AuditHead, Chain, verify};
use assay_store::conformance::audit::fill;
use assay_store::{OpenOptions, SqliteStore};
use sqlx::{Connection, SqliteConnection};

async fn at(path: &Path) -> SqliteStore {
    SqliteStore::open(path, OpenOptions::default())
        .await
        .unwrap()
}

mod in_a_file {
    use super::*;

    async fn open() -> (Arc<dyn Audit>, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = at(&folder.path().join("assay.db")).await;
        (Arc::new(store), folder)
    }

    assay_store::audit_suite!(open);
}

mod in_memory {
    use super::*;

    async fn open() -> (Arc<dyn Audit>, ()) {
        (Arc::new(SqliteStore::in_memory().await.unwrap()), ())
    }

    assay_store::audit_suite!(open);
}

/// Changes the file as somebody would who can write to it, past the triggers.
async fn forge(path: &Path, statements: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for unguard in [
        "DROP TRIGGER audit_is_never_changed",
        "DROP TRIGGER audit_is_never_deleted",
        "DROP TRIGGER audit_is_never_replaced",
    ] {
        sqlx::query(unguard).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql(statements)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn each_alteration_is_found_where_it_is() {
    for (seq, statements) in [
        (3, "UPDATE audit_log SET who = 'tok_4' WHERE seq = 3"),
        (3, "UPDATE audit_log SET at = at + 1 WHERE seq = 3"),
        (3, "UPDATE audit_log SET stage = 'done' WHERE seq = 3"),
        (3, "UPDATE audit_log SET rights = 'operator' WHERE seq = 3"),
        (3, "UPDATE audit_log SET action = 'GET /' WHERE seq = 3"),
        (3, "UPDATE audit_log SET object = '' WHERE seq = 3"),
        (
            3,
            "UPDATE audit_log SET detail = detail || ' ' WHERE seq = 3",
        ),
        (3, "UPDATE audit_log SET hash = previous WHERE seq = 3"),
        (3, "UPDATE audit_log SET previous = hash WHERE seq = 3"),
        (3, "DELETE FROM audit_log WHERE seq = 3"),
        (1, "DELETE FROM audit_log WHERE seq = 1"),
        (5, "DELETE FROM audit_log WHERE seq = 5"),
        (1, "DELETE FROM audit_log"),
        (
            5,
            "UPDATE audit_head SET hash = substr(hash, 33) || substr(hash, 1, 32)",
        ),
        (
            3,
            "DELETE FROM audit_log WHERE seq = 3; UPDATE audit_log SET seq = seq - 1 WHERE seq > 3; \
             UPDATE audit_head SET seq = 4",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assay.db");
        let store = at(&path).await;
        fill(&store, 5).await;
        store.close().await;
        forge(&path, statements).await;
        let found = verify(&at(&path).await, None).await.unwrap();
        let place = match found {
            Chain::Broken { seq, .. } => seq,
            Chain::Whole(_) => 0,
        };
        assert_eq!(place, seq, "{statements}");
    }
}

#[tokio::test]
async fn a_chain_that_was_cut_whole_is_found_by_a_head_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    let store = at(&path).await;
    fill(&store, 5).await;
    let kept: AuditHead = store.head().await.unwrap();
    store.close().await;
    forge(
        &path,
        "DELETE FROM audit_log WHERE seq > 3; UPDATE audit_head SET seq = 3, \
         hash = (SELECT hash FROM audit_log WHERE seq = 3)",
    )
    .await;
    let store = at(&path).await;
    assert!(matches!(
        verify(&store, None).await.unwrap(),
        Chain::Whole(AuditHead { seq: 3, .. })
    ));
    assert!(matches!(
        verify(&store, Some(&kept)).await.unwrap(),
        Chain::Broken { seq: 4, .. }
    ));
}

#[tokio::test]
async fn the_file_itself_refuses_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("assay.db");
    fill(&at(&path).await, 2).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    for statement in [
        "UPDATE audit_log SET who = 'x'",
        "DELETE FROM audit_log WHERE seq = 2",
        "INSERT OR REPLACE INTO audit_log SELECT * FROM audit_log WHERE seq = 1",
    ] {
        let refused = sqlx::query(statement).execute(&mut connection).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
}
