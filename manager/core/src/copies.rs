//! Second copies of stragglers: which running task gets one, and what is known of it.
//!
//! What comes in: how fast the tasks of a run went, free slots. What goes out: assignments of second
//! copies. It must never give one while a task waits, nor beside the first copy, nor to a task whose
//! source is away. The first result stands, so a copy costs time and never a result.

use assay_model::change::Change;
use assay_model::ids::{AttemptToken, Incarnation, NodeId, TaskId};
use assay_model::task::{AttemptOutcome, Task, TaskFailure, TaskKind, TaskState, Twin};
use jiff::Timestamp;

use crate::batch::Batch;
use crate::state::{NodeRecord, Open, RunRecord, TaskRecord};
use crate::time::{after, ms_between};
use crate::{Core, ToNode};

/// One of the copies of an attempt at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    /// The one that the task's row names first; mostly the only one.
    First,
    /// The second.
    Second,
}

impl Copy {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

impl TaskRecord {
    /// The token of a copy at work.
    pub(crate) fn token_of(&self, copy: Copy) -> Option<AttemptToken> {
        let nonce = match copy {
            Copy::First => self.task.nonce.filter(|_| self.open.is_some())?,
            Copy::Second => self.task.twin.as_ref()?.nonce,
        };
        Some(AttemptToken {
            task: self.task.id,
            attempt: self.task.attempt,
            nonce,
        })
    }

    /// Which copy at work has the token.
    pub(crate) fn copy_with(&self, token: &AttemptToken) -> Option<Copy> {
        let both = [Copy::First, Copy::Second];
        both.into_iter()
            .find(|copy| self.token_of(*copy) == Some(*token))
    }

    /// Where a copy is at work.
    pub(crate) fn place_of(&self, copy: Copy) -> Option<(&NodeId, Incarnation)> {
        match copy {
            Copy::First => self.task.node.as_ref().zip(self.task.incarnation),
            Copy::Second => self.task.twin.as_ref().map(|t| (&t.node, t.incarnation)),
        }
    }

    /// Which copy is at work on a life of a node.
    pub(crate) fn copy_on(&self, node: &NodeId, incarnation: Incarnation) -> Option<Copy> {
        let both = [Copy::First, Copy::Second];
        both.into_iter()
            .find(|copy| self.place_of(*copy) == Some((node, incarnation)))
    }

    /// What has been observed of a copy.
    pub(crate) fn open_of(&self, copy: Copy) -> Option<&Open> {
        match copy {
            Copy::First => self.open.as_ref(),
            Copy::Second => self.twin_open.as_deref(),
        }
    }

    /// The same, to be changed.
    pub(crate) fn open_mut(&mut self, copy: Copy) -> Option<&mut Open> {
        match copy {
            Copy::First => self.open.as_mut(),
            Copy::Second => self.twin_open.as_deref_mut(),
        }
    }

    /// The copies at work.
    pub(crate) fn copies(&self) -> impl Iterator<Item = Copy> {
        let first = self.open.is_some().then_some(Copy::First);
        let second = self.task.twin.is_some().then_some(Copy::Second);
        first.into_iter().chain(second)
    }

    /// Lets go of one of two copies; the other is the first from then on.
    pub(crate) fn drop_copy(&mut self, copy: Copy) {
        let (Some(twin), open) = (self.task.twin.take(), self.twin_open.take()) else {
            return;
        };
        if copy == Copy::Second {
            return;
        }
        let Twin {
            nonce,
            node,
            incarnation,
            assigned_at,
        } = *twin;
        let open = open.map_or_else(|| Open::new(assigned_at), |open| *open);
        self.task.state = match open.started_at {
            Some(_) => TaskState::Running,
            None => TaskState::Assigned,
        };
        self.task.started_at = open.started_at;
        self.task.nonce = Some(nonce);
        self.task.node = Some(node);
        self.task.incarnation = Some(incarnation);
        self.task.assigned_at = Some(assigned_at);
        self.open = Some(open);
    }
}

/// How the end of one copy counts while the other is at work: only what the task itself is to blame
/// for beyond doubt ends both, or counts.
pub(crate) fn end_of_copy(failure: &TaskFailure) -> TaskFailure {
    use AttemptOutcome as O;
    let outcome = match failure.outcome {
        O::Retryable | O::TimedOut | O::NodeLost => O::Orphaned,
        other => other,
    };
    TaskFailure {
        message: format!("one of two copies: {}", failure.message),
        outcome,
    }
}

/// Samples of pace that a run keeps.
const PACES_MAX: usize = 64;

impl RunRecord {
    /// Notes how long a measurement of this cost took.
    pub(crate) fn note_pace(&mut self, cost: u64, took_ms: u64) {
        let pace = took_ms.saturating_mul(1 << 20) / cost.max(1);
        if self.paces.len() >= PACES_MAX {
            self.paces.pop_front();
        }
        self.paces.push_back(pace);
    }

    /// How long a measurement of this cost takes as a rule (the median of its peers), in
    /// milliseconds; `None` when too few have been done to tell.
    pub(crate) fn usual_ms(&self, cost: u64, peers_min: usize) -> Option<u64> {
        if self.paces.len() < peers_min.max(1) {
            return None;
        }
        let mut paces: Vec<u64> = self.paces.iter().copied().collect();
        paces.sort_unstable();
        let median = paces[paces.len() / 2];
        let ms = u128::from(median) * u128::from(cost) / (1 << 20);
        Some(u64::try_from(ms).unwrap_or(u64::MAX))
    }
}

impl Core {
    /// The instant from which a running task is a straggler.
    pub(crate) fn straggles_at(&self, run: &RunRecord, record: &TaskRecord) -> Option<Timestamp> {
        let config = &self.config.copies;
        let alone = record.task.twin.is_none() && record.copied != record.task.attempt;
        let measures = record.task.spec.kind() == TaskKind::Measure;
        let running = record.task.state == TaskState::Running && record.task.crashes == 0;
        if !config.enabled || !alone || !measures || !running || run.reloading {
            return None;
        }
        let usual = run.usual_ms(self.cost_of(record), config.peers_min)?;
        let slow = usual.saturating_mul(config.slower_permille) / 1_000;
        let open = record.open.as_ref()?;
        let from = open.started_at.unwrap_or(open.counted_from);
        let ms = slow.max(config.after_ms).saturating_add(open.credit_ms);
        Some(after(from, ms))
    }

    pub(crate) fn decide_copies(&mut self, batch: &mut Batch) {
        if batch.is_full() || !self.config.copies.enabled {
            return;
        }
        let idle = |run: &RunRecord| {
            !run.is_active() || (run.ready.is_empty() && (!run.planned || run.rest() == 0))
        };
        if !self.runs.values().all(idle) {
            return;
        }
        let (mut slow, mut copies) = (Vec::new(), 0_u64);
        for (run, record) in self.open_tasks() {
            copies += u64::from(record.task.twin.is_some());
            let goes_on = run.cancel.is_none() && !run.is_expired(self.counted_now());
            let away = self.reads_left(&run.run.dataset).is_some();
            let due = self.straggles_at(run, record);
            if let Some(at) = due.filter(|at| *at <= self.counted_now() && goes_on && !away) {
                slow.push((at, record.task.id));
            }
        }
        if slow.is_empty() {
            return;
        }
        let slots: u64 = self.alive().map(|r| u64::from(r.node.slots)).sum();
        let most = (slots * u64::from(self.config.copies.max_percent) / 100).max(1);
        slow.sort_unstable();
        let room = most.saturating_sub(copies).min(batch.room() as u64);
        for (_, task) in slow
            .into_iter()
            .take(usize::try_from(room).unwrap_or(usize::MAX))
        {
            self.give_copy(task, batch);
        }
    }

    /// Gives a task to the node with the most room that has not its first copy.
    fn give_copy(&mut self, task: TaskId, batch: &mut Batch) {
        let Some(record) = self.task(task).filter(|_| !batch.touches_task(task)) else {
            return;
        };
        let first = record.task.node.clone();
        let attempt = record.task.attempt;
        let failed_on: Vec<NodeId> = record.failed_on.iter().map(|f| f.0.clone()).collect();
        let nodes: Vec<(&NodeId, &NodeRecord)> = self
            .nodes
            .iter()
            .filter(|(id, record)| {
                self.is_usable(record)
                    && !batch.touches_node(id)
                    && Some(*id) != first.as_ref()
                    && !failed_on.contains(id)
            })
            .collect();
        let supplies = self.supplies(&nodes);
        let freest = nodes
            .iter()
            .zip(&supplies)
            .filter(|(_, supply)| supply.held < supply.slots && !supply.has_suspect);
        // One copy per node and pass: what it takes is not counted in `supplies`.
        let best = freest
            .max_by_key(|(node, supply)| (supply.slots - supply.held, std::cmp::Reverse(node.0)));
        let Some(((node, record), _)) = best else {
            return;
        };
        let (node, incarnation) = ((*node).clone(), record.node.incarnation);
        let token = AttemptToken {
            task,
            attempt,
            nonce: self.ids.nonce(),
        };
        batch.block_node(&node);
        let change = Change::AssignTwin {
            token,
            node,
            incarnation,
            at: self.now,
        };
        batch.push_task(task, change);
    }

    pub(crate) fn task(&self, task: TaskId) -> Option<&TaskRecord> {
        self.runs.get(&task.run)?.tasks.get(&task.no)
    }

    pub(crate) fn apply_assign_twin(
        &mut self,
        token: AttemptToken,
        node: &NodeId,
        incarnation: Incarnation,
        at: Timestamp,
    ) {
        let now = self.now;
        let Some(run) = self.runs.get_mut(&token.task.run) else {
            return;
        };
        let running = run.tasks.get(&token.task.no).is_some_and(|record| {
            record.task.attempt == token.attempt
                && record.open.is_some()
                && record.task.twin.is_none()
        });
        if !running {
            // It ended while the copy was on its way; the store has ended the copy with it, or the
            // rows know better.
            self.reload_unless_ended(token.task);
            return;
        }
        run.update(token.task.no, now, |record| {
            record.copied = token.attempt;
            record.task.twin = Some(Box::new(Twin {
                nonce: token.nonce,
                node: node.clone(),
                incarnation,
                assigned_at: at,
            }));
            record.twin_open = Some(Box::new(Open::new(now)));
        });
        let (Some(run), Some(record)) = (self.runs.get(&token.task.run), self.task(token.task))
        else {
            return;
        };
        let message = self.assignment(run, &record.task, token);
        self.count("tasks_copied", 1);
        self.send(node, incarnation, message);
    }

    pub(crate) fn assignment(&self, run: &RunRecord, task: &Task, token: AttemptToken) -> ToNode {
        ToNode::Assign {
            token,
            kind: task.spec.kind(),
            timeout_ms: run.run.task_timeout_ms,
            bytes: crate::assign::bytes_of(&task.spec),
            suspect: task.crashes > 0,
        }
    }

    /// A copy that was refused is not asked for again in this attempt.
    pub(crate) fn no_copy_of(&mut self, token: &AttemptToken) {
        if let Some(run) = self.runs.get_mut(&token.task.run)
            && let Some(record) = run.tasks.get_mut(&token.task.no)
        {
            record.copied = token.attempt;
        }
    }

    /// Stops a copy that is of no use, wherever it is.
    pub(crate) fn stop_copy(&mut self, token: AttemptToken, node: &NodeId, life: Incarnation) {
        if let Some(record) = self.nodes.get_mut(node)
            && record.node.incarnation == life
            && record.death.is_none()
        {
            record.strays.insert((token.task, token.attempt), token);
            self.send(node, life, ToNode::Cancel { token });
        }
    }

    /// How long a task has taken, by the leader's clock.
    pub(crate) fn took_ms(&self, open: &Open) -> u64 {
        let from = open.started_at.unwrap_or(open.counted_from);
        ms_between(from, self.now).saturating_sub(open.credit_ms)
    }
}
