//! Storage of copies in PostgreSQL.
//!
//! In: batches of a dataset. Out: a table for each batch, written in one transaction with the row
//! that tells of it, and for each dataset a table `assay_data."<dataset>"` whose parts are the
//! batches of the versions that are published. What tells of batches and partitions lies with them,
//! so that any database can be storage and nothing else has to be in step with it.
//!
//! - A batch that is tried again finds its row and writes nothing; one that was cut off left nothing.
//! - Readers of `assay_data` see the parts of a partition change at one instant.
//! - What checks are run on is what was read back from the table.

mod address;
mod beyond;
mod bookkeeping;
mod encode;
mod kept;
mod publish;
mod read;
mod source;
mod write;

use std::collections::BTreeMap;
use std::net::ToSocketAddrs;
use std::time::Duration;

use assay_metrics::TableState;
use assay_model::dataset::Dataset;
use assay_model::ids::DatasetId;
use assay_model::partition::{Partition, PartitionKey};
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::error::{Place, ScanError};
use assay_scan::reach::Access;
use assay_scan::storage::{Publication, Published, Storage, StorageAt, cut};
use jiff::Timestamp;

pub use address::storage_at;

use super::connect::Server;
use super::session::Session;
use crate::login::Login;

/// How connections to storage are named in `pg_stat_activity`.
const APPLICATION: &str = "assay storage";
/// What a statement of a publication may take.
const SHORT: Duration = Duration::from_secs(60);

/// Storage in a database.
pub(crate) struct PostgresStorage {
    server: Server,
    access: Access,
    owner: String,
}

impl std::fmt::Debug for PostgresStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresStorage({})", self.server.place)
    }
}

impl PostgresStorage {
    /// Storage at a place; what is copied may be reached by `access`.
    pub(crate) fn new(at: &StorageAt, access: &Access) -> Result<Self, ScanError> {
        let place = at.address();
        let found = (at.host.as_str(), at.port).to_socket_addrs();
        let addresses = found.map_err(|error| ScanError::Away {
            path: place.clone(),
            what: format!("the name cannot be looked up: {error}"),
        })?;
        Ok(Self {
            server: Server {
                addresses: addresses.collect(),
                host: at.host.clone(),
                database: at.database.clone(),
                login: Login {
                    user: at.user.clone(),
                    password: at.password.clone(),
                    ca: at.ca.clone(),
                    plain: at.plain,
                },
                credential: "the login of `[ingest]`".to_owned(),
                place,
                application: APPLICATION,
            },
            access: Access {
                storage: None,
                ..access.clone()
            },
            owner: at.owner.clone(),
        })
    }

    /// A session for the copies of a dataset, which are not another's; no statement of it may take longer than `limit`.
    fn open(
        &self,
        dataset: &str,
        limit: Duration,
        context: &ScanContext,
    ) -> Result<Session, ScanError> {
        let mut session = Session::open_writing(&self.server, limit, context)?;
        if !session.is_utf8() {
            return Err(ScanError::Definition {
                path: self.server.place.clone(),
                place: Place::file(),
                what: "the encoding of this database is not UTF8, and texts would not fit"
                    .to_owned(),
                remedy: "set `[ingest] url` to a database that was made with ENCODING 'UTF8'"
                    .to_owned(),
            });
        }
        bookkeeping::prepare(&mut session, &self.server)?;
        bookkeeping::claim(&mut session, &self.server, dataset, &self.owner)?;
        Ok(session)
    }
}

/// The one partition of a batch.
fn only(spec: &MeasureSpec, dataset: &Dataset) -> Result<Partition, ScanError> {
    match spec.partitions.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(ScanError::Unsupported {
            path: dataset.source.location.address(),
            place: Place::file(),
            what: format!(
                "a file holds rows of {} partitions, which a column inside it tells apart; such \
                 files are not stored",
                several.len()
            ),
            remedy: "split the files by the key, or write `mode: in-place` under assayStorage"
                .to_owned(),
        }),
    }
}

impl Storage for PostgresStorage {
    fn ingest(
        &self,
        dataset: &Dataset,
        spec: &MeasureSpec,
        context: &ScanContext,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
        let partition = only(spec, dataset)?;
        let limit = Duration::from_secs(dataset.run.timeout_s.clamp(1, 86_400));
        let mut session = self.open(dataset.id.as_str(), limit, context)?;
        let name = bookkeeping::Name {
            dataset: dataset.id.as_str(),
            partition: partition.key.as_str(),
            cut: &cut(dataset, spec),
        };
        let mut writer = write::Writer {
            session: &mut session,
            server: &self.server,
            access: &self.access,
            dataset,
            spec,
            context,
        };
        let batch = writer.write(&name)?;
        let state = read::Reader {
            session: &mut session,
            server: &self.server,
            dataset,
            partition: &partition,
            batch: &batch,
        }
        .state(context)?;
        Ok(BTreeMap::from([(partition.key, state)]))
    }

    fn publish(
        &self,
        publication: &Publication,
        context: &ScanContext,
    ) -> Result<Published, ScanError> {
        let mut session = self.open(publication.dataset.as_str(), SHORT, context)?;
        publish::publish(&mut session, &self.server, publication, context)
    }

    fn remove(
        &self,
        dataset: &DatasetId,
        partition: &PartitionKey,
        now: Timestamp,
        context: &ScanContext,
    ) -> Result<(), ScanError> {
        let mut session = self.open(dataset.as_str(), SHORT, context)?;
        let (dataset, partition) = (dataset.as_str(), partition.as_str());
        publish::remove(&mut session, dataset, partition, now, context)
    }
}
