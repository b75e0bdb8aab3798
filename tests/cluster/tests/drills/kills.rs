//! Killed processes: SIGKILL, in each phase (rows 1, 2, 5, 7 and 8 of the matrix).

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Flow, Plan, machine};
use jiff::Timestamp;
use rustix::process::Signal;

use crate::drill;
use crate::usual::{begun, ends_right, recovers, slow_commits, texts, uncharged};

/// The death of a node is seen by its reset stream and refused reconnect.
const NODE: Duration = Duration::from_secs(2);
/// Another manager leads.
const LEADER: Duration = Duration::from_secs(8);

/// When the first task that `node` held at `killed` was given to another one.
async fn given_elsewhere(cluster: &Cluster, node: &str, killed: Timestamp) -> Duration {
    let query = format!(
        "SELECT to_char(min(b.assigned_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
         FROM task_attempt a JOIN task_attempt b ON b.task_id = a.task_id \
         AND b.attempt = a.attempt + 1 WHERE a.node = '{node}' AND a.outcome = 'node_lost' \
         HAVING count(*) > 0"
    );
    let at = cluster
        .until("new attempt", Duration::from_secs(20), &query)
        .await;
    let at: Timestamp = at.parse().unwrap();
    Duration::try_from(at.duration_since(killed)).unwrap_or_default()
}

drill!(an_idle_node_that_is_killed_costs_nothing, async |name| {
    let drill = Drill::begin(name).await;
    let data = data::generate(drill.folder(), "orders", Shape::SMALL);
    let mut cluster = Cluster::start(&drill, Plan::default()).await;
    cluster.nodes[1].kill();
    let killed = drill.note("kill -9 node-2, idle");
    let dead = "SELECT 'dead' FROM node WHERE id = 'node-2' AND state = 'dead'";
    cluster.until("death of node-2", NODE, dead).await;
    let run = cluster.submit(&data, "first").await;
    recovers(&cluster, killed, Duration::from_secs(5)).await;
    ends_right(&cluster, &data, &run, &uncharged()).await;
});

drill!(
    what_a_killed_node_was_measuring_is_measured_elsewhere,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        let node = cluster.busy("measure").await;
        let killed = cluster
            .drill
            .note(format!("kill -9 {}, measuring", cluster.nodes[node].name));
        cluster.nodes[node].kill();
        let took = given_elsewhere(&cluster, &cluster.nodes[node].name, killed).await;
        cluster
            .drill
            .note(format!("its first task was given elsewhere after {took:?}"));
        assert!(took <= NODE, "{took:?}\n{}", cluster.tails());
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        let charged = texts(&cluster, "SELECT sum(charged)::text FROM task").await;
        let charged: u32 = charged[0].parse().unwrap();
        assert!(
            (1..=2).contains(&charged),
            "a node of two slots, and {charged} charged"
        );
    }
);

drill!(
    a_node_killed_before_its_answer_has_committed_once,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        let node = cluster.busy("measure").await;
        let who = cluster.nodes[node].name.clone();
        cluster
            .wire
            .change(&who, "postgres", |rule| rule.flow = Flow::Mute);
        cluster
            .drill
            .note(format!("the answers of Postgres to {who} stop"));
        cluster.drill.pause(200, 900).await;
        cluster.nodes[node].kill();
        let killed = cluster.drill.note(format!("kill -9 {who}, committing"));
        recovers(&cluster, killed, NODE + Duration::from_secs(1)).await;
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);

drill!(
    a_node_killed_while_its_commit_is_under_way_leaves_all_or_nothing,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        let node = cluster.busy("measure").await;
        let who = cluster.nodes[node].name.clone();
        cluster
            .wire
            .change(&who, "postgres", |rule| rule.flow = Flow::Deaf);
        cluster.drill.note(format!("Postgres does not hear {who}"));
        cluster.drill.pause(200, 900).await;
        cluster.nodes[node].kill();
        cluster
            .drill
            .note(format!("kill -9 {who}; its last words are under way"));
        // They arrive when the attempt has long been given away.
        let lost = format!(
            "SELECT 'lost' FROM task_attempt WHERE node = '{who}' AND outcome = 'node_lost'"
        );
        cluster
            .until("lost attempt", Duration::from_secs(5), &lost)
            .await;
        cluster.wire.heal();
        cluster.drill.note("they arrive");
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);

drill!(
    what_a_killed_node_was_judging_is_judged_once,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::SMALL).await;
        slow_commits(&cluster);
        let node = cluster.busy("evaluate").await;
        cluster.nodes[node].kill();
        let killed = cluster.drill.note("kill -9 of a node, judging");
        cluster.wire.heal();
        recovers(&cluster, killed, NODE + Duration::from_secs(1)).await;
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);

drill!(
    a_killed_child_costs_one_attempt_and_the_node_lives,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        let node = cluster.busy("measure").await;
        let children = cluster.nodes[node].children();
        assert!(
            !children.is_empty(),
            "a node has children that run its tasks"
        );
        // A stopped child is at work until it is killed.
        for child in &children {
            machine::signal(*child, Signal::STOP);
        }
        let who = cluster.nodes[node].name.clone();
        let at_work = format!("SELECT 'x' FROM task WHERE state = 'running' AND node = '{who}'");
        cluster
            .until("task in a child", Duration::from_secs(10), &at_work)
            .await;
        cluster.drill.pause(100, 300).await;
        for child in children {
            machine::signal(child, Signal::KILL);
        }
        cluster
            .drill
            .note(format!("kill -9 of the children of {who}"));
        let crashed = "SELECT 'x' FROM task_attempt WHERE outcome = 'crashed'";
        cluster
            .until("crashed attempt", Duration::from_secs(2), crashed)
            .await;
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        assert!(cluster.nodes[node].runs(), "the node lives");
        let crashed = texts(
            &cluster,
            "SELECT count(*)::text FROM task_attempt WHERE outcome = 'crashed'",
        )
        .await;
        assert!(["1", "2"].contains(&crashed[0].as_str()), "{crashed:?}");
        let dead = texts(
            &cluster,
            "SELECT node FROM event WHERE kind = 'node_moved' AND state = 'dead'",
        )
        .await;
        assert!(dead.is_empty(), "{dead:?}");
    }
);

drill!(
    a_node_that_restarts_under_its_name_at_once_gives_up_its_old_life,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        let node = cluster.busy("measure").await;
        let who = cluster.nodes[node].name.clone();
        cluster.nodes[node].kill();
        cluster.drill.note(format!("kill -9 {who}"));
        cluster.start_node(node);
        let released = format!(
            "SELECT 'x' WHERE NOT EXISTS (SELECT 1 FROM task_attempt WHERE node = '{who}' \
         AND incarnation = 1 AND ended_at IS NULL)"
        );
        cluster
            .until("release of its attempts", Duration::from_secs(5), &released)
            .await;
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);

drill!(
    work_without_nodes_says_why_it_waits_and_goes_on_when_they_are_back,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        for node in &mut cluster.nodes {
            node.kill();
        }
        cluster.drill.note("kill -9 of every node");
        let explained = || async {
            let tasks = cluster
                .client
                .tasks(&run, Duration::from_secs(5))
                .await
                .ok()?;
            let ready: Vec<_> = tasks.into_iter().filter(|t| t.state == "ready").collect();
            let explained = ready.iter().all(|task| !task.wait.is_empty());
            let nowhere = ready.iter().any(|task| task.wait == "no_node");
            (explained && nowhere).then_some(())
        };
        cluster
            .until_some("reason to wait", Duration::from_secs(20), explained)
            .await;
        cluster.wire.heal();
        for node in 0..3 {
            cluster.start_node(node);
        }
        let back = cluster.drill.note("all are back");
        recovers(&cluster, back, Duration::from_secs(12)).await;
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);

/// The leader is killed when `phase` gives a row; running tasks go on and are not run again.
async fn leader_dies(name: &str, phase: Option<&str>, shape: Shape) {
    let (mut cluster, data, run) = begun(name, Plan::default(), shape).await;
    slow_commits(&cluster);
    if let Some(phase) = phase {
        cluster
            .until("right moment", Duration::from_secs(30), phase)
            .await;
        cluster.drill.pause(0, 100).await;
    }
    let leader = cluster.leader().await;
    cluster.managers[leader].kill();
    let killed = cluster.drill.note(format!(
        "kill -9 {}, which leads",
        cluster.managers[leader].name
    ));
    let led = format!(
        "SELECT (extract(epoch FROM min(at) - '{killed}'::timestamptz))::text FROM event \
         WHERE kind IN ('task_assigned', 'run_moved') AND at > '{killed}' \
         AND epoch > (SELECT min(epoch) FROM event) HAVING count(*) > 0"
    );
    let took = cluster
        .until("word of a new leader", Duration::from_secs(30), &led)
        .await;
    cluster
        .drill
        .note(format!("a new leader acts after {took} s"));
    let took = Duration::from_secs_f64(took.parse().unwrap());
    assert!(took <= LEADER, "{took:?}\n{}", cluster.tails());
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &uncharged()).await;
    // A task that was given away and not yet begun may be lost with the message.
    let again = format!(
        "SELECT node || ' ' || outcome || ' ' || coalesce(reason, '') FROM task_attempt \
         WHERE started_at < '{killed}' AND outcome <> 'ok'"
    );
    assert_eq!(
        texts(&cluster, &again).await,
        [""; 0],
        "tasks that were at work"
    );
}

drill!(
    a_leader_killed_before_the_plan_is_followed_by_one_that_plans,
    async |name| {
        leader_dies(name, None, Shape::SMALL).await;
    }
);

drill!(
    a_leader_killed_while_nodes_measure_costs_no_attempt,
    async |name| {
        let phase = "SELECT 'x' FROM task WHERE kind = 'measure' AND state = 'running'";
        leader_dies(name, Some(phase), Shape::USUAL).await;
    }
);

drill!(
    a_leader_killed_while_it_assigns_costs_no_attempt,
    async |name| {
        let phase = "SELECT 'x' FROM task WHERE kind = 'measure' AND state = 'assigned'";
        leader_dies(name, Some(phase), Shape::USUAL).await;
    }
);

drill!(
    a_leader_killed_before_the_end_is_followed_by_one_that_ends_the_run,
    async |name| {
        let phase = "SELECT 'x' FROM task WHERE kind = 'evaluate' AND state IN ('assigned', 'running') \
                 AND no = (SELECT max(no) FROM task)";
        leader_dies(name, Some(phase), Shape::SMALL).await;
    }
);

drill!(
    results_are_committed_while_no_manager_is_there,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        for manager in &mut cluster.managers {
            manager.kill();
        }
        let killed = cluster.drill.note("kill -9 of both managers");
        recovers(&cluster, killed, Duration::from_secs(3)).await;
        cluster.drill.pause(6_000, 9_000).await;
        cluster.wire.heal();
        cluster.start_manager(1);
        let back = cluster.drill.note("one is back");
        recovers(&cluster, back, LEADER).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    a_leader_that_dies_again_and_again_holds_nothing_up_for_good,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let mut last = Timestamp::now();
        for _ in 0..4 {
            let leader = cluster.leader().await;
            cluster.managers[leader].kill();
            last = cluster
                .drill
                .note(format!("kill -9 {}", cluster.managers[leader].name));
            cluster.drill.pause(500, 1_500).await;
            cluster.start_manager(leader);
            cluster.drill.pause(3_000, 7_000).await;
        }
        cluster.wire.heal();
        let ended = texts(
            &cluster,
            "SELECT state FROM run WHERE finished_at IS NOT NULL",
        )
        .await;
        if ended.is_empty() {
            recovers(&cluster, last, Duration::from_secs(10)).await;
        }
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);
