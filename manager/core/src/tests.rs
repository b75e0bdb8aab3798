//! The core's behaviour, one promise per test, against the store in memory.

use std::collections::BTreeMap;

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, DatasetId, Incarnation, NodeId, RunId, TaskId};
use assay_model::node::{Load, Node, NodeState, Progress};
use assay_model::output::{Discovery, TaskOutput};
use assay_model::partition::Partition;
use assay_model::run::{Priority, Run, RunState, Selection, Trigger};
use assay_model::task::{AttemptOutcome, MeasureSpec, TaskFailure, TaskState, WaitReason};
use jiff::Timestamp;

use crate::sim::MemoryStore;
use crate::time::after;
use crate::{Command, Config, Core, Event, ScaleConfig, SeededIds, ToNode};

mod departures;
mod hostile;
mod refusals;
mod retries;
mod stragglers;
mod window;
mod words;

/// A core with a store that answers at once, and a clock that is set by hand.
struct Bench {
    core: Core,
    store: MemoryStore,
    now: Timestamp,
    sent: Vec<(NodeId, ToNode)>,
    refused: Vec<(String, String)>,
    moved: BTreeMap<RunId, RunState>,
    nodes_moved: Vec<(NodeId, NodeState)>,
    /// Why each node is in its state, as written.
    reasons: BTreeMap<NodeId, String>,
    store_away: bool,
    /// A dataset whose definition the store does not know.
    unknown: Option<DatasetId>,
    /// Whether it takes no plan.
    unplannable: bool,
    /// Reads of rows that are under way, when they take their time: what they have found.
    reads: Option<Vec<Event>>,
}

impl Bench {
    fn new() -> Self {
        let mut store = MemoryStore::new();
        let epoch = store.mint_epoch();
        let now = Timestamp::UNIX_EPOCH;
        let config = Config {
            scale: ScaleConfig {
                max: 4,
                ..ScaleConfig::default()
            },
            ..Config::default()
        };
        let snapshot = store.load(epoch, config.tasks_held).unwrap();
        let ids = Box::new(SeededIds::new(7));
        let (core, _) = Core::new(epoch, config, ids, snapshot, now);
        Self {
            core,
            store,
            now,
            sent: Vec::new(),
            refused: Vec::new(),
            moved: BTreeMap::new(),
            nodes_moved: Vec::new(),
            reasons: BTreeMap::new(),
            store_away: false,
            unknown: None,
            unplannable: false,
            reads: None,
        }
    }

    /// Another leader takes over from the store.
    fn take_over(&mut self) {
        let epoch = self.store.mint_epoch();
        let held = self.core.config().tasks_held;
        let snapshot = self.store.load(epoch, held).unwrap();
        let ids = Box::new(SeededIds::new(8));
        let (core, commands) = Core::new(epoch, Config::default(), ids, snapshot, self.now);
        self.core = core;
        self.carry_out(commands);
    }

    fn tell(&mut self, event: Event) {
        let commands = self.core.handle(self.now, event);
        self.carry_out(commands);
    }

    fn carry_out(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Commit { id, changes } => {
                    let event = self.answer(id, &changes);
                    self.tell(event);
                }
                Command::Send { node, message, .. } => self.sent.push((node, message)),
                Command::ReadPlan { task, from } => {
                    let page = self.store.plan_page(task, from).map(Box::new);
                    let run = task.run;
                    self.tell(Event::PlanRead { run, page });
                }
                Command::ReadTasks(asked) => {
                    let read = self.store.more_tasks(&asked);
                    self.tell(Event::TasksRead { asked, read });
                }
                Command::ReloadRun { run, most } => {
                    let rows = self.store.rows_of(run, most).map(Box::new);
                    let loaded = Event::RunLoaded { run, rows };
                    match &mut self.reads {
                        Some(reads) => reads.push(loaded),
                        None => self.tell(loaded),
                    }
                }
                Command::Refused { subject, reason } => self.refused.push((subject, reason)),
                Command::RunMoved { run, state, .. } => {
                    self.moved.insert(run, state);
                }
                Command::NodeMoved { node, state } => self.nodes_moved.push((node, state)),
                Command::Retried { .. }
                | Command::DesiredNodes { .. }
                | Command::Submitted { .. }
                | Command::Count { .. } => {}
            }
        }
    }

    fn answer(&mut self, commit: u64, changes: &[Change]) -> Event {
        let refuses = |change: &Change| match change {
            Change::SubmitRun { run, .. } => Some(&run.dataset) == self.unknown.as_ref(),
            Change::PlanRun { .. } => self.unplannable,
            _ => false,
        };
        let refused = changes.iter().any(refuses);
        for change in changes {
            if let Change::MoveNode { node, reason, .. } = change {
                self.reasons.insert(node.clone(), reason.clone());
            }
        }
        if self.store_away {
            Event::CommitNotApplied { commit }
        } else if refused {
            let reason = "no definition".to_owned();
            Event::CommitRefused { commit, reason }
        } else {
            let answers = self.store.commit(self.core.epoch(), changes).unwrap();
            Event::Committed { commit, answers }
        }
    }

    /// Passes time, with every timer on the way.
    fn wait(&mut self, ms: u64) {
        let until = after(self.now, ms);
        while let Some((at, _)) = self.core.poll_timeout().filter(|t| t.0 <= until) {
            self.now = at;
            self.tell(Event::Tick);
        }
        self.now = until;
        self.tell(Event::Tick);
    }

    fn node(&mut self, name: &str, zone: &str, slots: u32) -> Incarnation {
        let mut node = Node {
            id: NodeId::new(name),
            incarnation: Incarnation(0),
            state: NodeState::Live,
            slots,
            memory_bytes: 1,
            zone: zone.to_owned(),
        };
        let epoch = self.core.epoch();
        node.incarnation = self.store.register(epoch, &node, self.now).unwrap();
        let incarnation = node.incarnation;
        self.tell(Event::NodeHello {
            node: Box::new(node),
            registered: true,
            held: Vec::new(),
        });
        incarnation
    }

    /// A heartbeat that lists every attempt which the rows give to the node.
    fn beat(&mut self, name: &str) {
        let id = NodeId::new(name);
        let held = self
            .store
            .tasks
            .values()
            .filter(|t| t.node.as_ref() == Some(&id));
        let running = held.map(|task| Progress {
            task: task.id,
            attempt: task.attempt,
            rows: 1,
            bytes: 1,
        });
        let load = Load {
            running: running.collect(),
            ..Load::default()
        };
        let incarnation = self.store.nodes[&id].incarnation;
        self.tell(Event::NodeHeartbeat {
            node: id,
            incarnation,
            load,
        });
    }

    fn submit(&mut self, dataset: &str, key: &str) -> RunId {
        let dataset = DatasetId::new(dataset).unwrap();
        let id = RunId::of_key(&dataset, key);
        let run = Run {
            id,
            dataset,
            definition: String::new(),
            trigger: Trigger::Manual,
            slot: None,
            priority: Priority::Live,
            selection: Selection::default(),
            retries: 2,
            task_timeout_ms: 600_000,
            state: RunState::Queued,
            reason: None,
            created_at: self.now,
            started_at: None,
            finished_at: None,
            deadline_at: after(self.now, 3_600_000),
            planned_tasks: 0,
        };
        self.tell(Event::RunSubmitted { run: Box::new(run) });
        id
    }

    fn token(&self, run: RunId, no: u32) -> AttemptToken {
        let task = &self.store.tasks[&TaskId { run, no }];
        AttemptToken {
            task: task.id,
            attempt: task.attempt,
            nonce: task.nonce.unwrap(),
        }
    }

    fn state(&self, run: RunId, no: u32) -> TaskState {
        self.store.tasks[&TaskId { run, no }].state
    }

    fn complete(&mut self, run: RunId, no: u32, output: &TaskOutput) {
        let token = self.token(run, no);
        assert_eq!(self.store.complete(&token, output, self.now), Answer::Ok);
        self.tell(Event::TaskFinished { token });
    }

    fn fail(&mut self, run: RunId, no: u32, outcome: AttemptOutcome) {
        let token = self.token(run, no);
        let failure = TaskFailure {
            outcome,
            message: "as the test wants".to_owned(),
        };
        self.tell(Event::TaskFailed { token, failure });
    }

    /// A run whose discovery has found `measures` batches.
    fn planned(&mut self, measures: u32) -> RunId {
        let run = self.submit("orders", "one");
        self.complete(run, 0, &TaskOutput::Discovered(batches(measures)));
        run
    }

    fn last_outcome(&self, run: RunId, no: u32) -> Option<AttemptOutcome> {
        self.store.attempts[&TaskId { run, no }]
            .last()
            .unwrap()
            .outcome
    }
}

/// What a discovery has found: `measures` batches.
fn batches(measures: u32) -> Discovery {
    let measure = |batch| MeasureSpec {
        queries: false,
        reading: None,
        partitions: vec![Partition::all()],
        batch,
        batches: measures,
        slices: Vec::new(),
        bytes: 1,
    };
    Discovery {
        measures: (1..=measures).map(measure).collect(),
        ..Discovery::default()
    }
}

#[test]
fn a_run_goes_from_its_discovery_through_its_plan_to_its_end() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.planned(2);
    assert_eq!(bench.store.runs[&run].planned_tasks, 2);
    for no in 1..=2 {
        assert_eq!(bench.state(run, no), TaskState::Assigned);
        bench.complete(run, no, &TaskOutput::Measured(Vec::new()));
    }
    assert_eq!(bench.moved[&run], RunState::Succeeded);
}

#[test]
fn a_lost_node_gives_its_tasks_back_within_a_second() {
    let mut bench = Bench::new();
    let incarnation = bench.node("a", "", 4);
    let run = bench.submit("orders", "one");
    bench.node("b", "", 4);
    bench.tell(Event::NodeDisconnected {
        node: NodeId::new("a"),
        incarnation,
        refused: true,
    });
    assert_eq!(bench.last_outcome(run, 0), Some(AttemptOutcome::NodeLost));
    bench.wait(750);
    assert_eq!(
        bench.store.tasks[&TaskId { run, no: 0 }].node,
        Some(NodeId::new("b"))
    );
}

#[test]
fn a_zone_that_is_lost_charges_nothing_after_its_first_node() {
    let mut bench = Bench::new();
    let a = bench.node("a", "east", 1);
    let b = bench.node("b", "east", 1);
    let run = bench.planned(2);
    for (name, incarnation) in [("a", a), ("b", b)] {
        bench.tell(Event::NodeDisconnected {
            node: NodeId::new(name),
            incarnation,
            refused: true,
        });
    }
    let lost: Vec<_> = (1..=2)
        .filter_map(|no| bench.last_outcome(run, no))
        .collect();
    assert!(lost.contains(&AttemptOutcome::Orphaned), "{lost:?}");
}

#[test]
fn a_new_leader_adopts_what_a_node_holds_and_stops_the_rest() {
    let mut bench = Bench::new();
    let incarnation = bench.node("a", "", 4);
    let run = bench.submit("orders", "one");
    let mine = bench.token(run, 0);
    bench.take_over();
    bench.sent.clear();
    let foreign = AttemptToken { attempt: 9, ..mine };
    let node = bench.store.nodes[&NodeId::new("a")].clone();
    assert_eq!(node.incarnation, incarnation);
    bench.tell(Event::NodeHello {
        node: Box::new(node),
        registered: false,
        held: vec![mine, foreign],
    });
    let said = [ToNode::Cancel { token: foreign }, ToNode::Resume];
    assert_eq!(
        bench.sent,
        said.map(|said| (NodeId::new("a"), said)).to_vec()
    );
    for _ in 0..20 {
        bench.wait(1_000);
        bench.beat("a");
    }
    assert_eq!(
        bench.token(run, 0),
        mine,
        "nothing that ran was begun again"
    );
}

#[test]
fn nobody_dies_of_silence_during_the_grace_after_a_take_over() {
    let mut bench = Bench::new();
    let incarnation = bench.node("a", "", 4);
    bench.take_over();
    let node = NodeId::new("a");
    bench.tell(Event::LeaseLost {
        node: node.clone(),
        incarnation,
    });
    bench.wait(9_900);
    assert_eq!(bench.store.nodes[&node].state, NodeState::Suspect);
    bench.wait(200);
    assert_eq!(bench.store.nodes[&node].state, NodeState::Dead);
}

#[test]
fn a_lie_about_leases_kills_no_node_that_speaks() {
    let mut bench = Bench::new();
    let lives: Vec<_> = ["a", "b", "c"].map(|n| (n, bench.node(n, "", 1))).into();
    bench.wait(11_000);
    for (name, incarnation) in &lives {
        bench.beat(name);
        bench.tell(Event::LeaseLost {
            node: NodeId::new(*name),
            incarnation: *incarnation,
        });
    }
    assert!(bench.core.view().lease_distrust.is_some());
    for _ in 0..20 {
        bench.wait(1_000);
        lives.iter().for_each(|(name, _)| bench.beat(name));
    }
    assert!(
        bench
            .store
            .nodes
            .values()
            .all(|n| n.state == NodeState::Live)
    );
}

#[test]
fn a_store_that_is_away_charges_nobody_and_loses_nothing() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    bench.store_away = true;
    let run = bench.submit("orders", "one");
    bench.wait(3_000);
    assert!(bench.store.runs.is_empty());
    bench.store_away = false;
    bench.wait(2_000);
    assert_eq!(bench.state(run, 0), TaskState::Assigned);
}

#[test]
fn a_submission_that_the_store_refuses_does_not_hold_up_the_others() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    bench.unknown = Some(DatasetId::new("bad").unwrap());
    bench.store_away = true;
    let good = bench.submit("orders", "one");
    let bad = bench.submit("bad", "one");
    bench.store_away = false;
    bench.wait(5_000);
    assert_eq!(bench.state(good, 0), TaskState::Assigned);
    assert!(bench.refused.iter().any(|(who, _)| *who == bad.to_string()));
}

#[test]
fn a_retried_run_whose_discovery_had_failed_is_planned_before_it_ends() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.submit("orders", "one");
    bench.fail(run, 0, AttemptOutcome::Permanent);
    assert_eq!(bench.moved[&run], RunState::Failed);
    let deadline_at = after(bench.now, 3_600_000);
    bench.tell(Event::RetryRun { run, deadline_at });
    let found = Discovery {
        measures: vec![MeasureSpec {
            queries: false,
            reading: None,
            partitions: vec![Partition::all()],
            batch: 1,
            batches: 1,
            slices: Vec::new(),
            bytes: 1,
        }],
        ..Discovery::default()
    };
    bench.complete(run, 0, &TaskOutput::Discovered(found));
    assert_eq!(bench.state(run, 1), TaskState::Assigned);
    bench.complete(run, 1, &TaskOutput::Measured(Vec::new()));
    assert_eq!(bench.moved[&run], RunState::Succeeded);
}

#[test]
fn a_deadline_between_discovery_and_plan_is_no_success() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.submit("orders", "one");
    let token = bench.token(run, 0);
    let found = TaskOutput::Discovered(Discovery {
        ignored: vec!["x".to_owned()],
        ..Discovery::default()
    });
    assert_eq!(bench.store.complete(&token, &found, bench.now), Answer::Ok);
    bench.now = after(bench.now, 3_600_001);
    bench.tell(Event::TaskFinished { token });
    assert_eq!(bench.moved[&run], RunState::Failed);
}

#[test]
fn a_source_that_is_away_is_asked_by_one_task_at_a_time() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.planned(3);
    for no in 1..=3 {
        bench.fail(run, no, AttemptOutcome::DependencyDown);
    }
    let at_work = |bench: &Bench| {
        (1..=3)
            .filter(|no| bench.state(run, *no) == TaskState::Assigned)
            .count()
    };
    assert_eq!(at_work(&bench), 0);
    bench.beat("a");
    bench.wait(4_900);
    bench.beat("a");
    assert_eq!(at_work(&bench), 0);
    bench.wait(200);
    assert_eq!(at_work(&bench), 1);
    let why = bench.core.explain(TaskId { run, no: 3 }).unwrap();
    assert_eq!(why.wait, Some(WaitReason::DependencyDown), "{}", why.text);
    bench.complete(run, 1, &TaskOutput::Measured(Vec::new()));
    assert_eq!(at_work(&bench), 2);
}

#[test]
fn a_draining_node_takes_nothing_new_and_leaves_when_it_is_empty() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.submit("orders", "one");
    let node = NodeId::new("a");
    let reason = "an operator".to_owned();
    bench.tell(Event::DrainNode {
        node: node.clone(),
        reason,
    });
    assert_eq!(bench.store.nodes[&node].state, NodeState::Draining);
    let token = bench.token(run, 0);
    bench.tell(Event::TaskDropped { token });
    assert_eq!(bench.last_outcome(run, 0), Some(AttemptOutcome::Drained));
    assert_eq!(bench.store.tasks[&token.task].charged, 0);
    assert_eq!(bench.store.nodes[&node].state, NodeState::Gone);
    assert_eq!(bench.state(run, 0), TaskState::Ready);
}

#[test]
fn a_node_that_missed_the_word_to_go_on_hears_it_with_its_next_hello() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let node = NodeId::new("a");
    // Something to hold, or it would leave at once.
    bench.submit("orders", "one");
    bench.tell(Event::DrainNode {
        node: node.clone(),
        reason: "maintenance".to_owned(),
    });
    let drained = (node.clone(), NodeState::Draining);
    assert_eq!(bench.nodes_moved.last(), Some(&drained));
    bench.tell(Event::DrainNode {
        node: node.clone(),
        reason: "again".to_owned(),
    });
    assert_eq!(
        bench.nodes_moved.iter().filter(|m| **m == drained).count(),
        2
    );
    bench.tell(Event::UncordonNode { node: node.clone() });
    let back = (node.clone(), NodeState::Live);
    assert_eq!(bench.nodes_moved.last(), Some(&back));
    bench.sent.clear();
    bench.tell(Event::NodeHello {
        node: Box::new(bench.store.nodes[&node].clone()),
        registered: false,
        held: Vec::new(),
    });
    assert!(
        bench.sent.contains(&(node, ToNode::Resume)),
        "{:?}",
        bench.sent
    );
}

#[test]
fn a_node_that_fails_what_others_do_well_is_excluded() {
    let mut bench = Bench::new();
    for name in ["a", "b", "c", "d"] {
        bench.node(name, "", 1);
    }
    let bad = NodeId::new("a");
    let run = bench.planned(12);
    for _ in 0..60 {
        for no in 1..=12 {
            let node = bench.store.tasks[&TaskId { run, no }].node.clone();
            match node {
                Some(node) if node == bad => bench.fail(run, no, AttemptOutcome::Retryable),
                Some(_) => bench.complete(run, no, &TaskOutput::Measured(Vec::new())),
                None => {}
            }
        }
        ["a", "b", "c", "d"]
            .iter()
            .for_each(|name| bench.beat(name));
        bench.wait(1_000);
    }
    assert_eq!(bench.moved[&run], RunState::Succeeded);
    assert_eq!(bench.store.nodes[&bad].state, NodeState::Excluded);
}
