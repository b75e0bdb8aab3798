//! What telemetry tells of a term: derived from what the core is told and what it orders.
//!
//! Comes in: every event and command of the core, and its view once a second. Goes out: counters,
//! gauges and durations. It must never steer anything, hold what has ended, or give a label that
//! grows with runs, tasks or columns.

use std::collections::BTreeMap;

use assay_manager_core::{BreakerState, BreakerView, Command, Event, ToNode, View};
use assay_model::change::{Answer, Change};
use assay_model::ids::{DatasetId, NodeId, RunId, TaskId};
use assay_model::node::NodeState;
use assay_model::run::{Run, RunState};
use assay_model::task::{AttemptOutcome, TaskKind, TaskState};
use assay_telemetry::Telemetry;
use assay_telemetry::series::{ATTEMPTS, RECOVERY_S, TASK_S};
use jiff::Timestamp;

use crate::fleet::Fleet;
use crate::freshness::{self, Freshness};

/// Tasks that are followed at a time; more are counted, but not timed.
const TRACKS_MAX: usize = 100_000;
/// Commits that may wait for their answer: the core has one out at a time.
const COMMITS_MAX: usize = 8;

/// Follows one term.
pub(crate) struct Observer {
    telemetry: Telemetry,
    freshness: Freshness,
    tasks: BTreeMap<TaskId, Track>,
    runs: BTreeMap<RunId, (DatasetId, Timestamp)>,
    heard: BTreeMap<NodeId, Timestamp>,
    commits: BTreeMap<u64, Vec<(usize, Noted)>>,
    growth: Option<Growth>,
    looked: Option<Timestamp>,
}

/// One task's latest attempt.
struct Track {
    kind: TaskKind,
    attempt: u32,
    assigned_at: Timestamp,
    /// When its attempt was declared lost with its node.
    lost_at: Option<Timestamp>,
}

/// More nodes are wanted than there are.
struct Growth {
    since: Timestamp,
    wanted: u32,
    /// Nodes that have come and have had no task yet.
    idle: Vec<NodeId>,
}

/// A change whose answer is counted.
enum Noted {
    Ended {
        task: TaskId,
        outcome: AttemptOutcome,
        next: TaskState,
        at: Timestamp,
    },
    Moved {
        node: NodeId,
        state: NodeState,
        at: Timestamp,
    },
    Succeeded {
        run: RunId,
        at: Timestamp,
    },
    Scaled {
        up: bool,
    },
}

/// What only a leader can tell.
const OF_THE_LEADER: &[&str] = &[
    "assay_circuit_state",
    "assay_circuits",
    "assay_lease_distrust",
    "assay_nodes",
    "assay_nodes_desired",
    "assay_runs_unfinished",
    "assay_schedule_lag_seconds",
    "assay_store_away",
    "assay_task_slots",
    "assay_task_slots_demanded",
    "assay_tasks_queued",
    "assay_tasks_running",
    freshness::LAST,
    freshness::PAUSE,
];

/// Takes back what only a leader can tell: a manager whose term has ended would else go on telling
/// it, and an alarm that goes by the leader's word would stay silent.
pub(crate) fn withdraw(telemetry: &Telemetry, freshness: &Freshness) {
    freshness.forget();
    for name in OF_THE_LEADER {
        telemetry.keep_only(name, &[]);
    }
    telemetry.set("assay_node_streams", &[], 0.0);
}

impl Observer {
    pub(crate) fn new<'a>(
        telemetry: Telemetry,
        freshness: Freshness,
        runs: impl Iterator<Item = &'a Run>,
    ) -> Self {
        Self {
            telemetry,
            freshness,
            tasks: BTreeMap::new(),
            runs: runs
                .map(|run| (run.id, (run.dataset.clone(), run.created_at)))
                .collect(),
            heard: BTreeMap::new(),
            commits: BTreeMap::new(),
            growth: None,
            looked: None,
        }
    }

    /// Before the core is told.
    pub(crate) fn event(&mut self, now: Timestamp, event: &Event) {
        match event {
            Event::RunSubmitted { run } => {
                self.runs
                    .insert(run.id, (run.dataset.clone(), run.created_at));
            }
            // One that is tried again ends once more.
            Event::RunLoaded {
                run,
                rows: Some(rows),
            } if !rows.run.state.is_terminal() => {
                self.runs
                    .entry(*run)
                    .or_insert_with(|| (rows.run.dataset.clone(), rows.run.created_at));
            }
            Event::NodeHello {
                node, registered, ..
            } => {
                self.heard.insert(node.id.clone(), now);
                if *registered {
                    self.node_came(now, &node.id);
                }
            }
            Event::NodeHeartbeat { node, .. } => {
                self.heard.insert(node.clone(), now);
            }
            Event::TaskStarted { token } => self.started(now, token.task),
            Event::TaskFinished { token } => self.finished(now, token.task),
            Event::Committed { commit, answers } => {
                for (at, noted) in self.commits.remove(commit).unwrap_or_default() {
                    if answers.get(at) == Some(&Answer::Ok) {
                        self.committed(noted);
                    }
                }
            }
            Event::CommitNotApplied { commit } => {
                self.commits.remove(commit);
            }
            _ => {}
        }
    }

    /// Before a command is carried out.
    pub(crate) fn command(&mut self, now: Timestamp, command: &Command) {
        match command {
            Command::Commit { id, changes } => {
                while self.commits.len() >= COMMITS_MAX {
                    self.commits.pop_first();
                }
                let noted = changes.iter().enumerate();
                let noted = noted.filter_map(|(at, change)| Some((at, noted_of(change)?)));
                self.commits.insert(*id, noted.collect());
            }
            Command::Send {
                node,
                message: ToNode::Assign { token, kind, .. },
                ..
            } => self.assigned(now, node, token.task, token.attempt, *kind),
            Command::RunMoved { run, state, .. } if state.is_terminal() => {
                self.tasks.retain(|task, _| task.run != *run);
                if let Some((dataset, since)) = self.runs.remove(run) {
                    let outcome = state.to_string();
                    let labels = [("dataset", dataset.as_str()), ("outcome", outcome.as_str())];
                    self.telemetry.count("assay_runs_total", &labels, 1);
                    let took = seconds(since, now);
                    self.telemetry
                        .observe("assay_run_duration_seconds", &[], TASK_S, took);
                }
            }
            Command::DesiredNodes { n, .. } => {
                let wanted = *n;
                let growth = self.growth.get_or_insert_with(|| Growth {
                    since: now,
                    wanted,
                    idle: Vec::new(),
                });
                growth.wanted = wanted;
            }
            _ => {}
        }
    }

    fn assigned(
        &mut self,
        now: Timestamp,
        node: &NodeId,
        task: TaskId,
        attempt: u32,
        kind: TaskKind,
    ) {
        if self.tasks.len() < TRACKS_MAX || self.tasks.contains_key(&task) {
            let lost_at = self.tasks.get(&task).and_then(|track| track.lost_at);
            let track = Track {
                kind,
                attempt,
                assigned_at: now,
                lost_at,
            };
            self.tasks.insert(task, track);
        }
        if let Some(growth) = &mut self.growth
            && let Some(at) = growth.idle.iter().position(|idle| idle == node)
        {
            growth.idle.remove(at);
            let took = seconds(growth.since, now);
            self.scale_up("first_task", took);
        }
    }

    fn started(&mut self, now: Timestamp, task: TaskId) {
        let Some(track) = self.tasks.get_mut(&task) else {
            return;
        };
        let kind = track.kind.to_string();
        if let Some(lost) = track.lost_at.take() {
            self.telemetry.observe(
                "assay_task_recovery_duration_seconds",
                &[],
                RECOVERY_S,
                seconds(lost, now),
            );
        }
        let labels = [("kind", kind.as_str()), ("phase", "dispatch")];
        self.telemetry.observe(
            "assay_task_duration_seconds",
            &labels,
            TASK_S,
            seconds(track.assigned_at, now),
        );
    }

    fn finished(&mut self, now: Timestamp, task: TaskId) {
        let Some(track) = self.tasks.remove(&task) else {
            return;
        };
        let kind = track.kind.to_string();
        let labels = [("kind", kind.as_str()), ("phase", "total")];
        let took = seconds(track.assigned_at, now);
        self.telemetry
            .observe("assay_task_duration_seconds", &labels, TASK_S, took);
        self.task_ended(&kind, "succeeded", track.attempt);
    }

    fn task_ended(&self, kind: &str, outcome: &str, attempts: u32) {
        let labels = [("kind", kind), ("outcome", outcome)];
        self.telemetry.count("assay_tasks_total", &labels, 1);
        let attempts = f64::from(attempts);
        self.telemetry
            .observe("assay_task_attempts_per_task", &[], ATTEMPTS, attempts);
    }

    fn committed(&mut self, noted: Noted) {
        match noted {
            Noted::Ended {
                task,
                outcome,
                next,
                at,
            } => self.ended(task, outcome, next, at),
            Noted::Moved { node, state, at } => self.moved(&node, state, at),
            // The instant that the store has: the next leader reads it there.
            Noted::Succeeded { run, at } => {
                if let Some((dataset, _)) = self.runs.get(&run) {
                    self.freshness.succeeded(dataset, at);
                }
            }
            Noted::Scaled { up } => {
                let labels = [("direction", if up { "up" } else { "down" })];
                self.telemetry.count("assay_scale_events_total", &labels, 1);
            }
        }
    }

    fn ended(&mut self, task: TaskId, outcome: AttemptOutcome, next: TaskState, at: Timestamp) {
        let Some(track) = self.tasks.get_mut(&task) else {
            return;
        };
        let (kind, attempt) = (track.kind.to_string(), track.attempt);
        let reason = outcome.to_string();
        let labels = [("kind", kind.as_str()), ("reason", reason.as_str())];
        self.telemetry
            .count("assay_task_attempt_failures_total", &labels, 1);
        if next == TaskState::Ready {
            self.telemetry.count("assay_task_retries_total", &labels, 1);
            let lost = matches!(outcome, AttemptOutcome::NodeLost | AttemptOutcome::Orphaned);
            track.lost_at = lost.then_some(at);
        } else {
            self.tasks.remove(&task);
            self.telemetry
                .count("assay_task_failures_total", &labels, 1);
            self.task_ended(&kind, &next.to_string(), attempt);
        }
    }

    fn moved(&mut self, node: &NodeId, state: NodeState, at: Timestamp) {
        let word = state.to_string();
        match state {
            NodeState::Dead => tracing::warn!(%node, "the node is dead: others get its tasks"),
            NodeState::Suspect => {
                tracing::warn!(%node, "the node is not heard: it gets no new task");
            }
            _ => tracing::info!(%node, state = %word, "the node has moved"),
        }
        let labels = [("state", word.as_str())];
        self.telemetry.count("assay_node_moves_total", &labels, 1);
        match state {
            NodeState::Dead => {
                let labels = [("kind", "node_lost")];
                self.telemetry
                    .count("assay_node_failures_total", &labels, 1);
                if let Some(heard) = self.heard.remove(node) {
                    self.telemetry.observe(
                        "assay_failure_detection_duration_seconds",
                        &[],
                        RECOVERY_S,
                        seconds(heard, at),
                    );
                }
            }
            NodeState::Gone => {
                self.heard.remove(node);
            }
            NodeState::Excluded => {
                let labels = [("kind", "excluded")];
                self.telemetry
                    .count("assay_node_failures_total", &labels, 1);
            }
            _ => {}
        }
    }

    fn node_came(&mut self, now: Timestamp, node: &NodeId) {
        let Some(growth) = &mut self.growth else {
            return;
        };
        growth.idle.push(node.clone());
        let took = seconds(growth.since, now);
        self.scale_up("register", took);
    }

    fn scale_up(&self, phase: &str, took: f64) {
        self.telemetry.observe(
            "assay_scale_up_duration_seconds",
            &[("phase", phase)],
            RECOVERY_S,
            took,
        );
    }

    /// Once a second.
    #[expect(clippy::cast_precision_loss, reason = "counts of tasks and nodes")]
    pub(crate) fn look(&mut self, now: Timestamp, view: &View) {
        let telemetry = &self.telemetry;
        let of = |state: NodeState| view.nodes.iter().filter(|n| n.state == state).count();
        for state in NodeState::ALL {
            let (word, n) = (state.to_string(), of(*state) as f64);
            telemetry.set("assay_nodes", &[("state", word.as_str())], n);
        }
        let fleet = Fleet::of(view);
        let slots = |state: &str, n: u64| {
            telemetry.set("assay_task_slots", &[("state", state)], n as f64);
        };
        slots("used", fleet.slots_used);
        slots("free", fleet.slots_free());
        let demanded = fleet.slots_demanded() as f64;
        telemetry.set("assay_task_slots_demanded", &[], demanded);
        telemetry.set("assay_tasks_queued", &[], fleet.queued as f64);
        telemetry.set("assay_tasks_running", &[], view.running.len() as f64);
        telemetry.set("assay_runs_unfinished", &[], fleet.runs_unfinished as f64);
        telemetry.set("assay_nodes_desired", &[], f64::from(fleet.nodes_desired));
        let distrust = f64::from(u8::from(view.lease_distrust.is_some()));
        telemetry.set("assay_lease_distrust", &[], distrust);
        let away = f64::from(u8::from(view.store_away_since.is_some()));
        telemetry.set("assay_store_away", &[], away);
        self.circuits(view);
        self.elasticity(now, fleet.nodes_live, demanded - fleet.slots_live as f64);
    }

    /// Breakers of sources: 1 is half open, 2 open; one that is closed is not shown.
    #[expect(clippy::cast_precision_loss, reason = "counts of datasets")]
    fn circuits(&self, view: &View) {
        let telemetry = &self.telemetry;
        let half = |b: &BreakerView| b.state != BreakerState::Open;
        let asked = view.breakers.iter().filter(|b| half(b)).count();
        let open = view.breakers.len() - asked;
        telemetry.set("assay_circuits", &[("state", "open")], open as f64);
        telemetry.set("assay_circuits", &[("state", "half_open")], asked as f64);
        let mut present = Vec::new();
        for breaker in &view.breakers {
            let labels = [("target", breaker.dataset.as_str())];
            let state = if half(breaker) { 1.0 } else { 2.0 };
            telemetry.set("assay_circuit_state", &labels, state);
            present.push(labels);
        }
        let present: Vec<_> = present.iter().map(<[_; 1]>::as_slice).collect();
        telemetry.keep_only("assay_circuit_state", &present);
    }

    /// Slot-seconds below and above what is demanded, and the end of a growth.
    fn elasticity(&mut self, now: Timestamp, live: u32, short_by: f64) {
        let passed = self.looked.map_or(0.0, |before| seconds(before, now));
        self.looked = Some(now);
        let (short, over) = (short_by.max(0.0) * passed, (-short_by).max(0.0) * passed);
        self.telemetry
            .add("assay_slot_shortage_seconds_total", &[], short);
        self.telemetry
            .add("assay_slot_surplus_seconds_total", &[], over);
        if let Some(growth) = &self.growth
            && live >= growth.wanted
        {
            let (since, grew) = (growth.since, self.growth_was_real());
            self.growth = None;
            if grew {
                self.scale_up("total", seconds(since, now));
            }
        }
    }

    /// Whether a node has come since more were wanted.
    fn growth_was_real(&self) -> bool {
        self.telemetry
            .observations("assay_scale_up_duration_seconds", &[("phase", "register")])
            > self
                .telemetry
                .observations("assay_scale_up_duration_seconds", &[("phase", "total")])
    }
}

fn noted_of(change: &Change) -> Option<Noted> {
    Some(match change {
        Change::EndAttempt {
            token,
            outcome,
            next,
            at,
            ..
        } => Noted::Ended {
            task: token.task,
            outcome: *outcome,
            next: *next,
            at: *at,
        },
        Change::MoveNode {
            node, state, at, ..
        } => Noted::Moved {
            node: node.clone(),
            state: *state,
            at: *at,
        },
        Change::MoveRun {
            run,
            state: RunState::Succeeded,
            at,
            ..
        } => Noted::Succeeded { run: *run, at: *at },
        Change::ScaleEvent { from, to, .. } => Noted::Scaled { up: to > from },
        _ => return None,
    })
}

/// From one instant to another, never below zero: clocks are set.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

    use assay_model::run::{Priority, Selection, Trigger};
    use assay_model::unfinished::RunRows;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn run(state: RunState) -> Run {
        let dataset = DatasetId::new("orders").unwrap();
        Run {
            id: RunId::of_key(&dataset, "one"),
            dataset,
            definition: String::new(),
            trigger: Trigger::Schedule,
            slot: None,
            priority: Priority::Live,
            selection: Selection::default(),
            retries: 2,
            task_timeout_ms: 0,
            state,
            reason: None,
            created_at: at(10),
            started_at: None,
            finished_at: None,
            deadline_at: at(1_000),
            planned_tasks: 0,
        }
    }

    fn ends(run: &Run, state: RunState, second: i64) -> Change {
        Change::MoveRun {
            run: run.id,
            state,
            reason: None,
            at: at(second),
        }
    }

    fn moved(run: &Run, state: RunState) -> Command {
        Command::RunMoved {
            run: run.id,
            state,
            reason: None,
        }
    }

    fn observer(telemetry: &Telemetry, run: &Run) -> Observer {
        let freshness = Freshness::new(telemetry.clone());
        Observer::new(telemetry.clone(), freshness, std::iter::once(run))
    }

    #[test]
    fn a_dataset_succeeded_when_its_run_ended_and_not_when_that_was_answered() {
        let run = run(RunState::Finalising);
        let telemetry = Telemetry::default();
        let mut observer = observer(&telemetry, &run);
        let known = || telemetry.value(freshness::LAST, &[("dataset", "orders")]);
        for (id, second, answer) in [(1, 90, Answer::Fenced), (2, 100, Answer::Ok)] {
            let changes = vec![ends(&run, RunState::Succeeded, second)];
            observer.command(at(second), &Command::Commit { id, changes });
            assert_eq!(known(), None);
            let answered = Event::Committed {
                commit: id,
                answers: vec![answer],
            };
            observer.event(at(second + 7), &answered);
        }
        observer.command(at(107), &moved(&run, RunState::Succeeded));
        assert_eq!(known(), Some(100.0));
    }

    #[test]
    fn a_run_that_is_tried_again_and_succeeds_is_a_good_one() {
        let run = run(RunState::Queued);
        let telemetry = Telemetry::default();
        let mut observer = observer(&telemetry, &run);
        let mut end = |id: u64, state: RunState, second: i64| {
            let changes = vec![ends(&run, state, second)];
            observer.command(at(second), &Command::Commit { id, changes });
            let answered = Event::Committed {
                commit: id,
                answers: vec![Answer::Ok],
            };
            observer.event(at(second), &answered);
            observer.command(at(second), &moved(&run, state));
            let rows = RunRows::of(run.clone(), true, Vec::new(), 0);
            let loaded = Event::RunLoaded {
                run: run.id,
                rows: Some(Box::new(rows)),
            };
            observer.event(at(second), &loaded);
        };
        end(1, RunState::Failed, 100);
        let known = || telemetry.value(freshness::LAST, &[("dataset", "orders")]);
        assert_eq!(known(), None);
        end(2, RunState::Succeeded, 200);
        assert_eq!(known(), Some(200.0));
    }
}
