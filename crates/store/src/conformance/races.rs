//! What is promised when many callers come at once, and when some of them go away.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::output::{Discovery, TaskOutput};
use assay_model::task::{AttemptOutcome, TaskState};

use super::Store;
use super::fixtures::{ALL, Bench, at, ok};

/// Runs the futures at the same time.
async fn all<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::with_capacity(tasks.len());
    for task in tasks {
        done.push(ok(task.await));
    }
    done
}

fn count(answers: &[Answer], wanted: Answer) -> usize {
    answers.iter().filter(|a| **a == wanted).count()
}

/// Sixteen assignments of one task: one is made.
pub async fn one_of_many_assignments_wins(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let answers = all((0..16).map(|_| {
        let bench = bench.clone();
        async move {
            let (_, assign) = bench.assignment(run, 0, 1);
            bench.change(assign).await
        }
    }))
    .await;
    assert_eq!(count(&answers, Answer::Ok), 1);
    assert_eq!(count(&answers, Answer::Fenced), 15);
    assert_eq!(ok(bench.store.tasks(run).await)[0].1.len(), 1);
}

/// Sixteen completions of one attempt: one is made.
pub async fn one_of_many_completions_wins(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let answers = all((0..16).map(|_| {
        let bench = bench.clone();
        async move {
            let output = TaskOutput::Discovered(Discovery::default());
            bench.complete(&token, &output).await
        }
    }))
    .await;
    assert_eq!(count(&answers, Answer::Ok), 1);
    assert_eq!(count(&answers, Answer::Already), 15);
}

/// A result and its time-out: one of them stands.
pub async fn a_completion_and_an_end_exclude_each_other(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    for key in 0..16 {
        let run = bench.submit(&format!("run {key}")).await;
        let token = bench.assign(run, 0, 1).await;
        let (a, b) = (bench.clone(), bench.clone());
        let complete = tokio::spawn(async move {
            let output = TaskOutput::Discovered(Discovery::default());
            a.complete(&token, &output).await
        });
        let end = tokio::spawn(async move {
            let end = b.end(&token, AttemptOutcome::TimedOut, TaskState::Ready);
            b.change(end).await
        });
        let answers = [ok(complete.await), ok(end.await)];
        assert_eq!(count(&answers, Answer::Ok), 1, "{answers:?}");
        let plan = ok(bench.store.plan_page(token.task, 1).await);
        assert_eq!(plan.is_some(), answers[0] == Answer::Ok);
    }
}

/// However many are elected, each epoch has one holder.
pub async fn leaders_that_are_elected_at_once_get_different_epochs(store: Arc<dyn Store>) {
    let mut epochs = all((0..16).map(|n| {
        let store = Arc::clone(&store);
        async move { ok(store.mint_epoch(&format!("manager-{n}")).await) }
    }))
    .await;
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), 16);
    let newest = epochs[15];
    for old in &epochs[..15] {
        assert!(store.load(*old, ALL).await.is_err());
    }
    ok(store.load(newest, ALL).await);
}

/// Sixteen plans of one run: one is made, whole.
pub async fn one_of_many_plans_wins(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let plan = super::fixtures::discovery(&[("2026-11-20", "v1"), ("2026-11-21", "v1")]);
    let tasks = super::fixtures::tasks(run, &plan);
    let answers = all((0..16).map(|_| {
        let (bench, tasks) = (bench.clone(), tasks.clone());
        async move { bench.change(Change::PlanRun { run, tasks }).await }
    }))
    .await;
    assert_eq!(count(&answers, Answer::Ok), 1);
    assert_eq!(count(&answers, Answer::Already), 15);
    assert_eq!(bench.tasks(run).await.len(), 5);
}

/// Callers that are dropped at any moment leave no transaction open behind them.
pub async fn callers_that_go_away_leave_a_working_store(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut runs = Vec::new();
    for n in 0..200_u64 {
        let run = bench.run_of(&format!("run {n}"), 0);
        runs.push(run.id);
        let caller = bench.clone();
        let task = tokio::spawn(async move {
            let run = caller.submission(&run);
            caller.store.commit(caller.epoch, &[run]).await.is_ok()
        });
        for _ in 0..n % 7 {
            tokio::task::yield_now().await;
        }
        task.abort();
        // Whether it was cancelled or had finished, the store goes on.
        let _ = task.await;
    }
    let last = bench.submit("the last").await;
    let token = bench.assign(last, 0, 1).await;
    assert!(ok(bench.store.start(&token, at(2)).await).is_some());
    let found = ok(bench.store.load(bench.epoch, ALL).await);
    // A run is there with its discovery, or it is not there.
    assert!(found.runs.iter().all(|rows| rows.tasks.len() == 1));
}
