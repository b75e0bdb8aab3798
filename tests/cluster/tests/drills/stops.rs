//! Processes that stand still and go on: SIGSTOP, SIGCONT (rows 3, 6 and 9 of the decisions).

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::Shape;
use assay_cluster_tests::{Flow, Plan, machine};
use rustix::process::Signal;

use crate::drill;
use crate::usual::{begun, ends_right, slow_commits, texts, uncharged};

/// A stopped node is dead when its lease is.
const ZOMBIE: Duration = Duration::from_secs(12);

drill!(
    a_stopped_node_loses_its_tasks_and_comes_back_with_a_new_life,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        let node = cluster.busy("measure").await;
        let who = cluster.nodes[node].name.clone();
        cluster.nodes[node].pause();
        cluster.drill.note(format!("SIGSTOP {who}, measuring"));
        let lost =
            format!("SELECT 'x' FROM task_attempt WHERE node = '{who}' AND outcome = 'node_lost'");
        cluster.until("lost attempt", ZOMBIE, &lost).await;
        cluster.drill.note("its tasks are taken back");
        let again = "SELECT 'x' FROM task_attempt WHERE attempt > 1 AND outcome = 'ok'";
        cluster
            .until(
                "second attempt that is done",
                Duration::from_secs(20),
                again,
            )
            .await;
        cluster.nodes[node].resume();
        cluster.drill.note("SIGCONT");
        cluster.wire.heal();
        let lives = format!(
            "SELECT 'x' FROM node WHERE id = '{who}' AND state = 'live' AND incarnation = 2"
        );
        cluster.until("second life", ZOMBIE, &lives).await;
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);

drill!(
    a_zombie_whose_commit_was_under_way_is_fenced,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        let node = cluster.busy("measure").await;
        let who = cluster.nodes[node].name.clone();
        cluster
            .wire
            .change(&who, "postgres", |rule| rule.flow = Flow::Deaf);
        cluster.drill.pause(300, 900).await;
        cluster.nodes[node].pause();
        cluster.drill.note(format!(
            "SIGSTOP {who}; its results are under way to Postgres"
        ));
        let again = format!(
            "SELECT 'x' FROM task_attempt a JOIN task_attempt b ON b.task_id = a.task_id \
         AND b.attempt = a.attempt + 1 AND b.outcome = 'ok' WHERE a.node = '{who}'"
        );
        cluster
            .until(
                "second attempt that is done",
                Duration::from_secs(30),
                &again,
            )
            .await;
        cluster.wire.heal();
        cluster.drill.note("the results of the zombie arrive");
        cluster.drill.pause(100, 500).await;
        cluster.nodes[node].resume();
        cluster.drill.note("SIGCONT");
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        let twice = format!(
            "SELECT 'x' FROM task_attempt WHERE node = '{who}' AND attempt = 1 \
                         AND outcome = 'ok' AND task_id IN (SELECT task_id FROM task_attempt WHERE attempt = 2)"
        );
        assert_eq!(texts(&cluster, &twice).await, [""; 0]);
    }
);

drill!(
    a_stopped_leader_is_followed_and_refused_when_it_goes_on,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let leader = cluster.leader().await;
        cluster.managers[leader].pause();
        cluster.drill.note(format!(
            "SIGSTOP {}, which leads",
            cluster.managers[leader].name
        ));
        let minted = "SELECT 'x' FROM leader_epoch WHERE epoch > 1";
        cluster
            .until("new leader", Duration::from_secs(8), minted)
            .await;
        cluster.drill.note("another one leads");
        cluster.drill.pause(500, 2_000).await;
        cluster.managers[leader].resume();
        cluster.drill.note("SIGCONT");
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
        let other = cluster.leader().await;
        assert_ne!(
            other, leader,
            "the one that was stopped does not take the lead back"
        );
    }
);

drill!(
    a_leader_that_stands_still_for_less_than_its_lease_stays,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let leader = cluster.leader().await;
        cluster.managers[leader].pause();
        cluster.drill.note("SIGSTOP of the leader");
        cluster.drill.pause(1_500, 2_500).await;
        cluster.managers[leader].resume();
        cluster.drill.note("SIGCONT");
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &uncharged()).await;
        let epoch = texts(&cluster, "SELECT epoch::text FROM leader_epoch").await;
        assert_eq!(epoch, ["1"], "nobody else was elected");
    }
);

drill!(
    a_task_that_hangs_gets_a_second_copy_and_the_first_is_fenced,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        let node = cluster.busy("measure").await;
        // The node lives and beats; what it runs stands still.
        let who = cluster.nodes[node].name.clone();
        let children = cluster.nodes[node].children();
        for child in &children {
            machine::signal(*child, Signal::STOP);
        }
        cluster
            .drill
            .note(format!("SIGSTOP of the children of {who}"));
        let copied = "SELECT 'x' FROM task_attempt WHERE twin AND outcome = 'ok'";
        cluster
            .until("second copy that is done", Duration::from_secs(55), copied)
            .await;
        cluster.drill.note("a second copy is done");
        for child in children {
            machine::signal(child, Signal::CONT);
        }
        cluster.drill.note("SIGCONT");
        ends_right(&cluster, &data, &run, &Facts::default()).await;
    }
);
