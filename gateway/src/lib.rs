//! The gateway: the HTTP API of an Assay cluster.
//!
//! ```text
//! connections ──> guard (who asks) ──> router ──> Api ──> memory ──> store, registry
//!                                        │         └────> managers (wishes)
//!                                        └──────> pages, over the same Api in process
//! ```
//!
//! Comes in: HTTP, and word of commits. Goes out: JSON that agrees with the command's, problems
//! (RFC 9457), events; wishes to the leader, definitions to the registry. It must never answer with
//! what it knows to be old without saying so, tell of somebody else's objects, or take a request that
//! it did not understand whole.
//!
//! [`Gateway`], [`Guarded`] and [`whole`] put everything together; [`api::list`] says how a route is added.

pub mod api;
mod convert;
mod deeds;
pub mod follow;
pub mod managers;
pub mod memory;
pub mod parts;
mod people;
pub mod problem;
mod reads;
mod repeats;
pub mod rights;
pub mod serve;
pub mod whole;

pub use api::Api;
pub use assay_guard::{GuardSettings, Stopping};
pub use assay_pages::seams::{Seams, Setting, Settings};
pub use managers::{Managers, Way};
pub use parts::{Clock, Mode, Parts, anonymous};
pub use rights::{Action, ByRole, Rights};
pub use serve::{Gateway, Guarded};
