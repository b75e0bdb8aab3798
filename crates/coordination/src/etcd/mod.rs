//! The coordinator on etcd (v3: KV, lease, watch and transactions alone; 3.4 and later).
//!
//! Comes in: what the port takes. Goes out: what the port gives. It must never take etcd's silence
//! for a loss, trust what lies in etcd to be well formed, or let a computation of this process
//! delay a keep-alive: all its traffic runs on a thread of its own.
//!
//! ```text
//! <prefix>/leader/<lease>      {name, address}              one per candidate; the oldest leads
//! <prefix>/nodes/<id>          {incarnation, zone, slots}   bound to the node's lease
//! <prefix>/nodes/<id>/load     {incarnation, load}          bound to the same lease
//! <prefix>/config              the cluster's configuration
//! ```

mod election;
mod follow;
mod keeper;
mod members;
mod nodes;
mod options;
mod records;
mod renewal;
mod thread;

use std::sync::Arc;

use assay_model::ids::{Incarnation, NodeId};
use assay_model::node::Load;
use async_trait::async_trait;
use tokio::sync::watch;

pub use options::{EtcdOptions, EtcdTls};

use crate::port::{Advert, Candidate, CoordinationError, Coordinator, Lease, LeaseTimes, Nodes};
use members::Members;
use records::Keys;
use thread::Thread;

/// The adapter on etcd. Clones share their connections.
#[derive(Clone)]
pub struct EtcdCoordinator {
    core: Arc<Core>,
    thread: Arc<Thread>,
}

/// What the tasks on the thread share.
struct Core {
    members: Members,
    keys: Keys,
    times: LeaseTimes,
    options: EtcdOptions,
}

impl EtcdCoordinator {
    /// Prepares the connections; reads the files of TLS. etcd need not be there yet: what is asked
    /// of it is answered with [`CoordinationError::Unavailable`] until it is.
    ///
    /// # Errors
    /// [`CoordinationError::Refused`] when an option or a file cannot be used.
    pub async fn connect(options: EtcdOptions) -> Result<Self, CoordinationError> {
        let thread = Thread::start()
            .map_err(|e| CoordinationError::Refused(format!("no thread for etcd: {e}")))?;
        let opened = options.clone();
        let members = thread
            .run(async move { Members::open(&opened).await })
            .await??;
        let core = Core {
            members,
            keys: Keys::under(&options.prefix),
            times: options.times,
            options,
        };
        Ok(Self {
            core: Arc::new(core),
            thread: Arc::new(thread),
        })
    }

    /// Whether etcd answers a linearisable read.
    ///
    /// # Errors
    /// [`CoordinationError`] when it does not.
    pub async fn check(&self) -> Result<(), CoordinationError> {
        let core = Arc::clone(&self.core);
        self.thread
            .run(async move { core.members.get(&core.keys.config()).await.map(drop) })
            .await?
    }
}

#[async_trait]
impl Coordinator for EtcdCoordinator {
    async fn campaign(&self, candidate: &Candidate) -> Result<Lease, CoordinationError> {
        let (core, candidate) = (Arc::clone(&self.core), candidate.clone());
        let held = self
            .thread
            .run(async move { election::campaign(&core, &candidate).await })
            .await??;
        Ok(held.into_lease(&self.thread))
    }

    async fn watch_leader(&self) -> Result<watch::Receiver<Option<Candidate>>, CoordinationError> {
        let core = Arc::clone(&self.core);
        let (prefix, relist) = (core.keys.leaders(), core.times.leader_keep_alive);
        let present = self
            .thread
            .run(follow::follow(core, prefix, relist, election::leader_of));
        present.await?
    }

    async fn candidates(&self) -> Result<Vec<Candidate>, CoordinationError> {
        let core = Arc::clone(&self.core);
        self.thread
            .run(async move { election::candidates(&core).await })
            .await?
    }

    async fn depose(&self, leader: &Candidate) -> Result<(), CoordinationError> {
        let (core, leader) = (Arc::clone(&self.core), leader.clone());
        self.thread
            .run(async move { election::depose(&core, &leader).await })
            .await?
    }

    async fn register(&self, advert: &Advert) -> Result<Lease, CoordinationError> {
        let (core, advert) = (Arc::clone(&self.core), advert.clone());
        let held = self
            .thread
            .run(async move { nodes::register(&core, &advert).await })
            .await??;
        Ok(held.into_lease(&self.thread))
    }

    async fn watch_nodes(&self) -> Result<watch::Receiver<Nodes>, CoordinationError> {
        let core = Arc::clone(&self.core);
        let (prefix, relist) = (core.keys.nodes(), core.options.relist);
        let read = {
            let keys = core.keys.clone();
            move |listing: &follow::Listing| Some(nodes::nodes_of(&keys, listing))
        };
        self.thread
            .run(follow::follow(core, prefix, relist, read))
            .await?
    }

    async fn publish_load(
        &self,
        node: &NodeId,
        incarnation: Incarnation,
        load: &Load,
    ) -> Result<(), CoordinationError> {
        let (core, node, load) = (Arc::clone(&self.core), node.clone(), load.clone());
        self.thread
            .run(async move { nodes::publish_load(&core, &node, incarnation, &load).await })
            .await?
    }

    async fn put_config(&self, config: &serde_json::Value) -> Result<(), CoordinationError> {
        let (core, text) = (Arc::clone(&self.core), config.to_string());
        self.thread
            .run(async move { core.members.put(&core.keys.config(), text.into()).await })
            .await?
    }

    async fn watch_config(
        &self,
    ) -> Result<watch::Receiver<Arc<serde_json::Value>>, CoordinationError> {
        let core = Arc::clone(&self.core);
        let (key, relist) = (core.keys.config(), core.options.relist);
        let read = {
            let key = key.clone();
            move |listing: &follow::Listing| records::config_of(&key, listing)
        };
        self.thread
            .run(follow::follow(core, key, relist, read))
            .await?
    }
}
