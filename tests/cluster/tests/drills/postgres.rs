//! The state of record is away, slow, full or forgetful (rows 16 and 19 to 22 of the matrix).

use std::time::Duration;

use assay_cluster_tests::Plan;
use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::Shape;
use assay_cluster_tests::database::Database;
use assay_cluster_tests::servers::Whose;

use crate::drill;
use crate::usual::{begun, ends_right, goes_on, slow_commits, texts, uncharged};

fn own() -> Plan {
    Plan {
        postgres: Whose::Own,
        ..Plan::default()
    }
}

drill!(a_killed_postgres_costs_no_attempt, async |name| {
    let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
    slow_commits(&cluster);
    cluster.busy("measure").await;
    for _ in 0..2 {
        cluster.drill.pause(100, 900).await;
        blocking(|| cluster.servers.postgres().kill());
        let killed = cluster.drill.note("kill -9 of Postgres");
        blocking(|| cluster.servers.postgres().restart());
        cluster.drill.note("it is started again");
        goes_on(&cluster, killed, Duration::from_secs(12)).await;
    }
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &uncharged()).await;
});

drill!(
    a_postgres_that_is_restarted_while_verdicts_are_written_keeps_each_once,
    async |name| {
        let (cluster, data, run) = begun(name, own(), Shape::SMALL).await;
        slow_commits(&cluster);
        cluster.busy("evaluate").await;
        cluster.drill.pause(50, 300).await;
        blocking(|| cluster.servers.postgres().restart());
        let back = cluster.drill.note("Postgres was stopped and started");
        cluster.wire.heal();
        goes_on(&cluster, back, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    a_postgres_that_is_away_for_longer_than_a_lease_costs_no_attempt,
    async |name| {
        let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        blocking(|| cluster.servers.postgres().stop());
        cluster.drill.note("Postgres is stopped");
        cluster.drill.pause(11_000, 13_000).await;
        blocking(|| cluster.servers.postgres().restart());
        let back = cluster.drill.note("it is started again");
        cluster.wire.heal();
        goes_on(&cluster, back, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    a_postgres_that_stands_still_costs_no_attempt,
    async |name| {
        let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        blocking(|| cluster.servers.postgres().pause());
        cluster.drill.note("SIGSTOP of Postgres");
        cluster.drill.pause(6_000, 9_000).await;
        blocking(|| cluster.servers.postgres().resume());
        let on = cluster.drill.note("SIGCONT");
        cluster.wire.heal();
        goes_on(&cluster, on, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    a_postgres_that_is_read_only_costs_no_attempt,
    async |name| {
        let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let server = cluster.servers.postgres();
        let set = |value: &str| {
            let alter = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
            blocking(|| {
                server.sql(&server.url(), &alter);
                server.sql(&server.url(), "SELECT pg_reload_conf()");
            });
        };
        set("on");
        cluster.drill.note("Postgres is read-only");
        cluster.drill.pause(4_000, 6_000).await;
        set("off");
        let back = cluster.drill.note("it can be written again");
        cluster.wire.heal();
        goes_on(&cluster, back, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    a_postgres_without_free_connections_costs_no_attempt,
    async |name| {
        let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let server = cluster.servers.postgres();
        // All that is left, and whatever the cluster gives back; then those that it holds are ended.
        let mut taken = Vec::new();
        for round in 0..2 {
            while taken.len() < 220 {
                let one = Database::at(&server.url());
                if one.text("SELECT 'x'").await.is_err() {
                    break;
                }
                taken.push(one);
            }
            if round == 0 {
                let others = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity \
                          WHERE application_name = 'assay'";
                let ended = taken[0].text(others).await.unwrap();
                cluster.drill.note(format!(
                    "{} connections are taken, {ended} ended",
                    taken.len()
                ));
            }
        }
        cluster.drill.pause(4_000, 6_000).await;
        for one in taken {
            one.close().await;
        }
        let back = cluster.drill.note("they are given back");
        cluster.wire.heal();
        goes_on(&cluster, back, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(
    rows_that_are_locked_for_long_hold_up_only_themselves,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        cluster.busy("measure").await;
        let other = Database::at(&cluster.database.url);
        let lock = "BEGIN; SELECT 1 FROM task WHERE state IN ('ready', 'assigned', 'running') \
                FOR UPDATE; SELECT pg_sleep(6); COMMIT";
        cluster.drill.note("the rows of all tasks are locked");
        other.execute(lock).await.unwrap();
        let free = cluster.drill.note("they are free");
        goes_on(&cluster, free, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
        other.close().await;
    }
);

drill!(a_slow_postgres_costs_time_and_nothing_else, async |name| {
    let (cluster, data, run) = begun(name, Plan::default(), Shape::SMALL).await;
    let processes = cluster.managers.iter().chain(&cluster.nodes);
    for process in processes {
        cluster.wire.change(&process.name, "postgres", |rule| {
            rule.delay = Duration::from_millis(100);
        });
    }
    cluster.drill.note("each statement takes 200 ms more");
    cluster.drill.pause(6_000, 8_000).await;
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &uncharged()).await;
});

drill!(
    answers_of_postgres_that_are_lost_are_asked_for_again,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        for process in cluster.managers.iter().chain(&cluster.nodes) {
            cluster
                .wire
                .change(&process.name, "postgres", |rule| rule.lost_permille = 100);
        }
        cluster
            .drill
            .note("of ten answers of Postgres, one is lost with its connection");
        cluster.drill.pause(5_000, 7_000).await;
        cluster.wire.heal();
        let healed = cluster.drill.note("no more");
        assert!(
            cluster.wire.lost() > 5,
            "{} answers were lost",
            cluster.wire.lost()
        );
        goes_on(&cluster, healed, Duration::from_secs(8)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
        let epochs = texts(&cluster, "SELECT epoch::text FROM leader_epoch").await;
        cluster.drill.note(format!("epoch {epochs:?}"));
    }
);

drill!(
    one_node_whose_answers_are_lost_commits_each_result_once,
    async |name| {
        let (cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
        let node = cluster.busy("measure").await;
        let who = cluster.nodes[node].name.clone();
        cluster
            .wire
            .change(&who, "postgres", |rule| rule.lost_permille = 100);
        cluster
            .drill
            .note(format!("of ten answers to {who}, one is lost"));
        ends_right(&cluster, &data, &run, &Facts::default()).await;
        assert!(cluster.wire.lost() > 0);
    }
);
