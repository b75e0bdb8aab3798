//! What a gateway is made of: its ports, its clock, who asks when nobody says.

use std::sync::Arc;

use assay_answers::{Reader, Role};
use assay_registry::Registry;
use assay_store::notices::NoticeStore;
use assay_store::{MetricStore, News};
use assay_telemetry::Telemetry;
use jiff::Timestamp;

use crate::managers::Managers;
use crate::rights::Rights;

/// Where the present instant comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What kind of cluster the gateway stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One process on one machine.
    Embedded,
    /// Managers and nodes of their own.
    Cluster,
}

impl Mode {
    /// The word of the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Cluster => "cluster",
        }
    }
}

/// What a gateway is made of.
#[derive(Clone)]
pub struct Parts {
    /// The reads of people.
    pub store: Arc<dyn MetricStore>,
    /// What people are told, to be read.
    pub notices: Arc<dyn NoticeStore>,
    /// Word of commits.
    pub news: Arc<dyn News>,
    /// Where definitions are kept.
    pub registry: Arc<dyn Registry>,
    /// The way to the manager that leads.
    pub managers: Managers,
    /// Who may do what.
    pub rights: Arc<dyn Rights>,
    /// Who asks, when no layer round the gateway has said so.
    pub nobody: Reader,
    /// The present instant.
    pub now: Clock,
    /// Where it counts.
    pub telemetry: Telemetry,
    /// What it stands before.
    pub mode: Mode,
}

/// Whoever asks without being known, where that gives no rights.
#[must_use]
pub fn anonymous() -> Reader {
    Reader {
        id: "anonymous".to_owned(),
        role: Role::Anonymous,
        owners: Vec::new(),
        reads: Vec::new(),
        writes: false,
    }
}
