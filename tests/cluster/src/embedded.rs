//! The same manager and node in this process, on SQLite, to compare a cluster with.
//!
//! Comes in: definitions. Goes out: what was found out, as the store's dump. It must never share
//! anything with the cluster but the data.

use std::sync::Arc;

use assay_coordination::LocalCoordinator;
use assay_coordination::port::LeaseTimes;
use assay_datanode::runner::InProcess;
use assay_datanode::{DataNode, NodeConfig, NodeHandle, NodeParts};
use assay_manager::{Manager, ManagerConfig, ManagerHandle, ManagerParts, system_clock};
use assay_model::dataset::Dataset;
use assay_model::run::{RunState, Selection, Trigger};
use assay_proto::link::Door;
use assay_store::dump::dump_final;
use assay_store::sqlite::SqliteStore;
use assay_telemetry::Telemetry;

/// A manager and a node on SQLite in memory.
pub struct Embedded {
    manager: ManagerHandle,
    store: SqliteStore,
    _node: NodeHandle,
}

impl Embedded {
    /// Starts them, and waits until the manager leads.
    ///
    /// # Panics
    /// When they do not start.
    pub async fn start() -> Self {
        let store = SqliteStore::in_memory().await.expect("memory");
        let coordinator = Arc::new(LocalCoordinator::new(LeaseTimes::default()));
        let manager = Manager::start(ManagerParts {
            store: Arc::new(store.clone()),
            metrics: Arc::new(store.clone()),
            coordinator: coordinator.clone(),
            config: ManagerConfig::default(),
            now: system_clock(),
            telemetry: Telemetry::default(),
        });
        let node = DataNode::start(NodeParts {
            store: Arc::new(store.clone()),
            coordinator: Some(coordinator),
            runner: Arc::new(InProcess::new(Arc::new(store.clone()))),
            config: NodeConfig {
                slots: 2,
                probe: None,
                ..NodeConfig::new("embedded", vec![Door::Local(manager.doorway())])
            },
            now: system_clock(),
            telemetry: Telemetry::default(),
        });
        manager.leads().await;
        Self {
            manager,
            store,
            _node: node.expect("a node"),
        }
    }

    /// Runs a dataset to its end.
    ///
    /// # Panics
    /// When the run is refused.
    pub async fn run(&self, dataset: &Dataset, key: &str) -> RunState {
        let (trigger, all) = (Trigger::Manual, Selection::default());
        let submitted = self
            .manager
            .submit(dataset.clone(), trigger, all, Some(key));
        let run = submitted.await.expect("a good definition").run;
        self.manager.wait(run).await.expect("an end").state
    }

    /// The manager's door.
    #[must_use]
    pub fn door(&self) -> Door {
        Door::Local(self.manager.doorway())
    }

    /// All that was found out.
    ///
    /// # Panics
    /// When the store cannot be read.
    pub async fn dump(&self) -> String {
        dump_final(&self.store).await.expect("a store in memory")
    }
}
