//! What nodes say of their successes: a hint, on which nothing rests that the store does not confirm.

use super::retries::{measured, one_day, verdict};
use super::*;

impl Bench {
    /// A node says that an attempt has succeeded, and has committed nothing.
    fn lie(&mut self, run: RunId, no: u32) {
        let token = self.token(run, no);
        self.tell(Event::TaskFinished { token });
    }

    /// Long enough for what failed to be tried again, by a node that beats.
    fn rest(&mut self, name: &str) {
        for _ in 0..4 {
            self.beat(name);
            self.wait(2_500);
        }
    }

    fn charged(&self, run: RunId, no: u32) -> u32 {
        self.store.tasks[&TaskId { run, no }].charged
    }
}

#[test]
fn a_run_does_not_end_on_the_word_of_a_node() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.planned(3);
    bench.complete(run, 1, &measured());
    bench.lie(run, 2);
    bench.complete(run, 3, &measured());
    assert_eq!(bench.moved[&run], RunState::Running);
    assert_eq!(bench.last_outcome(run, 2), Some(AttemptOutcome::Retryable));
    let reason = bench.store.tasks[&TaskId { run, no: 2 }].reason.clone();
    assert!(reason.unwrap().contains("the store has no result"));
    bench.rest("a");
    assert_eq!(bench.charged(run, 2), 1);
    bench.complete(run, 2, &measured());
    assert_eq!(bench.moved[&run], RunState::Succeeded);
}

#[test]
fn nothing_is_judged_on_the_word_of_a_node() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.submit("orders", "one");
    bench.complete(run, 0, &TaskOutput::Discovered(one_day()));
    bench.lie(run, 1);
    assert_eq!(bench.state(run, 2), TaskState::Ready);
    assert_eq!(bench.last_outcome(run, 1), Some(AttemptOutcome::Retryable));
    bench.rest("a");
    bench.complete(run, 1, &measured());
    bench.wait(1_000);
    bench.complete(run, 2, &verdict());
    assert_eq!(bench.moved[&run], RunState::Succeeded);
}

#[test]
fn a_plan_that_is_only_said_to_be_there_is_looked_for_anew() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.submit("orders", "one");
    bench.lie(run, 0);
    assert_eq!(bench.last_outcome(run, 0), Some(AttemptOutcome::Retryable));
    bench.rest("a");
    bench.complete(run, 0, &TaskOutput::Discovered(one_day()));
    bench.wait(1_000);
    assert_eq!(bench.state(run, 1), TaskState::Assigned);
}

#[test]
fn a_cancelled_run_ends_after_what_was_only_said_to_have_ended() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.planned(2);
    bench.lie(run, 1);
    let reason = "by the test".to_owned();
    bench.tell(Event::CancelRun { run, reason });
    assert_eq!(bench.moved[&run], RunState::Cancelled);
    for no in 1..=2 {
        assert_eq!(bench.state(run, no), TaskState::Cancelled);
    }
}

#[test]
fn a_failure_that_the_store_has_taken_stands_against_a_later_word() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.planned(2);
    let (core, store, now) = (&mut bench.core, &mut bench.store, bench.now);
    let task = TaskId { run, no: 1 };
    let token = AttemptToken {
        task,
        attempt: 1,
        nonce: store.tasks[&task].nonce.unwrap(),
    };
    let failure = TaskFailure {
        outcome: AttemptOutcome::Permanent,
        message: "as the test wants".to_owned(),
    };
    let commands = core.handle(now, Event::TaskFailed { token, failure });
    // While the commit of it is under way.
    let told = core.handle(now, Event::TaskFinished { token });
    assert!(told.iter().all(|c| matches!(c, Command::Count { .. })));
    bench.carry_out(commands);
    bench.complete(run, 2, &measured());
    assert_eq!(bench.moved[&run], RunState::Failed);
}

#[test]
fn a_success_that_is_told_while_the_rows_are_read_stands() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.planned(2);
    // Its word of a failure comes after the store has its result: the rows are read.
    bench.reads = Some(Vec::new());
    let token = bench.token(run, 1);
    let done = bench.store.complete(&token, &measured(), bench.now);
    assert_eq!(done, Answer::Ok);
    let failure = TaskFailure {
        outcome: AttemptOutcome::Retryable,
        message: "its answer was lost".to_owned(),
    };
    bench.tell(Event::TaskFailed { token, failure });
    let old = bench.reads.take().unwrap();
    assert_eq!(old.len(), 1);
    bench.complete(run, 2, &measured());
    for rows in old {
        bench.tell(rows);
    }
    assert_eq!(bench.moved[&run], RunState::Succeeded);
    assert_eq!((bench.charged(run, 1), bench.charged(run, 2)), (0, 0));
    assert_eq!(bench.last_outcome(run, 2), Some(AttemptOutcome::Ok));
}
