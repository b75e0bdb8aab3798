//! Which datasets are due, and why.
//!
//! What comes in: a dataset's definition, the slot up to which runs have been emitted, and the
//! present instant. What goes out: the slots to emit, the ones that are skipped with the reason,
//! and the next one. It must never read a clock: the same question has the same answer, in the
//! cloud function as in `assay dev`.

mod due;

pub use due::{Due, SLOTS_MAX, due};
