//! How the core's steps grow with its queue: `cargo bench -p assay-manager-core`.
//!
//! What comes in: 50 nodes of 8 slots, and runs of 10,000 tasks, so many that 10,000, 100,000 and
//! 1,000,000 tasks are ready and held. What goes out, per size: bytes per task (resident memory), the time of
//! a take-over, of a heartbeat, of the view, and per task of assignment and completion, with the
//! longest single step. It must never assert a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use assay_manager_core::{Command, Config, Core, Event, SeededIds, Snapshot, ToNode};
use assay_model::change::Answer;
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::{Load, Node, NodeState};
use assay_model::partition::Partition;
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::task::{MeasureSpec, Task, TaskSpec, TaskState};
use assay_model::unfinished::{RunRows, TasksHeld};
use jiff::Timestamp;

const NODES: u32 = 50;
const SLOTS: u32 = 8;
const TASKS_PER_RUN: u32 = 10_000;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1_024
}

fn run(number: u32) -> (Run, Vec<Task>) {
    let dataset = DatasetId::new(format!("dataset-{number}")).expect("a plain word is a name");
    let id = RunId::of_key(&dataset, "bench");
    let run = Run {
        id,
        dataset,
        definition: "definition".to_owned(),
        trigger: Trigger::Manual,
        slot: None,
        priority: Priority::Live,
        selection: Selection::default(),
        retries: 2,
        task_timeout_ms: 600_000,
        state: RunState::Running,
        reason: None,
        created_at: Timestamp::UNIX_EPOCH,
        started_at: None,
        finished_at: None,
        deadline_at: Timestamp::MAX,
        planned_tasks: TASKS_PER_RUN,
    };
    let measure = |no| {
        let spec = TaskSpec::Measure(MeasureSpec {
            queries: false,
            reading: None,
            partitions: vec![Partition::all()],
            batch: no,
            batches: TASKS_PER_RUN,
            slices: Vec::new(),
            bytes: 64 << 20,
        });
        Task::new(TaskId { run: id, no }, spec, Vec::new())
    };
    let discover = TaskId { run: id, no: 0 };
    let mut discover = Task::new(discover, TaskSpec::Discover, Vec::new());
    discover.state = TaskState::Succeeded;
    let tasks = std::iter::once(discover).chain((1..=TASKS_PER_RUN).map(measure));
    (run, tasks.collect())
}

fn node(number: u32) -> Node {
    Node {
        id: NodeId::new(format!("node-{number:03}")),
        incarnation: Incarnation(1),
        state: NodeState::Live,
        slots: SLOTS,
        memory_bytes: 1 << 34,
        zone: String::new(),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the real clock"
)]
fn clock() -> Instant {
    Instant::now()
}

/// A leader and a store that says yes to everything.
struct Bench {
    core: Core,
    now: Timestamp,
    /// Attempts that nodes have been given, oldest first.
    given: VecDeque<AttemptToken>,
    slowest: Duration,
    steps: u64,
}

impl Bench {
    fn step(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let begin = clock();
            let commands = self.core.handle(self.now, event);
            self.slowest = self.slowest.max(begin.elapsed());
            self.steps += 1;
            for command in commands {
                match command {
                    Command::Commit { id, changes } => events.push_back(Event::Committed {
                        commit: id,
                        answers: vec![Answer::Ok; changes.len()],
                    }),
                    Command::Send {
                        message: ToNode::Assign { token, .. },
                        ..
                    } => self.given.push_back(token),
                    _ => {}
                }
            }
        }
    }
}

/// All that a leader of `tasks` ready tasks loads.
fn snapshot(tasks: u32) -> Snapshot {
    let mut found = Snapshot {
        nodes: (0..NODES).map(node).collect(),
        ..Snapshot::default()
    };
    for (run, tasks) in (0..tasks / TASKS_PER_RUN).map(run) {
        let most = TASKS_PER_RUN as usize;
        found.runs.push(RunRows::of(run, true, tasks, most));
    }
    found
}

/// The time of a heartbeat, and of the view with the tasks that wait.
fn at_rest(bench: &mut Bench) -> (Duration, Duration, usize) {
    let rounds = NODES * 20;
    let begin = clock();
    for number in 0..rounds {
        let node = node(number % NODES);
        let event = Event::NodeHeartbeat {
            node: node.id,
            incarnation: node.incarnation,
            load: Load::default(),
        };
        bench.core.handle(bench.now, event);
    }
    let heartbeat = begin.elapsed() / rounds;
    let begin = clock();
    let waiting = bench.core.view().queue_depth;
    (heartbeat, begin.elapsed(), waiting)
}

fn figures(tasks: u32) {
    let before = resident_bytes();
    let found = snapshot(tasks);
    let config = Config {
        max_running_runs: u32::MAX,
        tasks_held: TasksHeld {
            max: usize::MAX,
            per_run: usize::MAX,
        },
        ..Config::default()
    };
    let now = Timestamp::UNIX_EPOCH;
    let ids = Box::new(SeededIds::new(1));
    let begin = clock();
    let (core, _) = Core::new(Epoch(1), config, ids, found, now);
    let takeover = begin.elapsed();
    let bytes = resident_bytes().saturating_sub(before) / u64::from(tasks);
    let mut bench = Bench {
        core,
        now,
        given: VecDeque::new(),
        slowest: Duration::ZERO,
        steps: 0,
    };
    let begin = clock();
    for node in (0..NODES).map(node) {
        bench.step(Event::NodeHello {
            node: Box::new(node),
            registered: false,
            held: Vec::new(),
        });
    }
    // The first tasks of the queue; the rest is the same again.
    let mut done = 0_u32;
    while done < tasks.min(20_000)
        && let Some(token) = bench.given.pop_front()
    {
        bench.step(Event::TaskFinished { token });
        done += 1;
    }
    let per_task = begin.elapsed() / done.max(1);
    let (steps, slowest) = (bench.steps, bench.slowest);
    let (heartbeat, view, waiting) = at_rest(&mut bench);
    println!(
        "{tasks:>9} tasks: {bytes} B/task, take-over {takeover:.0?}, {per_task:.1?} per task assigned \
         and done ({done} done, {steps} steps, slowest {slowest:.1?}), heartbeat {heartbeat:.1?}, \
         view {view:.0?} ({waiting} wait)"
    );
}

fn main() {
    for tasks in [10_000, 100_000, 1_000_000] {
        figures(tasks);
    }
}
