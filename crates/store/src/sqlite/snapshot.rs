//! Copies of a store that is in use.
//!
//! Comes in: a store, possibly written by another process at the same time. Goes out: a file that
//! holds one consistent state of it. It must never write to the store it copies.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use super::SqliteStore;
use crate::error::StoreError;

impl SqliteStore {
    /// Writes a consistent copy of the store to the file `to`, which must not exist.
    ///
    /// # Errors
    /// [`StoreError`] when the copy cannot be written.
    pub async fn copy_to(&self, to: &Path) -> Result<(), StoreError> {
        let copy = sqlx::query("VACUUM INTO ?1").bind(to.to_string_lossy().into_owned());
        let copied = match self.path() {
            // The pool's connections refuse it, as they refuse every statement that writes.
            Some(path) => {
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let mut connection = SqliteConnection::connect_with(&options)
                    .await
                    .map_err(|error| self.read_error(error))?;
                let copied = copy.execute(&mut connection).await;
                connection
                    .close()
                    .await
                    .map_err(|error| self.read_error(error))?;
                copied
            }
            None => copy.execute(&mut *self.reader().await?).await,
        };
        copied.map_err(|error| self.read_error(error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::dump_final;
    use crate::sqlite::OpenOptions;

    #[tokio::test]
    async fn a_store_in_use_is_copied_by_one_who_may_only_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assay.sqlite");
        let writer = SqliteStore::open(&path, OpenOptions::default())
            .await
            .unwrap();
        let options = OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        };
        let reader = SqliteStore::open(&path, options).await.unwrap();
        let to = folder.path().join("copy.sqlite");
        reader.copy_to(&to).await.unwrap();
        let copy = SqliteStore::open(&to, OpenOptions::default())
            .await
            .unwrap();
        assert_eq!(
            dump_final(&copy).await.unwrap(),
            dump_final(&writer).await.unwrap()
        );
    }
}
