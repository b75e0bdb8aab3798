//! The data node as a process of the cluster.
//!
//! Comes in: options. Goes out: a node that registers, works and commits, until it is told to stop:
//! it then finishes what it has or hands it back, and leaves. Exit codes: 0 left as asked, 1 failed,
//! 2 did not start on its options.

mod options;
mod sources;
mod wiring;

use std::process::ExitCode;
use std::sync::Arc;

use assay_datanode::{DataNode, NodeHandle, NodeStatus};
use assay_process::environment::{known, misspelt, present};
use assay_process::run::{Failure, enter, health, listen, refuse};
use assay_process::{Started, Stop};
use assay_telemetry::http::{self, Pages};
use assay_telemetry::{Telemetry, machine};
use clap::{CommandFactory, Parser};

use options::{Flags, Settings};

fn main() -> ExitCode {
    if wiring::is_task_child() {
        return wiring::serve_child();
    }
    let flags = Flags::parse();
    let (config_check, ask_health) = (flags.config_check, flags.health);
    let settings = match flags.settings() {
        Ok(settings) => settings,
        Err(refused) => return refuse("assay-datanode", &refused),
    };
    let misspelt = misspelt(&known(&Flags::command()), present());
    if config_check {
        for line in &misspelt {
            eprintln!("warning: {line}");
        }
        println!("{settings}\nthe options are in order");
        return ExitCode::SUCCESS;
    }
    if ask_health {
        return health(settings.telemetry);
    }
    let log = settings.log.clone();
    enter("assay-datanode", &log, |Started { stop }| {
        for line in misspelt {
            tracing::warn!("{line}");
        }
        run(settings, stop)
    })
}

async fn run(settings: Settings, stop: Stop) -> Result<(), Failure> {
    let telemetry = Telemetry::default();
    machine::describe(&telemetry, env!("CARGO_PKG_VERSION"));
    let pages = listen("telemetry", settings.telemetry).await?;
    let parts = tokio::select! {
        () = stop.asked() => return Ok(()),
        parts = wiring::parts(&settings, telemetry.clone()) => parts?,
    };
    let node = DataNode::start(parts)?;
    tokio::spawn(http::serve(pages, pages_of(&node, telemetry)));
    tracing::info!(id = %settings.id, slots = settings.slots, telemetry = %settings.telemetry, "the node is up");
    let mut status = node.status();
    tokio::select! {
        () = stop.asked() => {}
        // Drained by an operator, and gone: the supervisor decides what comes next.
        _ = status.wait_for(|status| *status == NodeStatus::Stopped) => {
            if let Some(why) = node.refused() {
                return Err(why.into());
            }
            tracing::info!("the node has left the cluster");
            return Ok(());
        }
    }
    tracing::info!("asked to stop: finishes what it has, or hands it back");
    if !stop
        .unless_insisted(node.drain("the process is asked to stop"))
        .await
    {
        node.kill().await;
    }
    tracing::info!("the node has stopped");
    Ok(())
}

fn pages_of(node: &NodeHandle, telemetry: Telemetry) -> Pages {
    let status = node.status();
    Pages {
        telemetry,
        refresh: machine::refresh("assay_node"),
        ready: Arc::new(move || match *status.borrow() {
            NodeStatus::Live { incarnation, epoch } => {
                Ok(format!("life {} under epoch {}", incarnation.0, epoch.0))
            }
            NodeStatus::Connecting => Err("looks for a leader".to_owned()),
            NodeStatus::Draining => Err("drains".to_owned()),
            NodeStatus::Stopped => Err("stopped".to_owned()),
        }),
    }
}
