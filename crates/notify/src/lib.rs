//! What people are told of, and how.
//!
//! ```text
//! incidents of checks ──causes──> one incident per cause ──telling──> who is owed what ──> deliveries
//! what the cluster could not do ──alerts──> deliveries to operators
//! a delivery ──event──> CloudEvent ──channels──> webhook | Slack | mail | SNS | Lambda
//! ```
//!
//! Comes in: what was judged, what people want, who subscribes. Goes out: decisions, which a leader
//! keeps in one transaction, and messages. The rules are pure; only [`channels`] speaks to the
//! world. It must never tell a value of a row or a secret, reach what the operator did not allow,
//! or let one receiver hold up another.

pub mod alerts;
pub mod backoff;
pub mod causes;
pub mod channels;
pub mod decide;
pub mod defaults;
pub mod event;
pub mod finding;
pub mod schema;
pub mod settings;
pub mod telling;
