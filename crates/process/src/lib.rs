//! What every process of the cluster does alike.
//!
//! ```text
//! flags > ASSAY_… > file > default ──> settings ──> log, telemetry pages ──> the program
//!                                                       SIGTERM, SIGINT ──> leave; twice: stop
//! ```
//!
//! Comes in: a command line, the environment, a file. Goes out: settings that have been checked, a
//! log, the pages of telemetry and health, the wish to stop, an exit code. It must never start a
//! program on settings that it could not read whole, or show a secret.

mod address;
pub mod ecs;
pub mod environment;
pub mod layers;
pub mod options;
pub mod run;
pub mod stop;

pub use layers::{Faults, Layered, Refused, file};
pub use run::{Started, enter};
pub use stop::Stop;
