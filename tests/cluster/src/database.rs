//! The state of record, read beside the cluster on a connection of the drill's own.
//!
//! Comes in: queries. Goes out: texts. It must never pass the wire, or write outside of the drills
//! that corrupt rows on purpose.

use std::time::Duration;

use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};

/// A database of the state of record.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    /// Its address.
    pub url: String,
}

impl Database {
    /// The database at `url`; connections are made when they are needed.
    ///
    /// # Panics
    /// When the address is malformed.
    #[must_use]
    pub fn at(url: &str) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(3)
            .acquire_timeout(Duration::from_secs(3))
            .connect_lazy(url)
            .expect("the address of a test's own server");
        Self {
            pool,
            url: url.to_owned(),
        }
    }

    /// The first column of every row, which must be a text.
    ///
    /// # Errors
    /// When the server does not answer, or does not understand.
    pub async fn texts(&self, query: &str) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_all(&self.pool)
            .await
    }

    /// The one text that a query gives.
    ///
    /// # Errors
    /// As [`Database::texts`], and when there is none.
    pub async fn text(&self, query: &str) -> Result<String, sqlx::Error> {
        sqlx::query_scalar(AssertSqlSafe(query))
            .fetch_one(&self.pool)
            .await
    }

    /// Executes statements.
    ///
    /// # Errors
    /// When one fails.
    pub async fn execute(&self, statements: &str) -> Result<(), sqlx::Error> {
        let done = self.pool.execute(AssertSqlSafe(statements)).await;
        done.map(|_| ())
    }

    /// Executes statements on a connection that nothing is said on any more, and that stays open.
    ///
    /// # Errors
    /// When one fails.
    pub async fn hold(&self, statements: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?.detach();
        connection.execute(AssertSqlSafe(statements)).await?;
        tokio::spawn(async move {
            // Until the server ends it, or the test does.
            std::future::pending::<()>().await;
            drop(connection);
        });
        Ok(())
    }

    /// Gives all connections back.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
