//! Second copies, lost zones, frozen deadlines and wrong clocks: one promise per test.

use super::*;
use crate::{BreakerState, CopyConfig};

impl Bench {
    fn start(&mut self, run: RunId, no: u32) -> AttemptToken {
        let token = self.token(run, no);
        self.begin(token);
        token
    }

    fn begin(&mut self, token: AttemptToken) {
        assert!(self.store.start(&token, self.now).is_some());
        self.tell(Event::TaskStarted { token });
    }

    fn task(&self, run: RunId, no: u32) -> &assay_model::task::Task {
        &self.store.tasks[&TaskId { run, no }]
    }

    fn twin(&self, run: RunId, no: u32) -> Option<AttemptToken> {
        let task = self.task(run, no);
        let nonce = task.twin.as_ref()?.nonce;
        Some(AttemptToken {
            task: task.id,
            attempt: task.attempt,
            nonce,
        })
    }

    /// Passes time while the nodes speak and the counters of their tasks move.
    fn work(&mut self, names: &[&str], seconds: u64) {
        for _ in 0..seconds {
            self.wait(1_000);
            for name in names {
                self.speak(name);
            }
        }
    }

    fn speak(&mut self, name: &str) {
        let id = NodeId::new(name);
        let held = self.store.tasks.values().filter(|t| {
            let twin = t.twin.as_ref().is_some_and(|twin| twin.node == id);
            twin || t.node.as_ref() == Some(&id)
        });
        let seconds = u64::try_from(self.now.as_second()).unwrap();
        let running = held.map(|task| Progress {
            task: task.id,
            attempt: task.attempt,
            rows: seconds,
            bytes: 0,
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

    /// Four tasks on two nodes, three done in a second, the last one slow.
    fn with_a_straggler() -> (Self, RunId, AttemptToken) {
        let mut bench = Self::new();
        bench.node("a", "", 2);
        bench.node("b", "", 2);
        let run = bench.planned(4);
        let tokens: Vec<_> = (1..=4).map(|no| bench.start(run, no)).collect();
        bench.work(&["a", "b"], 1);
        for no in 1..=3 {
            bench.complete(run, no, &TaskOutput::Measured(Vec::new()));
        }
        (bench, run, tokens[3])
    }

    fn kill(&mut self, name: &str) {
        let id = NodeId::new(name);
        let incarnation = self.store.nodes[&id].incarnation;
        self.tell(Event::NodeDisconnected {
            node: id,
            incarnation,
            refused: true,
        });
    }
}

#[test]
fn a_straggler_gets_a_second_copy_on_another_node_and_the_first_result_stands() {
    let (mut bench, run, first) = Bench::with_a_straggler();
    bench.work(&["a", "b"], 20);
    assert_eq!(bench.twin(run, 4), None, "it is not slow yet");
    bench.work(&["a", "b"], 12);
    let second = bench.twin(run, 4).unwrap();
    let task = bench.task(run, 4);
    let node = task.node.clone();
    assert_ne!(task.twin.as_ref().map(|t| t.node.clone()), node);
    bench.begin(second);
    bench.sent.clear();
    let done = TaskOutput::Measured(Vec::new());
    assert_eq!(bench.store.complete(&second, &done, bench.now), Answer::Ok);
    bench.tell(Event::TaskFinished { token: second });
    assert_eq!(bench.moved[&run], RunState::Succeeded);
    let cancel = ToNode::Cancel { token: first };
    assert_eq!(bench.sent, vec![(node.unwrap(), cancel)]);
    let late = bench.store.complete(&first, &done, bench.now);
    assert_eq!(late, Answer::Fenced);
}

#[test]
fn a_second_copy_waits_until_no_task_does() {
    let mut bench = Bench::new();
    bench.node("a", "", 1);
    bench.node("b", "", 1);
    let run = bench.planned(6);
    for no in 1..=4 {
        bench.start(run, no);
        bench.work(&["a", "b"], 1);
        if no != 1 {
            bench.complete(run, no, &TaskOutput::Measured(Vec::new()));
        }
    }
    bench.work(&["a", "b"], 40);
    assert_eq!(bench.task(run, 6).state, TaskState::Ready);
    assert_eq!(bench.twin(run, 1), None);
}

#[test]
fn no_second_copy_is_given_where_they_are_switched_off() {
    let (mut bench, run, _) = Bench::with_a_straggler();
    bench.core.config.copies = CopyConfig {
        enabled: false,
        ..CopyConfig::default()
    };
    bench.work(&["a", "b"], 60);
    assert_eq!(bench.twin(run, 4), None);
}

#[test]
fn a_task_goes_on_with_its_second_copy_when_the_node_of_the_first_dies() {
    let (mut bench, run, _) = Bench::with_a_straggler();
    bench.work(&["a", "b"], 35);
    let second = bench.twin(run, 4).unwrap();
    let node = bench.task(run, 4).node.clone().unwrap();
    bench.kill(node.as_str());
    let task = bench.task(run, 4);
    assert_eq!((task.nonce, task.charged), (Some(second.nonce), 0));
    assert_eq!((task.attempt, task.state), (1, TaskState::Assigned));
    bench.begin(second);
    bench.complete(run, 4, &TaskOutput::Measured(Vec::new()));
    assert_eq!(bench.moved[&run], RunState::Succeeded);
}

#[test]
fn a_new_leader_knows_both_copies() {
    let (mut bench, run, first) = Bench::with_a_straggler();
    bench.work(&["a", "b"], 35);
    let second = bench.twin(run, 4).unwrap();
    bench.begin(second);
    bench.take_over();
    bench.sent.clear();
    for (name, token) in [("a", first), ("b", second)] {
        let (here, there) = (bench.task(run, 4).node.clone(), NodeId::new(name));
        let held = if here == Some(there.clone()) {
            first
        } else {
            second
        };
        let node = Box::new(bench.store.nodes[&there].clone());
        bench.tell(Event::NodeHello {
            node,
            registered: false,
            held: vec![held],
        });
        assert_eq!(token.task, held.task);
    }
    let adopted = bench.sent.iter().all(|(_, said)| *said == ToNode::Resume);
    assert!(adopted, "{:?}", bench.sent);
    bench.work(&["a", "b"], 20);
    assert_eq!(bench.twin(run, 4), Some(second));
}

#[test]
fn a_zone_that_is_lost_charges_nobody_the_first_node_included() {
    let mut bench = Bench::new();
    bench.node("a", "east", 1);
    bench.node("b", "east", 1);
    bench.node("c", "west", 2);
    let run = bench.planned(4);
    let of = |bench: &Bench, name: &str| {
        let id = Some(NodeId::new(name));
        let tasks = bench.store.tasks.values();
        tasks.filter(|t| t.node == id).map(|t| t.id.no).next()
    };
    let (on_a, on_b) = (of(&bench, "a").unwrap(), of(&bench, "b").unwrap());
    bench.kill("a");
    assert_eq!(
        bench.task(run, on_a).charged,
        1,
        "one node: it may be its fault"
    );
    bench.work(&["b", "c"], 4);
    bench.kill("b");
    assert_eq!(bench.task(run, on_a).charged, 0);
    assert_eq!(bench.task(run, on_b).charged, 0);
    let first = &bench.store.attempts[&TaskId { run, no: on_a }][0];
    assert_eq!(first.outcome, Some(AttemptOutcome::Orphaned));
}

#[test]
fn two_nodes_that_die_far_apart_are_charged() {
    let mut bench = Bench::new();
    bench.node("a", "east", 1);
    bench.node("b", "east", 1);
    let run = bench.planned(1);
    bench.kill("a");
    bench.work(&["b"], 30);
    bench.kill("b");
    assert_eq!(bench.task(run, 1).charged, 2);
}

#[test]
fn a_task_is_not_given_up_while_its_last_charge_may_be_taken_back() {
    let mut bench = Bench::new();
    bench.node("a", "east", 1);
    let run = bench.planned(1);
    for _ in 0..2 {
        bench.fail(run, 1, AttemptOutcome::Retryable);
        bench.work(&["a"], 20);
    }
    bench.node("b", "east", 1);
    bench.kill("a");
    assert!(!bench.state(run, 1).is_terminal(), "its charge is open");
    bench.work(&["b"], 5);
    bench.kill("b");
    assert_eq!(bench.state(run, 1), TaskState::Ready);
    assert_eq!(bench.task(run, 1).charged, 2);
    bench.node("c", "west", 1);
    bench.wait(2_000);
    bench.kill("c");
    bench.wait(26_000);
    assert_eq!(
        bench.state(run, 1),
        TaskState::Failed,
        "that one stands alone"
    );
}

#[test]
fn a_run_is_not_given_up_for_the_time_that_the_store_was_away() {
    let mut bench = Bench::new();
    bench.node("a", "", 1);
    let run = bench.planned(2);
    bench.start(run, 1);
    let deadline = after(bench.now, 10_000);
    bench.core.runs.get_mut(&run).unwrap().run.deadline_at = deadline;
    bench.store_away = true;
    bench.complete(run, 1, &TaskOutput::Measured(Vec::new()));
    bench.work(&["a"], 60);
    bench.store_away = false;
    bench.work(&["a"], 3);
    assert_eq!(bench.state(run, 2), TaskState::Assigned);
    bench.start(run, 2);
    bench.work(&["a"], 15);
    assert!(bench.moved[&run].is_terminal(), "its own time is over");
}

#[test]
fn the_wrong_clock_of_a_node_neither_shortens_nor_prolongs_a_time_out() {
    for skew_ms in [-600_000_i64, 600_000] {
        let mut bench = Bench::new();
        bench.node("a", "", 1);
        let run = bench.planned(1);
        let token = bench.token(run, 1);
        let wrong = bench.now + jiff::SignedDuration::from_millis(skew_ms);
        assert!(bench.store.start(&token, wrong).is_some());
        bench.take_over();
        let node = Box::new(bench.store.nodes[&NodeId::new("a")].clone());
        bench.tell(Event::NodeHello {
            node,
            registered: false,
            held: vec![token],
        });
        bench.work(&["a"], 590);
        assert_eq!(bench.token(run, 1), token, "{skew_ms}");
        bench.work(&["a"], 20);
        let first = &bench.store.attempts[&TaskId { run, no: 1 }][0];
        assert_eq!(first.outcome, Some(AttemptOutcome::TimedOut), "{skew_ms}");
    }
}

#[test]
fn a_run_whose_measurements_are_done_is_finalising() {
    let mut bench = Bench::new();
    bench.node("a", "", 1);
    let run = bench.submit("orders", "one");
    let found = one_evaluation();
    bench.complete(run, 0, &TaskOutput::Discovered(found));
    assert_eq!(bench.store.runs[&run].state, RunState::Running);
    bench.complete(run, 1, &TaskOutput::Measured(Vec::new()));
    assert_eq!(bench.store.runs[&run].state, RunState::Finalising);
    assert_eq!(bench.state(run, 2), TaskState::Assigned);
    bench.take_over();
    assert_eq!(bench.store.runs[&run].state, RunState::Finalising);
}

/// One measurement and its evaluation.
fn one_evaluation() -> Discovery {
    use assay_model::partition::PartitionVersion;
    use assay_model::task::{EvaluateMode, EvaluateSpec};
    Discovery {
        measures: vec![MeasureSpec {
            queries: false,
            reading: None,
            partitions: vec![Partition::all()],
            batch: 1,
            batches: 1,
            slices: Vec::new(),
            bytes: 1,
        }],
        evaluations: vec![EvaluateSpec {
            partition: Partition::all(),
            version: PartitionVersion("v1".to_owned()),
            mode: EvaluateMode::Judge,
            sealed: true,
            measured_by: vec![1],
            objects: 1,
            bytes: 1,
            last_modified: None,
            reason: None,
            copies: Vec::new(),
        }],
        ..Discovery::default()
    }
}

#[test]
fn every_reason_to_wait_is_explained() {
    let mut bench = Bench::new();
    let run = bench.submit("orders", "one");
    let why = |bench: &Bench, no| {
        let told = bench.core.explain(TaskId { run, no }).unwrap();
        (told.wait.unwrap(), told.text)
    };
    let (wait, text) = why(&bench, 0);
    assert_eq!(
        (wait, text.as_str()),
        (WaitReason::NoNode, "no node is registered")
    );
    bench.node("a", "", 1);
    bench.complete(run, 0, &TaskOutput::Discovered(one_evaluation()));
    assert_eq!(why(&bench, 2).0, WaitReason::Dependency);
    bench.fail(run, 1, AttemptOutcome::Retryable);
    assert_eq!(why(&bench, 1).0, WaitReason::Backoff);
    bench.work(&["a"], 20);
    bench.fail(run, 1, AttemptOutcome::DependencyDown);
    let (wait, text) = why(&bench, 1);
    assert_eq!(wait, WaitReason::DependencyDown, "{text}");
    let breaker = &bench.core.view().breakers[0];
    assert_eq!((breaker.state, breaker.probe), (BreakerState::Open, None));
    bench.work(&["a"], 6);
    let breaker = &bench.core.view().breakers[0];
    let probe = Some(TaskId { run, no: 1 });
    assert_eq!(
        (breaker.state, breaker.probe),
        (BreakerState::Probing, probe)
    );
    bench.tell(Event::DrainNode {
        node: NodeId::new("a"),
        reason: "someone asked".to_owned(),
    });
    let token = bench.token(run, 1);
    bench.tell(Event::TaskDropped { token });
    bench.tell(Event::BreakerClosed {
        dataset: DatasetId::new("orders").unwrap(),
    });
    let (wait, text) = why(&bench, 1);
    assert_eq!(wait, WaitReason::NoNode, "{text}");
    assert_eq!(bench.core.view().breakers, vec![]);
    bench.store_away = true;
    bench.node("b", "", 1);
    let (wait, text) = why(&bench, 1);
    assert_eq!(
        (wait, text.as_str()),
        (WaitReason::DependencyDown, "the store cannot be written")
    );
    assert!(bench.core.view().store_away_since.is_some());
}

#[test]
fn a_task_that_waits_for_a_slot_is_told_how_many_do() {
    let mut bench = Bench::new();
    bench.node("a", "", 1);
    let run = bench.planned(3);
    let told = bench.core.explain(TaskId { run, no: 3 }).unwrap();
    assert_eq!(told.wait, Some(WaitReason::NoCapacity));
    assert_eq!(told.text, "every slot is taken; 2 tasks are ready");
}

#[test]
fn a_lease_that_comes_back_takes_the_doubt_away() {
    let mut bench = Bench::new();
    let incarnation = bench.node("a", "", 1);
    let node = NodeId::new("a");
    bench.wait(6_000);
    bench.tell(Event::LeaseLost {
        node: node.clone(),
        incarnation,
    });
    bench.tell(Event::LeaseHeld {
        node: node.clone(),
        incarnation,
    });
    bench.wait(5_000);
    assert_eq!(bench.store.nodes[&node].state, NodeState::Suspect);
}
