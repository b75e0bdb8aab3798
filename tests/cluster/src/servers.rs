//! What a cluster stands on: Postgres and etcd, shared by the drills that leave them alone.
//!
//! Comes in: whether a drill hurts them. Goes out: servers. It must never give a server that is hurt
//! to two drills.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use assay_test_servers::etcd::Etcd;
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

impl Servers {
    /// Servers, each its own or shared.
    ///
    /// # Panics
    /// When one is not installed, or does not start.
    #[must_use]
    pub fn start(etcd: Whose, postgres: Whose) -> Self {
        static ETCD: OnceLock<Arc<Mutex<Etcd>>> = OnceLock::new();
        static POSTGRES: OnceLock<Arc<Postgres>> = OnceLock::new();
        let three = || Arc::new(Mutex::new(Etcd::three()));
        let durable = || {
            Arc::new(Postgres::start(Options {
                fsync: postgres == Whose::Own,
                ..Options::default()
            }))
        };
        Self {
            etcd: match etcd {
                Whose::Shared => Arc::clone(ETCD.get_or_init(three)),
                Whose::Own => three(),
            },
            postgres: match postgres {
                Whose::Shared => Arc::clone(POSTGRES.get_or_init(durable)),
                Whose::Own => durable(),
            },
        }
    }

    /// etcd, to look at or to hurt.
    pub fn etcd(&self) -> MutexGuard<'_, Etcd> {
        self.etcd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Postgres.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }
}
