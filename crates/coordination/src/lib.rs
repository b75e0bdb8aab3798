//! Leadership, node leases and load.
//!
//! Comes in: candidates, nodes that register, and their load. Goes out: who leads, which nodes
//! hold a lease, and the word when a lease is lost or in doubt. It must never be trusted with correctness: two
//! leaders at once are possible here and are fenced by the store's epoch; a lease that lapsed is a
//! hint that a node is gone, not proof that its work has stopped.
//!
//! [`port`] holds the port, [`local`] the in-process adapter, `etcd` (behind the feature of that
//! name) the one of a cluster, [`conformance`] the suite that every adapter passes.

pub mod conformance;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod local;
pub mod port;

#[cfg(feature = "etcd")]
pub use etcd::{EtcdCoordinator, EtcdOptions, EtcdTls};
pub use local::LocalCoordinator;
pub use port::{
    Advert, Candidate, CoordinationError, Coordinator, Lease, LeaseState, LeaseTimes, NodeAdvert,
};
