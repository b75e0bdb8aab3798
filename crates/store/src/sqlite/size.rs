//! How much the file holds.
//!
//! Comes in: a question of an operator. Goes out: its pages and rows. The journal beside it is no part
//! of that: it comes and goes. It must never hold up the writer: it is asked on a reader's connection.

use async_trait::async_trait;

use super::SqliteStore;
use crate::error::StoreError;
use crate::size::{ROWS, Size, StoreSize, TableRows};

const BYTES: &str = "SELECT page_count * page_size, freelist_count * page_size \
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size";

#[async_trait]
impl Size for SqliteStore {
    async fn size(&self) -> Result<StoreSize, StoreError> {
        let mut reader = self.reader().await?;
        let (bytes, free): (i64, i64) = sqlx::query_as(BYTES)
            .fetch_one(&mut *reader)
            .await
            .map_err(|error| self.read_error(error))?;
        drop(reader);
        let tables = self.list(sqlx::query(ROWS), "size", |cells| {
            Ok(TableRows::of(cells.text("name")?, cells.number("rows")?))
        });
        Ok(StoreSize {
            bytes: u64::try_from(bytes).unwrap_or_default(),
            free_bytes: u64::try_from(free).ok(),
            tables: tables.await?,
        })
    }
}
