//! Runs that are tried again by a person: their turn, and what is judged anew.

use super::*;
use assay_model::output::{Evaluation, MeasuredPartition};
use assay_model::partition::PartitionVersion;
use assay_model::task::{EvaluateMode, EvaluateSpec};

/// A day that is measured by one task and judged by another.
pub(super) fn one_day() -> Discovery {
    let partition = Partition::all();
    Discovery {
        measures: vec![MeasureSpec {
            queries: false,
            reading: None,
            partitions: vec![partition.clone()],
            batch: 1,
            batches: 1,
            slices: Vec::new(),
            bytes: 1,
        }],
        evaluations: vec![EvaluateSpec {
            partition,
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

pub(super) fn verdict() -> TaskOutput {
    TaskOutput::Evaluated(Box::new(Evaluation {
        partition: Partition::all(),
        version: PartitionVersion("v1".to_owned()),
        sealed: true,
        state: assay_model::ledger::LedgerState::Scanned,
        metrics: Vec::new(),
        counts: assay_model::outcome::OutcomeCounts::default(),
        results: Vec::new(),
        incidents: Vec::new(),
        outbox: Vec::new(),
        judged_at: Timestamp::UNIX_EPOCH,
    }))
}

pub(super) fn measured() -> TaskOutput {
    TaskOutput::Measured(vec![MeasuredPartition {
        partition: Partition::all().key,
        rows: 1,
        state: Vec::new(),
    }])
}

impl Bench {
    /// A run that is `partial`: its day could not be measured, and was judged all the same.
    fn judged_in_vain(&mut self) -> RunId {
        let run = self.submit("orders", "one");
        self.complete(run, 0, &TaskOutput::Discovered(one_day()));
        self.fail(run, 1, AttemptOutcome::Permanent);
        self.complete(run, 2, &verdict());
        assert_eq!(self.moved[&run], RunState::Partial);
        run
    }

    fn retry(&mut self, run: RunId) {
        let deadline_at = after(self.now, 3_600_000);
        self.tell(Event::RetryRun { run, deadline_at });
    }
}

#[test]
fn what_can_be_judged_goes_before_what_is_to_be_measured() {
    let mut bench = Bench::new();
    bench.node("a", "", 1);
    let day = one_day();
    let plan = Discovery {
        measures: vec![day.measures[0].clone(); 3],
        evaluations: day.evaluations,
        ..Discovery::default()
    };
    let run = bench.submit("orders", "one");
    bench.complete(run, 0, &TaskOutput::Discovered(plan));
    bench.complete(run, 1, &measured());
    let states = |bench: &Bench| [2, 3, 4].map(|no| bench.state(run, no));
    use TaskState::{Assigned, Ready, Succeeded};
    assert_eq!(states(&bench), [Ready, Ready, Assigned]);
    bench.complete(run, 4, &verdict());
    assert_eq!(states(&bench), [Assigned, Ready, Succeeded]);
}

#[test]
fn a_retried_run_succeeds_when_all_is_judged_again() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.judged_in_vain();
    bench.retry(run);
    assert_eq!(bench.state(run, 2), TaskState::Ready, "waits for its data");
    bench.complete(run, 1, &measured());
    assert_eq!(bench.moved[&run], RunState::Finalising);
    assert_eq!(bench.state(run, 2), TaskState::Assigned);
    bench.complete(run, 2, &verdict());
    assert_eq!(bench.moved[&run], RunState::Succeeded);
    assert_eq!(bench.store.evaluations.len(), 2, "one verdict per round");
}

#[test]
fn a_retried_run_waits_for_the_end_of_the_one_at_work() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.judged_in_vain();
    let other = bench.submit("orders", "two");
    assert_eq!(bench.store.runs[&other].state, RunState::Planning);
    bench.retry(run);
    assert_eq!(bench.store.runs[&run].state, RunState::Queued);
    assert_eq!(bench.state(run, 1), TaskState::Ready);
    bench.complete(other, 0, &TaskOutput::Discovered(Discovery::default()));
    assert_eq!(bench.moved[&other], RunState::Succeeded);
    assert_eq!(bench.store.runs[&run].state, RunState::Running);
    assert_eq!(bench.state(run, 1), TaskState::Assigned);
}

#[test]
fn a_retried_run_whose_turn_does_not_come_is_not_called_stale() {
    let mut bench = Bench::new();
    bench.node("a", "", 4);
    let run = bench.judged_in_vain();
    bench.store.runs.get_mut(&run).unwrap().slot = Some(bench.now);
    let other = bench.submit("orders", "two");
    let deadline_at = after(bench.now, 1_000);
    bench.tell(Event::RetryRun { run, deadline_at });
    bench.wait(2_000);
    assert_eq!(bench.state(run, 1), TaskState::Failed);
    assert_eq!(bench.moved[&run], RunState::Failed);
    assert_eq!(bench.store.runs[&other].state, RunState::Planning);
}
