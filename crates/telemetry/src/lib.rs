//! Tracing and telemetry, the same in every process.
//!
//! Comes in: counts and gauges of the running program, and how its log is to look. Goes out: log
//! lines on standard error, and the Prometheus text of every series. It must never hold a series
//! per run, task, column or user: labels are few and bounded.

#[cfg(feature = "http")]
pub mod http;
pub mod log;
pub mod machine;
pub mod process;
pub mod repeat;
pub mod series;

pub use log::{LogFormat, LogSettings};
pub use process::ProcessLoad;
pub use series::Telemetry;
