//! Tables of a real server for tests: how they are defined, listed and measured.

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind, Location};
use assay_model::partition::PartitionKey;
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_scan::{ScanContext, ScanError};
use assay_test_servers::postgres::{self, Postgres};

pub use crate::common::{ALL, TOTALS, assert_same, context, dataset, list, measure};

/// A database of its own on a server.
pub struct Home {
    pub server: &'static Postgres,
    pub url: String,
    pub database: Database,
}

impl Home {
    /// A new database.
    pub fn new() -> Self {
        let server = postgres::shared();
        let url = server.create_database();
        Self::at(server, url)
    }

    pub fn at(server: &'static Postgres, url: String) -> Self {
        let (_, place) = url.rsplit_once('@').unwrap();
        let (machine, database) = place.split_once('/').unwrap();
        let (host, port) = machine.rsplit_once(':').unwrap();
        let database = Database {
            kind: DatabaseKind::Postgres,
            host: host.to_owned(),
            port: port.parse().unwrap(),
            database: database.split('?').next().unwrap().to_owned(),
            schema: "public".to_owned(),
            table: "t".to_owned(),
            version: VersionBy::Rows,
        };
        Self {
            server,
            url,
            database,
        }
    }

    pub fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.url, statements)
    }

    /// The dataset of the table `t`.
    pub fn dataset(&self) -> Dataset {
        let location = Location::Database(self.database.clone());
        dataset(location, FormatKind::Table)
    }
}

/// A context that is let in.
pub fn trusted() -> ScanContext {
    context("postgres:unused")
}

/// Lists and measures.
pub fn run(dataset: &Dataset) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let context = trusted();
    let plan = list(dataset, &context)?;
    measure(dataset, &plan, &context)
}

/// The keys and versions of the partitions.
pub fn versions(dataset: &Dataset) -> BTreeMap<String, String> {
    let plan = list(dataset, &trusted()).unwrap();
    let seen = plan.sightings.into_iter();
    seen.map(|s| (s.partition.key.0, s.version.0)).collect()
}
