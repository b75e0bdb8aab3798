//! How much the cluster has to do, and how much of a fleet it has for it: the figures that a fleet
//! is scaled by, wherever they are told.
//!
//! Comes in: the core's view. Goes out: counts. It must never leave out work that waits.

use assay_manager_core::View;
use assay_model::node::NodeState;

/// The figures of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fleet {
    /// Nodes that take tasks.
    pub nodes_live: u32,
    /// Nodes that the backlog asks for.
    pub nodes_desired: u32,
    /// Slots that hold a task, of all nodes.
    pub slots_used: u64,
    /// Slots of live nodes.
    pub slots_live: u64,
    /// Tasks that could start if there were a slot.
    pub queued: u64,
    /// Runs that have not ended.
    pub runs_unfinished: u64,
}

impl Fleet {
    /// The figures by `view`.
    #[must_use]
    pub fn of(view: &View) -> Self {
        let live = view.nodes.iter().filter(|n| n.state == NodeState::Live);
        let slots: u64 = live.clone().map(|n| u64::from(n.slots)).sum();
        let used: u64 = view.nodes.iter().map(|n| u64::from(n.held)).sum();
        Self {
            nodes_live: u32::try_from(live.count()).unwrap_or(u32::MAX),
            nodes_desired: view.desired_nodes,
            slots_used: used,
            slots_live: slots,
            queued: view.queue_depth as u64,
            runs_unfinished: view.runs.len() as u64,
        }
    }

    /// Slots that there is work for: tasks at work, and those that could start.
    #[must_use]
    pub const fn slots_demanded(&self) -> u64 {
        self.slots_used + self.queued
    }

    /// Slots of live nodes beyond those that hold a task.
    #[must_use]
    pub const fn slots_free(&self) -> u64 {
        self.slots_live.saturating_sub(self.slots_used)
    }

    /// Demanded slots for each live node, or for the first one while there is none. It falls as
    /// nodes come, so that a service which follows it comes to rest.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of tasks")]
    pub fn backlog_per_node(&self) -> f64 {
        self.slots_demanded() as f64 / f64::from(self.nodes_live.max(1))
    }
}
