//! What a leader is promised: one epoch at a time, whole commits, and a state to go on from.

use std::sync::Arc;

use assay_model::change::{Answer, Change};
use assay_model::ids::TaskId;
use assay_model::node::NodeState;
use assay_model::output::TaskOutput;
use assay_model::run::RunState;
use assay_model::task::TaskState;

use super::Store;
use super::fixtures::{ALL, Bench, at, discovery, live, ok};
use crate::error::StoreError;

/// A later epoch is greater by one.
pub async fn epochs_grow_one_by_one(store: Arc<dyn Store>) {
    let first = ok(store.mint_epoch("a").await);
    let second = ok(store.mint_epoch("b").await);
    assert_eq!(second.0, first.0 + 1);
}

/// A deposed leader's commit is refused whole.
pub async fn a_stale_epoch_is_refused_and_nothing_is_written(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    let newer = ok(store.mint_epoch("manager-2").await);
    let run = bench.run_of("a", 0);
    let refused = store.commit(bench.epoch, &[bench.submission(&run)]).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
    assert!(ok(store.load(newer, ALL).await).runs.is_empty());
}

/// A deposed leader cannot build a picture to act on.
pub async fn a_stale_epoch_cannot_load(store: Arc<dyn Store>) {
    let old = ok(store.mint_epoch("a").await);
    ok(store.mint_epoch("b").await);
    let refused = store.load(old, ALL).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
}

/// A deposed leader's registration changes no node.
pub async fn a_stale_epoch_cannot_register_a_node(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    let newer = ok(store.mint_epoch("manager-2").await);
    let refused = store.register(bench.epoch, &live(&bench.node)).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
    let nodes = ok(store.load(newer, ALL).await).nodes;
    assert_eq!(nodes[0].incarnation, bench.incarnation);
}

/// A deposed leader does not drain the outbox.
pub async fn a_stale_epoch_cannot_mark_messages_as_sent(store: Arc<dyn Store>) {
    let old = ok(store.mint_epoch("a").await);
    ok(store.mint_epoch("b").await);
    let refused = store.sent(old, &["k".to_owned()], at(1)).await;
    assert!(
        matches!(refused, Err(StoreError::FencedEpoch { .. })),
        "{refused:?}"
    );
}

/// Each change of a commit is answered on its own.
pub async fn a_fenced_change_leaves_the_others_standing(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let (a, b) = (bench.run_of("a", 0), bench.run_of("b", 1));
    let (_, impossible) = bench.assignment(a.id, 7, 1);
    let answers = bench
        .commit(&[bench.submission(&a), impossible, bench.submission(&b)])
        .await;
    assert_eq!(answers, [Answer::Ok, Answer::Fenced, Answer::Ok]);
    assert_eq!(ok(bench.store.load(bench.epoch, ALL).await).runs.len(), 2);
}

/// A commit that fails leaves nothing of any of its changes.
pub async fn an_error_leaves_nothing_of_its_commit(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let good = bench.run_of("a", 0);
    let mut bad = bench.run_of("b", 0);
    bad.definition = "unknown".to_owned();
    let changes = [bench.submission(&good), bench.submission(&bad)];
    assert!(bench.store.commit(bench.epoch, &changes).await.is_err());
    assert!(ok(bench.store.load(bench.epoch, ALL).await).runs.is_empty());
}

/// A new leader sees runs, tasks and nodes as the old one left them.
pub async fn a_new_leader_loads_all_that_is_unfinished(store: Arc<dyn Store>) {
    let bench = Bench::new(Arc::clone(&store)).await;
    let run = bench.planned("a", &[("2026-11-20", "v1")]).await;
    let token = bench.assign(run, 1, 1).await;
    let newer = ok(store.mint_epoch("manager-2").await);
    let found = ok(store.load(newer, ALL).await);
    assert_eq!(found.runs.len(), 1);
    let rows = &found.runs[0];
    assert_eq!((rows.run.planned_tasks, rows.there), (2, 2));
    let states: Vec<_> = rows.tasks.iter().map(|t| t.state).collect();
    let expected = [TaskState::Succeeded, TaskState::Assigned, TaskState::Ready];
    assert_eq!(states, expected);
    assert_eq!(rows.tasks[1].nonce, Some(token.nonce));
    assert_eq!(rows.tasks[1].node, Some(bench.node.clone()));
    assert!(rows.planned, "its plan is applied");
    assert_eq!(found.nodes.len(), 1);
}

/// A leader that died between a discovery and its plan leaves the plan to be read and applied.
pub async fn a_plan_that_was_not_applied_is_there(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let plan = discovery(&[("2026-11-20", "v1")]);
    bench
        .finish(run, 0, &TaskOutput::Discovered(plan.clone()))
        .await;
    let rows = bench.loaded(run).await;
    assert!(!rows.planned && rows.there == 0);
    let page = ok(bench.store.plan_page(TaskId { run, no: 0 }, 1).await);
    assert_eq!(page.map(|page| page.tasks), Some(plan.tasks(run).collect()));
}

/// What has ended is not a leader's concern.
pub async fn ended_runs_are_not_loaded(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let run = bench.submit("a").await;
    let end = Change::MoveRun {
        run,
        state: RunState::Cancelled,
        reason: Some("not wanted".to_owned()),
        at: at(5),
    };
    let answers = bench.commit(&[bench.given_up(run, 0), end]).await;
    assert_eq!(answers, [Answer::Ok, Answer::Ok]);
    let found = ok(bench.store.load(bench.epoch, ALL).await);
    assert!(found.runs.is_empty());
    assert_eq!(ok(bench.store.unfinished_run(run, 9).await), None);
}

/// Dead and gone nodes are not loaded.
pub async fn lives_that_are_over_are_not_loaded(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let dead = Change::MoveNode {
        node: bench.node.clone(),
        incarnation: bench.incarnation,
        state: NodeState::Dead,
        at: at(5),
        reason: "silent".to_owned(),
    };
    assert_eq!(bench.change(dead).await, Answer::Ok);
    assert!(
        ok(bench.store.load(bench.epoch, ALL).await)
            .nodes
            .is_empty()
    );
}

/// A scale event is answered.
pub async fn a_scale_event_is_kept(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    let event = Change::ScaleEvent {
        at: at(1),
        from: 1,
        to: 3,
        reason: "backlog".to_owned(),
    };
    assert_eq!(bench.change(event).await, Answer::Ok);
}

/// An empty commit only proves the epoch.
pub async fn a_commit_of_nothing_answers_nothing(store: Arc<dyn Store>) {
    let bench = Bench::new(store).await;
    assert!(bench.commit(&[]).await.is_empty());
}
