//! AWS clients, made in one place.
//!
//! ```text
//! environment, ~/.aws, role of the service ──> identity, region, endpoint ──> SdkConfig ──> any client
//! an SDK error ──> Trouble: what it was, whether it passes, what to do
//! ```
//!
//! Comes in: the wish for a client, and what a service answered. Goes out: a configuration that every
//! SDK client is made of, with TLS by ring, bounded waits and bounded retries. It must never bring a
//! second TLS provider, wait without an end, or print a credential.

#[cfg(feature = "people")]
mod caller;
mod database;
mod factory;
mod trouble;

pub use aws_config::SdkConfig;
#[cfg(feature = "people")]
pub use caller::{Caller, caller};
pub use database::{Login, NoToken, TOKEN_HOLDS, database_token};
pub use factory::{NoRegion, Options, config};
pub use trouble::{Cause, Trouble, trouble};
