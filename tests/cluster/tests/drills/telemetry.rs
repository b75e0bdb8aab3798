//! A drill is found again in what the processes say of themselves on `/metrics`.

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::Shape;
use assay_cluster_tests::scrape::Page;
use assay_cluster_tests::{Cluster, Plan};

use crate::drill;
use crate::usual::{begun, ends_right, slow_commits, stands, texts};

drill!(
    a_drill_is_found_in_the_telemetry_of_every_process,
    async |name| {
        let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        let lost = cluster.busy("measure").await;
        cluster.nodes[lost].kill();
        cluster.drill.note("kill -9 of a node");
        let again = "SELECT 'x' WHERE (SELECT count(*) FROM task_attempt WHERE outcome = 'node_lost') \
             = (SELECT count(*) FROM task_attempt WHERE attempt = 2 AND outcome = 'ok') \
             AND EXISTS (SELECT FROM task_attempt WHERE outcome = 'node_lost')";
        cluster
            .until(
                "second attempt, done, of each task that was lost",
                Duration::from_secs(20),
                again,
            )
            .await;
        let charged = texts(
            &cluster,
            "SELECT count(*)::text FROM task_attempt WHERE outcome = 'node_lost'",
        )
        .await;
        let charged: f64 = charged[0].parse().unwrap();
        let first = cluster.leader().await;
        let page = blocking(|| Page::of(cluster.managers[first].telemetry));
        let told = |series: &str, labels: &[&str]| page.sum(series, labels);
        assert_eq!(told("assay_node_failures_total", &[]).0, 1.0);
        assert_eq!(told("assay_node_moves_total", &["state=\"dead\""]).0, 1.0);
        assert_eq!(told("assay_nodes", &["state=\"live\""]), (2.0, 1));
        let failures = told(
            "assay_task_attempt_failures_total",
            &["kind=\"measure\"", "reason=\"node_lost\""],
        );
        assert_eq!(failures.0, charged, "failed attempts");
        assert_eq!(
            told("assay_task_retries_total", &["reason=\"node_lost\""]).0,
            charged,
            "retries"
        );
        let detection = "assay_failure_detection_duration_seconds";
        assert_eq!(told(&format!("{detection}_count"), &[]).0, 1.0);
        let seen = told(&format!("{detection}_sum"), &[]).0;
        // It is counted from the node's last word, which is up to a heartbeat before its death.
        assert!(
            seen > 0.0 && seen < 30.0,
            "the death was seen after {seen} s"
        );
        let recovered = told("assay_task_recovery_duration_seconds_count", &[]).0;
        assert_eq!(recovered, charged, "tasks that run elsewhere");
        let took = told("assay_task_recovery_duration_seconds_sum", &[]).0 / recovered.max(1.0);
        assert!(
            took > 0.0 && took < 60.0,
            "tasks run elsewhere after {took} s"
        );

        cluster.managers[first].kill();
        cluster.drill.note("kill -9 of the leader");
        let minted = "SELECT 'x' FROM leader_epoch WHERE epoch = 2";
        cluster
            .until("new leader", Duration::from_secs(10), minted)
            .await;
        cluster.wire.heal();
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        let page = blocking(|| Page::of(cluster.managers[1 - first].telemetry));
        let told = |series: &str, labels: &[&str]| page.sum(series, labels);
        assert_eq!(told("assay_manager_epoch", &[]), (2.0, 1));
        let failover = "assay_manager_failover_duration_seconds";
        assert_eq!(told(&format!("{failover}_count"), &[]).0, 1.0);
        let took = told(&format!("{failover}_sum"), &[]).0;
        assert!(took > 0.0 && took < 60.0, "nobody led for {took} s");
        assert_eq!(told("assay_runs_total", &["outcome=\"succeeded\""]).0, 1.0);

        for (i, node) in cluster.nodes.iter().enumerate().filter(|(i, _)| *i != lost) {
            let page = blocking(|| Page::of(node.telemetry));
            let query = format!(
                "SELECT count(*)::text FROM task_attempt a JOIN task t ON t.id = a.task_id \
             WHERE a.node = '{}' AND t.kind = 'measure' AND a.outcome = 'ok'",
                node.name
            );
            let done: f64 = texts(&cluster, &query).await[0].parse().unwrap();
            let told = page.sum(
                "assay_task_attempts_total",
                &["kind=\"measure\"", "outcome=\"computed\""],
            );
            assert_eq!(told.0, done, "measurements of node {i}");
            let rows = format!(
                "SELECT coalesce(sum(s.rows), 0)::text FROM metric_state s JOIN task_attempt a \
             ON a.task_id = s.task_id AND a.attempt = s.attempt WHERE a.node = '{}' AND a.outcome = 'ok'",
                node.name
            );
            let rows: f64 = texts(&cluster, &rows).await[0].parse().unwrap();
            assert_eq!(
                page.sum("assay_task_rows_total", &["kind=\"measure\""]).0,
                rows,
                "rows of node {i}"
            );
            assert!(
                page.sum("assay_node_registrations_total", &[]).0 >= 1.0,
                "it has found a leader; one that starts slowly never met the first"
            );
            assert_eq!(
                page.sum("process_resident_memory_bytes", &[]).1,
                1,
                "the process itself"
            );
        }
    }
);

/// What the leader tells of the dataset's last good run, once it does.
async fn last_good(cluster: &Cluster, leader: usize) -> f64 {
    let series = "assay_dataset_last_success_timestamp_seconds";
    let port = cluster.managers[leader].telemetry;
    let told = async || {
        let page = blocking(|| Page::of(port));
        let (at, of) = page.sum(series, &["dataset=\"orders\""]);
        // A run that somebody asked for by hand is no promise of another one.
        assert_eq!(page.sum("assay_dataset_run_interval_seconds", &[]).1, 0);
        (of == 1).then_some(at)
    };
    cluster
        .until_some(series, Duration::from_secs(120), told)
        .await
}

drill!(
    the_heir_of_a_leader_knows_when_each_dataset_last_succeeded,
    async |name| {
        let (_, mut cluster, data) = stands(name, Plan::default(), Shape::SMALL).await;
        let run = cluster.submit(&data, "first").await;
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        let first = cluster.leader().await;
        let told = last_good(&cluster, first).await;
        let stored = texts(
            &cluster,
            "SELECT extract(epoch FROM finished_at)::text FROM run WHERE finished_at IS NOT NULL",
        )
        .await;
        let stored: f64 = stored[0].parse().unwrap();
        assert!((told - stored).abs() < 5.0, "{told} and {stored}");
        cluster.managers[first].kill();
        cluster.drill.note("kill -9 of the leader");
        cluster
            .until(
                "new leader",
                Duration::from_secs(120),
                "SELECT 'x' FROM leader_epoch WHERE epoch = 2",
            )
            .await;
        let told = last_good(&cluster, 1 - first).await;
        assert!((told - stored).abs() < 0.001, "{told} and {stored}");
    }
);
