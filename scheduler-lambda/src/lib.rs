//! Which datasets are due, why, and the tick that has them run.
//!
//! What comes in: a dataset's definition, the slot up to which runs have been emitted, and the
//! present instant; for a tick, an agenda and a place to ask for runs. What goes out: the runs that
//! are asked for, what is not run with the reason, and when to look again. Deciding never reads a
//! clock: the same question has the same answer, in the cloud function as in `assay dev`.

mod arrival;
mod due;
mod emit;
mod explain;
mod grpc;
mod look;
mod reason;
mod report;
mod rhythm;
#[cfg(test)]
mod samples;
mod tick;

pub use arrival::POLL_S;
pub use due::{Due, SLOTS_MAX, due};
pub use emit::{EmitError, Emitted, Emitter};
pub use explain::{Explanation, LISTED_MAX, Listed, NotRun, Wanted, explain, list};
pub use grpc::Managers;
pub use look::{Decision, Emission, Key, REGISTRATION, Skipped, look};
pub use reason::Reason;
pub use report::{DETAILS_MAX, Detail, Failure, TickReport};
pub use rhythm::longest_pause;
pub use tick::{Budget, tick};
