//! What the core knows: runs with their tasks, nodes, datasets, and the indexes over them.
//!
//! What comes in: rows and observations. What goes out: records whose indexes always agree with
//! their tasks. It must never decide; every change of a task goes through [`RunRecord::update`], which
//! lets go of a task that has ended. Which tasks of a plan are held is up to `window.rs`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use assay_model::ids::{AttemptToken, NodeId, TaskId};
use assay_model::node::{Load, Node};
use assay_model::run::Run;
use assay_model::task::{AttemptOutcome, Task, TaskFailure, TaskKind, TaskSpec, TaskState};
use assay_model::unfinished::{Ended, PlanPage, RunRows};
use jiff::Timestamp;

use crate::copies::Copy;
use crate::time::after;

/// A run that has not ended.
#[derive(Debug)]
pub(crate) struct RunRecord {
    pub run: Run,
    /// The tasks that are held: the discovery, and tasks that have not ended.
    pub tasks: BTreeMap<u32, TaskRecord>,
    /// What is kept of those that have ended.
    pub ended: Ended,
    /// Tasks of its plan that are in the store.
    pub there: u32,
    /// All tasks up to this number that have not ended are held.
    pub through: u32,
    /// Tasks with a greater number that are, or were, held.
    pub beyond: BTreeSet<u32>,
    /// Successes that nodes told and no rows have confirmed yet, of tasks that are not held any more:
    /// the attempt, and how many reads had been asked for before.
    pub told: BTreeMap<u32, (AttemptToken, u64)>,
    /// A read of more tasks is out.
    pub is_asked: bool,
    /// It is tried again: attempts of its tasks before that are forgiven.
    pub forgives: bool,
    dependents: BTreeMap<u32, Vec<u32>>,
    /// Tasks that could be assigned at once.
    pub ready: BTreeSet<u32>,
    /// Tasks that only wait for an instant.
    pub sleeping: BTreeSet<(Timestamp, u32)>,
    /// Tasks with an attempt at work.
    pub open: BTreeSet<u32>,
    /// Tasks that have not ended, of those that are held.
    pub unended: BTreeSet<u32>,
    pub plan: Plan,
    /// The whole of its plan is in the store. A run may be `queued` with one when it is tried again,
    /// and a plan may be empty, so neither its state nor its tasks can tell.
    pub planned: bool,
    /// How long its latest measurements took, per 2^20 of cost, in milliseconds.
    pub paces: VecDeque<u64>,
    /// Time that does not count against its deadline: the store was away.
    pub credit_ms: u64,
    /// Why it is being cancelled, once someone asked for it.
    pub cancel: Option<String>,
    /// Why the store will never take its plan, once it has said so.
    pub unplannable: Option<String>,
    /// A read of its rows is out: nothing is decided about it until they are here.
    pub reloading: bool,
    /// Reads of its rows that were asked for.
    pub reads: u64,
}

/// Whether the run's plan is known.
#[derive(Debug, Default)]
pub(crate) enum Plan {
    /// Not read yet, or not there yet when it was read; not before the instant.
    #[default]
    Unread,
    /// Read in vain; to be read again at the instant.
    ReadAgain(Timestamp),
    /// A read is out.
    Asked,
    /// A page of it is known, to be written.
    Known(Box<PlanPage>),
}

/// A task with what has been observed of it.
#[derive(Debug)]
pub(crate) struct TaskRecord {
    pub task: Task,
    /// Tasks that it depends on and that have not ended.
    blocked_by: u32,
    /// Attempts before its run was last retried: they are forgiven.
    pub forgiven: u32,
    /// What is known of the attempt at work.
    pub open: Option<Open>,
    /// What is known of its second copy.
    pub twin_open: Option<Box<Open>>,
    /// The attempt that has had a second copy; 0: none has.
    pub copied: u32,
    /// Nodes where an attempt failed, and when.
    pub failed_on: Vec<(NodeId, Timestamp)>,
    /// The attempt that succeeded, says its node, and how many reads of the rows had been asked for
    /// before it said so.
    pub told: Option<(AttemptToken, u64)>,
}

/// What has been observed of an attempt at work.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    /// Its node has said that it has it.
    pub heard: bool,
    /// Heartbeats in a row that did not list it.
    pub missed: u8,
    pub rows: u64,
    pub bytes: u64,
    /// When its counters last moved.
    pub progressed_at: Timestamp,
    /// When it was first known to this leader.
    pub counted_from: Timestamp,
    /// When it was started, by the leader's clock. A node's clock may be wrong by any amount, so
    /// what its stamps say counts between the assignment and the present only.
    pub started_at: Option<Timestamp>,
    /// It was at work before this leader's term: no time-out ends it before its node had a chance
    /// to speak.
    pub inherited: bool,
    /// Time that does not count: the store was away.
    pub credit_ms: u64,
    /// How it ended, says its node; not written yet.
    pub verdict: Option<TaskFailure>,
    /// What its node said of it, or of the task's other copy, was not true: whether it has stopped
    /// is not known.
    pub doubted: bool,
}

impl Open {
    /// An attempt that is first known at `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            heard: false,
            missed: 0,
            rows: 0,
            bytes: 0,
            progressed_at: now,
            counted_from: now,
            started_at: None,
            inherited: false,
            credit_ms: 0,
            verdict: None,
            doubted: false,
        }
    }

    /// An attempt that another leader has assigned.
    fn loaded(task: &Task, now: Timestamp) -> Self {
        let earliest = task.assigned_at.unwrap_or(now).min(now);
        Self {
            started_at: task.started_at.map(|at| at.min(now).max(earliest)),
            inherited: true,
            ..Self::new(now)
        }
    }
}

impl TaskRecord {
    /// The token of the attempt at work.
    pub(crate) fn token(&self) -> Option<AttemptToken> {
        self.token_of(Copy::First)
    }

    /// Attempts that did not count against the retries.
    pub(crate) fn uncharged(&self) -> u32 {
        self.task
            .attempt
            .saturating_sub(self.forgiven)
            .saturating_sub(self.task.charged)
    }
}

/// Whether an attempt of the task is at work.
pub(crate) const fn is_open(state: TaskState) -> bool {
    matches!(state, TaskState::Assigned | TaskState::Running)
}

/// Attempts of a task before the one at work.
pub(crate) fn tried_before(task: &Task) -> u32 {
    task.attempt.saturating_sub(u32::from(is_open(task.state)))
}

impl RunRecord {
    /// A run with its rows.
    pub(crate) fn new(rows: RunRows, now: Timestamp) -> Self {
        let mut record = Self {
            run: rows.run,
            tasks: BTreeMap::new(),
            ended: rows.ended,
            there: rows.there,
            through: 0,
            beyond: BTreeSet::new(),
            told: BTreeMap::new(),
            is_asked: false,
            forgives: false,
            dependents: BTreeMap::new(),
            ready: BTreeSet::new(),
            sleeping: BTreeSet::new(),
            open: BTreeSet::new(),
            unended: BTreeSet::new(),
            plan: Plan::Unread,
            planned: rows.planned,
            paces: VecDeque::new(),
            credit_ms: 0,
            cancel: None,
            unplannable: None,
            reloading: false,
            reads: 0,
        };
        record.hold(rows.tasks, now);
        record
    }

    /// Adds tasks, whose dependencies are among them or among those that are there.
    pub(crate) fn add_tasks(&mut self, tasks: Vec<Task>, now: Timestamp) {
        let added: Vec<u32> = tasks.iter().map(|t| t.id.no).collect();
        for task in tasks {
            let task = slim(task);
            let record = TaskRecord {
                blocked_by: 0,
                forgiven: if self.forgives {
                    tried_before(&task)
                } else {
                    0
                },
                open: is_open(task.state).then(|| Open::loaded(&task, now)),
                twin_open: task.twin.as_ref().map(|_| Box::new(Open::new(now))),
                copied: task.twin.as_ref().map_or(0, |_| task.attempt),
                failed_on: Vec::new(),
                told: None,
                task,
            };
            self.tasks.insert(record.task.id.no, record);
        }
        for no in added {
            let needs = self.tasks[&no].task.depends_on.clone();
            let mut blocked_by = 0;
            for need in needs {
                let unended = self.tasks.get(&need);
                if unended.is_some_and(|t| !t.task.state.is_terminal()) {
                    self.dependents.entry(need).or_default().push(no);
                    blocked_by += 1;
                }
            }
            if let Some(record) = self.tasks.get_mut(&no) {
                record.blocked_by = blocked_by;
            }
            self.index(no, now);
        }
    }

    /// Changes one task and keeps every index true. A task that has ended does not change, and is let
    /// go of.
    pub(crate) fn update(&mut self, no: u32, now: Timestamp, change: impl FnOnce(&mut TaskRecord)) {
        let Some(record) = self.tasks.get_mut(&no) else {
            return;
        };
        // J2: a terminal state never changes, whoever asks.
        if record.task.state.is_terminal() {
            return;
        }
        if let Some(at) = record.task.not_before {
            self.sleeping.remove(&(at, no));
        }
        change(record);
        if !is_open(record.task.state) {
            record.open = None;
            record.twin_open = None;
            record.task.twin = None;
            record.task.nonce = None;
            record.task.node = None;
            record.task.incarnation = None;
            record.task.assigned_at = None;
            record.task.started_at = None;
        }
        let ended = record.task.state.is_terminal();
        self.index(no, now);
        if ended {
            for dependent in self.dependents.remove(&no).unwrap_or_default() {
                if let Some(record) = self.tasks.get_mut(&dependent) {
                    record.blocked_by = record.blocked_by.saturating_sub(1);
                    if record.blocked_by == 0 {
                        record.task.wait = None;
                    }
                }
                self.index(dependent, now);
            }
            self.let_go(no);
        }
    }

    /// Makes the tasks whose pause is over ready.
    pub(crate) fn wake(&mut self, now: Timestamp) {
        while let Some(&(at, no)) = self.sleeping.first() {
            if at > now {
                break;
            }
            self.sleeping.remove(&(at, no));
            self.index(no, now);
        }
    }

    fn index(&mut self, no: u32, now: Timestamp) {
        let Some(record) = self.tasks.get(&no) else {
            return;
        };
        let state = record.task.state;
        let free = state == TaskState::Ready && record.blocked_by == 0;
        let wakes_at = record.task.not_before.filter(|at| free && *at > now);
        set(&mut self.ready, no, free && wakes_at.is_none());
        set(&mut self.open, no, is_open(state));
        set(&mut self.unended, no, !state.is_terminal());
        if let Some(at) = wakes_at {
            self.sleeping.insert((at, no));
        }
    }

    /// Tasks that `no` waits for.
    pub(crate) fn blockers(&self, no: u32) -> Vec<u32> {
        let needs = self.tasks.get(&no).map(|t| t.task.depends_on.as_slice());
        needs
            .unwrap_or_default()
            .iter()
            .copied()
            .filter(|need| self.unended.contains(need))
            .collect()
    }

    /// Whether the run has tasks at work, or may get some.
    pub(crate) const fn is_active(&self) -> bool {
        use assay_model::run::RunState::{Finalising, Planning, Running};
        matches!(self.run.state, Planning | Running | Finalising)
    }

    /// Whether nothing is left to be measured: only evaluations are. They have the highest numbers, and
    /// the first of all that are left are held.
    pub(crate) fn is_measured(&self) -> bool {
        let first = self.unended.first().and_then(|no| self.tasks.get(no));
        first.is_some_and(|record| record.task.spec.kind() == TaskKind::Evaluate)
    }

    /// Whether it is past its deadline.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.deadline() <= now
    }

    /// When it is given up: its deadline, and the time that the store was away.
    pub(crate) fn deadline(&self) -> Timestamp {
        after(self.run.deadline_at, self.credit_ms)
    }
}

/// A task without what only the node that runs it has to know: a record takes the same room however many
/// objects its task reads. What grows is `depends_on` alone: an evaluation has one number for each batch
/// of its partition.
fn slim(mut task: Task) -> Task {
    match &mut task.spec {
        TaskSpec::Discover => {}
        TaskSpec::Measure(spec) => {
            spec.partitions.truncate(1);
            spec.partitions.shrink_to_fit();
            spec.slices = Vec::new();
            spec.reading = None;
        }
        TaskSpec::Evaluate(spec) => {
            spec.measured_by = Vec::new();
            spec.copies = Vec::new();
            spec.reason = None;
        }
        TaskSpec::EvaluateMany(spec) => {
            spec.of.truncate(1);
            spec.of.shrink_to_fit();
            spec.measured_by = Vec::new();
            if let Some(first) = spec.of.first_mut() {
                first.measured_by = Vec::new();
                first.reason = None;
            }
        }
    }
    task
}

fn set(index: &mut BTreeSet<u32>, no: u32, present: bool) {
    if present {
        index.insert(no);
    } else {
        index.remove(&no);
    }
}

/// A node with what has been observed of it.
#[derive(Debug)]
pub(crate) struct NodeRecord {
    pub node: Node,
    /// Its stream is open and it has said Hello.
    pub connected: bool,
    /// Its stream was open and has closed.
    pub reset: bool,
    /// A connection to it was refused: its process is gone.
    pub refused: bool,
    pub last_heard: Timestamp,
    pub load: Load,
    pub lease_lost_at: Option<Timestamp>,
    /// Someone wants it drained, and why.
    pub drain: Option<String>,
    /// Why it was drained last, as far as this leader knows.
    pub drained_for: Option<String>,
    pub draining_since: Option<Timestamp>,
    /// Someone wants it to take tasks again.
    pub uncordon: bool,
    /// When it failed a task that another node then did well.
    pub blamed: Vec<Timestamp>,
    pub excluded_until: Option<Timestamp>,
    /// Its death, once it is decided.
    pub death: Option<Death>,
    /// Attempts that were taken from it and that it may still hold.
    pub strays: BTreeMap<(TaskId, u32), AttemptToken>,
    /// The store refused to give it a task: nothing for it before this instant.
    pub shunned_until: Option<Timestamp>,
}

/// How a node's death counts for the attempts that it held.
#[derive(Debug, Clone)]
pub(crate) struct Death {
    pub outcome: AttemptOutcome,
    pub reason: String,
    pub when: crate::loss::When,
    /// Until when it may turn out to be part of the loss of a zone.
    pub open_until: Timestamp,
}

impl NodeRecord {
    /// A node that is known from its row, and silent so far.
    pub(crate) fn new(node: Node, now: Timestamp) -> Self {
        use assay_model::node::NodeState;
        let draining_since = (node.state == NodeState::Draining).then_some(now);
        Self {
            node,
            connected: false,
            reset: false,
            refused: false,
            last_heard: now,
            load: Load::default(),
            lease_lost_at: None,
            drain: None,
            drained_for: None,
            draining_since,
            uncordon: false,
            blamed: Vec::new(),
            excluded_until: None,
            death: None,
            strays: BTreeMap::new(),
            shunned_until: None,
        }
    }
}

/// What is known of a dataset beside its runs.
#[derive(Debug, Default)]
pub(crate) struct DatasetRecord {
    /// Cost served so far, in bytes: the smallest goes first.
    pub served: u64,
    pub breaker: Option<crate::breaker::Breaker>,
}
