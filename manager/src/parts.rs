//! What a manager is made of: its ports, its configuration, its clock.

use std::sync::Arc;
use std::time::Duration;

use assay_coordination::{Candidate, Coordinator};
use assay_manager_core as core;
use assay_store::{JobStore, MetricStore};
use assay_telemetry::Telemetry;
use jiff::Timestamp;

/// Where the present instant comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The clock of the machine.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(Timestamp::now)
}

/// What a manager is made of.
#[derive(Clone)]
pub struct ManagerParts {
    /// The state of record.
    pub store: Arc<dyn JobStore>,
    /// The reads of people.
    pub metrics: Arc<dyn MetricStore>,
    /// Election and leases.
    pub coordinator: Arc<dyn Coordinator>,
    /// How it behaves.
    pub config: ManagerConfig,
    /// The present instant.
    pub now: Clock,
    /// Where it counts.
    pub telemetry: Telemetry,
}

/// How a manager behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagerConfig {
    /// Its name, unique in the cluster.
    pub name: String,
    /// Where nodes and clients reach it, told to those who asked the wrong manager; empty: only from
    /// within its process.
    pub address: String,
    /// The numbers that the decisions rest on.
    pub core: core::Config,
    /// A run is given up so long after it was accepted.
    pub run_deadline: Duration,
    /// The first pause after a failed attempt to lead; doubles up to 16 times.
    pub retry_pause: Duration,
}

impl Default for ManagerConfig {
    fn default() -> Self {
        Self {
            name: "manager-1".to_owned(),
            address: String::new(),
            core: core::Config::default(),
            run_deadline: Duration::from_secs(24 * 3600),
            retry_pause: Duration::from_millis(200),
        }
    }
}

impl ManagerConfig {
    pub(crate) fn candidate(&self) -> Candidate {
        Candidate {
            name: self.name.clone(),
            address: self.address.clone(),
        }
    }
}
