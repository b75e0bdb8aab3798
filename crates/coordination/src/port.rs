//! The port: election, leases of nodes, coarse load, and the cluster's configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use assay_model::ids::{Incarnation, NodeId};
use assay_model::node::Load;
use async_trait::async_trait;
use tokio::sync::watch;

/// Why the coordinator could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CoordinationError {
    /// It cannot be reached; asking again may help.
    #[error("the coordinator is not reachable: {0}")]
    Unavailable(String),
    /// It will not do that, however often it is asked: a wrong option, certificate or permission.
    #[error("the coordinator refuses: {0}")]
    Refused(String),
    /// The lease that the call rests on is gone: register or campaign anew.
    #[error("the lease of {holder} is lost")]
    LeaseLost {
        /// Who held it.
        holder: String,
    },
    /// What it holds cannot be read: written by another version, or damaged.
    #[error("the coordinator holds an unreadable {what}: {detail}")]
    Corrupt {
        /// What kind of entry.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// Who wants to lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The manager's name, unique in the cluster.
    pub name: String,
    /// Where nodes and clients reach it.
    pub address: String,
}

/// What a node tells of itself when it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// The node.
    pub node: NodeId,
    /// Which life.
    pub incarnation: Incarnation,
    /// Tasks it runs at once.
    pub slots: u32,
    /// Its failure zone, or empty.
    pub zone: String,
}

/// A node that holds a lease, with the last load it published.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeAdvert {
    /// What it told when it registered.
    pub advert: Advert,
    /// Its last coarse load.
    pub load: Option<Load>,
}

/// The nodes that hold a lease.
pub type Nodes = Arc<BTreeMap<NodeId, NodeAdvert>>;

/// What gives a lease back.
#[async_trait]
pub trait Release: Send + Sync {
    /// Ends the lease at once, so that others need not wait for it to lapse.
    async fn release(&self) -> Result<(), CoordinationError>;
}

/// What is known of a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// The coordinator has confirmed it so recently that nobody else can have it.
    Held,
    /// It was not confirmed for so long that it may have lapsed, and the coordinator does not say.
    /// Whoever acts under it goes on only as far as another fence, the store's, lets it.
    Doubtful,
    /// The coordinator has said that it is gone: lapsed, taken away, or given back. Final.
    Lost,
}

/// How long a lease of `ttl` is trusted after the sending of the last keep-alive that was
/// acknowledged: one second less than it lasts, and at least half of that.
#[must_use]
pub fn trust(ttl: Duration) -> Duration {
    ttl.saturating_sub(Duration::from_secs(1)).max(ttl / 2)
}

/// A lease that is kept alive in the background for as long as this value lives.
///
/// Dropping it stops keeping it alive, as the death of the process would: it lapses after its time.
pub struct Lease {
    state: watch::Receiver<LeaseState>,
    release: Box<dyn Release>,
}

impl Lease {
    /// A lease whose state is told through `state`. For adapters.
    #[must_use]
    pub fn new(state: watch::Receiver<LeaseState>, release: Box<dyn Release>) -> Self {
        Self { state, release }
    }

    /// What is known of it.
    #[must_use]
    pub fn state(&self) -> LeaseState {
        // A sender that is gone keeps nothing alive.
        if self.state.has_changed().is_err() {
            return LeaseState::Lost;
        }
        *self.state.borrow()
    }

    /// Waits for a change of its state. A lost lease does not change: the answer is at once.
    pub async fn changed(&mut self) -> LeaseState {
        if self.is_lost() || self.state.changed().await.is_err() {
            return LeaseState::Lost;
        }
        *self.state.borrow_and_update()
    }

    /// Returns when the lease is certainly lost: lapsed, taken away, or given back. A coordinator
    /// that cannot be reached loses no lease; see [`LeaseState::Doubtful`].
    pub async fn lost(&mut self) {
        let lost = |state: &LeaseState| *state == LeaseState::Lost;
        // A sender that is gone keeps nothing alive.
        let _ = self.state.wait_for(lost).await;
    }

    /// Whether the lease is certainly lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state() == LeaseState::Lost
    }

    /// Whether nobody can say at present if it is lost.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        self.state() == LeaseState::Doubtful
    }

    /// Gives the lease back at once.
    ///
    /// # Errors
    /// [`CoordinationError`]; the lease then lapses after its time.
    pub async fn release(self) -> Result<(), CoordinationError> {
        self.release.release().await
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// How long leases last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// A leader's lease lapses so long after its last keep-alive.
    pub leader_ttl: Duration,
    /// Between two keep-alives of a leader.
    pub leader_keep_alive: Duration,
    /// A node's lease lapses so long after its last keep-alive.
    pub node_ttl: Duration,
    /// Between two keep-alives of a node.
    pub node_keep_alive: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self {
            leader_ttl: Duration::from_secs(5),
            leader_keep_alive: Duration::from_millis(1_500),
            node_ttl: Duration::from_secs(9),
            node_keep_alive: Duration::from_secs(3),
        }
    }
}

/// Election, leases and load.
#[async_trait]
pub trait Coordinator: Send + Sync {
    /// Waits until `candidate` leads. The lease tells when it does no longer; a candidate that stops
    /// waiting is not elected.
    async fn campaign(&self, candidate: &Candidate) -> Result<Lease, CoordinationError>;

    /// Who leads, now and after each change.
    async fn watch_leader(&self) -> Result<watch::Receiver<Option<Candidate>>, CoordinationError>;

    /// Everybody who leads or stands by to: the leader first, then in the order in which they would
    /// follow it.
    async fn candidates(&self) -> Result<Vec<Candidate>, CoordinationError>;

    /// Ends the candidacy of a leader whose process is gone, so that its lease need not lapse before
    /// another one leads. Whoever leads by then, or is not `leader`, is left alone. A leader that lives
    /// is told that it has lost its lease; what it wrote until then stands or falls by its epoch.
    async fn depose(&self, leader: &Candidate) -> Result<(), CoordinationError>;

    /// Registers a life of a node. A later life replaces an earlier one, whose lease is lost; an
    /// earlier one is refused with [`CoordinationError::LeaseLost`].
    async fn register(&self, advert: &Advert) -> Result<Lease, CoordinationError>;

    /// The nodes that hold a lease, now and after each change.
    async fn watch_nodes(&self) -> Result<watch::Receiver<Nodes>, CoordinationError>;

    /// Publishes a coarse copy of a node's load, for managers without its stream. At most one in
    /// five seconds per node.
    async fn publish_load(
        &self,
        node: &NodeId,
        incarnation: Incarnation,
        load: &Load,
    ) -> Result<(), CoordinationError>;

    /// Sets the cluster's configuration, a JSON document.
    async fn put_config(&self, config: &serde_json::Value) -> Result<(), CoordinationError>;

    /// The cluster's configuration, now and after each change; JSON null until it is set.
    async fn watch_config(
        &self,
    ) -> Result<watch::Receiver<Arc<serde_json::Value>>, CoordinationError>;
}
