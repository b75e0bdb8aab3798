//! What nodes say.

use assay_model::ids::{AttemptToken, Epoch, Incarnation, NodeId, TaskId};
use assay_model::node::{Load, Node, NodeState, Progress};
use assay_model::task::{AttemptOutcome, TaskFailure};

use super::bounds::{bounded, finite, list, name, text, word};
use super::{WireError, run_id, token};
use crate::limits::{HELD_MAX, NODE_NAME_BYTES_MAX, SLOTS_MAX, TEXT_BYTES_MAX};
use crate::v1;

/// A node's message, checked.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeSays {
    /// The first message.
    Hello {
        /// The node; its incarnation is the one of an earlier stream of the same process, or 0.
        node: Node,
        /// The attempts it holds.
        held: Vec<AttemptToken>,
        /// The highest epoch it has seen.
        highest_epoch: Epoch,
        /// A port that is open for as long as its process lives.
        probe_port: Option<u16>,
        /// The version of its program, or empty.
        version: String,
    },
    /// Alive, with its load.
    Heartbeat(Load),
    /// An attempt was started.
    Started(AttemptToken),
    /// An attempt's results are committed.
    Finished(AttemptToken),
    /// An attempt failed.
    Failed(AttemptToken, TaskFailure),
    /// An attempt is not at work there.
    Dropped(AttemptToken, String),
    /// It wants to leave.
    Leaving(String),
    /// It has left.
    Goodbye,
    /// Something that this version has no word for: the node's is newer.
    Unknown,
}

/// Checks a node's message.
///
/// # Errors
/// [`WireError`] naming the field.
pub fn node_says(message: v1::NodeMessage) -> Result<NodeSays, WireError> {
    use v1::node_message::Kind;
    let Some(kind) = message.kind else {
        return Ok(NodeSays::Unknown);
    };
    Ok(match kind {
        Kind::Hello(hello) => hello_says(hello)?,
        Kind::Heartbeat(heartbeat) => NodeSays::Heartbeat(load(heartbeat)?),
        Kind::Started(value) => NodeSays::Started(token(Some(value))?),
        Kind::Finished(value) => NodeSays::Finished(token(Some(value))?),
        Kind::Failed(value) => {
            let attempt = token(value.token)?;
            NodeSays::Failed(attempt, failure(value.outcome, value.message)?)
        }
        Kind::Dropped(value) => {
            NodeSays::Dropped(token(value.token)?, text("reason", value.reason)?)
        }
        Kind::Leaving(value) => NodeSays::Leaving(text("reason", value.reason)?),
        Kind::Goodbye(v1::Goodbye {}) => NodeSays::Goodbye,
    })
}

fn hello_says(hello: v1::Hello) -> Result<NodeSays, WireError> {
    if !(1..=SLOTS_MAX).contains(&hello.slots) {
        return Err(WireError::OutOfRange {
            field: "slots",
            detail: format!("{} is not between 1 and {SLOTS_MAX}", hello.slots),
        });
    }
    let node = Node {
        id: NodeId::new(node_name(hello.node)?),
        incarnation: Incarnation(hello.incarnation),
        state: NodeState::Registering,
        slots: hello.slots,
        memory_bytes: hello.memory_bytes,
        zone: bounded("zone", hello.zone, 256)?,
    };
    Ok(NodeSays::Hello {
        node,
        held: list("held", hello.held, HELD_MAX, |held| token(Some(held)))?,
        highest_epoch: Epoch(hello.highest_epoch),
        probe_port: u16::try_from(hello.probe_port)
            .ok()
            .filter(|port| *port > 0),
        version: bounded("version", hello.version, 64)?,
    })
}

/// The name of a node as it is part of keys and paths.
fn node_name(value: String) -> Result<String, WireError> {
    let value = bounded("node", name("node", value)?, NODE_NAME_BYTES_MAX)?;
    if value.contains('/') {
        return Err(WireError::OutOfRange {
            field: "node",
            detail: "a node's name has no slash".to_owned(),
        });
    }
    Ok(value)
}

/// A failure as a node may report it: never a success, never an outcome that only a leader gives.
///
/// # Errors
/// [`WireError`] when the outcome is not a node's to report.
pub fn failure(outcome: String, message: String) -> Result<TaskFailure, WireError> {
    let outcome: AttemptOutcome = word("outcome", outcome)?;
    let of_a_node = matches!(
        outcome,
        AttemptOutcome::Retryable
            | AttemptOutcome::Permanent
            | AttemptOutcome::TimedOut
            | AttemptOutcome::Crashed
            | AttemptOutcome::DependencyDown
            | AttemptOutcome::Drained
            | AttemptOutcome::Cancelled
    );
    if !of_a_node {
        return Err(WireError::OutOfRange {
            field: "outcome",
            detail: format!("`{outcome}` is not a node's to report"),
        });
    }
    Ok(TaskFailure {
        outcome,
        message: clip(message),
    })
}

/// The beginning of a message that is too long: a long reason must not lose the report.
fn clip(mut message: String) -> String {
    if message.len() > TEXT_BYTES_MAX {
        let mut end = TEXT_BYTES_MAX;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
    }
    message
}

fn load(value: v1::Heartbeat) -> Result<Load, WireError> {
    Ok(Load {
        cpu: finite("cpu", value.cpu)?.clamp(0.0, 1.0),
        memory_bytes: value.memory_bytes,
        read_bytes_per_s: value.read_bytes_per_s,
        running: list("running", value.running, HELD_MAX, |p| {
            Ok(Progress {
                task: TaskId {
                    run: run_id(p.run_id)?,
                    no: p.task_no,
                },
                attempt: p.attempt,
                rows: p.rows,
                bytes: p.bytes,
            })
        })?,
    })
}

/// A heartbeat for the wire.
#[must_use]
pub fn load_of(value: &Load) -> v1::Heartbeat {
    v1::Heartbeat {
        cpu: value.cpu,
        memory_bytes: value.memory_bytes,
        read_bytes_per_s: value.read_bytes_per_s,
        running: value
            .running
            .iter()
            .map(|p| v1::Progress {
                run_id: p.task.run.to_string(),
                task_no: p.task.no,
                attempt: p.attempt,
                rows: p.rows,
                bytes: p.bytes,
            })
            .collect(),
    }
}

/// A first message for the wire.
#[must_use]
pub fn hello_of(
    node: &Node,
    held: &[AttemptToken],
    highest_epoch: Epoch,
    probe_port: u16,
) -> v1::Hello {
    v1::Hello {
        node: node.id.to_string(),
        slots: node.slots,
        memory_bytes: node.memory_bytes,
        zone: node.zone.clone(),
        incarnation: node.incarnation.0,
        highest_epoch: highest_epoch.0,
        held: held.iter().map(super::token_of).collect(),
        probe_port: u32::from(probe_port),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}
