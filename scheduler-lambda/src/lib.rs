//! Which datasets are due, and why.
