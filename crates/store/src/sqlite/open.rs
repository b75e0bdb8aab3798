//! Opening: the file, its schema, and the connections.
//!
//! Comes in: a path and options. Goes out: a working store, or an error that says what is wrong
//! with the place and what to do. It must never write into a database that is not ours, nor into
//! one of a newer program.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, mpsc};

use super::{Definitions, Durability, Inner, OpenOptions, Readers, SqliteStore, errors, writer};
use crate::error::StoreError;
use crate::news::Teller;

/// The schema, embedded in the program.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/sqlite");

/// `Assy`: the mark of our files in their header.
const APPLICATION_ID: i64 = 0x4173_7379;

/// What only the writing connection of a file needs. It runs after the check that the file is ours.
const WRITER_PRAGMAS: &str = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 4000; \
     PRAGMA journal_size_limit = 67108864; PRAGMA application_id = 1098085241;";

/// Connections that read beside the writer.
const READERS: u32 = 4;

/// How long a lock of another program is waited for.
const BUSY: Duration = Duration::from_secs(5);

/// How long a reader waits for the next step of a schema that another program is making.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two looks at it.
const GLANCE: Duration = Duration::from_millis(50);

impl SqliteStore {
    /// Opens the store at `path`, creating it unless it is to be read only.
    ///
    /// # Errors
    /// [`StoreError::Open`] when the file cannot be opened, is not ours, or is of a newer program.
    pub async fn open(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let to_open = |e: sqlx::Error| errors::of_open(path, &e);
        let base = base_options(&options)
            .filename(path)
            .create_if_missing(!options.read_only)
            .read_only(options.read_only);
        let mut connection = SqliteConnection::connect_with(&base)
            .await
            .map_err(to_open)?;
        check(path, &mut connection, options.read_only).await?;
        if !options.read_only {
            sqlx::raw_sql(WRITER_PRAGMAS)
                .execute(&mut connection)
                .await
                .map_err(to_open)?;
            migrate(path, &mut connection).await?;
        }
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(base.pragma("query_only", "ON"))
            .await
            .map_err(to_open)?;
        let connection = if options.read_only {
            connection.close().await.map_err(to_open)?;
            None
        } else {
            Some(Arc::new(Mutex::new(connection)))
        };
        let place = path.display().to_string();
        Ok(Self::assemble(
            place,
            Some(path.to_owned()),
            connection,
            Readers::Pool(readers),
        ))
    }

    /// A store that lives as long as the program: for tests and for runs that leave nothing.
    ///
    /// # Errors
    /// [`StoreError::Open`] when there is no memory for it.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        let options = base_options(&OpenOptions::default()).in_memory(true);
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(|e| errors::of_open(path, &e))?;
        migrate(path, &mut connection).await?;
        // Reads and writes share the one connection in turn: SQLite's shared cache would answer a
        // reader with SQLITE_LOCKED, which no time-out waits for.
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self::assemble(
            "memory".to_owned(),
            None,
            Some(Arc::clone(&connection)),
            Readers::Single(connection),
        ))
    }

    fn assemble(
        place: String,
        path: Option<std::path::PathBuf>,
        connection: Option<Arc<Mutex<SqliteConnection>>>,
        readers: Readers,
    ) -> Self {
        let full = Arc::new(AtomicBool::new(false));
        let teller = Teller::default();
        let (requests, task) = match connection {
            None => (None, None),
            Some(connection) => {
                let (sender, receiver) = mpsc::channel(writer::QUEUE);
                let writer = writer::Writer::new(
                    connection,
                    place.clone(),
                    Definitions::default(),
                    Arc::clone(&full),
                    teller.clone(),
                );
                (Some(sender), Some(tokio::spawn(writer.work(receiver))))
            }
        };
        Self {
            inner: Arc::new(Inner {
                place,
                path,
                full,
                requests: Mutex::new(requests),
                writer: Mutex::new(task),
                readers,
                teller,
            }),
        }
    }

    /// Finishes the writes that wait, closes the connections, and returns when the file is at rest.
    /// Later calls answer [`StoreError::Unavailable`].
    pub async fn close(&self) {
        drop(self.inner.requests.lock().await.take());
        if let Some(task) = self.inner.writer.lock().await.take() {
            // The writer ends when no request can come any more; it does not panic.
            let _ = task.await;
        }
        if let Readers::Pool(pool) = &self.inner.readers {
            pool.close().await;
        }
    }
}

fn base_options(options: &OpenOptions) -> SqliteConnectOptions {
    let mut connect = SqliteConnectOptions::new()
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .synchronous(match options.durability {
            Durability::Process => SqliteSynchronous::Normal,
            Durability::Power => SqliteSynchronous::Full,
        })
        .statement_cache_capacity(256)
        .row_buffer_size(1024)
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "MEMORY");
    if let Some(pages) = options.max_pages {
        connect = connect.pragma("max_page_count", pages.to_string());
    }
    sqlx::ConnectOptions::disable_statement_logging(connect)
}

/// Refuses what is not ours to open.
async fn check(
    path: &Path,
    connection: &mut SqliteConnection,
    read_only: bool,
) -> Result<(), StoreError> {
    let to_open = |e: sqlx::Error| errors::of_open(path, &e);
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(to_open)?;
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(to_open)?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(StoreError::Open {
            place: path.display().to_string(),
            detail: "the file is the SQLite database of another program; name another file"
                .to_owned(),
        });
    }
    compare_versions(path, connection, read_only).await
}

/// Brings the schema up to date.
async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), StoreError> {
    MIGRATIONS.run(connection).await.map_err(|e| match e {
        // The disk or the file is at fault, not the schema.
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if errors::is_full(&error) =>
        {
            errors::of_open(path, &error)
        }
        e => StoreError::Open {
            place: path.display().to_string(),
            detail: format!(
                "its schema cannot be brought up to date ({e}); use the program that wrote it, or \
                 move the file away to start anew"
            ),
        },
    })
}

/// The version of the schema; 0 where there is none.
async fn version(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let migrated: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if migrated == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await
}

/// Refuses the file of a newer program, and one that a reader cannot bring up to date.
async fn compare_versions(
    path: &Path,
    connection: &mut SqliteConnection,
    read_only: bool,
) -> Result<(), StoreError> {
    let to_open = |e: sqlx::Error| errors::of_open(path, &e);
    let ours = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    let mut found = version(connection).await.map_err(to_open)?;
    // Another program may just be making the store, or bringing it up to date.
    let mut patience = PATIENCE;
    while read_only && found < ours && !patience.is_zero() {
        tokio::time::sleep(GLANCE).await;
        let now = version(connection).await.map_err(to_open)?;
        patience = match now == found {
            true => patience.saturating_sub(GLANCE),
            false => PATIENCE,
        };
        found = now;
    }
    let detail = if found > ours {
        format!(
            "it was written by a newer version of assay (schema {found}, this program knows \
             {ours}); upgrade this program"
        )
    } else if found < ours && read_only {
        format!(
            "it has schema {found} and this program needs {ours}; open it once for writing (run \
             `assay dev` on it) to bring it up to date"
        )
    } else {
        return Ok(());
    };
    Err(StoreError::Open {
        place: path.display().to_string(),
        detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_waits_for_a_store_that_is_just_being_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assay.sqlite");
        // As the file is for a moment when its writer has made it and not begun with the schema.
        std::fs::write(&path, b"").unwrap();
        let reading = OpenOptions {
            read_only: true,
            ..OpenOptions::default()
        };
        let write = async {
            tokio::time::sleep(GLANCE * 4).await;
            SqliteStore::open(&path, OpenOptions::default()).await
        };
        let (reader, writer) = tokio::join!(SqliteStore::open(&path, reading), write);
        reader.unwrap().close().await;
        writer.unwrap().close().await;
    }
}
