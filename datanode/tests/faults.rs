//! Faults on a whole cluster in one process: nothing is lost, nothing is counted twice.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cluster;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use assay_datanode::{NodeConfig, NodeStatus};
use assay_model::change::Answer;
use assay_model::ids::RunId;
use assay_model::run::{RunState, Selection, Trigger};
use assay_proto::link::Door;
use cluster::{Cable, Cluster, within};

async fn start(cluster: &Cluster, manager: &assay_manager::ManagerHandle) -> RunId {
    let submitted = manager.submit(
        cluster.dataset(),
        Trigger::Manual,
        Selection::default(),
        None,
    );
    submitted.await.unwrap().run
}

/// Outcomes of all attempts of a run that did not end with `ok`, and the charged ones among all.
async fn attempts(cluster: &Cluster, run: RunId) -> (Vec<String>, usize) {
    let tasks = cluster.metrics.tasks(run).await.unwrap();
    let rows: Vec<_> = tasks.into_iter().flat_map(|(_, rows)| rows).collect();
    let charged = rows.iter().filter(|row| row.charged).count();
    let mut outcomes: Vec<String> = rows.into_iter().filter_map(|row| row.outcome).collect();
    outcomes.retain(|outcome| outcome != "ok");
    (outcomes, charged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_node_gives_its_tasks_back_within_a_second() {
    let cluster = Cluster::new().await;
    cluster.write_days(6);
    let manager = cluster.manager("m1");
    let door = Door::Local(manager.doorway());
    let lost = cluster.node("lost", vec![door.clone()]);
    lost.gate.closed.send_replace(true);
    within("leadership", manager.leads()).await;
    let run = start(&cluster, &manager).await;
    lost.is_stuck().await;
    let _other = cluster.node("other", vec![door]);
    _other.handle.live().await;
    let killed = Instant::now();
    lost.handle.kill().await;
    let ended = within("the end", manager.wait(run)).await.unwrap();
    println!("killed to finished: {:?}", killed.elapsed());
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    assert!(killed.elapsed() < Duration::from_secs(3));
    cluster.assert_right(6).await;
    let (outcomes, charged) = attempts(&cluster, run).await;
    assert!(outcomes.iter().all(|o| o == "node_lost"), "{outcomes:?}");
    assert_eq!(charged, outcomes.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_spends_no_attempt() {
    let cluster = Cluster::new().await;
    cluster.write_days(6);
    let manager = cluster.manager("m1");
    let door = Door::Local(manager.doorway());
    let leaving = cluster.node("leaving", vec![door.clone()]);
    leaving.gate.closed.send_replace(true);
    within("leadership", manager.leads()).await;
    let run = start(&cluster, &manager).await;
    leaving.is_stuck().await;
    let staying = cluster.node("staying", vec![door]);
    staying.handle.live().await;
    manager
        .drain_node(leaving.handle.id(), "by the test")
        .await
        .unwrap();
    let mut status = leaving.handle.status();
    within(
        "the node's leave",
        status.wait_for(|s| *s == NodeStatus::Stopped),
    )
    .await
    .unwrap();
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    cluster.assert_right(6).await;
    let (outcomes, charged) = attempts(&cluster, run).await;
    assert!(outcomes.iter().all(|o| o == "drained"), "{outcomes:?}");
    assert!(!outcomes.is_empty());
    assert_eq!(charged, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_finished_hint_costs_nothing() {
    let cluster = Cluster::new().await;
    cluster.write_days(1);
    let manager = cluster.manager("m1");
    let door = Door::Local(manager.doorway());
    let first = cluster.node("first", vec![door.clone()]);
    within("leadership", manager.leads()).await;
    cluster.store.hold_answers.store(true, Ordering::SeqCst);
    let mut completed = cluster.store.completed.subscribe();
    let run = start(&cluster, &manager).await;
    let measured = completed.wait_for(|t| t.is_some_and(|t| t.task.no == 1));
    drop(within("a measurement", measured).await.unwrap());
    // The result is in the store; the node dies before it can say so.
    first.handle.kill().await;
    cluster.store.hold_answers.store(false, Ordering::SeqCst);
    let _second = cluster.node("second", vec![door]);
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    cluster.assert_right(1).await;
    let (outcomes, charged) = attempts(&cluster, run).await;
    assert_eq!((outcomes.as_slice(), charged), (&[][..], 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombies_commit_is_fenced() {
    let cluster = Cluster::new().await;
    cluster.write_days(2);
    let manager = cluster.manager("m1");
    let doorway = manager.doorway();
    let cable = Cable::to(doorway.clone());
    let zombie = cluster.node_with(NodeConfig {
        heartbeat: Duration::from_millis(200),
        // Its process lives: nothing refuses.
        ..NodeConfig::new("zombie", vec![cable.door.clone()])
    });
    zombie.gate.closed.send_replace(true);
    within("leadership", manager.leads()).await;
    let run = start(&cluster, &manager).await;
    zombie.is_stuck().await;
    cable.cut.send_replace(true);
    let _other = cluster.node("other", vec![Door::Local(doorway)]);
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    zombie.gate.closed.send_replace(false);
    let mut holding = zombie.handle.holding();
    within("the zombie's end", holding.wait_for(|n| *n == 0))
        .await
        .unwrap();
    let answers = cluster.store.answers.lock().unwrap().clone();
    assert!(
        answers.iter().any(|(_, answer)| *answer == Answer::Fenced),
        "{answers:?}"
    );
    let done = answers.iter().filter(|(_, a)| *a == Answer::Ok).count();
    assert_eq!(done, 5, "one success per task");
    cluster.assert_right(2).await;
    // Once the cable is mended it joins again, as a new life.
    cable.cut.send_replace(false);
    let mut status = zombie.handle.status();
    let again = status
        .wait_for(|s| matches!(s, NodeStatus::Live { incarnation, .. } if incarnation.0 == 2));
    within("its new life", again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_takes_over_from_a_killed_leader() {
    let cluster = Cluster::new().await;
    cluster.write_days(6);
    let first = cluster.manager("m1");
    within("leadership", first.leads()).await;
    let second = cluster.manager("m2");
    let doors = vec![Door::Local(first.doorway()), Door::Local(second.doorway())];
    let node = cluster.node("n1", doors);
    node.gate.closed.send_replace(true);
    let run = start(&cluster, &first).await;
    node.is_stuck().await;
    let killed = Instant::now();
    first.kill().await;
    within("the take-over", second.leads()).await;
    println!("killed to leading: {:?}", killed.elapsed());
    node.gate.closed.send_replace(false);
    let ended = within("the end", second.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    cluster.assert_right(6).await;
    let (outcomes, charged) = attempts(&cluster, run).await;
    assert_eq!(
        (outcomes.as_slice(), charged),
        (&[][..], 0),
        "a fail-over spends nothing"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resigning_leader_hands_over_within_a_second() {
    let cluster = Cluster::new().await;
    cluster.write_days(4);
    let first = cluster.manager("m1");
    within("leadership", first.leads()).await;
    let second = cluster.manager("m2");
    let doors = vec![Door::Local(first.doorway()), Door::Local(second.doorway())];
    let node = cluster.node("n1", doors);
    within("registration", node.handle.live()).await;
    let resigned = Instant::now();
    first.shutdown().await;
    within("the take-over", second.leads()).await;
    println!("resigned to leading: {:?}", resigned.elapsed());
    assert!(resigned.elapsed() < Duration::from_secs(1));
    let run = start(&cluster, &second).await;
    let ended = within("the end", second.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    cluster.assert_right(4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_of_the_store_lose_nothing_and_count_nothing_twice() {
    let cluster = Cluster::new().await;
    cluster.write_days(8);
    let manager = cluster.manager("m1");
    let _node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let run = start(&cluster, &manager).await;
    cluster.store.unconfirmed_commits.store(3, Ordering::SeqCst);
    cluster
        .store
        .unconfirmed_completions
        .store(5, Ordering::SeqCst);
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    assert_eq!(cluster.store.unconfirmed_commits.load(Ordering::SeqCst), 0);
    assert_eq!(
        cluster.store.unconfirmed_completions.load(Ordering::SeqCst),
        0
    );
    cluster.assert_right(8).await;
    let (_, charged) = attempts(&cluster, run).await;
    assert_eq!(charged, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_was_killed_whole_goes_on_where_it_was() {
    let cluster = Cluster::new().await;
    cluster.write_days(5);
    let manager = cluster.manager("m1");
    let node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    node.gate.closed.send_replace(true);
    within("leadership", manager.leads()).await;
    let run = start(&cluster, &manager).await;
    node.is_stuck().await;
    manager.kill().await;
    node.handle.kill().await;

    let manager = cluster.manager("m1");
    // The same name: a new life, whose registration releases what the old one held.
    let node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    within("leadership", manager.leads()).await;
    let ended = within("the end", manager.wait(run)).await.unwrap();
    assert_eq!(ended.state, RunState::Succeeded, "{ended:?}");
    cluster.assert_right(5).await;
    // Released by the registration, or lost with the node when that came first.
    let (outcomes, _) = attempts(&cluster, run).await;
    let known = ["orphaned", "node_lost"];
    assert!(
        outcomes.iter().all(|o| known.contains(&o.as_str())),
        "{outcomes:?}"
    );
    within("a drain", node.handle.drain("the test is over")).await;
}

#[test]
fn computation_on_every_worker_does_not_starve_the_heartbeat() {
    let runtime = |threads| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()
            .unwrap()
    };
    // The manager has a runtime of its own; the node's only worker thread computes for 2 s.
    let (of_manager, of_node) = (runtime(1), runtime(1));
    let (cluster, manager, door) = of_manager.block_on(async {
        let cluster = Cluster::new().await;
        let manager = cluster.manager("m1");
        within("leadership", manager.leads()).await;
        let door = Door::Local(manager.doorway());
        (cluster, manager, door)
    });
    let node = of_node.block_on(async {
        let node = cluster.node("n1", vec![door]);
        within("registration", node.handle.live()).await;
        node
    });
    let busy = of_node.spawn(async {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            std::hint::spin_loop();
        }
    });
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1_900) {
        std::thread::sleep(Duration::from_millis(50));
        let view = of_manager.block_on(manager.view()).unwrap();
        assert_eq!(view.nodes[0].state, assay_model::node::NodeState::Live);
    }
    of_node.block_on(busy).unwrap();
    of_manager.block_on(node.handle.kill());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_asked_to_leave_while_nobody_leads_finishes_and_leaves() {
    let cluster = Cluster::new().await;
    cluster.write_days(2);
    let manager = cluster.manager("m1");
    let node = cluster.node("n1", vec![Door::Local(manager.doorway())]);
    node.gate.closed.send_replace(true);
    within("leadership", manager.leads()).await;
    start(&cluster, &manager).await;
    node.is_stuck().await;
    let mut completed = cluster.store.completed.subscribe();
    within("a shutdown", manager.shutdown()).await;
    let leaving = node.handle.clone();
    let leaving = tokio::spawn(async move { leaving.drain("the test says so").await });
    completed.mark_unchanged();
    node.gate.closed.send_replace(false);
    within("a result", completed.changed()).await.unwrap();
    within("its end", leaving).await.unwrap();
}
