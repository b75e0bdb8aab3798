//! Everything at once, at random (row 42 of the matrix): `ASSAY_DRILL_FAULTS` faults, drawn from the
//! seed, one after the other, each healed while the next ones last.

use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::cluster::blocking;
use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::drill::number;
use assay_cluster_tests::servers::Whose;
use assay_cluster_tests::{Cluster, Drill, Flow, Plan};

use crate::drill;
use crate::usual::{ends_right, recovers, slow_commits, texts};

/// Faults of a run of the tests.
const FAULTS: u64 = 12;

/// How one fault is healed.
enum Cure {
    StartNode(usize),
    StartManager(usize),
    ResumeNode(usize),
    ResumeManager(usize),
    StartMember(usize),
    ResumeMember(usize),
    StartPostgres,
    ResumePostgres,
    Open(String, String),
    Nothing,
}

fn hurt(cluster: &mut Cluster) -> Cure {
    let drill = std::sync::Arc::clone(&cluster.drill);
    let node = drill.draw(0, 2) as usize;
    let manager = drill.draw(0, 1) as usize;
    let member = drill.draw(0, 2) as usize;
    let servers = [
        "postgres",
        "etcd-0",
        "etcd-1",
        "etcd-2",
        "manager-1",
        "manager-2",
    ];
    let to = servers[drill.draw(0, 5) as usize].to_owned();
    let from = cluster.nodes[node].name.clone();
    match drill.draw(0, 10) {
        0 if cluster.nodes[node].runs() => {
            drill.note(format!("kill -9 {from}"));
            cluster.nodes[node].kill();
            Cure::StartNode(node)
        }
        1 if cluster.managers[manager].runs() => {
            drill.note(format!("kill -9 manager {manager}"));
            cluster.managers[manager].kill();
            Cure::StartManager(manager)
        }
        2 if cluster.nodes[node].runs() => {
            drill.note(format!("SIGSTOP {from}"));
            cluster.nodes[node].pause();
            Cure::ResumeNode(node)
        }
        3 if cluster.managers[manager].runs() => {
            drill.note(format!("SIGSTOP manager {manager}"));
            cluster.managers[manager].pause();
            Cure::ResumeManager(manager)
        }
        4 => {
            drill.note(format!("kill -9 member {member}"));
            blocking(|| cluster.servers.etcd().kill(member));
            Cure::StartMember(member)
        }
        5 => {
            drill.note(format!("SIGSTOP member {member}"));
            // One that is dead is started first.
            blocking(|| {
                let mut etcd = cluster.servers.etcd();
                etcd.restart(member);
                etcd.pause(member);
            });
            Cure::ResumeMember(member)
        }
        6 => {
            drill.note("kill -9 of Postgres");
            blocking(|| {
                // Children that stand still would not notice the death of their parent.
                cluster.servers.postgres().resume();
                cluster.servers.postgres().kill();
            });
            Cure::StartPostgres
        }
        7 => {
            drill.note("SIGSTOP of Postgres");
            blocking(|| cluster.servers.postgres().pause());
            Cure::ResumePostgres
        }
        8 => {
            drill.note(format!("{from} loses answers of {to}"));
            cluster
                .wire
                .change(&from, &to, |rule| rule.lost_permille = 200);
            Cure::Open(from, to)
        }
        9 => {
            let flow = [Flow::Cut, Flow::Deaf, Flow::Mute][drill.draw(0, 2) as usize];
            drill.note(format!("{from} to {to}: {flow:?}"));
            cluster.wire.change(&from, &to, |rule| rule.flow = flow);
            Cure::Open(from, to)
        }
        _ => {
            drill.note(format!("{from} to {to}: reset"));
            cluster.wire.reset(&from, &to);
            Cure::Nothing
        }
    }
}

fn heal(cluster: &mut Cluster, cure: Cure) {
    match cure {
        Cure::StartNode(i) => cluster.start_node(i),
        Cure::StartManager(i) => cluster.start_manager(i),
        Cure::ResumeNode(i) => cluster.nodes[i].resume(),
        Cure::ResumeManager(i) => cluster.managers[i].resume(),
        Cure::StartMember(i) | Cure::ResumeMember(i) => {
            blocking(|| cluster.servers.etcd().restart(i));
        }
        Cure::StartPostgres => blocking(|| {
            let server = cluster.servers.postgres();
            server.resume();
            server.restart();
        }),
        Cure::ResumePostgres => blocking(|| cluster.servers.postgres().resume()),
        Cure::Open(from, to) => cluster.wire.change(&from, &to, |rule| {
            rule.flow = Flow::Open;
            rule.lost_permille = 0;
        }),
        Cure::Nothing => return,
    }
    cluster.drill.note("one of them is healed");
}

drill!(everything_at_once_leaves_the_truth, async |name| {
    let drill = Drill::begin(name).await;
    let shape = Shape {
        days: 8,
        ..Shape::USUAL
    };
    let mut data = data::generate(drill.folder(), "orders", shape);
    // Nodes are killed so often that an innocent task may be hit again and again.
    data.dataset.run.retries = 30;
    let plan = Plan {
        etcd: Whose::Own,
        postgres: Whose::Own,
        ..Plan::default()
    };
    let mut cluster = Cluster::start(&drill, plan).await;
    let run = cluster.submit(&data, "first").await;
    slow_commits(&cluster);
    let mut cures = Vec::new();
    for _ in 0..number("ASSAY_DRILL_FAULTS").unwrap_or(FAULTS) {
        let cure = hurt(&mut cluster);
        cures.push(cure);
        cluster.drill.pause(300, 3_000).await;
        if cures.len() > 2 {
            let first = cures.remove(0);
            heal(&mut cluster, first);
        }
    }
    for cure in cures {
        heal(&mut cluster, cure);
    }
    for i in 0..3 {
        if !cluster.nodes[i].runs() {
            cluster.start_node(i);
        }
    }
    for i in 0..2 {
        if !cluster.managers[i].runs() {
            cluster.start_manager(i);
        }
    }
    for process in cluster.managers.iter().chain(&cluster.nodes) {
        process.resume();
    }
    cluster.wire.heal();
    blocking(|| {
        let server = cluster.servers.postgres();
        server.resume();
        if server.id().is_none() {
            server.restart();
        }
        cluster.servers.etcd().await_ready();
    });
    let healed = cluster.drill.note("all is healed");
    if !texts(&cluster, "SELECT 'x' FROM run WHERE finished_at IS NULL")
        .await
        .is_empty()
    {
        recovers(&cluster, healed, Duration::from_secs(60)).await;
    }
    ends_right(&cluster, &data, &run, &Facts::default()).await;
});
