//! The state of record.
//!
//! Comes in: guarded changes of the leader, the results of nodes, questions of the judge and of
//! people. Goes out: answers per change, and rows. It must never apply half of a change, accept a
//! result whose attempt token is not the one at work, or keep a write of a deposed leader.
//!
//! [`port`] holds the two ports, [`sqlite`] the embedded adapter, [`conformance`] the suite that
//! every adapter passes, [`invariants`] what must be true of its rows at any moment, [`dump`] a text
//! to compare two stores by.

pub mod conformance;
pub mod dump;
pub mod error;
pub mod invariants;
pub mod port;
pub mod sqlite;

pub use error::StoreError;
pub use port::{JobStore, MetricStore};
pub use sqlite::{Durability, OpenOptions, SqliteStore};
