//! The command against a cluster: what operators see of it while it works, waits and fails.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use assay_cluster_tests::checker::Facts;
use assay_cluster_tests::data::Shape;
use assay_cluster_tests::{Cluster, Drill, Flow, Plan, binaries};
use assay_telemetry::http;

use crate::drill;
use crate::usual::{RUN, is_right, slow_commits, stands};

/// `assay …` against all managers of the cluster; the answer is what it says, whatever its code.
fn assay(cluster: &Cluster, arguments: &[&str]) -> (i32, String, String) {
    let said = assay_cluster_tests::cluster::blocking(|| command(cluster, arguments).output());
    words(said.expect("the command is built"))
}

fn command(cluster: &Cluster, arguments: &[&str]) -> Command {
    let files = cluster.files.of("drill");
    let mut command = Command::new(binaries::path_of("assay"));
    command
        .args(arguments)
        .current_dir(cluster.drill.folder())
        .env("ASSAY_SERVER", cluster.client.managers.join(","))
        .env("ASSAY_TLS_CA", &files.ca)
        .env("ASSAY_TLS_CERT", &files.cert)
        .env("ASSAY_TLS_KEY", &files.key)
        .env("NO_COLOR", "1");
    command
}

fn words(said: Output) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = said;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// What it prints, when it is content.
fn shown(cluster: &Cluster, arguments: &[&str]) -> String {
    let (code, out, err) = assay(cluster, arguments);
    cluster
        .drill
        .note(format!("assay {}\n{out}{err}", arguments.join(" ")));
    assert_eq!(code, 0, "assay {arguments:?}\n{out}\n{err}");
    out
}

fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in\n{text}");
    }
}

drill!(
    the_command_shows_who_leads_who_works_what_was_tried_and_why_others_wait,
    async |name| {
        let plan = Plan {
            secured: true,
            slots: 1,
            ..Plan::default()
        };
        let (drill, mut cluster, data) = stands(name, plan, Shape::USUAL).await;
        has(&shown(&cluster, &["dataset", "list"]), &["No datasets"]);
        slow_commits(&cluster);
        let run = cluster.submit(&data, "first").await;
        let node = cluster.busy("measure").await;
        let busy = cluster.nodes[node].name.clone();

        let leader = cluster.managers[cluster.leader().await].name.clone();
        let status = shown(&cluster, &["cluster", "status"]);
        has(
            &status,
            &[
                "leader", &leader, "epoch", "1 run", "node-1", "node-2", "node-3", "live",
            ],
        );
        for standby in cluster.managers.iter().filter(|m| m.name != leader) {
            let line = status.lines().find(|line| line.starts_with("standby"));
            has(line.unwrap_or_default(), &[&standby.name, " at https://"]);
        }
        let nodes = shown(&cluster, &["node", "list", "-o", "json"]);
        let nodes: serde_json::Value = serde_json::from_str(&nodes).unwrap();
        let used: u64 = nodes["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["slotsUsed"].as_u64().unwrap())
            .sum();
        assert!(
            used >= 1 && nodes["items"][0]["memoryBytes"].as_u64().unwrap() > 0,
            "{nodes}"
        );
        has(
            &shown(&cluster, &["run", "list"]),
            &[&run, "orders", "running"],
        );
        let told = shown_of_running(&cluster, &run);
        has(&told, &["AT WORK", "WAITS", "on node-"]);
        has(
            &shown(&cluster, &["dataset", "list"]),
            &["orders", "1.0.0", "active"],
        );
        has(
            &shown(&cluster, &["dataset", "get", "ord"]),
            &["\"id\": \"orders\"", "csv"],
        );
        let (code, _, err) = assay(&cluster, &["dataset", "get", "nothing"]);
        assert_eq!(
            (code, err.contains("no dataset `nothing`")),
            (2, true),
            "{err}"
        );

        // A node dies at what it cannot commit: the attempt is told, with its node and its reason.
        cluster
            .wire
            .change(&busy, "postgres", |rule| rule.flow = Flow::Deaf);
        let open =
            format!("SELECT 'x' FROM task_attempt WHERE node = '{busy}' AND ended_at IS NULL");
        cluster
            .until("open attempt", Duration::from_secs(20), &open)
            .await;
        cluster.nodes[node].kill();
        drill.note(format!("kill -9 of {busy}"));
        let other = if busy == "node-3" { "node-2" } else { "node-3" };
        let drained = shown(&cluster, &["node", "drain", other, "--reason", "a drill"]);
        has(&drained, &["draining", other]);
        let dead = shown_of_nodes(&cluster, &[(&busy, "dead"), (other, "a drill")]).await;
        let line = dead.lines().find(|line| line.contains(&busy));
        has(line.unwrap_or_default(), &["given back"]);
        cluster.wire.heal();
        let watched = assay(&cluster, &["run", "watch", &run[..12], "--timeout", "90s"]);
        assert_eq!(watched.0, 0, "{watched:?}");
        cluster.ended(&run, RUN).await;
        let told = shown(&cluster, &["run", "get", &run]);
        has(&told, &["succeeded", "AGAIN", "node_lost", &busy]);
        let (code, out, err) = assay(&cluster, &["run", "cancel", &run]);
        assert!(code != 0 && err.contains("has ended"), "{code} {out} {err}");
        let second = shown(&cluster, &["run", "start", "orders", "--rescan"]);
        has(&second, &["orders"]);
        let (_, list, _) = assay(&cluster, &["run", "list", "--active", "-o", "json"]);
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let id = list["items"][0]["id"].as_str().unwrap().to_owned();
        has(&shown(&cluster, &["run", "cancel", &id]), &[&id]);
        assert_eq!(
            cluster.ended(&id, Duration::from_secs(30)).await,
            "cancelled"
        );
        let facts = Facts {
            may_be_partial: true,
            ..Default::default()
        };
        is_right(&cluster, &[&data], &facts).await;
    }
);

/// `node list`, as soon as each of these nodes is shown with its word: a death is decided, and a state
/// written, a moment after its cause.
async fn shown_of_nodes(cluster: &Cluster, wanted: &[(&str, &str)]) -> String {
    let mut last = String::new();
    for _ in 0..60 {
        last = assay(cluster, &["node", "list"]).1;
        let shown = |(node, word): &(&str, &str)| {
            let mut lines = last.lines();
            lines.any(|line| line.contains(node) && line.contains(word))
        };
        if wanted.iter().all(shown) {
            cluster.drill.note(last.clone());
            return last;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{wanted:?} is not in\n{last}");
}

/// `run get`, as soon as it shows tasks at work and tasks that wait: between two of them there may
/// be none of the one or the other.
fn shown_of_running(cluster: &Cluster, run: &str) -> String {
    let mut last = String::new();
    for _ in 0..50 {
        last = assay(cluster, &["run", "get", run]).1;
        if last.contains("AT WORK") && last.contains("WAITS") {
            break;
        }
    }
    cluster.drill.note(last.clone());
    last
}

drill!(a_watch_follows_the_lead_to_another_manager, async |name| {
    let plan = Plan {
        secured: true,
        ..Plan::default()
    };
    let (drill, mut cluster, data) = stands(name, plan, Shape::USUAL).await;
    slow_commits(&cluster);
    let run = cluster.submit(&data, "first").await;
    cluster.busy("measure").await;
    let mut watch = command(&cluster, &["run", "watch", &run, "--timeout", "120s"]);
    let watch = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let watch = watch.expect("the command is built");
    // It has found the leader, and follows.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = cluster.leader().await;
    cluster.managers[first].kill();
    drill.note("kill -9 of the leader");
    let minted = "SELECT 'x' FROM leader_epoch WHERE epoch = 2";
    cluster.until("new leader", RUN, minted).await;
    cluster.wire.heal();
    let said = assay_cluster_tests::cluster::blocking(|| watch.wait_with_output());
    let (code, out, err) = words(said.expect("it ends"));
    drill.note(format!("assay run watch\n{out}{err}"));
    assert_eq!(code, 0, "{out}\n{err}");
    has(&err, &["looking for the manager that leads"]);
    has(&out, &["succeeded"]);
    is_right(&cluster, &[&data], &Facts::default()).await;
});

drill!(
    a_store_that_is_away_is_told_while_nothing_runs,
    async |name| {
        let drill = Drill::begin(name).await;
        let plan = Plan {
            secured: true,
            ..Plan::default()
        };
        let cluster = Cluster::start(&drill, plan).await;
        let told = async |away: bool| {
            let limit = Duration::from_secs(60);
            let what = if away {
                "word of a store that is away"
            } else {
                "word of its return"
            };
            cluster
                .until_some(what, limit, async || {
                    let (code, out, err) = assay(&cluster, &["cluster", "status"]);
                    let says = (out + &err).contains("store    does not answer");
                    (code == 0 && says == away).then_some(())
                })
                .await;
        };
        told(false).await;
        for manager in &cluster.managers {
            cluster
                .wire
                .change(&manager.name, "postgres", |rule| rule.flow = Flow::Cut);
        }
        drill.note("managers are cut off from Postgres");
        told(true).await;
        let port = cluster.managers[cluster.leader().await].telemetry;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let ready = assay_cluster_tests::cluster::blocking(|| http::ask(address, "/readyz"));
        let ready = format!("{ready:?}");
        has(&ready, &["the store has not answered since"]);
        cluster.wire.heal();
        drill.note("Postgres is back");
        told(false).await;
    }
);
