//! One run of very many tasks, from its plan to its end: `cargo bench -p assay-manager-core --bench
//! million -- [PARTITIONS BATCHES]`.
//!
//! What comes in: partitions of so many batches each, judged one after another, and 50 nodes of 8 slots
//! that are done at once. The store is made up: it answers from a byte per task, so that what is counted
//! is the core. What goes out: tasks held, memory, time per task and the longest step. It must never
//! assert a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use assay_manager_core::{Command, Config, Core, Event, SeededIds, Snapshot, ToNode};
use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, DatasetId, Epoch, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::{Node, NodeState};
use assay_model::partition::{
    ObjectRef, ObjectSlice, Part, Partition, PartitionKey, PartitionVersion,
};
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::task::{EvaluateMode, EvaluateSpec, MeasureSpec, Task, TaskSpec, TaskState};
use assay_model::unfinished::{PLAN_PAGE, PlanPage, RunRows, TasksRead};
use jiff::Timestamp;

const NODES: u32 = 50;
const SLOTS: u32 = 8;

/// Memory of this process in MiB: at present (`VmRSS`), or at most (`VmHWM`).
fn mib(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(line));
    let kib = line.and_then(|l| l.trim_matches([':', ' ', '\t']).split(' ').next());
    kib.and_then(|kib| kib.trim().parse::<u64>().ok())
        .unwrap_or(0)
        / 1_024
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures with the real clock"
)]
fn clock() -> Instant {
    Instant::now()
}

fn count(tasks: usize) -> u32 {
    u32::try_from(tasks).expect("fewer than four billion tasks")
}

/// A store that knows of each task whether it has ended, and nothing else.
struct Store {
    run: Run,
    partitions: u32,
    batches: u32,
    ended: Vec<bool>,
    there: u32,
    planned: bool,
}

impl Store {
    fn measures(&self) -> u32 {
        self.partitions * self.batches
    }

    fn all(&self) -> u32 {
        self.measures() + self.partitions
    }

    fn partition(number: u32) -> Partition {
        let key = format!("day={number:07}");
        Partition {
            order: key.clone(),
            key: PartitionKey(key),
            ..Partition::all()
        }
    }

    fn task(&self, no: u32) -> Task {
        let id = TaskId {
            run: self.run.id,
            no,
        };
        let Some(judged) = no.checked_sub(self.measures() + 1) else {
            let spec = MeasureSpec {
                queries: false,
                reading: None,
                partitions: vec![Self::partition((no - 1) / self.batches)],
                batch: (no - 1) % self.batches + 1,
                batches: self.batches,
                slices: vec![
                    ObjectSlice {
                        object: ObjectRef {
                            path: format!("s3://bucket/table/part-{no:08}.parquet"),
                            size: 64 << 20,
                            modified: Timestamp::UNIX_EPOCH,
                            etag: None,
                        },
                        part: Part::Whole,
                    };
                    2
                ],
                bytes: 64 << 20,
            };
            return Task::new(id, TaskSpec::Measure(spec), Vec::new());
        };
        let first = judged * self.batches + 1;
        let by: Vec<u32> = (first..first + self.batches).collect();
        let mut needs = by.clone();
        needs.extend((judged > 0).then_some(no - 1));
        let spec = EvaluateSpec {
            partition: Self::partition(judged),
            version: PartitionVersion("v1".to_owned()),
            mode: EvaluateMode::Judge,
            sealed: true,
            measured_by: by,
            objects: 1,
            bytes: 1,
            last_modified: None,
            reason: None,
            copies: Vec::new(),
        };
        Task::new(id, TaskSpec::Evaluate(spec), needs)
    }

    /// The answer to a read.
    fn read(&self, command: &Command) -> Option<Event> {
        match command {
            Command::ReadPlan { task, from } => {
                let to = self.all().min(from + PLAN_PAGE - 1);
                let page = PlanPage {
                    tasks: (*from..=to).map(|no| self.task(no)).collect(),
                    is_last: to == self.all(),
                };
                Some(Event::PlanRead {
                    run: task.run,
                    page: Some(Box::new(page)),
                })
            }
            Command::ReadTasks(asked) => {
                let open = (asked.after + 1..=self.there).filter(|no| !self.ended[*no as usize]);
                let tasks = open.take(asked.most).map(|no| self.task(no)).collect();
                Some(Event::TasksRead {
                    asked: asked.clone(),
                    read: TasksRead {
                        tasks,
                        unended: Vec::new(),
                    },
                })
            }
            _ => None,
        }
    }

    fn commit(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::PlanPart { tasks, .. } => self.there += count(tasks.len()),
                Change::PlanRun { tasks, .. } => {
                    self.there += count(tasks.len());
                    self.planned = true;
                }
                Change::MoveRun { state, .. } => self.run.state = *state,
                _ => {}
            }
        }
    }

    /// What a new leader loads.
    fn rows(&self, most: usize) -> RunRows {
        let mut discovery = Task::new(
            TaskId {
                run: self.run.id,
                no: 0,
            },
            TaskSpec::Discover,
            Vec::new(),
        );
        discovery.state = TaskState::Succeeded;
        let mut rows = RunRows::of(self.run.clone(), self.planned, vec![discovery], 0);
        rows.there = self.there;
        let ended = self.ended.iter().filter(|ended| **ended).count();
        let ended = u32::try_from(ended).unwrap_or(u32::MAX);
        rows.ended.by_state.insert(TaskState::Succeeded, ended);
        let open = (1..=self.there).filter(|no| !self.ended[*no as usize]);
        rows.tasks.extend(open.take(most).map(|no| self.task(no)));
        rows
    }
}

/// A leader on such a store.
struct Bench {
    core: Core,
    store: Store,
    now: Timestamp,
    given: VecDeque<AttemptToken>,
    /// Steps, the time that they took, and the longest.
    steps: u64,
    spent: Duration,
    slowest: Duration,
    held: usize,
}

impl Bench {
    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let begin = clock();
            let commands = self.core.handle(self.now, event);
            let took = begin.elapsed();
            self.spent += took;
            self.slowest = self.slowest.max(took);
            self.steps += 1;
            self.held = self.held.max(self.core.tasks_held());
            for command in commands {
                match &command {
                    Command::Commit { id, changes } => {
                        self.store.commit(changes);
                        events.push_back(Event::Committed {
                            commit: *id,
                            answers: vec![Answer::Ok; changes.len()],
                        });
                    }
                    Command::Send {
                        message: ToNode::Assign { token, .. },
                        ..
                    } => self.given.push_back(*token),
                    command => events.extend(self.store.read(command)),
                }
            }
        }
    }

    fn hello(&mut self) {
        for number in 0..NODES {
            self.tell(Event::NodeHello {
                node: Box::new(node(number)),
                registered: false,
                held: Vec::new(),
            });
        }
    }

    /// The figures since the last time.
    fn told(&mut self, what: &str, tasks: u32) {
        let per_task = self.spent / tasks.max(1);
        println!(
            "{what}: {tasks} tasks, {per_task:.1?} each, {} steps, slowest {:.1?}; held at most {}; \
             memory {} MiB, at most {} MiB",
            self.steps,
            self.slowest,
            self.held,
            mib("VmRSS"),
            mib("VmHWM"),
        );
        (self.steps, self.spent, self.slowest) = (0, Duration::ZERO, Duration::ZERO);
    }
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

fn run() -> Run {
    let dataset = DatasetId::new("orders").expect("a plain word is a name");
    Run {
        id: RunId::of_key(&dataset, "bench"),
        dataset,
        definition: "definition".to_owned(),
        trigger: Trigger::Manual,
        slot: None,
        priority: Priority::Live,
        selection: Selection::default(),
        retries: 2,
        task_timeout_ms: 600_000,
        state: RunState::Planning,
        reason: None,
        created_at: Timestamp::UNIX_EPOCH,
        started_at: None,
        finished_at: None,
        deadline_at: Timestamp::MAX,
        planned_tasks: 0,
    }
}

fn leader(store: &Store, epoch: u64) -> (Core, Vec<Command>) {
    let config = Config::default();
    let snapshot = Snapshot {
        runs: vec![store.rows(config.tasks_held.share(1))],
        nodes: (0..NODES).map(node).collect(),
    };
    let ids = Box::new(SeededIds::new(epoch));
    Core::new(Epoch(epoch), config, ids, snapshot, Timestamp::UNIX_EPOCH)
}

fn figures(partitions: u32, batches: u32) {
    println!("{partitions} partitions of {batches} batches");
    let all = partitions * (batches + 1);
    let store = Store {
        run: run(),
        partitions,
        batches,
        ended: vec![false; all as usize + 1],
        there: 0,
        planned: false,
    };
    let (core, commands) = leader(&store, 1);
    let mut bench = Bench {
        core,
        store,
        now: Timestamp::UNIX_EPOCH,
        given: VecDeque::new(),
        steps: 0,
        spent: Duration::ZERO,
        slowest: Duration::ZERO,
        held: 0,
    };
    for command in commands {
        if let Some(event) = bench.store.read(&command) {
            bench.tell(event);
        }
    }
    bench.told("  plan", all);
    bench.hello();
    let mut done = 0;
    let mut ended = |bench: &mut Bench, most: u32| {
        while done < most
            && let Some(token) = bench.given.pop_front()
        {
            bench.store.ended[token.task.no as usize] = true;
            bench.tell(Event::TaskFinished { token });
            done += 1;
        }
        done
    };
    let half = ended(&mut bench, all / 2);
    bench.told("  first half", half);
    // What was at work is at work no more: the rows say that it waits.
    let begin = clock();
    let (core, _) = leader(&bench.store, 2);
    let took = begin.elapsed();
    bench.core = core;
    bench.given.clear();
    println!("  take-over in the middle: {took:.1?}, of rows that are there");
    bench.hello();
    let whole = ended(&mut bench, all);
    bench.told("  second half", whole - half);
    assert_eq!((whole, bench.store.run.state), (all, RunState::Succeeded));
}

fn main() {
    let asked: Vec<u32> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    match asked[..] {
        [partitions, batches] => figures(partitions, batches),
        _ => {
            figures(10_000, 100);
            figures(200_000, 4);
        }
    }
}
