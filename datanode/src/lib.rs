//! Registers, receives tasks, runs them, commits their results.
