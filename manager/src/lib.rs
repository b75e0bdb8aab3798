//! Drives the manager's core: store, node streams, clients.
//!
//! ```text
//! nodes, clients ──> services ──> inbox ──> term (owns the Core) ──> store, node links, watchers
//! ```
//!
//! Comes in: the streams of data nodes and the calls of clients. Goes out: what the core decides,
//! written to the store before anything rests on it. It must never decide anything itself: which
//! task goes where, what is retried and when a node is dead are the core's to say.
//!
//! [`Manager::start`] gives a [`ManagerHandle`]; a manager leads or stands by, and says which.

mod chronicle;
mod desk;
pub mod emf;
mod fleet;
mod freshness;
mod handle;
mod inbox;
mod knock;
mod lead;
mod leases;
mod lineage;
mod links;
mod notices;
mod observe;
mod outbox;
mod parts;
mod reach;
mod rival;
mod schedule;
mod seat;
mod service;
mod settings;
mod speakers;
mod term;
mod versions;
mod watch;

pub use fleet::Fleet;
pub use handle::{Manager, ManagerHandle, SubmitError, Submitted};
pub use lineage::Lineage;
pub use notices::NoticeParts;
pub use outbox::OutboxSink;
pub use parts::{Clock, ManagerConfig, ManagerParts, system_clock};
pub use reach::Away;
pub use schedule::Ticked;
pub use seat::{NotLeading, Role};
pub use watch::RunUpdate;
