//! Assignment: whose turn it is, and which node takes it.
//!
//! What comes in: ready tasks and the load of nodes. What goes out: assignments, each with a fresh
//! nonce. It must never give a task to a node that is silent, leaving, excluded, full or not yet
//! heard in this life; ids become places here, so that the solver sees numbers only.

use std::collections::{BTreeMap, BTreeSet, btree_set};

use assay_model::change::Change;
use assay_model::ids::{AttemptToken, DatasetId, Incarnation, NodeId, TaskId};
use assay_model::node::NodeState;
use assay_model::task::{TaskKind, TaskSpec, TaskState};

use crate::Core;
use crate::batch::Batch;
use crate::fair::Turns;
use crate::solver::{Demand, Solver, Supply};
use crate::state::{NodeRecord, RunRecord, TaskRecord};

/// Tasks of one dataset that a pass looks at, at most: those that cannot be placed must not make a
/// pass as long as the queue.
const LOOKS_MAX: usize = 1_024;

/// The ready tasks of a run: what can be judged before what is to be measured, so that nothing that was
/// measured waits in the store for the rest; then the order of the plan.
struct Ready<'a> {
    run: &'a RunRecord,
    judges: btree_set::Iter<'a, u32>,
    others: btree_set::Iter<'a, u32>,
}

impl<'a> Ready<'a> {
    fn of(run: &'a RunRecord) -> Self {
        let (judges, others) = (run.ready.iter(), run.ready.iter());
        Self {
            run,
            judges,
            others,
        }
    }

    fn judges(&self, no: u32) -> bool {
        let task = self.run.tasks.get(&no);
        task.is_some_and(|record| record.task.spec.kind() == TaskKind::Evaluate)
    }
}

impl<'a> Iterator for Ready<'a> {
    type Item = &'a u32;

    fn next(&mut self) -> Option<&'a u32> {
        // Evaluations have the highest numbers of a plan.
        if let Some(no) = self.judges.next_back() {
            if self.judges(*no) {
                return Some(no);
            }
            self.judges = btree_set::Iter::default();
        }
        self.others.next().filter(|no| !self.judges(**no))
    }
}

/// The turns of one dataset's tasks within a pass.
struct Lane<'a> {
    /// Its runs at work, those that came first in front.
    runs: Vec<&'a RunRecord>,
    /// The run whose turn it is, with what is left of its ready tasks.
    at: Option<(&'a RunRecord, Ready<'a>)>,
    next: Option<(&'a RunRecord, &'a TaskRecord)>,
    looks: usize,
    /// Reads of its source that may still be given out in this pass.
    reads_left: Option<u32>,
}

impl<'a> Lane<'a> {
    /// Takes the next task, and looks up the one after it. Nothing is read of a queue beyond that.
    fn pop(&mut self, batch: &Batch) -> Option<(&'a RunRecord, &'a TaskRecord)> {
        let taken = self.next.take();
        while self.looks < LOOKS_MAX && self.next.is_none() {
            if self.at.is_none() {
                let Some(run) = self.runs.pop() else {
                    break;
                };
                self.at = Some((run, Ready::of(run)));
            }
            let Some((run, ready)) = self.at.as_mut() else {
                break;
            };
            match ready.next().and_then(|no| run.tasks.get(no)) {
                Some(task) if batch.touches_task(task.task.id) => {}
                Some(task) => self.next = Some((*run, task)),
                None => self.at = None,
            }
            self.looks += 1;
        }
        taken
    }
}

impl Core {
    pub(crate) fn decide_assignments(&mut self, batch: &mut Batch) {
        if self.runs.values().all(|run| run.ready.is_empty()) {
            return;
        }
        let nodes: Vec<(&NodeId, &NodeRecord)> = self
            .nodes
            .iter()
            .filter(|(id, record)| self.is_usable(record) && !batch.touches_node(id))
            .collect();
        let mut solver = Solver::new(self.supplies(&nodes));
        if solver.free() == 0 {
            return;
        }
        let places: BTreeMap<&NodeId, usize> = nodes
            .iter()
            .enumerate()
            .map(|(place, n)| (n.0, place))
            .collect();
        let mut lanes = self.lanes(batch);
        let mut turns = Turns::new();
        for (dataset, lane) in &lanes {
            if let Some((run, _)) = lane.next {
                let served = self.served(dataset);
                turns.join(*dataset, run.run.priority, served, self.served_floor);
            }
        }
        let mut chosen: Vec<(TaskId, usize)> = Vec::new();
        let mut spent: Vec<TaskId> = Vec::new();
        let room = batch.room();
        while let Some((priority, served, dataset)) = turns.take() {
            if chosen.len() >= room || solver.free() == 0 {
                break;
            }
            let Some(lane) = lanes.get_mut(dataset) else {
                continue;
            };
            let mut cost = 0;
            if let Some((run, task)) = lane.pop(batch) {
                let reads = task.task.spec.kind() != TaskKind::Evaluate;
                if task.uncharged() > self.config.uncharged_max {
                    spent.push(task.task.id);
                } else if !(reads && lane.reads_left == Some(0)) {
                    let demand = self.demand(task, &places);
                    cost = demand.bytes;
                    if let Some(place) = solver.place(&demand) {
                        chosen.push((task.task.id, place));
                        if let Some(left) = lane.reads_left.as_mut().filter(|_| reads) {
                            *left = left.saturating_sub(1);
                        }
                    }
                }
                debug_assert!(run.is_active(), "J1: a task of a run that is not at work");
            }
            if let Some((next, _)) = lane.next {
                let priority = priority.max(next.run.priority);
                turns.put_back(dataset, priority, served, cost);
            }
        }
        let chosen: Vec<(TaskId, NodeId, Incarnation)> = chosen
            .into_iter()
            .map(|(task, place)| {
                let (id, record) = nodes[place];
                (task, id.clone(), record.node.incarnation)
            })
            .collect();
        self.write_assignments(chosen, spent, batch);
    }

    fn write_assignments(
        &mut self,
        chosen: Vec<(TaskId, NodeId, Incarnation)>,
        spent: Vec<TaskId>,
        batch: &mut Batch,
    ) {
        for (task, node, incarnation) in chosen {
            let known = self.runs.get(&task.run).and_then(|r| r.tasks.get(&task.no));
            let Some(attempt) = known.map(|record| record.task.attempt + 1) else {
                continue;
            };
            let token = AttemptToken {
                task,
                attempt,
                nonce: self.ids.nonce(),
            };
            let change = Change::Assign {
                token,
                node,
                incarnation,
                at: self.now,
            };
            batch.push_task(task, change);
        }
        for task in spent {
            let change = Change::EndTask {
                task,
                state: TaskState::Failed,
                reason: "it was interrupted too often through no fault of its own".to_owned(),
                at: self.now,
            };
            batch.push_task(task, change);
        }
    }

    /// Whether a node may take work.
    pub(crate) fn is_usable(&self, record: &NodeRecord) -> bool {
        record.node.state == NodeState::Live
            && record.connected
            && !self.is_silent(record)
            && record.death.is_none()
            && record.drain.is_none()
            && record.shunned_until.is_none_or(|at| at <= self.now)
    }

    /// What the nodes can take, in the order of `nodes`. A slot is in use when the rows say so or
    /// when the node does: a stopped attempt may not have let go yet.
    pub(crate) fn supplies(&self, nodes: &[(&NodeId, &NodeRecord)]) -> Vec<Supply> {
        let mut held: BTreeMap<&NodeId, BTreeSet<(TaskId, u32)>> = BTreeMap::new();
        let mut bytes: BTreeMap<&NodeId, u64> = BTreeMap::new();
        let mut suspects: BTreeSet<&NodeId> = BTreeSet::new();
        for (_, record) in self.open_tasks() {
            for copy in record.copies() {
                let (Some((node, _)), Some(open)) = (record.place_of(copy), record.open_of(copy))
                else {
                    continue;
                };
                held.entry(node)
                    .or_default()
                    .insert((record.task.id, record.task.attempt));
                let left = self.cost_of(record).saturating_sub(open.bytes);
                let sum = bytes.entry(node).or_default();
                *sum = sum.saturating_add(left);
                if record.task.crashes > 0 {
                    suspects.insert(node);
                }
            }
        }
        let supply = |&(id, record): &(&NodeId, &NodeRecord)| {
            let mut held = held.remove(id).unwrap_or_default();
            held.extend(record.strays.keys().copied());
            let slots = record.node.slots;
            Supply {
                slots,
                held: u32::try_from(held.len()).unwrap_or(u32::MAX).min(slots),
                bytes: bytes.get(id).copied().unwrap_or(0),
                memory_permille: permille(record.load.memory_bytes, record.node.memory_bytes),
                cpu_percent: percent(record.load.cpu),
                has_suspect: suspects.contains(id),
            }
        };
        nodes.iter().map(supply).collect()
    }

    /// Attempts at work, with their runs.
    pub(crate) fn open_tasks(&self) -> impl Iterator<Item = (&RunRecord, &TaskRecord)> {
        self.runs.values().flat_map(|run| {
            let open = run.open.iter().filter_map(|no| run.tasks.get(no));
            open.map(move |record| (run, record))
        })
    }

    /// Ready tasks by dataset.
    fn lanes(&self, batch: &Batch) -> BTreeMap<&DatasetId, Lane<'_>> {
        let mut lanes: BTreeMap<&DatasetId, Lane<'_>> = BTreeMap::new();
        for run in self.runs.values() {
            let stopped =
                run.reloading || run.cancel.is_some() || run.is_expired(self.counted_now());
            if stopped || !run.is_active() || run.ready.is_empty() {
                continue;
            }
            let reads_left = self.reads_left(&run.run.dataset);
            let lane = lanes.entry(&run.run.dataset).or_insert(Lane {
                runs: Vec::new(),
                at: None,
                next: None,
                looks: 0,
                reads_left,
            });
            lane.runs.push(run);
        }
        for lane in lanes.values_mut() {
            lane.runs.reverse();
            lane.pop(batch);
        }
        lanes
    }

    /// How many tasks may ask a dataset's source: all (`None`), or one while it may be away.
    pub(crate) fn reads_left(&self, dataset: &DatasetId) -> Option<u32> {
        let breaker = self.datasets.get(dataset)?.breaker.as_ref()?;
        let probing = breaker
            .probe
            .is_some_and(|token| self.open_attempt(&token).is_some());
        Some(u32::from(breaker.is_half_open(self.now) && !probing))
    }

    fn demand(&self, record: &TaskRecord, places: &BTreeMap<&NodeId, usize>) -> Demand {
        let failed_on = record.failed_on.iter();
        Demand {
            bytes: self.cost_of(record),
            suspect: record.task.crashes > 0,
            failed_on: failed_on
                .filter_map(|(node, _)| places.get(node).copied())
                .collect(),
        }
    }

    /// The cost of a task: its bytes and the overhead of any task.
    pub(crate) fn cost_of(&self, record: &TaskRecord) -> u64 {
        bytes_of(&record.task.spec).saturating_add(self.config.task_overhead_bytes)
    }

    /// Tells the node, and charges the dataset for the turn.
    pub(crate) fn after_assign(
        &mut self,
        token: AttemptToken,
        node: &NodeId,
        incarnation: Incarnation,
    ) {
        let Some(run) = self.runs.get(&token.task.run) else {
            return;
        };
        let Some(record) = run.tasks.get(&token.task.no) else {
            return;
        };
        let (dataset, cost) = (run.run.dataset.clone(), self.cost_of(record));
        let message = self.assignment(run, &record.task, token);
        let reads = record.task.spec.kind() != TaskKind::Evaluate;
        let floor = self.served_floor;
        if let Some(dataset) = self.datasets.get_mut(&dataset) {
            let start = dataset.served.max(floor);
            dataset.served = start.saturating_add(cost);
            self.served_floor = start;
            if let Some(breaker) = dataset.breaker.as_mut().filter(|_| reads) {
                breaker.probe = Some(token);
            }
        }
        self.count("tasks_assigned", 1);
        self.send(node, incarnation, message);
    }
}

pub(crate) fn bytes_of(spec: &TaskSpec) -> u64 {
    match spec {
        TaskSpec::Measure(measure) => measure.bytes,
        TaskSpec::Discover | TaskSpec::Evaluate(_) | TaskSpec::EvaluateMany(_) => 0,
    }
}

fn permille(part: u64, whole: u64) -> u32 {
    let share = part.saturating_mul(1_000).checked_div(whole).unwrap_or(0);
    u32::try_from(share).unwrap_or(u32::MAX)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn percent(share: f64) -> u32 {
    (share.clamp(0.0, 1.0) * 100.0) as u32
}
