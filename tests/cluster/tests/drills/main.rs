//! Drills of a cluster of real processes, each a test of its own.
//!
//! All are one program, so that they share servers and take turns.

#![allow(clippy::unwrap_used, reason = "what fails here fails the drill")]

mod answers;
mod canary;
mod checked;
mod clocks;
mod command;
mod containers;
mod copies;
mod etcd;
mod full;
mod good;
mod held;
mod hostile;
mod kills;
mod leaves;
mod mixture;
mod names;
mod network;
mod overload;
mod poison;
mod postgres;
mod promotion;
mod rotation;
mod runbooks;
mod stops;
mod telemetry;
mod twins;
mod usual;
mod versions;
mod watches;
