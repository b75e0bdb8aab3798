//! Something is full (rows 15 and 25 of the matrix): etcd's space, the disk of Postgres' tables, the
//! disk of its log, the disk that a node writes its own log to.

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::servers::{Want, Whose};
use assay_cluster_tests::small_disk::SmallDisk;
use assay_cluster_tests::{Cluster, Drill, Plan};
use etcd_client::{AlarmAction, AlarmType, Client};

use crate::drill;
use crate::usual::{begun, ends_right, goes_on, recovers, slow_commits, uncharged};

/// Bytes that etcd may take in these drills.
const QUOTA: u64 = 8 << 20;

/// A client of one member, past the wire.
pub async fn member(cluster: &Cluster, i: usize) -> Client {
    let endpoint = cluster.servers.etcd().endpoints()[i].clone();
    Client::connect([endpoint], None).await.unwrap()
}

/// Writes until etcd refuses.
async fn fill_etcd(cluster: &Cluster) {
    let mut etcd = member(cluster, 0).await;
    for n in 0..1000 {
        if let Err(error) = etcd.put("/junk", vec![0_u8; 512 << 10], None).await {
            let why = error.to_string();
            assert!(why.contains("space exceeded"), "{why}");
            cluster.drill.note(format!("etcd is full after {n} writes"));
            return;
        }
    }
    panic!("etcd takes more than it may");
}

/// What an operator does: drop what is past, give the space back, take the alarm off.
async fn make_room(cluster: &Cluster) {
    let mut etcd = member(cluster, 0).await;
    let junk = etcd.delete("/junk", None).await;
    // A full etcd takes deletions.
    let revision = junk.unwrap().header().unwrap().revision();
    etcd.compact(revision, None).await.unwrap();
    let members = cluster.servers.etcd().endpoints().len();
    for i in 0..members {
        member(cluster, i).await.defragment().await.unwrap();
    }
    // All alarms of all members.
    for alarm in etcd
        .alarm(AlarmAction::Get, AlarmType::None, None)
        .await
        .unwrap()
        .alarms()
    {
        let mut of = etcd_client::AlarmOptions::new();
        of.with_member(alarm.member_id());
        etcd.alarm(AlarmAction::Deactivate, alarm.alarm(), Some(of))
            .await
            .unwrap();
    }
}

drill!(a_full_etcd_holds_up_no_run, async |name| {
    let plan = Plan {
        etcd: Whose::Own,
        want: Want {
            etcd_quota_bytes: Some(QUOTA),
            ..Want::default()
        },
        ..Plan::default()
    };
    let (mut cluster, data, run) = begun(name, plan, Shape::USUAL).await;
    slow_commits(&cluster);
    cluster.busy("measure").await;
    fill_etcd(&cluster).await;
    let full = cluster.drill.note("it takes no write");
    recovers(&cluster, full, Duration::from_secs(3)).await;
    // Longer than every lease.
    cluster.drill.pause(10_000, 12_000).await;
    let late = data::generate(cluster.drill.folder(), "late", Shape::SMALL);
    let second = cluster.submit(&late, "second").await;
    cluster.wire.heal();
    let state = cluster.ended(&second, Duration::from_secs(60)).await;
    assert_eq!(state, "succeeded", "a whole run while etcd is full");
    make_room(&cluster).await;
    cluster.drill.note("there is room again");
    // Elections work again, too.
    let leader = cluster.leader().await;
    cluster.managers[leader].kill();
    let killed = cluster.drill.note("kill -9 of the leader");
    cluster.ready(Duration::from_secs(30)).await;
    goes_on(&cluster, killed, Duration::from_secs(12)).await;
    cluster.ended(&run, Duration::from_secs(90)).await;
    crate::usual::is_right(&cluster, &[&data, &late], &uncharged()).await;
});

/// Moves all tables of the cluster to the disk.
fn move_tables(cluster: &Cluster, disk: &SmallDisk) {
    let server = cluster.servers.postgres();
    let place = disk.folder().join("tables");
    server.own_folder(&place);
    let space = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
    server.sql(&server.url(), &space);
    for what in ["TABLE", "INDEX"] {
        let all = format!("ALTER {what} ALL IN TABLESPACE pg_default SET TABLESPACE small");
        server.sql(&cluster.database.url, &all);
    }
}

drill!(
    a_postgres_whose_tables_have_no_room_costs_no_attempt,
    async |name| {
        let drill = Drill::begin(name).await;
        let disk = blocking(|| SmallDisk::of(24 << 20));
        let data = data::generate(drill.folder(), "orders", Shape::USUAL);
        let plan = Plan {
            postgres: Whose::Own,
            ..Plan::default()
        };
        let cluster = Cluster::start(&drill, plan).await;
        blocking(|| move_tables(&cluster, &disk));
        let run = cluster.submit(&data, "first").await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        blocking(|| disk.fill());
        cluster.drill.note("the disk of the tables is full");
        // What was free inside of the tables is filled, too.
        let refused = || async {
            let log = blocking(|| cluster.servers.postgres().log());
            log.contains("No space left on device").then_some(())
        };
        let limit = Duration::from_secs(60);
        cluster.until_some("refused write", limit, refused).await;
        cluster.drill.note("a write was refused");
        cluster.drill.pause(3_000, 5_000).await;
        blocking(|| disk.free());
        let freed = cluster.drill.note("it has room again");
        cluster.wire.heal();
        goes_on(&cluster, freed, Duration::from_secs(15)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
        // The server goes before its disk.
        drop(cluster);
        drop(disk);
    }
);

drill!(
    a_postgres_whose_log_has_no_room_costs_no_attempt,
    async |name| {
        let disk = blocking(|| SmallDisk::of(400 << 20));
        let plan = Plan {
            postgres: Whose::Own,
            want: Want {
                postgres_folder: Some(disk.folder().to_owned()),
                ..Want::default()
            },
            ..Plan::default()
        };
        let (cluster, data, run) = begun(name, plan, Shape::USUAL).await;
        slow_commits(&cluster);
        cluster.busy("measure").await;
        let server = cluster.servers.postgres();
        blocking(|| disk.fill());
        cluster.drill.note("the disk of Postgres is full");
        // Segments that were there before are filled; then it has nowhere to write to.
        blocking(|| server.write_until_it_breaks());
        cluster.drill.note("Postgres has broken down");
        cluster.drill.pause(1_000, 3_000).await;
        blocking(|| {
            disk.free();
            server.restart();
        });
        let back = cluster.drill.note("there is room, and it is started again");
        cluster.wire.heal();
        goes_on(&cluster, back, Duration::from_secs(15)).await;
        ends_right(&cluster, &data, &run, &uncharged()).await;
        drop(cluster);
        drop(disk);
    }
);

drill!(a_node_whose_disk_is_full_goes_on, async |name| {
    // A node keeps nothing on disk but its log, and a log that cannot be written is no reason to end.
    let disk = blocking(|| SmallDisk::of(1 << 20));
    let (mut cluster, data, run) = begun(name, Plan::default(), Shape::USUAL).await;
    slow_commits(&cluster);
    blocking(|| disk.fill());
    let node = cluster.busy("measure").await;
    cluster.nodes[node].log_in(disk.folder());
    cluster.nodes[node].set("TMPDIR", disk.folder().to_str().unwrap());
    cluster.nodes[node].set("ASSAY_LOG", "debug");
    cluster.nodes[node].kill();
    let killed = cluster.drill.note("kill -9 of a node");
    cluster.start_node(node);
    cluster.drill.note("it starts again, on a full disk");
    recovers(&cluster, killed, Duration::from_secs(12)).await;
    let who = cluster.nodes[node].name.clone();
    let works = format!(
        "SELECT 'x' FROM task_attempt WHERE node = '{who}' AND outcome = 'ok' AND ended_at > '{killed}'"
    );
    let limit = Duration::from_secs(60);
    cluster.until("result of that node", limit, &works).await;
    cluster.wire.heal();
    ends_right(&cluster, &data, &run, &Facts::default()).await;
    let mine = &mut cluster.nodes[node];
    assert!(mine.runs(), "it goes on without a log");
    let lives = format!("SELECT incarnation::text FROM node WHERE id = '{who}'");
    assert_eq!(
        cluster.database.text(&lives).await.unwrap(),
        "2",
        "one life since"
    );
    drop(cluster);
    drop(disk);
});
