//! `assay cluster`: who leads, who works, what waits; the bounds of the fleet; certificates.
//!
//! Comes in: a command. Goes out: how the cluster stands, a wish carried to the leader, or files.

mod certs;
mod events;

use anyhow::Result;
use assay_proto::convert::opt_time;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::node;
use crate::args::{ClusterCommand, NodeRange};
use crate::client::connect;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::text;

/// Runs the command.
pub async fn run(command: ClusterCommand, cx: &Context) -> Result<Exit> {
    match command {
        ClusterCommand::Status => status(cx).await,
        ClusterCommand::Events => events::run(cx).await,
        ClusterCommand::Scale { nodes } => scale(nodes, cx).await,
        ClusterCommand::Certs(args) => certs::run(&args, cx),
    }
}

async fn status(cx: &Context) -> Result<Exit> {
    let cluster = connect(cx).await?;
    let status = cluster.status().await?;
    let address = leader_at(&status, cluster.address());
    cx.screen.text(&words(&status, address, cx))?;
    for unknown in &status.unknown {
        cx.screen.note(unknown);
    }
    let item = item(&status, address);
    cx.screen
        .items("ClusterStatus", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Where the leader is: where it says it is, or else what was asked.
fn leader_at<'a>(status: &'a v1::StatusResponse, asked: &'a str) -> &'a str {
    let leads = status.managers.iter().find(|manager| manager.leads);
    let told = leads.map(|manager| manager.address.as_str());
    told.filter(|told| !told.is_empty()).unwrap_or(asked)
}

/// Since when the store does not answer.
fn away_since(status: &v1::StatusResponse) -> Option<Timestamp> {
    opt_time("store_away_since", status.store_away_since)
        .ok()
        .flatten()
}

/// How the cluster stands, for people.
fn words(status: &v1::StatusResponse, address: &str, cx: &Context) -> String {
    let used: u32 = status.nodes.iter().map(|n| n.slots_used).sum();
    let slots: u32 = status.nodes.iter().map(|n| n.slots).sum();
    let mut out = format!(
        "leader   {} at {address}, epoch {}\n",
        status.leader, status.epoch
    );
    let away_since = away_since(status);
    if !status.store_away.is_empty() {
        let since = away_since.map_or_else(String::new, |since| {
            format!(
                " since {}",
                text::when(since, Timestamp::now(), cx.screen.times)
            )
        });
        out.push_str(&format!(
            "store    does not answer{since}: {}\n         nothing is assigned or judged until it does; nothing is lost\n",
            status.store_away
        ));
    }
    out.push_str(&stand_by(status));
    out.push_str(&format!(
        "nodes    {}, {} wanted ({}), {used} of {slots} slots used\n",
        status.nodes.len(),
        status.nodes_desired,
        status.nodes_desired_reason
    ));
    out.push_str(&format!(
        "tasks    {} running, {} ready, {} waiting, in {}\n",
        status.tasks_running,
        status.tasks_ready,
        status.tasks_waiting,
        text::counted(status.runs_unfinished as usize, "run")
    ));
    let schedule = status.schedule.as_ref();
    if let Some(ticked) = schedule {
        out.push_str(&format!("schedule {}: {}\n", ticked.outcome, ticked.words));
    }
    let nodes = node::rows(status, cx);
    if !nodes.is_empty() {
        out.push('\n');
        out.push_str(&nodes);
    }
    out
}

/// The same for programs.
fn item(status: &v1::StatusResponse, address: &str) -> Value {
    let nodes: Vec<Value> = status.nodes.iter().map(node::item).collect();
    let departed: Vec<Value> = status.departed.iter().map(node::item).collect();
    let managers = status.managers.iter();
    let managers =
        managers.map(|m| json!({"name": m.name, "address": m.address, "leads": m.leads}));
    let managers: Vec<Value> = managers.collect();
    json!({
        "leader": status.leader,
        "address": address,
        "epoch": status.epoch,
        "managers": managers,
        "nodes": nodes,
        "departed": departed,
        "departedMore": status.departed_more,
        "unknown": status.unknown,
        "nodesDesired": status.nodes_desired,
        "nodesDesiredReason": status.nodes_desired_reason,
        "runsUnfinished": status.runs_unfinished,
        "tasksReady": status.tasks_ready,
        "tasksWaiting": status.tasks_waiting,
        "tasksRunning": status.tasks_running,
        "storeAway": (!status.store_away.is_empty()).then_some(&status.store_away),
        "storeAwaySince": away_since(status),
        "schedule": status.schedule.as_ref().map(|ticked| json!({
            "at": opt_time("at", ticked.at).ok().flatten(),
            "outcome": ticked.outcome,
            "words": ticked.words,
        })),
    })
}

/// The managers that would lead next; nothing when that is not known.
fn stand_by(status: &v1::StatusResponse) -> String {
    let others: Vec<String> = status
        .managers
        .iter()
        .filter(|manager| !manager.leads)
        .map(|manager| format!("{} at {}", manager.name, manager.address))
        .collect();
    match (others.is_empty(), status.managers.is_empty()) {
        (true, true) => String::new(),
        (true, false) => "standby  none\n".to_owned(),
        _ => format!("standby  {}\n", others.join(", ")),
    }
}

async fn scale(nodes: NodeRange, cx: &Context) -> Result<Exit> {
    let NodeRange { min, max } = nodes;
    connect(cx).await?.scale(min, max).await?;
    cx.screen.text(&format!(
        "the fleet is sized between {min} and {max} nodes\n"
    ))?;
    let item = json!({"min": min, "max": max});
    cx.screen
        .items("ScaleChange", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}
