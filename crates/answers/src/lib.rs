//! The typed answers of the HTTP API, and the port by which pages ask for them in process.
//!
//! Comes in: nothing; this crate only names things. Goes out: one type per answer, which prints as
//! the JSON of the API, reads back from it, and describes itself in the OpenAPI document. It must
//! never know an HTTP server, a store or a clock.
//!
//! The words are those of `assay … -o json`: a field that both have is spelt alike and means the
//! same. Fields are camelCase; times are RFC 3339 in UTC; a run is `run_` and 32 hex digits, an
//! incident `inc_` and 32 hex digits; exact numbers are decimal strings, so that no digit is lost.
//!
//! An optional field is `null` when there is nothing to say, and never left out: a reader can tell
//! «none» from «of another version».

pub mod check;
pub mod cluster;
pub mod dataset;
pub mod definition;
pub mod facts;
pub mod feedback;
pub mod fleet;
pub mod incident;
pub mod log;
pub mod metric;
pub mod node;
pub mod notice;
pub mod overview;
pub mod problem;
pub mod run;
pub mod schema;
pub mod task;
pub mod told;
pub mod usage;
pub mod value;
pub mod words;

pub use facts::{Deeds, Facts};
pub use problem::Problem;
pub use told::{List, Reader, Role, Told};
