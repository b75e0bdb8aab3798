//! Opening: the server, its time-outs, its schema, and the connections.
//!
//! Comes in: an address and options. Goes out: a working store, or an error that says what is wrong
//! and what to do. It must never work with the schema of another version of the program.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::{Migrate, MigrateError};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

use super::access::{Access, Passwords};
use super::lane::{Lane, Shared};
use super::{Inner, PostgresStore, errors};
use crate::definitions::Definitions;
use crate::error::StoreError;

/// The schema, embedded in the program.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/postgres");

/// How a store is opened. The times are limits that the server keeps, for each connection.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://user@host:port/database?sslmode=verify-full&sslrootcert=…`.
    pub url: String,
    /// The password, where the address holds none.
    pub password: Option<String>,
    /// Where passwords come from that hold for a while only; then the address holds none.
    pub passwords: Option<Arc<dyn Passwords>>,
    /// The authorities that the server is signed by (PEM): a file, which may be replaced, or
    /// `env:NAME`. With them its name is checked, too (`verify-full`), unless the address says
    /// otherwise.
    pub ca: Option<PathBuf>,
    /// Connections for starts and completions of nodes.
    pub writer_connections: u32,
    /// Connections for what carries an epoch.
    pub leader_connections: u32,
    /// Connections for reads.
    pub reader_connections: u32,
    /// A statement that takes longer is ended, and leaves nothing.
    pub statement_timeout: Duration,
    /// A statement that waits longer for a lock is ended, and leaves nothing.
    pub lock_timeout: Duration,
    /// A session that sits in a transaction for longer is ended.
    pub idle_in_transaction_timeout: Duration,
    /// Data that is not acknowledged for longer ends a connection.
    pub tcp_user_timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// Whether the schema is brought up to date; else it must be.
    pub migrate: bool,
    /// The role of gateways, which is let in whenever the schema is up to date: it reads, and appends
    /// to the audit log.
    pub gateway_role: Option<String>,
}

impl PostgresOptions {
    /// The usual options for the database at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            passwords: None,
            ca: None,
            writer_connections: 4,
            leader_connections: 4,
            reader_connections: 2,
            statement_timeout: Duration::from_secs(10),
            lock_timeout: Duration::from_secs(2),
            idle_in_transaction_timeout: Duration::from_secs(3),
            tcp_user_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            migrate: true,
            gateway_role: None,
        }
    }

    fn base(&self) -> Result<PgConnectOptions, StoreError> {
        let mut options: PgConnectOptions = self.url.parse().map_err(|e: sqlx::Error| {
            let place = "the address of the store".to_owned();
            let detail = format!("it is not like postgres://user@host:port/database ({e})");
            StoreError::Open { place, detail }
        })?;
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        if let Some(ca) = &self.ca {
            options = match ca.to_str() {
                Some(named) if named.starts_with(assay_files::VARIABLE) => {
                    let text = assay_files::read(ca).map_err(|e| StoreError::Open {
                        place: "the authorities of the store".to_owned(),
                        detail: e.to_string(),
                    })?;
                    options.ssl_root_cert_from_pem(text)
                }
                _ => options.ssl_root_cert(ca),
            };
            if !self.url.contains("sslmode=") {
                options = options.ssl_mode(PgSslMode::VerifyFull);
            }
        }
        let millis = |time: Duration| time.as_millis().to_string();
        Ok(options
            .application_name("assay")
            .disable_statement_logging()
            .options([
                ("statement_timeout", millis(self.statement_timeout)),
                ("lock_timeout", millis(self.lock_timeout)),
                (
                    "idle_in_transaction_session_timeout",
                    millis(self.idle_in_transaction_timeout),
                ),
                ("tcp_user_timeout", millis(self.tcp_user_timeout)),
                ("tcp_keepalives_idle", "5".to_owned()),
                ("tcp_keepalives_interval", "2".to_owned()),
                ("tcp_keepalives_count", "3".to_owned()),
                ("client_connection_check_interval", "2000".to_owned()),
                ("default_transaction_isolation", "read committed".to_owned()),
                ("jit", "off".to_owned()),
                // That a table is there already is no news.
                ("client_min_messages", "warning".to_owned()),
            ]))
    }
}

impl fmt::Debug for PostgresOptions {
    /// Without the address, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("writer_connections", &self.writer_connections)
            .field("leader_connections", &self.leader_connections)
            .field("reader_connections", &self.reader_connections)
            .field("migrate", &self.migrate)
            .finish_non_exhaustive()
    }
}

/// Connections for reads.
fn pool(options: &PostgresOptions) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(options.reader_connections.max(1))
        .min_connections(0)
        .acquire_timeout(options.connect_timeout)
}

/// What is written is found by its key. Plans are made before there are statistics, and kept: they
/// must not read a table whole because it was small then.
fn by_key(options: PgConnectOptions) -> PgConnectOptions {
    options.options([
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("plan_cache_mode", "force_generic_plan"),
    ])
}

impl PostgresStore {
    /// Connects to the store, and brings its schema up to date if `options` say so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the server does not answer; [`StoreError::Open`] when it
    /// refuses, or the schema is of a newer program.
    pub async fn connect(options: PostgresOptions) -> Result<Self, StoreError> {
        let base = options.base()?;
        let place = format!(
            "{}:{}/{}",
            base.get_host(),
            base.get_port(),
            base.get_database().unwrap_or_else(|| base.get_username()),
        );
        // Bringing a big schema up to date takes its time, and waits for who does it already.
        let patient = base
            .clone()
            .options([("statement_timeout", "0"), ("lock_timeout", "120000")]);
        let access = Access::new(options.passwords.clone());
        let connecting = access.connect(&place, &patient, options.connect_timeout);
        let mut connection = connecting.await?;
        prepare(&place, &mut connection, options.migrate).await?;
        if let Some(role) = options.gateway_role.as_deref().filter(|_| options.migrate) {
            let_in(&place, &mut connection, role).await;
        }
        connection
            .close()
            .await
            .map_err(|e| errors::of_read(&place, e))?;
        let reading = base
            .clone()
            .options([("default_transaction_read_only", "on")]);
        let kept = by_key(reading.clone());
        let reading = reading.options([("plan_cache_mode", "force_custom_plan")]);
        let readers = pool(&options).connect_lazy_with(access.options(&reading).await?);
        let keyed = pool(&options).connect_lazy_with(access.options(&kept).await?);
        let shared = Arc::new(Shared {
            place: place.clone(),
            access,
            connect: by_key(base),
            connect_timeout: options.connect_timeout,
            patience: options.statement_timeout + options.tcp_user_timeout,
            definitions: Definitions::default(),
        });
        renew(&shared, &readers, reading);
        renew(&shared, &keyed, kept);
        Ok(Self {
            inner: Arc::new(Inner {
                place,
                nodes: Lane::new(&shared, options.writer_connections),
                leader: Lane::new(&shared, options.leader_connections),
                shared,
                readers,
                by_key: keyed,
            }),
        })
    }
}

/// Has the connections of readers, which the pool makes by itself, be made with passwords that hold,
/// for as long as there is a store.
fn renew(shared: &Arc<Shared>, readers: &PgPool, base: PgConnectOptions) {
    let (shared, readers) = (Arc::downgrade(shared), readers.clone());
    tokio::spawn(async move {
        loop {
            let due = match shared.upgrade() {
                Some(shared) => shared.access.due_in().await,
                None => return,
            };
            let Some(due) = due else { return };
            tokio::time::sleep(due).await;
            let Some(shared) = shared.upgrade() else {
                return;
            };
            match shared.access.options(&base).await {
                Ok(options) => readers.set_connect_options(options),
                Err(error) => {
                    tracing::error!(%error, "new connections to the store are not let in");
                }
            }
        }
    });
}

/// Lets the role of gateways in. A manager leads without gateways as well: what is wrong is told.
async fn let_in(place: &str, connection: &mut PgConnection, role: &str) {
    let done = sqlx::query("SELECT let_gateway_in($1)").bind(role);
    match done.execute(connection).await {
        Ok(_) => tracing::info!(%place, role, "gateways may read the store"),
        Err(error) => tracing::error!(
            %place, role, %error,
            "gateways are not let in to the store: make their role, and start a manager again"
        ),
    }
}

/// Brings the schema up to date, or sees that it is.
async fn prepare(
    place: &str,
    connection: &mut PgConnection,
    migrate: bool,
) -> Result<(), StoreError> {
    let open = |detail: String| StoreError::Open {
        place: place.to_owned(),
        detail,
    };
    let server: String = sqlx::query_scalar("SHOW server_version_num")
        .fetch_one(&mut *connection)
        .await
        .map_err(|e| errors::of_read(place, e))?;
    if server.parse().is_ok_and(|version: u32| version < 150_000) {
        return Err(open(format!(
            "the server is too old ({server}): Postgres 15 or newer is needed"
        )));
    }
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(|e| errors::of_read(place, e))?;
    let found = if known {
        let applied = connection
            .list_applied_migrations("_sqlx_migrations")
            .await
            .map_err(|e| open(e.to_string()))?;
        applied.iter().map(|m| m.version).max().unwrap_or(0)
    } else {
        0
    };
    let ours = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    if found > ours {
        return Err(open(format!(
            "it was written by a newer version of assay (schema {found}, this program knows \
             {ours}); upgrade this program"
        )));
    }
    if found < ours && !migrate {
        return Err(open(format!(
            "it has schema {found} and this program needs {ours}; let a manager of this version \
             bring it up to date"
        )));
    }
    if !migrate {
        return Ok(());
    }
    MIGRATIONS.run(connection).await.map_err(|e| match e {
        MigrateError::Execute(error) => errors::of_read(place, error),
        e => open(format!(
            "its schema cannot be brought up to date ({e}); use the program that wrote it, or \
             another database"
        )),
    })
}
