//! The program `assay-gateway` before a store and a manager of its own: who comes in, who is cut.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod program;
mod slow;
mod stage;
