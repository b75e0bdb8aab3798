//! Tables of PostgreSQL.
//!
//! In: a source, and what logs in there. Out: the partitions of its table, and the states of their
//! rows, computed by the database where that is exact and copied where it is not. Every connection
//! may only read, has limits, and is one of few at a time. The client is our own and works on the
//! caller's thread: it connects to the very address that was judged, needs no thread of its own (a
//! task's process may have none), and a stopped task takes its statement along.

mod bounds;
mod connect;
mod decode;
mod fault;
mod keys;
mod list;
mod marks;
mod measure;
mod push;
mod rows;
mod scram;
mod session;
mod shape;
pub(crate) mod storage;
mod types;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use assay_metrics::TableState;
use assay_model::dataset::{Dataset, Source};
use assay_model::partition::{ObjectRef, PartitionKey};
use assay_model::source::Database;
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::discover::decide::Seen;
use assay_scan::error::ScanError;
use assay_scan::reach::{Access, Table};
use jiff::Timestamp;

use self::connect::Server;
use self::keys::KeyColumn;
use self::marks::Marking;
use self::session::Session;
use self::shape::Shape;
use crate::policy::Policy;
use crate::table::batch::Asked;

/// How long a look at a table may take.
const LOOK: Duration = Duration::from_secs(15);

/// A table at work: the session, and what the definition makes of the table.
struct AtWork<'a> {
    session: &'a mut Session,
    shape: &'a Shape,
    dataset: &'a Dataset,
    context: &'a ScanContext,
    marking: &'a Marking,
    key: Option<&'a KeyColumn>,
    address: &'a str,
}

/// A table of a Postgres database.
pub(crate) struct PostgresTable {
    database: Database,
    server: Server,
}

impl std::fmt::Debug for PostgresTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresTable({})", self.server.place)
    }
}

impl PostgresTable {
    /// The table of a source, if `access` allows it and has what logs in there.
    ///
    /// # Errors
    /// [`ScanError::Definition`] when it may not be reached or the secret is none.
    pub(crate) fn new(source: &Source, of: &Database, access: &Access) -> Result<Self, ScanError> {
        let policy = Policy::new(access)?;
        let place = policy.check(&source.location)?.address;
        let (credential, login) = crate::login::of_source(source, access, &place)?;
        Ok(Self {
            server: Server {
                addresses: policy.addresses(&of.host, of.port)?,
                host: of.host.clone(),
                database: of.database.clone(),
                login,
                credential,
                place,
                application: session::APPLICATION,
            },
            database: of.clone(),
        })
    }

    /// A session in a transaction that sees one state of the table, and the table's shape.
    fn open(
        &self,
        dataset: &Dataset,
        context: &ScanContext,
    ) -> Result<(Session, Shape), ScanError> {
        let limit = Duration::from_secs(dataset.run.timeout_s.clamp(1, 86_400));
        let mut session = Session::open(&self.server, limit, context)?;
        session.begin()?;
        let shape = Shape::look(&mut session, &self.database)?;
        Ok((session, shape))
    }

    /// What `work` makes of the table as it is at one moment, in one transaction.
    fn at_work<T>(
        &self,
        dataset: &Dataset,
        context: &ScanContext,
        work: impl FnOnce(&mut AtWork<'_>) -> Result<T, ScanError>,
    ) -> Result<T, ScanError> {
        let (mut session, shape) = self.open(dataset, context)?;
        let address = &self.server.place;
        let marking = Marking::new(&self.database.version, &shape, address)?;
        let key = KeyColumn::of(dataset, &shape, address)?;
        let made = work(&mut AtWork {
            session: &mut session,
            shape: &shape,
            dataset,
            context,
            marking: &marking,
            key: key.as_ref(),
            address,
        })?;
        // What is broken off ends with its connection.
        if !session.is_busy() {
            session.end()?;
        }
        Ok(made)
    }
}

impl Table for PostgresTable {
    fn partitions(
        &self,
        dataset: &Dataset,
        now: Timestamp,
        context: &ScanContext,
    ) -> Result<Vec<Seen>, ScanError> {
        self.at_work(dataset, context, |table| table.partitions(now))
    }

    fn look(&self, context: &ScanContext) -> Result<(), ScanError> {
        let mut session = Session::open(&self.server, LOOK, context)?;
        session.begin()?;
        let shape = Shape::look(&mut session, &self.database)?;
        for relation in &shape.relations {
            // It says whether the role may read each column, without a row.
            session.rows(&format!("SELECT * FROM {} LIMIT 0", list::from(relation)))?;
        }
        session.end()
    }

    fn measure(
        &self,
        dataset: &Dataset,
        spec: &MeasureSpec,
        context: &ScanContext,
    ) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
        self.at_work(dataset, context, |table| table.measure(spec))
    }

    fn columns(
        &self,
        dataset: &Dataset,
        ranges: &[ObjectRef],
        context: &ScanContext,
    ) -> Result<SchemaRef, ScanError> {
        self.at_work(dataset, context, |table| table.columns(ranges))
    }

    fn rows(
        &self,
        dataset: &Dataset,
        ranges: &[ObjectRef],
        asked: &SchemaRef,
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> bool,
    ) -> Result<(), ScanError> {
        self.at_work(dataset, context, |table| table.rows(ranges, asked, each))
    }
}
