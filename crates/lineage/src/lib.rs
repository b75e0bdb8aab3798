//! Runs as OpenLineage events.
//!
//! Comes in: a run that has begun or ended, and what it found out, as typed facts or from a store
//! ([`events`]). Goes out: events with the facets of data quality, and each of them to a sink: a file,
//! or an endpoint. [`event`] is pure. It must never call something good that was not evaluated, show a value that is not in the
//! facts, or hold up a run: who sends is another's task, which tries again.

pub mod event;
mod facets;
mod found;
pub mod settings;
pub mod sink;

pub use event::{RunFacts, ended, started, working};
pub use found::events;
pub use settings::Settings;
pub use sink::{FileSink, HttpSink, LineageSink, SinkError};
