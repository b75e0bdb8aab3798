//! Copies of a store that is in use.
//!
//! Comes in: a store, possibly written by another process at the same time. Goes out: a file that
//! holds one consistent state of it. It must never write to the store it copies.

use std::path::Path;

use super::SqliteStore;
use crate::error::StoreError;

impl SqliteStore {
    /// Writes a consistent copy of the store to the file `to`, which must not exist.
    ///
    /// # Errors
    /// [`StoreError`] when the copy cannot be written.
    pub async fn copy_to(&self, to: &Path) -> Result<(), StoreError> {
        let mut reader = self.reader().await?;
        sqlx::query("VACUUM INTO ?1")
            .bind(to.to_string_lossy().into_owned())
            .execute(&mut *reader)
            .await
            .map_err(|error| self.read_error(error))?;
        Ok(())
    }
}
