//! Many data nodes in this process: the product's, with a runner that does nothing but take its time.
//!
//! Comes in: a cluster whose managers tell their own addresses ([`openly`]), and how many. Goes out:
//! nodes that share one store and one coordinator, so that their number costs the servers nothing, and
//! that lie on no wire, which looks up every caller. It must never change anything else of a node.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::etcd::{EtcdCoordinator, EtcdOptions};
use assay_datanode::{DataNode, NodeConfig, NodeHandle, NodeParts};
use assay_proto::link::Door;
use assay_store::postgres::{PostgresOptions, PostgresStore};
use assay_telemetry::Telemetry;

use crate::cluster::Cluster;
use crate::noop::NoOp;
use crate::process::Process;

/// Has a manager tell nodes its own address, not that of the wire before it.
pub fn openly(process: &mut Process) {
    if let Some(listen) = process.setting("ASSAY_MANAGER_LISTEN") {
        let address = format!("http://{listen}");
        process.set("ASSAY_MANAGER_ADVERTISE", &address);
    }
}

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
        let setting = |name: &str| cluster.managers[0].setting(name).expect("it is set");
        let store = PostgresStore::connect(PostgresOptions {
            migrate: false,
            ..PostgresOptions::new(cluster.database.url.clone())
        });
        let store = Arc::new(store.await.expect("the store is there"));
        let now = store.clock().await.expect("the store is there");
        let members = cluster.servers.etcd().endpoints();
        let coordinator = EtcdCoordinator::connect(EtcdOptions {
            prefix: setting("ASSAY_ETCD_PREFIX").to_owned(),
            ..EtcdOptions::new(members)
        });
        let coordinator = Arc::new(coordinator.await.expect("etcd is there"));
        let managers = cluster.client.managers.iter();
        let doors: Vec<Door> = managers.map(|m| Door::at(m.clone(), None)).collect();
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
