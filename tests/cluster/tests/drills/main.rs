//! Drills of a cluster of real processes, each a test of its own.
//!
//! All are one program, so that they share servers and take turns.

#![allow(clippy::unwrap_used, reason = "what fails here fails the drill")]

mod checked;
mod etcd;
mod good;
mod kills;
mod leaves;
mod mixture;
mod network;
mod postgres;
mod stops;
mod telemetry;
mod twins;
mod usual;
