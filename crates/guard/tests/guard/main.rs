//! The guard before a small router, asked over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod audit;
mod balancer;
mod doors;
mod identity;
mod limits;
mod overload;
mod provider;
mod stage;
