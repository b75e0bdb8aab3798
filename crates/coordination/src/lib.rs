//! Leadership, node leases and load.
//!
//! Comes in: candidates, nodes that register, and their load. Goes out: who leads, which nodes
//! hold a lease, and the word when a lease is lost or in doubt. It must never be trusted with correctness: two
//! leaders at once are possible here and are fenced by the store's epoch; a lease that lapsed is a
//! hint that a node is gone, not proof that its work has stopped.
//!
//! [`port`] holds the port, [`local`] the in-process adapter, [`conformance`] the suite that every
//! adapter passes.

pub mod conformance;
pub mod local;
pub mod port;

pub use local::LocalCoordinator;
pub use port::{
    Advert, Candidate, CoordinationError, Coordinator, Lease, LeaseState, LeaseTimes, NodeAdvert,
};
