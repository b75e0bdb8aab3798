//! Why a task is where it is, and the state for people.
//!
//! What comes in: all that the core knows. What goes out: copies and sentences. It must never
//! change anything.

use std::collections::BTreeMap;

use assay_model::ids::{DatasetId, TaskId};
use assay_model::node::NodeState;
use assay_model::run::RunState;
use assay_model::task::{TaskKind, TaskState, WaitReason};
use jiff::Timestamp;

use crate::Core;
use crate::breaker::Breaker;
use crate::nodes::Brake;
use crate::state::{NodeRecord, RunRecord, TaskRecord};
use crate::view::{AttemptView, BreakerState, BreakerView, Explanation, NodeView, RunView, View};

impl Core {
    /// Why a task is where it is; `None` when it is unknown, or it or its run has ended.
    #[must_use]
    pub fn explain(&self, task: TaskId) -> Option<Explanation> {
        let run = self.runs.get(&task.run)?;
        let Some(record) = run.tasks.get(&task.no) else {
            return Self::explain_later(run, task);
        };
        let waits_for = run.blockers(task.no);
        let (wait, until, text) = match record.task.state {
            TaskState::Ready => self.why_it_waits(run, record, &waits_for),
            TaskState::Assigned | TaskState::Running => {
                let node = record.task.node.as_ref().map_or("a node", |n| n.as_str());
                let state = record.task.state;
                let text = format!("attempt {} is {state} on {node}", record.task.attempt);
                (None, None, text)
            }
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Quarantined
            | TaskState::Cancelled => {
                let reason = record.task.reason.clone().unwrap_or_default();
                (None, None, reason)
            }
        };
        Some(Explanation {
            task,
            state: record.task.state,
            wait,
            waits_for,
            until,
            text,
        })
    }

    /// Why a task that is not held waits, if it does.
    fn explain_later(run: &RunRecord, task: TaskId) -> Option<Explanation> {
        if !Self::waits_in_store(run, task.no) {
            return None;
        }
        let text = if run.planned {
            let before = run.held();
            format!("its turn in the plan has not come: {before} tasks before it have not ended")
        } else {
            "the plan of its run is being written".to_owned()
        };
        Some(Explanation {
            task,
            state: TaskState::Ready,
            wait: Some(WaitReason::NoCapacity),
            waits_for: Vec::new(),
            until: None,
            text,
        })
    }

    fn why_it_waits(
        &self,
        run: &RunRecord,
        record: &TaskRecord,
        waits_for: &[u32],
    ) -> (Option<WaitReason>, Option<Timestamp>, String) {
        let because = |wait, until, text: String| (Some(wait), until, text);
        if let Some(first) = waits_for.first() {
            let text = format!(
                "waits for the end of {} tasks, first {first}",
                waits_for.len()
            );
            return because(WaitReason::Dependency, None, text);
        }
        if run.run.state == RunState::Queued {
            let text = "its run waits for its turn".to_owned();
            return because(WaitReason::NoCapacity, None, text);
        }
        if let Some(at) = record.task.not_before.filter(|at| *at > self.now) {
            let wait = record.task.wait.unwrap_or(WaitReason::Backoff);
            let why = record
                .task
                .reason
                .as_deref()
                .unwrap_or("its last attempt ended");
            return because(wait, Some(at), format!("pauses until {at}: {why}"));
        }
        if self.commits.is_failing() {
            let text = "the store cannot be written".to_owned();
            return because(WaitReason::DependencyDown, self.commits.retry_at(), text);
        }
        if run.reloading {
            let text = "the rows of its run are being read anew".to_owned();
            return because(WaitReason::DependencyDown, None, text);
        }
        let dataset = self.datasets.get(&run.run.dataset);
        let reads = record.task.spec.kind() != TaskKind::Evaluate;
        if let Some(breaker) = dataset.and_then(|d| d.breaker.as_ref()).filter(|_| reads) {
            let probe = breaker.probe.filter(|t| self.open_attempt(t).is_some());
            let asks = match probe {
                Some(token) => format!("task {} asks whether it is back", token.task.no),
                None => format!("it is asked again after {}", breaker.until),
            };
            let text = format!("its source is away; {asks}");
            return because(WaitReason::DependencyDown, Some(breaker.until), text);
        }
        if !self.nodes.values().any(|node| self.is_usable(node)) {
            return because(WaitReason::NoNode, None, self.why_no_node());
        }
        let suspect = if record.task.crashes > 0 {
            "; it has crashed its process before, so it runs beside no other such task"
        } else {
            ""
        };
        let before: usize = self.runs.values().map(RunRecord::waiting).sum();
        let text = format!("every slot is taken; {before} tasks are ready{suspect}");
        because(WaitReason::NoCapacity, None, text)
    }

    /// Which nodes there are, when none takes work.
    fn why_no_node(&self) -> String {
        let mut states: BTreeMap<NodeState, u32> = BTreeMap::new();
        for record in self.alive() {
            let silent = record.node.state == NodeState::Live && !self.is_usable(record);
            let state = match silent {
                true => NodeState::Suspect,
                false => record.node.state,
            };
            *states.entry(state).or_default() += 1;
        }
        let words: Vec<String> = states.iter().map(|(s, n)| format!("{n} {s}")).collect();
        match words.is_empty() {
            true => "no node is registered".to_owned(),
            false => format!("no node takes work: {}", words.join(", ")),
        }
    }

    /// The state for people.
    #[must_use]
    pub fn view(&self) -> View {
        let mut runs: Vec<RunView> = self.runs.values().map(view_of_run).collect();
        runs.sort_by_key(|run| (run.created_at, run.run));
        let active = || self.runs.values().filter(|run| run.is_active());
        let ready = || active().flat_map(|run| run.ready.iter().filter_map(|no| run.tasks.get(no)));
        View {
            runs,
            running: self
                .open_tasks()
                .filter_map(|(_, t)| self.view_of_attempt(t))
                .collect(),
            nodes: self
                .nodes
                .values()
                .map(|node| self.view_of_node(node))
                .collect(),
            queue_depth: active().map(RunRecord::waiting).sum(),
            queue_bytes: ready().map(|task| self.cost_of(task)).sum(),
            desired_nodes: self.scaler.desired(),
            breakers: self
                .datasets
                .iter()
                .filter_map(|(id, d)| self.view_of_breaker(id, d.breaker.as_ref()?))
                .collect(),
            store_away_since: self.commits.failing_since(),
            lease_distrust: match self.brake() {
                Brake::Off => None,
                Brake::Distrust => Some("many leases vanished while their nodes speak".to_owned()),
                Brake::Hold(until) => Some(format!("no node speaks; nobody dies until {until}")),
            },
        }
    }

    fn view_of_attempt(&self, record: &TaskRecord) -> Option<AttemptView> {
        let open = record.open.as_ref()?;
        Some(AttemptView {
            task: record.task.id,
            kind: record.task.spec.kind(),
            partition: record.task.spec.partition().cloned(),
            attempt: record.task.attempt,
            state: record.task.state,
            node: record.task.node.clone()?,
            copy_on: record.task.twin.as_ref().map(|twin| twin.node.clone()),
            assigned_at: record.task.assigned_at?,
            rows: open.rows,
            bytes: open.bytes,
            bytes_total: self
                .cost_of(record)
                .saturating_sub(self.config.task_overhead_bytes),
        })
    }

    fn view_of_breaker(&self, dataset: &DatasetId, breaker: &Breaker) -> Option<BreakerView> {
        let probe = breaker.probe.filter(|t| self.open_attempt(t).is_some());
        Some(BreakerView {
            dataset: dataset.clone(),
            state: match probe {
                Some(_) => BreakerState::Probing,
                None if breaker.is_half_open(self.now) => BreakerState::HalfOpen,
                None => BreakerState::Open,
            },
            until: breaker.until,
            probe: probe.map(|token| token.task),
        })
    }

    fn view_of_node(&self, record: &NodeRecord) -> NodeView {
        let held = self.open_tasks().filter(|(_, t)| {
            t.copy_on(&record.node.id, record.node.incarnation)
                .is_some()
        });
        NodeView {
            node: record.node.id.clone(),
            incarnation: record.node.incarnation,
            state: record.node.state,
            zone: record.node.zone.clone(),
            slots: record.node.slots,
            held: u32::try_from(held.count()).unwrap_or(u32::MAX),
            cpu: record.load.cpu,
            memory_bytes: record.load.memory_bytes,
            memory_total_bytes: record.node.memory_bytes,
            read_bytes_per_s: record.load.read_bytes_per_s,
            last_heard: record.last_heard,
        }
    }
}

fn view_of_run(record: &RunRecord) -> RunView {
    let mut tasks = record.ended.by_state.clone();
    for task in record.tasks.values() {
        *tasks.entry(task.task.state).or_default() += 1;
    }
    let rest = u32::try_from(record.rest()).unwrap_or(u32::MAX);
    if rest > 0 {
        *tasks.entry(TaskState::Ready).or_default() += rest;
    }
    RunView {
        run: record.run.id,
        dataset: record.run.dataset.clone(),
        state: record.run.state,
        priority: record.run.priority,
        tasks,
        created_at: record.run.created_at,
    }
}
