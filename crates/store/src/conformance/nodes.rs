//! What nodes are promised, and what is promised of them: lives, attempts, tokens.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::{AttemptToken, Incarnation, NodeId};
use assay_model::node::NodeState;
use assay_model::output::{Discovery, TaskOutput};
use assay_model::run::RunState;
use assay_model::task::{AttemptOutcome, TaskState, WaitReason};
use uuid::Uuid;

use super::Store;
use super::fixtures::{ALL, Bench, at, live, measured, ok};
use crate::error::StoreError;
use crate::port::{NodeRow, Started};

fn moved(bench: &Bench, incarnation: Incarnation, state: NodeState) -> Change {
    Change::MoveNode {
        node: bench.node.clone(),
        incarnation,
        state,
        at: at(5),
        reason: "for a reason".to_owned(),
    }
}

fn nothing() -> TaskOutput {
    TaskOutput::Discovered(Discovery::default())
}

/// Each registration is a new life.
pub async fn registering_bumps_the_incarnation(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let next = ok(bench.store.register(bench.epoch, &live(&bench.node)).await);
    assert_eq!(next.0, bench.incarnation.0 + 1);
}

/// A node that comes back gives its tasks back, uncharged.
pub async fn registering_releases_what_earlier_lives_held(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (a, b) = (bench.submit("a").await, bench.submit("b").await);
    let zombie = bench.assign(a, 0, 1).await;
    bench.assign(b, 0, 1).await;
    ok(bench.store.start(&zombie, at(2)).await);
    ok(bench.store.register(bench.epoch, &live(&bench.node)).await);
    for run in [a, b] {
        let listed = ok(bench.store.tasks(run).await);
        let (task, attempts) = &listed[0];
        assert_eq!((task.state, task.charged), (TaskState::Ready, 0));
        assert_eq!(task.node, None);
        assert_eq!(attempts[0].outcome.as_deref(), Some("orphaned"));
        assert!(!attempts[0].charged && attempts[0].ended_at.is_some());
    }
    assert_eq!(bench.complete(&zombie, &nothing()).await, Answer::Fenced);
}

/// Death is final for a life.
pub async fn a_dead_life_stays_dead(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let dead = moved(&bench, bench.incarnation, NodeState::Dead);
    let live = moved(&bench, bench.incarnation, NodeState::Live);
    assert_eq!(
        bench.commit(&[dead, live]).await,
        [Answer::Ok, Answer::Fenced]
    );
}

/// What is said of an earlier life does not touch the present one.
pub async fn an_older_life_cannot_be_moved(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    ok(bench.store.register(bench.epoch, &live(&bench.node)).await);
    let dead = moved(&bench, bench.incarnation, NodeState::Dead);
    assert_eq!(bench.change(dead).await, Answer::Fenced);
    let nodes = ok(bench.store.load(bench.epoch, ALL).await).nodes;
    assert_eq!(nodes[0].state, NodeState::Live);
}

/// Saying it twice changes nothing.
pub async fn a_repeated_move_answers_already(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let dead = moved(&bench, bench.incarnation, NodeState::Dead);
    let answers = bench.commit(&[dead.clone(), dead]).await;
    assert_eq!(answers, [Answer::Ok, Answer::Already]);
}

/// Nodes are listed with since when and why they are in their state; whose life is over is listed for
/// as long as is asked for, after those that live.
pub async fn nodes_are_listed_with_their_reasons(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let other = NodeId::new("n-other");
    let life = ok(bench.store.register(bench.epoch, &live(&other)).await);
    bench
        .change(moved(&bench, bench.incarnation, NodeState::Dead))
        .await;
    let drains = Change::MoveNode {
        node: other.clone(),
        incarnation: life,
        state: NodeState::Draining,
        at: at(9),
        reason: "new disks".to_owned(),
    };
    bench.change(drains).await;
    let told = |rows: Vec<NodeRow>| -> Vec<_> {
        let told = |row: NodeRow| (row.node.id, row.node.state, row.since, row.reason);
        rows.into_iter().map(told).collect()
    };
    let drains = (
        other,
        NodeState::Draining,
        at(9),
        Some("new disks".to_owned()),
    );
    let died = (
        bench.node.clone(),
        NodeState::Dead,
        at(5),
        Some("for a reason".to_owned()),
    );
    let listed = told(ok(bench.store.nodes(at(5), 10).await));
    assert_eq!(listed, [drains.clone(), died]);
    for (since, limit) in [(at(6), 10), (at(5), 1)] {
        assert_eq!(
            told(ok(bench.store.nodes(since, limit).await)),
            std::slice::from_ref(&drains)
        );
    }
}

/// Suspect, draining and excluded nodes, and other lives, are given nothing.
pub async fn only_a_live_node_is_given_tasks(store: Arc<dyn Store>) {
    let mut bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    for state in [NodeState::Suspect, NodeState::Draining, NodeState::Excluded] {
        bench.change(moved(&bench, bench.incarnation, state)).await;
        let (_, assign) = bench.assignment(run, 0, 1);
        assert_eq!(bench.change(assign).await, Answer::Fenced, "{state}");
    }
    bench
        .change(moved(&bench, bench.incarnation, NodeState::Live))
        .await;
    let present = bench.incarnation;
    bench.incarnation = Incarnation(present.0 + 1);
    let (_, assign) = bench.assignment(run, 0, 1);
    assert_eq!(bench.change(assign).await, Answer::Fenced);
    bench.incarnation = present;
    bench.assign(run, 0, 1).await;
}

/// A task at work is not given away again.
pub async fn a_task_is_assigned_once(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let first = bench.assign(run, 0, 1).await;
    for attempt in [1, 2] {
        let (_, assign) = bench.assignment(run, 0, attempt);
        assert_eq!(bench.change(assign).await, Answer::Fenced);
    }
    assert_eq!(bench.task(run, 0).await.nonce, Some(first.nonce));
}

/// The same assignment twice is one.
pub async fn a_repeated_assignment_answers_already(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let (_, assign) = bench.assignment(run, 0, 1);
    let answers = bench.commit(&[assign.clone(), assign]).await;
    assert_eq!(answers, [Answer::Ok, Answer::Already]);
    assert_eq!(ok(bench.store.tasks(run).await)[0].1.len(), 1);
}

/// A task that waits for its next attempt is left waiting.
pub async fn a_task_is_not_assigned_before_its_time(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let later = Change::EndAttempt {
        token,
        outcome: AttemptOutcome::Retryable,
        next: TaskState::Ready,
        not_before: Some(at(60)),
        wait: Some(WaitReason::Backoff),
        reason: "a hiccup".to_owned(),
        at: at(3),
    };
    assert_eq!(bench.change(later).await, Answer::Ok);
    let task = bench.task(run, 0).await;
    assert_eq!(task.not_before, Some(at(60)));
    assert_eq!(task.wait, Some(WaitReason::Backoff));
    let (_, mut assign) = bench.assignment(run, 0, 2);
    assert_eq!(bench.change(assign.clone()).await, Answer::Fenced);
    if let Change::Assign { at: when, .. } = &mut assign {
        *when = at(60);
    }
    assert_eq!(bench.change(assign).await, Answer::Ok);
}

/// Attempts are numbered without a gap.
pub async fn the_attempt_must_be_the_next_one(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    for attempt in [0, 2, 3] {
        let (_, assign) = bench.assignment(run, 0, attempt);
        assert_eq!(bench.change(assign).await, Answer::Fenced, "{attempt}");
    }
    bench.assign(run, 0, 1).await;
}

/// Run, task and definition come with the start.
pub async fn starting_gives_all_that_a_node_needs(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let token = bench.assign(run, 1, 1).await;
    let started = ok(bench.store.start(&token, at(2)).await);
    let Some(started) = started else {
        panic!("the attempt is at work");
    };
    assert_eq!(started.run.id, run);
    assert_eq!(started.run.started_at, Some(at(1)));
    assert_eq!(started.task.id, token.task);
    assert_eq!(started.task.state, TaskState::Running);
    assert_eq!(started.task.started_at, Some(at(2)));
    assert_eq!(*started.dataset, bench.dataset);
}

/// A start whose answer was lost is repeated; the first one counts.
pub async fn starting_again_gives_the_same(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let first = ok(bench.store.start(&token, at(2)).await);
    let second = ok(bench.store.start(&token, at(50)).await);
    assert!(first.is_some());
    let given = |started: Option<Started>| started.map(|s| (s.run, s.task, s.dataset));
    assert_eq!(given(first), given(second));
}

/// An attempt that is over cannot be started.
pub async fn a_fenced_start_gives_nothing(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let lost = bench.end(&token, AttemptOutcome::DispatchLost, TaskState::Ready);
    bench.change(lost).await;
    assert_eq!(ok(bench.store.start(&token, at(2)).await), None);
    assert_eq!(bench.task(run, 0).await.state, TaskState::Ready);
}

/// A completion whose answer was lost is repeated without harm.
pub async fn a_completion_is_repeatable(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let token = bench.assign(run, 1, 1).await;
    let output = measured("2026-11-20", b"state");
    assert_eq!(bench.complete(&token, &output).await, Answer::Ok);
    assert_eq!(bench.complete(&token, &output).await, Answer::Already);
    let task = bench.task(run, 1).await;
    assert_eq!((task.state, task.attempt), (TaskState::Succeeded, 1));
}

/// An attempt that was given up writes nothing, before and after its successor.
pub async fn a_zombie_is_fenced(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let zombie = bench.assign(run, 1, 1).await;
    ok(bench.store.start(&zombie, at(2)).await);
    let lost = bench.end(&zombie, AttemptOutcome::NodeLost, TaskState::Ready);
    bench.change(lost).await;
    let stale = measured("2026-11-20", b"stale");
    assert_eq!(bench.complete(&zombie, &stale).await, Answer::Fenced);
    let second = bench.assign(run, 1, 2).await;
    assert_eq!(bench.complete(&zombie, &stale).await, Answer::Fenced);
    let fresh = measured("2026-11-20", b"fresh");
    assert_eq!(bench.complete(&second, &fresh).await, Answer::Ok);
    assert_eq!(bench.complete(&zombie, &stale).await, Answer::Fenced);
    let day = assay_model::partition::PartitionKey("2026-11-20".to_owned());
    let states = ok(bench.store.states(run, &day, &[1]).await);
    assert_eq!(states, [(1, b"fresh".to_vec())]);
}

/// The attempt's number alone is no key.
pub async fn a_token_that_was_never_given_is_fenced(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let forged = AttemptToken {
        nonce: Uuid::new_v4(),
        ..token
    };
    assert_eq!(ok(bench.store.start(&forged, at(2)).await), None);
    assert_eq!(bench.complete(&forged, &nothing()).await, Answer::Fenced);
    let end = bench.end(&forged, AttemptOutcome::Retryable, TaskState::Ready);
    assert_eq!(bench.change(end).await, Answer::Fenced);
}

/// A start that was lost does not throw the work away.
pub async fn a_completion_without_a_start_stands(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    assert_eq!(bench.complete(&token, &nothing()).await, Answer::Ok);
}

/// A measurement does not complete a discovery.
pub async fn a_result_of_another_kind_is_refused(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let output = measured("2026-11-20", b"state");
    let refused = bench.store.complete(&token, &output, at(3)).await;
    assert!(
        matches!(refused, Err(StoreError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(bench.task(run, 0).await.state, TaskState::Assigned);
}

/// What a task is charged with is what it did itself, or its node's death.
pub async fn a_charged_end_counts_and_a_drain_does_not(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let mut charged = 0;
    for (attempt, outcome) in (1..).zip([
        AttemptOutcome::Drained,
        AttemptOutcome::Retryable,
        AttemptOutcome::DispatchLost,
        AttemptOutcome::TimedOut,
        AttemptOutcome::Orphaned,
        AttemptOutcome::DependencyDown,
        AttemptOutcome::NodeLost,
    ]) {
        let token = bench.assign(run, 0, attempt).await;
        let end = bench.end(&token, outcome, TaskState::Ready);
        assert_eq!(bench.change(end).await, Answer::Ok);
        charged += u32::from(outcome.is_charged());
        let task = bench.task(run, 0).await;
        assert_eq!(
            (task.attempt, task.charged),
            (attempt, charged),
            "{outcome}"
        );
    }
    assert_eq!(charged, 3);
}

/// Crashes are counted apart.
pub async fn a_crash_is_counted(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let crash = bench.end(&token, AttemptOutcome::Crashed, TaskState::Ready);
    bench.change(crash).await;
    let token = bench.assign(run, 0, 2).await;
    let crash = bench.end(&token, AttemptOutcome::Crashed, TaskState::Quarantined);
    bench.change(crash).await;
    let task = bench.task(run, 0).await;
    assert_eq!((task.crashes, task.charged), (2, 2));
    assert_eq!(task.state, TaskState::Quarantined);
}

/// The same end twice is one.
pub async fn a_repeated_end_answers_already(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let end = bench.end(&token, AttemptOutcome::Retryable, TaskState::Ready);
    let answers = bench.commit(&[end.clone(), end]).await;
    assert_eq!(answers, [Answer::Ok, Answer::Already]);
    assert_eq!(bench.task(run, 0).await.charged, 1);
}

/// Success comes with a result only.
pub async fn an_attempt_does_not_end_as_a_success(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    for (outcome, next) in [
        (AttemptOutcome::Ok, TaskState::Ready),
        (AttemptOutcome::Retryable, TaskState::Succeeded),
        (AttemptOutcome::Retryable, TaskState::Running),
    ] {
        let end = bench.end(&token, outcome, next);
        let refused = bench.store.commit(bench.epoch, &[end]).await;
        assert!(
            matches!(refused, Err(StoreError::Refused { .. })),
            "{refused:?}"
        );
    }
}

/// A cancellation beats the result that comes after it.
pub async fn a_cancelled_attempt_cannot_complete(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let token = bench.assign(run, 0, 1).await;
    let cancel = bench.end(&token, AttemptOutcome::Cancelled, TaskState::Cancelled);
    let end = Change::MoveRun {
        run,
        state: RunState::Cancelled,
        reason: Some("not wanted".to_owned()),
        at: at(3),
    };
    assert_eq!(bench.commit(&[cancel, end]).await, [Answer::Ok, Answer::Ok]);
    assert_eq!(bench.complete(&token, &nothing()).await, Answer::Fenced);
    assert_eq!(ok(bench.store.plan_page(token.task, 1).await), None);
}

/// People see every attempt with its end.
pub async fn attempts_are_listed_with_their_ends(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let first = bench.assign(run, 0, 1).await;
    let end = bench.end(&first, AttemptOutcome::TimedOut, TaskState::Ready);
    bench.change(end).await;
    let second = bench.assign(run, 0, 2).await;
    ok(bench.store.start(&second, at(7)).await);
    let listed = ok(bench.store.tasks(run).await);
    let (task, attempts) = &listed[0];
    assert_eq!(task.attempt, 2);
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].token, first);
    assert_eq!(attempts[0].outcome.as_deref(), Some("timed_out"));
    assert_eq!(attempts[0].reason.as_deref(), Some("it did not go well"));
    assert!(attempts[0].charged);
    assert_eq!(attempts[1].token, second);
    assert_eq!(attempts[1].started_at, Some(at(7)));
    assert_eq!(attempts[1].ended_at, None);
    assert_eq!(attempts[1].node, bench.node.0);
}
