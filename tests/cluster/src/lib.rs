//! Drills of a cluster of real processes.
//!
//! Comes in: how many managers and nodes there shall be, generated data whose truth is known, and
//! faults. Goes out: processes on real Postgres and etcd with a [`wire`] between all of them, a
//! [`log`] of what was done to them, and the [`checker`]'s verdict on what they left. It must never
//! look into a process: what counts is what Postgres holds and what `/metrics` says.

pub mod binaries;
pub mod checker;
pub mod client;
pub mod cluster;
pub mod crowd;
pub mod data;
pub mod database;
pub mod drill;
pub mod embedded;
pub mod log;
pub mod machine;
pub mod newer;
pub mod noop;
pub mod pki;
pub mod process;
pub mod raw;
pub mod scrape;
pub mod servers;
pub mod small_disk;
pub mod who;
pub mod wire;

pub use cluster::{Cluster, Plan};
pub use drill::Drill;
pub use wire::Flow;
