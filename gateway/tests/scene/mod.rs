//! A gateway on a Postgres of its own, for tests.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of it; a test fails by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use assay_answers::Reader;
use assay_gateway::{ByRole, Gateway, Managers, Mode, Parts, Rights, Way};
use assay_model::outcome::Outcome;
use assay_proto::link::Door;
use assay_registry::FolderRegistry;
use assay_store::conformance::fixtures::{Bench, dataset, evaluation};
use assay_store::{JobStore as _, PostgresOptions, PostgresStore};
use assay_telemetry::Telemetry;
use assay_test_servers::postgres::{Options, Postgres};

/// A gateway on a server of its own, and what keeps them.
pub struct Scene {
    pub server: Postgres,
    bench: Bench,
    writes: PostgresStore,
    registry: Arc<FolderRegistry>,
    pub store: PostgresStore,
    pub telemetry: Telemetry,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub async fn new() -> Self {
        let server = tokio::task::spawn_blocking(|| Postgres::start(Options::default()));
        let server = server.await.unwrap();
        let url = server.create_database();
        let store = PostgresStore::connect(PostgresOptions::new(&url))
            .await
            .unwrap();
        let bench = Bench::new(Arc::new(store.clone())).await;
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(jiff::Timestamp::now);
        let registry = FolderRegistry::open(folder.path(), folder.path(), clock).unwrap();
        Self {
            server,
            bench,
            writes: store,
            registry: Arc::new(registry),
            store: PostgresStore::connect(PostgresOptions::new(&url))
                .await
                .unwrap(),
            telemetry: Telemetry::default(),
            _folder: folder,
        }
    }

    pub fn parts(&self, rights: Arc<dyn Rights>, nobody: Reader) -> Parts {
        let nowhere = Door::Tcp("http://127.0.0.1:1".to_owned());
        Parts {
            store: Arc::new(self.store.clone()),
            notices: Arc::new(self.store.clone()),
            news: Arc::new(self.store.clone()),
            registry: self.registry.clone(),
            managers: Managers::new(Way::One(nowhere)),
            rights,
            nobody,
            now: Arc::new(jiff::Timestamp::now),
            telemetry: self.telemetry.clone(),
            mode: Mode::Cluster,
        }
    }

    pub fn gateway(&self) -> Gateway {
        Gateway::new(self.parts(Arc::new(ByRole), Reader::of_this_machine()))
    }

    /// Lets the connections go that the server has ended: a write over one of them is not confirmed.
    pub async fn write_again(&self) {
        let (orders, begun) = (dataset("orders"), Instant::now());
        let mut good = 0;
        while good < 8 {
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "no write comes through"
            );
            let put = self.writes.put_definition(&orders).await;
            good = if put.is_ok() { good + 1 } else { 0 };
        }
    }

    pub async fn judge(&self, day: &str) {
        let judged = evaluation(day, "v1", 10, Outcome::Pass);
        self.bench.judged(day, judged).await;
    }
}
