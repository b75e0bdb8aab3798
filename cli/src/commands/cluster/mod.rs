//! `assay cluster`: who leads, who works, what waits; the bounds of the fleet; certificates.
//!
//! Comes in: a command. Goes out: how the cluster stands, a wish carried to the leader, or files.

mod certs;

use anyhow::Result;
use assay_proto::convert::opt_time;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::node;
use crate::args::{ClusterCommand, NodeRange};
use crate::client::{Client, refused};
use crate::context::Context;
use crate::exit::Exit;
use crate::show::text;

/// Runs the command.
pub async fn run(command: ClusterCommand, cx: &Context) -> Result<Exit> {
    match command {
        ClusterCommand::Status => status(cx).await,
        ClusterCommand::Scale { nodes } => scale(nodes, cx).await,
        ClusterCommand::Certs(args) => certs::run(&args, cx),
    }
}

async fn status(cx: &Context) -> Result<Exit> {
    let client = Client::connect(cx).await?;
    let status = node::status(&client).await?;
    let used: u32 = status.nodes.iter().map(|n| n.slots_used).sum();
    let slots: u32 = status.nodes.iter().map(|n| n.slots).sum();
    let mut out = format!(
        "leader   {} at {}, epoch {}\n",
        status.leader, client.address, status.epoch
    );
    let away_since = opt_time("store_away_since", status.store_away_since)
        .ok()
        .flatten();
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
    if !status.nodes.is_empty() {
        out.push('\n');
        out.push_str(&node::rows(&status.nodes));
    }
    cx.screen.text(&out)?;
    let nodes: Vec<Value> = status.nodes.iter().map(node::item).collect();
    let item = json!({
        "leader": status.leader,
        "address": client.address,
        "epoch": status.epoch,
        "nodes": nodes,
        "nodesDesired": status.nodes_desired,
        "nodesDesiredReason": status.nodes_desired_reason,
        "runsUnfinished": status.runs_unfinished,
        "tasksReady": status.tasks_ready,
        "tasksWaiting": status.tasks_waiting,
        "tasksRunning": status.tasks_running,
        "storeAway": (!status.store_away.is_empty()).then_some(&status.store_away),
        "storeAwaySince": away_since,
        "schedule": schedule.map(|ticked| json!({
            "at": opt_time("at", ticked.at).ok().flatten(),
            "outcome": ticked.outcome,
            "words": ticked.words,
        })),
    });
    cx.screen
        .items("ClusterStatus", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

async fn scale(nodes: NodeRange, cx: &Context) -> Result<Exit> {
    let client = Client::connect(cx).await?;
    let NodeRange { min, max } = nodes;
    let done = client
        .cluster()
        .scale(client.call(v1::ScaleRequest { min, max }))
        .await;
    done.map_err(|status| refused(&status))?;
    cx.screen.text(&format!(
        "the fleet is sized between {min} and {max} nodes\n"
    ))?;
    let item = json!({"min": min, "max": max});
    cx.screen
        .items("ScaleChange", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}
