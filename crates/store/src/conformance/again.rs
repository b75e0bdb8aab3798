//! What is promised of what happens again: runs that are tried again, incidents that come back.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::RunId;
use assay_model::incident::{IncidentStatus, OutboxEntry};
use assay_model::ledger::LedgerState;
use assay_model::outcome::Outcome;
use assay_model::output::TaskOutput;
use assay_model::partition::PartitionKey;
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, TaskState, WaitReason};

use super::Store;
use super::fixtures::{Bench, at, discovery, evaluation, measured, ok};
use super::results::incident;
use crate::error::StoreError;
use crate::port::ResultFilter;

const D20: &str = "2026-11-20";
const D21: &str = "2026-11-21";

fn retry(run: RunId) -> Change {
    Change::RetryRun {
        run,
        at: at(20),
        deadline_at: at(9000),
    }
}

fn moved(run: RunId, state: RunState) -> Change {
    Change::MoveRun {
        run,
        state,
        reason: None,
        at: at(9),
    }
}

fn judged(rows: i64, outcome: Outcome, seconds: i64) -> TaskOutput {
    let mut evaluation = evaluation(D20, "v1", rows, outcome);
    evaluation.judged_at = at(seconds);
    if outcome == Outcome::Error {
        evaluation.state = LedgerState::Sealed;
        evaluation.metrics.clear();
    }
    TaskOutput::Evaluated(Box::new(evaluation))
}

/// A run of two days: the first is measured in two batches, of which the second fails, so that it
/// is judged in vain; the second day is as it should be. Tasks 1 and 2 measure the first day, 3 the
/// second; 4 and 5 judge.
async fn half_measured(bench: &Bench) -> RunId {
    let mut plan = discovery(&[(D20, "v1"), (D21, "v1")]);
    plan.measures[0].batches = 2;
    let mut second = plan.measures[0].clone();
    second.batch = 2;
    plan.measures.insert(1, second);
    plan.evaluations[0].measured_by = vec![1, 2];
    plan.evaluations[1].measured_by = vec![3];
    let run = bench.planned_as("a", plan).await;
    bench.finish(run, 1, &measured(D20, b"first")).await;
    let token = bench.assign(run, 2, 1).await;
    let failed = bench.end(&token, AttemptOutcome::Permanent, TaskState::Failed);
    assert_eq!(bench.change(failed).await, Answer::Ok);
    bench.finish(run, 3, &measured(D21, b"whole")).await;
    bench.finish(run, 4, &judged(0, Outcome::Error, 100)).await;
    let good = evaluation(D21, "v1", 21, Outcome::Pass);
    let good = TaskOutput::Evaluated(Box::new(good));
    bench.finish(run, 5, &good).await;
    assert_eq!(
        bench.change(moved(run, RunState::Partial)).await,
        Answer::Ok
    );
    run
}

/// Does task `no` in its second attempt.
async fn finish_again(bench: &Bench, run: RunId, no: u32, attempt: u32, output: &TaskOutput) {
    let token = bench.assign(run, no, attempt).await;
    assert!(ok(bench.store.start(&token, at(21)).await).is_some());
    assert_eq!(bench.complete(&token, output).await, Answer::Ok);
    let again = bench.complete(&token, output).await;
    assert_eq!(again, Answer::Already);
}

/// What the run says, as (partition, outcome).
async fn told(bench: &Bench, run: RunId) -> Vec<(String, Outcome)> {
    let filter = ResultFilter {
        run: Some(run),
        superseded: true,
        limit: 100,
        ..ResultFilter::default()
    };
    let rows = ok(bench.store.results(bench.id(), &filter).await);
    let mut told: Vec<_> = rows
        .into_iter()
        .map(|row| (row.partition.key.0, row.result.outcome))
        .collect();
    told.sort();
    told
}

/// What failed is measured again, and what was judged without it is judged again: what had succeeded
/// stays. The verdict in vain is in force until then.
pub async fn a_retry_judges_again_what_could_not_be_measured(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = half_measured(&bench).await;
    assert_eq!(bench.change(retry(run)).await, Answer::Ok);
    let states: Vec<_> = bench.tasks(run).await.iter().map(|t| t.state).collect();
    use TaskState::{Ready, Succeeded};
    assert_eq!(
        states,
        [Succeeded, Succeeded, Ready, Succeeded, Ready, Succeeded]
    );
    let again = bench.task(run, 4).await;
    assert_eq!(again.wait, Some(WaitReason::Dependency));
    assert_eq!((again.attempt, again.charged), (1, 0));
    let broken = |key: &str| (key.to_owned(), Outcome::Error);
    let pass = |key: &str| (key.to_owned(), Outcome::Pass);
    assert_eq!(told(&bench, run).await, [broken(D20), pass(D21)]);
    finish_again(&bench, run, 2, 2, &measured(D20, b"second")).await;
    finish_again(&bench, run, 4, 2, &judged(20, Outcome::Pass, 200)).await;
    assert_eq!(told(&bench, run).await, [pass(D20), pass(D21)]);
    let sums = ok(bench.store.run_sums(&[run]).await);
    assert_eq!((sums[&run].partitions, sums[&run].counts.pass), (2, 2));
    assert_eq!(sums[&run].counts.error, 0);
    let verdicts = ok(bench.store.verdicts(bench.id(), None, 9).await);
    let first = &verdicts[0];
    assert_eq!((first.revision, first.counts.pass), (2, 1));
    let history = ok(bench.store.history(bench.id(), None, 9).await);
    assert_eq!(history[0].1.len(), 2, "the day has its value");
    let ledger = ok(bench.store.ledger(bench.id()).await);
    assert_eq!(ledger[0].state, LedgerState::Scanned);
    // All has succeeded: there is nothing to try again.
    assert_eq!(
        bench.change(moved(run, RunState::Succeeded)).await,
        Answer::Ok
    );
    assert_eq!(bench.change(retry(run)).await, Answer::Fenced);
}

/// The states of a partition that could not be measured whole wait for the rest; whatever is judged
/// in vain twice is judged a third time.
pub async fn what_was_measured_is_kept_until_the_rest_is(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = half_measured(&bench).await;
    let key = PartitionKey(D20.to_owned());
    for round in 2..=3 {
        assert_eq!(bench.change(retry(run)).await, Answer::Ok);
        let token = bench.assign(run, 2, round).await;
        let failed = bench.end(&token, AttemptOutcome::Permanent, TaskState::Failed);
        assert_eq!(bench.change(failed).await, Answer::Ok);
        finish_again(&bench, run, 4, round, &judged(0, Outcome::Error, 200)).await;
        assert_eq!(
            bench.change(moved(run, RunState::Partial)).await,
            Answer::Ok
        );
    }
    assert_eq!(bench.change(retry(run)).await, Answer::Ok);
    finish_again(&bench, run, 2, 4, &measured(D20, b"second")).await;
    let states = ok(bench.store.states(run, &key, &[1, 2]).await);
    assert_eq!(states, [(1, b"first".to_vec()), (2, b"second".to_vec())]);
    finish_again(&bench, run, 4, 4, &judged(20, Outcome::Pass, 300)).await;
    let merged = bench.store.states(run, &key, &[1, 2]).await;
    assert!(
        matches!(merged, Err(StoreError::NotFound { .. })),
        "{merged:?}"
    );
}

/// A run that comes back waits in the queue like any other.
pub async fn a_retried_run_takes_its_turn(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = half_measured(&bench).await;
    assert_eq!(bench.change(retry(run)).await, Answer::Ok);
    let found = ok(bench.store.run(run).await);
    assert_eq!(found.map(|run| run.state), Some(RunState::Queued));
    let loaded = bench.loaded(run).await;
    assert_eq!(loaded.run.state, RunState::Queued);
    assert!(loaded.planned, "it has its plan");
}

/// A run of an earlier definition that is tried again leaves the verdict of a later one in force, and
/// takes its place where it judged other content.
pub async fn an_earlier_definition_does_not_replace_a_later_one(store: Arc<dyn Store>) {
    let mut bench = Bench::new(store).await;
    let old = half_measured(&bench).await;
    let first = bench.dataset.clone();
    bench.dataset.version = "2.0.0".to_owned();
    ok(bench.store.put_definition(&bench.dataset).await);
    let fails = evaluation(D20, "v1", 20, Outcome::Fail);
    let new = bench.judged("b", fails).await;
    assert_eq!(bench.change(retry(old)).await, Answer::Ok);
    finish_again(&bench, old, 2, 2, &measured(D20, b"second")).await;
    let TaskOutput::Evaluated(mut late) = judged(20, Outcome::Pass, 300) else {
        panic!("not an evaluation");
    };
    late.incidents.push(incident(&bench, "rows_exist", D20, 1));
    finish_again(&bench, old, 4, 2, &TaskOutput::Evaluated(late)).await;
    let in_force = ok(bench.store.verdicts(bench.id(), None, 9).await);
    assert_eq!((in_force[0].run, in_force[0].counts.fail), (new, 1));
    assert!(ok(bench.store.incidents(None, false, 9).await).is_empty());
    let ledger = ok(bench.store.ledger(bench.id()).await);
    assert_eq!(
        (ledger[0].revision, ledger[0].state),
        (3, LedgerState::Scanned)
    );
    // The first definition is put again, and is the later one by that.
    ok(bench.store.put_definition(&first).await);
    bench.dataset = first;
    let third = bench
        .judged("c", evaluation(D20, "v1", 20, Outcome::Pass))
        .await;
    let in_force = ok(bench.store.verdicts(bench.id(), None, 9).await);
    assert_eq!((in_force[0].run, in_force[0].counts.pass), (third, 1));
}

/// The instant of its opening is that of the last one, in all its rows to come.
pub async fn an_incident_that_comes_back_is_opened_anew(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let story = [
        ("a", "v1", IncidentStatus::Open, 1),
        ("b", "v2", IncidentStatus::Resolved, 2),
        ("c", "v3", IncidentStatus::Open, 3),
        ("d", "v4", IncidentStatus::Open, 4),
    ];
    for (run, version, status, seconds) in story {
        let mut verdict = evaluation(D20, version, 0, Outcome::Fail);
        let mut one = incident(&bench, "rows_exist", D20, 1);
        one.status = status;
        one.opened_at = at(seconds);
        one.resolved_at = (status == IncidentStatus::Resolved).then(|| at(seconds));
        verdict.incidents.push(one);
        bench.judged(run, verdict).await;
    }
    let found = ok(bench.store.incidents(Some(bench.id()), true, 10).await);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].opened_at, at(3), "it came back then, and went on");
}

/// A message that follows another is left out where that one was never told.
pub async fn an_end_is_not_told_where_the_beginning_was_not(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let message = |key: &str, after: Option<&str>| OutboxEntry {
        key: key.to_owned(),
        event: "incident.resolved".to_owned(),
        dataset: bench.id().clone(),
        body: serde_json::json!({}),
        after: after.map(str::to_owned),
    };
    let mut first = evaluation(D20, "v1", 0, Outcome::Fail);
    first.outbox = vec![message("end of a", Some("a")), message("b", None)];
    let mut second = evaluation(D20, "v2", 0, Outcome::Fail);
    second.outbox = vec![message("end of b", Some("b")), message("c", Some("a"))];
    bench.judged("a", first).await;
    bench.judged("b", second).await;
    let waiting = ok(bench.store.outbox(10).await);
    let keys: Vec<_> = waiting.iter().map(|m| m.key.as_str()).collect();
    assert_eq!(keys, ["b", "end of b"]);
}
