//! How much the schema holds.
//!
//! Comes in: a question of an operator. Goes out: the bytes of its tables with their indexes, and their
//! rows. It must never hold anything up: it is asked on the connections of readers.

use async_trait::async_trait;

use super::{PostgresStore, errors};
use crate::error::StoreError;
use crate::size::{ROWS, Size, StoreSize, TableRows};

/// What a row that is gone leaves behind is free only after a vacuum, and the server does not say
/// how much of it there is without reading all of a table.
const BYTES: &str = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class \
     WHERE relnamespace = current_schema::regnamespace AND relkind = 'r'";

#[async_trait]
impl Size for PostgresStore {
    async fn size(&self) -> Result<StoreSize, StoreError> {
        let bytes: i64 = sqlx::query_scalar(BYTES)
            .fetch_one(&self.inner.readers)
            .await
            .map_err(|error| errors::of_read(&self.inner.place, error))?;
        let tables = self.list(sqlx::query(ROWS), "size", |cells| {
            let rows: i64 = cells.get("rows")?;
            let rows = u64::try_from(rows).unwrap_or_default();
            Ok(TableRows::of(cells.text("name")?, rows))
        });
        Ok(StoreSize {
            bytes: u64::try_from(bytes).unwrap_or_default(),
            free_bytes: None,
            tables: tables.await?,
        })
    }
}
