//! Tracing and telemetry, the same in every process.
