//! `assay dataset apply` with a server: definitions to the cluster.
//!
//! Comes in: dataset files. Goes out: what the leader has taken into its store. Nothing is sent
//! before every file is known to be valid. A path of local files has to mean the same place on
//! every data node: to a manager it is sent in full, and a gateway keeps the document itself, which
//! has to name it so.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};

use super::apply::{alike, not_by_itself, valid};
use super::expand;
use crate::client::connect;
use crate::client::port::{Done, Put};
use crate::context::Context;
use crate::exit::Exit;
use crate::show::text;

/// Runs the command.
pub async fn run(files: &[PathBuf], dry_run: bool, cx: &Context) -> Result<Exit> {
    let files = expand(files)?;
    let Some(wanted) = valid(&files, cx)? else {
        return Ok(Exit::Invalid);
    };
    let cluster = connect(cx).await?;
    if cluster.keeps_documents() {
        for (source, dataset) in &wanted {
            alike(source, dataset, cluster.address())?;
        }
    }
    let known = cluster.datasets().await?;
    let known: BTreeMap<String, String> = known
        .into_iter()
        .map(|dataset| (dataset.id, dataset.digest))
        .collect();
    let mut items: Vec<Value> = Vec::new();
    for (source, dataset) in &wanted {
        let put = Put {
            dataset,
            text: &source.text,
            there: known.get(dataset.id.as_str()).map(String::as_str),
            dry_run,
        };
        let done = cluster.put(put).await;
        let done = done.map_err(|refusal| refusal.error.context(dataset.id.to_string()))?;
        cx.screen.text(&format!(
            "{:<9}  {} {}  {}  from {}\n{}",
            done.word(),
            dataset.id,
            dataset.version,
            text::counted(dataset.checks.len(), "check"),
            source.path.display(),
            not_by_itself(dataset)
        ))?;
        items.push(json!({
            "id": dataset.id,
            "version": dataset.version,
            "change": done.word(),
            "file": source.path,
        }));
    }
    if dry_run {
        cx.screen.text(&format!(
            "dry run: nothing was sent to {}\n",
            cluster.address()
        ))?;
    }
    let count = |done: Done| {
        let of = |item: &&Value| item.get("change").and_then(Value::as_str) == Some(done.word());
        items.iter().filter(of).count()
    };
    let summary = json!({
        "created": count(Done::Created),
        "changed": count(Done::Changed),
        "unchanged": count(Done::Unchanged),
        "dryRun": dry_run,
    });
    cx.screen
        .items("DatasetChangeList", &items, &summary, Exit::Ok)?;
    Ok(Exit::Ok)
}
