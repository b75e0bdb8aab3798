//! `assay run list`: runs with what they have come to.
//!
//! Comes in: what the manager stores of runs. Goes out: a table, or JSON. Its counts are those of
//! `assay run get`: both come from [`Sum`].

use anyhow::{Context as _, Result};
use assay_model::run::Run;
use assay_proto::WireError;
use assay_proto::convert;
use assay_proto::v1;
use jiff::Timestamp;
use serde_json::json;

use super::report::{self, run_json};
use super::sum::Sum;
use crate::client::coded;
use crate::client::port::Cluster;
use crate::commands::is_known;
use crate::context::Context;
use crate::exit::Exit;
use crate::show::{table, text};

/// Runs among which a beginning of an id is looked for.
pub const LOOKED_AT: u32 = 1000;

/// Lists runs, newest first.
pub async fn list(
    cluster: &dyn Cluster,
    dataset: Option<&str>,
    active: bool,
    limit: u32,
    cx: &Context,
) -> Result<Exit> {
    if limit == 0 || limit > LOOKED_AT {
        let why = format!("--limit {limit}: use 1 to {LOOKED_AT}");
        return Err(coded(Exit::Usage, why));
    }
    let runs = runs(cluster, dataset.unwrap_or_default(), active, limit).await?;
    let now = Timestamp::now();
    if runs.is_empty() {
        is_known(cluster, dataset).await?;
        let which = if active { "unfinished runs" } else { "runs" };
        cx.screen.text(&format!(
            "No {which}. Start one: assay run start DATASET --watch\n"
        ))?;
    } else {
        let mut table = table::table(&[
            "RUN", "DATASET", "STATE", "OUTCOME", "TRIGGER", "CREATED", "TOOK", "TASKS",
        ]);
        for (run, sum) in &runs {
            table.add_row([
                run.id.to_string(),
                run.dataset.to_string(),
                run.state.to_string(),
                sum.outcome(run.state),
                run.trigger.to_string(),
                text::when(run.created_at, now, cx.screen.times),
                report::took(run, now),
                sum.tasks().to_string(),
            ]);
        }
        cx.screen.text(&table::print(&table))?;
        if runs.len() == limit as usize {
            cx.screen.note(&format!(
                "showing the newest {limit}; more with --limit {}",
                limit.saturating_mul(2).min(LOOKED_AT)
            ));
        }
    }
    let items: Vec<_> = runs
        .iter()
        .map(|(run, sum)| {
            let mut item = run_json(run);
            sum.add_to(&mut item);
            item
        })
        .collect();
    let summary = json!({"runs": runs.len(), "limit": limit});
    cx.screen.items("RunList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}

/// Runs with what they have come to, newest first.
pub async fn runs(
    cluster: &dyn Cluster,
    dataset: &str,
    unfinished: bool,
    limit: u32,
) -> Result<Vec<(Run, Sum)>> {
    let which = v1::ListRunsRequest {
        dataset: dataset.to_owned(),
        unfinished,
        limit,
    };
    let listed = cluster.runs(which).await?;
    let runs: Result<Vec<(Run, Sum)>, WireError> = listed
        .into_iter()
        .map(|mut wire| {
            let sum = Sum::read(wire.sum.take())?;
            Ok((convert::run(wire)?, sum))
        })
        .collect();
    runs.context("the manager's answer cannot be read; compare: assay version")
}
