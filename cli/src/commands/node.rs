//! `assay node`: the data nodes of a cluster, and their leave.
//!
//! Comes in: a command. Goes out: rows of nodes, one node's facts, or a wish carried to the leader.

use anyhow::Result;
use assay_model::node::NodeState;
use assay_proto::convert::opt_time;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::by_prefix;
use crate::args::NodeCommand;
use crate::client::connect;
use crate::client::port::Cluster;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::{table, text};

/// Runs the command.
pub async fn run(command: NodeCommand, cx: &Context) -> Result<Exit> {
    let cluster = connect(cx).await?;
    let cluster = cluster.as_ref();
    match command {
        NodeCommand::List => list(cluster, cx).await,
        NodeCommand::Get { node } => get(cluster, &node, cx).await,
        NodeCommand::Drain { node, reason } => {
            let node = known(cluster, &node).await?;
            cluster.drain(&node, &reason).await?;
            cx.screen
                .note("it finishes what it has, then leaves: assay node list");
            told(&node, "draining", cx)
        }
        NodeCommand::Uncordon { node } => {
            let node = known(cluster, &node).await?;
            cluster.uncordon(&node).await?;
            told(&node, "takes tasks again", cx)
        }
    }
}

fn told(node: &str, done: &str, cx: &Context) -> Result<Exit> {
    cx.screen.text(&format!("{done}  {node}\n"))?;
    let item = json!({"id": node, "done": done});
    cx.screen
        .items("NodeChange", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

async fn known(cluster: &dyn Cluster, wanted: &str) -> Result<String> {
    let nodes = cluster.status().await?.nodes;
    let names: Vec<String> = nodes.into_iter().map(|node| node.id).collect();
    by_prefix("node", wanted, &names)
}

async fn list(cluster: &dyn Cluster, cx: &Context) -> Result<Exit> {
    let status = cluster.status().await?;
    if status.nodes.is_empty() {
        cx.screen
            .note("no data node is registered; tasks wait until one is");
    }
    cx.screen.text(&rows(&status, cx))?;
    for unknown in &status.unknown {
        cx.screen.note(unknown);
    }
    let items: Vec<Value> = status.nodes.iter().map(item).collect();
    let departed: Vec<Value> = status.departed.iter().map(item).collect();
    let summary = json!({
        "nodes": items.len(),
        "desired": status.nodes_desired,
        "departed": departed,
        "departedMore": status.departed_more,
        "unknown": status.unknown,
    });
    cx.screen.items("NodeList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

async fn get(cluster: &dyn Cluster, wanted: &str, cx: &Context) -> Result<Exit> {
    let status = cluster.status().await?;
    // A name that came back stands among those at work and among the departed: the first is meant.
    let all: Vec<&v1::NodeStatus> = status.nodes.iter().chain(&status.departed).collect();
    let names: Vec<String> = all.iter().map(|node| node.id.clone()).collect();
    let id = by_prefix("node", wanted, &names)?;
    let Some(at) = all.iter().position(|node| node.id == id) else {
        anyhow::bail!("node {id} left while it was asked for: assay node list");
    };
    cx.screen
        .text(&sheet(all[at], at < status.nodes.len(), cx))?;
    for unknown in &status.unknown {
        cx.screen.note(unknown);
    }
    let item = item(all[at]);
    cx.screen.items("Node", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

/// One node, a fact to a line; load is told only of one that is there.
fn sheet(node: &v1::NodeStatus, there: bool, cx: &Context) -> String {
    let mut state = node.state.clone();
    let why = why(node, cx);
    if !why.is_empty() {
        state.push_str(&format!(", {why}"));
    }
    let mut out = format!("node         {}\nstate        {state}\n", node.id);
    if !node.zone.is_empty() {
        out.push_str(&format!("zone         {}\n", node.zone));
    }
    if !node.version.is_empty() {
        out.push_str(&format!("version      {}\n", node.version));
    }
    out.push_str(&format!("incarnation  {}\n", node.incarnation));
    if there {
        out.push_str(&format!(
            "slots        {} of {} at work\ncpu          {:.0} %\nmemory       {}\nheard        {} ago\n",
            node.slots_used,
            node.slots,
            node.cpu * 100.0,
            memory(node),
            text::span(node.silent_ms)
        ));
    }
    out
}

/// The nodes as a table, those that have gone lately below; empty when there are none.
pub fn rows(status: &v1::StatusResponse, cx: &Context) -> String {
    if status.nodes.is_empty() && status.departed.is_empty() {
        return String::new();
    }
    let mut table = table::table(&[
        "NODE", "STATE", "SLOTS", "CPU", "MEMORY", "ZONE", "HEARD", "WHY",
    ]);
    for node in &status.nodes {
        table.add_row([
            node.id.clone(),
            node.state.clone(),
            format!("{} of {}", node.slots_used, node.slots),
            format!("{:.0} %", node.cpu * 100.0),
            memory(node),
            or_dash(&node.zone),
            format!("{} ago", text::span(node.silent_ms)),
            why(node, cx),
        ]);
    }
    for node in &status.departed {
        let none = || "-".to_owned();
        let (state, zone) = (node.state.clone(), or_dash(&node.zone));
        let id = node.id.clone();
        table.add_row([
            id,
            state,
            none(),
            none(),
            none(),
            zone,
            none(),
            why(node, cx),
        ]);
    }
    let mut out = table::print(&table);
    if status.departed_more > 0 {
        out.push_str(&format!(
            "and {} more that have gone within the last day\n",
            status.departed_more
        ));
    }
    out
}

/// Memory in use, of how much where that is known.
fn memory(node: &v1::NodeStatus) -> String {
    let used = text::bytes(node.memory_used_bytes);
    match node.memory_bytes {
        0 => used,
        all => format!("{used} of {}", text::bytes(all)),
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-" } else { text }.to_owned()
}

/// Since when and why a node is in its state; of one that works as it should, nothing.
fn why(node: &v1::NodeStatus, cx: &Context) -> String {
    if node.state == NodeState::Live.as_str() {
        return String::new();
    }
    let since = opt_time("since", node.since).ok().flatten();
    let since = since.map(|since| text::when(since, Timestamp::now(), cx.screen.times));
    match (since, node.reason.as_str()) {
        (None, reason) => reason.to_owned(),
        (Some(since), "") => since,
        (Some(since), reason) => format!("{since}: {reason}"),
    }
}

/// A node for programs.
pub fn item(node: &v1::NodeStatus) -> Value {
    json!({
        "id": node.id,
        "incarnation": node.incarnation,
        "state": node.state,
        "slots": node.slots,
        "slotsUsed": node.slots_used,
        "cpu": node.cpu,
        "memoryBytes": node.memory_bytes,
        "memoryUsedBytes": node.memory_used_bytes,
        "zone": node.zone,
        "silentMs": node.silent_ms,
        "reason": (!node.reason.is_empty()).then_some(&node.reason),
        "since": opt_time("since", node.since).ok().flatten(),
    })
}
