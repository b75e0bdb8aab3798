//! The world behind the ports that pages ask: what is in it, and what may happen to it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use assay_answers::check::CheckRow;
use assay_answers::facts::Answer;
use assay_answers::log::LogLine;
use assay_answers::node::Node;
use assay_answers::run::{Run, Selection};
use assay_answers::task::{Task, Try};
use assay_answers::{List, Problem, Told};
use assay_model::run::{Priority, RunState, Trigger};
use assay_model::task::{TaskKind, TaskState};
use assay_pages::Pages;
use assay_pages::seams::Seams;

use super::now;
use super::world::{LIVE_RUN, Names, RUN, counts, hours_ago, task_states};

/// The world: its names, how far its live run is, whether its store answers, and in time, what was wished.
pub struct World {
    pub names: Names,
    pub empty: bool,
    pub done: AtomicU64,
    pub away: AtomicBool,
    pub late: AtomicBool,
    pub wishes: Mutex<Vec<String>>,
}

/// Tasks of the live run.
pub const TASKS: u64 = 12;

impl World {
    pub fn new(names: Names) -> Arc<Self> {
        Arc::new(Self {
            names,
            empty: false,
            done: AtomicU64::new(4),
            away: AtomicBool::new(false),
            late: AtomicBool::new(false),
            wishes: Mutex::new(Vec::new()),
        })
    }

    /// A world in which nothing was ever done.
    pub fn empty() -> Arc<Self> {
        let mut world = Self::new(Names::usual());
        Arc::get_mut(&mut world).unwrap().empty = true;
        world
    }

    /// Pages over it, with everything that they can offer.
    pub fn pages(self: &Arc<Self>) -> Pages {
        let seams = Seams {
            answering: Some(self.clone()),
            incidents: Some(self.clone()),
            subscriptions: Some(self.clone()),
            settings: Some(self.clone()),
        };
        Pages::new(self.clone(), Some(self.clone()), seams)
    }

    pub fn told<T>(&self, it: T) -> Answer<T> {
        let old = self.away.load(Ordering::SeqCst) || self.late.load(Ordering::SeqCst);
        Ok(Told {
            it,
            as_of: now(),
            stale_s: old.then_some(190),
        })
    }

    /// The log of a run: it was accepted, and an attempt was lost with its node.
    pub fn log(&self, run: &Run, tasks: &[Task]) -> Vec<LogLine> {
        let line = |event: &str| LogLine {
            at: run.created_at,
            event: event.to_owned(),
            no: None,
            kind: None,
            partition: String::new(),
            attempt: None,
            node: None,
            outcome: None,
            charged: false,
            reason: String::new(),
        };
        let lost = LogLine {
            no: Some(tasks[7].no),
            kind: Some(tasks[7].kind),
            partition: tasks[7].partition.clone(),
            attempt: Some(1),
            node: Some("node-2".to_owned()),
            outcome: Some("node_lost".to_owned()),
            charged: true,
            reason: self.names.message.clone(),
            ..line("ended")
        };
        vec![lost, line("accepted")]
    }

    pub fn all<T>(&self, items: Vec<T>) -> Answer<List<T>> {
        let items = if self.empty { Vec::new() } else { items };
        let total = Some(items.len() as u64);
        self.told(List {
            items,
            next_cursor: None,
            total,
        })
    }

    pub fn wish(&self, words: String) {
        self.wishes.lock().unwrap().push(words);
    }

    /// Whether the world has this dataset.
    pub fn known(&self, dataset: &str) -> Result<(), Problem> {
        let is = self.names.rows().iter().any(|row| row.id == dataset);
        if is && !self.empty {
            Ok(())
        } else {
            Err(missing())
        }
    }

    pub fn check_of(&self, check: &str) -> Result<CheckRow, Problem> {
        self.names
            .checks()
            .into_iter()
            .find(|c| c.id == check)
            .ok_or_else(missing)
    }

    pub fn runs_all(&self) -> Vec<Run> {
        let run = |id: &str, state: RunState, trigger: Trigger, ended: bool| Run {
            id: id.to_owned(),
            dataset: self.names.dataset.clone(),
            definition: "591785b794601e212b260e25925636fd".to_owned(),
            trigger,
            priority: Priority::Live,
            slot: (trigger == Trigger::Schedule).then(|| hours_ago(1)),
            state,
            reason: (state == RunState::Partial)
                .then(|| "1 task failed after 3 attempts".to_owned()),
            selection: Selection {
                last_days: (trigger == Trigger::Backfill).then_some(90),
                ..Selection::default()
            },
            created_at: hours_ago(1),
            started_at: Some(hours_ago(1)),
            finished_at: ended.then(|| hours_ago(1) + jiff::SignedDuration::from_secs(122)),
            deadline_at: now() + jiff::SignedDuration::from_mins(20),
            planned_tasks: 12,
            task_states: task_states(&[
                (TaskState::Succeeded, 7),
                (TaskState::Running, 2),
                (TaskState::Ready, 3),
            ]),
            task_count: TASKS,
            partitions: 3,
            counts: if ended {
                counts(4, 1, 1, 1, 0, 0)
            } else {
                counts(2, 0, 0, 0, 0, 0)
            },
        };
        vec![
            run(LIVE_RUN, RunState::Running, Trigger::Backfill, false),
            run(RUN, RunState::Partial, Trigger::Schedule, true),
            run(
                "run_01980000000070008000000000000003",
                RunState::Succeeded,
                Trigger::Manual,
                true,
            ),
            run(
                "run_01980000000070008000000000000004",
                RunState::Failed,
                Trigger::Arrival,
                true,
            ),
            run(
                "run_01980000000070008000000000000005",
                RunState::Cancelled,
                Trigger::Manual,
                true,
            ),
        ]
    }

    pub fn task_of(&self, no: u32) -> Task {
        let state = match no {
            0..5 => TaskState::Succeeded,
            5 | 6 => TaskState::Running,
            7 => TaskState::Failed,
            _ => TaskState::Ready,
        };
        let ended = state.is_terminal();
        let attempt = |attempt: u32, outcome: &str, reason: &str| Try {
            attempt,
            node: format!("node-{}", 1 + no % 3),
            assigned_at: Some(hours_ago(1)),
            started_at: Some(hours_ago(1) + jiff::SignedDuration::from_secs(i64::from(no))),
            ended_at: (!outcome.is_empty())
                .then(|| hours_ago(1) + jiff::SignedDuration::from_secs(30 + i64::from(no))),
            outcome: outcome.to_owned(),
            charged: outcome != "ok",
            reason: reason.to_owned(),
        };
        let tries = match state {
            TaskState::Ready => Vec::new(),
            TaskState::Failed => vec![
                attempt(1, "node_lost", "node-2 fell silent"),
                attempt(
                    2,
                    "error",
                    "cannot read s3://lake/orders/2026-11-19/part-3.parquet: the footer is cut short",
                ),
            ],
            TaskState::Running => vec![attempt(1, "", "")],
            _ => vec![attempt(1, "ok", "")],
        };
        Task {
            no,
            kind: if no == 0 {
                TaskKind::Discover
            } else if no.is_multiple_of(4) {
                TaskKind::Evaluate
            } else {
                TaskKind::Measure
            },
            partition: if no == 0 {
                String::new()
            } else {
                self.names.key(80 + no as usize % 4)
            },
            batch: u32::from(no > 0),
            batches: 2 * u32::from(no > 0),
            depends_on: if no == 8 { vec![5, 6, 7] } else { Vec::new() },
            state,
            wait: if state == TaskState::Ready {
                ["no_capacity", "dependency"][no as usize % 2].to_owned()
            } else {
                String::new()
            },
            not_before: None,
            attempts: u32::try_from(tries.len()).unwrap(),
            node: if ended || tries.is_empty() {
                String::new()
            } else {
                "node-1".to_owned()
            },
            bytes: 84 << 20,
            reason: if state == TaskState::Failed {
                self.names.message.clone()
            } else {
                String::new()
            },
            assigned_at: None,
            started_at: None,
            tries,
        }
    }

    pub fn nodes_all(&self) -> Vec<Node> {
        let node = |id: &str, state: &str, used: u32, cpu: f64| Node {
            id: id.to_owned(),
            incarnation: 3,
            state: state.to_owned(),
            slots: 4,
            slots_used: used,
            cpu,
            memory_bytes: 4 << 30,
            memory_used_bytes: (u64::from(used) * 900) << 20,
            zone: "eu-central-1a".to_owned(),
            silent_ms: 840,
            reason: (state != "live").then(|| "asked for by an operator".to_owned()),
            since: Some(hours_ago(5)),
            version: Some("0.1.0".to_owned()),
        };
        vec![
            node("node-1", "live", 4, 0.97),
            node("node-2", "suspect", 1, 0.4),
            node("node-3", "draining", 2, 0.85),
            node("node-4", "live", 0, 0.02),
        ]
    }
}

pub fn missing() -> Problem {
    problem(
        404,
        "not-found",
        "Not found",
        "There is no such thing, or it is another owner's.",
    )
}

pub fn problem(status: u16, slug: &str, title: &str, detail: &str) -> Problem {
    serde_json::from_value(serde_json::json!({
        "type": format!("/problems/{slug}"), "title": title, "status": status, "detail": detail,
    }))
    .unwrap()
}
