//! What is promised of a task that judges several partitions.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::{RunId, TaskId};
use assay_model::ledger::LedgerState;
use assay_model::outcome::Outcome;
use assay_model::output::TaskOutput;
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, EvaluateManySpec, Task, TaskSpec, TaskState};

use super::Store;
use super::fixtures::{Bench, at, discovery, evaluation, measured, ok};
use crate::error::StoreError;

const DAYS: [&str; 3] = ["2026-11-20", "2026-11-21", "2026-11-22"];

/// A run of three days, each measured by a task (1 to 3) and all judged by one (4).
async fn planned(bench: &Bench) -> RunId {
    let plan = discovery(&DAYS.map(|day| (day, "v1")));
    let run = bench.submit("together").await;
    bench
        .finish(run, 0, &TaskOutput::Discovered(plan.clone()))
        .await;
    let measures = plan.measures.iter().cloned().map(TaskSpec::Measure);
    let judge = TaskSpec::EvaluateMany(EvaluateManySpec {
        of: plan.evaluations.clone(),
        measured_by: vec![1, 2, 3],
    });
    let specs = measures.map(|spec| (spec, Vec::new()));
    let specs = specs.chain([(judge, vec![1, 2, 3])]);
    let tasks = (1_u32..)
        .zip(specs)
        .map(|(no, (spec, needs))| Task::new(TaskId { run, no }, spec, needs))
        .collect();
    let answer = bench.change(Change::PlanRun { run, tasks }).await;
    assert_eq!(answer, Answer::Ok);
    run
}

fn together(days: &[&str], rows: i64) -> TaskOutput {
    let each = (0_i64..).zip(days);
    TaskOutput::EvaluatedMany(
        each.map(|(n, day)| evaluation(day, "v1", rows + n, Outcome::Pass))
            .collect(),
    )
}

async fn row_counts(bench: &Bench) -> Vec<(String, String)> {
    let history = ok(bench.store.history(bench.id(), None, 100).await);
    let points = history.into_iter().flat_map(|(_, points)| points);
    points
        .map(|p| (p.partition.key.to_string(), p.value.to_string()))
        .collect()
}

/// Each partition has its verdict, its values and its place in the ledger, as if it were judged alone;
/// states are merged, and a repeat changes nothing.
pub async fn a_task_leaves_a_verdict_on_each_of_its_partitions(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench).await;
    for (no, day) in (1..).zip(DAYS) {
        bench.finish(run, no, &measured(day, b"state")).await;
    }
    assert_eq!(ok(bench.store.unjudged(run).await), (5, 3));
    let output = together(&DAYS, 10);
    let token = bench.assign(run, 4, 1).await;
    assert!(ok(bench.store.start(&token, at(2)).await).is_some());
    assert_eq!(bench.complete(&token, &output).await, Answer::Ok);
    assert_eq!(bench.complete(&token, &output).await, Answer::Already);
    assert_eq!(ok(bench.store.unjudged(run).await), (5, 0));
    let rows = |n: usize, count: &str| (DAYS[n].to_owned(), count.to_owned());
    let expected = [rows(0, "10"), rows(1, "11"), rows(2, "12")];
    assert_eq!(row_counts(&bench).await, expected);
    let verdicts = ok(bench.store.verdicts(bench.id(), None, 9).await);
    let seen: Vec<_> = verdicts.iter().map(|v| (v.revision, v.run)).collect();
    assert_eq!(seen, [(1, run); 3]);
    let ledger = ok(bench.store.ledger(bench.id()).await);
    assert!(ledger.iter().all(|e| e.state == LedgerState::Scanned));
    let sums = ok(bench.store.run_sums(&[run]).await);
    assert_eq!((sums[&run].partitions, sums[&run].counts.pass), (3, 3));
    for (no, day) in (1..).zip(DAYS) {
        let key = assay_model::partition::PartitionKey(day.to_owned());
        let merged = bench.store.states(run, &key, &[no]).await;
        assert!(matches!(merged, Err(StoreError::NotFound { .. })));
    }
}

/// A verdict that is missing, on another partition or on another version is refused with all others.
pub async fn verdicts_that_are_not_those_of_the_task_are_refused_together(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench).await;
    for (no, day) in (1..).zip(DAYS) {
        bench.finish(run, no, &measured(day, b"state")).await;
    }
    let token = bench.assign(run, 4, 1).await;
    let alone = evaluation(DAYS[0], "v1", 10, Outcome::Pass);
    let mut other = vec![alone.clone(); 3];
    other[1] = evaluation(DAYS[1], "v2", 10, Outcome::Pass);
    other[2] = evaluation(DAYS[2], "v1", 10, Outcome::Pass);
    for bad in [
        together(&DAYS[..2], 10),
        together(&[DAYS[1], DAYS[0], DAYS[2]], 10),
        TaskOutput::EvaluatedMany(other),
        TaskOutput::EvaluatedMany(Vec::new()),
        TaskOutput::Evaluated(Box::new(alone)),
    ] {
        let refused = bench.store.complete(&token, &bad, at(3)).await;
        assert!(
            matches!(refused, Err(StoreError::Refused { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(bench.task(run, 4).await.state, TaskState::Assigned);
    assert!(ok(bench.store.verdicts(bench.id(), None, 9).await).is_empty());
    assert_eq!(
        bench.complete(&token, &together(&DAYS, 10)).await,
        Answer::Ok
    );
}

/// Where one partition could not be measured, the states of all that were judged with it are kept: a
/// retry judges all of them again.
pub async fn a_retry_judges_again_what_was_judged_together(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench).await;
    bench.finish(run, 1, &measured(DAYS[0], b"first")).await;
    let token = bench.assign(run, 2, 1).await;
    let failed = bench.end(&token, AttemptOutcome::Permanent, TaskState::Failed);
    assert_eq!(bench.change(failed).await, Answer::Ok);
    bench.finish(run, 3, &measured(DAYS[2], b"third")).await;
    bench.finish(run, 4, &together(&DAYS, 10)).await;
    let key = |n: usize| assay_model::partition::PartitionKey(DAYS[n].to_owned());
    let kept = ok(bench.store.states(run, &key(0), &[1]).await);
    assert_eq!(kept, [(1, b"first".to_vec())]);
    let ended = Change::MoveRun {
        run,
        state: RunState::Partial,
        reason: Some("a day is missing".to_owned()),
        at: at(10),
    };
    assert_eq!(bench.change(ended).await, Answer::Ok);
    let retry = Change::RetryRun {
        run,
        at: at(20),
        deadline_at: at(4000),
    };
    assert_eq!(bench.change(retry).await, Answer::Ok);
    let states: Vec<_> = bench.tasks(run).await.iter().map(|t| t.state).collect();
    use TaskState::{Ready, Succeeded};
    assert_eq!(states, [Succeeded, Succeeded, Ready, Succeeded, Ready]);
    for (no, output) in [(2, measured(DAYS[1], b"second")), (4, together(&DAYS, 20))] {
        let token = bench.assign(run, no, 2).await;
        assert!(ok(bench.store.start(&token, at(21)).await).is_some());
        assert_eq!(bench.complete(&token, &output).await, Answer::Ok);
    }
    let rows = |n: usize, count: &str| (DAYS[n].to_owned(), count.to_owned());
    let expected = [rows(0, "20"), rows(1, "21"), rows(2, "22")];
    assert_eq!(row_counts(&bench).await, expected);
    let sums = ok(bench.store.run_sums(&[run]).await);
    assert_eq!(sums[&run].partitions, 3, "what each task said last");
    let merged = bench.store.states(run, &key(0), &[1]).await;
    assert!(matches!(merged, Err(StoreError::NotFound { .. })));
}
