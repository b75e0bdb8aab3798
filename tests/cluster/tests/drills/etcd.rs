//! The coordinator is hurt (rows 9 to 14 of the matrix): leases come and go, and nothing is charged.

use std::time::Duration;

use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::servers::Whose;
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_store::dump::dump_final;
use assay_store::{PostgresOptions, PostgresStore};

use crate::drill;
use crate::usual::{RUN, begun, ends_right, is_right, recovers, slow_commits, texts, uncharged};

fn own() -> Plan {
    Plan {
        etcd: Whose::Own,
        ..Plan::default()
    }
}

/// The member that leads.
async fn head(cluster: &Cluster) -> usize {
    let look = || async { blocking(|| cluster.servers.etcd().leader()) };
    cluster
        .until_some("leader of etcd", Duration::from_secs(10), look)
        .await
}

drill!(the_death_of_the_leading_member_is_not_felt, async |name| {
    let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
    slow_commits(&cluster);
    cluster.busy("measure").await;
    let head = head(&cluster).await;
    blocking(|| cluster.servers.etcd().kill(head));
    let killed = cluster
        .drill
        .note(format!("kill -9 of member {head}, which leads"));
    recovers(&cluster, killed, Duration::from_secs(3)).await;
    cluster.drill.pause(2_000, 4_000).await;
    blocking(|| cluster.servers.etcd().restart(head));
    cluster.drill.note("it is back");
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &uncharged()).await;
    let epoch = texts(&cluster, "SELECT epoch::text FROM leader_epoch").await;
    assert_eq!(epoch, ["1"], "nobody else was elected");
});

drill!(
    a_leading_member_that_stands_still_costs_no_attempt,
    async |name| {
        let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let head = head(&cluster).await;
        blocking(|| cluster.servers.etcd().pause(head));
        let stopped = cluster
            .drill
            .note(format!("SIGSTOP of member {head}, which leads"));
        recovers(&cluster, stopped, Duration::from_secs(12)).await;
        cluster.drill.pause(8_000, 12_000).await;
        blocking(|| cluster.servers.etcd().resume(head));
        let on = cluster.drill.note("SIGCONT");
        cluster.wire.heal();
        let ended = texts(
            &cluster,
            "SELECT state FROM run WHERE finished_at IS NOT NULL",
        )
        .await;
        if ended.is_empty() {
            recovers(&cluster, on, Duration::from_secs(12)).await;
        }
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(without_a_quorum_the_sitting_leader_goes_on, async |name| {
    let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
    slow_commits(&cluster);
    cluster.busy("measure").await;
    let head = head(&cluster).await;
    let other = (head + 1) % 3;
    blocking(|| {
        let mut etcd = cluster.servers.etcd();
        etcd.kill(head);
        etcd.kill(other);
    });
    let lost = cluster.drill.note("kill -9 of two members: no quorum");
    recovers(&cluster, lost, Duration::from_secs(3)).await;
    // Longer than every lease.
    cluster.drill.pause(11_000, 14_000).await;
    cluster.wire.heal();
    let late = data::generate(cluster.drill.folder(), "late", Shape::SMALL);
    let second = cluster.submit(&late, "second").await;
    let state = cluster.ended(&second, Duration::from_secs(30)).await;
    assert_eq!(
        state, "succeeded",
        "a run from its plan to its end without a quorum"
    );
    blocking(|| {
        let mut etcd = cluster.servers.etcd();
        etcd.restart(head);
        etcd.restart(other);
        etcd.await_ready();
    });
    cluster.drill.note("both are back");
    cluster.ended(&run, RUN).await;
    is_right(&cluster, &[&data, &late], &uncharged()).await;
    let epoch = texts(&cluster, "SELECT epoch::text FROM leader_epoch").await;
    assert_eq!(epoch, ["1"], "nobody else was elected");
});

drill!(
    without_a_quorum_and_a_leader_results_are_still_committed,
    async |name| {
        let (mut cluster, data, run) = begun(name, own(), Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        blocking(|| {
            let mut etcd = cluster.servers.etcd();
            etcd.kill(0);
            etcd.kill(1);
        });
        let leader = cluster.leader().await;
        cluster.managers[leader].kill();
        let lost = cluster
            .drill
            .note("kill -9 of two members and of the leader");
        recovers(&cluster, lost, Duration::from_secs(3)).await;
        cluster.drill.pause(8_000, 11_000).await;
        let epoch = texts(&cluster, "SELECT epoch::text FROM leader_epoch").await;
        assert_eq!(epoch, ["1"], "there are no elections without a quorum");
        cluster.wire.heal();
        blocking(|| {
            let mut etcd = cluster.servers.etcd();
            etcd.restart(0);
            etcd.restart(1);
            etcd.await_ready();
        });
        let back = cluster.drill.note("both are back");
        recovers(&cluster, back, Duration::from_secs(10)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
    }
);

drill!(an_etcd_that_lost_everything_costs_nothing, async |name| {
    let (cluster, data, run) = begun(name, own(), Shape::USUAL).await;
    slow_commits(&cluster);
    cluster.busy("measure").await;
    blocking(|| cluster.servers.etcd().wipe());
    let wiped = cluster.drill.note("etcd is emptied and started anew");
    recovers(&cluster, wiped, Duration::from_secs(20)).await;
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &uncharged()).await;
});

drill!(
    a_cluster_at_rest_keeps_every_row_when_etcd_is_emptied,
    async |name| {
        let drill = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::SMALL);
        let mut cluster = Cluster::start(&drill, own()).await;
        let run = cluster.submit(&data, "first").await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
        let store = PostgresStore::connect(PostgresOptions::new(cluster.database.url.clone()));
        let store = store.await.unwrap();
        let states = "SELECT string_agg(state, ',' ORDER BY run_id, no) FROM task";
        let before = (
            dump_final(&store).await.unwrap(),
            texts(&cluster, states).await,
        );
        blocking(|| cluster.servers.etcd().wipe());
        cluster.drill.note("etcd is emptied and started anew");
        cluster.drill.pause(6_000, 8_000).await;
        cluster.ready(Duration::from_secs(20)).await;
        let after = (
            dump_final(&store).await.unwrap(),
            texts(&cluster, states).await,
        );
        assert_eq!(before, after);
        // And it works.
        let again = cluster.submit(&data, "second").await;
        ends_right(&cluster, &data, &again, &uncharged()).await;
    }
);
