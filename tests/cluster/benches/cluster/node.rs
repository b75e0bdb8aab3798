//! A data node: the product's, with a runner that does nothing.
//!
//! Comes in: where store, coordinator and managers are. Goes out: a node in this process, or this
//! program again as a process of its own. It must never differ from the real one in anything else.

use std::sync::Arc;

use assay_coordination::etcd::{EtcdCoordinator, EtcdOptions};
use assay_datanode::{DataNode, NodeConfig, NodeHandle, NodeParts};
use assay_proto::link::Door;
use assay_store::postgres::{PostgresOptions, PostgresStore};
use assay_telemetry::Telemetry;

use crate::noop::NoOp;

/// The variable that makes this program a node, with what [`Place::words`] gives.
pub const VARIABLE: &str = "ASSAY_BENCH_NODE";

/// What a node has to know.
#[derive(Debug, Clone)]
pub struct Place {
    pub id: String,
    pub slots: u32,
    pub store: String,
    pub prefix: String,
    pub etcd: Vec<String>,
    pub managers: Vec<String>,
}

impl Place {
    /// In one word each, for the environment.
    pub fn words(&self) -> String {
        let (etcd, managers) = (self.etcd.join(","), self.managers.join(","));
        let slots = self.slots.to_string();
        [
            &self.id,
            &slots,
            &self.store,
            &self.prefix,
            &etcd,
            &managers,
        ]
        .map(String::as_str)
        .join(" ")
    }

    fn of(words: &str) -> Self {
        let words: Vec<&str> = words.split(' ').collect();
        let [id, slots, store, prefix, etcd, managers] = words[..] else {
            panic!("{VARIABLE} is `{words:?}`");
        };
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        Self {
            id: id.to_owned(),
            slots: slots.parse().expect("a number of slots"),
            store: store.to_owned(),
            prefix: prefix.to_owned(),
            etcd: list(etcd),
            managers: list(managers),
        }
    }

    /// Starts the node in this process.
    pub async fn start(&self) -> NodeHandle {
        let store = PostgresStore::connect(PostgresOptions {
            migrate: false,
            ..PostgresOptions::new(self.store.clone())
        });
        let coordinator = EtcdCoordinator::connect(EtcdOptions {
            prefix: self.prefix.clone(),
            ..EtcdOptions::new(self.etcd.clone())
        });
        let doors = self.managers.iter().map(|m| Door::at(m.clone(), None));
        let parts = NodeParts {
            store: Arc::new(store.await.expect("the store is there")),
            coordinator: Some(Arc::new(coordinator.await.expect("etcd is there"))),
            runner: Arc::new(NoOp),
            config: NodeConfig {
                slots: self.slots,
                ..NodeConfig::new(self.id.clone(), doors.collect())
            },
            now: Arc::new(jiff::Timestamp::now),
            telemetry: Telemetry::default(),
        };
        DataNode::start(parts).expect("a thread can be started")
    }
}

/// Lives as the node that the environment describes, until it is killed.
pub async fn live(words: &str) {
    let _node = Place::of(words).start().await;
    std::future::pending::<()>().await;
}
