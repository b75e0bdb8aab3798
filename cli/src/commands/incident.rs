//! `assay incident`: what is wrong, and what people say about it.
//!
//! Comes in: a command. Goes out: rows of incidents, or a wish carried to the cluster, which knows
//! whose it is.

use anyhow::Result;
use assay_proto::convert::{opt_time, time_of};
use assay_proto::v1;
use assay_proto::v1::change_cause_request::Wish;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{by_prefix, known_to};
use crate::args::IncidentCommand;
use crate::client::connect;
use crate::client::port::Notices;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::{table, text};

/// More incidents than a list shows: a beginning is looked for among all of them.
const ALL: u32 = 1000;

/// Runs the command.
pub async fn run(command: IncidentCommand, cx: &Context) -> Result<Exit> {
    let cluster = connect(cx).await?;
    let cluster: &dyn Notices = &*cluster;
    match command {
        IncidentCommand::List {
            dataset,
            all,
            limit,
        } => list(cluster, dataset, all, limit, cx).await,
        IncidentCommand::Get { incident } => get(cluster, &incident, cx).await,
        IncidentCommand::Ack { incident } => {
            change(
                cluster,
                &incident,
                Wish::Acknowledge(true),
                "acknowledged",
                cx,
            )
            .await
        }
        IncidentCommand::Mute {
            incident, lasting, ..
        } => {
            let Some(lasting) = lasting else {
                return change(cluster, &incident, Wish::Unmute(true), "told of again", cx).await;
            };
            let after = SignedDuration::try_from(lasting).unwrap_or(SignedDuration::MAX);
            let until = Timestamp::now().checked_add(after);
            let until = until.unwrap_or(Timestamp::MAX);
            let done = format!("muted until {until:.0}");
            change(
                cluster,
                &incident,
                Wish::MuteUntil(time_of(until)),
                &done,
                cx,
            )
            .await
        }
        IncidentCommand::Assign { incident, who } => {
            let done = match who.as_str() {
                "" => "nobody's".to_owned(),
                who => format!("assigned to {who}"),
            };
            change(cluster, &incident, Wish::Assign(who), &done, cx).await
        }
        IncidentCommand::Note { incident, text } => {
            change(cluster, &incident, Wish::Note(text), "noted", cx).await
        }
        IncidentCommand::Resolve { incident } => {
            change(cluster, &incident, Wish::Resolve(true), "resolved", cx).await
        }
    }
}

async fn known(cluster: &dyn Notices, wanted: &str) -> Result<String> {
    let request = v1::ListCausesRequest {
        limit: ALL,
        ..Default::default()
    };
    let all = cluster.causes(request).await?;
    let names: Vec<String> = all.into_iter().map(|cause| cause.id).collect();
    by_prefix("incident", wanted, &names)
}

fn since(cause: &v1::Cause, cx: &Context) -> String {
    let opened = opt_time("opened_at", cause.opened_at).ok().flatten();
    let now = Timestamp::now();
    opened.map_or_else(String::new, |at| text::when(at, now, cx.screen.times))
}

async fn list(
    cluster: &dyn Notices,
    dataset: Option<String>,
    all: bool,
    limit: u32,
    cx: &Context,
) -> Result<Exit> {
    let request = v1::ListCausesRequest {
        dataset: dataset.clone().unwrap_or_default(),
        only_open: !all,
        limit,
    };
    let causes = cluster.causes(request).await?;
    if causes.is_empty() {
        known_to(dataset.as_deref(), cx).await?;
        let what = if all {
            "no incident"
        } else {
            "no open incident"
        };
        cx.screen.note(what);
    } else {
        let mut table = table::table(&["INCIDENT", "STATUS", "SEVERITY", "OPENED", "WHAT"]);
        for cause in &causes {
            table.add_row([
                cause.id.chars().take(12).collect(),
                status(cause),
                cause.severity.clone(),
                since(cause, cx),
                cause.message.clone(),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
        if causes.len() as u64 >= u64::from(limit) {
            cx.screen
                .note(&format!("the first {limit}; more with --limit"));
        }
    }
    let items: Vec<Value> = causes.iter().map(item).collect();
    let summary = json!({ "incidents": items.len() });
    cx.screen
        .items("IncidentList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

fn status(cause: &v1::Cause) -> String {
    let muted = opt_time("muted_until", cause.muted_until).ok().flatten();
    match muted.filter(|until| *until > Timestamp::now()) {
        Some(_) => format!("{}, muted", cause.status),
        None => cause.status.clone(),
    }
}

async fn get(cluster: &dyn Notices, wanted: &str, cx: &Context) -> Result<Exit> {
    let id = known(cluster, wanted).await?;
    let answer = cluster.cause(&id).await?;
    let cause = answer.cause.clone().unwrap_or_default();
    cx.screen.text(&told(&cause, &answer, cx))?;
    let events: Vec<Value> = answer.events.iter().map(event).collect();
    let checks: Vec<Value> = answer.incidents.iter().map(check).collect();
    let mut item = item(&cause);
    item["events"] = events.into();
    item["checks"] = checks.into();
    cx.screen.items("Incident", &[item], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

fn told(cause: &v1::Cause, answer: &v1::GetCauseResponse, cx: &Context) -> String {
    let mut out = format!("{}  {}  {}\n\n", cause.id, status(cause), cause.severity);
    out.push_str(&format!("  {}\n", cause.message));
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("  {name:<12} {value}\n"));
        }
    };
    line("dataset", &cause.dataset);
    line("column", &cause.column);
    line("dimension", &cause.dimension);
    line("opened", &since(cause, cx));
    if cause.episode > 1 {
        line("", &format!("for the {}. time", cause.episode));
    }
    line("assignee", &cause.assignee);
    line("looked at by", &cause.acknowledged_by);
    line("resolved by", &cause.resolved_by);
    let until = opt_time("muted_until", cause.muted_until).ok().flatten();
    line(
        "muted until",
        &until.map(|at| format!("{at:.0}")).unwrap_or_default(),
    );
    for incident in &answer.incidents {
        let partitions = incident.partitions;
        out.push_str(&format!("\n  {}  {}\n", incident.check, incident.message));
        out.push_str(&format!(
            "    {partitions} partitions, {} to {}\n",
            incident.first_partition, incident.last_partition
        ));
    }
    out.push('\n');
    let now = Timestamp::now();
    for event in &answer.events {
        let at = opt_time("at", event.at).ok().flatten();
        let at = at.map_or_else(String::new, |at| text::when(at, now, cx.screen.times));
        let by = if event.by.is_empty() {
            "the data"
        } else {
            &event.by
        };
        // A note may have several lines.
        let detail = event.detail.replace('\n', "\n      ");
        out.push_str(&format!(
            "  {at:<16} {:<13} by {by}  {detail}\n",
            event.kind
        ));
    }
    out
}

async fn change(
    cluster: &dyn Notices,
    wanted: &str,
    wish: Wish,
    done: &str,
    cx: &Context,
) -> Result<Exit> {
    let id = known(cluster, wanted).await?;
    let cause = cluster.change_cause(&id, wish).await?;
    cx.screen
        .text(&format!("{done}  {}  {}\n", cause.id, cause.message))?;
    cx.screen
        .items("Incident", &[item(&cause)], &json!({}), Exit::Ok)?;
    Ok(Exit::Ok)
}

fn or_none(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// An incident for programs.
fn item(cause: &v1::Cause) -> Value {
    let time = |at| opt_time("at", at).ok().flatten();
    json!({
        "id": cause.id,
        "dataset": cause.dataset,
        "dimension": cause.dimension,
        "column": or_none(&cause.column),
        "status": cause.status,
        "severity": cause.severity,
        "occurrence": cause.episode,
        "failingChecks": cause.checks,
        "message": cause.message,
        "check": cause.check,
        "metric": or_none(&cause.metric),
        "actual": or_none(&cause.actual),
        "expected": or_none(&cause.expected),
        "partition": cause.partition,
        "firstPartition": cause.first_partition,
        "openedAt": time(cause.opened_at),
        "updatedAt": time(cause.updated_at),
        "resolvedAt": time(cause.resolved_at),
        "resolvedBy": or_none(&cause.resolved_by),
        "mutedUntil": time(cause.muted_until),
        "acknowledgedBy": or_none(&cause.acknowledged_by),
        "assignee": or_none(&cause.assignee),
    })
}

fn event(event: &v1::CauseEvent) -> Value {
    json!({
        "at": opt_time("at", event.at).ok().flatten(),
        "kind": event.kind,
        "by": or_none(&event.by),
        "detail": or_none(&event.detail),
    })
}

fn check(incident: &v1::Incident) -> Value {
    json!({
        "check": incident.check,
        "severity": incident.severity,
        "partitions": incident.partitions,
        "firstPartition": incident.first_partition,
        "lastPartition": incident.last_partition,
        "message": incident.message,
    })
}
