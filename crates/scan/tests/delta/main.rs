//! Delta tables: the same metrics as the same rows in Parquet, snapshots, and hostile logs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod log;
mod real;
mod same;
mod writer;
