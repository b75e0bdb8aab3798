//! What stands before every handler of the gateway.
//!
//! Comes in: requests of anybody, and handlers. Goes out: the handlers' answers to those who may ask
//! and whose turn it is, problems (RFC 9457) to all others, series, and an audit log of every change.
//! It must never let a handler see a request whose sender it does not know the rights of, make a
//! change that is not written down first, hold a place for a client that is slow, or tell anybody
//! whether something exists that is not theirs to see.
//!
//! A request goes through these, in this order; each is a module:
//!
//! 1. [`loopback`]: embedded, nobody but this machine's user, by no detour over a web page;
//! 2. [`identity`]: by [`tokens`] or by [`jwt`] with the keys of [`jwks`], in a header or in the
//!    cookie of a [`session`], a [`principal`];
//! 3. [`quota`]: how often it may ask;
//! 4. [`rights`]: what it may do at all, by what [`route`] says that it asks for. What it may do to
//!    one object the handlers ask [`rights::decide`], which knows the object's owner from them;
//! 5. [`body`]: what it sends is read whole, within bounds, before it takes a place;
//! 6. [`queue`]: its turn, owners first;
//! 7. the audit log: that it asks for a change, and afterwards what came of it;
//! 8. the handler, and [`streams`] for answers that do not end.
//!
//! [`serve`] is the server of connections that cuts slow ones; [`Guard::wrap`] puts all else around a
//! router. Settings are in [`settings`].

pub mod address;
pub mod body;
mod changes;
pub mod identity;
pub mod jwks;
pub mod jwt;
mod layer;
pub mod load;
pub mod loopback;
mod paced;
pub mod principal;
pub mod problem;
pub mod queue;
pub mod quota;
mod refusals;
pub mod rights;
pub mod route;
pub mod serve;
pub mod session;
pub mod settings;
pub mod streams;
pub mod tokens;

pub use address::Peer;
pub use layer::{Attach, Guard, Holding, Owners, Parts, Present, RequestId, RouteLabel};
pub use principal::{Grant, Principal};
pub use rights::{Action, Decision, Object, decide};
pub use serve::{Server, Stopping};
pub use settings::GuardSettings;
