//! The command against a cluster: what operators see of it while it works, waits and fails.

use std::process::{Command, Output};
use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Flow, Plan, binaries};

use crate::drill;
use crate::usual::{RUN, is_right, slow_commits};

/// `assay …` against all managers of the cluster; the answer is what it says, whatever its code.
fn assay(cluster: &Cluster, arguments: &[&str]) -> (i32, String, String) {
    let files = cluster.files.of("drill");
    let said = assay_cluster_tests::cluster::blocking(|| {
        Command::new(binaries::path_of("assay"))
            .args(arguments)
            .current_dir(cluster.drill.folder())
            .env("ASSAY_SERVER", cluster.client.managers.join(","))
            .env("ASSAY_TLS_CA", &files.ca)
            .env("ASSAY_TLS_CERT", &files.cert)
            .env("ASSAY_TLS_KEY", &files.key)
            .env("NO_COLOR", "1")
            .output()
    });
    let Output {
        status,
        stdout,
        stderr,
    } = said.expect("the command is built");
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
        let drill = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::USUAL);
        let plan = Plan {
            secured: true,
            slots: 1,
            ..Plan::default()
        };
        let mut cluster = Cluster::start(&drill, plan).await;
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
        let facts = assay_cluster_tests::checker::Facts {
            may_be_partial: true,
            ..Default::default()
        };
        is_right(&cluster, &[&data], &facts).await;
    }
);

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
