//! Registers, receives tasks, runs them, commits their results.
//!
//! ```text
//! leader ──assign──> link thread ──> attempt: start → run → complete ──> store
//!        <─heartbeat, finished, failed─┘
//! ```
//!
//! Comes in: assignments of the leader. Goes out: results, committed under the attempt's token, and
//! a heartbeat every second from a thread that no computation can starve. It must never commit
//! without its token, never take a message of an older leader than it has seen, and never retry a
//! task by itself: that is the leader's decision.
//!
//! [`DataNode::start`] gives a [`NodeHandle`]; [`runner`] holds the port behind which tasks run and
//! what each kind of task does.

mod attempt;
mod config;
mod held;
mod link;
mod node;
mod pause;
mod presence;
pub mod runner;
mod spool;

pub use config::NodeConfig;
pub use node::{DataNode, NodeHandle, NodeParts, NodeStatus};
