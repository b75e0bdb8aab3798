//! What a cluster stands on: Postgres and etcd, shared by the drills that leave them alone.
//!
//! Comes in: whether a drill hurts them. Goes out: servers. It must never give a server that is hurt
//! to two drills.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use assay_test_servers::etcd::{Etcd, EtcdOptions};
use assay_test_servers::postgres::{Options, Postgres};

/// The servers of one cluster.
#[derive(Debug, Clone)]
pub struct Servers {
    etcd: Arc<Mutex<Etcd>>,
    postgres: Arc<Postgres>,
}

/// Whose servers a cluster stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whose {
    /// Those of all drills.
    #[default]
    Shared,
    /// Its own, to be hurt.
    Own,
}

/// What servers of a drill's own lack.
#[derive(Debug, Clone, Default)]
pub struct Want {
    /// Bytes that the data of etcd may take.
    pub etcd_quota_bytes: Option<u64>,
    /// The folder that Postgres lies in.
    pub postgres_folder: Option<PathBuf>,
}

impl Servers {
    /// Servers, each its own or shared; those of its own lack what `want` says.
    ///
    /// # Panics
    /// When one is not installed, or does not start.
    #[must_use]
    pub fn start(etcd: Whose, postgres: Whose, want: &Want) -> Self {
        static ETCD: OnceLock<Arc<Mutex<Etcd>>> = OnceLock::new();
        static POSTGRES: OnceLock<Arc<Postgres>> = OnceLock::new();
        let three = |quota_bytes| {
            Arc::new(Mutex::new(Etcd::start(EtcdOptions {
                members: 3,
                quota_bytes,
                ..EtcdOptions::default()
            })))
        };
        let durable = |parent| {
            Arc::new(Postgres::start(Options {
                parent,
                fsync: postgres == Whose::Own,
                ..Options::default()
            }))
        };
        Self {
            etcd: match etcd {
                Whose::Shared => Arc::clone(ETCD.get_or_init(|| three(None))),
                Whose::Own => three(want.etcd_quota_bytes),
            },
            postgres: match postgres {
                Whose::Shared => Arc::clone(POSTGRES.get_or_init(|| durable(None))),
                Whose::Own => durable(want.postgres_folder.clone()),
            },
        }
    }

    /// etcd, to look at or to hurt.
    pub fn etcd(&self) -> MutexGuard<'_, Etcd> {
        self.etcd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another Postgres takes the place of this one; the answer is the one before.
    pub fn replace_postgres(&mut self, other: Postgres) -> Arc<Postgres> {
        std::mem::replace(&mut self.postgres, Arc::new(other))
    }

    /// Postgres.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }
}
