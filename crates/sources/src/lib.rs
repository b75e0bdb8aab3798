//! Adapters to where data lives: buckets of object stores and tables of databases.
//!
//! In: a source of a dataset's definition, and what one task may reach with which secrets. Out: the
//! ports of [`assay_scan::reach`]. A place outside the allowed ones is refused before anything is
//! looked up or connected to, and no secret ever leaves in an error, a log line or a name.

mod bucket;
mod line;
mod login;
mod mysql;
mod net;
pub mod policy;
mod postgres;
mod table;

use std::sync::Arc;

use assay_model::dataset::{Location, Source};
use assay_model::source::{Bucket, DatabaseKind};
use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use assay_scan::reach::{Access, Reach, RemoteObjects, Resolving, Secret, Table};
use assay_scan::storage::Storage;

use bucket::Who;
use policy::Policy;

pub use postgres::storage::storage_at;

/// The way to the sources of one task.
#[derive(Debug)]
struct Ways {
    access: Access,
}

/// Makes the way to the sources that `access` allows.
#[must_use]
pub fn reach(access: Access) -> Arc<dyn Reach> {
    Arc::new(Ways { access })
}

/// Resolves who a bucket is read as: see [`assay_scan::reach::Resolve`]. For a program that may look
/// who it is; the process of a task gets what comes of it.
#[must_use]
pub fn resolve<'a>(source: &'a Source, access: &'a Access) -> Resolving<'a> {
    Box::pin(async move {
        let Location::Bucket(wanted) = &source.location else {
            return Ok(None);
        };
        let ways = Ways {
            access: access.clone(),
        };
        let policy = Policy::new(access)?;
        let allowed = policy.check(&source.location)?;
        let who = ways.who(source, wanted)?;
        bucket::resolve(wanted, allowed, who, &policy).await
    })
}

/// Makes every thread that the adapters need, in a process that may make none later. A repeat does
/// nothing.
///
/// # Errors
/// When a thread cannot be made.
pub fn warm() -> Result<(), String> {
    bucket::warm()
}

impl Ways {
    /// The secret of a source, if it refers to one.
    fn secret(&self, source: &Source) -> Result<Option<&Secret>, ScanError> {
        let Some(credential) = &source.credential else {
            return Ok(None);
        };
        match self.access.secret(credential) {
            Some(secret) => Ok(Some(secret)),
            None => Err(ScanError::Definition {
                path: source.location.address(),
                place: Place::file(),
                what: format!("cannot log in: {credential} was not given to this task"),
                remedy: "run it again; if it stays, see the node's log".to_owned(),
            }),
        }
    }
}

impl Ways {
    /// Who a bucket is asked as.
    fn who<'a>(&'a self, source: &Source, wanted: &'a Bucket) -> Result<Who<'a>, ScanError> {
        let own = wanted.external_id.as_deref();
        let operators = self.access.external_id.as_deref();
        let of_node = self.access.allowed.is_some();
        if of_node && own.is_some() && own != operators {
            return Err(ScanError::Definition {
                path: source.location.address(),
                place: Place::file(),
                what: "refused: the external id is the node's to name, and another stands in the \
                       document"
                    .to_owned(),
                remedy: "leave `externalId` out, and have the node's operator set \
                         `[sources] external_id`"
                    .to_owned(),
            });
        }
        Ok(Who {
            secret: self.secret(source)?,
            identity: &self.access.identity,
            external_id: operators.or(own),
        })
    }
}

impl Reach for Ways {
    fn objects(
        &self,
        source: &Source,
        memory_bytes: u64,
    ) -> Result<Arc<dyn RemoteObjects>, ScanError> {
        self.objects_for(source, &ScanContext::new(memory_bytes))
    }

    fn objects_for(
        &self,
        source: &Source,
        context: &ScanContext,
    ) -> Result<Arc<dyn RemoteObjects>, ScanError> {
        let Location::Bucket(wanted) = &source.location else {
            return Err(unknown(source));
        };
        let policy = Policy::new(&self.access)?;
        let allowed = policy.check(&source.location)?;
        let task = bucket::Task {
            stop: Arc::clone(&context.cancelled),
            memory_bytes: context.memory_bytes,
        };
        bucket::open(wanted, allowed, self.who(source, wanted)?, &policy, task)
    }

    fn table(&self, source: &Source) -> Result<Arc<dyn Table>, ScanError> {
        match &source.location {
            Location::Database(of) => Ok(match of.kind {
                DatabaseKind::Postgres => {
                    Arc::new(postgres::PostgresTable::new(source, of, &self.access)?)
                }
                DatabaseKind::Mysql => Arc::new(mysql::MysqlTable::new(source, of, &self.access)?),
            }),
            _ => Err(unknown(source)),
        }
    }

    fn storage(&self) -> Result<Arc<dyn Storage>, ScanError> {
        match &self.access.storage {
            Some(at) => Ok(Arc::new(postgres::storage::PostgresStorage::new(
                at,
                &self.access,
            )?)),
            None => Err(ScanError::Unsupported {
                path: "storage".to_owned(),
                place: Place::file(),
                what: "this task was given no place to store copies in".to_owned(),
                remedy: "set `[ingest] url`, or write `mode: in-place` under assayStorage"
                    .to_owned(),
            }),
        }
    }
}

fn unknown(source: &Source) -> ScanError {
    ScanError::Unsupported {
        path: source.location.address(),
        place: Place::file(),
        what: "this kind of place is not reached".to_owned(),
        remedy: "copy the data to a folder".to_owned(),
    }
}
