//! The simulator: the real core, a store in memory, and a hostile world around them.
//!
//! What comes in: a seed, and mutants or none. What goes out: a report, or the first violation
//! with the command that repeats it. Each seed draws which faults exist and how often, lets them
//! rage over virtual time while every invariant is checked after every write, then stops them all
//! and demands that everything settles and that the results equal the truth. It must never use a
//! clock, a thread or any randomness but the seed's.

mod check;
mod faults;
mod final_check;
mod manager;
pub mod mutant;
mod node;
mod rng;
pub mod store;
mod swarm;
#[cfg(test)]
mod tests;
mod truth;
mod world;

pub use mutant::Mutant;
pub use store::MemoryStore;
pub use swarm::Swarm;

/// What a seed did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Steps of the simulation.
    pub steps: u64,
    /// Commits of leaders that reached the store.
    pub commits: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Virtual milliseconds until everything had settled after the faults stopped.
    pub settled_ms: u64,
    /// Folds every step and the final rows: equal seeds give equal traces.
    pub trace: u64,
    /// Telemetry counters of all leaders, in order.
    pub counts: std::collections::BTreeMap<&'static str, u64>,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{id} broken at {at_ms} ms: {what}\nrepeat: ASSAY_SIM_SEED={seed} cargo test -p assay-manager-core one_seed -- --nocapture"
)]
pub struct Violation {
    /// The id of the invariant.
    pub id: &'static str,
    /// What was seen.
    pub what: String,
    /// Virtual time.
    pub at_ms: u64,
    /// The seed.
    pub seed: u64,
}

/// Runs one seed.
///
/// # Errors
/// The first [`Violation`].
pub fn run(seed: u64, mutants: &[Mutant]) -> Result<Report, Violation> {
    world::World::new(seed, mutants).run()
}
