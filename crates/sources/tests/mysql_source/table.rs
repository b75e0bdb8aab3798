//! Tables of a real server for tests: how they are defined, listed and measured.

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{Dataset, FormatKind, Layout, Location};
use assay_model::metric::Metric;
use assay_model::partition::PartitionKey;
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_scan::{ScanContext, ScanError};
use assay_test_servers::mariadb::{self, MariaDb};

use crate::common::{context, dataset, list, measure};

/// A database of its own on a server.
pub struct Home {
    pub server: &'static MariaDb,
    pub database: Database,
}

impl Home {
    /// A new database.
    pub fn new() -> Self {
        Self::at(mariadb::shared())
    }

    pub fn at(server: &'static MariaDb) -> Self {
        let database = Database {
            kind: DatabaseKind::Mysql,
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            database: server.create_database(),
            schema: String::new(),
            table: "t".to_owned(),
            version: VersionBy::Checksum,
        };
        Self { server, database }
    }

    pub fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.database.database, statements)
    }

    /// The dataset of the table `t`.
    pub fn dataset(&self) -> Dataset {
        let location = Location::Database(self.database.clone());
        dataset(location, FormatKind::Table)
    }
}

/// A context that is let in.
pub fn trusted() -> ScanContext {
    context("root:")
}

/// Lists and measures.
pub fn run(dataset: &Dataset) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let context = trusted();
    let plan = list(dataset, &context)?;
    measure(dataset, &plan, &context)
}

/// All of a dataset as one partition, of which this is asked.
pub fn whole(mut dataset: Dataset, metrics: &[Metric]) -> TableState {
    dataset.partitions.layout = Layout::Single;
    dataset.profile.metrics = metrics.to_vec();
    let mut states = run(&dataset).unwrap();
    states.remove(&PartitionKey::all()).unwrap()
}

/// The keys and versions of the partitions.
pub fn versions(dataset: &Dataset) -> BTreeMap<String, String> {
    let plan = list(dataset, &trusted()).unwrap();
    let seen = plan.sightings.into_iter();
    seen.map(|s| (s.partition.key.0, s.version.0)).collect()
}
