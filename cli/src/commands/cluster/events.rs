//! `assay cluster events`: how the fleet was scaled.
//!
//! Comes in: the last changes of the wanted number of nodes. Goes out: a line of each, newest first.

use anyhow::Result;
use assay_proto::convert::opt_time;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::client::connect;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::{table, text};

/// Runs the command.
pub async fn run(cx: &Context) -> Result<Exit> {
    let events = connect(cx).await?.scale_events().await?;
    if events.is_empty() {
        cx.screen.text("the fleet was never scaled\n")?;
    } else {
        cx.screen.text(&words(&events, cx))?;
    }
    let items: Vec<Value> = events.iter().map(item).collect();
    let summary = json!({ "events": items.len() });
    cx.screen
        .items("ScaleEventList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn at(time: Option<prost_types::Timestamp>) -> Option<Timestamp> {
    opt_time("at", time).ok().flatten()
}

/// How many milliseconds after its decision a phase of a change came.
fn after_ms(event: &v1::ScaleEvent, phase: Option<prost_types::Timestamp>) -> Option<u64> {
    let (decided, phase) = (at(event.at)?, at(phase)?);
    u64::try_from(phase.duration_since(decided).as_millis()).ok()
}

fn words(events: &[v1::ScaleEvent], cx: &Context) -> String {
    let now = Timestamp::now();
    let mut table = table::table(&[
        "DECIDED",
        "NODES",
        "FIRST NODE",
        "FIRST TASK",
        "DONE",
        "WHY",
    ]);
    for event in events {
        let after = |phase| {
            let span = after_ms(event, phase).map(text::span);
            span.map_or_else(|| "-".to_owned(), |span| format!("after {span}"))
        };
        let decided = at(event.at);
        table.add_row([
            decided.map_or_else(String::new, |at| text::when(at, now, cx.screen.times)),
            format!("{} -> {}", event.from_nodes, event.to_nodes),
            after(event.first_node_at),
            after(event.first_task_at),
            after(event.done_at),
            event.reason.clone(),
        ]);
    }
    table::print(&table)
}

/// The same for programs.
fn item(event: &v1::ScaleEvent) -> Value {
    json!({
        "at": at(event.at),
        "from": event.from_nodes,
        "to": event.to_nodes,
        "reason": event.reason,
        "firstNodeAt": at(event.first_node_at),
        "firstTaskAt": at(event.first_task_at),
        "doneAt": at(event.done_at),
        "durationMs": after_ms(event, event.done_at),
    })
}
