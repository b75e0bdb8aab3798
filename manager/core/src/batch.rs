//! One pass of decisions, and the commit that it makes.
//!
//! What comes in: all that the core knows. What goes out: at most one commit. It must never put
//! two changes of one task or node into one commit, nor decide while a commit is out.

use std::collections::BTreeSet;

use assay_model::change::Change;
use assay_model::ids::{NodeId, TaskId};

use crate::{Command, Core};

/// The changes of one pass, and what they touch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub changes: Vec<Change>,
    tasks: BTreeSet<TaskId>,
    nodes: BTreeSet<NodeId>,
    max: usize,
}

impl Batch {
    const fn new(max: usize) -> Self {
        Self {
            changes: Vec::new(),
            tasks: BTreeSet::new(),
            nodes: BTreeSet::new(),
            max,
        }
    }

    /// Whether the rest has to wait for the next pass.
    pub(crate) const fn is_full(&self) -> bool {
        self.changes.len() >= self.max
    }

    /// Adds a change of a task, unless the task is touched already.
    pub(crate) fn push_task(&mut self, task: TaskId, change: Change) {
        if self.tasks.insert(task) {
            self.changes.push(change);
        }
    }

    /// Adds a change of a node, unless the node is touched already.
    pub(crate) fn push_node(&mut self, node: &NodeId, change: Change) {
        if self.nodes.insert(node.clone()) {
            self.changes.push(change);
        }
    }

    /// Keeps other changes of the pass away from a node.
    pub(crate) fn block_node(&mut self, node: &NodeId) {
        self.nodes.insert(node.clone());
    }

    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Changes that still fit.
    pub(crate) const fn room(&self) -> usize {
        self.max.saturating_sub(self.changes.len())
    }

    pub(crate) fn touches_task(&self, task: TaskId) -> bool {
        self.tasks.contains(&task)
    }

    pub(crate) fn touches_node(&self, node: &NodeId) -> bool {
        self.nodes.contains(node)
    }
}

impl Core {
    /// Finds every change that is due, and commits them together.
    ///
    /// What frees work comes before what gives it out, so that a pass that is cut short by the
    /// size of a commit never starves the ends of attempts.
    pub(crate) fn decide(&mut self) {
        if !self.commits.may_commit(self.now) {
            return;
        }
        for run in self.runs.values_mut() {
            run.wake(self.now);
        }
        let mut batch = Batch::new(self.commits.max_changes(&self.config).max(1));
        self.decide_nodes(&mut batch);
        self.decide_forgiveness(&mut batch);
        self.decide_attempts(&mut batch);
        self.decide_requests(&mut batch);
        self.decide_runs(&mut batch);
        self.decide_scale(&mut batch);
        self.decide_assignments(&mut batch);
        self.decide_copies(&mut batch);
        // While time stands still for an absent store, nothing may become due that would ask for
        // it: a commit of nothing asks whether it is back.
        if batch.changes.is_empty() && !self.commits.is_failing() {
            return;
        }
        let id = self.commits.send(batch.changes.clone());
        self.out.push(Command::Commit {
            id,
            changes: batch.changes,
        });
    }
}
