//! Calls that must change nothing: every call of the contract with everything that can be wrong
//! with it, on a cluster of processes behind TLS.
//!
//! Comes in: the contract as it describes itself, strangers, and a table of what must not be done in
//! the state that the cluster is in. Goes out: for each the code and the words of the refusal, and
//! all tables of Postgres, which must be the same before and after.

mod lies;
mod messages;
mod raw;
mod reads;
mod strangers;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use assay_cluster_tests::data::{self, Shape};
use assay_cluster_tests::{Cluster, Drill, Plan};
use assay_proto::link::{LEADER_HEADER, PeerRole};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::drill;
use crate::usual::{RUN, texts};
use messages::good;
use raw::{Rpc, call, contract};
use strangers::{known, strangers};

/// How long one refusal may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What went otherwise than it must.
#[derive(Default)]
struct Wrong {
    calls: usize,
    said: Vec<String>,
}

impl Wrong {
    /// Counts a call; notes it, unless `is_right`.
    fn note(&mut self, what: &str, path: &str, answer: &Result<(), Status>, is_right: bool) {
        self.calls += 1;
        if !is_right {
            let answer = answer.as_ref().err().map_or_else(
                || "it was accepted".to_owned(),
                |status| format!("{:?}: {}", status.code(), status.message()),
            );
            self.said.push(format!("{path} {what}: {answer}"));
        }
    }
}

/// One call, which answers in time.
async fn asked(channel: &Channel, path: &str, bytes: Vec<u8>) -> Result<(), Status> {
    match tokio::time::timeout(PATIENCE, call(channel, path, bytes)).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::unknown("NO ANSWER AT ALL")),
    }
}

fn refused(answer: &Result<(), Status>, code: Code, words: &str) -> bool {
    answer.as_ref().is_err_and(|status| {
        status.code() == code && !status.message().is_empty() && status.message().contains(words)
    })
}

/// Every row of every table, but for how the fleet is: the leader notes it whoever calls.
async fn tables(cluster: &Cluster) -> BTreeMap<String, String> {
    let names = "SELECT table_name::text FROM information_schema.tables \
                 WHERE table_schema = 'public' AND table_name <> 'fleet_sample' ORDER BY 1";
    let mut found = BTreeMap::new();
    for name in texts(cluster, names).await {
        let rows = format!(
            "SELECT coalesce(string_agg(r::text, E'\\n' ORDER BY r::text), '') FROM {name} r"
        );
        found.insert(name, cluster.database.text(&rows).await.unwrap());
    }
    assert!(
        found.len() > 8 && found["run"].contains("succeeded"),
        "{found:?}"
    );
    found
}

/// Connections of all who are known.
struct Known {
    client: Channel,
    node: Channel,
    manager: Channel,
    standby: Channel,
}

impl Known {
    async fn of(cluster: &Cluster) -> Self {
        let leader = cluster.leader().await;
        let managers = &cluster.client.managers;
        let at = &managers[leader];
        Self {
            client: known(cluster, PeerRole::Client, "a", at).await,
            node: known(cluster, PeerRole::Node, "node-1", at).await,
            manager: known(cluster, PeerRole::Manager, "manager-9", at).await,
            standby: known(cluster, PeerRole::Client, "b", &managers[1 - leader]).await,
        }
    }

    /// Who may ask this.
    fn fitting(&self, rpc: &Rpc) -> &Channel {
        if is_of_nodes(rpc) {
            &self.node
        } else {
            &self.client
        }
    }
}

fn is_of_nodes(rpc: &Rpc) -> bool {
    rpc.path.contains("NodeService")
}

/// Whether any manager answers it, from the store.
fn is_answered_by_all(rpc: &Rpc) -> bool {
    let reads = [
        "/Get",
        "/List",
        "/Watch",
        "/ListDatasets",
        "/GetDefinition",
        "/Inspect",
        "/ListCauses",
        "/GetCause",
        "/ListSubscriptions",
        "/ListDeliveries",
        "/ListScaleEvents",
    ];
    rpc.path.contains("MetricService") || reads.iter().any(|read| rpc.path.ends_with(read))
}

/// Whether it only reads, so that it may be answered whatever is asked.
fn reads(rpc: &Rpc) -> bool {
    is_answered_by_all(rpc) || rpc.path.ends_with("/Status")
}

/// Those who are not let in, or not for this.
async fn roles(cluster: &Cluster, known: &Known, rpcs: &[Rpc], wrong: &mut Wrong) {
    let leader = &cluster.client.managers[cluster.leader().await];
    for stranger in strangers(cluster) {
        let way = stranger.way.open(leader).await;
        for rpc in rpcs {
            let answer = match &way {
                Ok(channel) => asked(channel, &rpc.path, good(rpc)).await,
                Err(status) => Err(status.clone()),
            };
            let is_right = match (stranger.who, &answer) {
                ("of no role", answer) => refused(answer, Code::PermissionDenied, "no identity"),
                (_, Err(status)) => status.message() != "NO ANSWER AT ALL",
                (_, Ok(())) => false,
            };
            wrong.note(stranger.who, &rpc.path, &answer, is_right);
        }
    }
    for rpc in rpcs {
        let others = if is_of_nodes(rpc) {
            vec![
                ("of a client", &known.client),
                ("of a manager", &known.manager),
            ]
        } else {
            vec![("of a node", &known.node)]
        };
        for (who, channel) in others {
            let answer = asked(channel, &rpc.path, good(rpc)).await;
            let is_right = refused(&answer, Code::PermissionDenied, "may not do this");
            wrong.note(who, &rpc.path, &answer, is_right);
        }
        if is_of_nodes(rpc) || is_answered_by_all(rpc) {
            continue;
        }
        let answer = asked(&known.standby, &rpc.path, good(rpc)).await;
        let is_right = match &answer {
            Err(status) if status.code() == Code::FailedPrecondition => {
                status.metadata().get(LEADER_HEADER).is_some()
            }
            // What is wrong in itself is wrong for every manager.
            Err(status) => matches!(status.code(), Code::InvalidArgument | Code::NotFound),
            Ok(()) => false,
        };
        wrong.note(
            "of a manager that does not lead",
            &rpc.path,
            &answer,
            is_right,
        );
    }
}

/// Bytes that are no message, or more than one may be.
async fn bytes(known: &Known, rpcs: &[Rpc], wrong: &mut Wrong) {
    for rpc in rpcs {
        let channel = known.fitting(rpc);
        let no_message = [
            vec![0xFF; 40],
            vec![0x0A],
            vec![0x07, 0x07],
            vec![0x0A, 0xFF, 0xFF, 0xFF, 0x7F],
        ];
        for bytes in no_message {
            let answer = asked(channel, &rpc.path, bytes).await;
            let is_right = refused(&answer, Code::Internal, "decode");
            wrong.note("of bytes that are no message", &rpc.path, &answer, is_right);
        }
        // An unknown field is of a newer version: it is left out, whatever is in it.
        let mut unknown = good(rpc);
        unknown.extend([0xFA, 0x7F, 3, b'n', b'e', b'w']);
        let known_answer = asked(channel, &rpc.path, good(rpc)).await;
        let answer = asked(channel, &rpc.path, unknown).await;
        let code = |a: &Result<(), Status>| a.as_ref().err().map_or(Code::Ok, Status::code);
        let is_right = code(&answer) == code(&known_answer);
        wrong.note(
            "with a field of a newer version",
            &rpc.path,
            &answer,
            is_right,
        );
        let mut large = vec![0xFA, 0x7F];
        prost::encoding::encode_varint(5 << 20, &mut large);
        large.extend(vec![b'x'; 5 << 20]);
        let answer = asked(channel, &rpc.path, large).await;
        let is_right = refused(&answer, Code::OutOfRange, "too large");
        wrong.note("of five megabytes", &rpc.path, &answer, is_right);
    }
    let answer = asked(&known.client, "/assay.v1.RunService/Explode", Vec::new()).await;
    let is_right = answer
        .as_ref()
        .is_err_and(|s| s.code() == Code::Unimplemented);
    wrong.note(
        "that is not in the contract",
        "/assay.v1.RunService/Explode",
        &answer,
        is_right,
    );
}

/// Every field with everything that can be wrong with it.
async fn fields(known: &Known, rpcs: &[Rpc], wrong: &mut Wrong) {
    for rpc in rpcs {
        let channel = known.fitting(rpc);
        for (what, over) in rpc.bad_fields() {
            let mut bytes = good(rpc);
            bytes.extend(over);
            let answer = asked(channel, &rpc.path, bytes).await;
            let is_right = match &answer {
                Ok(()) => reads(rpc) && !what.contains("of a megabyte"),
                Err(status) if what.contains("of a megabyte") => {
                    // A node speaks in small words: it is stopped by the size of the message.
                    let code = status.code();
                    code == Code::InvalidArgument || (is_of_nodes(rpc) && code == Code::OutOfRange)
                }
                Err(status) => match status.code() {
                    Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => true,
                    Code::Internal => status.message().contains("decode"),
                    Code::PermissionDenied => is_of_nodes(rpc),
                    _ => false,
                },
            };
            wrong.note(&what, &rpc.path, &answer, is_right);
        }
    }
}

/// What must not be done in the state that the cluster is in.
async fn state(known: &Known, facts: &table::Facts, wrong: &mut Wrong) {
    for case in table::cases(facts) {
        let path = format!("/assay.v1.{}", case.path);
        let channel = if case.path.starts_with("NodeService") {
            &known.node
        } else {
            &known.client
        };
        let answer = asked(channel, &path, case.bytes).await;
        let is_right = refused(&answer, case.code, case.words);
        wrong.note(case.what, &path, &answer, is_right);
    }
}

/// A run that waits for ever: nobody is there to do it.
async fn run_that_waits(cluster: &mut Cluster, data: &data::Data) -> String {
    for node in &mut cluster.nodes {
        node.kill();
    }
    let dead = "SELECT 'x' WHERE (SELECT bool_and(state = 'dead') FROM node)";
    cluster
        .until("end of both nodes", Duration::from_secs(20), dead)
        .await;
    let waits = cluster.submit(data, "second").await;
    let started =
        format!("SELECT 'x' FROM run WHERE run_word(id) = '{waits}' AND state <> 'queued'");
    cluster
        .until("run that waits", Duration::from_secs(20), &started)
        .await;
    waits
}

/// The tables, once the leader has nothing more to note of its own accord.
async fn still(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut before = tables(cluster).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = tables(cluster).await;
        if now == before {
            return now;
        }
        before = now;
    }
    panic!("the tables do not come to rest though nobody calls");
}

drill!(
    no_bad_call_changes_a_row_and_each_is_told_what_is_wrong,
    async |name| {
        let drill = Drill::begin(name).await;
        let data = data::generate(drill.folder(), "orders", Shape::SMALL);
        let plan = Plan {
            nodes: 2,
            secured: true,
            ..Plan::default()
        };
        let mut cluster = Cluster::start(&drill, plan).await;
        let ended = cluster.submit(&data, "first").await;
        assert_eq!(cluster.ended(&ended, RUN).await, "succeeded");
        let waits = run_that_waits(&mut cluster, &data).await;
        // What the first run has left to tell is told, and then gone, whatever is called; that both
        // nodes are lost is noted for operators.
        let told = "SELECT 'x' WHERE NOT EXISTS (SELECT FROM outbox) \
                    AND (SELECT count(*) = 2 FROM alert WHERE key LIKE 'node_lost/%')";
        cluster
            .until("end of telling", Duration::from_secs(20), told)
            .await;

        let rpcs = contract();
        assert!(rpcs.len() >= 20, "{rpcs:?}");
        let known = Known::of(&cluster).await;
        let before = still(&cluster).await;
        let mut wrong = Wrong::default();
        roles(&cluster, &known, &rpcs, &mut wrong).await;
        drill.note(format!("strangers and roles: {} calls", wrong.calls));
        bytes(&known, &rpcs, &mut wrong).await;
        fields(&known, &rpcs, &mut wrong).await;
        drill.note(format!("with bytes and fields: {} calls", wrong.calls));
        let facts = table::Facts {
            ended,
            waits,
            node: "node-1".to_owned(),
        };
        state(&known, &facts, &mut wrong).await;
        drill.note(format!("in all: {} calls", wrong.calls));
        assert!(wrong.calls > 700, "{} calls", wrong.calls);
        let after = tables(&cluster).await;
        for (table, rows) in &before {
            assert_eq!(rows, &after[table], "the table {table} was changed");
        }
        assert!(
            wrong.said.is_empty(),
            "{} of {}:\n{}",
            wrong.said.len(),
            wrong.calls,
            wrong.said.join("\n")
        );
        // And all that time the leader was the same one.
        assert!(
            cluster
                .managers
                .iter_mut()
                .all(assay_cluster_tests::process::Process::runs)
        );
    }
);
