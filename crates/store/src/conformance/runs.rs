//! What is promised of runs and their plans.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::{RunId, TaskId};
use assay_model::outcome::{Outcome, OutcomeCounts};
use assay_model::output::{Discovery, TaskOutput};
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, TaskState, WaitReason};

use super::Store;
use super::fixtures::{ALL, Bench, at, dataset, discovery, evaluation, ok, tasks};
use crate::error::StoreError;
use crate::port::{RunFilter, RunSum};

fn moved(run: RunId, state: RunState) -> Change {
    Change::MoveRun {
        run,
        state,
        reason: None,
        at: at(9),
    }
}

/// The same run twice is one run.
pub async fn a_repeated_submission_answers_already(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.run_of("a", 0);
    assert_eq!(bench.change(bench.submission(&run)).await, Answer::Ok);
    assert_eq!(bench.change(bench.submission(&run)).await, Answer::Already);
    let found = ok(bench.store.load(bench.epoch, ALL).await);
    assert_eq!(found.runs.len(), 1);
    assert_eq!((&found.runs[0].run, found.runs[0].tasks.len()), (&run, 1));
}

/// A run needs the definition that it was planned with.
pub async fn a_run_of_an_unknown_definition_is_refused(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let mut run = bench.run_of("a", 0);
    run.definition = "never stored".to_owned();
    let refused = bench
        .store
        .commit(bench.epoch, &[bench.submission(&run)])
        .await;
    assert!(
        matches!(refused, Err(StoreError::NotFound { .. })),
        "{refused:?}"
    );
}

/// A definition may be stored again.
pub async fn a_definition_is_kept_once(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    ok(bench.store.put_definition(&bench.dataset).await);
    bench.submit("a").await;
}

/// A dataset's definition is the one that was put last, also when it had been put before.
pub async fn the_definition_that_was_put_last_is_the_datasets(store: Arc<dyn Store>) {
    let (mut first, other) = (dataset("orders"), dataset("another"));
    assert_eq!(ok(store.definition(&first.id).await), None);
    first.version = "1".to_owned();
    let mut second = first.clone();
    second.version = "2".to_owned();
    for put in [&first, &second, &second, &other, &first, &first] {
        ok(store.put_definition(put).await);
        assert_eq!(ok(store.definition(&put.id).await).as_ref(), Some(put));
    }
    let both = [other.clone(), first.clone()];
    assert_eq!(ok(store.definitions(None, 10).await), both);
    assert_eq!(
        ok(store.definitions(None, 1).await),
        std::slice::from_ref(&other)
    );
    let after = ok(store.definitions(Some(&other.id), 10).await);
    assert_eq!(after, std::slice::from_ref(&first));
    assert_eq!(ok(store.definitions(Some(&first.id), 10).await), []);
}

/// The second plan of a run changes nothing.
pub async fn a_plan_is_made_once(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let other = discovery(&[("2026-11-20", "v1"), ("2026-11-21", "v1")]);
    let again = Change::PlanRun {
        run,
        tasks: tasks(run, &other),
    };
    assert_eq!(bench.change(again).await, Answer::Already);
    assert_eq!(bench.tasks(run).await.len(), 3);
}

/// A plan without tasks counts as a plan.
pub async fn an_empty_plan_is_a_plan(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let empty = TaskOutput::Discovered(Discovery::default());
    bench.finish(run, 0, &empty).await;
    let plan = Change::PlanRun {
        run,
        tasks: Vec::new(),
    };
    let answers = bench.commit(&[plan.clone(), plan]).await;
    assert_eq!(answers, [Answer::Ok, Answer::Already]);
    assert!(bench.loaded(run).await.planned);
}

/// A plan needs its run.
pub async fn a_plan_of_an_unknown_run_is_fenced(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let plan = Change::PlanRun {
        run: RunId::of_key(bench.id(), "never"),
        tasks: Vec::new(),
    };
    assert_eq!(bench.change(plan).await, Answer::Fenced);
}

/// Tasks of one run are not planned into another.
pub async fn a_plan_of_another_run_is_refused(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let other = RunId::of_key(bench.id(), "other");
    let plan = Change::PlanRun {
        run,
        tasks: tasks(other, &discovery(&[("2026-11-20", "v1")])),
    };
    let refused = bench.store.commit(bench.epoch, &[plan]).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { .. })),
        "{refused:?}"
    );
}

/// The end of a run is final.
pub async fn an_ended_run_never_moves(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let answers = bench
        .commit(&[
            moved(run, RunState::Running),
            bench.given_up(run, 0),
            moved(run, RunState::Failed),
            moved(run, RunState::Running),
        ])
        .await;
    assert_eq!(
        answers,
        [Answer::Ok, Answer::Ok, Answer::Ok, Answer::Fenced]
    );
    let found = ok(bench
        .store
        .runs(&RunFilter {
            limit: 9,
            ..RunFilter::default()
        })
        .await);
    assert_eq!(found[0].state, RunState::Failed);
    assert_eq!(found[0].finished_at, Some(at(9)));
}

/// A run does not end before its tasks have, whoever believes that they have.
pub async fn a_run_ends_after_its_tasks(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let ends = [
        RunState::Succeeded,
        RunState::Partial,
        RunState::Failed,
        RunState::Cancelled,
        RunState::SkippedStale,
    ];
    let token = bench.assign(run, 1, 1).await;
    for end in ends {
        assert_eq!(bench.change(moved(run, end)).await, Answer::Fenced, "{end}");
    }
    let state = super::fixtures::measured("2026-11-20", b"state");
    assert_eq!(bench.complete(&token, &state).await, Answer::Ok);
    for end in ends {
        assert_eq!(bench.change(moved(run, end)).await, Answer::Fenced, "{end}");
    }
    let finalising = moved(run, RunState::Finalising);
    assert_eq!(bench.change(finalising).await, Answer::Ok);
    assert_eq!(bench.change(bench.given_up(run, 2)).await, Answer::Ok);
    let answers = [RunState::Succeeded, RunState::Partial].map(|end| moved(run, end));
    let answers = bench.commit(&answers).await;
    assert_eq!(answers, [Answer::Fenced, Answer::Ok], "one was given up");
}

/// Nothing is judged before the measurements of it have ended, whoever believes that they have.
pub async fn what_judges_is_assigned_after_what_it_needs(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let (_, judge) = bench.assignment(run, 2, 1);
    assert_eq!(bench.change(judge.clone()).await, Answer::Fenced);
    let token = bench.assign(run, 1, 1).await;
    let other = bench.planned("b", &[("2026-11-20", "v2")]).await;
    // Each of many is answered for itself.
    let (_, measure) = bench.assignment(other, 1, 1);
    let answers = bench.commit(&[judge.clone(), measure]).await;
    assert_eq!(answers, [Answer::Fenced, Answer::Ok]);
    let failed = bench.end(&token, AttemptOutcome::Permanent, TaskState::Failed);
    let answers = bench.commit(&[failed, judge]).await;
    assert_eq!(answers, [Answer::Ok, Answer::Ok], "it ended, however");
}

/// Ending a waiting task is final.
pub async fn a_ready_task_is_ended_once(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let end = Change::EndTask {
        task: TaskId { run, no: 0 },
        state: TaskState::Cancelled,
        reason: "not wanted".to_owned(),
        at: at(2),
    };
    let answers = bench.commit(&[end.clone(), end]).await;
    assert_eq!(answers, [Answer::Ok, Answer::Fenced]);
    let task = bench.task(run, 0).await;
    assert_eq!(task.state, TaskState::Cancelled);
    assert_eq!(task.reason.as_deref(), Some("not wanted"));
}

/// An attempt at work is ended by its token only.
pub async fn a_task_at_work_is_not_ended_without_its_attempt(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    bench.assign(run, 0, 1).await;
    let end = Change::EndTask {
        task: TaskId { run, no: 0 },
        state: TaskState::Cancelled,
        reason: "not wanted".to_owned(),
        at: at(2),
    };
    assert_eq!(bench.change(end).await, Answer::Fenced);
    assert_eq!(bench.task(run, 0).await.state, TaskState::Assigned);
}

/// A retried run starts counting anew, and keeps what succeeded.
pub async fn a_retried_run_has_fresh_attempts_to_spend(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let token = bench.assign(run, 1, 1).await;
    let failed = bench.end(&token, AttemptOutcome::Permanent, TaskState::Failed);
    let cancelled = Change::EndTask {
        task: TaskId { run, no: 2 },
        state: TaskState::Cancelled,
        reason: "its measurement failed".to_owned(),
        at: at(3),
    };
    bench
        .commit(&[failed, cancelled, moved(run, RunState::Failed)])
        .await;
    let retry = Change::RetryRun {
        run,
        at: at(20),
        deadline_at: at(9000),
    };
    assert_eq!(bench.change(retry).await, Answer::Ok);
    let tasks = bench.tasks(run).await;
    assert_eq!(tasks[0].state, TaskState::Succeeded, "what stands stays");
    assert_eq!((tasks[1].state, tasks[1].charged), (TaskState::Ready, 0));
    assert_eq!(tasks[1].attempt, 1, "attempts are numbered on");
    assert_eq!(tasks[2].wait, Some(WaitReason::Dependency));
    // Who reads a part of them reads what has not succeeded.
    for (most, numbers) in [
        (1, &[1][..]),
        (2, &[1, 2]),
        (3, &[1, 2, 0]),
        (u32::MAX, &[1, 2, 0]),
    ] {
        let read = ok(bench.store.task_numbers(run, most).await);
        assert_eq!(read, numbers, "{most}");
    }
    let read = ok(bench.store.tasks_of(run, &[2, 1, 7]).await);
    let read: Vec<(u32, usize)> = read
        .iter()
        .map(|(task, of)| (task.id.no, of.len()))
        .collect();
    assert_eq!(read, [(1, 1), (2, 0)], "with their attempts, in order");
    let found = ok(bench.store.load(bench.epoch, ALL).await);
    assert_eq!(found.runs[0].run.state, RunState::Queued);
    assert_eq!(found.runs[0].run.deadline_at, at(9000));
    assert_eq!(found.runs[0].run.finished_at, None);
    bench.assign(run, 1, 2).await;
}

/// Only what has ended can be tried again.
pub async fn a_run_at_work_is_not_retried(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let retry = Change::RetryRun {
        run,
        at: at(20),
        deadline_at: at(9000),
    };
    assert_eq!(bench.change(retry).await, Answer::Fenced);
}

/// A run that succeeded has nothing to try again.
pub async fn a_run_that_lost_nothing_is_not_retried(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let pass = evaluation("2026-11-20", "v1", 10, assay_model::outcome::Outcome::Pass);
    let run = bench.judged("a", pass).await;
    let retry = Change::RetryRun {
        run,
        at: at(20),
        deadline_at: at(9000),
    };
    assert_eq!(bench.change(retry).await, Answer::Fenced);
}

/// What a run came to is counted whole, and beside other runs.
pub async fn what_runs_came_to_is_counted(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let fail = evaluation("2026-11-20", "v1", 10, Outcome::Fail);
    let judged = bench.judged("a", fail).await;
    let pass = evaluation("2026-11-20", "v2", 10, Outcome::Pass);
    let again = bench.judged("b", pass).await;
    let queued = bench.run_of("c", 3);
    assert_eq!(bench.change(bench.submission(&queued)).await, Answer::Ok);
    let unknown = bench.run_of("d", 4).id;
    let sums = ok(bench
        .store
        .run_sums(&[judged, again, queued.id, unknown])
        .await);
    assert_eq!(sums[&judged].tasks[&TaskState::Succeeded], 3);
    assert_eq!(
        (sums[&judged].partitions, sums[&judged].counts.fail),
        (1, 1)
    );
    assert_eq!((sums[&again].partitions, sums[&again].counts.pass), (1, 1));
    assert!(sums[&again].counts.is_complete());
    assert_eq!(sums[&queued.id].tasks[&TaskState::Ready], 1);
    assert_eq!(sums[&queued.id].counts, OutcomeCounts::default());
    assert_eq!(sums[&unknown], RunSum::default());
}

/// Lists are bounded and filtered.
pub async fn runs_are_listed_newest_first(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    for (key, seconds) in [("a", 1), ("c", 3), ("b", 2)] {
        let run = bench.run_of(key, seconds);
        assert_eq!(bench.change(bench.submission(&run)).await, Answer::Ok);
    }
    let c = bench.run_of("c", 3).id;
    bench
        .commit(&[bench.given_up(c, 0), moved(c, RunState::Cancelled)])
        .await;
    let created = async |filter: RunFilter| {
        let runs = ok(bench.store.runs(&filter).await);
        runs.iter().map(|r| r.created_at).collect::<Vec<_>>()
    };
    let mut filter = RunFilter {
        limit: 2,
        ..RunFilter::default()
    };
    assert_eq!(created(filter.clone()).await, [at(3), at(2)]);
    filter.unfinished = true;
    assert_eq!(created(filter.clone()).await, [at(2), at(1)]);
    filter.dataset = Some(bench.id().clone());
    assert_eq!(created(filter.clone()).await, [at(2), at(1)]);
    filter.dataset = ok(assay_model::ids::DatasetId::new("other").map(Some));
    assert!(created(filter).await.is_empty());
}

/// The newest run of a dataset is found however many others have newer ones.
pub async fn the_newest_run_of_each_dataset_is_found(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    assert_eq!(ok(store.newest_runs().await), []);
    ok(store.put_definition(&dataset("never-run")).await);
    let other = dataset("another");
    ok(store.put_definition(&other).await);
    let mut old = bench.run_of("old", 1);
    (old.id, old.dataset, old.definition) = (
        RunId::of_key(&other.id, "old"),
        other.id.clone(),
        other.digest(),
    );
    assert_eq!(bench.change(bench.submission(&old)).await, Answer::Ok);
    for (key, seconds) in [("a", 2), ("c", 4), ("b", 3)] {
        let run = bench.run_of(key, seconds);
        assert_eq!(bench.change(bench.submission(&run)).await, Answer::Ok);
    }
    let mut newest = ok(store.newest_runs().await);
    newest.sort_by_key(|run| run.created_at);
    let found: Vec<RunId> = newest.iter().map(|run| run.id).collect();
    assert_eq!(found, [old.id, bench.run_of("c", 4).id]);
}

/// A task is read as it was planned.
pub async fn tasks_keep_all_they_were_planned_with(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let days = [("2026-11-20", "v1"), ("2026-11-21", "v1")];
    let run = bench.planned("a", &days).await;
    let planned = tasks(run, &discovery(&days));
    assert_eq!(bench.tasks(run).await[1..], planned);
}

/// A run is found by its id alone, and no other in its place.
pub async fn a_run_is_found_by_its_id(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let ids = [bench.submit("a").await, bench.submit("b").await];
    for id in ids {
        let found = ok(bench.store.run(id).await);
        assert_eq!(found.map(|run| run.id), Some(id));
    }
    let unknown = bench.run_of("c", 0).id;
    assert_eq!(ok(bench.store.run(unknown).await), None);
}
