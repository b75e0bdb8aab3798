//! What must always hold of the core's knowledge, each with its id.
//!
//! What comes in: records. What goes out: a panic in debug builds and in simulation, nothing
//! otherwise. It must never repair: a broken invariant is a defect to be found.

use std::collections::BTreeMap;

use assay_model::run::RunState;
use assay_model::task::TaskState;

use crate::Core;
use crate::copies::Copy;
use crate::state::{RunRecord, is_open};

/// J1: a run is terminal only when all its tasks are.
pub(crate) fn run_ends_after_its_tasks(record: &RunRecord, state: RunState) {
    debug_assert!(
        !state.is_terminal() || record.has_ended(),
        "J1: {} would end as {state} with {} tasks that have not",
        record.run.id,
        record.unended.len(),
    );
}

/// A1: a task has an attempt at work exactly when its state says so, and one nonce for it. The
/// indexes agree with the tasks.
fn one_attempt_at_work(record: &RunRecord) {
    for (no, task) in &record.tasks {
        let state = task.task.state;
        debug_assert_eq!(is_open(state), task.open.is_some(), "A1: {}", task.task.id);
        debug_assert_eq!(
            is_open(state),
            task.token().is_some(),
            "A1: {} is {state} without a token",
            task.task.id
        );
        debug_assert_eq!(
            is_open(state),
            record.open.contains(no),
            "A1: index of {no}"
        );
        debug_assert_eq!(
            !state.is_terminal(),
            record.unended.contains(no),
            "J2: index of {no}"
        );
        let blocked = !record.blockers(*no).is_empty();
        let idle = state == TaskState::Ready && !blocked;
        let wakes_at = task.task.not_before.map(|at| (at, *no));
        let asleep = wakes_at.is_some_and(|key| record.sleeping.contains(&key));
        debug_assert_eq!(
            task.task.twin.is_some(),
            task.twin_open.is_some(),
            "A1: the second copy of {}",
            task.task.id
        );
        debug_assert!(
            task.task.twin.is_none()
                || task.place_of(Copy::First).map(|p| p.0)
                    != task.place_of(Copy::Second).map(|p| p.0),
            "A1: both copies of {} are on one node",
            task.task.id
        );
        debug_assert_eq!(
            idle,
            asleep || record.ready.contains(no),
            "A1: {} is {state}, and nothing will ever wake it",
            task.task.id
        );
    }
}

/// Tasks that are checked per event, about: a debug build with many must not do little else.
const CHECKED_PER_EVENT: usize = 500;

impl Core {
    /// Checks every invariant, after each event while there are few tasks, and after as many events as
    /// make up for it while there are many.
    pub(crate) fn validate_in_turn(&mut self) {
        self.unvalidated += 1;
        let tasks: usize = self.runs.values().map(|run| run.tasks.len()).sum();
        if self.unvalidated.saturating_mul(CHECKED_PER_EVENT) >= tasks {
            self.unvalidated = 0;
            self.validate();
        }
    }

    /// Checks every invariant; panics in debug builds when one does not hold.
    pub fn validate(&self) {
        for record in self.runs.values() {
            one_attempt_at_work(record);
            debug_assert!(
                !record.run.state.is_terminal(),
                "J2: {} has ended and is still known",
                record.run.id
            );
        }
        self.no_node_above_its_slots();
    }

    /// A3: no node is given more attempts than it has slots.
    fn no_node_above_its_slots(&self) {
        let mut held: BTreeMap<_, u32> = BTreeMap::new();
        for (_, record) in self.open_tasks() {
            for copy in record.copies() {
                // The slot of one whose end was told may have been given to another: by this leader,
                // or by the one before.
                let ours = record
                    .open_of(copy)
                    .is_some_and(|open| !open.doubted && !open.inherited);
                if let Some(place) = record.place_of(copy).filter(|_| ours) {
                    *held.entry(place).or_default() += 1;
                }
            }
        }
        for ((node, incarnation), count) in held {
            let slots = self
                .nodes
                .get(node)
                .filter(|r| r.node.incarnation == incarnation)
                .map(|r| r.node.slots);
            debug_assert!(
                slots.is_none_or(|slots| count <= slots),
                "A3: {node} holds {count} attempts"
            );
        }
    }
}
