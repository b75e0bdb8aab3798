//! The scheduled function with everything that it speaks to: the real program in a sandbox that
//! speaks the Lambda Runtime API, a stand-in of AWS, and a real cluster on etcd and Postgres.

#![allow(clippy::unwrap_used, reason = "what fails here fails the drill")]

mod chain;
mod leader;
mod many;
mod pruned;
mod ticks;
mod world;
mod wrong;
