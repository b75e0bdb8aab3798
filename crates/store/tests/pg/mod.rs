//! A fresh database per test, copied from one that has the schema.

#![allow(dead_code, reason = "each test binary uses its part")]

use assay_store::{PostgresOptions, PostgresStore};
use assay_test_servers::postgres::{Postgres, shared};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "assay_template";

/// The address of a fresh database with the schema, on the server that all tests of this program
/// share.
pub async fn database() -> String {
    static READY: OnceCell<()> = OnceCell::const_new();
    READY
        .get_or_init(async || {
            let url =
                tokio::task::spawn_blocking(|| shared().create_database_as(TEMPLATE, "template1"));
            drop(connect(&url.await.unwrap()).await);
            // Nobody may be connected to what is copied.
            until_alone(shared(), TEMPLATE).await;
        })
        .await;
    tokio::task::spawn_blocking(|| shared().create_database_like(TEMPLATE))
        .await
        .unwrap()
}

/// A store in a fresh database.
pub async fn store() -> PostgresStore {
    connect(&database().await).await
}

/// A store in the database at `url`.
pub async fn connect(url: &str) -> PostgresStore {
    PostgresStore::connect(PostgresOptions::new(url))
        .await
        .unwrap()
}

/// Waits until nobody is connected to a database.
pub async fn until_alone(server: &Postgres, name: &str) {
    let query = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
    while server.sql(&server.url(), &query) != "0" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
