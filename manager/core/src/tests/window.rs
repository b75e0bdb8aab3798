//! A run of many tasks: few of them are held, all of them are done.

use assay_model::output::TaskOutput;
use assay_model::task::{TaskKind, WaitReason};
use assay_model::unfinished::TasksHeld;

use super::*;

const HELD: TasksHeld = TasksHeld {
    max: 48,
    per_run: 16,
};

impl Bench {
    /// A leader that holds few tasks, of a store whose plans have short pages.
    fn of_few() -> Self {
        let mut bench = Self::new();
        bench.store.plan_page = 100;
        bench.few_held();
        bench
    }

    /// Another leader takes over; it holds few tasks, too.
    fn few_held(&mut self) {
        let epoch = self.store.mint_epoch();
        let snapshot = self.store.load(epoch, HELD).unwrap();
        let config = Config {
            tasks_held: HELD,
            ..Config::default()
        };
        let ids = Box::new(SeededIds::new(9));
        let (core, commands) = Core::new(epoch, config, ids, snapshot, self.now);
        self.core = core;
        self.carry_out(commands);
    }

    /// A node comes back with all that the rows give to it.
    fn hello(&mut self, name: &str) {
        let id = NodeId::new(name);
        let mine = self.store.tasks.values();
        let mine = mine.filter(|t| t.node.as_ref() == Some(&id)).map(|t| t.id);
        let mine: Vec<TaskId> = mine.collect();
        self.tell(Event::NodeHello {
            node: Box::new(self.store.nodes[&id].clone()),
            registered: false,
            held: mine.iter().map(|id| self.token(id.run, id.no)).collect(),
        });
    }

    /// Ends what is at work, and gives how many that were.
    fn finish_all(&mut self) -> usize {
        let open = self.store.tasks.values().filter(|t| t.nonce.is_some());
        let open: Vec<(RunId, u32, TaskKind)> =
            open.map(|t| (t.id.run, t.id.no, t.spec.kind())).collect();
        for &(run, no, kind) in &open {
            assert_eq!(kind, TaskKind::Measure);
            self.complete(run, no, &TaskOutput::Measured(Vec::new()));
            let held = self.core.tasks_held();
            assert!(held <= HELD.max + HELD.per_run, "{held} tasks are held");
        }
        open.len()
    }
}

#[test]
fn a_run_of_many_tasks_is_done_while_few_of_them_are_held() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.planned(2_150);
    assert_eq!(bench.store.runs[&run].planned_tasks, 2_150);
    let mut done = 0;
    while done < 2_150 {
        let ended = bench.finish_all();
        assert!(ended > 0, "nothing is at work after {done} tasks");
        done += ended;
    }
    assert_eq!(bench.moved[&run], RunState::Succeeded);
}

#[test]
fn what_is_not_held_is_counted_and_says_why_it_waits() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.planned(500);
    bench.finish_all();
    let view = bench.core.view();
    let counts = &view.runs[0].tasks;
    assert_eq!(counts[&TaskState::Succeeded], 9, "with the discovery");
    assert_eq!(counts[&TaskState::Assigned], 8);
    assert_eq!(counts[&TaskState::Ready], 500 - 16);
    assert_eq!(view.queue_depth, 500 - 16);
    let told = bench.core.explain(TaskId { run, no: 400 }).unwrap();
    assert_eq!(told.state, TaskState::Ready);
    assert_eq!(told.wait, Some(WaitReason::NoCapacity));
    assert!(told.text.contains("its turn in the plan"), "{}", told.text);
    assert_eq!(bench.core.explain(TaskId { run, no: 3 }), None, "it ended");
    assert_eq!(bench.core.explain(TaskId { run, no: 501 }), None);
}

#[test]
fn what_waits_for_other_tasks_is_no_backlog_wherever_it_is() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.submit("orders", "one");
    // Partitions of one series are judged one after another.
    let mut found = super::retries::one_day();
    let mut one = found.evaluations.remove(0);
    one.measured_by = Vec::new();
    found.measures.clear();
    found.evaluations = vec![one; 200];
    bench.complete(run, 0, &TaskOutput::Discovered(found));
    assert_eq!(bench.state(run, 1), TaskState::Assigned);
    let view = bench.core.view();
    assert_eq!(view.runs[0].tasks[&TaskState::Ready], 199);
    assert!(view.queue_depth < 8, "{} could start", view.queue_depth);
}

#[test]
fn a_new_leader_goes_on_where_the_last_one_was() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.planned(700);
    let mut done = 0;
    while done < 700 {
        done += bench.finish_all();
        bench.few_held();
        bench.hello("a");
    }
    assert_eq!(done, 700);
    assert_eq!(bench.moved[&run], RunState::Succeeded);
    let tried = bench.store.attempts.values().map(Vec::len).max();
    assert_eq!(tried, Some(1), "each was tried once");
}

#[test]
fn a_leader_that_died_in_the_middle_of_a_plan_is_followed_by_one_that_ends_it() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.submit("orders", "one");
    // The plan of 250 tasks goes on from its first page.
    let found = batches(250);
    let token = bench.token(run, 0);
    let output = TaskOutput::Discovered(found);
    assert_eq!(bench.store.complete(&token, &output, bench.now), Answer::Ok);
    let task = TaskId { run, no: 0 };
    let first = bench.store.plan_page(task, 1).unwrap();
    assert!(!first.is_last);
    let part = Change::PlanPart {
        run,
        tasks: first.tasks,
    };
    let epoch = bench.store.epoch();
    let answer = |bench: &mut Bench, part: &Change| {
        bench
            .store
            .commit(epoch, std::slice::from_ref(part))
            .unwrap()
    };
    assert_eq!(answer(&mut bench, &part), [Answer::Ok]);
    assert_eq!(answer(&mut bench, &part), [Answer::Already]);
    bench.few_held();
    bench.hello("a");
    assert_eq!(bench.store.runs[&run].planned_tasks, 250);
    let mut done = 0;
    while done < 250 {
        done += bench.finish_all();
    }
    assert_eq!(bench.moved[&run], RunState::Succeeded);
}

#[test]
fn a_run_that_ends_with_a_part_of_its_plan_fails_whatever_of_it_was_judged() {
    let mut bench = Bench::of_few();
    bench.store.plan_page = 2;
    bench.node("a", "", 8);
    let run = bench.submit("orders", "one");
    // A day that is measured and judged, and another one that is on the next page.
    let mut found = super::retries::one_day();
    let mut other = found.evaluations[0].clone();
    other.measured_by = Vec::new();
    found.evaluations.push(other);
    let token = bench.token(run, 0);
    let output = TaskOutput::Discovered(found);
    assert_eq!(bench.store.complete(&token, &output, bench.now), Answer::Ok);
    let first = bench.store.plan_page(TaskId { run, no: 0 }, 1).unwrap();
    assert!(!first.is_last);
    let part = Change::PlanPart {
        run,
        tasks: first.tasks,
    };
    let epoch = bench.store.epoch();
    assert_eq!(bench.store.commit(epoch, &[part]).unwrap(), [Answer::Ok]);
    // The rest of the plan cannot be read any more.
    bench.store.discoveries.clear();
    let deadline_at = after(bench.now, 5_000);
    bench.store.runs.get_mut(&run).unwrap().deadline_at = deadline_at;
    bench.few_held();
    bench.hello("a");
    bench.fail(run, 1, AttemptOutcome::Permanent);
    bench.complete(run, 2, &super::retries::verdict());
    bench.wait(6_000);
    assert_eq!(bench.moved[&run], RunState::Failed);
}

#[test]
fn a_run_of_many_tasks_that_is_cancelled_ends_all_of_them() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.planned(900);
    bench.finish_all();
    let reason = "not wanted".to_owned();
    bench.tell(Event::CancelRun { run, reason });
    assert_eq!(bench.moved[&run], RunState::Cancelled);
    let states = bench.store.tasks.values().map(|task| task.state);
    let cancelled = states.filter(|s| *s == TaskState::Cancelled).count();
    assert_eq!(cancelled, 900 - 8);
}

#[test]
fn a_failed_task_of_many_makes_the_run_fail_and_is_named() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.planned(300);
    bench.fail(run, 3, AttemptOutcome::Permanent);
    while !bench.moved[&run].is_terminal() {
        assert!(bench.finish_all() > 0);
    }
    assert_eq!(bench.moved[&run], RunState::Failed);
    let reason = bench.store.runs[&run].reason.clone().unwrap();
    assert!(reason.starts_with("1 of 301 tasks"), "{reason}");
    assert!(reason.contains("task 3 (failed)"), "{reason}");
}

#[test]
fn a_success_that_was_told_and_is_not_in_the_rows_is_found_out_while_the_run_goes_on() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.planned(400);
    let liar = bench.token(run, 2);
    bench.tell(Event::TaskFinished { token: liar });
    assert_eq!(bench.state(run, 2), TaskState::Assigned, "in the rows");
    let mut rounds = 0;
    while bench.last_outcome(run, 2).is_none() {
        let open = bench.store.tasks.values().filter(|t| t.nonce.is_some());
        let open: Vec<u32> = open.map(|t| t.id.no).filter(|no| *no != 2).collect();
        for no in open {
            bench.complete(run, no, &TaskOutput::Measured(Vec::new()));
        }
        rounds += 1;
        assert!(rounds < 40, "the whole run went by");
    }
    assert_eq!(bench.last_outcome(run, 2), Some(AttemptOutcome::Retryable));
    assert!(!bench.moved[&run].is_terminal());
}

#[test]
fn what_a_retried_run_holds_since_a_reload_is_forgiven_its_earlier_attempts() {
    let mut bench = Bench::of_few();
    bench.node("a", "", 8);
    let run = bench.planned(100);
    // As of a run that is tried again: what waits in the store was tried before.
    let last = TaskId { run, no: 100 };
    assert!(!bench.core.runs[&run].tasks.contains_key(&last.no));
    bench.store.tasks.get_mut(&last).unwrap().attempt = 3;
    bench.core.runs.get_mut(&run).unwrap().forgives = true;
    bench.reads = Some(Vec::new());
    bench.core.reload(run);
    let commands = std::mem::take(&mut bench.core.out);
    bench.carry_out(commands);
    bench.reads = None;
    let rows = bench.store.rows_of(run, 100).map(Box::new);
    bench.tell(Event::RunLoaded { run, rows });
    let held = &bench.core.runs[&run].tasks;
    assert_eq!((held[&100].task.attempt, held[&100].forgiven), (3, 3));
    assert_eq!(held[&100].uncharged(), 0);
    // What was held before keeps what it has used since.
    assert_eq!((held[&1].task.attempt, held[&1].forgiven), (1, 0));
}
