//! The state of record.
//!
//! Comes in: guarded changes of the leader, the results of nodes, questions of the judge and of
//! people. Goes out: answers per change, and rows. It must never apply half of a change, accept a
//! result whose attempt token is not the one at work, or keep a write of a deposed leader.
//!
//! [`port`] holds the two ports of runs and their results, [`audit`] that of the audit log, [`feedback`]
//! that of what people answer back, [`moves`] that of who is told when runs move, [`fleet`] that of how the fleet was over time, [`notices`] that of
//! what people are told, [`size`] that of how much there is, [`news`] word of what was committed; [`sqlite`] is the embedded adapter,
//! `postgres` that of a cluster, [`conformance`] the suite that
//! every adapter passes, [`standing`] what a look means by all verdicts in force, [`invariants`] what must be true of its rows at any moment, [`dump`] a text
//! to compare two stores by.

pub mod audit;
pub mod conformance;
mod definitions;
pub mod dump;
pub mod error;
pub mod examined;
pub mod feedback;
pub mod fleet;
mod held;
mod history;
pub mod invariants;
pub mod moves;
pub mod news;
pub mod notices;
mod plans;
pub mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod size;
pub mod sqlite;
pub mod standing;
mod values;

pub use audit::{Audit, AuditEntry, AuditHead, AuditRecord, AuditStage};
pub use error::StoreError;
pub use examined::Examined;
pub use feedback::Feedback;
pub use fleet::FleetLog;
pub use moves::Moves;
pub use news::News;
pub use port::{JobStore, MetricStore};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore};
pub use size::Size;
pub use sqlite::{Durability, OpenOptions, SqliteStore};
