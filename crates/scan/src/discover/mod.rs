//! Discovery: which partitions a dataset has, which of them must be measured, and in what batches.
//!
//! In: the definition, a listing of its location, the ledger and the time. Out: a
//! [`Discovery`](assay_model::output::Discovery).

pub mod auto;
pub mod batches;
pub mod cadence;
pub mod decide;
pub mod keys;
pub mod layout;
pub mod missing;
pub mod pattern;
pub mod value;
