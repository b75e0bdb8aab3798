//! How a node behaves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use assay_model::ids::NodeId;
use assay_proto::link::Door;

/// How a node behaves.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Its name, unique in the cluster and kept over restarts.
    pub id: NodeId,
    /// Tasks it runs at once.
    pub slots: u32,
    /// Memory for its tasks, in bytes; each slot gets an equal part.
    pub memory_bytes: u64,
    /// Its failure zone, or empty.
    pub zone: String,
    /// Where the managers are; they are tried in turn until one that leads lets the node in.
    pub doors: Vec<Door>,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// A leader that says nothing for so long is taken for gone.
    pub leader_silence_max: Duration,
    /// The first pause before a new connection; doubles up to `reconnect_max`.
    pub reconnect: Duration,
    /// The longest such pause.
    pub reconnect_max: Duration,
    /// How long a leaving node lets its tasks go on when the leader does not say.
    pub drain_grace: Duration,
    /// How long the node goes on asking when another process is at work under its name; then it ends.
    pub name_patience: Duration,
    /// Finished results that may wait for the store before no more work is started.
    pub spool_results_max: usize,
    /// Their bytes.
    pub spool_bytes_max: u64,
    /// Where the node listens for as long as its process lives, so that its death is seen at once;
    /// `None` does without.
    pub probe: Option<SocketAddr>,
}

impl NodeConfig {
    /// A node of this name behind these doors, with the project's figures.
    #[must_use]
    pub fn new(id: impl Into<String>, doors: Vec<Door>) -> Self {
        Self {
            id: NodeId::new(id),
            slots: 4,
            memory_bytes: 1 << 30,
            zone: String::new(),
            doors,
            heartbeat: Duration::from_secs(1),
            leader_silence_max: Duration::from_secs(5),
            reconnect: Duration::from_millis(50),
            reconnect_max: Duration::from_millis(500),
            drain_grace: Duration::from_secs(60),
            name_patience: Duration::from_secs(10),
            spool_results_max: 256,
            spool_bytes_max: 64 << 20,
            probe: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)),
        }
    }

    /// Memory for one task, in bytes.
    #[must_use]
    pub fn memory_per_slot(&self) -> u64 {
        self.memory_bytes / u64::from(self.slots.max(1))
    }
}
