//! Many data nodes in this process: the product's, with a runner that does nothing but take its time.
//!
//! Comes in: a cluster, and how many. Goes out: nodes on the far side of the cluster's wire, where
//! they are called `crowd`. They share one store and one coordinator, so that their number costs the
//! servers nothing; it must never change anything else of a node.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::etcd::{EtcdCoordinator, EtcdOptions};
use assay_datanode::{DataNode, NodeConfig, NodeHandle, NodeParts};
use assay_proto::link::Door;
use assay_store::postgres::{PostgresOptions, PostgresStore};
use assay_telemetry::Telemetry;

use crate::cluster::Cluster;
use crate::noop::NoOp;

/// What the wire calls them.
pub const NAME: &str = "crowd";

/// Many nodes; they end with it.
pub struct Crowd {
    nodes: Vec<NodeHandle>,
}

impl Crowd {
    /// Starts `count` nodes of `slots` each, and waits until all are registered.
    ///
    /// # Panics
    /// When they are not within `limit`.
    pub async fn join(cluster: &Cluster, count: usize, slots: u32, limit: Duration) -> Self {
        cluster.meet_self(NAME);
        let setting = |name: &str| cluster.managers[0].setting(name).expect("it is set");
        let store = PostgresStore::connect(PostgresOptions {
            migrate: false,
            ..PostgresOptions::new(setting("ASSAY_STORE_URL"))
        });
        let store = Arc::new(store.await.expect("the store is there"));
        let now = store.clock().await.expect("the store is there");
        let members = setting("ASSAY_ETCD").split(',').map(str::to_owned);
        let coordinator = EtcdCoordinator::connect(EtcdOptions {
            prefix: setting("ASSAY_ETCD_PREFIX").to_owned(),
            ..EtcdOptions::new(members.collect())
        });
        let coordinator = Arc::new(coordinator.await.expect("etcd is there"));
        let doors = cluster.managers.iter().map(|manager| {
            let address = manager.setting("ASSAY_MANAGER_ADVERTISE");
            Door::at(address.expect("it is set").to_owned(), None)
        });
        let doors: Vec<Door> = doors.collect();
        let start = |n: usize| {
            let parts = NodeParts {
                store: Arc::clone(&store) as _,
                coordinator: Some(Arc::clone(&coordinator) as _),
                runner: Arc::new(NoOp),
                config: NodeConfig {
                    slots,
                    ..NodeConfig::new(format!("crowd-{n:04}"), doors.clone())
                },
                now: Arc::clone(&now),
                telemetry: Telemetry::default(),
            };
            DataNode::start(parts).expect("a thread can be started")
        };
        let nodes: Vec<NodeHandle> = (1..=count).map(start).collect();
        let all = async {
            for node in &nodes {
                node.live().await;
            }
        };
        let joined = tokio::time::timeout(limit, all).await;
        joined.expect("all nodes are registered in time");
        Self { nodes }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Ends all of them at once.
    pub async fn end(self) {
        let all = self.nodes.iter().map(NodeHandle::kill);
        for end in all {
            end.await;
        }
    }
}
