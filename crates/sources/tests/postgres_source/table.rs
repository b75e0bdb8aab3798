//! Tables of a real server for tests: how they are defined, listed and measured.

use std::collections::BTreeMap;

use assay_metrics::TableState;
use assay_model::dataset::{
    Credential, Dataset, DatasetStatus, Format, FormatKind, LimitPolicy, Location, Partitioning,
    Profile, RunPolicy, ScanPolicy, Source, StoragePolicy,
};
use assay_model::ids::DatasetId;
use assay_model::metric::Metric;
use assay_model::output::Discovery;
use assay_model::partition::PartitionKey;
use assay_model::run::Selection;
use assay_model::source::{Database, DatabaseKind, VersionBy};
use assay_scan::discover::discover;
use assay_scan::measure::states;
use assay_scan::reach::{Access, Secret};
use assay_scan::{ScanContext, ScanError};
use assay_test_servers::postgres::{self, Postgres};

/// What a push-down can answer.
pub const TOTALS: [Metric; 6] = [
    Metric::NullCount,
    Metric::Sum,
    Metric::Stddev,
    Metric::Min,
    Metric::Max,
    Metric::LengthMean,
];

/// Everything of a profile.
pub const ALL: [Metric; 8] = [
    Metric::NullCount,
    Metric::Sum,
    Metric::Stddev,
    Metric::Min,
    Metric::Max,
    Metric::LengthMean,
    Metric::DistinctCount,
    Metric::Quantile,
];

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

pub fn dataset(location: Location, kind: FormatKind) -> Dataset {
    Dataset {
        id: DatasetId::new("t").unwrap(),
        version: "1.0.0".to_owned(),
        status: DatasetStatus::Active,
        name: None,
        tenant: None,
        owner: None,
        subscribers: Vec::new(),
        tags: Vec::new(),
        source: Source {
            credential: Some(Credential::Env("ASSAY_SOURCE_T".to_owned())),
            server: "here".to_owned(),
            location,
            format: Format::of(kind),
        },
        others: Vec::new(),
        storage: StoragePolicy::default(),
        partitions: Partitioning::default(),
        columns: Vec::new(),
        checks: Vec::new(),
        profile: Profile {
            metrics: ALL.to_vec(),
            quantiles: vec![0.5],
            ..Profile::default()
        },
        limits: LimitPolicy::default(),
        run: RunPolicy::default(),
        scan: ScanPolicy::default(),
    }
}

/// A context whose secret is this.
pub fn context(secret: &str) -> ScanContext {
    let mut access = Access::default();
    let secret = Secret::new(secret);
    access
        .secrets
        .insert("env:ASSAY_SOURCE_T".to_owned(), secret);
    ScanContext {
        reach: Some(assay_sources::reach(access)),
        ..ScanContext::default()
    }
}

/// A context that is let in.
pub fn trusted() -> ScanContext {
    context("postgres:unused")
}

pub fn list(dataset: &Dataset, context: &ScanContext) -> Result<Discovery, ScanError> {
    let now = "2030-01-01T00:00:00Z".parse().unwrap();
    discover(dataset, &[], &Selection::default(), now, context)
}

/// The states of a plan, merged.
pub fn measure(
    dataset: &Dataset,
    plan: &Discovery,
    context: &ScanContext,
) -> Result<BTreeMap<PartitionKey, TableState>, ScanError> {
    let mut all: BTreeMap<PartitionKey, TableState> = BTreeMap::new();
    for spec in &plan.measures {
        for (key, state) in states(dataset, spec, context)? {
            let state = TableState::decode(&state.encode()).unwrap();
            all.entry(key).or_default().merge(&state);
        }
    }
    Ok(all)
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

/// Compares all but what is told of places.
pub fn assert_same(left: &TableState, right: &TableState) {
    assert_eq!(left.rows, right.rows);
    let names = |state: &TableState| state.columns.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    for (name, column) in &left.columns {
        assert_eq!(column, &right.columns[name], "column {name}");
    }
    assert_eq!(left.keys, right.keys);
    assert_eq!(left.rules, right.rules);
}
