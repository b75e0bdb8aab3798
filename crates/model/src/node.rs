//! Data nodes: their lives and their load.

use serde::{Deserialize, Serialize};

use crate::ids::{Incarnation, NodeId, TaskId};

crate::words! {
    /// Where a node is in its life.
    pub enum NodeState {
        /// Has asked to join.
        Registering = "registering",
        /// Takes tasks.
        Live = "live",
        /// Silent; takes no new task, loses none yet.
        Suspect = "suspect",
        /// Finishes what it has and takes nothing new.
        Draining = "draining",
        /// Takes nothing for a while, after failures that others did not have.
        Excluded = "excluded",
        /// Gone without a word; final for this incarnation.
        Dead = "dead",
        /// Left as it should; final for this incarnation.
        Gone = "gone",
    }
}

impl NodeState {
    /// Whether this life of the node is over.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Dead | Self::Gone)
    }
}

/// A registered node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// Which life.
    pub incarnation: Incarnation,
    /// Where it is in that life.
    pub state: NodeState,
    /// Tasks it runs at once.
    pub slots: u32,
    /// Memory for its tasks, in bytes.
    pub memory_bytes: u64,
    /// Its failure zone, or empty.
    #[serde(default)]
    pub zone: String,
}

/// What a node says of itself with a heartbeat.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Load {
    /// CPU in use, 0 to 1 of all cores.
    pub cpu: f64,
    /// Memory in use, bytes.
    pub memory_bytes: u64,
    /// Bytes read per second.
    pub read_bytes_per_s: u64,
    /// The tasks it holds, with their progress.
    pub running: Vec<Progress>,
}

/// How far a task's attempt has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The task.
    pub task: TaskId,
    /// The attempt.
    pub attempt: u32,
    /// Rows seen.
    pub rows: u64,
    /// Bytes read, as stored.
    pub bytes: u64,
}
