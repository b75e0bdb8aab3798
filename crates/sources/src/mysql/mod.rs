//! Tables of MySQL and MariaDB.
//!
//! In: a source, and what logs in there. Out: the partitions of its table, and the states of their
//! rows, computed by the database where that is exact and read where it is not. Every connection may
//! only read, has limits, and is one of few at a time. The client is our own and works on the caller's
//! thread: it connects to the very address that was judged, needs no thread of its own (a task's
//! process may have none), and a stopped task takes its statement along.

mod auth;
mod connect;
mod decode;
mod fault;
mod keys;
mod list;
mod marks;
mod measure;
mod push;
mod rows;
mod session;
mod shape;
mod types;
mod value;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use assay_metrics::TableState;
use assay_model::dataset::{Dataset, Source};
use assay_model::partition::{ObjectRef, PartitionKey};
use assay_model::source::Database;
use assay_model::task::MeasureSpec;
use assay_scan::ScanContext;
use assay_scan::discover::decide::Seen;
use assay_scan::error::{Place, ScanError};
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

/// A table of a MySQL or MariaDB database.
pub(crate) struct MysqlTable {
    database: Database,
    server: Server,
}

impl std::fmt::Debug for MysqlTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MysqlTable({})", self.server.place)
    }
}

impl MysqlTable {
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
            },
            database: of.clone(),
        })
    }

    /// The columns of the table for whoever stores its rows.
    ///
    /// # Errors
    /// [`ScanError::Unsupported`] for a column whose values are not read, by its name.
    pub(crate) fn stored_columns(
        &self,
        dataset: &Dataset,
        context: &ScanContext,
    ) -> Result<SchemaRef, ScanError> {
        self.at_work(dataset, context, |table| {
            let columns = &table.shape.columns;
            let unread = |column: &&types::Column| column.reading == types::Reading::Counted;
            if let Some(column) = columns.iter().find(unread) {
                return Err(ScanError::Unsupported {
                    path: table.address.to_owned(),
                    place: Place::file().in_column(&column.name),
                    what: format!("values of the type {} are not stored", column.called),
                    remedy:
                        "write `mode: in-place` under assayStorage, or leave the column out by \
                             a view"
                            .to_owned(),
                });
            }
            let fields: Vec<Field> = columns.iter().map(|column| column.field(None)).collect();
            Ok(Arc::new(Schema::new(fields)))
        })
    }

    /// Reads all rows of a batch with these columns; how many rows and bytes each of its statements
    /// gave.
    ///
    /// # Errors
    /// As [`Table::rows`], and those of `each`.
    pub(crate) fn stored(
        &self,
        dataset: &Dataset,
        spec: &MeasureSpec,
        columns: &SchemaRef,
        context: &ScanContext,
        each: &mut dyn FnMut(RecordBatch) -> Result<(), ScanError>,
    ) -> Result<Vec<(u64, u64)>, ScanError> {
        self.at_work(dataset, context, |table| {
            table.stored(&spec.slices, columns, each)
        })
    }

    /// What `work` makes of the table as it is at one moment, in one transaction.
    fn at_work<T>(
        &self,
        dataset: &Dataset,
        context: &ScanContext,
        work: impl FnOnce(&mut AtWork<'_>) -> Result<T, ScanError>,
    ) -> Result<T, ScanError> {
        let limit = Duration::from_secs(dataset.run.timeout_s.clamp(1, 86_400));
        let mut session = Session::open(&self.server, limit, context)?;
        session.begin()?;
        let shape = Shape::look(&mut session, &self.database)?;
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

impl Table for MysqlTable {
    fn partitions(
        &self,
        dataset: &Dataset,
        _: Timestamp,
        context: &ScanContext,
    ) -> Result<Vec<Seen>, ScanError> {
        self.at_work(dataset, context, |table| table.partitions())
    }

    fn look(&self, context: &ScanContext) -> Result<(), ScanError> {
        let mut session = Session::open(&self.server, LOOK, context)?;
        session.begin()?;
        // It says whether the user may read each column, without a row.
        let shape = Shape::look(&mut session, &self.database)?;
        Marking::new(&self.database.version, &shape, &self.server.place)?;
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
