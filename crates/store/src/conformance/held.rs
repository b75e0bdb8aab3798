//! What is promised of runs of many tasks: a leader holds few of them, a plan comes in pages.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::{RunId, TaskId};
use assay_model::outcome::Outcome;
use assay_model::output::{Discovery, TaskOutput};
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, Task, TaskState};
use assay_model::unfinished::{MoreTasks, PLAN_PAGE, TasksHeld, TasksRead};

use super::Store;
use super::fixtures::{Bench, at, discovery, evaluation, measured, ok};

const DAY: &str = "2026-11-20";

/// A plan of `count` measurements of one day, and its judgement.
fn wide(count: u32) -> Discovery {
    let mut plan = discovery(&[(DAY, "v1")]);
    let one = plan.measures.remove(0);
    for batch in 1..=count {
        let mut measure = one.clone();
        (measure.batch, measure.batches) = (batch, count);
        plan.measures.push(measure);
    }
    plan.evaluations[0].measured_by = (1..=count).collect();
    plan.notices = vec!["it is a wide one".to_owned()];
    plan
}

async fn discovered(bench: &Bench, key: &str, plan: &Discovery) -> RunId {
    let run = bench.submit(key).await;
    let output = TaskOutput::Discovered(plan.clone());
    bench.finish(run, 0, &output).await;
    run
}

async fn planned(bench: &Bench, key: &str, plan: &Discovery) -> RunId {
    let run = discovered(bench, key, plan).await;
    let tasks = plan.tasks(run).collect();
    assert_eq!(
        bench.change(Change::PlanRun { run, tasks }).await,
        Answer::Ok
    );
    run
}

fn numbers(tasks: &[Task]) -> Vec<u32> {
    tasks.iter().map(|task| task.id.no).collect()
}

/// Of a run: the discovery, all at work, the first ones of those that are ready; of those that ended
/// what they came to.
pub async fn a_leader_holds_what_is_at_work_and_the_first_of_what_waits(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench, "a", &wide(9)).await;
    bench.finish(run, 1, &measured(DAY, b"state")).await;
    let token = bench.assign(run, 3, 1).await;
    let end = bench.end(&token, AttemptOutcome::Permanent, TaskState::Failed);
    assert_eq!(bench.change(end).await, Answer::Ok);
    assert_eq!(bench.change(bench.given_up(run, 5)).await, Answer::Ok);
    bench.assign(run, 8, 1).await;
    let held = TasksHeld { max: 2, per_run: 2 };
    let found = ok(bench.store.load(bench.epoch, held).await);
    assert_eq!(found.runs.len(), 1);
    let rows = &found.runs[0];
    assert_eq!(numbers(&rows.tasks), [0, 2, 4, 8]);
    assert_eq!((rows.planned, rows.there), (true, 10));
    let states = [
        TaskState::Succeeded,
        TaskState::Failed,
        TaskState::Cancelled,
    ];
    for state in states {
        assert_eq!(rows.ended.by_state.get(&state), Some(&1), "{state}");
    }
    assert_eq!((rows.ended.count(), rows.ended.judged), (3, 0));
    let why = Some("it did not go well".to_owned());
    assert_eq!(rows.ended.first, Some((3, TaskState::Failed, why)));
    let alone = ok(bench.store.unfinished_run(run, 2).await);
    assert_eq!(alone.as_ref(), Some(rows));
}

/// What judges counts as judged once it has succeeded; tasks that wait are read a few at a time.
pub async fn more_tasks_come_in_the_order_of_the_plan(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench, "a", &wide(5)).await;
    bench.finish(run, 2, &measured(DAY, b"state")).await;
    let more = |after, most| MoreTasks {
        run,
        after,
        most,
        believed: vec![2],
    };
    let read = ok(bench.store.more_tasks(&more(0, 2)).await);
    assert_eq!((numbers(&read.tasks), read.unended), (vec![1, 3], vec![]));
    let read = ok(bench.store.more_tasks(&more(3, 9)).await);
    assert_eq!(numbers(&read.tasks), [4, 5, 6]);
    assert_eq!(read.tasks[2].depends_on, [1, 2, 3, 4, 5]);
    let read = ok(bench.store.more_tasks(&more(6, 9)).await);
    assert_eq!(read, TasksRead::default());
    for no in [1, 3, 4, 5] {
        bench.finish(run, no, &measured(DAY, b"state")).await;
    }
    let verdict = evaluation(DAY, "v1", 50, Outcome::Pass);
    bench
        .finish(run, 6, &TaskOutput::Evaluated(Box::new(verdict)))
        .await;
    let rows = bench.loaded(run).await;
    assert_eq!((rows.ended.count(), rows.ended.judged), (6, 1));
    assert_eq!(numbers(&rows.tasks), [0]);
}

/// Of tasks that are believed to have ended, those that have not are told.
pub async fn a_word_that_is_not_true_is_found_out(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench, "a", &wide(4)).await;
    bench.finish(run, 1, &measured(DAY, b"state")).await;
    bench.assign(run, 3, 1).await;
    let asked = MoreTasks {
        run,
        after: 4,
        most: 1,
        believed: vec![1, 2, 3],
    };
    let read = ok(bench.store.more_tasks(&asked).await);
    assert_eq!((numbers(&read.tasks), read.unended), (vec![5], vec![2, 3]));
}

/// A plan that is longer than a page comes back page by page, whole and in order, and its remarks with it.
pub async fn a_long_plan_is_kept_in_pages(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let plan = wide(PLAN_PAGE * 2);
    let run = discovered(&bench, "a", &plan).await;
    let task = TaskId { run, no: 0 };
    let mut read: Vec<Task> = Vec::new();
    loop {
        let from = u32::try_from(read.len()).expect("a few") + 1;
        let page = ok(bench.store.plan_page(task, from).await).expect("a page");
        assert!(page.tasks.len() <= PLAN_PAGE as usize);
        read.extend(page.tasks);
        if page.is_last {
            break;
        }
    }
    assert_eq!(read, plan.tasks(run).collect::<Vec<_>>());
    let middle = ok(bench.store.plan_page(task, PLAN_PAGE + 7).await).expect("a page");
    assert_eq!(middle.tasks.first().map(|t| t.id.no), Some(PLAN_PAGE + 7));
    let remarks = ok(bench.store.remarks(run, 1).await);
    assert_eq!(remarks.notices, ["it is a wide one"]);
    let none = TaskId { run, no: 1 };
    assert_eq!(ok(bench.store.plan_page(none, 1).await), None);
}

/// Parts follow one another; the run has its plan with the last one.
pub async fn a_plan_is_written_part_by_part(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let plan = wide(5);
    let run = discovered(&bench, "a", &plan).await;
    let tasks: Vec<Task> = plan.tasks(run).collect();
    let part = |from: usize, to: usize| Change::PlanPart {
        run,
        tasks: tasks[from..to].to_vec(),
    };
    let whole = |from: usize| Change::PlanRun {
        run,
        tasks: tasks[from..].to_vec(),
    };
    let answers = bench
        .commit(&[part(2, 4), part(0, 2), part(0, 2), whole(3), whole(0)])
        .await;
    let expected = [
        Answer::Fenced,
        Answer::Ok,
        Answer::Already,
        Answer::Fenced,
        Answer::Fenced,
    ];
    assert_eq!(answers, expected);
    let rows = bench.loaded(run).await;
    assert_eq!((rows.planned, rows.there), (false, 2));
    assert_eq!(rows.run.planned_tasks, 0);
    let answers = bench
        .commit(&[part(2, 4), whole(4), part(2, 4), whole(4)])
        .await;
    let expected = [Answer::Ok, Answer::Ok, Answer::Already, Answer::Already];
    assert_eq!(answers, expected);
    let rows = bench.loaded(run).await;
    assert_eq!(
        (rows.planned, rows.there, rows.run.planned_tasks),
        (true, 6, 6)
    );
    assert_eq!(rows.tasks[1..], tasks);
}

/// Whoever believes that all is done: a part of a plan is not the whole.
pub async fn a_run_with_a_part_of_its_plan_does_not_succeed(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let plan = wide(2);
    let run = discovered(&bench, "a", &plan).await;
    let tasks = plan.tasks(run).take(1).collect();
    assert_eq!(
        bench.change(Change::PlanPart { run, tasks }).await,
        Answer::Ok
    );
    bench.finish(run, 1, &measured(DAY, b"state")).await;
    let end = |state| Change::MoveRun {
        run,
        state,
        reason: None,
        at: at(9),
    };
    let ends = [RunState::Succeeded, RunState::Partial, RunState::Cancelled];
    let answers = bench.commit(&ends.map(end)).await;
    assert_eq!(answers, [Answer::Fenced, Answer::Fenced, Answer::Ok]);
}

/// What of a run has no verdict is counted where the store is: nobody has to read all of its tasks.
pub async fn what_has_no_verdict_is_counted(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench, "a", &wide(2)).await;
    let counted = async || ok(bench.store.unjudged(run).await);
    assert_eq!(counted().await, (4, 1));
    for no in [1, 2] {
        bench.finish(run, no, &measured(DAY, b"state")).await;
    }
    assert_eq!(counted().await, (4, 1), "measured is not judged");
    let verdict = evaluation(DAY, "v1", 50, Outcome::Pass);
    bench
        .finish(run, 3, &TaskOutput::Evaluated(Box::new(verdict)))
        .await;
    assert_eq!(counted().await, (4, 0));
    let unknown = RunId(uuid::Uuid::nil());
    assert_eq!(ok(bench.store.unjudged(unknown).await), (0, 0));
}

/// Of some tasks of a run the first that did not succeed is told, and why, whatever else the run has.
pub async fn the_first_of_some_that_did_not_succeed_is_told(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = planned(&bench, "a", &wide(6)).await;
    bench.finish(run, 1, &measured(DAY, b"state")).await;
    for no in [5, 3] {
        let token = bench.assign(run, no, 1).await;
        let end = bench.end(&token, AttemptOutcome::Permanent, TaskState::Failed);
        assert_eq!(bench.change(end).await, Answer::Ok);
    }
    let first = async |of: &[u32]| ok(bench.store.unsuccessful(run, of).await);
    let failed = |no: u32| {
        let why = Some("it did not go well".to_owned());
        Some((no, TaskState::Failed, why))
    };
    assert_eq!(first(&[5, 1, 3]).await, failed(3));
    assert_eq!(first(&[1, 5]).await, failed(5));
    assert_eq!(first(&[1]).await, None);
    assert_eq!(first(&[]).await, None);
}
